/** stillpoint/testing: what its documentation shows, and that it agrees with a runtime to the bit. */

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, test } from "node:test";
import { compileGuest } from "../../runtime/compile.ts";
import { programHash } from "../../runtime/index.ts";
import * as gas from "../../runtime/kernel/gas.ts";
import { type GuestFault, TestProcess, type TestState } from "../../runtime/testing.ts";
import { quota, REGION, Script } from "../driver.ts";
import { driver, guest, open, play } from "../fixture.ts";

const ROOT = join(import.meta.dirname, "../..");
const section =
  /## Testing\n[\s\S]*?\n## /.exec(readFileSync(join(ROOT, "guest/README.md"), "utf8"))?.[0] ?? "";
const block = (language: string): string =>
  new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(section)?.[1] ?? assert.fail(language);

let directory: string;
let bank: Uint8Array;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "stillpoint-testing-"));
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(join(directory, "node_modules"));
  writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
  writeFileSync(join(directory, "bank.ts"), block("ts"));
  bank = await compileGuest(join(directory, "bank.ts"));
});

test("a fault is told as guest/README.md tells it", async () => {
  const tested = await TestProcess.open(bank);
  const told = [...block("js").matchAll(/^ {2}\/\/ (.*)$/gm)].map(([, text]) => text);
  assert.throws(
    () => tested.call("deposit", 5000n),
    (error: GuestFault) => {
      assert.equal(`${error}`, told.join("\n"));
      assert.equal(error.frames[0]?.source?.line, 12);
      assert.deepEqual(error.facts, { entry: "deposit", fault: "abort", text: "no such account in bank.ts" });
      return true;
    },
  );
});

test("the example of the class prints what it says", async () => {
  const example = /@example\n \* ```ts\n([\s\S]*?) \* ```\n \*\/\nexport class TestProcess/.exec(
    readFileSync(join(ROOT, "runtime/testing.ts"), "utf8"),
  )?.[1];
  const printed: unknown[] = [];
  const body = (example as string).replaceAll(/^ \* ?/gm, "");
  const AsyncFunction = (async () => {}).constructor as new (
    ...text: string[]
  ) => (...scope: unknown[]) => Promise<void>;
  const scope = {
    TestProcess,
    compileGuest: async () => bank,
    console: { log: (value: unknown) => printed.push(value) },
  };
  await new AsyncFunction(...Object.keys(scope), body)(...Object.values(scope));
  const said = [...body.matchAll(/console\.log\(.*\); \/\/ (\d+)n/g)].map(([, text]) =>
    BigInt(text as string),
  );
  assert.equal(said.length, 3);
  assert.deepEqual(printed, said);
});

test("gas, faults and hashes are those of a runtime", async () => {
  const bankProgram = await guest("bank");
  const item = (from: number, to: number, amount: number): Uint8Array =>
    new Uint8Array(new Uint32Array([from, to, amount, 0, 1]).buffer);
  const inputs = [item(1, 2, 5), item(2, 3, 500), item(3, 1, 7)];

  await using runtime = await open([bankProgram]);
  const program = programHash(bankProgram);
  const first = await play(runtime, (s) => {
    s.put(1, {
      program,
      memoryQuotaPages: quota(64),
      processQuota: 4,
      ranges: [{ source: Buffer.alloc(8, 3), target: 640 }],
    });
    s.put(1, { start: { entry: "found", argument: 100n, gas: 100_000_000 } });
    s.get(1, { status: true });
  });
  const tested = await TestProcess.open(bankProgram, {
    memoryQuotaPages: quota(64),
    processQuota: 4,
    heldGasQuota: 0,
    gas: 100_000_000,
  });
  tested.write(640, Buffer.alloc(8, 3));
  assert.equal(tested.call("found", 100n), 0n);
  const child = () => runtime.inspect([1]);
  assert.deepEqual(tested.inspect(), child());
  assert.equal(tested.inspect()?.hash, child()?.hash);
  assert.ok(first.block.gasUsed > tested.gasUsed);

  const outcomes = tested.batch("pay", inputs);
  assert.deepEqual(
    outcomes.map(({ status, fault, text }) => [status, fault, text]),
    [
      ["returned", "none", ""],
      ["faulted", "abort", "pay: too poor in test/guests/bank.ts"],
      ["returned", "none", ""],
    ],
  );
  assert.match(outcomes[1]?.stack[0]?.name ?? "", /pay$/);
});

