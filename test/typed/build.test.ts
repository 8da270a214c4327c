/**
 * What the compiler of typed guests makes, and what it refuses: programs that are wrong, with the message and
 * its place, the lock file, the client, and what never changes a program's bytes.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { buildGuest, compileGuest } from "../../runtime/compile.ts";
import { UsageError } from "../../runtime/errors.ts";
import type { TypedGuest } from "../../runtime/typed/guest.ts";
import { readInterface } from "../../runtime/typed/interface.ts";
import { ROOT } from "../guest/harness.ts";
import { BANK, project, write } from "./project.ts";

const quick = { optimize: false, cache: false } as const;
const HEAD =
  "import { Address, Option, StateCell, StateMap, StateVector, contract, fail, max, record, " +
  'setup, transaction, view } from "stillpoint/guest";\n';
const body = (text: string): string => `${HEAD}@contract class C {\n  ${text}\n}\n`;

/** Wrong programs: the source after the import, and the message with its line and column. */
const WRONG: readonly (readonly [source: string, message: string])[] = [
  [body("@view f(x: f64): u64 { return 1; }"), "3:14: type f64 has no encoding"],
  [body("@view f(x: number): u64 { return 1; }"), "3:14: type number has no encoding"],
  [body("@view f(x: string): u64 { return 1; }"), "3:14: string needs a maximum"],
  [body("@view f(x: u64[]): u64 { return 1; }"), "3:14: u64[] needs a maximum"],
  [body("@view({ x: 5 }) f(x: string[]): u64 { return 1; }"), "3:24: string needs a maximum"],
  [body("@view f(x: Plain): u64 { return 1; }"), "3:14: type Plain has no encoding"],
  [body("@view f(x: Map<u64, u64>): u64 { return 1; }"), "3:14: type Map<u64, u64> has no encoding"],
  [body("@view({ y: 3 }) f(x: u64): u64 { return x; }"), "3:9: f has no parameter y"],
  [body("@view(32) f(x: u64): u64 { return x; }"), "3:9: maxima are an object: { note: 32 }"],
  [
    body("@view({ x: many }) f(x: string): u64 { return 1; }"),
    "3:14: many must be a number that is known here",
  ],
  [body("@view @transaction f(x: u64): u64 { return x; }"), "3:22: f is a transaction or a view, not both"],
  [body("@setup @view f(x: u64): u64 { return x; }"), "3:16: f is a view or a setup, not both"],
  [body("@setup f(x: u64): u64 { return x; }"), "3:21: a setup returns nothing: make it void"],
  [body("@setup f(): void {}\n  @setup g(): void {}"), "4:10: C has another setup"],
  [body("total: u64 = 0;"), "3:3: a contract has no fields"],
  [body("@transacton f(): void {}"), '3:3: there is no decorator @transacton; did you mean "transaction"?'],
  [body("@memoize f(): void {}"), "3:3: there is no decorator @memoize"],
  [body("@migrate f(): void {}"), "3:3: @migrate is not imported: import { migrate }"],
  [body("@emitted @view f(): void {}"), "3:3: there is no decorator @emitted"],
  [
    `${body("")}@recrod class R { x: u64 = 0; }\n`,
    '5:1: there is no decorator @recrod; did you mean "record"?',
  ],
  [`${body("")}@record class R { @mx(3) x: string = ""; }\n`, "5:19: there is no decorator @mx"],
  [`${body("")}class D { @view f(): void {} }\n`, "5:11: class D is no contract: write @contract before it"],
  [`${body("")}@view function f(): void {}\n`, "5:1: @view marks methods"],
  [`${HEAD}class C { @view f(): void {} }\n`, "2:11: class C is no contract"],
  [`${HEAD}@Contract class C { @view f(): void {} }\n`, "2:21: class C is no contract"],
  [body("@view f(x: u128): void {}"), "3:14: u128 is not imported: import { u128 } from"],
  [body("@view f(x: Option<Bytes32>): void {}"), "3:21: Bytes32 is not imported"],
  [body('@view f(x: u64): u64 { fail("a" + "b"); return x; }'), "3:26: fail takes one literal"],
  [
    body("@view f(x: u64): u64 { const m = new StateCell<u64>(); return x; }"),
    "3:36: a StateCell is a const of the module",
  ],
  [`${body("")}@contract class C {}\n`, "5:17: there is another contract C"],
  [`${body("")}@record class R { x: f32 = 0; }\n`, "5:22: type f32 has no encoding"],
  [`${body("")}@record class R { x: u64 = 7; }\n`, "5:19: field x begins as zero bytes, not as 7"],
  [`${body("")}@record class R { }\n`, "5:15: record R has no fields"],
  [`${body("")}@record class R { x: R; }\n`, "5:22: record R contains itself"],
  [`${body("")}@record class R { x: u64[]; }\n`, "5:22: u64[] needs a maximum"],
  [`${body("")}@record class R { @max(3) x: string[]; }\n`, "5:30: string needs a maximum"],
  [`${body("")}@record class R { x: StaticArray<u64>; }\n`, "5:22: StaticArray<u64> needs a maximum"],
  [`${body("")}@record class R { x: string = ""; }\n`, "5:22: string needs a maximum"],
  [`${body("")}@record class R { x: u64 = 0; constructor() {} }\n`, "5:31: a record has no constructor"],
  [
    `${body("")}@record class A { x: u64 = 0; }\n@record class B extends A { y: u64 = 0; }\n`,
    "6:25: a record extends nothing",
  ],
  [`${body("")}const m = new StateMap<Address, u64>();\n`, "5:11: StateMap needs a capacity"],
  [`${body("")}const m = new StateMap<Address>(10);\n`, "5:11: StateMap needs its types"],
  [
    `${body("")}const m = new StateMap<Address, u64>(10, 64);\n`,
    "5:11: StateMap lies where the compiler puts it",
  ],
  [`${body("")}const m = new StateCell<f64>();\n`, "5:25: type f64 has no encoding"],
  [
    `${body("")}const m = new StateMap<Address, Option<u64>>(10);\n`,
    "5:33: Option<u64> is for records, parameters and results",
  ],
  [`${body("")}const m = new StateMap<string, u64>(10);\n`, "5:24: string lies in a record: @record"],
  [
    `${body("")}const m = new StateMap<Address, u64>(10);\nconst n = new StateMap<Address, u64>(0);\n`,
    "6:38: 0 must be a number",
  ],
];

