/**
 * What the kernel asks of whoever can run the items of a batch in parallel (batch/). It cannot change a
 * result: the meaning of a batch is the loop in sequential.ts.
 */

import type { Ref } from "../heap/heap.ts";
import type { Process } from "../image/process.ts";
import type { LoadedProgram } from "./program.ts";

/** A batch whose start function has run, if there was one to run. */
export interface BatchWork {
  readonly program: LoadedProgram;
  /** Number of the entry that each item runs. */
  readonly entry: number;
  /** The image when the batch begins. */
  readonly memory: Ref;
  readonly globals: Ref;
  readonly memoryPages: number;
  readonly children: Ref;
  readonly childCount: number;
  readonly memoryQuota: number;
  readonly processQuota: number;
  /** A BLOB that batch.ts draws. */
  readonly inputs: Ref;
  /** What all items together may use. */
  readonly gas: number;
  /** Of the process, from the root. */
  readonly depth: number;
}

/** What the batch leaves; globals and private memory are as they were. */
export interface BatchResult {
  readonly memory: Ref;
  readonly children: Ref;
  readonly childCount: number;
  readonly memoryQuota: number;
  readonly processQuota: number;
  /** A BLOB that batch.ts draws. */
  readonly outcomes: Ref;
  /** Sum over the items. */
  readonly gasUsed: number;
  /** How many items returned. */
  readonly returned: number;
}

export interface BatchRunner {
  /** Runs the batch; null: it is the kernel's to run, item after item. */
  run(work: BatchWork): BatchResult | null;
}

/** Leaves every batch to the kernel. */
export const NO_RUNNER: BatchRunner = { run: () => null };

/** The work that `start` is, when its start function has left these and so much gas. */
export function workOf(
  start: Process,
  program: LoadedProgram,
  memory: Ref,
  globals: Ref,
  gasLeft: number,
  depth: number,
): BatchWork {
  const { entry, memoryPages, children, childCount, memoryQuota, processQuota, inputs } = start;
  const state = { memory, globals, memoryPages, children, childCount, memoryQuota, processQuota };
  return { program, entry, ...state, inputs, gas: gasLeft, depth };
}
