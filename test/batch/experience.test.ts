/** What is decided by what items cost: on items whose costs are known. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { COLD_ITEMS, Experience } from "../../runtime/batch/experience.ts";

const WINDOW = 256;

/** What items cost, in nanoseconds. */
interface Costs {
  readonly loop: number;
  /** On two threads, each. */
  readonly parallel: number;
  /** To begin a run, and to end it. */
  readonly run?: number;
  /** So many times as much work as usual, which takes so many times as long. */
  readonly times?: number;
}

/** Of a usual item. */
const GAS = 60_000;

interface Total {
  ns: number;
  parallel: number;
}

/** Runs a batch as a runner does. `noise`: what a chunk takes longer by chance, as a share of its time. */
function runBatch(experience: Experience, items: number, costs: Costs, noise = () => 0): Total {
  const { run = 0, times = 1 } = costs;
  const loop = costs.loop * times;
  const parallel = costs.parallel * times;
  const work = (count: number) => ({ items: count, gas: count * GAS * times });
  const total = { ns: 0, parallel: 0 };
  let cold = true;
  for (let rest = items; rest > 0; ) {
    const planned = Math.min(rest, experience.plan(rest), cold ? COLD_ITEMS : rest);
    if (planned > 0) {
      const ns = planned * loop * (1 + noise());
      if (!cold) experience.looped(work(planned), ns);
      cold = false;
      total.ns += ns;
      rest -= planned;
      continue;
    }
    cold = true;
    let done = 0;
    let ns = run;
    do {
      const window = Math.min(WINDOW, rest);
      done += window;
      rest -= window;
      ns += window * parallel * (1 + noise());
    } while (rest > 0 && experience.goesOn(work(done), ns));
    experience.ran(work(done), ns);
    total.ns += ns;
    total.parallel += done;
  }
  return total;
}

/** As fast as the loop how many times, over `batches` batches of `items` after some that do not count. */
function speed(items: number, costs: Costs, before: number, batches: number, noise = () => 0): number {
  const experience = new Experience(2);
  for (let i = 0; i < before; i++) runBatch(experience, items, costs, noise);
  let ns = 0;
  for (let i = 0; i < batches; i++) ns += runBatch(experience, items, costs, noise).ns;
  return (batches * items * costs.loop) / ns;
}

/** Threads that are held up: one chunk in eight takes twice its time. */
function heldUp(): () => number {
  let seed = 7;
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed < 2 ** 29 ? 1 : 0;
  };
}

const BAD = [1.05, 1.3, 2, 5, 40];

for (const items of [80, 268, 1414, 10_000]) {
  test(`batches of ${items} items: what does not pay is hardly tried`, () => {
    for (const share of BAD) {
      const costs = { loop: 20_000, parallel: share * 20_000, run: 100_000 };
      const found = speed(items, costs, Math.ceil(30_000 / items), Math.ceil(200_000 / items));
      assert.ok(found > 0.93, `${share} times the loop: ${found}`);
    }
    const found = speed(items, { loop: 4_500, parallel: 3_000, run: 1_000_000 }, 100, 100);
    assert.ok(found > 0.93, `runs that take long to begin: ${found}`);
  });

  test(`batches of ${items} items: what pays is done`, () => {
    const costs = { loop: 20_000, parallel: 11_000, run: 50_000 };
    const found = speed(items, costs, Math.ceil(10_000 / items), 100);
    assert.ok(found > (0.85 * items * 20_000) / (items * 11_000 + 50_000), `${found}`);
  });

  test(`batches of ${items} items: the same where threads are held up`, () => {
    const bad = speed(items, { loop: 20_000, parallel: 26_000 }, 200, 200, heldUp());
    const loop = speed(items, { loop: 20_000, parallel: 1e9 }, 200, 200, heldUp());
    assert.ok(bad > 0.9 * loop, `${bad} of ${loop}`);
    const good = speed(items, { loop: 20_000, parallel: 11_000 }, 200, 200, heldUp());
    assert.ok(good > 1.3 * loop, `${good} of ${loop}`);
  });

  test(`batches of ${items} items: what pays later is found out`, () => {
    const experience = new Experience(2);
    const times = Math.ceil(100_000 / items);
    for (let i = 0; i < times; i++) runBatch(experience, items, { loop: 20_000, parallel: 60_000 });
    let parallel = 0;
    for (let i = 0; i < times; i++)
      parallel += runBatch(experience, items, { loop: 20_000, parallel: 11_000 }).parallel;
    assert.ok(parallel > 0.5 * items * times, `${parallel} of ${items * times}`);
  });
}

test("what the first batches lose is bounded", () => {
  for (const share of BAD) {
    const experience = new Experience(2);
    let lossNs = 0;
    for (let i = 0; i < 4; i++) {
      const { ns } = runBatch(experience, 10_000, { loop: 20_000, parallel: share * 20_000 });
      lossNs += ns - 10_000 * 20_000;
    }
    const window = WINDOW * (share - 1) * 20_000;
    assert.ok(
      lossNs < 100e6 + 0.05 * 4 * 200e6 + 384 * 20_000 + window,
      `${share} times the loop: ${lossNs / 1e6} ms`,
    );
  }
});

test("batches whose items do more and less in turn", () => {
  for (const [parallel, least] of [
    [26_000, 0.9],
    [11_000, 1.5],
  ] as const) {
    const experience = new Experience(2);
    let ns = 0;
    let loopNs = 0;
    for (let i = 0; i < 2000; i++) {
      const costs = { loop: 20_000, parallel, times: 1 + ((i * 7) % 10) };
      ns += runBatch(experience, 300, costs).ns;
      loopNs += 300 * costs.loop * costs.times;
    }
    assert.ok(loopNs / ns > least, `${parallel}: ${loopNs / ns}`);
  }
});

test("cheap items and few items stay in the loop", () => {
  const experience = new Experience(2);
  for (let i = 0; i < 20; i++) {
    assert.equal(runBatch(experience, 10_000, { loop: 1_000, parallel: 100 }).parallel, 0);
    assert.equal(runBatch(experience, 7, { loop: 500_000, parallel: 100 }).parallel, 0);
    assert.equal(runBatch(experience, 40, { loop: 10_000, parallel: 100 }).parallel, 0);
  }
});

test("items that have become cheap, or dear, are seen to be so", () => {
  const experience = new Experience(2);
  const dear = { loop: 100_000, parallel: 55_000 };
  const cheap = { loop: 1_000, parallel: 3_000 };
  for (let i = 0; i < 5; i++) runBatch(experience, 10_000, dear);
  for (let i = 0; i < 3; i++) {
    runBatch(experience, 10_000, cheap);
    assert.equal(runBatch(experience, 10_000, cheap).parallel, 0, "cheap");
    runBatch(experience, 10_000, dear);
    assert.ok(runBatch(experience, 10_000, dear).parallel > 9_000, "dear");
  }
});
