/**
 * Images that the calls make from images: fresh, runnable, faulted. Pure functions.
 */

import * as abi from "../../syscalls/abi.ts";
import type { Heap } from "../heap/heap.ts";
import { Process, referenceOf, withoutGas } from "../image/process.ts";
import type { LoadedProgram } from "./program.ts";
import type { PutRequest } from "./requests/request.ts";
import type { Slot } from "./slots/slot.ts";

/** What images are made of that an activation leaves. */
interface Run {
  readonly start: Process;
  readonly slot: Slot;
  readonly presentPages: number;
}

/** Where an abort was called, and what it said. */
interface Abort {
  readonly abortText: string;
  readonly abortLine: number;
  readonly abortColumn: number;
}

/** What PROGRAM makes. `memoryGiven` covers what the process takes itself. */
export function freshProcess(
  program: LoadedProgram,
  memoryGiven: number,
  processesGiven: number,
  heldGasGiven = 0,
): Process {
  const process = new Process();
  process.program = program.ref;
  process.memory = program.handle.initialMemory;
  process.presentPages = program.handle.presentPages;
  process.globals = program.handle.initialGlobals;
  process.memoryPages = program.handle.memory.initialPages;
  process.programPages = program.quotaPages;
  giveQuota(process, memoryGiven, processesGiven, heldGasGiven);
  return process;
}

function giveQuota(
  process: Process,
  memoryGiven: number,
  processesGiven: number,
  heldGasGiven: number,
): void {
  process.memoryGiven = memoryGiven;
  process.heldGasGiven = heldGasGiven;
  process.processesGiven = processesGiven;
  process.processQuota = processesGiven;
}

/**
 * What CLONE makes of a child: its subtree as it is seen now, without gas and without a reference snapshot.
 */
export function cloneOf(source: Process): Process {
  return withoutReference(withoutGas(source));
}

/**
 * What CLONE_SELF makes: the caller's memory, which was published, and globals as they are in this call, no
 * children, fresh.
 */
export function cloneOfCaller(
  heap: Heap,
  caller: Run,
  memoryGiven: number,
  processesGiven: number,
  heldGasGiven: number,
): Process {
  const { slot, start } = caller;
  const process = new Process();
  process.program = start.program;
  process.memory = slot.root;
  process.presentPages = caller.presentPages;
  process.globals = slot.publishGlobals(heap);
  process.memoryPages = slot.memoryPages;
  process.programPages = start.programPages;
  process.started = 1;
  giveQuota(process, memoryGiven, processesGiven, heldGasGiven);
  return process;
}

/**
 * What START makes of `process`, a child of a process of that gas epoch; it becomes its own reference
 * snapshot unless the request keeps the earlier one.
 */
export function runnable(process: Process, entry: number, request: PutRequest, gasEpoch: number): Process {
  const start = process.copy();
  if (!request.keep || !process.hasReference) {
    start.reference = withoutReference(process);
    start.referenceRef = 0;
  }
  clearOutcome(start);
  start.status = abi.STATUS_RUNNABLE;
  start.entry = entry;
  start.argumentLow = request.argumentLow;
  start.argumentHigh = request.argumentHigh;
  start.gas = request.gas;
  start.parentGasEpoch = start.gasInside > 0 ? gasEpoch : 0;
  return start;
}

/** Removes what only the status before meant; the continuation stays. */
export function clearOutcome(process: Process): void {
  process.entry = 0;
  process.text = 0;
  process.inputs = 0;
  process.outcomes = 0;
  process.codeLow = 0;
  process.codeHigh = 0;
  process.argumentLow = 0;
  process.argumentHigh = 0;
  process.gas = 0;
  process.gasUsed = 0;
  process.fault = abi.FAULT_NONE;
  process.line = 0;
  process.column = 0;
  process.regionPointer = 0;
  process.regionCapacity = 0;
}

/**
 * What a fault makes of an activation that began with `start`: its reference snapshot (a root has none: its
 * start), with the fault as status.
 */
export function faulted(
  heap: Heap,
  start: Process,
  fault: number,
  gasUsed: number,
  abort: Abort | null = null,
): Process {
  const back = referenceOf(heap, start) ?? start;
  const result = withoutGas(back);
  result.reference = start.reference;
  result.referenceRef = start.referenceRef;
  clearOutcome(result);
  result.status = abi.STATUS_FAULTED;
  result.fault = fault;
  result.gasUsed = gasUsed;
  if (abort !== null) {
    result.text = heap.blob(Buffer.from(abort.abortText, "utf8"));
    result.line = abort.abortLine;
    result.column = abort.abortColumn;
  }
  return result;
}

/**
 * A child as it is kept when its parent returns or is suspended: without its reference snapshot, which no
 * quota counts. That of a started child is its START image, with which it shares memory and children; an
 * earlier one, which it `keepsReference`, goes.
 */
export function keptChild(process: Process, keepsReference: boolean): Process {
  if (process.status !== abi.STATUS_RUNNABLE) return withoutReference(process);
  if (!keepsReference) return process;
  const back = withoutReference(process);
  clearOutcome(back);
  back.status = back.continuation === 0 ? abi.STATUS_RETURNED : abi.STATUS_RET;
  if (back.gasInside === 0) back.parentGasEpoch = 0;
  const kept = process.copy();
  kept.reference = back;
  kept.referenceRef = 0;
  return kept;
}

/** Reference snapshots do not chain. */
function withoutReference(process: Process): Process {
  if (!process.hasReference) return process;
  const copy = process.copy();
  copy.reference = null;
  copy.referenceRef = 0;
  return copy;
}
