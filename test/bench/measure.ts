/**
 * Measures several variants of one thing in one process, interleaved: round after round every variant runs
 * once, so that whatever else the machine does hits all of them alike. Reports medians and quartiles, and
 * ratios taken round by round.
 *
 * A variant runs its operation `count` times by itself: the loop belongs to what is measured, not to the
 * harness.
 */

import { performance } from "node:perf_hooks";
import type { Report } from "./report.ts";

export interface Variant {
  readonly name: string;
  /** Runs the operation `count` times. May return a promise. */
  readonly run: (count: number) => unknown;
  /** Runs before each round, outside the measurement. */
  readonly prepare?: () => unknown;
}

export interface MeasureOptions {
  /** Rounds that count; default 15. */
  readonly rounds?: number;
  /** Rounds before them; default 3. */
  readonly warmupRounds?: number;
  /** How long one round of one variant should take; operations per round follow from it. Default 20. */
  readonly roundMs?: number;
  /** Operations per round, instead of `roundMs`. */
  readonly count?: number;
}

export interface Measurement {
  readonly name: string;
  /** Median time of one operation. */
  readonly nanoseconds: number;
  /** Half the distance between the quartiles, as a share of the median. */
  readonly spread: number;
  /** Median over the rounds of this variant's time divided by the first variant's time. */
  readonly ratio: number;
  /** By round: the time of one operation. */
  readonly times: readonly number[];
}

/** How many times as fast the first was, round by round: the median. */
export function timesAsFast(times: readonly number[], others: readonly number[]): number {
  return quantile(
    times.map((time, round) => others[round]! / time),
    0.5,
  );
}

/** Measures `variants`; the first is the baseline of the ratios. */
export async function measure(
  variants: readonly Variant[],
  options: MeasureOptions = {},
): Promise<Measurement[]> {
  const { rounds = 15, warmupRounds = 3, roundMs = 20 } = options;
  const counts: number[] = [];
  for (const variant of variants) counts.push(options.count ?? (await calibrate(variant, roundMs)));
  const times = variants.map((): number[] => []);
  for (let round = -warmupRounds; round < rounds; round++) {
    for (const [i, variant] of variants.entries()) {
      const nanoseconds = (await timeOnce(variant, counts[i]!)) / counts[i]!;
      if (round >= 0) times[i]!.push(nanoseconds);
    }
  }
  return variants.map((variant, i) => ({
    name: variant.name,
    nanoseconds: quantile(times[i]!, 0.5),
    spread: spreadOf(times[i]!),
    ratio: timesAsFast(times[0]!, times[i]!),
    times: times[i]!,
  }));
}

/** Reports measurements as rows of time per operation; all but the first with their ratio to the first. */
export function reportTimes(report: Report, measurements: readonly Measurement[]): void {
  for (const [i, { name, nanoseconds, spread, ratio }] of measurements.entries()) {
    const row = { name, ...inUnit(nanoseconds), spread };
    report.row(i === 0 ? row : { ...row, baseline: measurements[0]!.name, ratio });
  }
}

/** The value that a share `q` of `values` does not exceed, interpolated. */
/** Half the distance between the quartiles, as a share of the median. */
export function spreadOf(values: readonly number[]): number {
  return (quantile(values, 0.75) - quantile(values, 0.25)) / 2 / quantile(values, 0.5);
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const position = q * (sorted.length - 1);
  const low = sorted[Math.floor(position)]!;
  return low + (sorted[Math.ceil(position)]! - low) * (position - Math.floor(position));
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

function inUnit(nanoseconds: number): { value: number; unit: string } {
  if (nanoseconds < 1e3) return { value: nanoseconds, unit: "ns" };
  if (nanoseconds < 1e6) return { value: nanoseconds / 1e3, unit: "µs" };
  return { value: nanoseconds / 1e6, unit: "ms" };
}

async function timeOnce(variant: Variant, count: number): Promise<number> {
  await variant.prepare?.();
  const start = performance.now();
  const pending = variant.run(count);
  if (pending instanceof Promise) await pending;
  return (performance.now() - start) * 1e6;
}

/** Doubles the count until a round takes long enough to extrapolate from. */
async function calibrate(variant: Variant, roundMs: number): Promise<number> {
  for (let count = 1; ; count *= 2) {
    const elapsedMs = (await timeOnce(variant, count)) / 1e6;
    if (elapsedMs >= roundMs / 4) return Math.max(1, Math.round((count * roundMs) / elapsedMs));
  }
}
