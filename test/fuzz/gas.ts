/**
 * Fuzzer "gas": random sequences of requests at the worst content that a guest can set up; each call must
 * take at least the gas that its work costs (test/gas/world.ts). Work is counted, not timed, so a seed gives
 * the same everywhere. Its canaries are the rules of gas, left out one at a time (test/gas/canaries.ts).
 */

import { fileURLToPath } from "node:url";
import { CANARIES } from "../gas/canaries.ts";
import type { Unpaid } from "../gas/world.ts";
import type { GivenRound, RoundOfGas } from "./gas-run.ts";
import { linesOf } from "./process.ts";

export { CANARIES } from "../gas/canaries.ts";

const PROGRAM = fileURLToPath(new URL("gas-run.ts", import.meta.url));
/** Calls that a message names, of a round. */
const NAMED = 5;

/** Runs rounds from a seed on. */
export function roundsOfGas(
  seed: number,
  length: { rounds?: number; seconds?: number },
  rest: { plant?: string; steps?: readonly string[] } = {},
): Promise<RoundOfGas[]> {
  const args = ["--seed", seed, "--rounds", length.rounds ?? 1, "--seconds", length.seconds ?? 0];
  if (rest.plant !== undefined) args.push("--plant", rest.plant);
  if (rest.steps !== undefined) args.push("--steps", rest.steps.join(","));
  const name = `gas: rounds from seed ${seed}`;
  return linesOf(name, [PROGRAM, ...args.map(String)], { STILLPOINT_COUNT_WORK: "1" });
}

/** Runs rounds without a defect, in one process. */
export function listedRounds(list: readonly GivenRound[]): Promise<RoundOfGas[]> {
  const args = [PROGRAM, "--list", JSON.stringify(list)];
  return linesOf("gas: listed rounds", args, { STILLPOINT_COUNT_WORK: "1" });
}

/** The round in which calls no longer pay with the defect, played with its kinds of steps only; or null. */
export async function shortCanary(name: string, seed: number, rounds: number): Promise<GivenRound | null> {
  const { steps } = CANARIES[name]!;
  const last = (await roundsOfGas(seed, { rounds }, { plant: name, steps })).at(-1) as RoundOfGas;
  return last.unpaid.length === 0 ? null : { seed: last.seed, steps, calls: last.calls };
}

/** What a round found, in words; null: nothing. */
export function describeRound({ seed, unpaid }: RoundOfGas): string | null {
  if (unpaid.length === 0) return null;
  // Of each cause the worst.
  const worst = new Map<string, Unpaid>();
  for (const one of [...unpaid].sort((a, b) => b.ratio - a.ratio)) {
    const cause = causeOf(one);
    if (!worst.has(cause)) worst.set(cause, one);
  }
  const named = [...worst.values()].slice(0, NAMED).map(describe);
  return `seed ${seed}: ${unpaid.length} calls took less gas than their work\n${named.join("\n")}`;
}

/** In which kind of step a call of which kind did mostly work of which kind. */
export function causeOf({ step, call, work }: Unpaid): string {
  return `${step.replace(/^\d+ /, "")}: ${call}, ${work[0]?.[0] ?? "nothing"}`;
}

function describe({ step, call, gas, ratio, work }: Unpaid): string {
  const dearest = work.slice(0, 3).map(([kind, of]) => `${kind} ${Math.round(of)}`);
  const times = `its work is ${ratio.toFixed(1)} times that`;
  return `  step ${step}: ${call} took ${gas}, ${times}: ${dearest.join(", ")}`;
}

/** Whether calls that pay for their work do not with the defect; how many rounds it took, or null. */
export async function findCanary(name: string, seed: number, rounds: number) {
  const planted = await roundsOfGas(seed, { rounds }, { plant: name });
  const last = planted.at(-1) as RoundOfGas;
  if (last.unpaid.length === 0) return null;
  const [sound] = await roundsOfGas(last.seed, {});
  const known = new Set(sound!.unpaid.map(({ number }) => number));
  return last.unpaid.some(({ number }) => !known.has(number)) ? planted.length : null;
}
