/**
 * Leases: outcomes, gas and roots are those of the loop, however small they are; and what runs on an
 * inconsistent snapshot ends with its lease. No clock is looked at: without a bound items run for minutes.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  LEASE_GROWTH,
  LEASE_ITEMS,
  LEASE_MINIMUM,
  LEASE_UNKNOWN,
  LEASES,
  leaseAfter,
  Spending,
} from "../../runtime/batch/lease.ts";
import type { BatchReport, RuntimeOptions } from "../../runtime/index.ts";
import { FAULT_OUT_OF_GAS, ITEM_FAULTED, ITEM_RETURNED } from "../../syscalls/abi.ts";
import { quota } from "../driver.ts";
import { random } from "../kernel/trees.ts";
import { seeded } from "../seed.ts";
import { type BatchInput, type BatchOutcome, openBatches, runBatch } from "./batches.ts";
import { everywhere, steps } from "./everywhere.ts";
import { FAMILY_PAGES, family, familyBatch, scripts, wholeFamily } from "./families.ts";
import { PAIR, PAIR_PAGES, pairs } from "./pairs.ts";
import { batch, item, line, many, op, PLENTY, randomBatch } from "./scripts.ts";

const total = (reports: readonly BatchReport[], what: "executions" | "expired" | "renewed"): number =>
  reports.reduce((sum, report) => sum + report[what], 0);

const LEASED = ["lease-one", "leases"] as const;

for (const name of LEASED) {
  test(`${name}: independent items, conflicts, sums, faults, limits`, async () => {
    const next = random(5);
    const batches = [
      many(200, (i) => [op.add(line(i), 1), op.work(next(500)), op.outputAt(line(i))]),
      many(200, (i) => [
        op.copyAdd(line(i % 7), line((i * 3) % 7), 1),
        op.work(200),
        op.outputAt(line(i % 7)),
      ]),
      many(150, (i) => [op.accumulate(0, 1 + (i % 5), 0), op.work(300), op.accumulate(64, 3, 1)]),
      many(100, (i) => [op.work(100), ...(i % 3 === 0 ? [op.fail(i % 5)] : []), op.add(line(i % 4), 1)]),
    ];
    // Limits that are what an item needs, or nearly.
    const limits = Array.from({ length: 60 }, () =>
      item([op.work(300), op.add(line(next(3)), 1)], 20_000 + next(20_000)),
    );
    batches.push({ ...many(0, () => []), items: limits, gas: 60 * 40_000 });
    for (let seed = 0; seed < 8; seed++) batches.push(randomBatch(1000 + seed));
    const { reports } = await everywhere(batches, { steps: steps(name) });
    assert.ok(total(reports, "renewed") > 0);
    for (const { endings, executions, parallel, aborts, givenUp, expired, renewed } of reports) {
      assert.ok(renewed <= expired);
      if (endings.every((ending) => ending === "done")) {
        assert.equal(executions, parallel + aborts + givenUp + expired);
      }
    }
  });

  test(`${name}: items with children, which spend their item's lease`, async (t) => {
    const open = (options: Partial<RuntimeOptions>) => openBatches(family, options, FAMILY_PAGES);
    const reports: BatchReport[] = [];
    const onBatch = (report: BatchReport): void => void reports.push(report);
    await using loop = await open({ workers: 1, runner: "sequential" });
    await using two = await open({
      workers: 2,
      debug: { force: true, paranoid: true, steps: steps(name) },
      onBatch,
    });
    await using four = await open({ workers: 4, debug: { force: true, steps: steps(name) }, onBatch });
    const same = async (give: BatchInput): Promise<void> => {
      const expected = await runBatch(loop, give);
      for (const runtime of [two, four]) assert.deepEqual(await runBatch(runtime, give), expected);
    };
    await same(wholeFamily);
    await fc.assert(
      fc.asyncProperty(scripts, (list) => same(familyBatch(list))),
      seeded(t, 25),
    );
    assert.ok(total(reports, "renewed") > 0);
  });
}

const PAIRED: readonly Partial<RuntimeOptions>[] = [
  { debug: { force: true }, workers: 2 },
  { debug: { force: true, steps: steps("stall") }, workers: 4 },
  { debug: { force: true, steps: steps("leases") }, workers: 3 },
  { workers: 2 },
];

for (const children of [false, true]) {
  const who = children ? "what an item starts" : "an item";
  test(`${who} on two moments at once ends with its lease`, async () => {
    const batches = [300, 3000, 300, 3000, 300, 3000].map((turns) => pairs(250, turns, children));
    const open = (options: Partial<RuntimeOptions>) =>
      openBatches(PAIR, { memoryQuotaPages: quota(4096), ...options }, PAIR_PAGES);
    await using loop = await open({ workers: 1, runner: "sequential" });
    const expected: BatchOutcome[] = [];
    for (const batch of batches) expected.push(await runBatch(loop, batch));
    assert.ok(expected.every(({ outcomes }) => outcomes.every(({ status }) => status === ITEM_RETURNED)));
    let ended = 0;
    for (const options of PAIRED) {
      const reports: BatchReport[] = [];
      const onBatch = (report: BatchReport): void => void reports.push(report);
      await using runtime = await open({ ...options, onBatch });
      for (const [i, batch] of batches.entries()) {
        assert.deepEqual(await runBatch(runtime, batch), expected[i]);
      }
      // A core gives up a window in which an item ran 25 times, leases that were right apart.
      for (const { executions, renewed, items, endings } of reports) {
        const ran = items * endings.length;
        assert.ok(executions <= (25 + LEASES) * ran && renewed <= LEASES * ran);
      }
      ended += total(reports, "expired") - total(reports, "renewed");
    }
    assert.ok(ended > 0, "some saw two moments at once");
  });
}

test("an item that is much longer than the others runs with the gas it needs", async () => {
  const isLong = (i: number): boolean => i % 100 === 50;
  const long = [...Array.from({ length: 40 }, () => op.work(60_000)), op.add(line(5), 1)];
  const items = Array.from({ length: 200 }, (_, i) =>
    isLong(i) ? item(long, 80_000_000) : item([op.add(line(i), 1)], PLENTY),
  );
  items.push(item([op.spin(line(99), 2 ** 31)], 2 * LEASE_GROWTH * LEASE_UNKNOWN));
  const { outcomes } = (await everywhere([batch(items)])).outcomes[0] as BatchOutcome;
  for (const [i, { status, fault, gasUsed }] of outcomes.entries()) {
    assert.deepEqual([status, fault], i < 200 ? [ITEM_RETURNED, 0] : [ITEM_FAULTED, FAULT_OUT_OF_GAS]);
    assert.equal(gasUsed > LEASE_GROWTH * LEASE_UNKNOWN, i === 200 || isLong(i), "longer than any lease");
  }
});

test("a first lease follows from what committed items cost, one dear item apart", () => {
  const spending = new Spending(new Float64Array(2));
  assert.equal(spending.lease, LEASE_UNKNOWN);
  spending.add({ items: 1, gas: 64_000_000 });
  assert.equal(spending.lease, LEASE_ITEMS * 1_000_000);
  spending.add({ items: 255, gas: 0 });
  assert.equal(spending.lease, LEASE_ITEMS * 250_000);
  for (let i = 0; i < 40; i++) spending.add({ items: 256, gas: 256 * 500_000 });
  assert.ok(Math.abs(spending.lease / (LEASE_ITEMS * 500_000) - 1) < 0.01);
  for (let i = 0; i < 40; i++) spending.add({ items: 256, gas: 0 });
  assert.equal(spending.lease, LEASE_MINIMUM);
  spending.add({ items: 1024, gas: Number.MAX_SAFE_INTEGER });
  assert.ok(spending.lease <= Number.MAX_SAFE_INTEGER);
  assert.equal(leaseAfter(1, 1000), LEASE_GROWTH * 1000);
});
