/** Random windows, and the loop that lets virtual workers take turns at random. */

import assert from "node:assert/strict";
import type { Random } from "../program/random.ts";
import type { Engine, Settings, Subject } from "./engines.ts";
import { LIMIT, Observer, type Program, Reference, type Step, work } from "./work.ts";

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

/** An item of `steps` reads and writes among `lines`; where and what depends on what it has read. */
export function randomProgram(seed: number, steps: number, lines: number): Program {
  return function* (): Generator<Step, number, number> {
    let seen = seed;
    for (let step = 0; step < steps; step++) {
      const choice = mix(seed, step);
      const line = (choice & 3) === 0 ? mix(seen, step) % lines : (choice >>> 8) % lines;
      const kind = (choice >>> 4) & 7;
      if (kind < 4) seen = mix(seen, yield { line });
      else if (kind < 6) yield { line, write: mix(seen, step) };
      else if (kind === 6)
        yield { line, write: (choice >>> 16) & 1 }; // often what is there
      else yield { line, write: (yield { line }) + 1 };
    }
    return seen % LIMIT;
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
  const lines = random.pick([1, 2, 3, 10, 1000]);
  const steps = random.pick([1, 2, 4, 8]);
  const programs = Array.from({ length: items }, () =>
    randomProgram(random.next(), 1 + random.below(steps), lines),
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

/**
 * Runs a window; `turn` says which of the workers that are not done takes the next step. Asserts on the way
 * that the
 * committed prefix is that of the sequential loop, and at the end that everything is.
 *
 * @returns the number of steps
 */
export function runWindow(
  subject: Subject,
  engines: readonly Engine[],
  { programs, settings }: Scenario,
  turn: (workers: number) => number,
): number {
  const { base, limits, gasTotal, gasLeft } = settings;
  const reference = new Reference(programs, base, limits, gasTotal, gasLeft);
  const observer = new Observer(reference, base);
  const loops = engines.map((engine) => work(engine, programs, observer));
  const limit = 10_000 + 800 * engines.length * programs.length * (programs.length + 10);
  let idle = 0;
  let steps = 0;
  for (; loops.length > 0; steps++) {
    assert.ok(steps < limit, "the window does not end");
    assert.ok(idle < 200 * engines.length, "everybody is idle, and the window has not ended");
    const index = turn(loops.length);
    const { done, value } = loops[index]!.next();
    if (done) loops.splice(index, 1);
    idle = value === null ? idle + 1 : 0;
  }
  assert.equal(subject.committed(), reference.end);
  assert.equal(subject.applied(), reference.end);
  assert.equal(subject.cut(), reference.end < programs.length ? reference.end : -1);
  assert.equal(subject.gasLeft(), gasLeft - reference.gas.reduce((sum, gas) => sum + gas, 0));
  for (const [item, gas] of reference.gas.entries()) {
    const refused = limits[item]! > gasTotal;
    if (!refused) assert.equal(subject.outcome(item).outcome, item + 1);
    assert.equal(subject.outcome(item).gas, gas);
  }
  return steps;
}
