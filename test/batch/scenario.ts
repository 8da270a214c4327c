/** Random windows, and the loop that lets virtual workers take turns at random. */

import assert from "node:assert/strict";
import type { Random } from "../program/random.ts";
import { type Engine, INTEGER_LINES, type Settings, type Subject } from "./engines.ts";
import { FAULT, LIMIT, Observer, type Program, Reference, type Step, work } from "./work.ts";

export interface Scenario {
  readonly programs: readonly Program[];
  readonly settings: Settings;
}

/** A number that depends on all arguments. */
export function mix(...numbers: number[]): number {
  let hash = 0x811c9dc5;
  for (const number of numbers) {
    hash = Math.imul(hash ^ number, 0x01000193) >>> 0;
    hash = (hash ^ (hash >>> 15)) >>> 0;
  }
  return hash;
}

/**
 * An item of `steps` reads and writes among `lines`; where and what depends on what it has read.
 * `integers`: how many lines there are to add to. Now and then it faults.
 */
export function randomProgram(seed: number, steps: number, lines: number, integers = 0): Program {
  return function* (): Generator<Step, number, number> {
    let seen = seed;
    for (let step = 0; step < steps; step++) {
      const choice = mix(seed, step);
      const line = (choice & 3) === 0 ? mix(seen, step) % lines : (choice >>> 8) % lines;
      const kind = (choice >>> 4) & 7;
      if (integers > 0 && (choice & 0x300000) !== 0) {
        const integer = INTEGER_LINES + ((choice >>> 8) % integers);
        const amount = (choice >>> 12) % 50;
        if (kind < 3) seen = mix(seen, yield { line: integer, add: amount, max: 400 });
        else if (kind < 6) seen = mix(seen, yield { line: integer, add: -amount, min: 5 });
        else if (kind === 6) seen = mix(seen, yield { line: integer });
        else yield { line: integer, write: amount };
        continue;
      }
      if (kind < 4) seen = mix(seen, yield { line });
      else if (kind < 6) yield { line, write: mix(seen, step) };
      else if (kind === 6)
        yield { line, write: (choice >>> 16) & 1 }; // often what is there
      else yield { line, write: (yield { line }) + 1 };
    }
    return integers > 0 && seen % 13 === 0 ? FAULT : seen % LIMIT;
  };
}

/** Adds 1 to a line. */
export function increment(line: number): Program {
  return function* (): Generator<Step, number, number> {
    yield { line, write: (yield { line }) + 1 };
    return 1;
  };
}

export function randomScenario(random: Random): Scenario {
  const items = random.pick([0, 1, 2, 3, 5, 8, 13, 30, 70, 140]);
  return scenarioOf(random, items, random.pick([1, 2, 3, 10, 1000]), random.pick([1, 2, 4, 8]));
}

/** Few items that have everything to do with each other. */
export function smallScenario(random: Random): Scenario {
  return scenarioOf(random, 2 + random.below(3), 1 + random.below(2), random.pick([2, 4]));
}

function scenarioOf(random: Random, items: number, lines: number, steps: number): Scenario {
  const integers = random.pick([0, 0, 1, 2, 6]);
  const programs = Array.from({ length: items }, () =>
    randomProgram(random.next(), 1 + random.below(steps), lines, integers),
  );
  const scarce = random.chance(20);
  const limits = programs.map(() => (random.chance(5) ? 10 * LIMIT * (items + 1) : LIMIT));
  const gasTotal = 2 * LIMIT * (items + 1);
  return {
    programs,
    settings: {
      workers: 1 + random.below(5),
      limits,
      gasTotal,
      gasLeft: scarce ? random.below((LIMIT * items) / 2 + 1) : gasTotal,
      spinLimit: 0,
      rerunLimit: 0,
      hints: random.chance(30) ? randomHints(random, items) : [],
      lease: random.chance(40) ? random.below(steps + 1) : Infinity,
      base: new Map(Array.from({ length: Math.min(lines, 10) }, (_, line) => [line, mix(line)])),
    },
  };
}

function randomHints(random: Random, items: number): [number, number][] {
  return Array.from({ length: random.below(2 * items + 1) }, () => [
    random.below(items + 1),
    random.below(items + 1),
  ]);
}

/** Runs a window, all at once. */
export function runWindow(...parameters: Parameters<typeof windowSteps>): void {
  for (const _ of windowSteps(...parameters));
}

