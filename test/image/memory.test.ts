/** Memories against flat bytes, and their incremental hashes against the definition. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import {
  createHeap,
  HEADER_HASH,
  HEADER_HASHED,
  HEADER_REFERENCES,
  Heap,
  KIND_NODE,
  type Ref,
  referencesOf,
  UNIT_WORDS,
} from "../../runtime/heap/heap.ts";
import { tableDiffCount, tableGet } from "../../runtime/heap/table.ts";
import { HASH_VERSION, hashBackwards, hashObject, hashOf } from "../../runtime/image/hash.ts";
import { MemoryEdit, readMemory } from "../../runtime/image/memory.ts";
import { seeded } from "../seed.ts";

const heap = new Heap(createHeap(1 << 30), 1);
const SIZE = 5 * 4096;

const range = fc
  .tuple(fc.integer({ min: 0, max: SIZE }), fc.integer({ min: 0, max: SIZE }))
  .map(([a, b]) => ({ from: Math.min(a, b), length: Math.abs(a - b) }));
const operation = fc.record({ range, zero: fc.boolean(), seed: fc.integer({ min: 0, max: 255 }) });

function contents(root: Ref): Buffer {
  const bytes = Buffer.alloc(SIZE);
  readMemory(heap, root, 0, bytes, 0, SIZE);
  return bytes;
}

test("edits of a memory are writes to flat bytes, and an old memory never changes", (t) => {
  fc.assert(
    fc.property(fc.array(fc.array(operation, { maxLength: 6 }), { maxLength: 5 }), (edits) => {
      const model = Buffer.alloc(SIZE);
      let root = 0;
      let present = 0;
      for (const operations of edits) {
        const before = contents(root);
        const old = root;
        const edit = new MemoryEdit(heap, root);
        for (const { range, zero, seed } of operations) {
          const bytes = Buffer.from(Array.from({ length: range.length }, (_, i) => (i % 3 === 0 ? seed : 0)));
          if (zero) edit.zero(range.from, range.length);
          else edit.write(range.from, bytes, 0, range.length);
          if (zero) model.fill(0, range.from, range.from + range.length);
          else bytes.copy(model, range.from);
          // The edit continues in place.
          if (seed % 2 === 0) edit.commit();
        }
        root = edit.commit();
        present += edit.morePresent;
        assert.equal(present, tableDiffCount(heap, 0, root), "pages that are present");
        assert.deepEqual(contents(root), model);
        assert.deepEqual(contents(old), before);
      }
      for (let page = 0; page < SIZE / 4096; page++) {
        const zero = model.subarray(page * 4096, page * 4096 + 4096).every((byte) => byte === 0);
        assert.equal(tableGet(heap, root, page) === 0, zero, `page ${page}: absent if and only if all zero`);
      }
      assert.deepEqual(Buffer.from(hashOf(heap, root)), fullHash(model), "incremental hash against full");
    }),
    seeded(t, 100),
  );
});

/** The root of a memory from its bytes alone: the definition, without tables. */
function fullHash(bytes: Buffer): Buffer {
  const zero = Buffer.alloc(32);
  const level = (first: number, shift: number): Buffer => {
    if (shift < 0) {
      const page = bytes.subarray(first * 4096, first * 4096 + 4096);
      return page.every((byte) => byte === 0) ? zero : createHash("sha256").update(page).digest();
    }
    let bitmap = 0;
    const present: Buffer[] = [];
    for (let i = 0; i < 32; i++) {
      const child = first + i * 2 ** shift;
      if (child * 4096 >= bytes.length) break;
      const hash = level(child, shift - 5);
      if (hash.equals(zero)) continue;
      bitmap |= 1 << i;
      present.push(hash);
    }
    if (bitmap === 0) return zero;
    const head = Buffer.alloc(8);
    head.writeUInt8(1, 0);
    head.writeUInt8(HASH_VERSION, 1);
    head.writeUInt32LE(bitmap >>> 0, 4);
    return createHash("sha256").update(head).update(Buffer.concat(present)).digest();
  };
  return level(0, 15);
}

test("two threads hash from both ends, wherever they meet", () => {
  const pages = 3000;
  const bytes = Buffer.alloc(pages * 4096);
  for (let i = 0; i < pages; i += 1 + (i % 3)) bytes.writeUInt32LE(i + 1, i * 4096 + 8);
  const expected = fullHash(bytes);
  const make = (): Ref => {
    const edit = new MemoryEdit(heap, 0);
    edit.write(0, bytes, 0, bytes.length);
    return edit.commit();
  };
  const alone = make();
  hashBackwards(heap, alone);
  assert.deepEqual(Buffer.from(hashOf(heap, alone)), expected);
  // The other one does its part while this one stands in the middle of its own: a share of the leaf nodes.
  for (let share = 0; share <= 1; share += 0.25) {
    const root = make();
    let calls = 0;
    hashObject(heap, root, () => {
      calls++;
      for (const node of leafNodes(root).slice(-Math.ceil(share * 94))) hashBackwards(heap, node);
    });
    assert.equal(calls, 1);
    assert.deepEqual(Buffer.from(hashOf(heap, root)), expected);
  }
  const small = new MemoryEdit(heap, 0);
  small.write(0, bytes, 0, 10 * 4096);
  hashObject(heap, small.commit(), () => assert.fail("too little for two"));
});

/** The lowest nodes of a memory of at most 4 MiB × 32. */
function leafNodes(root: Ref): Ref[] {
  const children = (node: Ref): number[] => {
    const first = referencesOf(heap.words, node);
    return [
      ...heap.words.subarray(first, first + (heap.words[node * UNIT_WORDS + HEADER_REFERENCES] as number)),
    ];
  };
  return children(root).flatMap(children).flatMap(children);
}

test("the oracle finds a hash that was not recomputed", () => {
  const write = (value: number, root: Ref): Ref => {
    const edit = new MemoryEdit(heap, root);
    edit.write(100, Buffer.of(value), 0, 1);
    return edit.commit();
  };
  const first = write(1, 0);
  hashOf(heap, first);
  const second = write(2, first);
  assert.equal(heap.kind(second), KIND_NODE);
  // The planted fault: the new top node claims the hash of the old one.
  const [from, to] = [first * UNIT_WORDS, second * UNIT_WORDS];
  heap.words.copyWithin(to + HEADER_HASH, from + HEADER_HASH, from + UNIT_WORDS);
  heap.words[to + HEADER_HASHED] = 1;
  assert.notDeepEqual(Buffer.from(hashOf(heap, second)), fullHash(contents(second)));
});
