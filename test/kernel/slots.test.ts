/** Which instance a process gets: its memory holds the image, whatever it held before. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { loadProgram } from "../../runtime/chain/genesis.ts";
import { collect } from "../../runtime/heap/collect.ts";
import { createHeap, Heap, type Ref } from "../../runtime/heap/heap.ts";
import { MemoryEdit, readMemory } from "../../runtime/image/memory.ts";
import { freshProcess } from "../../runtime/kernel/images.ts";
import { LoadedProgram } from "../../runtime/kernel/program.ts";
import type { KernelImports, Slot } from "../../runtime/kernel/slots/slot.ts";
import { SlotPool } from "../../runtime/kernel/slots/slot-pool.ts";
import { PAGE_BYTES, SLOTS_LIMIT, WASM_PAGE_BYTES } from "../../runtime/limits.ts";
import { admit } from "../../runtime/program/admit.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import { guest } from "../fixture.ts";
import { build } from "../program/build.ts";
import { baseSeed } from "../seed.ts";
import { random } from "./trees.ts";

const WASM_PAGES = 4;
const PAGES = (WASM_PAGES * WASM_PAGE_BYTES) / PAGE_BYTES;

const never = (): never => assert.fail("nothing runs here");
const IMPORTS: KernelImports = {
  ...{ put: never, get: never, ret: never, snapshot: never },
  ...{ grow: never, abort: never, accumulate: never },
};

/** A pool of one program, and memories of processes that run nothing. */
async function scene() {
  const heap = new Heap(createHeap(1 << 28), 1);
  const program = new LoadedProgram(await loadProgram(heap, admit(await guest("trivial"))));
  const { ref, handle } = program;
  const pool = new SlotPool(heap, IMPORTS);
  const slots = new Set<Slot>();
  return {
    heap,
    slots,
    /** `memory` with some pages changed, one in four to zeros. */
    change(memory: Ref, pages: number, next: (limit: number) => number): Ref {
      const edit = new MemoryEdit(heap, memory);
      for (let i = 0; i < pages; i++) {
        const page = Buffer.alloc(PAGE_BYTES, next(4) === 0 ? 0 : 1 + next(255));
        edit.write(next(PAGES) * PAGE_BYTES, page, 0, PAGE_BYTES);
      }
      return edit.commit();
    },
    /** Takes a slot for it, compares, and gives it back. */
    visit(memory: Ref, place: number): Slot {
      const image = freshProcess(program, WASM_PAGES, 0);
      image.memoryPages = WASM_PAGES;
      image.memory = memory;
      const slot = pool.take(program.sequential, image, place);
      const expected = Buffer.alloc(PAGES * PAGE_BYTES);
      readMemory(heap, memory, 0, expected, 0, expected.length);
      assert.ok(expected.equals(slot.memory), "the memory holds the image");
      pool.release(slot, WASM_PAGES);
      slots.add(slot);
      return slot;
    },
    collect(memories: readonly Ref[]): void {
      heap.roots = new Set([...memories, ref, handle.initialMemory, handle.initialGlobals]);
      collect(heap);
      pool.forget(() => true);
    },
  };
}

test("memories that change, come back, are forgotten: an instance holds what it was taken for", async (t) => {
  const next = random(baseSeed(t));
  const { heap, change, visit, collect } = await scene();
  const memories = Array.from({ length: 12 }, () => change(0, 2 * PAGES, next));
  for (let step = 0; step < 3000; step++) {
    const index = next(memories.length);
    const choice = next(40);
    if (choice === 0) collect(memories);
    else if (choice < 20) memories[index] = change(memories[index] as Ref, 1 + next(3), next);
    else if (choice < 24) memories[index] = change(0, 1 + next(2 * PAGES), next);
    visit(memories[index] as Ref, index + next(2));
  }
  assert.ok(heap.generation > 30);
});

test("a process whose memory is all new each time stays in one instance; so do copies of it", async (t) => {
  const next = random(baseSeed(t));
  const { slots, change, visit } = await scene();
  for (let round = 0; round < 20; round++) {
    const parent = change(0, 4 * PAGES, next);
    visit(parent, 1);
    for (let copy = 0; copy < 4; copy++) visit(change(parent, 5, next), 10 + copy);
  }
  assert.ok(slots.size <= 3, `${slots.size} instances`);
});

test("processes that take turns have an instance each, also when each turn changes a page", async (t) => {
  const next = random(baseSeed(t));
  const { change, visit } = await scene();
  const memories = Array.from({ length: 30 }, () => change(0, 4 * PAGES, next));
  const first = memories.map((memory, place) => visit(memory, place));
  assert.equal(new Set(first).size, 30);
  for (let round = 0; round < 3; round++) {
    memories.forEach((memory, place) => {
      memories[place] = change(memory, 1, next);
      assert.equal(visit(memories[place] as Ref, place), first[place]);
    });
  }
});

test("a collection leaves an instance its contents if they live on, else its memory", async (t) => {
  const next = random(baseSeed(t));
  const { change, visit, collect } = await scene();
  const [kept, lost] = [change(0, 4 * PAGES, next), change(0, 4 * PAGES, next)];
  const [first, second] = [visit(kept, 1), visit(lost, 2)];
  collect([kept]);
  assert.equal(visit(kept, 1), first);
  // Of the pages that are zero now, some were not before.
  assert.equal(visit(change(0, 2 * PAGES, next), 3), second);
});

test("programs that take turns in more instances than there may be share memories", async (t) => {
  const heap = new Heap(createHeap(1 << 28), 1);
  const programs: LoadedProgram[] = [];
  for (let i = 0; i < SLOTS_LIMIT + 20; i++) {
    const bytes = build({
      memory: [1, 2],
      functions: [{ parameters: [op.I64], results: [op.I64], export: "run", code: (c) => c.i64(BigInt(i)) }],
      data: [{ offset: 8 * i, bytes: Uint8Array.of(1 + (i & 127)) }],
    });
    programs.push(new LoadedProgram(await loadProgram(heap, admit(bytes))));
  }
  const { Memory } = WebAssembly;
  let made = 0;
  t.after(() => {
    WebAssembly.Memory = Memory;
  });
  WebAssembly.Memory = class extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(descriptor);
      made++;
    }
  };
  const pool = new SlotPool(heap, IMPORTS);
  for (let round = 0; round < 3; round++) {
    programs.forEach((program, i) => {
      const slot = pool.take(program.sequential, freshProcess(program, 1, 0), i);
      assert.equal(slot.program, program);
      const expected = Buffer.alloc(WASM_PAGE_BYTES);
      expected[8 * i] = 1 + (i & 127);
      assert.ok(expected.equals(slot.memory), "the memory holds the image");
      pool.release(slot, 1);
    });
  }
  assert.equal(made, 2 * SLOTS_LIMIT);
});
