/** Integers to which many items of a batch add at once, in parallel against the loop. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { BatchReport, Runtime, RuntimeOptions } from "../../runtime/index.ts";
import { type Item, openBatches, runBatch } from "./batches.ts";
import { batch, item, op, SCRIPT } from "./scripts.ts";

const ITEMS = 500;
/** u64, bounded by 0 and the width. */
const PLAIN = 0x1000;
const SUBTRACT = 0x1004;

/** What each batch leaves in `runtime`, and how it ran. */
async function play(options: Partial<RuntimeOptions>, batches: readonly (readonly Item[])[]) {
  const reports: BatchReport[] = [];
  await using runtime: Runtime = await openBatches(SCRIPT, {
    ...options,
    onBatch: (one) => void reports.push(one),
  });
  const outcomes = [];
  for (const items of batches) outcomes.push(await runBatch(runtime, batch(items)));
  const counter = Buffer.from(runtime.read([1], 0, 8)).readBigUInt64LE(0);
  return { outcomes, reports, counter };
}

const force: Partial<RuntimeOptions> = { workers: 4, debug: { force: true, paranoid: true } };
const loop: Partial<RuntimeOptions> = { workers: 1, runner: "sequential" };

test("additions to one integer do not conflict", async () => {
  const items = Array.from({ length: ITEMS }, (_, i) => item([op.accumulate(0, i, PLAIN), op.work(300)]));
  const found = await play(force, [items]);
  assert.equal(found.counter, BigInt((ITEMS * (ITEMS - 1)) / 2));
  assert.deepEqual(found.outcomes, (await play(loop, [items])).outcomes);
  const [report] = found.reports as [BatchReport];
  assert.deepEqual([report.parallel, report.executions, report.aborts], [ITEMS, ITEMS, 0]);
});

test("a reader sees the exact prefix, also when those before it run again", async () => {
  // Every tenth item adds what it finds elsewhere, which the one before it has just written.
  const items = Array.from({ length: ITEMS }, (_, i) => {
    if (i % 50 === 49) return item([op.read(0), op.output()]);
    if (i % 10 === 9)
      return item([op.copyAdd(4096, 4160, i), op.skipUnless(4160, 1, 1), op.accumulate(0, 1000, PLAIN)]);
    if (i % 10 === 8) return item([op.work(5000), op.add(4096, i)]);
    return item([op.accumulate(0, 1, PLAIN)]);
  });
  const found = await play(force, [items, items]);
  const expected = await play(loop, [items, items]);
  assert.equal(found.counter, expected.counter);
  assert.deepEqual(found.outcomes, expected.outcomes);
});

test("what does not fit is refused exactly where it does not", async () => {
  const fill = Array.from({ length: 20 }, () => item([op.accumulate(0, 5, PLAIN)]));
  const items = Array.from({ length: ITEMS }, (_, i) =>
    item([op.accumulate(0, i % 3 === 0 ? 7 : 9, i % 5 === 0 ? PLAIN : SUBTRACT), op.output()]),
  );
  const found = await play(force, [fill, items]);
  const expected = await play(loop, [fill, items]);
  assert.deepEqual(found.outcomes, expected.outcomes);
  const answers = new Set(found.outcomes[1]?.outcomes.map(({ code }) => code));
  assert.equal(answers.size, 2, "some are applied and some are not");
});

test("what a faulting item has added vanishes", async () => {
  const items = Array.from({ length: ITEMS }, (_, i) =>
    item([op.accumulate(0, 1, PLAIN), ...(i % 7 === 0 ? [op.fail(i)] : [])]),
  );
  const found = await play(force, [items]);
  assert.equal(found.counter, BigInt(ITEMS - Math.ceil(ITEMS / 7)));
  assert.deepEqual(found.outcomes, (await play(loop, [items])).outcomes);
});

test("an item adds to a thousand lines, and a thousand times to one; others read some of them", async () => {
  const items = Array.from({ length: 60 }, (_, i) =>
    item(
      [
        op.accumulateMany((i % 3) * 4096, 1000, 64),
        // Of those the item has added to itself, in the middle of many.
        ...(i % 4 === 3 ? [op.sum(8192 + 64 * i, 2048), op.accumulateMany(8192, 100, 64)] : []),
        op.accumulateMany(8 + 8 * (i % 2), 1000, 0),
        // Overlaps both.
        op.accumulate(0, 1, 1),
        op.output(),
      ],
      100_000_000,
    ),
  );
  const found = await play(force, [items, items]);
  const expected = await play(loop, [items, items]);
  assert.equal(found.counter, expected.counter);
  assert.deepEqual(found.outcomes, expected.outcomes);
  assert.ok(found.outcomes.every(({ outcomes }) => outcomes.every(({ status }) => status === 1)));
  assert.ok(found.reports.every(({ parallel }) => parallel === 60));
});
