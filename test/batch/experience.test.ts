/** What is decided by what items cost: on items whose costs are known, with clocks that are simulated. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { COLD_ITEMS, EXPERIENCE_WORDS, Experience } from "../../runtime/batch/experience.ts";
import { baseSeed } from "../seed.ts";

const WINDOW = 256;
/** Of a usual item, and what it takes in the loop. */
const GAS = 60_000;
const LOOP_NS = 20_000;
/** What both ways lose against the better one: a share of the time, and what an entry may lose at first. */
const REGRET = 0.05;
const GRANT_NS = 50e6;

/** What items cost, in nanoseconds, where they are run. */
interface Costs {
  /** Each of so many, which are the chunk of that number since the loop began. */
  loop(items: number, chunk: number): number;
  /** On two threads, each: in a window of a run, both counted from the first one on. */
  parallel(run: number, window: number): number;
  /** To begin a run. */
  readonly run: number;
  /** So many times as much work as usual, which takes so many times as long. */
  readonly times?: number;
}

const steady = (loop: number, parallel: number, run = 50_000): Costs => ({
  loop: () => loop,
  parallel: () => parallel,
  run,
});

/** Numbers from 0 to 1. */
function sequence(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The same where threads are held up: one chunk in eight takes twice its time. */
function heldUp(loop: number, parallel: number): Costs {
  const random = sequence(7);
  const times = (): number => (random() < 1 / 8 ? 2 : 1);
  return { loop: () => loop * times(), parallel: () => parallel * times(), run: 50_000 };
}

/** An entry, and the time that its items took. */
class Entry {
  readonly words: Float64Array;
  ns = 0;
  parallel = 0;
  #runs = 0;
  #windows = 0;

  constructor(words = new Float64Array(EXPERIENCE_WORDS)) {
    this.words = words;
  }

  /** Runs batches as a runner does. */
  run(batches: number, items: number, costs: Costs): this {
    for (let i = 0; i < batches; i++) this.#batch(items, costs);
    return this;
  }

  #batch(items: number, costs: Costs): void {
    const experience = new Experience(this.words, 2);
    const times = costs.times ?? 1;
    let chunk = 0;
    for (let rest = items; rest > 0; ) {
      const count = Math.min(rest, experience.plan(rest), chunk === 0 ? COLD_ITEMS : rest);
      if (count === 0) {
        rest -= this.#runParallel(experience, rest, costs, times);
        chunk = 0;
        continue;
      }
      const ns = count * times * costs.loop(count, chunk);
      if (chunk++ > 0) experience.looped({ items: count, gas: count * times * GAS }, ns);
      this.ns += ns;
      rest -= count;
    }
  }

  #runParallel(experience: Experience, rest: number, costs: Costs, times: number): number {
    experience.began(costs.run);
    this.ns += costs.run;
    let done = 0;
    for (let goesOn = true; goesOn && done < rest; ) {
      const items = Math.min(WINDOW, rest - done);
      const ns = items * times * costs.parallel(this.#runs, this.#windows++);
      goesOn = experience.windowed({ items, gas: items * times * GAS }, ns);
      this.ns += ns;
      done += items;
    }
    experience.ran(0);
    this.#runs++;
    this.parallel += done;
    return done;
  }

  /** Runs a batch of an entry that takes so long to come to nothing. */
  fail(ns: number): void {
    new Experience(this.words, 2).ran(ns);
    this.ns += ns;
  }
}

/** How many times as fast as the loop alone, once the entry is known. */
function speed(items: number, costs: Costs): number {
  const entry = new Entry().run(Math.ceil(30_000 / items), items, costs);
  const before = entry.ns;
  const batches = Math.ceil(200_000 / items);
  entry.run(batches, items, costs);
  return (batches * items * LOOP_NS) / (entry.ns - before);
}

const BAD = [1.05, 1.3, 2, 5, 40];

for (const items of [80, 268, 1414, 10_000]) {
  test(`batches of ${items} items: what does not pay is hardly tried`, () => {
    for (const share of BAD) {
      const found = speed(items, steady(LOOP_NS, share * LOOP_NS, 100_000));
      assert.ok(found > 0.95, `${share} times the loop: ${found}`);
    }
  });

  test(`batches of ${items} items: what pays is done`, () => {
    const found = speed(items, steady(LOOP_NS, 11_000));
    assert.ok(found > (0.95 * items * LOOP_NS) / (items * 11_000 + 50_000), `${found}`);
  });

  test(`batches of ${items} items: the same where threads are held up`, () => {
    const bad = speed(items, heldUp(LOOP_NS, 26_000));
    assert.ok(bad > 0.95 * (8 / 9), `${bad}`);
    const good = speed(items, heldUp(LOOP_NS, 11_000));
    assert.ok(good > 1.4, `${good}`);
  });

  test(`batches of ${items} items: the faster choice is found when costs change`, () => {
    const batches = Math.ceil(100_000 / items);
    const entry = new Entry().run(batches, items, steady(LOOP_NS, 60_000));
    const before = entry.parallel;
    entry.run(batches, items, steady(LOOP_NS, 11_000));
    const parallel = entry.parallel - before;
    assert.ok(parallel > 0.5 * items * batches, `${parallel} of ${items * batches}`);
  });
}

