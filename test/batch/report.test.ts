/** What each number of a batch's report means, against the outcomes of the batch. */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import type { BatchReport, Runtime, RuntimeOptions } from "../../runtime/index.ts";
import { ITEM_FAULTED, ITEM_NOT_RUN, ITEM_REFUSED, ITEM_RETURNED } from "../../syscalls/abi.ts";
import { quota } from "../driver.ts";
import { baseSeed } from "../seed.ts";
import { sized } from "../sizes.ts";
import { type BatchInput, type BatchOutcome, openBatches, runBatch } from "./batches.ts";
import { steps } from "./everywhere.ts";
import { FAMILY_PAGES, family, familyBatch, scripts, wholeFamily } from "./families.ts";
import { batch, item, line, op, PLENTY, randomBatch, SCRIPT, WARM } from "./scripts.ts";

const opened: Runtime[] = [];
after(async () => {
  for (const runtime of opened) await runtime.close();
});

/** Runs batches, and gives each with its report. */
async function reporter(options: Partial<RuntimeOptions>, program = SCRIPT, pages?: number, first = WARM) {
  const reports: BatchReport[] = [];
  const onBatch = (report: BatchReport): void => void reports.push(report);
  const limits = { memoryQuotaPages: quota(4096) };
  const runtime = await openBatches(program, { ...limits, ...options, onBatch }, pages);
  opened.push(runtime);
  await runBatch(runtime, first);
  return async (input: BatchInput): Promise<{ report: BatchReport; outcome: BatchOutcome }> => {
    reports.length = 0;
    const outcome = await runBatch(runtime, input);
    assert.equal(reports.length, 1);
    return { report: reports[0] as BatchReport, outcome };
  };
}

const count = ({ outcomes }: BatchOutcome, ...statuses: number[]): number =>
  outcomes.filter(({ status }) => statuses.includes(status)).length;

/** What holds of every report. */
function check(report: BatchReport, outcome: BatchOutcome): void {
  const { items, parallel, sequential, refused, notRun, executions, validations, endings } = report;
  assert.equal(items, outcome.outcomes.length);
  assert.equal(parallel + sequential, count(outcome, ITEM_RETURNED, ITEM_FAULTED));
  assert.equal(refused, count(outcome, ITEM_REFUSED));
  assert.equal(notRun, count(outcome, ITEM_NOT_RUN));
  const known = parallel + report.aborts + report.givenUp + report.expired;
  assert.ok(report.renewed <= report.expired);
  if (endings.every((ending) => ending === "done")) assert.equal(executions, known);
  else assert.ok(executions >= known);
  assert.ok(validations >= parallel);
  const met = report.contended.reduce((sum, place) => sum + place.count, 0);
  const failed = report.aborts + report.expired - report.renewed;
  assert.ok(met <= failed, "what has failed names one place at most");
  const pairs = report.dependencies ?? [];
  for (const [reader, lower] of pairs) assert.ok(0 <= lower && lower < reader && reader < items);
  assert.equal(new Set(pairs.map(String)).size, pairs.length, "each pair once");
}

/** Items that return, fault, abort, and are refused; and from some item on the gas is short. */
function mixed(conflicts: boolean): BatchInput {
  const items = Array.from({ length: 400 }, (_, i) => {
    const place = conflicts ? line(i % 3) : line(i);
    if (i % 20 === 3) return item([op.add(place, 1), op.fail(i % 4)], 500_000);
    if (i % 20 === 7) return item([op.add(place, 1)], 2 ** 40);
    return item([op.work(1000), op.add(place, 1)], 500_000);
  });
  return batch(items, 20_000_000);
}

