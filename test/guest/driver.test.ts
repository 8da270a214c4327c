/**
 * The driver executes scripts, and Script and Results agree with it about the format. Runs on the toy kernel.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";
import { compileGuest } from "../../runtime/compile.ts";
import * as abi from "../../syscalls/abi.ts";
import { DRIVER_INITIAL_MEMORY, quota, REGION, RESULTS, type Results, SCRATCH, Script } from "../driver.ts";
import { ROOT } from "./harness.ts";
import { programHash, Toy } from "./toy.ts";

let driver: Uint8Array;
let trivial: Uint8Array;
let trap: Uint8Array;

before(async () => {
  const file = (name: string) => join(ROOT, "test/guests", `${name}.ts`);
  driver = await compileGuest(file("driver"), { initialMemory: DRIVER_INITIAL_MEMORY });
  trivial = await compileGuest(file("trivial"));
  trap = await compileGuest(file("trap"));
});

function execute(...scripts: Script[]): Results[] {
  const [zero, ...data] = new Toy([driver, trivial, trap]).run(
    driver,
    scripts.map((script) => script.metadata()),
  );
  assert.equal(zero?.length, 0);
  return scripts.map((script, i) => script.read(data[i]!));
}

test("puts and gets with all parts, over several blocks", () => {
  const one = new Script();
  const made = one.put(1, {
    program: programHash(trivial),
    memoryQuotaPages: quota(2),
    start: { entry: "run", argument: 40n, gas: 1000 },
  });
  const got = one.get(1, {
    status: true,
    hash: true,
    copy: [
      { source: 1024, length: 16 },
      { source: 0, length: 4096 },
    ],
  });
  const wrong = one.put(1, { start: { entry: "nothing" } });
  const two = new Script();
  two.put(1, { start: { entry: "run", argument: 0n } });
  const again = two.get(1, { status: true });
  const [first, second] = execute(one, two);
  assert.equal(first!.value(made), 0n);
  assert.equal(first!.status(got).kind, abi.STATUS_RETURNED);
  assert.equal(first!.status(got).code, 41n);
  assert.equal(first!.hash(got).length, 32);
  assert.equal(first!.bytes(got, 0).length, 16);
  assert.equal(first!.bytes(got, 1).length, 4096);
  assert.equal(first!.value(wrong), BigInt(abi.E_NO_ENTRY));
  assert.equal(second!.status(again).code, 2n);
});

test("ranges carry bytes both ways", () => {
  const script = new Script();
  script.put(3, {
    program: programHash(trivial),
    ranges: [
      { source: Buffer.from("hello, child"), target: 2000 },
      { zero: true, target: 2005, length: 2 },
      { source: SCRATCH, target: 2007, length: 0 },
    ],
  });
  const got = script.get(3, { copy: [{ source: 2000, length: 12 }] });
  script.get(3, { copy: [{ source: 2000, length: 5, target: SCRATCH + 5000 }] });
  const out = script.out(SCRATCH + 5000, 5);
  const [results] = execute(script);
  assert.equal(Buffer.from(results!.bytes(got)).toString(), "hello\0\0child");
  assert.equal(Buffer.from(results!.bytes(out)).toString(), "hello");
});

test("a fault is reported with its text", () => {
  const script = new Script();
  script.put(1, { program: programHash(trap), start: { entry: "abortWithMessage" } });
  const got = script.get(1, { status: true, detail: 100 });
  const [results] = execute(script);
  assert.equal(results!.status(got).fault, abi.FAULT_ABORT);
  assert.equal(results!.detail(got), "the guest's message: äöü € in test/guests/trap.ts");
});

test("plain commands work on the driver's memory", () => {
  const script = new Script();
  script.store(SCRATCH, -9n);
  script.copy(SCRATCH + 8, SCRATCH, 8);
  const loaded = script.load(SCRATCH + 8);
  script.fill(SCRATCH, 8, 0xab);
  const filled = script.load(SCRATCH);
  const size = script.size();
  const grown = script.grow(2);
  const after = script.size();
  script.spin(10);
  const [results] = execute(script);
  assert.equal(results!.value(loaded), -9n);
  assert.equal(BigInt.asUintN(64, results!.value(filled)), 0xababababababababn);
  assert.deepEqual(
    [size, grown, after].map((each) => results!.value(each)),
    [80n, 80n, 82n],
  );
});

test("loops repeat, and can be run again", () => {
  const script = new Script();
  script.put(1, { program: programHash(trivial) });
  const first = script.put(1, { start: { entry: "run", argument: 0n } });
  const end = script.loop(first, 5);
  script.loop(first, 2); // the inner loop once more
  const got = script.get(1, { status: true });
  const [results] = execute(script);
  assert.equal(results!.value(end), 0n);
  assert.equal(results!.status(got).code, 10n);
});

test("skip leaves out commands after the awaited result", () => {
  const script = new Script();
  script.get(9, { hash: true }); // E_NO_CHILD, then its OUT
  const missing = script.get(9, {});
  script.skip(1, BigInt(abi.E_NO_CHILD));
  script.abort();
  script.load(SCRATCH);
  script.skip(1, 17n);
  const met = script.store(SCRATCH, 3n);
  const loaded = script.load(SCRATCH);
  const [results] = execute(script);
  assert.equal(results!.value(missing), BigInt(abi.E_NO_CHILD));
  assert.equal(results!.value(met), 0n);
  assert.equal(results!.value(loaded), 3n);
  assert.throws(() => results!.hash(0), /command 0 failed with -3/);
});

test("a driver runs scripts as a child", () => {
  const inner = new Script();
  inner.put(5, { program: programHash(trivial), start: { entry: "run", argument: 6n } });
  const innerGot = inner.get(5, { status: true });
  const outer = new Script();
  const bytes = inner.metadata();
  outer.put(2, { program: programHash(driver), memoryQuotaPages: quota(80) });
  outer.put(2, {
    ranges: [{ source: bytes, target: REGION }],
    start: { entry: "run", argument: BigInt(REGION) },
  });
  const length = 8 + inner.length * 8 + abi.STATUS_SIZE;
  const got = outer.get(2, { status: true, copy: [{ source: RESULTS, length }] });
  const [results] = execute(outer);
  assert.equal(results!.status(got).code, BigInt(length));
  assert.equal(inner.read(results!.bytes(got)).status(innerGot).code, 7n);
});

test("wrong scripts and the commands that fault, fault", () => {
  const failing = (build: (script: Script) => void): (() => void) => {
    const script = new Script();
    build(script);
    return () => execute(script);
  };
  assert.throws(
    failing((script) => script.abort()),
    /driver: command ABORT/,
  );
  assert.throws(
    failing((script) => script.trap()),
    /unreachable/,
  );
  assert.throws(
    failing((script) => script.command(99)),
    /driver: unknown command/,
  );
  assert.throws(
    failing((script) => script.command(5, 0, 0x200000)),
    /driver: output too long/,
  );
  const short = new Script().metadata();
  new DataView(short.buffer).setUint32(0, 1000, true);
  assert.throws(() => new Toy([]).run(driver, [short]), /driver: script too short/);
});
