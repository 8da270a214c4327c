/** Faults at a limit say how much, where, and the limit; what items change in vain has its name. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";
import { App, TestContract } from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { type BlockFault, programHash, Runtime } from "../../runtime/index.ts";
import { GuestFault, TestProcess } from "../../runtime/testing.ts";
import { REGION, Script } from "../driver.ts";
import { driver } from "../fixture.ts";
import { project } from "../typed/project.ts";

const SOURCE = `export const STATE_BYTES: u32 = 1 << 16;
const OUTBOX: usize = 65536 + 32768;
const scratch = memory.data(1 << 14);
let count: i64 = 0;
class Totals {
  static sum: i64 = 0;
}
export function spin(x: i64): i64 {
  for (let i: i64 = 0; i >= 0; i++) store<i64>(8, i);
  return x;
}
export function beyond(x: i64): i64 {
  return load<i64>(<usize>x);
}
export function hoard(x: i64): i64 {
  return new StaticArray<u8>(<i32>x).length;
}
export function idle(x: i64): i64 {
  return x;
}
export function long(x: i64): i64 {
  store<u32>(OUTBOX, 40000);
  return x;
}
export function wordy(x: i64): i64 {
  store<u32>(OUTBOX, 10000);
  return x;
}
export function forget(x: i64): i64 {
  count++;
  Totals.sum += new StaticArray<u8>(8).length + count;
  return Totals.sum;
}
export function scatter(x: i64): i64 {
  for (let i = 0; i < 20; i++) store<u8>(scratch + i * 100, 1);
  return x;
}
`;

let program: Uint8Array;

before(async () => {
  program = await compileGuest(join(project({ "app.ts": SOURCE }), "app.ts"));
});

const lineOf = (text: string): number => SOURCE.slice(0, SOURCE.indexOf(text)).split("\n").length;

/** The fault of a call. */
function faultOf(run: () => unknown): GuestFault {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof GuestFault, String(error));
    return error;
  }
  return assert.fail("it did not fault");
}

test("out of gas and memory bounds: the limit, and the author's line", async () => {
  const tested = await TestProcess.open(program);
  const { memoryBytes } = tested.inspect() as { memoryBytes: number };
  const spun = faultOf(() => tested.call("spin", 0n, 1_000_000));
  assert.deepEqual(
    [spun.facts.fault, spun.facts.text, spun.facts.gasLimit],
    ["out-of-gas", "all of its 1000000 gas was used", 1_000_000],
  );
  assert.match(spun.message, new RegExp(`all of its 1000000 gas.*\n +at .*app\\.ts:${lineOf("for")}:`));
  const far = faultOf(() => tested.call("beyond", 2n ** 31n));
  assert.deepEqual([far.facts.fault, far.facts.memoryBytes], ["memory-bounds", memoryBytes]);
  const place = `app\\.ts:${lineOf("return load")}:`;
  assert.match(far.message, new RegExp(`beyond its memory of ${memoryBytes} bytes\n .*${place}`));
  const view = faultOf(() => tested.view("spin", { gas: 5000 }));
  assert.equal(view.facts.gasLimit, 5000);
});

test("out of memory: what it has, what it asked for, and the limit", async () => {
  const pages = 19 * 16 + 100;
  const tested = await TestProcess.open(program, { memoryQuotaPages: pages });
  const { memoryBytes } = tested.inspect() as { memoryBytes: number };
  const { facts, message } = faultOf(() => tested.call("hoard", 100_000_000n));
  assert.deepEqual([facts.fault, facts.memoryPages], ["unreachable", memoryBytes / 65536]);
  assert.ok(Number(facts.morePages) > 1000 && Number(facts.limitPages) < pages / 16);
  assert.match(message, /unreachable: out of memory: .* and the limit of its memory quota is \d+/);
  assert.match(message, new RegExp(`app\\.ts:${lineOf("return new")}:`));
  // A growth that is refused is no fault, and the next fault has another reason.
  assert.doesNotMatch(faultOf(() => tested.call("beyond", 2n ** 31n)).message, /out of memory/);
});

