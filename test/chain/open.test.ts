/** Opening: what block 0 starts from is held, whatever is collected meanwhile and later. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Block, Runtime, type RuntimeOptions } from "../../runtime/index.ts";
import { quota } from "../driver.ts";
import { guest } from "../fixture.ts";
import { checkTree } from "../kernel/invariants.ts";

const root = await guest("hoarder");
const OPTIONS = { root, memoryQuotaPages: quota(64), retainBlocks: 2 };

async function opened<T>(
  options: Partial<RuntimeOptions>,
  use: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  const runtime = await Runtime.open({ ...OPTIONS, heapBytes: 2 ** 30, ...options });
  try {
    return await use(runtime);
  } finally {
    await runtime.close();
  }
}

test("a block 0 that does not fit into the heap is a clear error, also when it is tried again", async () => {
  for (const workers of [1, 2]) {
    const opening = Runtime.open({ ...OPTIONS, heapBytes: 12 << 20, workers });
    await assert.rejects(opening, { name: "LimitError", code: "HEAP_FULL" });
  }
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
