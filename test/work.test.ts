/** Counts of work: what is counted, and that nothing is without the switch. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

const PROGRAM = `
  const { createHeap, Heap } = await import("./runtime/heap/heap.ts");
  const { tableGet, tableUpdate, tableDiff } = await import("./runtime/heap/table.ts");
  const { MemoryEdit, pageEquals } = await import("./runtime/image/memory.ts");
  const { hashOf } = await import("./runtime/image/hash.ts");
  const { work } = await import("./runtime/work.ts");
  const steps = [];
  let before = { ...work };
  const step = () => {
    const changed = Object.entries(work).filter(([key, n]) => n !== before[key]);
    steps.push(changed.map(([key, n]) => [key, n - before[key]]));
    before = { ...work };
  };
  const heap = new Heap(createHeap(1 << 24), 1);
  const edit = new MemoryEdit(heap, 0);
  edit.write(4096 * 40 + 5, Buffer.from("abc"), 0, 3);
  const root = edit.commit();
  step();
  tableGet(heap, root, 40);
  step();
  tableGet(heap, root, 99);
  step();
  const page = tableGet(heap, root, 40);
  before = { ...work };
  pageEquals(heap, page, Buffer.alloc(4096), 0);
  step();
  tableDiff(heap, 0, root, () => {});
  step();
  hashOf(heap, root);
  step();
  hashOf(heap, root);
  step();
  console.log(JSON.stringify(steps));
`;

function run(counting: string): [kind: string, units: number][][] {
  const env = { ...process.env, STILLPOINT_COUNT_WORK: counting };
  const args = ["--input-type=module", "-e", PROGRAM];
  return JSON.parse(execFileSync(process.execPath, args, { env, encoding: "utf8" }));
}

test("work is counted by kind", () => {
  const page = 4096;
  assert.deepEqual(run("1"), [
    // The page is made and filled, then looked up for the three bytes; four nodes lead to it.
    [
      ["nodesVisited", 4],
      ["nodesMade", 4],
      ["bytesCompared", page],
      ["bytesCopied", page + 3],
      ["heapBytes", page + 64 + 4 * 64],
    ],
    [["nodesVisited", 4]],
    // Nothing lies on the way to page 99 below the second node.
    [["nodesVisited", 3]],
    [["bytesCompared", page]],
    [["nodesVisited", 4]],
    [
      ["bytesHashed", page + 4 * (8 + 32)],
      ["objectsHashed", 5],
    ],
    [],
  ]);
});

test("without the switch nothing is counted", () => {
  assert.deepEqual(run(""), [[], [], [], [], [], [], []]);
});
