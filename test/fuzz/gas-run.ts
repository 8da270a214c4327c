/**
 * Rounds of the fuzzer "gas" (gas.ts), in a process of their own: work is counted only if the runtime is
 * loaded with STILLPOINT_COUNT_WORK=1, and a planted defect must be there before it is loaded.
 *
 *   node gas-run.ts --seed S (--rounds N | --seconds T) [--plant NAME] [--steps KIND,KIND…]
 *   node gas-run.ts --list '[{"seed":S,"steps":[KIND…],"calls":N}…]'
 *
 * Prints a line of JSON for each round: RoundOfGas. With a planted defect, up to the first that finds it; if
 * the kinds of steps are given as well, that round ends with the step that does. Rounds of a list end after
 * that number of calls.
 */

import { parseArgs } from "node:util";
import { CANARIES } from "../gas/canaries.ts";
import { plant } from "../gas/plant.ts";
import type { Unpaid } from "../gas/world.ts";

export interface RoundOfGas {
  readonly seed: number;
  readonly calls: number;
  /** Largest share of its gas that a call's work took, of those that paid. */
  readonly highest: number;
  readonly unpaid: readonly Unpaid[];
}

/** A round to play: these kinds of steps, up to this number of calls. */
export interface GivenRound {
  readonly seed: number;
  readonly steps: readonly string[];
  readonly calls: number;
}

type Played = Pick<RoundOfGas, "calls" | "unpaid">;

const STEPS = 60;
const HEAP_BYTES = 2 ** 32;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    rounds: { type: "string", default: "1" },
    seconds: { type: "string", default: "0" },
    plant: { type: "string" },
    steps: { type: "string" },
    list: { type: "string" },
  },
});
if (values.plant !== undefined) plant(CANARIES[values.plant]!.edits);

const { COUNTING } = await import("../../runtime/work.ts");
if (!COUNTING) throw new Error("gas: STILLPOINT_COUNT_WORK is not 1");
const { Caller } = await import("../gas/caller.ts");
const { playSteps, STEPS: KINDS } = await import("../gas/generate.ts");
const { LARGE_PAGES, SMALL_PAGES } = await import("../gas/play.ts");
const { World } = await import("../gas/world.ts");
const { globalsModule, growerModule, tableModule, tinyModule } = await import("../gas/modules.ts");
const { gasGuest } = await import("../gas/rows.ts");
const { memoryFor } = await import("../gas/steps.ts");
const { random } = await import("../kernel/trees.ts");

const guests = [SMALL_PAGES, LARGE_PAGES].map((pages) => gasGuest(memoryFor(pages)));
const modules = [globalsModule(2_000), tableModule(5_000), growerModule(20_000), tinyModule(0)];
const programs = [...(await Promise.all(guests)), ...modules];
const kinds = values.steps?.split(",") ?? Object.keys(KINDS);

async function round(seed: number, of: readonly string[], isEnough: (world: Played) => boolean) {
  const world = new World(await Caller.open(programs, { heapBytes: HEAP_BYTES }));
  playSteps(world, random(seed), STEPS, of, () => isEnough(world));
  const { calls, highest, unpaid } = world;
  console.log(JSON.stringify({ seed, calls, highest, unpaid } satisfies RoundOfGas));
  return unpaid.length;
}

if (values.list !== undefined) {
  for (const { seed, steps, calls } of JSON.parse(values.list) as GivenRound[])
    await round(seed, steps, (world) => world.calls >= calls);
  process.exit();
}
const isShort = values.plant !== undefined && values.steps !== undefined;
const first = Number(values.seed);
const end = performance.now() + Number(values.seconds) * 1000;
for (let seed = first; seed < first + Number(values.rounds) || performance.now() < end; seed++) {
  const unpaid = await round(seed, kinds, (world) => isShort && world.unpaid.length > 0);
  if (values.plant !== undefined && unpaid > 0) break;
}