test("wrong programs are refused at the author's line and column", async () => {
  for (const [source, message] of WRONG) {
    const directory = project({ "app.ts": source });
    const error = await compileGuest(join(directory, "app.ts"), quick).catch((thrown) => thrown);
    assert.ok(error instanceof UsageError, source);
    assert.equal(error.code, "E_GUEST_COMPILE");
    assert.ok(
      error.message.includes(`ERROR app.ts:${message}`),
      `${source}\n${error.message}\nexpected ${message}`,
    );
  }
});

const FORGETFUL = `let counter: u64 = 0;
const seen = new Map<u64, u64>();
const list: u64[] = [];
const table = new StaticArray<u64>(8);
class Config { fee: u64 = 1; static last: u64 = 0; inner: Config | null = null; }
const config = new Config();
const cell = new StateCell<u64>();
`;
const FORGETS = [
  "counter++;",
  "--counter;",
  "counter = x;",
  "counter += x;",
  "counter <<= 1;",
  "seen.set(x, 1);",
  "seen.delete(x);",
  "list.push(x);",
  "list[0] = x;",
  "table[<i32>x] = 1;",
  "config.fee = x;",
  "config.inner!.fee = x;",
  "Config.last = x;",
  "Config.last++;",
] as const;
const REMEMBERS = [
  "cell.value = x;",
  "cell.add(x);",
  "let counter: u64 = 1; counter++;",
  "const seen = new Map<u64, u64>(); seen.set(x, 1);",
  "counter++; // stillpoint-allow",
  "// stillpoint-allow: scratch\n counter = x;",
  "if (counter == x) return 1;",
  "const twice = x * counter;",
] as const;

test("a write that would be forgotten is refused, with both lines; others are not", async () => {
  const program = (...lines: string[]): string => {
    const methods = lines.map(
      (line, i) => `  @transaction f${i}(x: u64): u64 {\n    ${line}\n    return x;\n  }\n`,
    );
    return `${HEAD}${FORGETFUL}@contract class C {\n${methods.join("")}}\n`;
  };
  for (const line of FORGETS) {
    const directory = project({ "app.ts": program(line) });
    const error = await compileGuest(join(directory, "app.ts"), quick).catch((thrown) => thrown);
    assert.ok(error instanceof UsageError, line);
    assert.match(
      error.message,
      /ERROR app\.ts:11:5: .* is changed here, and forgotten .* declared in line [2-7]\)/,
    );
  }
  await buildGuest(join(project({ "app.ts": program(...REMEMBERS) }), "app.ts"), quick);
});

test("asc's own errors are at the author's line, in the author's file", async () => {
  const directory = project({ "app.ts": BANK.replace("source.nonce++;", "source.nonsense++;") });
  const line = BANK.split("\n").findIndex((text) => text.includes("source.nonce++")) + 1;
  await assert.rejects(compileGuest(join(directory, "app.ts"), quick), (error: UsageError) => {
    assert.match(error.message, /Property 'nonsense' does not exist/);
    assert.match(error.message, new RegExp(`in app\\.ts\\(${line},`));
    return true;
  });
});

