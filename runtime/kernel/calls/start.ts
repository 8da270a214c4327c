/** What START and BATCH ask of a child before they make it runnable. */

import * as abi from "../../../syscalls/abi.ts";
import { ENTRY_CONTINUE, type Process } from "../../image/process.ts";
import { pagesTaken } from "../../image/quota.ts";
import { WASM_PAGE_BYTES } from "../../limits.ts";
import type { Activation } from "../activation.ts";
import { beyondBatch } from "../explain.ts";
import { batchBytes, type InputList } from "../items/objects.ts";
import type { LoadedProgram } from "../program.ts";

/**
 * Number of the entry that START or BATCH runs: ENTRY_CONTINUE of a suspended child, negative if its program
 * has no entry of that name.
 */
export function entryOf(caller: Activation, process: Process, program: LoadedProgram): number {
  return process.continuation !== 0 ? ENTRY_CONTINUE : program.entry(caller.putRequest.entry);
}

/** Whether the child can be started with that entry. */
export function checkStart(caller: Activation, process: Process, entry: number): number {
  const { putRequest } = caller;
  if (process.continuation !== 0) {
    if (caller.item !== null) return abi.E_NOT_IN_BATCH;
    return putRequest.entry === "" ? abi.OK : abi.E_STATE;
  }
  if (putRequest.entry === "") return abi.E_STATE;
  return entry < 0 ? abi.E_NO_ENTRY : abi.OK;
}

/** Whether the child can take a batch of items that run that entry. */
export function checkBatch(
  caller: Activation,
  process: Process,
  program: LoadedProgram,
  entry: number,
): number {
  const { batch } = caller.putRequest;
  const rests = process.status === abi.STATUS_FRESH || process.status === abi.STATUS_RETURNED;
  if (!rests || process.runnableHeld > 0) return abi.E_STATE;
  if (entry < 0) return abi.E_NO_ENTRY;
  const bytes = process.memoryPages * WASM_PAGE_BYTES;
  if (!batch.fits(program.handle.stateBytes, bytes)) return abi.E_RANGE;
  const [needed, limit] = pagesOfBatch(process, program, batch);
  return needed <= limit ? abi.OK : caller.refuseQuota(() => beyondBatch(needed, limit));
}

/** Whether the quota of `process` allows it to keep these inputs, and what becomes of the items. */
export function canKeepBatch(...batch: Parameters<typeof pagesOfBatch>): boolean {
  const [needed, limit] = pagesOfBatch(...batch);
  return needed <= limit;
}

/** Pages that the process takes with these inputs and what becomes of the items; what its quota has. */
function pagesOfBatch(
  process: Process,
  program: LoadedProgram,
  { count, bytes }: Pick<InputList, "count" | "bytes">,
): [needed: number, limit: number] {
  const { memoryPages, programPages, memoryGiven, memoryPassed } = process;
  const kept = program.handle.globalsLength + batchBytes(count, bytes);
  return [pagesTaken(memoryPages, programPages, kept), memoryGiven - memoryPassed];
}