test("a process of processes: children are run, seen and explained", async () => {
  const inner = new Script({ commands: 4 });
  inner.trap();
  const script = new Script();
  script.put(3, { program: programHash(driver), ranges: [{ source: inner.metadata(), target: REGION }] });
  script.put(3, { start: { entry: "run", argument: BigInt(REGION), gas: 1_000_000 } });
  script.get(3, { status: true });
  const tested = await TestProcess.open(driver, { programs: [driver] });
  tested.write(REGION, script.metadata());
  tested.call("run", BigInt(REGION));
  assert.equal(tested.inspect([3])?.status, "faulted");
  const ends = tested.trace.filter((event) => event.what === "end");
  assert.deepEqual(
    ends.map(({ path, fault }) => [path, fault]),
    [
      [[3], "unreachable"],
      [[], "none"],
    ],
  );
  assert.ok((ends[0]?.stack.length ?? 0) > 0);
  const fork = tested.fork();
  const held = tested.read(REGION, 1);
  fork.write(
    REGION,
    held.map((byte) => byte + 1),
  );
  assert.deepEqual(tested.read(REGION, 1), held);
  assert.notEqual(fork.state.hash, tested.state.hash);
  fork.state = tested.state;
  assert.equal(fork.state.hash, tested.state.hash);
});

test("what cannot be done is said", async () => {
  const tested = await TestProcess.open(bank);
  const other = await TestProcess.open(bank);
  assert.throws(() => tested.call("withdraw"), { code: "NO_ENTRY", message: /balance, deposit, depositAll/ });
  assert.throws(() => tested.resume(), { code: "STATE" });
  assert.throws(() => tested.write(2 ** 31, Uint8Array.of(1)), { code: "RANGE" });
  assert.throws(() => tested.read(-1, 4), { code: "RANGE" });
  assert.throws(() => tested.read(0, 4, [1]), { code: "NO_PROCESS" });
  assert.throws(() => tested.batch("depositAll", [new Uint8Array(40_000)]), { code: "STATE" });
  assert.throws(
    () => {
      tested.state = other.state;
    },
    { code: "BAD_ARGUMENT" },
  );
  await assert.rejects(TestProcess.open(Uint8Array.of(1, 2, 3)), { code: "E_BAD_PROGRAM" });
});

test("a process that stands in RET continues", async () => {
  const source = `
    import { ret } from "stillpoint/guest";
    export function conversation(first: i64): i64 {
      let sum = first;
      for (let i = 0; i < 2; i++) sum += ret(sum);
      return sum;
    }`;
  writeFileSync(join(directory, "talk.ts"), source);
  const talk = await TestProcess.open(await compileGuest(join(directory, "talk.ts")));
  assert.equal(talk.call("conversation", 1n), 1n);
  assert.throws(() => talk.call("conversation", 1n), { code: "STATE" });
  const there = talk.state;
  assert.equal(talk.resume(10n), 11n);
  assert.equal(talk.resume(-1n), 10n);
  talk.state = there;
  assert.equal(talk.resume(100n), 101n);
});

test("guest/README.md says what things cost", () => {
  const table = /## Gas\n[\s\S]*?\n## /.exec(readFileSync(join(ROOT, "guest/README.md"), "utf8"))?.[0] ?? "";
  const told = [...table.matchAll(/^\| (.*?) \| ([\d,]+) \|$/gm)].map(([, , n]) =>
    Number(n?.replaceAll(",", "")),
  );
  assert.ok([gas.COST_CLONE, gas.COST_HASH, gas.COST_SNAPSHOT].every((cost) => cost === gas.COST_PROGRAM));
  assert.equal(gas.COST_STACK_BYTE, gas.COST_ITEM_BYTE);
  assert.deepEqual(told, [
    gas.COST_PAGE_CHANGED,
    gas.COST_PAGE_TOUCH,
    gas.COST_CALL,
    gas.COST_PROGRAM,
    gas.COST_INSTALL,
    gas.COST_PROGRAM_BYTE,
    gas.COST_START,
    gas.COST_START_PAGE,
    gas.COST_CHILD_CHANGED,
    gas.COST_GROW_FIRST,
    gas.COST_GROW_FIRST_PAGE,
    gas.COST_ITEM,
    gas.COST_ITEM_BYTE,
    gas.COST_ACCUMULATE,
  ]);
});

