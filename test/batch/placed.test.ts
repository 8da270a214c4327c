/** Reports and hints of batches carry the block they belong to, also of blocks that run side by side. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { BatchReport, Candidate, RuntimeEvent } from "../../runtime/index.ts";
import { quota } from "../driver.ts";
import { type BatchInput, batchMetadata, openBatches } from "./batches.ts";
import { batch, item, line, op, SCRIPT } from "./scripts.ts";

const OPTIONS = { memoryQuotaPages: quota(4096) };

/** A batch of so many items, which names it, each of which reads what the one before has left. */
function chain(count: number): BatchInput {
  const items = Array.from({ length: count }, (_, i) =>
    item([op.work(500), op.add(line(0), i + 1)], 500_000),
  );
  return batch(items, count * 500_000);
}

test("reports of candidates that run side by side name their own block", async () => {
  const reports: BatchReport[] = [];
  const onBatch = (report: BatchReport): void => void reports.push(report);
  const options = { ...OPTIONS, workers: 3, debug: { force: true }, dependencies: true, onBatch };
  const runtime = await openBatches(SCRIPT, options);
  const events = runtime.events();
  const sizes = Array.from({ length: 12 }, (_, i) => 40 + i);
  const asked = sizes.map((count) => runtime.execute(batchMetadata(chain(count))));
  const made: Candidate[] = await Promise.all(asked);
  assert.equal(reports.length, sizes.length);
  for (const [i, { id, height, parent, hints }] of made.entries()) {
    const own = reports.filter((report) => report.block?.id === id);
    assert.deepEqual(
      own.map(({ items, block }) => ({ items, block })),
      [{ items: sizes[i], block: { height, parent, id } }],
    );
    assert.deepEqual(hints, [
      { block: own[0]?.block, inputs: own[0]?.inputs, dependencies: own[0]?.dependencies },
    ]);
  }
  // Another run of the same block, with what it told; and in the middle of others with theirs.
  const again = made.map(({ hints }, i) =>
    runtime.execute(batchMetadata(chain(sizes[i] as number)), { hints }),
  );
  assert.deepEqual(
    (await Promise.all(again)).map(({ id }) => id),
    made.map(({ id }) => id),
  );
  await runtime.close();
  const told: RuntimeEvent[] = [];
  for await (const event of events) if (event.kind === "batch") told.push(event);
  assert.deepEqual(
    told.map(({ block, height }) => ({ block, height })),
    reports.map(({ block }) => ({ block: block?.id, height: block?.height })),
  );
});

test("a batch of a block that came to nothing has no id; what onBatch throws is passed on", async () => {
  const reports: BatchReport[] = [];
  let refuse = false;
  const onBatch = (report: BatchReport): void => {
    reports.push(report);
    if (refuse) throw new Error("refused");
  };
  const runtime = await openBatches(SCRIPT, { ...OPTIONS, workers: 1, onBatch });
  const { head } = runtime;
  const metadata = batchMetadata(chain(40));
  await assert.rejects(runtime.execute(metadata, { gasLimit: 2_000 }), { code: "BLOCK_FAULT" });
  refuse = true;
  await assert.rejects(runtime.execute(metadata), { message: "refused" });
  refuse = false;
  assert.equal(runtime.metrics().candidates, 0);
  const candidate = await runtime.execute(metadata);
  const last = reports.slice(-2).map(({ block }) => block);
  const name = { height: head.height + 1, parent: head.id, id: candidate.id };
  assert.deepEqual(last, [name, name]);
  await runtime.close();
});

test("reports of batches are made only for listeners, also for those that begin later", async () => {
  const runtime = await openBatches(SCRIPT, { ...OPTIONS, workers: 2, debug: { force: true } });
  const metadata = batchMetadata(chain(40));
  assert.deepEqual((await runtime.execute(metadata)).hints, []);
  const events = runtime.events();
  await runtime.execute(metadata);
  for (const kind of ["run", "batch", "execute"]) assert.equal((await events.next()).value.kind, kind);
  await events.return();
  await runtime.execute(metadata);
  assert.deepEqual(await events.next(), { value: undefined, done: true });
  await runtime.close();
});