test("items: gas that what they leave costs, outputs, memory that does not grow", async () => {
  const outcomeOf = async (entry: string, input: Uint8Array, gas = 1e8) => {
    const [outcome] = (await TestProcess.open(program, { gas })).batch(entry, [input]);
    return outcome ?? assert.fail();
  };
  const nothing = new Uint8Array();
  const wordy = await outcomeOf("wordy", nothing, 20_000);
  assert.equal(wordy.fault, "out-of-gas");
  assert.match(wordy.text, /^it ended with \d+ gas left, and what it leaves costs at least \d+$/);
  assert.ok(Number(wordy.facts.cost) > Number(wordy.facts.gasLeft) && Number(wordy.facts.gasLeft) > 0);
  const long = await outcomeOf("long", nothing);
  assert.deepEqual([long.fault, long.facts], ["memory-bounds", { outputBytes: 40000, limitBytes: 32764 }]);
  const spun = await outcomeOf("spin", nothing, 1_000_000);
  assert.deepEqual([spun.fault, spun.facts], ["out-of-gas", { gasLimit: 1_000_000 }]);
  assert.ok(spun.stack.length > 0);
});

test("a quota of held gas that is passed: how much, and the limit", async () => {
  const script = new Script();
  script.put(3, { program: programHash(driver) });
  script.put(3, { start: { entry: "run", argument: BigInt(REGION), gas: 1_000_000 } });
  const tested = await TestProcess.open(driver, { heldGasQuota: 999_999 });
  tested.write(REGION, script.metadata());
  const { facts } = faultOf(() => tested.call("run", BigInt(REGION)));
  assert.deepEqual([facts.fault, facts.gasLent, facts.limit], ["quota", 1_000_000, 999_999]);
});

const ROOT = `import { Child, check, memoryQuota } from "stillpoint/guest";
const program = memory.data<u8>([${Array.from({ length: 32 }, (_, i) => i + 1).join(", ")}]);
export function main(x: i64): i64 {
  check(Child.at(1).create(program, memoryQuota(4)).put(), "make the child");
  return x;
}
`;

test("a program that nobody gave is named by its hash", async () => {
  const root = await compileGuest(join(project({ "root.ts": ROOT }), "root.ts"));
  const hash = Buffer.from(Array.from({ length: 32 }, (_, i) => i + 1)).toString("hex");
  const tested = await TestProcess.open(root);
  const { message } = faultOf(() => tested.call("main"));
  const line = `    no program has the hash ${hash}: give its bytes in "programs"`;
  assert.match(message, /^.*\n.*abort: make the child: E_BAD_PROGRAM/);
  assert.equal(message.split("\n")[2], line);
  const text = new RegExp(`E_BAD_PROGRAM .*\\. No program has the hash ${hash}: give its bytes`);
  await assert.rejects(Runtime.open({ root, workers: 1 }), (error: BlockFault) => {
    assert.match(error.message, text);
    assert.deepEqual([error.code, error.facts.program, error.facts.height], ["BLOCK_FAULT", hash, 0]);
    return true;
  });
});

test("a program that was given is not taken for one", async () => {
  const script = new Script();
  script.put(3, { program: programHash(program) });
  script.trap();
  const metadata = script.metadata();
  const asked = async (programs: Uint8Array[]): Promise<boolean> => {
    const tested = await TestProcess.open(driver, { programs });
    tested.write(REGION, metadata);
    return faultOf(() => tested.call("run", BigInt(REGION))).message.includes("no program");
  };
  assert.deepEqual([await asked([]), await asked([program])], [true, false]);
});

test("globals that an item changes in vain have names, and more ranges than are told are said", async () => {
  const tested = await TestProcess.open(program);
  const [first, second] = tested.batch("forget", [Uint8Array.of(1), Uint8Array.of(2)]);
  for (const outcome of [first, second]) {
    const globals = outcome?.lost.flatMap((lost) => ("global" in lost ? [lost.global] : []));
    // That of the allocator is left out.
    assert.deepEqual(globals?.sort(), ["app/Totals.sum", "app/count"]);
  }
  assert.deepEqual([first?.code, second?.code], [9n, 9n], "each started again");
  const memory = first?.lost.filter((lost) => "address" in lost);
  assert.deepEqual(memory, [], "what it has allocated is nobody's");
  const [scattered] = tested.batch("scatter", [new Uint8Array()]);
  const [idle] = tested.batch("idle", [new Uint8Array()]);
  assert.equal(scattered?.lost.length, 17);
  assert.deepEqual(scattered?.lost.at(-1), { truncated: true });
  assert.deepEqual(idle?.lost, []);
});

const LIBRARIES = `import { Ed25519, Keccak256, Secp256k1 } from "stillpoint/guest/crypto";
import { Item, Sha256 } from "stillpoint/guest";
export const STATE_BYTES: u32 = 1 << 16;
const own: usize = memory.data(32, 8);
/** Item */
export function hashes(n: i64): i64 {
  Sha256.hash(Item.input, <u32>n, own);
  Keccak256.hash(Item.input, <u32>n, own);
  const signed = Secp256k1.verify(Item.input, Item.input, Item.input + 32, Item.input);
  return signed || Ed25519.verify(Item.input, Item.input, 3, Item.input + 64) ? 1 : 0;
}
export function place(x: i64): i64 {
  return own;
}
`;

