/** What `inspect` and `read` show, in the head and in other retained blocks. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { verify } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota, REGION, REGION_CAPACITY, SCRATCH } from "../driver.ts";
import { DRIVER_HASH, play, withRuntime } from "../fixture.ts";

/** What a process of the driver takes: 80 pages of 64 KiB, and 4. */
const DRIVER_PAGES = 80 * 16 + 4;

test("the root between blocks, and its children, with quotas and reference snapshots", async () => {
  await withRuntime([], { memoryQuotaPages: quota(1000), processQuota: 10 }, async (runtime) => {
    const { block: made } = await play(runtime, (script) => {
      script.put(2, { program: DRIVER_HASH, memoryQuotaPages: quota(100), processQuota: 3 });
      script.get(2, { hash: true });
    });
    const fresh = runtime.inspect([2]);
    const { block: started } = await play(runtime, (script) => {
      script.put(2, { start: { entry: "run", argument: 5n, gas: 1234 } });
    });
    await play(runtime, (script) => script.get(2, { status: true }));

    const root = runtime.inspect([]);
    assert.deepEqual(root?.region, { address: REGION, capacity: REGION_CAPACITY });
    assert.deepEqual(root?.quota, {
      memoryPages: quota(1000) - DRIVER_PAGES - quota(100),
      processes: 10 - 1 - 3,
      heldGas: 10_000_000_000,
    });
    assert.equal(root?.reference, null);
    assert.deepEqual([root?.children, root?.childCount], [[2], 1]);
    assert.equal(root?.program, Buffer.from(DRIVER_HASH).toString("hex"));
    assert.equal(root?.hash, runtime.head.root);

    assert.deepEqual(runtime.inspect([2], made), fresh);
    assert.deepEqual([fresh?.status, fresh?.gas, fresh?.region], ["fresh", 0, null]);
    assert.deepEqual(fresh?.quota, {
      memoryPages: quota(100) - DRIVER_PAGES,
      processes: 3,
      heldGas: 0,
    });
    const runnable = runtime.inspect([2], started.height);
    assert.deepEqual([runnable?.status, runnable?.gas], ["runnable", 1234]);
    // The snapshot is the image as it was started, without gas used.
    assert.match(runnable?.reference ?? "", /^[0-9a-f]{64}$/);
    assert.equal(runtime.inspect([2])?.reference, null, "its parent has ended since");
    assert.equal(runtime.inspect([2], 0), null);
    assert.equal(runtime.inspect([3]), null);
    assert.equal(runtime.inspect([], 0)?.hash, runtime.blocks()[0]?.root);
    assert.throws(() => runtime.inspect([], 9), { code: "NOT_RETAINED" });
    for (const path of [undefined, null, 3, "1", { length: 1 }] as never[]) {
      assert.throws(() => runtime.inspect(path), { name: "UsageError", code: "BAD_ARGUMENT" });
      assert.throws(() => runtime.read(path, 0, 1), { name: "UsageError", code: "BAD_ARGUMENT" });
    }
    for (const block of [null, "1", {}, 1n] as never[])
      assert.throws(() => runtime.inspect([], block), { name: "UsageError", code: "BAD_ARGUMENT" });
    for (const block of [undefined, null, "1", {}] as never[])
      await assert.rejects(runtime.revert(block), { name: "UsageError", code: "BAD_ARGUMENT" });
  });
});

test("memory is read as of any retained block", async () => {
  await withRuntime([], { retainBlocks: 3 }, async (runtime) => {
    const blocks = [runtime.head];
    for (const byte of [1, 2, 3]) {
      blocks.push((await play(runtime, (script) => script.fill(SCRATCH, 3, byte))).block);
    }
    assert.deepEqual(runtime.blocks(), blocks.slice(1));
    for (const byte of [1, 2, 3]) {
      const expected = Uint8Array.of(0, byte, byte);
      assert.deepEqual(runtime.read([], SCRATCH - 1, 3, byte), expected);
      assert.deepEqual(runtime.read([], SCRATCH - 1, 3, blocks[byte] ?? 0), expected);
    }
    assert.throws(() => runtime.read([], 0, 1, 0), { code: "NOT_RETAINED" });
    assert.throws(() => runtime.read([1], 0, 1), { code: "NO_PROCESS" });
    assert.throws(() => runtime.read([], 80 * 65536, 1), { code: "RANGE" });
  });
});

test("many ranges of one block are read, and proved, at once; one that is wrong and none is", async () => {
  await withRuntime([], { retainBlocks: 4 }, async (runtime) => {
    await play(runtime, (script) => {
      script.put(2, { program: DRIVER_HASH, memoryQuotaPages: quota(100) });
      script.fill(SCRATCH, 5000, 9);
    });
    const old = runtime.head;
    await play(runtime, (script) => script.fill(SCRATCH, 5000, 7));
    const ranges = [
      { path: [], address: SCRATCH, length: 16 },
      { path: [2], address: SCRATCH, length: 16 },
      { path: [], address: SCRATCH + 4090, length: 12 },
    ];
    for (const block of [undefined, old]) {
      const root = (block ?? runtime.head).root;
      const read = runtime.readMany(ranges, block);
      const proofs = runtime.proveMany(ranges, block);
      ranges.forEach(({ path, address, length }, i) => {
        assert.deepEqual(read[i], runtime.read(path, address, length, block));
        assert.deepEqual(proofs[i], runtime.prove(path, address, length, block));
        const statement = verify(root, proofs[i] as Uint8Array);
        assert.deepEqual(statement.absent === null && statement.bytes, read[i]);
      });
    }
    assert.deepEqual(runtime.readMany([]), []);
    const missing = { path: [3], address: 0, length: 1 };
    assert.throws(() => runtime.readMany([...ranges, missing]), { code: "NO_PROCESS" });
    for (const wrong of [undefined, [null], ranges[0], "all"] as never[]) {
      assert.throws(() => runtime.readMany(wrong), { code: "BAD_ARGUMENT" });
      assert.throws(() => runtime.proveMany(wrong), { code: "BAD_ARGUMENT" });
    }
  });
});

test("children are listed by count and range", async () => {
  const numbers = [0, 1, 5, 1023, 1024, 1025, 40_000, abi.CHILD_LIMIT - 1];
  await withRuntime([], { memoryQuotaPages: quota(1000) }, async (runtime) => {
    await play(runtime, (script) => {
      for (const number of numbers) {
        script.put(number, { program: DRIVER_HASH, memoryQuotaPages: quota(80) });
      }
    });
    assert.deepEqual(runtime.children([]), numbers);
    assert.deepEqual(runtime.children([5]), []);
    assert.deepEqual(runtime.children([], {}, 0), []);
    for (const from of [0, 1, 2, 1023, 1024, 1026, 40_001, abi.CHILD_LIMIT - 1, abi.CHILD_LIMIT]) {
      for (const count of [0, 1, 2, 3, 1000]) {
        const expected = numbers.filter((number) => number >= from).slice(0, count);
        assert.deepEqual(runtime.children([], { from, count }), expected, `${count} from ${from}`);
      }
    }
    assert.throws(() => runtime.children([7]), { code: "NO_PROCESS" });
    for (const range of [{ from: -1 }, { count: 1.5 }, { from: abi.CHILD_LIMIT + 1 }, { to: 3 }] as never[]) {
      assert.throws(() => runtime.children([], range), { code: "BAD_OPTION" });
    }
  });
});