test("the bytes are the same in another directory, with other line ends and other comments", async () => {
  const variants = [
    BANK,
    BANK.replaceAll("\n", "\r\n"),
    BANK.replace("/** Makes money. */", "/** Something else. */"),
    BANK.replace("import { Address,", "import { type Address,"),
  ];
  const programs = [];
  for (const text of variants)
    programs.push(await compileGuest(join(project({ "bank.ts": text }), "bank.ts"), quick));
  for (const program of programs) assert.deepEqual(program, programs[0]);
});

test("addresses do not depend on the order of files and declarations", async () => {
  const one = 'import "./a";\nimport "./b";\n';
  const two = 'import "./b";\nimport "./a";\n';
  const xs = "export const xs = new StateMap<Address, u64>(10);\n";
  const ys = "export const ys = new StateCell<u64>();\n";
  const contract = "@contract class C { @view f(): u64 { return as.length; } }\n";
  const a = `${HEAD}${xs}${ys}`;
  const b = `${HEAD}export const as = new StateVector<Address>(10);\n${contract}`;
  const swapped = `${HEAD}${ys}${xs}`;
  const layouts = [];
  for (const files of [
    { "app.ts": one, "a.ts": a, "b.ts": b },
    { "app.ts": two, "a.ts": swapped, "b.ts": b },
  ]) {
    const { typed } = await buildGuest(join(project(files), "app.ts"), quick);
    layouts.push(typed?.layout.lock);
  }
  assert.deepEqual(layouts[0], layouts[1]);
  assert.deepEqual(Object.keys(layouts[0]?.state ?? {}), ["as", "xs", "ys"]);
});

test("under a lock file what exists never moves, what is new is appended, what is gone is kept", async () => {
  const state = (...lines: string[]): string => `${lines.map((line) => `${line}\n`).join("")}`;
  const accounts = "@record class A { x: u64 = 0; }\nconst accounts = new StateMap<Address, A>(10);";
  const directory = project({
    "app.ts": `${body("")}${state(accounts, "const fees = new StateCell<u64>();")}`,
  });
  const file = join(directory, "app.ts");
  const build = async (text?: string) => {
    if (text !== undefined) write(directory, { "app.ts": `${body("")}${text}` });
    const { typed } = await buildGuest(file, quick);
    return typed?.layout as NonNullable<typeof typed>["layout"];
  };
  const first = await build();
  write(directory, { "app.layout.json": JSON.stringify(first.lock) });
  const more = await build(
    state("const aaa = new StateCell<u64>();", accounts, "const fees = new StateCell<u64>();"),
  );
  assert.deepEqual(more.lock.state.accounts, first.lock.state.accounts);
  assert.deepEqual(more.lock.state.fees, first.lock.state.fees);
  const { at = 0, bytes = 0 } = first.lock.state.fees ?? {};
  assert.equal(more.lock.state.aaa?.at, at + bytes);
  const less = await build(state(accounts, "const bbb = new StateCell<u64>();"));
  assert.deepEqual(less.gone, ["fees"]);
  assert.equal(less.lock.state.bbb?.at, at + bytes);
  for (const [changed, what] of [
    ["@record class A { x: u64 = 0; y: u64 = 0; }\nconst accounts = new StateMap<Address, A>(10);", "y: u64"],
    ["@record class A { y: u64 = 0; }\nconst accounts = new StateMap<Address, A>(10);", "{ y: u64 }"],
    ["@record class A { x: u64 = 0; }\nconst accounts = new StateMap<Address, A>(11);", "(11)"],
    ["@record class A { x: u64 = 0; }\nconst accounts = new StateVector<A>(10);", "StateVector"],
  ] as const) {
    await assert.rejects(build(changed), (error: UsageError) => {
      assert.match(
        error.message,
        /app\.ts:6:18: state accounts is StateMap<bytes20, \{ x: u64 \}>\(10\) in the lock file/,
      );
      assert.ok(error.message.includes(what), error.message);
      return true;
    });
  }
  write(directory, { "app.layout.json": "{}" });
  await assert.rejects(build(accounts), /app\.layout\.json is not a layout/);
});

