/**
 * A heap in which one page is kept in each half of a mebibyte, and a block whose data needs two: it is made,
 * or this ends with an error. Without arguments: test/chain/compaction.test.ts runs it with a fault.
 */

import assert from "node:assert/strict";
import { UNIT_BYTES } from "../../runtime/heap/heap.ts";
import { PAGE_BYTES } from "../../runtime/limits.ts";
import { SCRATCH } from "../driver.ts";
import { play, shrinkHeap, withRuntime } from "../fixture.ts";

const BLOCKS = 60;
/** Pages that each block writes again; behind them, in the heap as in memory, one that stays. */
const PAGES = 128;
/** Of the scratch of the driver, two pieces together. */
const PIECE_BYTES = 960 << 10;
// Room is made for whatever a block may do: for little.
const OPTIONS = { workers: 1, views: 0, retainBlocks: 2, gasLimit: 16_000_000, heldGasQuota: 0 };

await withRuntime([], OPTIONS, async (runtime) => {
  const { heap } = runtime.engine;
  for (let block = 0; block < BLOCKS; block++) {
    await play(runtime, (script) => {
      script.fill(SCRATCH, PAGES * PAGE_BYTES, block + 1);
      script.store(SCRATCH + (PAGES + block) * PAGE_BYTES, 1n);
    });
  }
  await runtime.engine.collect({ force: true });
  shrinkHeap(runtime, heap.top * UNIT_BYTES);
  const free = heap.limitBytes - heap.usedBytes;
  const { generation } = heap;
  const { block } = await play(runtime, (script) => {
    script.out(SCRATCH, PIECE_BYTES);
    script.out(SCRATCH, PIECE_BYTES);
  });
  assert.ok(block.data.length > 2 * PIECE_BYTES && free > 4 * block.data.length, `${free} bytes were free`);
  // A collection, and the compaction, which counts as two.
  assert.ok(heap.generation - generation >= 3, "the heap was compacted");
  for (let i = 0; i < BLOCKS; i++) {
    const page = runtime.read([], SCRATCH + (PAGES + i) * PAGE_BYTES, 8);
    assert.deepEqual(page[0], 1);
  }
});
