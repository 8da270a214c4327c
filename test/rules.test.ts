/** The rules of the house, as far as a program can see them. Each list of exceptions gives its reasons. */

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const FOLDERS = ["docs", "syscalls", "runtime", "guest", "examples", "test", "scripts"];
const TEXT = /\.(tsx?|cjs|md|json)$/;
/** Data, and what a generator made: scripts/abci-messages.ts. */
const NOT_WRITTEN = ["examples/ledger/blocks/", "test/vectors/", "runtime/abci/messages/"];
const LINES_MAX = 500;
const COLUMNS_MAX = 110;

const files = FOLDERS.filter((folder) => existsSync(join(ROOT, folder)))
  .flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
  )
  .filter((name) => TEXT.test(name) && !NOT_WRITTEN.some((folder) => name.startsWith(folder)))
  .concat("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "package.json")
  .sort();
const sources = files.filter((name) => /\.tsx?$/.test(name));

const read = (name: string): string => readFileSync(join(ROOT, name), "utf8");

/** The source with comments blanked out, line numbers kept. */
function codeOf(name: string): string {
  const token = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\/.*|\/\*[\s\S]*?\*\//g;
  return read(name).replace(token, (match) => (match.startsWith("/") ? match.replace(/[^\n]/g, " ") : match));
}

function violations(names: readonly string[], pattern: RegExp, text: (name: string) => string): string[] {
  return names.flatMap((name) =>
    text(name)
      .split("\n")
      .flatMap((line, i) => (pattern.test(line) ? [`${name}:${i + 1}: ${line.trim().slice(0, 120)}`] : [])),
  );
}

// ---- what feeds state -------------------------------------------------------------------------------------

const STATE = /^(syscalls|guest|runtime\/(batch|heap|image|kernel|program))\//;

/** Files that may use what state must not depend on, with the reason. */
const STATE_EXCEPTIONS: Record<string, string> = {
  "runtime/program/cache.ts": "names temporary files at random; what it returns is checked against its hash",
  "runtime/batch/runner.ts": "decides by what items cost how they run, which cannot change a result",
  "runtime/batch/evidence.ts": "tells how a batch ran",
};

const NONDETERMINISTIC: [what: string, pattern: RegExp][] = [
  ["the time", /\b(Date\b|performance\.|hrtime\b|process\.uptime)/],
  ["random numbers", /\b(Math\.random|randomBytes|randomUUID|getRandomValues|randomInt)\b/],
  ["the environment", /\bprocess\.(env|argv|platform|arch|pid|cwd)\b/],
  ["the locale", /\b(Intl\b|toLocale\w*|localeCompare)/],
  ["the order of an object's keys by for … in", /\bfor\s*\(\s*(const|let|var)\s+\w+\s+in\b/],
  [
    "transcendental functions, whose last bits are the engine's",
    /\bMath\.(sin|cos|tan|exp|log|pow|asin|acos|atan|sinh|cosh|tanh|cbrt|hypot)\w*\b/,
  ],
  ["text of an engine's error", /\berror\.stack\b/],
];

for (const [what, pattern] of NONDETERMINISTIC) {
  test(`nothing that feeds state depends on ${what}`, () => {
    const names = sources.filter((name) => STATE.test(name) && STATE_EXCEPTIONS[name] === undefined);
    assert.deepEqual(violations(names, pattern, codeOf), []);
  });
}

test("every exception exists", () => {
  for (const name of Object.keys(STATE_EXCEPTIONS)) assert.ok(sources.includes(name), name);
});

/** Who may name the word of the gas counter: code that becomes Wasm, and the meter. */
const COUNTERS = /^runtime\/(program\/|kernel\/slots\/(meter|accumulate-glue)\.ts$)/;

test("the host asks a meter for gas, and no word of memory", () => {
  const names = sources.filter((name) => name.startsWith("runtime/") && !COUNTERS.test(name));
  assert.deepEqual(violations(names, /\bAUX_GAS\b/, codeOf), []);
  assert.notDeepEqual(violations(["runtime/kernel/slots/meter.ts"], /\bAUX_GAS\b/, codeOf), []);
});

test("no memory as a whole is a Buffer", () => {
  // Its methods that take offsets go wrong beyond 2^31 or 2^32 on some engines (runtime/heap/bytes.ts).
  const pattern = /\bBuffer\.from\(\s*[\w.#]*(buffer|memory)\b[^,]*\)/;
  const names = sources.filter((name) => STATE.test(name));
  assert.deepEqual(violations(names, pattern, codeOf), []);
  // The board has two megabytes.
  assert.notDeepEqual(violations(["runtime/worker/board.ts"], pattern, codeOf), []);
});

/** Methods of Buffer that take offsets; those of AssemblyScript's `memory` are guests'. */
const BUFFER_OFFSETS = new RegExp(
  [
    /(?<!\bmemory|\bBuffer)\.(copy|compare)\([^()]*(\([^()]*\))?[^()]*,/,
    /\.toString\("\w*", /,
    /\.(ascii|base64|hex|latin1|ucs2|utf8|utf16le)(Slice|Write)\(/,
    /\bBuffer\.from\([\w.#]*(heap\.bytes|memory|aux)\.subarray\(/,
  ]
    .map(({ source }) => source)
    .join("|"),
);
/** A view of a whole memory, which nothing checks the length of. */
const UNCHECKED_VIEW =
  /\b(heap|#heap)\.bytes\.(subarray|slice)\(|\b(slot|caller)\.memory\.(subarray|slice)\(/;
/** Into the heap, which is large, from a record, which is not. */
const COPY_TO_HEAP = /\.copy\([\w.#]*heap\.bytes\b/;

test("no bytes of a memory are read or written by a method of Buffer with offsets", () => {
  // A guest has no Buffer.
  const names = sources.filter((name) => STATE.test(name) && !name.startsWith("guest/"));
  assert.deepEqual(violations(names, BUFFER_OFFSETS, codeOf), []);
  const stores = sources.filter((name) => STATE.test(name) || /^runtime\/(chain|store|worker)\//.test(name));
  assert.deepEqual(violations(stores, COPY_TO_HEAP, codeOf), []);
  for (const line of ["hashes.copy(heap.bytes, 4, at, at + 32)", "a.payload(b).compare(this.aux, 1, 2)"]) {
    assert.match(line, BUFFER_OFFSETS);
  }
  // The board has two megabytes.
  assert.notDeepEqual(violations(["runtime/worker/board.ts"], BUFFER_OFFSETS, codeOf), []);
});

test("views of memories are those whose length is checked", () => {
  const names = sources.filter((name) => STATE.test(name) || /^runtime\/(chain|store|worker)\//.test(name));
  assert.deepEqual(violations(names, UNCHECKED_VIEW, codeOf), []);
  assert.match("hash(heap.bytes.subarray(at, at + 32))", UNCHECKED_VIEW);
});

// ---- layers -----------------------------------------------------------------------------------------------

/** The files of the layer "base". */
const BASE = [
  ...["arguments", "check-node", "directories", "errors", "lazy", "limits", "node-version"],
  ...["suggest", "text", "thread-env", "u64", "units", "work"],
];

/** Which layers each layer may import, besides itself. */
const LAYERS: Record<string, readonly string[]> = {
  syscalls: [],
  base: ["syscalls", "runtime/program/layout.ts"],
  "runtime/program": ["base", "syscalls"],
  "runtime/heap": ["base", "syscalls"],
  "runtime/image": ["base", "syscalls", "runtime/heap"],
  "runtime/kernel": ["base", "syscalls", "runtime/heap", "runtime/image", "runtime/program"],
  "runtime/batch": [
    ...["base", "syscalls", "runtime/heap", "runtime/image", "runtime/program", "runtime/kernel"],
    "runtime/compile.ts",
  ],
  "runtime/worker": [
    "base",
    "syscalls",
    "runtime/heap",
    "runtime/image",
    "runtime/program",
    "runtime/kernel",
    "runtime/batch",
  ],
  "runtime/proof": ["base", "syscalls", "runtime/heap", "runtime/image"],
  "runtime/store": ["base", "syscalls", "runtime/heap", "runtime/image"],
  "runtime/record": ["base", "runtime/kernel", "runtime/batch", "runtime/worker"],
  "runtime/chain": [
    ...["base", "syscalls", "runtime/heap", "runtime/image", "runtime/program", "runtime/kernel"],
    ...["runtime/proof", "runtime/store", "runtime/worker", "runtime/batch", "runtime/record"],
  ],
  "runtime/typed": ["base", "runtime/program"],
  "runtime/coverage": ["base", "runtime/program", "runtime/typed"],
  "runtime/compiler": ["base", "runtime/typed", "runtime/program/source-map/sources.ts"],
  "runtime/compile.ts": ["base", "syscalls", "runtime/program", "runtime/typed", "runtime/compiler"],
  "runtime/app": [
    ...["base", "syscalls", "runtime/index.ts", "runtime/compile.ts", "runtime/typed", "runtime/program"],
    "runtime/kernel/faults.ts",
    "runtime/debug.ts",
    "runtime/testing.ts",
  ],
  "runtime/testing.ts": [
    ...["base", "syscalls", "runtime/heap", "runtime/image", "runtime/program", "runtime/kernel"],
    ...["runtime/chain", "runtime/coverage"],
  ],
  "runtime/http": ["base"],
  "runtime/abci": ["base"],
  "runtime/node": [
    "base",
    "runtime/index.ts",
    "runtime/debug.ts",
    "runtime/app",
    "runtime/http",
    "runtime/typed",
    "runtime/observe",
  ],
  "runtime/inspector": [
    ...["base", "runtime/index.ts", "runtime/store.ts", "runtime/debug.ts", "runtime/app", "runtime/http"],
    ...["runtime/typed", "runtime/program", "runtime/batch", "runtime/proof", "runtime/chain"],
    "runtime/record",
  ],
  "runtime/observe": ["base", "runtime/index.ts"],
  "runtime/log": [
    ...["base", "runtime/index.ts", "runtime/store.ts", "runtime/debug.ts", "runtime/app"],
    "runtime/image",
  ],
  "runtime/validator": [
    ...["base", "runtime/index.ts", "runtime/store.ts", "runtime/abci", "runtime/app", "runtime/typed"],
  ],
  "runtime/index.ts": [
    "base",
    "runtime/batch",
    "runtime/chain",
    "runtime/image",
    "runtime/program",
    "runtime/proof",
  ],
  "runtime/store.ts": ["base", "runtime/chain"],
  "runtime/debug.ts": ["base", "runtime/chain", "runtime/program", "runtime/record"],
  "runtime/cli": [
    ...["base", "runtime/index.ts", "runtime/store.ts", "runtime/debug.ts", "runtime/compile.ts"],
    ...["runtime/program", "runtime/typed", "runtime/app", "runtime/http", "runtime/node"],
    ...["runtime/inspector", "runtime/coverage"],
    "runtime/compiler/watching.ts",
    "runtime/chain/remade.ts",
  ],
  examples: [
    ...["base", "syscalls", "runtime/index.ts", "runtime/store.ts", "runtime/debug.ts", "runtime/compile.ts"],
    ...["runtime/cli", "runtime/app", "runtime/http", "runtime/node", "runtime/typed"],
    ...["runtime/abci", "runtime/validator", "runtime/log", "runtime/observe"],
  ],
  scripts: [
    "base",
    "examples",
    "runtime/compile.ts",
    "runtime/batch",
    "runtime/app",
    "runtime/cli",
    "runtime/inspector",
  ],
};

function layerOf(name: string): string {
  if (BASE.some((base) => name === `runtime/${base}.ts`)) return "base";
  if (name in LAYERS) return name;
  const parts = name.split("/");
  const layer = parts[0] === "runtime" ? parts.slice(0, 2).join("/") : parts[0]!;
  return layer;
}

function importsOf(name: string): string[] {
  // At the start of a line: source that a test writes into a file is indented.
  const specifiers = codeOf(name).matchAll(
    /^(?:import|(?:import|export|\}).* from) "(\.[^"]+)"|\bimport\("(\.[^"]+)"\)/gm,
  );
  return [...specifiers].map(([, specifier, dynamic]) =>
    relative(ROOT, resolve(ROOT, dirname(name), (specifier ?? dynamic)!)),
  );
}

const GUESTS = [
  /^(guest|test|examples\/[^/]+\/guest|runtime\/batch\/core)\//,
  /^examples\/project\//, // sources of a project of its own, which are checked there
  /^runtime\/app\/guest\/(root|senders|signed)\.ts/,
];
const hostSources = sources.filter((name) => !GUESTS.some((guests) => guests.test(name)));

test("imports point one way through the layers", () => {
  const wrong = hostSources.flatMap((name) => {
    const layer = layerOf(name);
    const allowed = LAYERS[layer];
    assert.ok(allowed !== undefined, `${name} belongs to no layer: add "${layer}" to the list`);
    return importsOf(name)
      .filter(
        (target) =>
          layerOf(target) !== layer && !allowed.includes(layerOf(target)) && !allowed.includes(target),
      )
      .map((target) => `${name} imports ${target}`);
  });
  assert.deepEqual(wrong, []);
});

test("no files of runtime/ import each other in a circle, types included", () => {
  const names = hostSources.filter((name) => name.startsWith("runtime/"));
  const open = new Map(
    names.map((name) => [name, new Set(importsOf(name).filter((to) => names.includes(to)))]),
  );
  // What imports nothing that is left is in no circle.
  for (let taken = true; taken; ) {
    taken = false;
    for (const [name, targets] of open) {
      if (targets.size > 0) continue;
      taken = open.delete(name);
      for (const others of open.values()) others.delete(name);
    }
  }
  assert.deepEqual([...open.keys()], []);
});

test("relative imports name an existing file with its extension", () => {
  const names = hostSources.concat(
    sources.filter((name) => name.startsWith("test/") && !/^test\/(guests|bench\/kernels)\//.test(name)),
  );
  const wrong = names.flatMap((name) =>
    importsOf(name)
      .filter((target) => !existsSync(join(ROOT, target)))
      .map((target) => `${name} imports ${target}`),
  );
  assert.deepEqual(wrong, []);
});

test("the AssemblyScript compiler is loaded when needed, never at a module's start; binaryen never", () => {
  const names = hostSources.filter((name) => name.startsWith("runtime/"));
  assert.deepEqual(violations(names, /^import (?!type).*"assemblyscript\b.*"/, codeOf), []);
  assert.deepEqual(violations(names, /"binaryen"/, codeOf), []);
});

// ---- form -------------------------------------------------------------------------------------------------

test(`no source has more than ${LINES_MAX} lines`, () => {
  const long = sources
    .map((name) => [name, read(name).split("\n").length - 1] as const)
    .filter(([, lines]) => lines > LINES_MAX);
  assert.deepEqual(long, []);
});

test(`no line of a source is wider than ${COLUMNS_MAX} columns`, () => {
  const wide = new RegExp(`^.{${COLUMNS_MAX + 1},}$`, "u");
  assert.deepEqual(violations(sources, wide, read), []);
});

test("every source opens with a comment that says what it is", () => {
  assert.deepEqual(
    sources.filter((name) => !/^(#!.*\n)?\/(\*\*|\/)/.test(read(name))),
    [],
  );
});

test("nothing is left unfinished, and nothing speaks of how it was made", () => {
  const words =
    /\b(TODO|FIXME|XXX|HACK)\b|\b(session|subagent)s?\b|\bissue #|not (yet )?implemented|\bfor now\b/i;
  // One has to spell them out, to the other they are Node's words for a test.
  const exempt = ["test/rules.test.ts", "runtime/cli/reporter.ts"];
  const names = files.filter((name) => !exempt.includes(name));
  assert.deepEqual(violations(names, words, read), []);
});

/** Words and forms that make a reader translate, and what the field says. */
const TRANSLATED: [pattern: RegExp, instead: string][] = [
  [/\bstand(s|ing)? still\b/i, "suspend, or: no longer grows"],
  [/\bgives? way\b/i, "is evicted"],
  [/\b(bring|brings|brought) in\b/i, "load"],
  [/\bkept jobs?\b/i, "speculative work"],
  [/\bnobody can tell\b/i, "cannot be observed"],
  [/\bcan not\b/i, "cannot"],
  [/\banew\b/i, "again"],
  [/\b(goes|go|went) on\b/i, "continue"],
  [/\bis no safe\b/i, "is not a safe"],
  [/\bbelongs? into\b/i, "belongs in"],
  [/\bwho wants\b/i, "to …"],
  [/\bapart from the chain\b/i, "on a side branch"],
];

test("the words are the field's", () => {
  const names = files.filter((name) => name !== "test/rules.test.ts" && name !== "runtime/README.md");
  for (const [pattern, instead] of TRANSLATED)
    assert.deepEqual(violations(names, pattern, read), [], `instead: ${instead}`);
});

test("no test is skipped or singled out", () => {
  const names = sources.filter((name) => name.endsWith(".test.ts") && name !== "test/rules.test.ts");
  assert.deepEqual(
    violations(names, /\b(test|it|describe|suite)\.(only|skip|todo)\b|\b(only|skip|todo): true/, codeOf),
    [],
  );
});

// ---- documentation ----------------------------------------------------------------------------------------

type Export = [symbol: string, declaredIn: string];

/** Names that a module exports, with the module that declares each. */
function exportsOf(name: string): Export[] {
  const code = codeOf(name);
  const target = (specifier: string): string => join(dirname(name), specifier.replace(/\.js$/, ".d.ts"));
  const declared =
    /^export (?:declare |abstract |async )*(?:class|function|const|interface|type|enum) (\w+)/gm;
  const own = [...code.matchAll(declared)].map(([, symbol]): Export => [symbol!, name]);
  const listed = [...code.matchAll(/^export (?:type )?\{([^}]*)\}(?: from "(\.[^"]+)")?;/gm)].flatMap(
    ([, list, specifier]) =>
      symbolsOf(list!).map((symbol) => find(symbol, specifier ?? importedFrom(code, symbol), name)),
  );
  const starred = [...code.matchAll(/^export \* from "(\.[^"]+)"/gm)].flatMap(([, specifier]) =>
    exportsOf(target(specifier!)),
  );
  return [...own, ...listed, ...starred];

  function find(symbol: string, specifier: string | undefined, from: string): Export {
    const found = specifier && exportsOf(target(specifier)).find(([exported]) => exported === symbol);
    assert.ok(found, `${from} exports ${symbol}, which ${specifier ?? "no module"} declares`);
    return found;
  }
}

/** The names in a list as `A, type B, C as D`. */
function symbolsOf(list: string): string[] {
  const names = list.split(",").map((entry) => entry.trim().replace(/^type /, ""));
  return names.map((entry) => entry.split(/\s+as\s+/)[0]!).filter((symbol) => symbol !== "");
}

function importedFrom(code: string, symbol: string): string | undefined {
  const imports = [...code.matchAll(/^import (?:type )?\{([^}]*)\} from "(\.[^"]+)"/gm)];
  return imports.find(([, list]) => symbolsOf(list!).includes(symbol))?.[2];
}

/** The sources of what package.json exports; the numbers of the ABI have a page, and its test. */
const FACES = Object.values(JSON.parse(read("package.json")).exports as Record<string, { types?: string }>)
  .map(({ types }) => types?.match(/^\.\/dist\/(.*)\.d\.ts$/)?.[1])
  .filter((name) => name !== undefined && name !== "syscalls/abi")
  .map((name) => `${name}.ts`);

test("every public symbol has a doc comment", () => {
  const symbols = FACES.flatMap(exportsOf);
  assert.ok(FACES.includes("runtime/index.ts") && symbols.length > 100);
  const bare = symbols.filter(([symbol, name]) => {
    const declaration = new RegExp(
      `\\*/\\nexport (?:declare |abstract |async )*(?:class|function|const|interface|type|enum) ${symbol}\\b`,
    );
    return !declaration.test(read(name));
  });
  assert.deepEqual(
    bare.map(([symbol, name]) => `${symbol} in ${name}`),
    [],
  );
});
