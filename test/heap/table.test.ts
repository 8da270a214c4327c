/** Tables against maps, and the heap that they lie in. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { createHeap, Heap, KIND_BLOB, type Ref } from "../../runtime/heap/heap.ts";
import { TABLE_LIMIT, tableDiff, tableDiffCount, tableGet, tableUpdate } from "../../runtime/heap/table.ts";
import { hashOf } from "../../runtime/image/hash.ts";
import { HASH_NODE, HASH_VERSION } from "../../runtime/image/record.ts";
import { seeded } from "../seed.ts";

const heap = new Heap(createHeap(256 << 20), 1);
const LEAVES = Array.from({ length: 8 }, (_, i) => heap.blob(Uint8Array.of(i)));

// Indexes that often share nodes: near one another, at the ends, anywhere.
const index = fc.oneof(
  fc.integer({ min: 0, max: 70 }),
  fc.integer({ min: TABLE_LIMIT - 40, max: TABLE_LIMIT - 1 }),
  fc.integer({ min: 0, max: TABLE_LIMIT - 1 }),
);
const writes = fc.array(fc.tuple(index, fc.integer({ min: 0, max: 8 })), { maxLength: 40 });

function update(root: Ref, model: Map<number, Ref>, list: readonly (readonly [number, number])[]): Ref {
  const batch = new Map(list.map(([at, leaf]) => [at, leaf === 0 ? 0 : (LEAVES[leaf - 1] as Ref)] as const));
  const indexes = [...batch.keys()].sort((a, b) => a - b);
  for (const [at, leaf] of batch) {
    if (leaf === 0) model.delete(at);
    else model.set(at, leaf);
  }
  const leaves = indexes.map((at) => batch.get(at) as Ref);
  return tableUpdate(heap, root, indexes, leaves, indexes.length);
}

test("a table is a map: gets, updates, removals, and an empty table is reference 0", (t) => {
  fc.assert(
    fc.property(fc.array(writes, { maxLength: 6 }), (batches) => {
      const model = new Map<number, Ref>();
      let root = 0;
      for (const batch of batches) {
        root = update(root, model, batch);
        for (const [at] of batch) assert.equal(tableGet(heap, root, at), model.get(at) ?? 0);
      }
      assert.equal(root === 0, model.size === 0);
      const seen: [number, Ref][] = [];
      tableDiff(heap, 0, root, (at, _none, leaf) => seen.push([at, leaf]));
      assert.deepEqual(
        seen,
        [...model].sort((a, b) => a[0] - b[0]),
      );
    }),
    seeded(t, 200),
  );
});

test("an update leaves the old table as it was, and one that changes nothing returns it", (t) => {
  fc.assert(
    fc.property(writes, writes, (first, second) => {
      const before = new Map<number, Ref>();
      const root = update(0, before, first);
      const after = new Map(before);
      const next = update(root, after, second);
      for (const [at, leaf] of before) assert.equal(tableGet(heap, root, at), leaf);
      assert.equal(update(next, after, second), next);
    }),
    seeded(t, 200),
  );
});

test("a difference lists exactly the leaves that differ, in ascending order", (t) => {
  fc.assert(
    fc.property(writes, writes, writes, (common, left, right) => {
      const a = new Map<number, Ref>();
      const root = update(0, a, common);
      const b = new Map(a);
      const rootA = update(root, a, left);
      const rootB = update(root, b, right);
      const expected = [...new Set([...a.keys(), ...b.keys()])]
        .filter((at) => a.get(at) !== b.get(at))
        .sort((x, y) => x - y)
        .map((at) => [at, a.get(at) ?? 0, b.get(at) ?? 0]);
      const seen: number[][] = [];
      tableDiff(heap, rootA, rootB, (at, x, y) => seen.push([at, x, y]));
      assert.deepEqual(seen, expected);
      assert.equal(tableDiffCount(heap, rootA, rootB), expected.length);
    }),
    seeded(t, 200),
  );
});

test("a table that is hashed on its way again and again has the hash of its contents", (t) => {
  // Few indexes: nodes get their second child and lose it again, with their children's hashes and without.
  const near = fc.constantFrom(0, 1, 31, 32, 1023, 1024, 32_768, 32_769, TABLE_LIMIT - 1);
  const step = fc.record({
    list: fc.array(fc.tuple(near, fc.integer({ min: 0, max: 8 })), { maxLength: 5 }),
    hashed: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const model = new Map<number, Ref>();
      let root = 0;
      for (const { list, hashed } of steps) {
        root = update(root, model, list);
        if (hashed) assert.deepEqual(Buffer.from(hashOf(heap, root)), plainHash(model));
      }
      assert.deepEqual(Buffer.from(hashOf(heap, root)), plainHash(model));
      // The same contents in objects of their own: leaves that are alike are no difference.
      const leaves = [...model].sort((a, b) => a[0] - b[0]);
      const copies = leaves.map(([, leaf]) => heap.blob(heap.payload(leaf)));
      const indexes = leaves.map(([at]) => at);
      const other = tableUpdate(heap, 0, indexes, copies, copies.length);
      assert.deepEqual(hashOf(heap, other), hashOf(heap, root));
      tableDiff(heap, root, other, (at) => assert.fail(`${at} is alike in both`));
      // One leaf more than both: nothing else is visited.
      const changed = update(root, model, [[5, 1]]);
      hashOf(heap, changed);
      const seen: number[] = [];
      tableDiff(heap, other, changed, (at) => seen.push(at));
      assert.deepEqual(seen, [5]);
      assert.equal(tableDiffCount(heap, other, changed), 1);
    }),
    seeded(t, 200),
  );
});

/** The hash of a table of these leaves, from its definition. */
function plainHash(model: ReadonlyMap<number, Ref>): Buffer {
  let level = new Map([...model].map(([at, leaf]) => [at, sha256(heap.payload(leaf))]));
  for (let depth = 0; depth < 4; depth++) {
    const nodes = Map.groupBy(
      [...level].sort((a, b) => a[0] - b[0]),
      ([at]) => at >>> 5,
    );
    level = new Map(
      [...nodes].map(([at, children]) => {
        const prefix = Buffer.alloc(8);
        prefix.writeUInt32LE(HASH_NODE | (HASH_VERSION << 8), 0);
        prefix.writeInt32LE(
          children.reduce((bits, [index]) => bits | (1 << (index & 31)), 0),
          4,
        );
        return [at, sha256(Buffer.concat([prefix, ...children.map(([, hash]) => hash)]))];
      }),
    );
  }
  return level.get(0) ?? Buffer.alloc(32);
}

function sha256(bytes: Buffer): Buffer {
  return createHash("sha256").update(bytes).digest();
}

test("a node with one child takes one unit", () => {
  const before = heap.blob(new Uint8Array(1));
  const root = tableUpdate(heap, 0, [77], [before], 1);
  assert.equal(heap.blob(new Uint8Array(1)) - before, 2 + 4);
  assert.equal(tableGet(heap, root, 77), before);
});

test("an object larger than a chunk is whole, and the heap says when it is full", () => {
  const small = new Heap(createHeap(4 << 20), 1);
  const bytes = new Uint8Array(2 << 20).map((_, i) => i * 7);
  const ref = small.blob(bytes);
  assert.equal(small.kind(ref), KIND_BLOB);
  assert.deepEqual(new Uint8Array(small.payload(ref)), bytes);
  assert.throws(() => small.blob(bytes), { code: "HEAP_FULL", facts: { limitBytes: 4 << 20 } });
  assert.deepEqual(new Uint8Array(small.payload(ref)), bytes);
});
