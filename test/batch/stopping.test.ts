/**
 * A thread that runs an item on what is not final notices within a lease that its window stops, and gets no
 * further item when the block is cancelled or the runtime closed. Counted, not timed: an incarnation that
 * does not notice runs to the end of its gas, and has not expired.
 */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { setEnvironmentData } from "node:worker_threads";
import { LEASES } from "../../runtime/batch/lease.ts";
import type { BatchReport, Runtime } from "../../runtime/index.ts";
import { FAULT_NONE, ITEM_RETURNED } from "../../syscalls/abi.ts";
import { ENDLESS_GAS } from "../fixture.ts";
import { batchMetadata, openBatches, runBatch } from "./batches.ts";
import { OPTIONS, steps } from "./everywhere.ts";
import { batch, item, line, many, op, SCRIPT, WARM } from "./scripts.ts";
import { BEGUN, LEASE, STOPS, WATCHED } from "./steps/watched.ts";

const ITEMS = 40;
const LONG = ENDLESS_GAS / 4;
const WORKERS = 3;

// Threads get it when they are made.
const watched = new SharedArrayBuffer(16);
const words = new Int32Array(watched);
setEnvironmentData(WATCHED, watched);
beforeEach(() => void words.fill(0));

async function open(reports: BatchReport[] = []): Promise<Runtime> {
  const runtime = await openBatches(SCRIPT, {
    ...OPTIONS,
    workers: WORKERS,
    debug: { force: true, steps: steps("watched") },
    onBatch: (report) => void reports.push(report),
  });
  await runBatch(runtime, WARM);
  return runtime;
}

for (const lease of [1, 1_000_000]) {
  test(`the window stops, and items that never end by themselves end with a lease of ${lease}`, async () => {
    const reports: BatchReport[] = [];
    await using runtime = await open(reports);
    // The others never end before the first has run, and that only the loop can run.
    const waiting = Array.from({ length: ITEMS - 1 }, () => item([op.spin(line(9), 1)], LONG));
    const give = batch([item([op.add(line(9), 1)]), ...waiting], 2 * LONG);
    // One of the other threads has begun twice then, so something has expired.
    words[STOPS] = WORKERS;
    words[LEASE] = lease;
    const { outcomes } = await runBatch(runtime, give);
    for (const { status, fault } of outcomes) assert.deepEqual([status, fault], [ITEM_RETURNED, FAULT_NONE]);
    const { endings, executions, expired, sequential } = reports.at(-1) as BatchReport;
    assert.equal(endings[0], "sequential");
    assert.ok(sequential > 0, "the loop ran the first");
    assert.ok(expired > 0, "others were on their way");
    assert.ok(executions <= (1 + LEASES) * ITEMS * endings.length);
  });
}

/** Items that never end, of which those that are not final have leases of 1. */
const ENDLESS = batch(
  Array.from({ length: ITEMS }, () => item([op.spin(line(9), 1)], LONG)),
  2 * LONG,
);

/** Begins such a batch; when several of its items have begun, `end` ends it with an error of that code. */
async function endless(
  runtime: Runtime,
  end: () => unknown,
  code: string,
  signal?: AbortSignal,
): Promise<void> {
  words[LEASE] = 1;
  const block = runtime.produce(batchMetadata(ENDLESS), signal === undefined ? {} : { signal });
  const rejected = assert.rejects(block, { code });
  while (Atomics.load(words, BEGUN) < WORKERS) await new Promise((resolve) => setTimeout(resolve, 1));
  await Promise.all([end(), rejected]);
}

/** Nobody runs an item of the batch that was ended, and none ran again and again. */
async function allAreIdle(runtime: Runtime): Promise<void> {
  assert.equal(runtime.engine.pool.threadsAtWork, 0);
  const begun = Atomics.load(words, BEGUN);
  assert.ok(begun <= (1 + LEASES) * ITEMS, `${begun} incarnations`);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(Atomics.load(words, BEGUN), begun, "none has begun since");
}

test("a block is cancelled in whose batch nothing ends by itself", async () => {
  await using runtime = await open();
  const cancel = new AbortController();
  await endless(runtime, () => cancel.abort(), "CANCELLED", cancel.signal);
  await allAreIdle(runtime);
  words[LEASE] = 0;
  const { outcomes } = await runBatch(
    runtime,
    many(ITEMS, (i) => [op.add(line(i), 1)]),
  );
  assert.ok(outcomes.every(({ status }) => status === ITEM_RETURNED));
});

test("a runtime is closed in whose batch nothing ends by itself", async () => {
  const runtime = await open();
  await endless(runtime, () => runtime.close({ cancel: true }), "CANCELLED");
  await allAreIdle(runtime);
});
