/**
 * Scenarios of the scheduler, of limits and failures, and of hints (numbers as in scenarios.test.ts). What is
 * said of single steps of the scheduler is in core-model.test.ts, which tries all their orders.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { BatchReport, Hints } from "../../runtime/index.ts";
import {
  FAULT_OUT_OF_GAS,
  FAULT_UNREACHABLE,
  ITEM_FAULTED,
  ITEM_NOT_RUN,
  ITEM_REFUSED,
  ITEM_RETURNED,
} from "../../syscalls/abi.ts";
import { random } from "../kernel/trees.ts";
import { sized } from "../sizes.ts";
import { type BatchInput, batchMetadata, openBatches, runBatch } from "./batches.ts";
import {
  chain,
  type Engine,
  engine,
  everywhere,
  OPTIONS,
  once,
  steps,
  total,
  WORKERS,
} from "./everywhere.ts";
import { batch, item, LINES, line, many, type Operation, op, SCRIPT, WARM } from "./scripts.ts";

/** Everybody reads and writes four places, one of which everybody has. */
const hot = (count: number, seed: number): BatchInput => {
  const next = random(seed);
  return many(count, () => [
    op.work(next(300)),
    op.copyAdd(line(next(3)), line(next(3)), 1),
    op.add(0, 1),
    op.outputAt(line(next(3))),
  ]);
};
const loop = (): Promise<Engine> => engine({ workers: 1, runner: "sequential" });

test("21, 22, 24, 25, 27: threads held up at every step, hundreds of schedules", async () => {
  const batches = Array.from({ length: sized(20, 60) }, (_, i) => hot(10 + (i % 30), i));
  const { reports } = await everywhere(batches, { steps: steps("stall") }, sized(1, 3));
  assert.ok(total(reports, "aborts") > 0);
});

test("23: without conflicts every item runs once and is validated once", async () => {
  const { reports } = await everywhere([many(1000, (i) => [op.add(line(i), 1)])]);
  for (const { executions, validations, parallel } of reports) {
    assert.deepEqual([executions, validations, parallel], [1000, 1000, 1000]);
  }
});

test("26: what is committed is what the loop would have, after any number of items", async () => {
  const whole = hot(40, 26);
  for (let count = 1; count <= 40; count += sized(9, 3)) {
    await everywhere([{ ...whole, items: whole.items.slice(0, count) }], {}, 1);
  }
});

test("28: a thread held up for long, in a hot batch: the others run few items again", async () => {
  const batches = Array.from({ length: 5 }, (_, i) => hot(100, i));
  const { reports } = await everywhere(batches, { steps: steps("hold") });
  // A core gives up a window in which an item ran 25 times; there is one window here.
  for (const { executions, items } of reports) assert.ok(executions <= 25 * items);
});

test("29: the whole gas cuts the same prefix, whatever it is", async () => {
  const next = random(29);
  const items = hot(60, 29).items.map(({ input }) => ({ input, gas: 20_000 + next(20_000) }));
  const { outcomes } = await chain(await loop(), [batch(items)]).then(([first]) => ({ ...first }));
  const used = (outcomes ?? []).reduce((sum, { gasUsed }) => sum + gasUsed, 0);
  const cuts = [0, 1, used, used + 20_000, ...Array.from({ length: 20 }, () => next(used + 40_000))];
  await everywhere(
    cuts.map((gas) => batch(items, gas)),
    {},
    2,
  );
  const cut = await once(batch(items, Math.floor(used / 2)));
  const ran = cut.outcomes.findIndex(({ status }) => status === ITEM_NOT_RUN);
  assert.ok(ran > 0 && cut.outcomes.slice(ran).every(({ status }) => status === ITEM_NOT_RUN));
});

test("30: an item that asks for more than there is is refused, the next ones run", async () => {
  const gas = [30_000, 10_000_000_000, 2n ** 64n - 1n, 2n ** 53n, 30_000, 2n ** 63n, 30_000];
  const items = gas.map((limit, i) => item([op.add(0, i)], limit));
  const { outcomes } = await once(batch(items, 100_000));
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    gas.map((limit) => (limit === 30_000 ? ITEM_RETURNED : ITEM_REFUSED)),
  );
});

test("31: items fault at random places", async () => {
  const next = random(31);
  const faulty = many(300, (i) => {
    const operations = [op.add(line(i % 4), 1), op.add(line(next(50)), 1), op.outputAt(line(i % 4))];
    if (next(3) === 0) operations.splice(next(4), 0, op.fail(next(5)));
    return operations;
  });
  const { outcomes } = await once(faulty);
  assert.ok(new Set(outcomes.map(({ fault }) => fault)).size >= 5);
});

test("31: a fault that stale reads caused is not kept, a true one is", async () => {
  // The first item is slow; all others fault unless they see what it wrote.
  const waits = [op.skipUnless(0, 1, 1), op.skipUnless(line(9), 1, 1), op.fail(0)];
  const items = [[op.work(90_000), op.add(0, 1)], ...Array.from({ length: 50 }, () => waits)];
  items.push([op.fail(0)]);
  const { outcomes } = await once(many(items.length, (i) => items[i] as Operation[]));
  assert.deepEqual(
    outcomes.map(({ fault }) => fault),
    [...Array(51).fill(0), FAULT_UNREACHABLE],
  );
});

test("32: an endless loop on stale data ends, and is not reported", async () => {
  const items = [
    [op.work(50_000), op.add(0, 9)],
    ...Array.from({ length: 30 }, (_, i) => [op.spin(0, 9), op.add(line(i + 1), 1)]),
    [op.spin(0, 10), op.add(line(100), 1)],
  ];
  const { outcomes } = await once(many(items.length, (i) => items[i] as Operation[]));
  assert.deepEqual(
    outcomes.map(({ fault }) => fault),
    [...Array(31).fill(0), FAULT_OUT_OF_GAS],
  );
});