test("regret on random costs: near the better way, whichever that is", (t) => {
  const range = (min: number, max: number) => fc.double({ min, max, noNaN: true });
  const entries = fc.record({
    items: fc.integer({ min: 30, max: 5000 }),
    parallel: range(0.5, 4),
    run: range(0, 2e6),
    spread: range(0, 0.5),
    seed: fc.integer({ min: 0, max: 2 ** 31 }),
  });
  const holds = fc.property(entries, ({ items, parallel, run, spread, seed }) => {
    const random = sequence(seed);
    const noisy = (ns: number) => () => ns * (1 + spread * (2 * random() - 1));
    const costs: Costs = { loop: noisy(LOOP_NS), parallel: noisy(LOOP_NS * parallel), run };
    const batches = Math.ceil(100_000 / items);
    const { ns } = new Entry().run(batches, items, costs);
    const loopNs = batches * items * LOOP_NS;
    const better = Math.min(loopNs, batches * run + loopNs * parallel);
    const trial = run + WINDOW * LOOP_NS * parallel;
    // By chance the ways may seem to cost a fraction of the spread more, or less, than they do.
    const share = 1 + REGRET + spread / 5;
    assert.ok(ns < share * better + GRANT_NS + 2 * trial, `${ns / better} times the better way`);
  });
  fc.assert(holds, { seed: baseSeed(t), numRuns: 200 });
});

test("regret against an adversary: never far from the loop, whatever runs in parallel cost", (t) => {
  const adversaries: Record<string, (run: number, window: number) => number> = {
    "good where it is tried, then bad": (run) => (run % 2 === 0 ? 0.5 : 8),
    "every tenth run": (run) => (run % 10 === 0 ? 8 : 0.9),
    "one window in fifty": (_, window) => (window % 50 === 49 ? 40 : 0.55),
    "windows in turn": (_, window) => (window % 2 === 0 ? 0.5 : 1.7),
    "hardly worse": () => 1.02,
    "good for a while": (_, window) => (window % 200 < 100 ? 0.5 : 4),
  };
  const check = (items: number, parallel: (run: number, window: number) => number, worst: number): void => {
    const batches = Math.ceil(500_000 / items);
    const costs: Costs = {
      loop: () => LOOP_NS,
      parallel: (run, window) => LOOP_NS * parallel(run, window),
      run: 100_000,
    };
    const { ns } = new Entry().run(batches, items, costs);
    const loopNs = batches * items * LOOP_NS;
    const window = Math.min(items, WINDOW) * LOOP_NS * worst;
    assert.ok(ns < (1 + REGRET) * loopNs + GRANT_NS + 2 * window, `${items} items: ${ns / loopNs}`);
  };
  for (const parallel of Object.values(adversaries)) {
    for (const items of [100, 400, 2000, 20_000]) check(items, parallel, 40);
  }
  const costs = fc.array(fc.constantFrom(0.3, 0.6, 0.9, 1.1, 2, 8), { minLength: 1, maxLength: 60 });
  const holds = fc.property(fc.integer({ min: 30, max: 5000 }), costs, (items, list) => {
    check(items, (_, window) => list[window % list.length] as number, 8);
  });
  fc.assert(holds, { seed: baseSeed(t), numRuns: 200 });
});

test("a run that comes to nothing does not switch an entry for good", () => {
  for (const lostNs of [0, 100_000, 1e6, 5e6, 50e6]) {
    const entry = new Entry().run(100, 2000, steady(LOOP_NS, 11_000));
    entry.fail(lostNs);
    const before = entry.parallel;
    entry.run(500, 2000, steady(LOOP_NS, 11_000));
    const parallel = entry.parallel - before;
    assert.ok(parallel > 0.75 * 1e6, `after ${lostNs / 1e6} ms: ${parallel}`);
  }
});

test("what did no work leaves the estimates as they are", () => {
  const entry = new Entry().run(20, 2000, steady(LOOP_NS, 11_000));
  const before = [...entry.words];
  const experience = new Experience(entry.words, 2);
  experience.looped({ items: 0, gas: 0 }, 1e6);
  assert.deepEqual([...entry.words], before);
  experience.began(50_000);
  experience.windowed({ items: 0, gas: 0 }, 1e6);
  experience.ran(0);
  assert.ok(entry.words.every(Number.isFinite));
  assert.ok(entry.run(20, 2000, steady(LOOP_NS, 11_000)).parallel > 30 * 2000);
});

