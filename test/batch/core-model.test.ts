/**
 * The specification of the core at the granularity of single accesses to shared memory: every order of
 * steps of small windows, random orders of larger ones, and planted defects that these must find.
 *
 * STILLPOINT_MODEL=full explores three items on two workers without a bound on interruptions (2.3 million
 * states, some minutes); that has been done for the counter.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../program/random.ts";
import { baseSeed } from "../seed.ts";
import { sized } from "../sizes.ts";
import { INTEGER_LINES, SpecSubject } from "./engines.ts";
import { explore } from "./model.ts";
import { increment, randomScenario, runWindow, type Scenario, smallScenario } from "./scenario.ts";
import type { Defect } from "./spec-window.ts";
import type { Program, Step } from "./work.ts";

type Body = () => Generator<Step, void, number>;

const program = (body: Body): Program =>
  function* () {
    yield* body();
    return 3;
  };

const counter = [increment(0), increment(0), increment(0)];

/** Where item 1 writes depends on what item 0 left: what it wrote before must vanish. */
const wandering = [
  increment(0),
  program(function* () {
    yield { line: 1 + ((yield { line: 0 }) & 1), write: 7 };
  }),
  program(function* () {
    yield { line: 3, write: (yield { line: 1 }) - (yield { line: 2 }) };
  }),
];

/** Item 1 leaves the same whatever it read. */
const constant = [
  increment(0),
  program(function* () {
    yield { line: 1, write: (yield { line: 0 }) > 0 ? 9 : 8 };
  }),
  program(function* () {
    yield { line: 2, write: (yield { line: 1 }) + (yield { line: 0 }) };
  }),
];

/** Item 0 reads nothing; item 1 overwrites its line; item 2 reads both lines of the others. */
const crossing = [
  program(function* () {
    yield { line: 0, write: 1 };
  }),
  program(function* () {
    yield { line: 1, write: (yield { line: 0 }) + 1 };
    yield { line: 0, write: 5 };
  }),
  program(function* () {
    yield { line: 0, write: (yield { line: 1 }) + (yield { line: 0 }) };
  }),
];

/** Item 1 adds 2 at first and 1 in the end; who takes base with that 1 and adds it once more sees 2 again. */
const adding = [
  program(function* () {
    yield { line: 0, write: 1 };
  }),
  program(function* () {
    yield { line: INTEGER_LINES, add: (yield { line: 0 }) === 1 ? 1 : 2 };
  }),
  program(function* () {
    yield { line: 1, write: (yield { line: INTEGER_LINES }) + 1 };
  }),
];

/** Two items add where there is room for one. */
const limited = [
  program(function* () {
    yield { line: 0, write: yield { line: INTEGER_LINES, add: 2, max: 2 } };
  }),
  program(function* () {
    yield { line: 1, write: yield { line: INTEGER_LINES, add: 2, max: 3 } };
  }),
  program(function* () {
    yield { line: INTEGER_LINES, add: 1 };
    yield { line: 2, write: yield { line: INTEGER_LINES } };
  }),
];

function scenario(programs: readonly Program[], workers: number, settings: object = {}): Scenario {
  const limits = programs.map(() => 10);
  return {
    programs,
    settings: {
      ...{ workers, limits, gasTotal: 1000, gasLeft: 1000, spinLimit: 0, rerunLimit: 0, hints: [] },
      base: new Map([[0, 5]]),
      ...settings,
    },
  };
}

const FULL = process.env.STILLPOINT_MODEL === "full";

const SMALL: [name: string, scenario: Scenario, interruptions: number][] = [
  ["two increments of a counter, two workers", scenario(counter.slice(1), 2), sized(4, Infinity)],
  ["three increments of a counter, two workers", scenario(counter, 2), FULL ? Infinity : 2],
  ["three increments of a counter, three workers", scenario(counter, 3), FULL ? 3 : 1],
  ["writes that wander", scenario(wandering, 2), 2],
  ["writes that stay the same", scenario(constant, 2), 2],
  ["lines written by all", scenario(crossing, 2), 2],
  ["deltas", scenario(adding, 2), FULL ? 4 : 2],
  ["deltas with bounds", scenario(limited, 2), 2],
  ["waiting for estimates", scenario(counter, 2, { spinLimit: 1 }), 2],
  ["exact hints", scenario(counter, 2, { hints: [[1, 0], [2, 1]] }), 2], // biome-ignore format: pairs
  ["the gas ends", scenario(counter, 2, { gasLeft: 11 }), 2],
  ["a refused item", scenario(counter, 2, { limits: [2000, 10, 10] }), 2],
  ["leases of one step", scenario(counter.slice(1), 2, { lease: 1 }), FULL ? Infinity : sized(3, 4)],
  ["leases of one step, deltas", scenario(limited, 2, { lease: 1 }), FULL ? 3 : 1],
  ["no leases but the last", scenario(wandering, 2, { lease: 0 }), 2],
  ["nothing but refused items", scenario(counter, 2, { limits: [2000, 2000, 2000] }), Infinity],
];

for (const [name, small, interruptions] of SMALL) {
  test(`every order of steps: ${name}`, (t) => {
    const { states, transitions, ends } = explore(small, 5_000_000, interruptions);
    t.diagnostic(`${states} states, ${transitions} transitions, ${ends} ends`);
    assert.ok(ends > 0);
  });
}

/** Runs windows on random orders of steps; the number of the first that goes wrong, -1: none. */
function firstFailure(seed: number, rounds: number, defect: Defect | null): number {
  for (let round = 0; round < rounds; round++) {
    const random = new Random(seed + round);
    const { programs, settings } = random.chance(50) ? smallScenario(random) : randomScenario(random);
    const subject = new SpecSubject({ ...settings, defect, spinLimit: random.pick([0, 3]) });
    const restless = random.pick([3, 10, 30, 60]);
    let current = 0;
    const turn = (workers: number): number => {
      if (random.chance(restless)) current = random.below(workers);
      return current % workers;
    };
    try {
      runWindow(subject, subject.workers, { programs, settings }, turn, 30);
    } catch (error) {
      if (defect === null) throw new Error(`seed ${seed + round}`, { cause: error });
      return round;
    }
  }
  return -1;
}

test("random orders of steps", (t) => {
  assert.equal(firstFailure(baseSeed(t), sized(1000, 3000), null), -1);
});

const DEFECTS: Defect[] = [
  "a validation counts from its end",
  "a commit takes any validation",
  "a finish does not move the clock",
  "a finish does not schedule validations",
  "lines not written any more stay",
  "every abort of an incarnation counts",
  "who waits does not look again",
  "waiters are looked for before the state is set",
  "the frontier stops at the own item",
  "the frontier passes what is not executed",
  "a commit does not check what was told",
  "a commit does not release the next item",
  "who is held does not look again",
  "the holder of the lock does not look again",
];

for (const defect of DEFECTS) {
  test(`found when planted: ${defect}`, (t) => {
    const round = firstFailure(1, 30_000, defect);
    t.diagnostic(`found in window ${round}`);
    assert.notEqual(round, -1);
    assert.equal(firstFailure(1 + round, 1, null), -1); // it was the defect
  });
}

test("found when planted: a sum does not look at the lowest deltas again", () => {
  const defect: Defect = "a sum does not look at the lowest deltas again";
  assert.throws(() => explore(scenario(adding, 2, { defect }), 1_000_000, 3), /after the turns/);
});
