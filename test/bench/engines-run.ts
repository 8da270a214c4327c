/**
 * One engine of the benchmark "engines": parts of the fuzzer's rounds, warm. Prints the median of the times
 * of each, in milliseconds, as JSON.
 *
 *   node engines-run.ts
 */

import { EngineRounds } from "../fuzz/engines-parts.ts";
import { quantile } from "./measure.ts";

export const PARTS = ["trees", "programs", "batches", "families", "evm"] as const;
const WARM = 6;
const ROUNDS = 9;
/** One with many transactions, again and again. */
const EVM_BLOCK = 8;

const rounds = new EngineRounds({ workers: 2 });
const times: Record<string, number> = {};
for (const name of PARTS) {
  const part = rounds.parts[name] as (seed: number) => Promise<string>;
  const own: number[] = [];
  for (let round = 0; round < WARM + ROUNDS; round++) {
    const start = performance.now();
    await part(name === "evm" ? EVM_BLOCK : round);
    if (round >= WARM) own.push(performance.now() - start);
  }
  times[name] = quantile(own, 0.5);
}
await rounds.close();
console.log(JSON.stringify(times));