test("collections lie where the compiler says: their ends are those of the SDK", async () => {
  const names = ["cell", "map", "packed", "set", "vector"];
  const text = `${HEAD.replace("StateMap,", "StateMap, StateSet,")}
@record class R { who: Address; @max(70) note: string = ""; }
const cell = new StateCell<R>();
const map = new StateMap<R, u16>(33);
const packed = new StateVector<u16>(33);
const set = new StateSet<u8>(33);
const vector = new StateVector<R>(33);
@contract class C { @view({ returns: 9 }) ends(): Array<u32> {
  const list = new Array<u32>();
  ${names.map((name) => `list.push(<u32>${name}.end);`).join(" ")}
  return list;
} }
`;
  const { typed, program } = await buildGuest(join(project({ "app.ts": text }), "app.ts"), quick);
  const { instantiateBytes } = await import("../guest/harness.ts");
  const guest = await instantiateBytes(program);
  const { stateBytes, functions, state } = readInterface(program);
  guest.view().setUint32(stateBytes, functions[0]?.selector as number, true);
  guest.call("__view", 24n);
  const output = stateBytes + 32768 + 4 + 4 + 4;
  const ends = names.map((_, i) => guest.view().getUint32(output + 4 * i, true));
  assert.deepEqual(
    ends,
    state.map(({ at, bytes }) => at + bytes),
  );
  assert.deepEqual(typed?.description, JSON.parse(JSON.stringify(readInterface(program))));
});

test("the client types what is right, and nothing else", async () => {
  const directory = project({ "bank.ts": BANK });
  execFileSync(process.execPath, [join(ROOT, "runtime/cli/main.ts"), "build", join(directory, "bank.ts")]);
  write(directory, {
    "tsconfig.json": JSON.stringify({
      compilerOptions: {
        ...{ strict: true, noEmit: true, module: "nodenext", target: "es2024", types: ["node"] },
        ...{ allowImportingTsExtensions: true, skipLibCheck: true, erasableSyntaxOnly: true },
        typeRoots: [join(ROOT, "node_modules/@types")],
        paths: { "stillpoint/app": [join(ROOT, "runtime/typed/client.ts")] },
      },
      include: ["use.ts"],
    }),
    "use.ts": `import type { Outcome, Transaction } from "stillpoint/app";
  import type { Client } from "./bank.client.ts";
declare const app: {
  submit<V, F extends string>(call: Transaction<V, F>, by: object): Promise<Outcome<V, F>>;
};
declare const { Bank }: Client;
const from = new Uint8Array(20);
const paid = await app.submit(Bank.pay({ from, to: "0x01", amount: 3n }), { from });
if (paid.ok) paid.value.toFixed; // a bigint has none
if (paid.ok) { const left: bigint = paid.value; console.log(left); }
else if (paid.error === "overdraft" || paid.error === "out of gas") console.log(paid.at);
Bank.pay({ from, to: from, amount: 3 });
Bank.pay({ from, too: from, amount: 3n });
Bank.steal({});
app.submit(Bank.balanceOf({ who: from }), { from });
if (!paid.ok && paid.error === "overdarft") console.log(1);
`,
  });
  const checked = (): string => {
    try {
      execFileSync(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", directory]);
      return "";
    } catch (error) {
      return String((error as { stdout: Buffer }).stdout);
    }
  };
  const lines = [...checked().matchAll(/use\.ts\((\d+),/g)].map(([, line]) => Number(line));
  assert.deepEqual(lines, [9, 12, 13, 14, 15, 16]);
  assert.match(readFileSync(join(directory, "bank.client.ts"), "utf8"), /\* Makes money\./);
});

test("what is known of contracts is kept, and made again where a source changes", async () => {
  const directory = project({ "bank.ts": BANK });
  const entry = join(directory, "bank.ts");
  const options = { optimize: false, cache: join(directory, "cache") };
  const fresh = await buildGuest(entry, { ...options, cache: false });
  const entries = () => readdirSync(options.cache).filter((name) => name.endsWith(".guest"));
  for (let again = 0; again < 2; again++) assert.deepEqual(await buildGuest(entry, options), fresh);
  const kept = entries();
  assert.equal(kept.length, 2);
  // A comment changes what is known, and not the program.
  write(directory, {
    "bank.ts": BANK.replace("@view balanceOf", "/** What somebody has. */\n  @view balanceOf"),
  });
  const commented = await buildGuest(entry, options);
  assert.equal(commented.typed?.docs.get("Bank.balanceOf"), "What somebody has.");
  assert.deepEqual(commented.typed?.description, fresh.typed?.description);
  // Places depend on the lock file, which is read each time.
  const { lock } = (fresh.typed as TypedGuest).layout;
  write(directory, { "bank.layout.json": JSON.stringify({ ...lock, end: 1 << 20 }) });
  assert.equal((await buildGuest(entry, options)).typed?.layout.stateBytes, 1 << 20);
  // A damaged entry is made again.
  for (const name of kept) writeFileSync(join(options.cache, name), "damaged");
  write(directory, { "bank.ts": BANK, "bank.layout.json": JSON.stringify(lock) });
  assert.deepEqual((await buildGuest(entry, options)).typed?.description, fresh.typed?.description);
});
