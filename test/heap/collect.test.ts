/** Collection: what it keeps, what it gives back, and that recycled space remembers nothing. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { collect } from "../../runtime/heap/collect.ts";
import { compact } from "../../runtime/heap/compact.ts";
import { createHeap, Heap, type Ref, UNIT_BYTES, unitsOf } from "../../runtime/heap/heap.ts";
import { tableDiff, tableUpdate } from "../../runtime/heap/table.ts";
import { hashOf } from "../../runtime/image/hash.ts";
import { random } from "../kernel/trees.ts";
import { baseSeed, seeded } from "../seed.ts";

function collectAll(heap: Heap, roots: readonly Ref[]): void {
  heap.roots = new Set(roots);
  collect(heap);
}

test("what roots reach survives collections with its contents; the rest is handed out again", (t) => {
  const step = fc.record({
    writes: fc.array(fc.tuple(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 1, max: 9000 })), {
      minLength: 1,
      maxLength: 30,
    }),
    keep: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      const heap = new Heap(createHeap(64 << 20), 1);
      const kept: { root: Ref; model: Map<number, Buffer>; hash: Buffer }[] = [];
      let root = 0;
      let model = new Map<number, Buffer>();
      for (const { writes, keep } of steps) {
        const batch = new Map(writes.map(([index, length]) => [index, Buffer.alloc(length, index + length)]));
        const indexes = [...batch.keys()].sort((a, b) => a - b);
        root = tableUpdate(
          heap,
          root,
          indexes,
          indexes.map((index) => heap.blob(batch.get(index) as Buffer)),
          indexes.length,
        );
        model = new Map([...model, ...batch]);
        if (keep) kept.push({ root, model, hash: Buffer.from(hashOf(heap, root)) });
        collectAll(heap, [root, ...kept.map((one) => one.root)]);
        for (const one of [...kept, { root, model, hash: Buffer.from(hashOf(heap, root)) }]) {
          const seen = new Map<number, Buffer>();
          tableDiff(heap, 0, one.root, (index, _none, leaf) =>
            seen.set(index, Buffer.from(heap.payload(leaf))),
          );
          assert.deepEqual(seen, new Map([...one.model].sort((a, b) => a[0] - b[0])));
          assert.deepEqual(Buffer.from(hashOf(heap, one.root)), one.hash);
        }
      }
    }),
    seeded(t, 25),
  );
});

test("a heap of 8 MiB serves far more than it holds, large objects too, as long as little is kept", () => {
  const heap = new Heap(createHeap(8 << 20), 1);
  const kept = heap.blob(new Uint8Array(100_000).fill(7));
  for (let round = 0; round < 200; round++) {
    heap.blob(new Uint8Array(1_500_000).fill(round));
    for (let i = 0; i < 100; i++) heap.blob(new Uint8Array(4096).fill(i));
    collectAll(heap, [kept]);
  }
  assert.ok(heap.payload(kept).every((byte) => byte === 7));
  assert.ok(heap.usedBytes < 2 << 20, `${heap.usedBytes} bytes are in use`);
});

test("a recycled object has no hash of its former self", () => {
  const heap = new Heap(createHeap(4 << 20), 1);
  const first = hashOf(heap, heap.blob(new Uint8Array(4000).fill(1)));
  for (let i = 2; i < 5000; i++) {
    if (i % 100 === 0) collectAll(heap, []);
    assert.notDeepEqual(hashOf(heap, heap.blob(new Uint8Array(4000).fill(2))), first);
  }
});

test("a thread that sleeps over one collection knows what outlived it; over two, it knows of nothing", () => {
  const handle = createHeap(8 << 20);
  const [collector, sleeper] = [new Heap(handle, 1), new Heap(handle, 2)];
  const [kept, dropped] = [collector.blob(new Uint8Array(5000)), collector.blob(new Uint8Array(5000))];
  const rest = collector.blob(new Uint8Array(5000));
  collectAll(collector, [kept, rest]);
  sleeper.refresh();
  assert.deepEqual(
    [kept, dropped, rest, 0].map((ref) => sleeper.outlived(ref)),
    [true, false, true, false],
  );
  assert.deepEqual(
    [kept, dropped].map((ref) => collector.outlived(ref)),
    [true, false],
  );
  collectAll(collector, [kept]);
  collectAll(collector, [kept]);
  sleeper.refresh();
  assert.equal(sleeper.outlived(kept), false);
});

test("compaction: one page in each mebibyte leaves no room for two; moved together they do", (t) => {
  const next = random(baseSeed(t));
  const heap = new Heap(createHeap(32 << 20), 1);
  const full = { code: "HEAP_FULL" };
  let root = 0;
  const model = new Map<number, Buffer>();
  const pins: [Ref, Buffer][] = [];
  assert.throws(() => {
    for (let i = 0; ; i++) {
      const bytes = Buffer.alloc(i % 3 === 0 ? 4096 : 1 + next(40_000), i);
      const ref = heap.blob(bytes);
      if (i % 40 === 0) {
        root = tableUpdate(heap, root, [i], [ref], 1);
        model.set(i, bytes);
      } else if (i % 51 === 0 && i < 200) pins.push([ref, bytes]);
    }
  }, full);
  const hash = Buffer.from(hashOf(heap, root));
  const roots = [root, ...pins.map(([ref]) => ref)];
  collectAll(heap, roots);
  assert.ok(heap.usedBytes < 8 << 20, `${heap.usedBytes} bytes`);
  assert.throws(() => heap.blob(new Uint8Array(8 << 20)), full);
  const { generation } = heap;
  compact(heap, new Set(roots));
  assert.ok(((heap.generation - generation) | 0) === 2);
  heap.blob(new Uint8Array(16 << 20).fill(1));
  // What was made since, and a collection, do not disturb it.
  for (let round = 0; round < 2; round++) {
    const seen = new Map<number, Buffer>();
    tableDiff(heap, 0, root, (index, _none, leaf) => seen.set(index, Buffer.from(heap.payload(leaf))));
    assert.deepEqual(seen, model);
    assert.deepEqual(Buffer.from(hashOf(heap, root)), hash);
    for (const [ref, bytes] of pins) assert.ok(bytes.equals(heap.payload(ref)));
    collectAll(heap, roots);
    heap.blob(new Uint8Array(16 << 20).fill(2));
  }
});

test("of what a thread makes little is lost, whatever the sizes", () => {
  for (const bytes of [600_000, 70_000, 65_000, 4096, 3000, 200]) {
    const heap = new Heap(createHeap(64 << 20), 1);
    let made = 0;
    assert.throws(
      () => {
        for (;;) {
          heap.blob(new Uint8Array(bytes));
          made += unitsOf(bytes) * UNIT_BYTES;
        }
      },
      { code: "HEAP_FULL" },
    );
    assert.ok(made > 0.9 * heap.limitBytes, `objects of ${bytes} bytes: ${made} bytes fit`);
  }
});