test("without conflicts every item that ran was executed and validated once", async () => {
  for (const workers of [2, 4]) {
    const run = await reporter({ workers, debug: { force: true } });
    const { report, outcome } = await run(mixed(false));
    check(report, outcome);
    const { parallel, sequential, refused, notRun, aborts, givenUp, waits, contended } = report;
    assert.ok(parallel > 100 && refused > 5 && notRun > 50, JSON.stringify(report));
    assert.equal(count(outcome, ITEM_FAULTED) > 5, true);
    assert.deepEqual([sequential, aborts, givenUp, waits, contended], [0, 0, 0, 0, []]);
    assert.deepEqual(report.endings, ["cut"]);
    // All have enough, so no window is thrown away.
    const enough = await run({ ...mixed(false), gas: 400 * PLENTY });
    check(enough.report, enough.outcome);
    const { executions, validations } = enough.report;
    assert.deepEqual([executions, validations, enough.report.parallel], [380, 380, 380]);
    assert.deepEqual([enough.report.refused, enough.report.notRun], [20, 0]);
    assert.deepEqual(enough.report.endings, ["done"]);
  }
});

test("with conflicts each incarnation came to an outcome, was aborted, or gave up", async () => {
  const run = await reporter({
    workers: 4,
    debug: { force: true, steps: steps("stall") },
    dependencies: true,
  });
  let aborts = 0;
  for (let round = 0; round < 20 && aborts === 0; round++) {
    for (const gas of [20_000_000, 400 * PLENTY]) {
      const { report, outcome } = await run({ ...mixed(true), gas });
      check(report, outcome);
      aborts += report.aborts;
      for (const place of report.contended) {
        assert.ok(place.kind === "memory" && place.name === null && place.address < line(3));
      }
    }
  }
  assert.ok(aborts > 0);
});

test("in the loop nothing is counted but the items", async () => {
  for (const options of [{ workers: 1 }, { workers: 2, runner: "sequential" }] as const) {
    const run = await reporter(options);
    const { report, outcome } = await run(mixed(true));
    check(report, outcome);
    const { parallel, sequential, executions, validations, versions, versionBytes, endings } = report;
    assert.ok(sequential > 100);
    assert.deepEqual([parallel, executions, validations, versions, versionBytes], [0, 0, 0, 0, 0]);
    assert.deepEqual(endings, []);
  }
});

test("a batch without items took no time", async () => {
  const run = await reporter({ workers: 2, debug: { force: true } });
  await run(mixed(false));
  const { report, outcome } = await run(batch([], 1000));
  check(report, outcome);
  assert.deepEqual([report.items, report.milliseconds, report.executions], [0, 0, 0]);
});

test("random batches, with killed threads", async (t) => {
  const seed = baseSeed(t);
  const debug = { force: true, steps: steps("stall") };
  const run = await reporter({ workers: 4, debug, dependencies: true });
  for (let i = 0; i < 150; i++) {
    const running = run(randomBatch(seed + i));
    if (i % 10 === 0) await opened.at(-1)?.engine.pool.kill(i % 8);
    const { report, outcome } = await running;
    check(report, outcome);
  }
  const children = await reporter(
    { workers: 4, debug: { force: true }, dependencies: true },
    family,
    FAMILY_PAGES,
    wholeFamily,
  );
  let sequential = 0;
  for (const list of fc.sample(scripts, { seed, numRuns: sized(30, 60) })) {
    const { report, outcome } = await children(familyBatch(list));
    check(report, outcome);
    sequential += report.sequential;
    for (const { kind, process } of report.contended) {
      assert.deepEqual(process.slice(0, 1), [1]);
      assert.equal(process.length, kind === "child" ? 2 : 1);
    }
  }
  assert.ok(sequential > 0, "a search among all children runs in the loop");
});

test("what the callback throws rejects the promise of the block, which is not made", async () => {
  let thrown: Error | null = new Error("from the callback");
  const onBatch = (): void => {
    if (thrown !== null) throw thrown;
  };
  for (const workers of [1, 2]) {
    const limits = { memoryQuotaPages: quota(4096), workers };
    const runtime = await openBatches(SCRIPT, { ...limits, onBatch });
    opened.push(runtime);
    const { head } = runtime;
    thrown = new Error("from the callback");
    await assert.rejects(runBatch(runtime, WARM), thrown);
    assert.equal(runtime.head, head);
    thrown = null;
    await runBatch(runtime, WARM);
    assert.equal(runtime.head.parent, head.id);
  }
});