/**
 * Runs a window; `turn` says which of the workers that are not done takes the next step. Asserts on the way
 * that the committed prefix is that of the sequential loop, and at the end that everything is. Yields the
 * engine that goes next.
 */
export function* windowSteps<E extends Engine>(
  subject: Subject,
  engines: readonly E[],
  { programs, settings }: Scenario,
  turn: (workers: number) => number,
  stepsPerCall = 1,
): Generator<E, void, void> {
  const { base, limits, gasTotal, gasLeft } = settings;
  const reference = new Reference(programs, base, limits, gasTotal, gasLeft);
  const observer = new Observer(reference, base, settings.lease);
  const loops = engines.map((engine) => ({ engine, steps: work(engine, programs, observer) }));
  // Steps without a new task or a commit that are too many; a walk over all versions of a line takes as many.
  const patience = 100 * engines.length * (stepsPerCall + programs.length);
  let steps = 0;
  for (let last = 0, events = 0; loops.length > 0; steps++) {
    if (observer.events > events) [last, events] = [steps, observer.events];
    assert.ok(steps < last + patience, "nothing happens any more, and the window has not ended");
    const index = turn(loops.length);
    const { engine, steps: loop } = loops[index]!;
    yield engine;
    if (loop.next().done) loops.splice(index, 1);
  }
  assert.ok(
    observer.events <= 20 + 40 * programs.length * (programs.length + 10),
    "the window takes too long",
  );
  assert.equal(subject.committed(), reference.end);
  assert.equal(subject.applied(), reference.end);
  assert.equal(subject.cut(), reference.end < programs.length ? reference.end : -1);
  assert.equal(subject.gasLeft(), gasLeft - reference.gas.reduce((sum, gas) => sum + gas, 0));
  for (const [item, gas] of reference.gas.entries()) {
    const refused = limits[item]! > gasTotal;
    if (!refused) assert.equal(subject.outcome(item).outcome, item + 1);
    assert.equal(subject.outcome(item).gas, gas);
  }
}

// ---- windows that threads can make for themselves -------------------------------------------------------

/** What a thread needs to know to make a window's programs. */
export interface Description {
  readonly kind: "counter" | "chain" | "transfers" | "apart" | "random" | "sweeping" | "fees";
  readonly items: number;
  readonly lines: number;
  readonly seed: number;
  /** Looks at an estimate before an execution gives up. */
  readonly spins: number;
  /** Per cent of the calls that a thread delays. */
  readonly delays: number;
  /** Steps that an item may take unless what it reads is final, then twice as many; left out: all. */
  readonly lease?: number;
}

export function programsOf({ kind, items, lines, seed }: Description): Program[] {
  return Array.from({ length: items }, (_, item): Program => {
    const choice = mix(seed, item);
    switch (kind) {
      case "counter":
        return increment(0);
      case "chain":
        return function* () {
          yield { line: item + 1, write: mix(yield { line: item }, item) };
          return 1;
        };
      case "transfers":
        return function* () {
          const [from, to, amount] = [choice % lines, (choice >>> 8) % lines, (choice >>> 16) % 10];
          yield { line: from, write: ((yield { line: from }) - amount) >>> 0 };
          yield { line: to, write: ((yield { line: to }) + amount) >>> 0 };
          return 1;
        };
      case "apart":
        return function* () {
          yield { line: 2 * item, write: (yield { line: 2 * item + 1 }) + item + 1 };
          return 1;
        };
      case "fees": // all add to line 0, and to line 1 while there is room; some look
        return function* () {
          yield { line: 0, add: 1 + (choice % 5) };
          const room = yield { line: 1, add: 1, max: items / 2 };
          const from = 3 + (choice % (lines - 3));
          const seen = item % 20 === 13 ? yield { line: 0 } : 0;
          yield { line: from, write: (yield { line: from }) + room + seen };
          if (item % 15 === 4) yield { line: 1, add: -2 };
          return 1;
        };
      case "random":
        return randomProgram(choice, 1 + (choice % 8), lines);
      default: // "sweeping": now and then one that reads all lines, or writes all
        return function* () {
          let sum = item;
          if (item % 20 === 7) for (let line = 0; line < lines; line++) sum += yield { line };
          if (item % 20 === 17) for (let line = 0; line < lines; line++) yield { line, write: item };
          const line = choice % lines;
          yield { line, write: mix(sum, yield { line }) };
          return 1;
        };
    }
  });
}