test("a loop is seen to be fast whose first items are slow, each time", () => {
  // Of a trial the first ten find cold caches; and the first chunk of all was not compiled yet.
  const ITEM_NS = 2_000;
  let compiled = 0;
  const loop = (items: number, chunk: number): number => {
    if (compiled++ < 2) return 40 * ITEM_NS;
    const cold = chunk < 2 ? Math.min(items, 10) : 0;
    return (ITEM_NS * (items + 4 * cold)) / items;
  };
  const costs = { ...steady(0, 2 * ITEM_NS), loop };
  const entry = new Entry().run(5, 20_000, costs);
  const before = entry.parallel;
  entry.run(20, 20_000, costs);
  assert.ok(entry.parallel - before < 20_000, `${entry.parallel - before} of 400,000`);
});

test("a window that took long does not switch an entry for good", () => {
  const entry = new Entry().run(100, 2000, steady(LOOP_NS, 11_000));
  entry.run(1, 2000, { ...steady(LOOP_NS, 11_000), parallel: () => 400_000 });
  const before = entry.parallel;
  entry.run(500, 2000, steady(LOOP_NS, 11_000));
  const parallel = entry.parallel - before;
  assert.ok(parallel > 0.7 * 1e6, `${parallel}`);
});

test("the first batch of an entry runs in parallel where its items seem to be worth it", () => {
  for (const [items, itemNs] of [
    [3000, 20_000],
    [80, 1e6],
    [20, 5e6],
  ] as const) {
    const { parallel } = new Entry().run(1, items, steady(itemNs, 0.55 * itemNs));
    assert.ok(parallel >= items - COLD_ITEMS - 8, `${items} items: ${parallel}`);
  }
});

test("what the first batches lose is bounded", () => {
  for (const share of BAD) {
    const { ns } = new Entry().run(4, 10_000, steady(LOOP_NS, share * LOOP_NS));
    const loopNs = 40_000 * LOOP_NS;
    assert.ok(ns < (1 + REGRET) * loopNs + GRANT_NS + WINDOW * share * LOOP_NS, `${share}: ${ns / loopNs}`);
  }
});

test("batches whose items do more and less in turn", () => {
  for (const [parallel, least] of [
    [26_000, 0.95],
    [11_000, 1.65],
  ] as const) {
    const entry = new Entry();
    let loopNs = 0;
    for (let i = 0; i < 2000; i++) {
      const times = 1 + ((i * 7) % 10);
      entry.run(1, 300, { ...steady(LOOP_NS, parallel), times });
      loopNs += 300 * LOOP_NS * times;
    }
    assert.ok(loopNs / entry.ns > least, `${parallel}: ${loopNs / entry.ns}`);
  }
});

test("cheap items and few items stay in the loop", () => {
  for (const [items, itemNs] of [
    [10_000, 1_000],
    [1, 5e6],
    [40, 10_000],
  ] as const) {
    const { parallel } = new Entry().run(20, items, steady(itemNs, 100));
    if (itemNs !== 1_000) assert.equal(parallel, 0, `${items} items`);
  }
  const { parallel } = new Entry().run(20, 10_000, steady(1_000, 3_000));
  assert.ok(parallel < 0.2 * 200_000, `${parallel}`);
});

test("a change in the cost of items is noticed", () => {
  const entry = new Entry().run(5, 10_000, steady(100_000, 55_000));
  for (let i = 0; i < 3; i++) {
    entry.run(3, 10_000, steady(1_000, 3_000));
    let before = entry.parallel;
    entry.run(1, 10_000, steady(1_000, 3_000));
    assert.ok(entry.parallel - before <= WINDOW, "cheap");
    entry.run(1, 10_000, steady(100_000, 55_000));
    before = entry.parallel;
    entry.run(1, 10_000, steady(100_000, 55_000));
    assert.ok(entry.parallel - before > 9_000, "dear");
  }
});

test("what one thread has seen, another one knows", () => {
  const words = new Float64Array(EXPERIENCE_WORDS);
  new Entry(words).run(100, 2000, steady(LOOP_NS, 26_000));
  const bad = new Entry(words).run(1, 2000, steady(LOOP_NS, 26_000));
  assert.ok(bad.parallel <= WINDOW, `${bad.parallel}`);
  new Entry(words).run(200, 2000, steady(LOOP_NS, 9_000));
  const good = new Entry(words).run(1, 2000, steady(LOOP_NS, 9_000));
  assert.ok(good.parallel > 1900, `${good.parallel}`);
});
