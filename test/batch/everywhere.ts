/**
 * Batches everywhere: a chain of batches of scripts on the loop with one worker, and on runtimes that run
 * them in parallel with two, four and eight, twice. All blocks must be the same, to the byte.
 */

import assert from "node:assert/strict";
import { after } from "node:test";
import type { BatchReport, DebugOptions, Runtime, RuntimeOptions } from "../../runtime/index.ts";
import { quota } from "../driver.ts";
import { sized } from "../sizes.ts";
import { type BatchInput, type BatchOutcome, batchMetadata, openBatches, runBatch } from "./batches.ts";
import { SCRIPT, WARM } from "./scripts.ts";

/** Enough to see every order of things; the first runs alone. */
export const WORKERS = sized([1, 4], [1, 2, 4, 8]);
const RUNS = sized(1, 2);
/** Those that decide states are the same everywhere. */
export const OPTIONS = { memoryQuotaPages: quota(4096), retainBlocks: 4096 };

/** Steps of that name, for the option. */
export function steps(name: string): string {
  return new URL(`./steps/${name}.ts`, import.meta.url).href;
}

export interface Engine {
  readonly runtime: Runtime;
  /** One for each batch since the last look. */
  readonly reports: BatchReport[];
}

const engines = new Map<string, Promise<Engine>>();

/** A runtime in which child 1 runs scripts; one for each set of options, closed at the end of the file. */
export function engine(options: Partial<RuntimeOptions>): Promise<Engine> {
  const name = JSON.stringify(options);
  let found = engines.get(name);
  if (found === undefined) {
    found = openEngine(options);
    engines.set(name, found);
  }
  return found;
}

async function openEngine(options: Partial<RuntimeOptions>): Promise<Engine> {
  const reports: BatchReport[] = [];
  const onBatch = (report: BatchReport): void => void reports.push(report);
  const debug = { force: true, ...options.debug };
  const runtime = await openBatches(SCRIPT, { ...OPTIONS, onBatch, ...options, debug });
  await runBatch(runtime, WARM);
  return { runtime, reports };
}

after(async () => {
  for (const engine of engines.values()) await (await engine).runtime.close();
});

/** Runs a chain of batches after the second block. */
export async function chain({ runtime }: Engine, batches: readonly BatchInput[]): Promise<BatchOutcome[]> {
  await runtime.revert(2);
  const outcomes: BatchOutcome[] = [];
  for (const batch of batches) outcomes.push(await runBatch(runtime, batch));
  return outcomes;
}

export interface Everywhere {
  /** Of the loop, for each batch. */
  readonly outcomes: readonly BatchOutcome[];
  /** Of all that ran in parallel. */
  readonly reports: readonly BatchReport[];
}

/** Runs a chain of batches everywhere, and compares. */
export async function everywhere(
  batches: readonly BatchInput[],
  debug: DebugOptions = {},
  runs = RUNS,
): Promise<Everywhere> {
  const loop = await engine({ workers: 1, runner: "sequential" });
  const outcomes = await chain(loop, batches);
  const reports: BatchReport[] = [];
  for (const workers of WORKERS) {
    const parallel = await engine({ workers, debug: { paranoid: true, ...debug } });
    for (let run = 0; run < runs; run++) {
      parallel.reports.length = 0;
      const found = await chain(parallel, batches);
      assert.deepEqual(found, outcomes, `${workers} workers, run ${run}`);
      if (workers > 1) reports.push(...parallel.reports);
    }
  }
  assert.ok(outcomes.every(({ put, get }) => put === 0 && get === 0));
  const items = batches.reduce((sum, batch) => sum + batch.items.length, 0);
  const parallel = reports.reduce((sum, report) => sum + report.parallel, 0);
  assert.ok(items === 0 || parallel > 0, "something ran in parallel");
  return { outcomes, reports };
}

/** Runs a batch after another, everywhere. */
export async function once(batch: BatchInput, ...before: BatchInput[]): Promise<BatchOutcome> {
  const { outcomes } = await everywhere([...before, batch]);
  return outcomes.at(-1) as BatchOutcome;
}

export function total(
  reports: readonly BatchReport[],
  what: "executions" | "validations" | "aborts",
): number {
  return reports.reduce((sum, report) => sum + report[what], 0);
}

export { batchMetadata };
