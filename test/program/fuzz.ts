/**
 * node test/program/fuzz.ts [--seed S] [--seconds T] [--canary]
 *
 * Generated programs, instrumented against plain and for batches against instrumented, in both tiers of the
 * engine; their results, gas and memory must be the same in both. With --canary each planted defect of the
 * rewriter must be found. Prints the seed, and for a difference the seed of the one program:
 * node test/program/fuzz.ts --seed S --programs 1
 */

import { spawn } from "node:child_process";
import { parseArgs } from "node:util";
import type { Defect } from "../../runtime/program/instrument/defects.ts";
import { compareBatch } from "./batch.ts";
import { compare, compareSuspending, type Observed } from "./differential.ts";

export const CANARIES: readonly Defect[] = [
  "gas",
  "nan",
  "nan-shape",
  "mark",
  "pay",
  "group",
  "bulk-mark",
  "bulk-pay",
  "bulk-page-group",
  "exit",
  "flush",
];
/** Those of the batch variant. */
export const BATCH_CANARIES: readonly Defect[] = [
  "straddle",
  "bound-offset",
  "bulk-touch",
  "write-tag",
  "state-pay",
  "span",
  "guard",
  "wrap",
  "claim",
  "version",
];
/** Seeds near programs that a defect spoils which spoils few: whoever has little time begins there. */
export const SPOILED: Readonly<Partial<Record<Defect, number>>> = {
  ...{ straddle: 20, "bound-offset": 95, "bulk-touch": 20, span: 215, guard: 50, wrap: 215 },
  ...{
    claim: 405,
    version: 210,
    group: 420,
    nan: 20,
    "bulk-mark": 20,
    "bulk-pay": 20,
    "bulk-page-group": 20,
  },
};
/** Those of programs that can suspend. */
export const SUSPENSION_CANARIES: readonly Defect[] = [
  "operand",
  "index",
  "local",
  "address",
  "base",
  "charge",
];
const CHUNK = 200;
/** Every so many programs one is made again with ret in it. */
const SUSPENDING_EVERY = 4;

/** Summaries of programs seed to seed + count - 1, computed by another node with the given flags. */
export function observe(flags: readonly string[], seed: number, count: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const args = [...flags, import.meta.filename, "--seed", `${seed}`, "--programs", `${count}`, "--print"];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(Buffer.concat(chunks).toString().trimEnd().split("\n"));
      else reject(new Error(`node ${flags.join(" ")} ended with ${code}: seed ${seed}, ${count} programs`));
    });
  });
}

/** Programs until the defect shows; their number, or null. */
export function findCanary(defect: Defect, seed: number, limit: number): number | null {
  const observe = SUSPENSION_CANARIES.includes(defect)
    ? compareSuspending
    : BATCH_CANARIES.includes(defect)
      ? compareBatch
      : compare;
  for (let index = 0; index < limit; index++) {
    if (observe(seed + index, defect).difference !== null) return index + 1;
  }
  return null;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      seconds: { type: "string", default: "30" },
      programs: { type: "string" },
      print: { type: "boolean", default: false },
      canary: { type: "boolean", default: false },
    },
  });
  const first = Number(values.seed ?? process.pid * 100_000);
  if (values.programs !== undefined) {
    for (let seed = first; seed < first + Number(values.programs); seed++) {
      const observed: Observed[] = [compare(seed), compareBatch(seed)];
      if (seed % SUSPENDING_EVERY === 0)
        observed.push(compareSuspending(seed), compareBatch(seed, undefined, true));
      const difference = observed.find((one) => one.difference !== null)?.difference ?? null;
      const summary = observed.map((one) => one.summary).join(" | ");
      if (difference !== null || values.print) console.log(`${seed}: ${difference ?? "equal"} ${summary}`);
    }
  } else if (values.canary) {
    console.log(`seed ${first}`);
    for (const defect of [...CANARIES, ...SUSPENSION_CANARIES, ...BATCH_CANARIES]) {
      const found = findCanary(defect, first, 2000);
      console.log(`${defect}: ${found === null ? "NOT FOUND" : `found after ${found} programs`}`);
      if (found === null) process.exitCode = 1;
    }
  } else {
    await soak(first, Number(values.seconds));
  }
}

async function soak(first: number, seconds: number): Promise<void> {
  console.log(`seed ${first}`);
  const end = performance.now() + seconds * 1000;
  let seed = first;
  let differences = 0;
  for (; performance.now() < end && differences < 10; seed += CHUNK) {
    const [baseline, optimised] = await Promise.all([
      observe(["--liftoff-only"], seed, CHUNK),
      observe(["--no-liftoff"], seed, CHUNK),
    ]);
    baseline.forEach((line, index) => {
      if (line === optimised[index] && line.includes(": equal ")) return;
      differences++;
      console.log(`${line}\n  against, without Liftoff, ${optimised[index]}`);
    });
  }
  console.log(`${seed - first} programs, ${differences} differences`);
  if (differences > 0) process.exitCode = 1;
}
