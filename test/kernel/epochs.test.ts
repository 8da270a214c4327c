/** Gas of runnable descendants is void after a fault or a CLONE: in O(1), and for everybody who looks. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type BytesStatement, programHash, type Runtime } from "../../runtime/index.ts";
import { verify } from "../../runtime/proof/native.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota, Script } from "../driver.ts";
import { DRIVER_HASH, guest, open, play } from "../fixture.ts";
import { Bench } from "./counted.ts";
import { checkTree } from "./invariants.ts";

const trap = await guest("trap");
const TRAP = programHash(trap);
const GAS = 5_000_000;
const CHILD_GAS = 200_000_000;
const INNER = 0x220000;

let runtime: Runtime;
before(async () => {
  runtime = await open([trap], {
    memoryQuotaPages: quota(60_000),
    processQuota: 4000,
    gasLimit: 10_000_000_000,
  });
});
after(() => runtime.close());

const held = (): number => checkTree(runtime).gas;

/** Child `number`, a driver, runs a script; it is made first if `fresh`. */
function child(
  s: Script,
  number: number,
  fresh: boolean,
  write: (inner: Script) => void,
  keep = false,
): void {
  const inner = new Script({ base: INNER });
  write(inner);
  const made = fresh
    ? { program: DRIVER_HASH, memoryQuotaPages: quota(800), processQuota: 30, heldGas: 1_000_000_000 }
    : {};
  s.put(number, { ...made, ranges: [{ source: inner.metadata(), target: INNER }] });
  s.put(number, { start: { entry: "run", argument: BigInt(INNER), gas: CHILD_GAS, keep } });
  s.get(number, { status: true });
}

const startLeaf = (s: Script): void => {
  s.put(1, { program: TRAP, start: { entry: "setMark", argument: 6n, gas: GAS } });
};

/** A child 1 with a started child. */
async function scene(): Promise<void> {
  await runtime.revert(0);
  await play(runtime, (s) => child(s, 1, true, startLeaf));
  assert.equal(held(), GAS);
}

test("after a fault the gas below is void to inspect, proofs and the join", async () => {
  await scene();
  assert.equal(runtime.inspect([1, 1])?.gas, GAS);
  await play(runtime, (s) => child(s, 1, false, (inner) => inner.trap()));
  assert.equal(held(), 0);
  const view = runtime.inspect([1, 1]);
  assert.deepEqual([view?.status, view?.gas], ["runnable", 0]);
  const shown = verify(runtime.head.root, runtime.prove([1, 1], 0, 8)) as BytesStatement;
  assert.deepEqual([shown.process.status, shown.process.gas], [abi.STATUS_RUNNABLE, 0]);
  const above = verify(runtime.head.root, runtime.prove([1], 0, 8)) as BytesStatement;
  assert.deepEqual([above.process.gasEpoch, above.process.parentGasEpoch], [1, 0]);
  await play(runtime, (s) => child(s, 1, false, (inner) => inner.get(1, { status: true })));
  const joined = runtime.inspect([1, 1]);
  assert.deepEqual([joined?.fault, joined?.gasUsed], ["out-of-gas", 0]);
});

test("a child that is started in a later epoch has its gas, whatever faults came between", async () => {
  await scene();
  for (let i = 0; i < 3; i++) {
    await play(runtime, (s) => child(s, 1, false, (inner) => inner.trap(), i > 0));
    assert.equal(held(), 0);
    await play(runtime, (s) =>
      child(s, 1, false, (inner) => {
        inner.put(1, { drop: true });
        startLeaf(inner);
      }),
    );
    assert.equal(held(), GAS);
    assert.equal(runtime.inspect([1, 1])?.gas, GAS);
  }
  await play(runtime, (s) => child(s, 1, false, (inner) => inner.get(1, { status: true })));
  assert.equal(runtime.inspect([1, 1])?.code, 6n);
  assert.equal(held(), 0);
});

