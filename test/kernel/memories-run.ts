/** Runs the model of memories (memories.ts): SEED RUNS ACTIVATIONS. Exits with 1 at the first difference. */

import "../counting.ts";
import { runMemories } from "./memories.ts";

const [seed = 1, runs = 1, activations = 30] = process.argv.slice(2).map(Number);
for (let run = 0; run < runs; run++) {
  const ran = await runMemories(seed + run, activations);
  console.log(`seed ${seed + run}: ${JSON.stringify(ran)}`);
}