test("an abort names its own line, though its text is made by inlined functions", async () => {
  const source = `
    export function refuse(amount: i64): i64 {
      if (amount < 0) throw new Error(\`refused: \${amount} of \${amount + 1}\`);
      return amount;
    }`;
  writeFileSync(join(directory, "refuse.ts"), source);
  const tested = await TestProcess.open(await compileGuest(join(directory, "refuse.ts")));
  assert.throws(
    () => tested.call("refuse", -3),
    (error: GuestFault) => {
      assert.match(
        error.message,
        /abort: refused: -3 of -2 in refuse\.ts\n {4}at refuse\/refuse \(refuse\.ts:3:/,
      );
      return true;
    },
  );
});

test("wrong options and arguments are named", async () => {
  const rejects = (program: unknown, options: unknown, code: string, message: RegExp) =>
    assert.rejects(TestProcess.open(program as Uint8Array, options as object), { code, message });
  await rejects(null, {}, "BAD_ARGUMENT", /program must be a Uint8Array, got null/);
  await rejects(bank, { gass: 1 }, "BAD_OPTION", /there is no option "gass"/);
  await rejects(bank, { gas: -1 }, "BAD_OPTION", /"gas" must be an integer from 0/);
  await rejects(bank, { programs: [1] }, "BAD_ARGUMENT", /programs\[0\] must be a Uint8Array, got 1/);
  await rejects(
    bank,
    { memoryQuotaPages: 307 },
    "QUOTA",
    /19 pages .* 308 pages .* "memoryQuotaPages", which is 307/,
  );
  const tested = await TestProcess.open(bank);
  const throws = (run: () => unknown, code: string, message: RegExp) => assert.throws(run, { code, message });
  throws(() => tested.call("balance", 1.5), "BAD_ARGUMENT", /argument must be .* got 1\.5/);
  throws(() => tested.call("balance", "7" as never), "BAD_ARGUMENT", /argument must be .* got "7"/);
  throws(() => tested.call("balance", 7, NaN), "BAD_OPTION", /"gas" must be an integer/);
  throws(() => tested.call(undefined as never), "BAD_ARGUMENT", /entry must be/);
  throws(() => tested.batch("depositAll", [1 as never]), "BAD_ARGUMENT", /inputs\[0\] must be/);
  throws(() => tested.write(0, "abc" as never), "BAD_ARGUMENT", /bytes must be a Uint8Array, got "abc"/);
});

test("a heap that is full says what to do, and the process stands where it stood", async () => {
  const tested = await TestProcess.open(bank, { heapBytes: 2 ** 22 });
  const states: TestState[] = [];
  const fill = (): void => {
    for (let i = 0; ; i++) {
      tested.call("deposit", i % 1024);
      states.push(tested.state);
    }
  };
  assert.throws(fill, { code: "HEAP_FULL", message: /hold fewer of them/ });
  assert.ok(tested.read(0, 8).some((byte) => byte > 0));
  const [first, last] = [states[0], states.at(-1)] as [TestState, TestState];
  for (const state of [first, last]) {
    tested.state = state;
    assert.equal(tested.state.hash, state.hash, "what the test holds was not collected");
  }
});

test("20,000 calls need no more heap than a few; what the test holds stays", async () => {
  const tested = await TestProcess.open(bank, { heapBytes: 2 ** 24 });
  tested.call("deposit", 1);
  const [state, fork] = [tested.state, tested.fork()];
  const before = fork.state.hash;
  for (let i = 0; i < 20_000; i++) {
    tested.call("deposit", i % 1024);
    if (i % 100 === 0) assert.throws(() => tested.call("deposit", 5000), { code: "GUEST_FAULT" });
  }
  assert.ok(tested.heapBytesUsed < 2 ** 24, `${tested.heapBytesUsed} bytes`);
  assert.equal(fork.state.hash, before);
  assert.equal(fork.call("balance", 1), 1n);
  tested.state = state;
  assert.equal(tested.state.hash, before);
});

test("parallel runs here as the SDK gives it gas", async () => {
  const source = `
    import { parallel } from "stillpoint/guest";
    export { forked } from "stillpoint/guest";
    const sums: usize = memory.data(32, 8);
    export function run(argument: i64): i64 {
      parallel(4, part, argument, sums, 32);
      return load<i64>(sums) + load<i64>(sums, 24);
    }
    function part(index: i32, argument: i64): void {
      store<i64>(sums + index * 8, argument + index);
    }`;
  writeFileSync(join(directory, "parallel.ts"), source);
  const tested = await TestProcess.open(await compileGuest(join(directory, "parallel.ts")));
  assert.equal(tested.call("run", 5), 13n);
});

test("a view gives what a call and a batch give, and leaves the process alone", async () => {
  const tested = await TestProcess.open(bank);
  tested.call("deposit", 7n);
  const { hash } = tested.state;
  assert.equal(tested.view("balance", { argument: 7n }).code, 1n);
  const view = tested.view("depositAll", { input: Uint8Array.of(7) });
  assert.deepEqual([view.code, view.output.length], [0n, 0]);
  assert.equal(tested.state.hash, hash);
  const { gasUsed } = tested.view("deposit", { argument: 7n });
  tested.call("deposit", 7n);
  assert.equal(tested.gasUsed, gasUsed);
  assert.throws(
    () => tested.view("deposit", { argument: 5000n }),
    (error: GuestFault) => error.frames[0]?.source?.line === 12,
  );
  assert.throws(() => tested.view("deposit", { gas: 3 }), { code: "GUEST_FAULT", message: /out-of-gas/ });
  assert.throws(() => tested.view("nothing"), { code: "NO_ENTRY" });
});
