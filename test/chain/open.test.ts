/** Opening: what block 0 starts from is held, whatever is collected meanwhile and later. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHeap, HEAP_BYTES_PER_QUOTA_PAGE } from "../../runtime/chain/bounds.ts";
import { checkOptions } from "../../runtime/chain/options.ts";
import { CHUNK_BYTES } from "../../runtime/heap/heap.ts";
import { type Block, Runtime, type RuntimeOptions, type UsageError } from "../../runtime/index.ts";
import { quota } from "../driver.ts";
import { guest, smallestHeap } from "../fixture.ts";
import { checkTree } from "../kernel/invariants.ts";

const root = await guest("hoarder");
const OPTIONS = { root, gasLimit: 4_000_000_000, memoryQuotaPages: quota(64), retainBlocks: 2 };

async function opened<T>(
  options: Partial<RuntimeOptions>,
  use: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  const runtime = await Runtime.open({ ...OPTIONS, ...options });
  try {
    return await use(runtime);
  } finally {
    await runtime.close();
  }
}

test("a heap that does not hold the worst block is refused with the arithmetic", async () => {
  const rules = { ...OPTIONS, gasLimit: 2_000_000_000, heldGasQuota: 1_200_000_000, workers: 1 };
  const heapBytes = smallestHeap(rules);
  await opened({ ...rules, heapBytes }, async (runtime) => {
    await runtime.produce(new Uint8Array());
  });
  await assert.rejects(Runtime.open({ ...rules, heapBytes: heapBytes - 1 }), (error: UsageError) => {
    assert.equal(error.code, "BAD_OPTION");
    const { needed, stateBytes, blockBytes, fixedBytes } = error.facts as Record<string, number>;
    assert.equal(needed, heapBytes);
    assert.equal(Number(stateBytes) + Number(blockBytes) + Number(fixedBytes), heapBytes);
    // 17/32 bytes for a gas, and two pieces for each of four threads.
    assert.equal(blockBytes, 1_700_000_000 + 4 * 2 * CHUNK_BYTES);
    assert.equal(stateBytes, OPTIONS.memoryQuotaPages * HEAP_BYTES_PER_QUOTA_PAGE);
    assert.match(error.message, new RegExp(`"heapBytes" is ${heapBytes - 1}.* need ${heapBytes} .*gasLimit`));
    return true;
  });
});

test("programs of genesis that are large count as they are", () => {
  const settings = checkOptions({
    ...OPTIONS,
    heapBytes: smallestHeap({ ...OPTIONS, workers: 1 }),
    workers: 1,
  });
  checkHeap(settings, settings, 10 << 20);
  assert.throws(() => checkHeap(settings, settings, 40 << 20), /a block may need/);
});

test("what block 0 left running, and block 0 itself, outlive collections", async () => {
  const run = (workers: number) =>
    opened({ workers }, async (runtime) => {
      const trace = await runtime.trace(0);
      const seen: string[] = [];
      for (let block = 0; block < 4; block++) {
        await runtime.engine.collect();
        seen.push((await runtime.produce(new Uint8Array())).id);
        await runtime.engine.collect();
        checkTree(runtime);
      }
      await runtime.revert(runtime.blocks()[0] as Block);
      seen.push((await runtime.produce(new Uint8Array())).id);
      return [seen, trace];
    });
  assert.deepEqual(await run(3), await run(1));
});

test("the image before block 0 is a root of every collection, and its trace stays the same", async () => {
  await opened({ workers: 2, retainBlocks: 10 }, async (runtime) => {
    const { engine } = runtime;
    const first = await runtime.trace(0);
    for (let block = 0; block < 4; block++) {
      const { generation } = engine.heap;
      const start = engine.sharedRefs().at(-1) as number;
      await engine.collect();
      await runtime.produce(new Uint8Array());
      if (engine.heap.generation > generation) assert.ok(engine.heap.roots.has(start));
      assert.deepEqual(await runtime.trace(0), first);
      checkTree(runtime);
    }
    assert.ok(engine.heap.generation > 0, "it was collected");
  });
});
