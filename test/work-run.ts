/** Does a few things whose work is known, and prints what was counted for each: of work.test.ts. */

import { createHeap, Heap } from "../runtime/heap/heap.ts";
import { tableDiff, tableGet } from "../runtime/heap/table.ts";
import { hashOf } from "../runtime/image/hash.ts";
import { MemoryEdit, pageEquals } from "../runtime/image/memory.ts";
import { type Work, work } from "../runtime/work.ts";

const heap = new Heap(createHeap(1 << 24), 1);
const edit = new MemoryEdit(heap, 0);
let root = 0;
let page = 0;

const STEPS: readonly (() => void)[] = [
  () => {
    edit.write(4096 * 40 + 5, Buffer.from("abc"), 0, 3);
    root = edit.commit();
  },
  () => {
    page = tableGet(heap, root, 40);
  },
  () => tableGet(heap, root, 99),
  () => pageEquals(heap, page, Buffer.alloc(4096), 0),
  () => tableDiff(heap, 0, root, () => {}),
  () => hashOf(heap, root),
  () => hashOf(heap, root),
];

const counted = STEPS.map((step) => {
  const before = { ...work };
  step();
  const kinds = Object.keys(work) as (keyof Work)[];
  const changed = kinds.filter((kind) => work[kind] !== before[kind]);
  return Object.fromEntries(changed.map((kind) => [kind, work[kind] - before[kind]]));
});
console.log(JSON.stringify(counted));
