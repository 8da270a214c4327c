/**
 * Fuzzer "space": a guest keeps as much as it can, in the smallest heap that `open` takes, with as many
 * blocks retained as by default. Blocks are forgotten; none fails because the heap is full. Its canaries are
 * what that rests on, left out one at a time.
 */

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Fault } from "../planted.ts";
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
  const env = { ...process.env, STILLPOINT_FAULTS: JSON.stringify(faults) };
  // Threads load their modules in the same way.
  const command = ["--import", path("../plant-hook.ts"), path("space-run.ts"), ...args];
  const child = spawn(process.execPath, command, { env, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      if (code !== 0)
        return reject(new Error(`space: rounds from seed ${seed} ended with exit code ${code}`));
      resolve(
        output
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line)),
      );
    });
  });
}

/** After how many rounds the defect is found, null: it is not. */
export async function findCanary(name: string, seed: number, rounds: number): Promise<number | null> {
  const found = (await roundsOfSpace(seed, { rounds }, name)).findIndex((round) => round.found !== null);
  return found < 0 ? null : found + 1;
}
