/**
 * What instrumentation costs: guest kernels, instrumented against the same module plain, interleaved in one
 * process.
 *
 * For each kernel the ratio is the median over rounds of (time of a run instrumented) / (time of a run
 * plain); the spread is half the distance between the quartiles of those ratios. Both sides must give the
 * same result.
 */

import { readdirSync, readFileSync } from "node:fs";
import { admit } from "../../runtime/program/admit.ts";
import { Machine } from "../program/harness.ts";
import type { Report } from "./report.ts";

/** By kernel: its argument, such that a run takes ten to thirty milliseconds. */
export const ARGUMENTS: Readonly<Record<string, bigint>> = {
  closures: 3_000_000n,
  compress: 8n,
  crc64: 8_000_000n,
  fannkuch: 8n,
  hashmap: 100_000n,
  interpreter: 400_000n,
  mandelbrot: 160n,
  matrix: 30n,
  mix: 4_000_000n,
  nbody: 60_000n,
  objects: 100_000n,
  quicksort: 150_000n,
  recursion: 30n,
  sha256: 20_000n,
  sieve: 2_000_000n,
  simd: 600n,
  text: 4_000_000n,
  wide: 300_000n,
};
const WARM_RUNS = 3;
const ROUNDS = 15;

const folder = new URL("./kernels/", import.meta.url);

/** The kernel compiled by asc, with further options of its. */
export async function compileKernel(name: string, options: readonly string[] = []): Promise<Uint8Array> {
  const { default: asc } = await import("assemblyscript/asc");
  let binary: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    [`${name}.ts`, "-O3", "--runtime", "incremental", "--enable", "simd", ...options, "-o", "out.wasm"],
    {
      readFile: (path: string) =>
        path === `${name}.ts` ? readFileSync(new URL(path, folder), "utf8") : null,
      writeFile: (path: string, contents: Uint8Array | string) => {
        if (path === "out.wasm") binary = contents as Uint8Array;
      },
      listFiles: () => [],
    },
  );
  if (error !== null || binary === undefined)
    throw new Error(`${name}: ${error?.message} ${stderr.toString()}`);
  return binary;
}

export const KERNELS: readonly string[] = readdirSync(folder)
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.slice(0, -3))
  .sort();

export function plainInstance(bytes: Uint8Array): (argument: bigint) => bigint {
  const abort = () => {
    throw new Error("abort");
  };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), {
    env: { abort },
  });
  return instance.exports.main as (argument: bigint) => bigint;
}

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] as number;
}

export async function run(report: Report, { rows = "" }: { readonly rows?: string }): Promise<void> {
  const ratios: number[] = [];
  for (const name of KERNELS.filter((name) => name.includes(rows))) {
    const bytes = await compileKernel(name);
    const plain = plainInstance(bytes);
    const machine = new Machine(admit(bytes));
    if (machine.program.hasStart) machine.start();
    const argument = ARGUMENTS[name] ?? 1n;
    const instrumented = () => resultOf(machine, argument);
    ratios.push(compareTimes(report, name, "the module plain", () => plain(argument), instrumented));
  }
  reportMean(report, ratios, "times plain");
}

/** What entry main of a machine returns. */
export function resultOf(machine: Machine, argument: bigint): bigint {
  const outcome = machine.run("main", argument);
  if (outcome.fault !== 0) throw new Error(`fault ${outcome.fault}`);
  return outcome.result;
}

/** Reports the ratio of the second side's time to the first one's, which is `baseline`; returns it. */
export function compareTimes(
  report: Report,
  name: string,
  baseline: string,
  first: () => bigint,
  second: () => bigint,
): number {
  const sides = [first, second] as const;
  const times: [number[], number[]] = [[], []];
  for (let round = -WARM_RUNS; round < ROUNDS; round++) {
    const results: bigint[] = [];
    for (const side of [0, 1] as const) {
      const begin = performance.now();
      results.push(sides[side]());
      if (round >= 0) times[side].push(performance.now() - begin);
    }
    if (results[0] !== results[1]) throw new Error(`${name}: ${results[0]} and ${results[1]}`);
  }
  const each = times[1].map((time, round) => time / (times[0][round] as number)).sort((a, b) => a - b);
  const ratio = quantile(each, 0.5);
  report.row({
    name,
    value: quantile(
      times[1].sort((a, b) => a - b),
      0.5,
    ),
    unit: "ms",
    baseline,
    ratio,
    spread: (quantile(each, 0.75) - quantile(each, 0.25)) / 2 / ratio,
  });
  return ratio;
}

export function reportMean(report: Report, ratios: readonly number[], unit: string): void {
  const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
  report.row({ name: "geometric mean", value: mean, unit });
  report.row({ name: "worst", value: Math.max(...ratios), unit });
}