test("what the libraries write for themselves is not told; what they write for the author is", async () => {
  const file = join(project({ "app.ts": LIBRARIES }), "app.ts");
  const tested = await TestProcess.open(await compileGuest(file));
  const own = Number(tested.call("place"));
  const [hashed] = tested.batch("hashes", [Uint8Array.from({ length: 96 }, (_, at) => at + 1)]);
  assert.equal(hashed?.fault, "none");
  assert.ok(hashed.lost.length > 0, "the author's are told");
  for (const lost of hashed.lost) {
    assert.ok("address" in lost, "no global, and not too many");
    assert.ok(lost.address >= own && lost.address + lost.length <= own + 32, "of the author's alone");
  }
});

const CONTRACT = `import { contract, transaction, view } from "stillpoint/guest";
let seen: u32 = 0;
@contract class App {
  @transaction count(): u32 {
    seen++; // stillpoint-allow
    return seen;
  }
  @transaction idle(): u32 { return 1; }
  @transaction far(): u32 {
    return load<u32>(0xfffffff0);
  }
  @view spin(): u32 {
    while (true) store<u32>(0, load<u32>(0) + 1);
    return 0;
  }
}
`;

test("contracts: the reason, the line, and what is lost", async () => {
  const file = join(project({ "app.ts": CONTRACT }), "app.ts");
  const tested = await TestContract.open(file);
  const { count, idle, far } = tested.client.App as Record<string, () => never>;
  tested.call(count?.() as never);
  assert.ok(tested.lost.some((lost) => "global" in lost && lost.global === "app/seen"));
  tested.call(idle?.() as never);
  assert.deepEqual(tested.lost, []);
  const failed = tested.call(far?.() as never);
  assert.ok(!failed.ok);
  assert.deepEqual([failed.error, failed.at], ["fault: memory-bounds", "app.ts:10"]);
  assert.match(failed.reason ?? "", /^an access beyond its memory of \d+ bytes$/);

  const app = await App.open({ contract: file, workers: 1 });
  const { App: calls } = app.client as Record<string, Record<string, () => never>>;
  const asked = await app.query(calls?.spin?.() as never, { gas: 5000 });
  assert.ok(!asked.ok);
  assert.deepEqual(
    [asked.error, asked.at, asked.reason],
    ["out of gas", "app.ts:13", "all of its 5000 gas was used"],
  );
  const submitted = app.submit(calls?.idle?.() as never, { from: new Uint8Array(20), gas: 1 } as never);
  await app.produce();
  const outcome = await submitted;
  assert.equal(outcome.ok || outcome.reason, "all of its 1 gas was used");
  await app.close();
});

test("a PUT with E_QUOTA says which quota, what it takes and what is left", async () => {
  const hash = [...programHash(driver)].join(", ");
  const source = `import { Child, check, memoryQuota } from "stillpoint/guest";
    const program = memory.data<u8>([${hash}]);
    export function memory_(x: i64): i64 { check(Child.at(1).create(program, 5000).put(), "a"); return x; }
    export function fresh(x: i64): i64 { check(Child.at(1).create(program, 1).put(), "b"); return x; }
    export function processes(x: i64): i64 { check(Child.at(2).create(program, 0, 3).put(), "c"); return x; }
    export function gas(x: i64): i64 { check(Child.at(3).create(program, 0, 0, 78).put(), "d"); return x; }`;
  const root = await compileGuest(join(project({ "root.ts": source }), "root.ts"));
  const options = { memoryQuotaPages: 4000, processQuota: 3, heldGasQuota: 77, programs: [driver] };
  const tested = await TestProcess.open(root, options);
  const lineOf = (entry: string): string => faultOf(() => tested.call(entry)).message.split("\n")[2] ?? "";
  assert.match(
    lineOf("memory_"),
    /^ {4}child 1 is E_QUOTA: it takes 5000 of "memoryQuotaPages", and its parent has \d+ left$/,
  );
  assert.match(
    lineOf("fresh"),
    /^ {4}child 1 is E_QUOTA: a memory quota of 1 pages of 4096 bytes is less than the \d+ that/,
  );
  assert.equal(
    lineOf("processes"),
    '    child 2 is E_QUOTA: it takes 4 of "processQuota", and its parent has 3 left',
  );
  assert.equal(
    lineOf("gas"),
    '    child 3 is E_QUOTA: it takes 78 of "heldGasQuota", and its parent has 77 left',
  );
});
