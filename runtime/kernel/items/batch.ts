/**
 * A batch that runs: how far it has come, and what the kernel asks of the code that runs items in parallel
 * (batch/). That cannot change a result: the meaning of a batch is the loop in loop.ts.
 */

import { ITEM_NOT_RUN, ITEM_REFUSED, STATUS_RETURNED } from "../../../syscalls/abi.ts";
import { assert } from "../../errors.ts";
import type { Heap, Ref } from "../../heap/heap.ts";
import { tableGet, tableUpdate } from "../../heap/table.ts";
import { type Process, publishProcess } from "../../image/process.ts";
import { keptLimit, pagesLeft } from "../../image/quota.ts";
import { BATCH_BYTES_LIMIT } from "../../limits.ts";
import { changeOf } from "../changes.ts";
import { clearOutcome } from "../images.ts";
import type { LoadedProgram, Variant } from "../program.ts";
import { Inputs, OutcomesWriter } from "./objects.ts";

/** A batch whose start function has run, if there was one to run: the image after the items before `next`. */
export class Batch {
  readonly program: LoadedProgram;
  /** What the batch was given to. */
  readonly start: Process;
  readonly globals: Ref;
  readonly inputs: Inputs;
  readonly outcomes: OutcomesWriter;
  /** In which the loop runs the next items; what they leave is the same in each. */
  variant: Variant;
  /** What all items together may use. */
  readonly gas: number;
  /** Of the process, from the root. */
  readonly depth: number;
  /** State after the items so far; private memory as when the batch began. */
  memory: Ref;
  /** In pages of 64 KiB. */
  memoryPages: number;
  /** Children that items have changed so far, null where one was dropped that the image had before. */
  readonly children: ReadonlyMap<number, Process | null> = new Map();
  childCount: number;
  /** Memory quota passed on to children. */
  memoryPassed: number;
  heldGasPassed: number;
  processQuota: number;
  /** The next item does not fit into what is left: neither it nor those after it run. */
  cut = false;

  constructor(
    heap: Heap,
    program: LoadedProgram,
    start: Process,
    memory: Ref,
    globals: Ref,
    gas: number,
    depth: number,
  ) {
    this.program = program;
    this.variant = program.sequential;
    this.start = start;
    this.memory = memory;
    this.memoryPages = start.memoryPages;
    this.childCount = start.childCount;
    this.memoryPassed = start.memoryPassed;
    this.heldGasPassed = start.heldGasPassed;
    this.processQuota = start.processQuota;
    this.globals = globals;
    this.gas = gas;
    this.depth = depth;
    this.inputs = new Inputs(heap, start.inputs);
    this.outcomes = new OutcomesWriter(this.inputs.count);
  }

  /** The item that comes next. */
  get next(): number {
    return this.outcomes.next;
  }

  /** Items that may still run. */
  get rest(): number {
    return this.cut ? 0 : this.inputs.count - this.next;
  }

  /** Gas that the items before have left. */
  get left(): number {
    return this.gas - this.outcomes.gasUsed;
  }

  /** An item has left `process` as the child of that number, null: none. */
  settle(heap: Heap, number: number, process: Process | null): void {
    const children = this.children as Map<number, Process | null>;
    if (process === null && tableGet(heap, this.start.children, number) === 0) children.delete(number);
    else children.set(number, process);
  }

  /** Bytes that the image will keep besides memory: globals, and outcomes with the outputs so far. */
  get kept(): number {
    return this.program.handle.globalsLength + this.outcomes.bytes;
  }

  /** Bytes that the next outputs may have, as long as items have passed on `memoryPassed` in all. */
  outputRoom(memoryPassed: number): number {
    const { start, outcomes, memoryPages } = this;
    const limit = keptLimit(memoryPages, start.programPages, start.memoryGiven - memoryPassed);
    return Math.min(limit - this.kept, BATCH_BYTES_LIMIT - outcomes.outputBytes);
  }

  /** There is no gas for any item: none runs. */
  refuse(): void {
    while (this.next < this.inputs.count) this.outcomes.add(ITEM_REFUSED, 0, 0, 0, 0);
  }

  /** The image when no item is left; globals and private memory are as they were. */
  finish(heap: Heap, runner: BatchRunner): Process {
    runner.end(this);
    const { outcomes } = this;
    while (outcomes.next < this.inputs.count) outcomes.add(ITEM_NOT_RUN, 0, 0, 0, 0);
    return batched(heap, this);
  }
}

/** What a batch makes of `batch.start` when its items are done. */
function batched(heap: Heap, batch: Batch): Process {
  const { start, outcomes } = batch;
  const result = start.copy();
  clearOutcome(result);
  result.status = STATUS_RETURNED;
  result.started = 1;
  result.globals = batch.globals;
  result.memory = batch.memory;
  result.presentPages += changeOf(heap, start.memory, batch.memory).more;
  result.memoryPages = batch.memoryPages;
  result.memoryPassed = batch.memoryPassed;
  result.heldGasPassed = batch.heldGasPassed;
  result.processQuota = batch.processQuota;
  result.childCount = batch.childCount;
  const numbers = [...batch.children.keys()].sort((a, b) => a - b);
  const refs = numbers.map((number) => {
    const child = batch.children.get(number) ?? null;
    return child === null ? 0 : publishProcess(heap, child);
  });
  result.children = tableUpdate(heap, start.children, numbers, refs, numbers.length);
  result.outcomes = outcomes.finish(heap);
  result.codeLow = outcomes.returned;
  result.gasUsed = start.gas - batch.left;
  result.parentGasEpoch = 0;
  assert(pagesLeft(heap, result) >= 0, "batched: outcomes exceed the memory quota");
  return result;
}

export interface BatchRunner {
  /**
   * How many items the kernel is to run next, one after the other, in the batch's variant; 0: `run` is to go
   * on.
   */
  plan(batch: Batch): number;
  /** Runs the next items, or some of them, or none. */
  run(batch: Batch): void;
  /** All items are done. */
  end(batch: Batch): void;
}

/** Leaves every batch to the kernel, and to the sequential variant: what a batch means. */
export const NO_RUNNER: BatchRunner = { plan: (batch) => batch.rest, run: () => {}, end: () => {} };