test("33: threads are killed in the middle: the same blocks", async () => {
  const batches = Array.from({ length: sized(5, 12) }, (_, i) => hot(600, i));
  const expected = await chain(await loop(), batches);
  for (const workers of WORKERS.slice(1)) {
    const { runtime } = await engine({ workers, debug: { steps: steps("stall") } });
    await runtime.revert(2);
    for (const [i, batch] of batches.entries()) {
      const running = runBatch(runtime, batch);
      await new Promise((resolve) => setTimeout(resolve, i));
      await runtime.engine.pool.kill(i);
      if (i % 4 === 3) await runtime.engine.pool.kill(i + 1);
      assert.deepEqual(await running, expected[i], `${workers} workers, batch ${i}`);
    }
  }
});

test("33: threads are killed while they load pages for which others wait", async () => {
  const pages = Array.from({ length: 8 }, (_, i) => i * 8192);
  const input = many(60, (i) => [...pages.map((page) => op.outputAt(page)), op.add(i * 64, 1)]);
  const [expected] = await chain(await loop(), [input]);
  for (const workers of WORKERS.slice(1)) {
    const { runtime } = await engine({ workers, debug: { steps: steps("load") } });
    for (let round = 0; round < sized(2, 4); round++) {
      await runtime.revert(2);
      const running = runBatch(runtime, input);
      await new Promise((resolve) => setTimeout(resolve, 100));
      await runtime.engine.pool.kill(round);
      assert.deepEqual(await running, expected, `${workers} workers`);
    }
  }
});

test("34, 35: a runtime closed in the middle has made all of a block or none", async () => {
  const batches = [hot(600, 1), hot(600, 2)] as const;
  const [first, second] = await chain(await loop(), batches);
  for (const delay of sized([0, 5, 30], [0, 2, 5, 10, 30])) {
    const runtime = await openBatches(SCRIPT, {
      ...OPTIONS,
      workers: 4,
      debug: { force: true, steps: steps("stall") },
    });
    await runBatch(runtime, WARM);
    const before = await runBatch(runtime, batches[0]);
    const running = runBatch(runtime, batches[1]).then(
      (outcome) => outcome,
      (error: { code: string }) => error.code,
    );
    await new Promise((resolve) => setTimeout(resolve, delay));
    await runtime.close();
    assert.deepEqual(before, first);
    const outcome = await running;
    if (typeof outcome === "string") assert.equal(outcome, "CLOSED");
    else assert.deepEqual(outcome, second);
  }
});

test("34: what was computed in parallel is reverted like anything else", async () => {
  const batches = Array.from({ length: 4 }, (_, i) => hot(300, i));
  const expected = await chain(await loop(), batches);
  const parallel = await engine({ workers: 4 });
  const { runtime } = parallel;
  for (let round = 0; round < 4; round++) {
    assert.deepEqual(await chain(parallel, batches), expected);
    await runtime.revert(2 + round);
    assert.deepEqual(await runBatch(runtime, batches[round] as BatchInput), expected[round]);
  }
});

test("36: whatever ends a run in parallel early, the next batch is parallel again", async () => {
  // Perhaps no room for so many outputs: then some run one after the other (see also family-parallel).
  const wide = many(40, (i) => [op.add(0, 1), [27, 30_000 + i]]);
  const all = Array.from({ length: 16 }, (_, i) => i * 8191);
  // Nor for so many versions.
  const heavy = many(sized(150, 300), (i) => all.map((at) => op.fill(at, 8191, i)));
  const { reports } = await everywhere([hot(50, 1), wide, hot(50, 2), heavy, hot(50, 3)]);
  // On a busy machine its own conflicts may end the last one's only window.
  const last = reports.filter((_, i) => i % 5 === 4);
  assert.ok(last.every(({ parallel }) => parallel === 50));
});

test("37: hints: none, exact, wrong, too many, twice the same", async () => {
  const input = hot(400, 37);
  const metadata = batchMetadata(input);
  const [expected] = await chain(await loop(), [input]);
  for (const workers of WORKERS.slice(1)) {
    const { runtime, reports } = await engine({ workers, dependencies: true });
    await chain({ runtime, reports }, [input]);
    const { inputs, dependencies } = reports.at(-1) as BatchReport;
    const pairs = dependencies ?? [];
    const wrong = pairs.map(([item]) => [item, Math.max(0, item - 2)] as const);
    const all = [...Array(400).keys()].flatMap((i) => [...Array(i).keys()].map((j) => [i, j] as const));
    const senseless = [[5, 5] as const, [3, 9] as const, [1000, 2] as const, [7, 4000] as const];
    for (const hint of [null, pairs, wrong, all, [...pairs, ...pairs, ...pairs], senseless]) {
      await runtime.revert(2);
      const hints: Hints[] = hint === null ? [] : [{ inputs, dependencies: hint }];
      assert.deepEqual(await runtime.produce(metadata, { hints }), expected?.block);
    }
  }
});

test("40: no aborts without conflicts, however threads are held up", async () => {
  const { reports } = await everywhere([many(500, (i) => [op.add(line((i * 3) % LINES), 1)])], {
    steps: steps("stall"),
  });
  assert.equal(total(reports, "aborts"), 0);
  assert.ok(reports.every(({ contended }) => contended.length === 0));
  assert.ok(
    (await once(many(3, (i) => [op.fail(i)]))).outcomes.every(({ status }) => status === ITEM_FAULTED),
  );
});
