/** The core of Block-STM and its specification, on random schedules of virtual workers in one thread. */

import { test } from "node:test";
import { Random } from "../program/random.ts";
import { baseSeed } from "../seed.ts";
import { CoreSubject, type Engine, SpecSubject } from "./engines.ts";
import { LockstepEngine } from "./lockstep.ts";
import { randomScenario, runWindow } from "./scenario.ts";

const SCHEDULES = Number(process.env.SCHEDULES ?? 1500);

test("on random schedules the core answers every call as its specification does", (t) => {
  const seed = baseSeed(t);
  const subject = new CoreSubject();
  for (let round = 0; round < SCHEDULES; round++) {
    const random = new Random(seed + round);
    const scenario = randomScenario(random);
    const spec = new SpecSubject({ ...scenario.settings });
    subject.begin(scenario.settings);
    const engines = spec.workers.map(
      (worker, i): Engine<never> =>
        new LockstepEngine(subject.workers[i]!, worker) as unknown as Engine<never>,
    );
    const favourite = random.below(5);
    try {
      runWindow(subject, engines, scenario, (workers) =>
        random.chance(50) ? favourite % workers : random.below(workers),
      );
    } catch (error) {
      throw new Error(`seed ${seed + round}`, { cause: error });
    }
  }
});
