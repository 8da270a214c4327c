/** The quota of gas that stays with started children when a process is suspended: gas is not saved up. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { programHash, type Runtime, type RuntimeOptions } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { getOutcomes, putBatch } from "../batch/requests.ts";
import { quota, REGION, Script } from "../driver.ts";
import { DRIVER_HASH, guest, play, withRuntime } from "../fixture.ts";
import { checkTree } from "./invariants.ts";

const trivial = await guest("trivial");
const TRIVIAL = programHash(trivial);
const GAS = 20_000_000;
const LENT = 1_000_000;

/** Child 1 becomes a driver with the quota `heldGas`, and runs `write`'s script. */
function manager(script: Script, heldGas: number, write: (inner: Script) => void): void {
  const inner = new Script({ commands: 16 });
  write(inner);
  script.put(1, {
    program: DRIVER_HASH,
    memoryQuotaPages: quota(200),
    processQuota: 4,
    heldGas,
    ranges: [{ source: inner.metadata(), target: REGION }],
    start: { entry: "run", argument: BigInt(REGION), gas: GAS },
  });
}

const lend = (script: Script, child: number, gas = LENT): number =>
  script.put(child, { program: TRIVIAL, start: { entry: "run", argument: 1n, gas } });

const left = (runtime: Runtime, path: readonly number[] = []) => runtime.inspect(path)?.quota.heldGas;

/** How child 1 ended that left a child running with LENT. */
async function endOf(heldGas: number, write: (inner: Script) => void): Promise<number[]> {
  return withRuntime([trivial], {}, async (runtime) => {
    const { results, handles } = await play(runtime, (s) => {
      manager(s, heldGas, write);
      return s.get(1, { status: true });
    });
    checkTree(runtime);
    const { kind, fault, children } = results.status(handles);
    return [kind, fault, children];
  });
}

test("a process that ends with more gas in started children than its quota faults", async () => {
  const leaves = (inner: Script): void => void lend(inner, 1);
  assert.deepEqual(await endOf(LENT, leaves), [abi.STATUS_RETURNED, 0, 1]);
  assert.deepEqual(await endOf(LENT - 1, leaves), [abi.STATUS_FAULTED, abi.FAULT_QUOTA, 0]);
  const stands = (inner: Script): void => {
    lend(inner, 1);
    inner.ret(7n);
  };
  assert.deepEqual(await endOf(LENT, stands), [abi.STATUS_RET, 0, 1]);
  assert.deepEqual(await endOf(0, stands), [abi.STATUS_FAULTED, abi.FAULT_QUOTA, 0]);
});

test("one that joins or drops what it started needs no quota", async () => {
  const joins = (inner: Script): void => {
    for (const child of [1, 2, 3]) lend(inner, child);
    for (const child of [1, 2]) inner.get(child, { status: true });
    inner.put(3, { drop: true });
  };
  assert.deepEqual(await endOf(0, joins), [abi.STATUS_RETURNED, 0, 2]);
});

test("gas is not saved up over blocks: SNAPSHOT returns E_QUOTA until something is joined", async () => {
  for (const workers of [1, 3]) {
    await withRuntime([trivial], { heldGasQuota: 5 * LENT, workers }, async (runtime) => {
      const { block } = await play(runtime, (s) => lend(s, 1, 3 * LENT));
      assert.equal(left(runtime), 2 * LENT);
      const more = play(runtime, (s) => lend(s, 2, 2 * LENT + 1));
      await assert.rejects(more, { code: "BLOCK_FAULT", message: /driver: snapshot failed/ });
      assert.equal(runtime.head.id, block.id);
      await play(runtime, (s) => {
        s.get(1, { status: true });
        return lend(s, 2, 5 * LENT);
      });
      assert.equal(left(runtime), 0);
      assert.equal(checkTree(runtime).gas, 5 * LENT);
    });
  }
});

test("PROGRAM and CLONE pass the quota on, and DROP gives it back", async () => {
  await withRuntime([trivial], { heldGasQuota: 100, processQuota: 9 }, async (runtime) => {
    const { results, handles } = await play(runtime, (s) => [
      s.put(1, { program: TRIVIAL, heldGas: 101 }),
      s.put(1, { program: TRIVIAL, heldGas: 2 ** 60 }),
      s.put(1, { program: TRIVIAL, heldGas: 60 }),
      s.put(2, { clone: 1 }),
      s.put(2, { clone: abi.CLONE_SELF, heldGas: 41 }),
      s.put(2, { clone: abi.CLONE_SELF, heldGas: 40 }),
      s.put(1, { program: TRIVIAL, heldGas: 50 }),
      s.put(2, { drop: true }),
      s.put(3, { clone: 1 }),
    ]);
    checkTree(runtime);
    assert.deepEqual(
      handles.map((handle) => Number(results.value(handle))),
      [abi.E_QUOTA, abi.E_QUOTA, 0, abi.E_QUOTA, abi.E_QUOTA, 0, 0, 0, 0],
    );
    assert.deepEqual([left(runtime), left(runtime, [1]), left(runtime, [3])], [0, 50, 50]);
    // What was passed on does not cover what the root lends itself.
    await assert.rejects(
      play(runtime, (s) => lend(s, 4, 1)),
      { code: "BLOCK_FAULT" },
    );
  });
});

test("gas that a copy or a fault voids is not held", async () => {
  await withRuntime([trivial], {}, async (runtime) => {
    await play(runtime, (s) => {
      manager(s, LENT, (inner) => {
        lend(inner, 1);
        inner.ret(7n);
        inner.trap();
      });
      s.get(1, { status: true });
      s.put(2, { clone: 1 });
    });
    checkTree(runtime);
    assert.deepEqual([left(runtime, [1]), left(runtime, [2])], [0, LENT]);
    await play(runtime, (s) => {
      s.put(1, { start: { argument: 0n, gas: GAS } });
      s.get(1, { status: true });
    });
    checkTree(runtime);
    assert.equal(runtime.inspect([1])?.fault, "unreachable");
    assert.equal(runtime.inspect([1, 1])?.status, "runnable");
    assert.equal(left(runtime, [1]), LENT, "the quota of what was started is back");
  });
});

test("items pass held gas on to children, in both runners", async () => {
  const family = await guest("family");
  const found: unknown[] = [];
  for (const options of [
    { runner: "sequential" },
    { workers: 2, debug: { force: true, paranoid: true } },
  ] as const) {
    const all: Partial<RuntimeOptions> = { ...options, heldGasQuota: 2 ** 36 };
    await withRuntime([family], all, async (runtime) => {
      const item = (heldGas: number) => (child: number) => {
        const script = new Script({ base: 0x10000, commands: 4, scratch: 0x80000 });
        script.put(child, { program: programHash(family), memoryQuotaPages: quota(19), heldGas });
        return { input: script.metadata(), gas: 10_000_000 };
      };
      const items = [item(2 ** 33)(1), item(2 ** 33)(2), item(2 ** 33)(3), item(5)(4)];
      await play(runtime, (s) => {
        const program = { program: programHash(family), memoryQuotaPages: quota(200), processQuota: 9 };
        putBatch(s, 1, { entry: "item", items, inbox: 0x10000 }, { ...program, heldGas: 2 ** 34 + 5 });
        getOutcomes(s, 1, { count: 4 });
      });
      checkTree(runtime);
      assert.deepEqual(runtime.inspect([1])?.children, [1, 2, 4]);
      assert.equal(left(runtime, [1]), 0);
      found.push(runtime.head.root);
    });
  }
  assert.equal(found[1], found[0]);
});
