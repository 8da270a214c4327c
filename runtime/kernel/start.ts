/** What START and BATCH ask of a child before they make it runnable. */

import * as abi from "../../syscalls/abi.ts";
import { ENTRY_CONTINUE, type Process } from "../image/process.ts";
import { WASM_PAGE_BYTES } from "../limits.ts";
import type { Activation } from "./activation.ts";
import type { LoadedProgram } from "./program.ts";

/** Finds the entry that START runs, for `caller.plan`. */
export function checkStart(caller: Activation, process: Process, program: LoadedProgram): number {
  const { putRequest, plan } = caller;
  if (process.continuation !== 0) {
    if (caller.item !== null) return abi.E_NOT_IN_BATCH;
    if (putRequest.entry !== "") return abi.E_STATE;
    plan.entry = ENTRY_CONTINUE;
    return abi.OK;
  }
  if (putRequest.entry === "") return abi.E_STATE;
  plan.entry = program.entry(putRequest.entry);
  return plan.entry < 0 ? abi.E_NO_ENTRY : abi.OK;
}

/** Whether the child can take a batch, and finds the entry that its items run. */
export function checkBatch(caller: Activation, process: Process, program: LoadedProgram): number {
  const { putRequest, plan } = caller;
  const rests = process.status === abi.STATUS_FRESH || process.status === abi.STATUS_RETURNED;
  if (!rests || process.runnableHeld > 0) return abi.E_STATE;
  plan.entry = program.entry(putRequest.entry);
  if (plan.entry < 0) return abi.E_NO_ENTRY;
  const bytes = process.memoryPages * WASM_PAGE_BYTES;
  return putRequest.batch.fits(program.handle.stateBytes, bytes) ? abi.OK : abi.E_RANGE;
}
