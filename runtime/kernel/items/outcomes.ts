/** GET's part OUTCOMES: from the object of a batch's outcomes into the caller's memory. */

import * as abi from "../../../syscalls/abi.ts";
import type { Heap } from "../../heap/heap.ts";
import type { Process } from "../../image/process.ts";
import type { Activation } from "../activation.ts";
import { COST_OUTCOME, costOfBytes } from "../gas.ts";
import { Outcomes } from "./objects.ts";

/** The items that a request wants of those there are: from `first` to `end` - 1. */
function wanted(caller: Activation, outcomes: Outcomes): { first: number; end: number } {
  const { first, count } = caller.getRequest.outcomes;
  const from = Math.min(first, outcomes.count);
  return { first: from, end: Math.min(from + count, outcomes.count) };
}

/** Whether there are outcomes that fit where they are wanted; they are paid. */
export function checkOutcomes(heap: Heap, caller: Activation, process: Process): number {
  if (process.outcomes === 0) return abi.E_STATE;
  const outcomes = new Outcomes(heap, process.outcomes);
  const { first, end } = wanted(caller, outcomes);
  const bytes = outcomes.outputOffset(end) - outcomes.outputOffset(first);
  if (bytes > caller.getRequest.outcomes.outputCapacity) return abi.E_RANGE;
  caller.charge((end - first) * COST_OUTCOME + costOfBytes(bytes));
  return abi.OK;
}

/** Writes them: records, outputs, then the answers in the request's struct. */
export function writeOutcomes(heap: Heap, caller: Activation, process: Process): void {
  const { slot } = caller;
  const request = caller.getRequest.outcomes;
  const outcomes = new Outcomes(heap, process.outcomes);
  const { first, end } = wanted(caller, outcomes);
  const outputs = outcomes.outputs(first, end);
  slot.mark(request.records, (end - first) * abi.OUTCOME_SIZE);
  slot.words.set(outcomes.records(first, end), request.records / 4);
  slot.write(request.outputPointer, outputs);
  slot.mark(request.pointer, abi.OUTCOMES_SIZE);
  const at = request.pointer / 4;
  slot.words[at + abi.OUTCOMES_COUNT / 4] = end - first;
  slot.words[at + abi.OUTCOMES_OUTPUT_LENGTH / 4] = outputs.length;
  slot.words[at + abi.OUTCOMES_TOTAL / 4] = outcomes.count;
}