test("a clone's descendants hold nothing, however deep; the source's keep theirs", async () => {
  await runtime.revert(0);
  await play(runtime, (s) => {
    child(s, 1, true, (inner) => {
      const leaf = new Script({ base: INNER + 0x1000 });
      startLeaf(leaf);
      inner.put(1, {
        program: DRIVER_HASH,
        memoryQuotaPages: quota(100),
        heldGas: 500_000_000,
        processQuota: 3,
        ranges: [{ source: leaf.metadata(), target: INNER + 0x1000 }],
        start: { entry: "run", argument: BigInt(INNER + 0x1000), gas: 30_000_000 },
      });
      inner.get(1, { status: true });
    });
    s.put(2, { clone: 1 });
  });
  assert.equal(held(), GAS);
  assert.deepEqual([runtime.inspect([1, 1, 1])?.gas, runtime.inspect([2, 1, 1])?.gas], [GAS, 0]);
  const shown = verify(runtime.head.root, runtime.prove([2, 1, 1], 0, 8)) as BytesStatement;
  assert.equal(shown.process.gas, 0);
  // A fault of the clone below takes nothing from anybody, and a clone of the clone is as void.
  await play(runtime, (s) => {
    s.put(3, { clone: 2 });
    child(s, 2, false, (inner) => inner.trap());
  });
  assert.equal(held(), GAS);
  assert.equal(runtime.inspect([3, 1, 1])?.gas, 0);
});

test("a call on a child whose gas is void returns what the tree has afterwards", async () => {
  await scene();
  const { results, handles } = await play(runtime, (s) => {
    child(s, 2, true, (inner) => {
      inner.put(1, {
        program: DRIVER_HASH,
        memoryQuotaPages: quota(100),
        heldGas: 500_000_000,
        processQuota: 3,
        ranges: [{ source: leafScript(), target: INNER + 0x1000 }],
        start: { entry: "run", argument: BigInt(INNER + 0x1000), gas: 30_000_000 },
      });
      inner.get(1, { status: true });
    });
    child(s, 2, false, (inner) => inner.trap());
    child(s, 2, false, (inner) => {
      inner.get(1, { hash: true });
      inner.get(1, { hash: true });
    });
    return s.get(2, { copy: [{ source: 0x300000, length: 4096 }] });
  });
  const copied = results.bytes(handles);
  const hash = runtime.inspect([2, 1])?.hash as string;
  assert.ok(Buffer.from(copied).toString("hex").includes(hash), "the hash that GET told is the tree's");
  assert.equal(held(), GAS);
});

function leafScript(): Uint8Array {
  const leaf = new Script({ base: INNER + 0x1000 });
  startLeaf(leaf);
  return leaf.metadata();
}

const STARTED = 300;

test("CLONE and the fallback of a fault look at no descendant", async () => {
  const bench = await Bench.open([trap]);
  const inner = new Script({ base: INNER, commands: STARTED });
  for (let i = 1; i <= STARTED; i++) {
    inner.put(i, { program: TRAP, start: { entry: "setMark", argument: 6n, gas: GAS } });
  }
  bench.run((s) => {
    s.put(1, {
      program: DRIVER_HASH,
      memoryQuotaPages: quota(100 * STARTED),
      heldGas: 1_000_000_000,
      processQuota: STARTED,
      ranges: [{ source: inner.metadata(), target: INNER }],
      start: { entry: "run", argument: BigInt(INNER), gas: 1e10 },
    });
    s.get(1, { status: true });
  });
  const cloned = bench.run((s) => s.put(2, { clone: 1 })).work;
  assert.ok(cloned.records + cloned.nodes + cloned.visits < STARTED, JSON.stringify(cloned));
  const trapped = new Script({ base: INNER });
  trapped.trap();
  const faulted = bench.run((s) => {
    s.put(1, { ranges: [{ source: trapped.metadata(), target: INNER }] });
    s.put(1, { start: { entry: "run", argument: BigInt(INNER), gas: 1e8 } });
    s.get(1, { status: true });
  }).work;
  assert.ok(faulted.records + faulted.nodes + faulted.visits < STARTED, JSON.stringify(faulted));
});
