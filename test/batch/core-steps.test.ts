/** The compiled core under random orders of its atomic instructions. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../program/random.ts";
import { baseSeed } from "../seed.ts";
import { randomScenario, smallScenario, windowSteps } from "./scenario.ts";
import { pausingCore, SteppedSubject, tearSets } from "./stepped.ts";

const WORKERS = 5;

/** Runs windows on random orders of steps; the number of the first that goes wrong, -1: none. */
async function firstFailure(module: WebAssembly.Module, seed: number, rounds: number): Promise<number> {
  for (let round = 0; round < rounds; round++) {
    const random = new Random(seed + round);
    let scenario = smallScenario(random);
    while (random.chance(50)) scenario = randomScenario(random);
    if (scenario.programs.length > 30) continue;
    const subject = new SteppedSubject(module, WORKERS).begin(scenario.settings);
    const engines = subject.stepped.slice(0, scenario.settings.workers);
    const restless = random.pick([3, 10, 30, 60]);
    let current = 0;
    const turn = (workers: number): number => {
      if (random.chance(restless)) current = random.below(workers);
      return current % workers;
    };
    try {
      for (const engine of windowSteps(subject, engines, scenario, turn, 60)) await engine.advance();
    } catch (error) {
      if (seed !== CANARY) throw new Error(`seed ${seed + round}`, { cause: error });
      return round;
    }
  }
  return -1;
}

const CANARY = 1;

test("random orders of atomic instructions", async (t) => {
  const [module, pauses] = await pausingCore();
  t.diagnostic(`${pauses} atomic instructions`);
  assert.ok(pauses > 100);
  assert.equal(await firstFailure(module, baseSeed(t), 250), -1);
});

test("found when planted: a task is taken in two steps", async (t) => {
  const [module] = await pausingCore(tearSets);
  const round = await firstFailure(module, CANARY, 2000);
  t.diagnostic(`found in window ${round}`);
  assert.notEqual(round, -1);
});
