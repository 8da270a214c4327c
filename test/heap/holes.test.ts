/** Free space: what an allocation looks at, however many holes there are, and that none is given twice. */

import "../counting.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { collect } from "../../runtime/heap/collect.ts";
import { createHeap, Heap, type Ref } from "../../runtime/heap/heap.ts";
import { work } from "../../runtime/work.ts";
import { random } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";

const MOST_VISITED = 5;

/** A heap with so many holes of `bytes`, each between two objects that live. */
function holey(holes: number, bytes: number): Heap {
  const heap = new Heap(createHeap(1 << 28), 1);
  const kept: Ref[] = [];
  for (let i = 0; i < 2 * holes + 1; i++) {
    const ref = heap.blob(new Uint8Array(bytes).fill(i));
    if (i % 2 === 0) kept.push(ref);
  }
  heap.roots = new Set(kept);
  collect(heap);
  return heap;
}

test("an allocation looks at a few holes, whether there are ten or ten thousand", () => {
  for (const holes of [10, 10_000]) {
    // What fits, what is a little too large for each hole, and what is far too large.
    for (const bytes of [4_096, 4_200, 80_000]) {
      const heap = holey(holes, 4_096);
      let most = 0;
      for (let i = 0; i < 400; i++) {
        const before = work.holesVisited;
        heap.blob(new Uint8Array(bytes));
        most = Math.max(most, work.holesVisited - before);
      }
      assert.ok(
        most <= MOST_VISITED && (most > 0 || bytes > 4_200),
        `${holes} holes, objects of ${bytes} bytes: ${most}`,
      );
    }
  }
});

test("what is in use is never handed out, whatever is freed between", (t) => {
  const next = random(baseSeed(t));
  const heap = new Heap(createHeap(32 << 20), 1);
  let live: { ref: Ref; bytes: Buffer }[] = [];
  for (let round = 0; round < 30; round++) {
    for (let i = 0; i < 120; i++) {
      const bytes = Buffer.alloc(1 + next(2 ** (3 + next(15))), 1 + next(255));
      live.push({ ref: heap.blob(bytes), bytes });
    }
    for (const { ref, bytes } of live) assert.ok(bytes.equals(heap.payload(ref)));
    live = live.filter(() => next(3) === 0);
    heap.roots = new Set(live.map(({ ref }) => ref));
    collect(heap);
  }
  assert.ok(heap.usedBytes < heap.limitBytes / 2);
});
