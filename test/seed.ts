/**
 * Randomised tests are the same at every run unless told otherwise: STILLPOINT_SEED=12345 npm test runs
 * others. The seed is printed, and fast-check prints with a failure the smallest case it found.
 */

import type { TestContext } from "node:test";
import type { Parameters } from "fast-check";
import { sized } from "./sizes.ts";

const DEFAULT_SEED = 20_150_730;

/** Parameters for fc.assert: `cases` from the seed, a third of them where not everything is wanted. */
export function seeded<T>(t: TestContext, cases: number): Parameters<T> {
  const runs = sized(Math.ceil(cases / 3), cases);
  const seed = Number(process.env.STILLPOINT_SEED ?? DEFAULT_SEED);
  t.diagnostic(`seed ${seed}, ${runs} cases; STILLPOINT_SEED=… npm test takes another seed`);
  return { seed, numRuns: runs };
}

/** The seed for tests with generators of their own. */
export function baseSeed(t: TestContext): number {
  const seed = Number(process.env.STILLPOINT_SEED ?? DEFAULT_SEED);
  t.diagnostic(`seed ${seed}; STILLPOINT_SEED=… npm test takes another one`);
  return seed;
}
