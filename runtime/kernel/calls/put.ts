/** PUT, when its request is read and its child joined: what can be refused, and what it does. */

import * as abi from "../../../syscalls/abi.ts";
import type { Heap, Ref } from "../../heap/heap.ts";
import { type Process, publishProcess } from "../../image/process.ts";
import { GAS_LIMIT, TREE_DEPTH_LIMIT, WASM_PAGE_BYTES } from "../../limits.ts";
import type { Activation } from "../activation.ts";
import type { Child } from "../children.ts";
import { belowFresh, beyondParent, tooDeep } from "../explain.ts";
import * as gas from "../gas.ts";
import { cloneOf, cloneOfCaller, freshProcess, runnable } from "../images.ts";
import { writeInputs } from "../items/objects.ts";
import type { Jobs } from "../jobs.ts";
import type { LoadedProgram, Programs } from "../program.ts";
import type { Refusal } from "../trace.ts";
import { copyIn } from "./copy.ts";
import { findProgram, installProgram, unknownProgram } from "./install.ts";
import { checkBatch, checkStart, entryOf } from "./start.ts";

/** What applying a checked PUT needs. */
export interface PutPlan {
  /** The child as PROGRAM or CLONE made it, else as it is. */
  readonly process: Process;
  /** Number of the entry that START or BATCH runs; 0 without these parts. */
  readonly entry: number;
}

/** Everything about a PUT that can be refused: an error code, or what applying it needs. */
export function checkPut(heap: Heap, programs: Programs, caller: Activation, child: Child): PutPlan | number {
  const request = caller.putRequest;
  const parts = request.parts;
  const makes = (parts & (abi.PART_PROGRAM | abi.PART_CLONE)) !== 0;
  const process = makes ? makeChild(heap, programs, caller, child) : child.process;
  if (typeof process === "number") return process;
  if (process === null) return abi.E_NO_CHILD;

  const bytes = process.memoryPages * WASM_PAGE_BYTES;
  for (let i = 0; i < request.ranges.count; i++) {
    if (request.ranges.target(i) + request.ranges.length(i) > bytes) return abi.E_RANGE;
  }

  let entry = 0;
  if ((parts & (abi.PART_START | abi.PART_BATCH)) !== 0) {
    const program = programs.get(process.program);
    entry = entryOf(caller, process, program);
    const refusal =
      (parts & abi.PART_START) !== 0
        ? checkStart(caller, process, entry)
        : checkBatch(caller, process, program, entry);
    if (refusal !== abi.OK) return refusal;
    caller.charge(gas.costOfStart(process, program.handle, request.batch.count));
    if (request.gas > GAS_LIMIT || request.gas > caller.gas()) return abi.E_GAS;
  }
  return { process, entry };
}

/** PROGRAM and CLONE: the new child, if the caller's quotas, with those of the old one, allow it. */
function makeChild(heap: Heap, programs: Programs, caller: Activation, child: Child): Process | number {
  const request = caller.putRequest;
  if (caller.depth + 1 > TREE_DEPTH_LIMIT) return caller.refuseQuota(() => tooDeep(TREE_DEPTH_LIMIT));
  let program: LoadedProgram | undefined;
  let source: Process | null = null;
  if ((request.parts & abi.PART_PROGRAM) !== 0) {
    program =
      request.programLength === 0 ? findProgram(heap, programs, caller) : installProgram(programs, caller);
    if (program === undefined) return abi.E_BAD_PROGRAM;
  } else if (request.cloneSource !== abi.CLONE_SELF) {
    if (request.cloneSource < 0 || request.cloneSource >= abi.CHILD_LIMIT) return abi.E_NO_CHILD;
    source = caller.children.at(request.cloneSource).process;
    if (source === null) return abi.E_NO_CHILD;
  }
  // What a fresh child takes: a copy of the caller as much as the caller's memory and globals.
  const pages = program?.freshPages ?? caller.freshPages;
  const memory = source?.memoryGiven ?? (request.memoryQuotaPages === 0 ? pages : request.memoryQuotaPages);
  const processes = source?.processesGiven ?? request.processQuota;
  const heldGas = source?.heldGasGiven ?? request.heldGas;
  const old = child.process;
  if (source === null && memory < pages) return caller.refuseQuota(() => belowFresh(memory, pages));
  const memoryLeft = caller.memoryLeft + (old?.memoryGiven ?? 0);
  if (memory > memoryLeft)
    return caller.refuseQuota(() => beyondParent("memoryQuotaPages", memory, memoryLeft));
  const heldGasLeft = caller.start.heldGasGiven - caller.heldGasPassed + (old?.heldGasGiven ?? 0);
  if (heldGas > heldGasLeft)
    return caller.refuseQuota(() => beyondParent("heldGasQuota", heldGas, heldGasLeft));
  const processesLeft = caller.processQuota + (old === null ? 0 : old.processesGiven + 1);
  if (processes + 1 > processesLeft)
    return caller.refuseQuota(() => beyondParent("processQuota", processes + 1, processesLeft));

  if (program !== undefined) return freshProcess(program, memory, processes, heldGas);
  if (source !== null) return cloneOf(source);
  caller.charge(caller.globalsCost);
  caller.charge(caller.publishMemory(caller.gas()));
  return cloneOfCaller(heap, caller, memory, processes, heldGas);
}

/** What the error code of a PUT does not say, for traces. */
export function refusalOf(caller: Activation, code: number): Refusal {
  if (code === abi.E_QUOTA) return { quota: caller.quotaRefused };
  const program = code === abi.E_BAD_PROGRAM ? unknownProgram(caller) : null;
  return program === null ? {} : { unknownProgram: program };
}

/** Applies a checked PUT; nothing here can be refused. */
export function applyPut(heap: Heap, jobs: Jobs, caller: Activation, child: Child, plan: PutPlan): void {
  const request = caller.putRequest;
  const parts = request.parts;
  const made = (parts & (abi.PART_PROGRAM | abi.PART_CLONE)) !== 0;
  if (made || (parts & abi.PART_DROP) !== 0) {
    const old = child.process;
    caller.memoryPassed -= old?.memoryGiven ?? 0;
    caller.heldGasPassed -= old?.heldGasGiven ?? 0;
    caller.processQuota += old === null ? 0 : old.processesGiven + 1;
    caller.children.replace(child, null);
  }
  if (made) {
    const { process } = plan;
    caller.memoryPassed += process.memoryGiven;
    caller.heldGasPassed += process.heldGasGiven;
    caller.processQuota -= process.processesGiven + 1;
    caller.children.replace(child, process);
  }
  if (made) caller.item?.make(`${caller.path}/${child.number}`);
  if (request.ranges.count > 0) copyIn(heap, caller, child);
  if ((parts & (abi.PART_START | abi.PART_BATCH)) !== 0) {
    caller.slot.meter.transfer(-request.gas);
    caller.gasLent += request.gas;
    const process = child.process as Process;
    const start = runnable(process, plan.entry, request, caller.start.gasEpoch);
    if ((parts & abi.PART_BATCH) !== 0) start.inputs = writeInputs(heap, request.batch, caller.slot.memory);
    caller.children.replace(child, start);
    child.keepsReference = request.keep && process.hasReference;
    // What an item starts is nobody else's to run.
    if (caller.item !== null) return;
    const publish = (): Ref => publishProcess(heap, start);
    child.ticket = jobs.post(publish, child.number);
  }
}
