/**
 * Rounds of the fuzzer "space" (space.ts), in a process of their own: a planted defect must be there before
 * the runtime is loaded.
 *
 *   node space-run.ts --seed S (--rounds N | --seconds T) [--blocks N]
 *
 * Prints a line of JSON for each round: RoundOfSpace.
 */

import { parseArgs } from "node:util";
import { playSpace } from "./space-round.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    rounds: { type: "string", default: "1" },
    seconds: { type: "string", default: "0" },
    blocks: { type: "string", default: "300" },
  },
});
const first = Number(values.seed);
const end = performance.now() + Number(values.seconds) * 1000;
for (let seed = first; seed < first + Number(values.rounds) || performance.now() < end; seed++) {
  console.log(JSON.stringify(await playSpace(seed, Number(values.blocks))));
}
