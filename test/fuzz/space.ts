/**
 * Fuzzer "space": a guest keeps as much as it can, in the smallest heap that `open` takes, with as many
 * blocks retained as by default. Blocks are forgotten; none fails because the heap is full. Its canaries are
 * what that rests on, left out one at a time.
 */

import { fileURLToPath } from "node:url";
import type { Fault } from "../planted.ts";
import { linesOf } from "./process.ts";
import type { RoundOfSpace } from "./space-round.ts";

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export const CANARIES: Readonly<Record<string, readonly Fault[]>> = {
  "open asserts half of what a state takes": [
    {
      file: "runtime/chain/bounds.ts",
      find: "HEAP_BYTES_PER_QUOTA_PAGE = 4_620;",
      put: "HEAP_BYTES_PER_QUOTA_PAGE = 2_310;",
    },
  ],
  "children keep their reference snapshots": [
    {
      file: "runtime/kernel/images.ts",
      find: "if (process.status !== abi.STATUS_RUNNABLE) return withoutReference(process);",
      put: "if (process.status !== abi.STATUS_RUNNABLE) return process;",
    },
  ],
};

/** Runs rounds from a seed on. */
export function roundsOfSpace(
  seed: number,
  length: { rounds?: number; seconds?: number; blocks?: number },
  plant?: string,
): Promise<RoundOfSpace[]> {
  const { rounds = 1, seconds = 0, blocks = 300 } = length;
  const args = ["--seed", seed, "--rounds", rounds, "--seconds", seconds, "--blocks", blocks].map(String);
  const faults = plant === undefined ? [] : (CANARIES[plant] as readonly Fault[]);
  const env = { STILLPOINT_FAULTS: JSON.stringify(faults) };
  // Threads load their modules in the same way.
  const command = ["--import", path("../plant-hook.ts"), path("space-run.ts"), ...args];
  return linesOf(`space: rounds from seed ${seed}`, command, env);
}

/** After how many rounds the defect is found, null: it is not. */
export async function findCanary(name: string, seed: number, rounds: number): Promise<number | null> {
  const found = (await roundsOfSpace(seed, { rounds }, name)).findIndex((round) => round.found !== null);
  return found < 0 ? null : found + 1;
}
