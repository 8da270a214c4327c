/** Installed programs on a thread: what an image can reach stays compiled, and what is gone does not. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { collect } from "../../runtime/heap/collect.ts";
import { createHeap, Heap } from "../../runtime/heap/heap.ts";
import { FIRST_COSTS } from "../../runtime/kernel/gas.ts";
import { Programs } from "../../runtime/kernel/program.ts";
import { tinyModule } from "../gas/modules.ts";

test("a program whose bytes a collection keeps stays compiled, the others go", () => {
  const heap = new Heap(createHeap(1 << 26), 1);
  const programs = new Programs(heap, []);
  const [kept, gone] = [1, 2].map((number) => programs.install(Buffer.from(tinyModule(number))));
  if (kept === undefined || gone === undefined) throw new Error("not installed");
  const both = programs.installedBytes;
  for (let round = 0; round < 3; round++) {
    // Nobody looks it up between collections.
    heap.roots = new Set([kept.ref]);
    collect(heap);
    programs.forget();
  }
  assert.equal(programs.installedBytes, both / 2);
  assert.equal(programs.withHash(gone.handle.hashHex), null);
  const again = programs.get(kept.ref);
  assert.equal(again.sequential.module, kept.sequential.module, "it was not compiled again");
  assert.notEqual(again, kept, "its initial memory may be gone");
  heap.roots = new Set();
  collect(heap);
  programs.forget();
  assert.equal(programs.installedBytes, 0);
});

test("between collections bytes are bounded, not the number of programs", () => {
  const heap = new Heap(createHeap(1 << 26), 1);
  const size = tinyModule(1).length;
  const programs = new Programs(heap, [], { kit: 0, costs: FIRST_COSTS, installedBytes: 100 * size });
  const all = Array.from({ length: 300 }, (_, i) => programs.install(Buffer.from(tinyModule(i + 1))));
  assert.equal(programs.installedBytes, 100 * size);
  const known = all.map(({ handle }) => programs.withHash(handle.hashHex) !== null);
  assert.equal(known.lastIndexOf(false), 199, "the oldest went");
  const first = all[0] as (typeof all)[0];
  assert.equal(programs.get(first.ref).handle.hashHex, first.handle.hashHex, "and comes back from its bytes");
  assert.equal(programs.installedBytes, 100 * size);
});
