/**
 * compileGuest: the same bytes everywhere, errors that say what is wrong, and a cache that cannot give the
 * wrong bytes.
 */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { compileGuest } from "../runtime/compile.ts";
import { UsageError } from "../runtime/errors.ts";
import { PUT_SIZE } from "../syscalls/abi.ts";

const ROOT = join(import.meta.dirname, "..");
const directories: string[] = [];

after(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

/** A project in a directory of its own, with these files. */
function project(files: Record<string, string>): string {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-compile-"));
  directories.push(directory);
  write(directory, { "package.json": '{ "name": "outside" }', ...files });
  return directory;
}

function write(directory: string, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(directory, name, ".."), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
}

const compile = (directory: string, options = {}) =>
  compileGuest(join(directory, "src/main.ts"), {
    optimize: false,
    cache: join(directory, "cache"),
    ...options,
  });

const hex = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

function run(bytes: Uint8Array): bigint {
  const module = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
  const nothing = () => 0;
  const instance = new WebAssembly.Instance(module, {
    env: { abort: nothing },
    stillpoint: { put: nothing, get: nothing, ret: nothing, snapshot: nothing },
  });
  return (instance.exports.main as (argument: bigint) => bigint)(1n);
}

const OUTSIDE = `
  import { U256, E_RANGE } from "stillpoint/guest";
  import { PUT_SIZE } from "stillpoint/syscalls/abi";
  import { extra } from "./extra";
  const a: usize = memory.data(32, 8);
  export function main(argument: i64): i64 {
    U256.set(a, argument);
    if (argument < 0) throw new Error("negative");
    return load<i64>(a) + PUT_SIZE + extra() - E_RANGE;
  }`;

const CONFIGURED = `
  export function main(argument: i64): i64 {
    if (isDefined(LIMIT)) return LIMIT;
    return -1;
  }`;

const extra = (value: number): string => `export function extra(): i64 { return ${value}; }`;

test("a project outside imports the SDK by the package's name, and its place does not matter", async () => {
  const files = { "src/main.ts": OUTSIDE, "src/extra.ts": extra(1000) };
  const [one, two] = await Promise.all(
    [project(files), project(files)].map((directory) => compile(directory)),
  );
  assert.equal(run(one!), 1n + BigInt(PUT_SIZE) + 1000n + 2n);
  assert.equal(hex(one!), hex(two!));
});

test("asc itself finds the SDK in node_modules", async () => {
  const directory = project({ "src/main.ts": OUTSIDE, "src/extra.ts": extra(3) });
  mkdirSync(join(directory, "node_modules"));
  symlinkSync(ROOT, join(directory, "node_modules/stillpoint"));
  const asc = join(ROOT, "node_modules/assemblyscript/bin/asc.js");
  for (const optimize of [false, true]) {
    // Names and source map, which compileGuest asks for besides, are no part of the program.
    const level = optimize ? ["--optimizeLevel", "3", "--shrinkLevel", "0"] : ["--optimizeLevel", "0"];
    const flags = ["src/main.ts", "-o", "out.wasm", "--runtime", "stub", ...level];
    await promisify(execFile)(process.execPath, [asc, ...flags], { cwd: directory });
    assert.equal(run(readFileSync(join(directory, "out.wasm"))), 1n + BigInt(PUT_SIZE) + 3n + 2n);
    assert.equal(hex(readFileSync(join(directory, "out.wasm"))), hex(await compile(directory, { optimize })));
  }
});

test("a compiler configuration in the project changes nothing", async () => {
  const directory = project({ "src/main.ts": OUTSIDE, "src/extra.ts": extra(3) });
  const plain = await compile(directory, { cache: false });
  write(directory, { "asconfig.json": '{ "options": { "exportRuntime": true, "noAssert": true } }' });
  assert.equal(hex(await compile(directory, { cache: false })), hex(plain));
});

test("the cache notices changed, added and removed sources", async () => {
  const directory = project({ "src/main.ts": OUTSIDE, "src/extra/index.ts": extra(1) });
  const value = async (): Promise<bigint> => run(await compile(directory)) - BigInt(PUT_SIZE) - 3n;
  assert.equal(await value(), 1n);
  assert.equal(await value(), 1n);
  write(directory, { "src/extra/index.ts": extra(2) });
  assert.equal(await value(), 2n);
  write(directory, { "src/extra.ts": extra(3) }); // found before extra/index.ts, where there was none
  assert.equal(await value(), 3n);
  rmSync(join(directory, "src/extra.ts"));
  assert.equal(await value(), 2n);
  write(directory, { "src/extra/index.ts": extra(1) });
  assert.equal(await value(), 1n);
});

test("a corrupted cache is compiled again", async () => {
  const directory = project({ "src/main.ts": OUTSIDE, "src/extra.ts": extra(5) });
  const right = hex(await compile(directory));
  const cache = join(directory, "cache");
  for (const damage of [
    (bytes: Buffer) => bytes.fill(7, bytes.length >> 1),
    (bytes: Buffer) => bytes.subarray(0, 40),
    () => Buffer.alloc(0),
  ]) {
    for (const name of readdirSync(cache))
      writeFileSync(join(cache, name), damage(readFileSync(join(cache, name))));
    assert.equal(hex(await compile(directory)), right);
    assert.equal(hex(await compile(directory)), right);
  }
});

test("a cached module is loaded without the compiler", async () => {
  const directory = project({ "src/main.ts": OUTSIDE, "src/extra.ts": extra(6) });
  await compile(directory);
  const cache = join(directory, "cache");
  const name = readdirSync(cache).find((each) => each.endsWith(".guest"))!;
  const planted = Buffer.from("0061736d01000000000401426421", "hex"); // empty, but for a custom section
  const map = '{"version":3,"sources":[],"names":[],"mappings":""}';
  const lengths = Buffer.from([planted.length, 0, 0, 0, map.length, 0, 0, 0]);
  const content = Buffer.concat([lengths, planted, Buffer.from(map)]);
  const hash = createHash("sha256")
    .update(name.replace(/\.guest$/, ""))
    .update(content)
    .digest();
  writeFileSync(join(cache, name), Buffer.concat([hash, content]));
  assert.deepEqual(Buffer.from(await compile(directory)), planted);
});

test("several at once, and a cache that cannot be written", async () => {
  const directory = project({
    "src/main.ts": OUTSIDE,
    "src/extra.ts": extra(7),
    occupied: "a file, no directory",
  });
  const same = await Promise.all(Array.from({ length: 5 }, () => compile(directory)));
  assert.equal(new Set(same.map(hex)).size, 1);
  assert.deepEqual(
    readdirSync(join(directory, "cache"))
      .map((name) => name.slice(64))
      .sort(),
    [".guest", ".json"],
  );
  assert.equal(hex(await compile(directory, { cache: join(directory, "occupied") })), hex(same[0]!));
});

test("options change the module and its entry in the cache", async () => {
  const directory = project({ "src/main.ts": OUTSIDE, "src/extra.ts": extra(8) });
  const plain = await compile(directory);
  const variants = [
    { optimize: true },
    { debug: true },
    { memoryBase: 65536 },
    { initialMemory: 3 },
    { maximumMemory: 9 },
  ];
  const hashes = new Set([hex(plain)]);
  for (const options of variants) hashes.add(hex(await compile(directory, options)));
  assert.equal(hashes.size, variants.length + 1);
  assert.equal(hex(await compile(directory)), hex(plain));
});

test("constants are there where they are given, and in that module only", async () => {
  const directory = project({ "src/main.ts": CONFIGURED });
  const limited = await compile(directory, { constants: { LIMIT: 7 } });
  assert.equal(run(limited), 7n);
  assert.equal(run(await compile(directory)), -1n);
  assert.equal(run(await compile(directory, { constants: { LIMIT: 2 ** 31 - 1 } })), 2n ** 31n - 1n);
});

test("a source that does not compile gives the compiler's diagnostics", async () => {
  const directory = project({
    "src/main.ts": 'import { gone } from "./gone"; export function main(a: i64): i64 { return gone(a) }',
  });
  await assert.rejects(compile(directory), (error: UsageError) => {
    assert.ok(error instanceof UsageError);
    assert.equal(error.code, "E_GUEST_COMPILE");
    assert.match(error.message, /src\/main\.ts does not compile:\n.*File 'src\/gone\.ts' not found/s);
    assert.match(String(error.facts.diagnostics), /src\/main\.ts\(1,22\)/);
    return true;
  });
  write(directory, { "src/main.ts": 'export function main(a: i64): i64 { return "text"; }' });
  await assert.rejects(compile(directory), /Type '~lib\/string\/String' is not assignable to type 'i64'/);
  write(directory, { "src/main.ts": "export function main(a: i64): i64 { return a; }" });
  assert.equal(run(await compile(directory)), 1n, "and afterwards the compiler still works");
});

test("wrong arguments are named", async () => {
  const directory = project({ "src/main.ts": "export function main(a: i64): i64 { return a; }" });
  const rejects = (options: object, code: string, message: RegExp) =>
    assert.rejects(compile(directory, options), { code, message });
  await rejects(
    { memoryBase: -1 },
    "E_COMPILE_OPTION",
    /option "memoryBase" must be an integer from 0 to 2147483648, got -1/,
  );
  await rejects({ initialMemory: 1.5 }, "E_COMPILE_OPTION", /option "initialMemory" must be .*, got 1.5/);
  await rejects(
    { runtime: "none" },
    "E_COMPILE_OPTION",
    /option "runtime" must be stub, minimal, incremental, got "none"/,
  );
  await rejects(
    { optimise: true },
    "E_COMPILE_OPTION",
    /there is no option "optimise"; there are: .*optimize,/,
  );
  await rejects({ enable: "simd" }, "E_COMPILE_OPTION", /option "enable" must be a list of features, got "/);
  await rejects({ debug: "yes" }, "E_COMPILE_OPTION", /option "debug" must be true or false, got "/);
  await rejects({ cache: 5 }, "E_COMPILE_OPTION", /option "cache" must be a directory or false, got 5/);
  await rejects({ disable: ["gc"] }, "E_COMPILE_OPTION", /option "disable" must be .*, got "gc"/);
  await rejects({ constants: { "A=B": 1 } }, "E_COMPILE_OPTION", /"constants" must be names .*, got "A=B"/);
  await rejects({ constants: { A: -1 } }, "E_COMPILE_OPTION", /option "constants.A" must be .*, got -1/);
  await rejects({ enable: ["gc" as "simd"] }, "E_COMPILE_OPTION", /option "enable" must be simd, got "gc"/);
  await assert.rejects(compileGuest(join(directory, "src/other.ts")), {
    code: "E_GUEST_MISSING",
    message: /other\.ts/,
  });
  await assert.rejects(compileGuest(join(directory, "package.json")), { code: "E_GUEST_MISSING" });
  assert.ok(!existsSync(join(directory, "cache")));
});

test("a compiler that crashes or does not end is an error, and the next one works", async () => {
  const terms = new Array(30_000).fill("x").join(" + ");
  const directory = project({
    "deep.ts": `export function go(x: i64): i64 { return ${terms}; }\n`,
    "endless.ts":
      "function rec(x: i64): i64 { return rec(x + 1) + rec(x + 2) + 1; }\n" +
      "export function go(x: i64): i64 { return rec(x); }\n",
    "good.ts": "export function go(x: i64): i64 { return x; }\n",
  });
  const compile = (name: string, options = {}) =>
    compileGuest(join(directory, name), { cache: false, ...options });
  await assert.rejects(compile("deep.ts"), { code: "E_GUEST_COMPILE" });
  let beats = 0;
  const heart = setInterval(() => void beats++, 10);
  await assert.rejects(compile("endless.ts", { timeoutMs: 3_000 }), (error: UsageError) => {
    assert.equal(error.code, "E_GUEST_COMPILE");
    assert.match(error.message, /not done after 3000 ms .*"optimize: false"/);
    return true;
  });
  clearInterval(heart);
  assert.ok(beats > 10, "the host continued meanwhile");
  assert.ok((await compile("good.ts")).length > 0);
  assert.ok((await compile("endless.ts", { optimize: false })).length > 0);
});

test("warnings come back, from the cache as well", async () => {
  const directory = project({
    "a.ts": "export class Shown { x: i32 = 0; }\nexport function go(x: i64): i64 { return x; }\n",
  });
  for (let i = 0; i < 2; i++) {
    const warnings: string[] = [];
    const options = {
      cache: join(directory, "cache"),
      onWarning: (text: string) => void warnings.push(text),
    };
    await compileGuest(join(directory, "a.ts"), options);
    assert.match(warnings.join(), /WARNING AS235/);
  }
});

test("two entries of the cache that were swapped are compiled again", async () => {
  const directory = project({
    "a.ts": "export function go(x: i64): i64 { return x + 1; }\n",
    "b.ts": "export function go(x: i64): i64 { return x + 2; }\n",
  });
  const cache = join(directory, "cache");
  const compile = (name: string) => compileGuest(join(directory, name), { cache, optimize: false });
  const before = [await compile("a.ts"), await compile("b.ts")];
  const [one, two] = readdirSync(cache)
    .filter((name) => name.endsWith(".guest"))
    .map((name) => join(cache, name)) as [string, string];
  const [first, second] = [readFileSync(one), readFileSync(two)];
  writeFileSync(one, second);
  writeFileSync(two, first);
  assert.deepEqual([await compile("a.ts"), await compile("b.ts")], before);
});

test("what editors make of imports compiles, and changes no byte", async () => {
  const plain = 'import { U256 } from "stillpoint/guest";\nimport { N } from "./n";\n';
  const body = "export function go(x: i64): i64 { return x + N.one; }\n";
  const other = "export class N { static one: i64 = 1; }\n";
  const variants = [plain, plain.replace("{ N", "{ type N"), plain.replace("import { N", "import type { N")];
  const programs = [];
  for (const text of variants) {
    const directory = project({ "a.ts": text + body, "n.ts": other });
    programs.push(await compileGuest(join(directory, "a.ts"), { cache: false, optimize: false }));
  }
  for (const program of programs) assert.deepEqual(program, programs[0]);
});
