/** What is made of a recording: bars that lose no span, the critical path against every path, meetings. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { barsOf, batchOf, type Done } from "../../runtime/inspector/batches.ts";
import type { BlockRecording, SpanRecord } from "../../runtime/record/shapes.ts";

/** A recording of one batch: how long each item took, and from which lower ones it read. */
function recording(micros: readonly number[], edges: readonly (readonly [number, number])[]): BlockRecording {
  const spans = micros.flatMap((length, item): SpanRecord[] => {
    const place = {
      thread: item % 3,
      parent: -1,
      begin: item * 1000,
      batch: 0,
      item,
      incarnation: 0,
    } as const;
    const { begin } = place;
    return [
      { ...place, what: "item", ended: "finished", end: begin + length },
      { ...place, what: "validation", valid: item % 5 !== 4, begin: begin + length, end: begin + length + 1 },
    ];
  });
  const accesses = edges.map(([item, from]) => ({ item, line: 7, from, wrote: true }));
  const report = { items: micros.length, dependencies: null };
  const batch = { report, span: -1, accesses, accessesCut: false, places: [{ line: 7, name: "fees" }] };
  return { spans, batches: [batch] } as unknown as BlockRecording;
}

/** The time of the longest path, by trying all. */
function longest(micros: readonly number[], edges: readonly (readonly [number, number])[]): number {
  const from = (item: number): number =>
    (micros[item] ?? 0) + Math.max(0, ...edges.flatMap(([of, lower]) => (of === item ? [from(lower)] : [])));
  return Math.max(...micros.map((_, item) => from(item)));
}

test("the critical path takes as long as the longest of all paths", () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  for (let round = 0; round < 60; round++) {
    // Every fifth item was aborted, and has no time of its own.
    const micros = Array.from({ length: 9 }, (_, item) => (item % 5 === 4 ? 0 : 1 + random(900)));
    const edges = Array.from({ length: 10 }, () => {
      const item = 1 + random(8);
      return [item, random(item)] as const;
    });
    const { critical, done, edges: found } = batchOf(recording(micros, edges), 0) ?? assert.fail();
    assert.equal(critical.micros, longest(micros, edges), JSON.stringify({ micros, edges }));
    assert.equal(
      critical.items.reduce((sum, item) => sum + (micros[item] ?? 0), 0),
      critical.micros,
    );
    for (const [i, item] of critical.items.entries()) {
      if (i > 0) assert.ok(edges.some(([of, lower]) => of === item && lower === critical.items[i - 1]));
    }
    assert.equal(found.length, new Set(edges.map(String)).size);
    assert.deepEqual(
      done.filter(({ kind }) => kind === "aborted").map(({ item }) => item),
      [4],
    );
  }
});

test("bars are few, and stand for every span in their range", () => {
  const done = Array.from({ length: 5000 }, (_, i): Done => {
    const kind = i % 100 === 99 ? "aborted" : "item";
    return { thread: 0, begin: i * 10, end: i * 10 + 8, kind, item: i, incarnation: 0 };
  });
  const bars = barsOf(done, 0, 50_000, 100);
  assert.ok(bars.length <= 200, `${bars.length} bars`);
  assert.equal(
    bars.reduce((sum, { count }) => sum + count, 0),
    5000,
  );
  assert.equal(
    bars.reduce((sum, { lost }) => sum + lost, 0),
    50,
  );
  const close = barsOf(done, 100, 200, 100);
  assert.deepEqual(
    close.map(({ item }) => item),
    [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
  );
  assert.ok(close.every(({ begin, end }) => begin >= 100 && end <= 200));
});
