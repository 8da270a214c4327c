/**
 * The items of a batch, one after the other in one instance: what a batch means. Whoever runs items in
 * parallel must leave the same bytes (runner.ts).
 */

import * as abi from "../../syscalls/abi.ts";
import type { Heap } from "../heap/heap.ts";
import { BATCH_BYTES_LIMIT } from "../limits.ts";
import { AUX_RESULT } from "../program/layout.ts";
import type { Activation } from "./activation.ts";
import { Inputs, OutcomesWriter } from "./batch.ts";
import { costOfItem } from "./gas.ts";
import type { BatchResult, BatchWork } from "./runner.ts";
import type { Slot } from "./slot.ts";
import type { Tracer } from "./trace.ts";

/** Inputs of at most so many bytes are copied word by word: a call takes longer than a few turns of a loop. */
const SHORT_BYTES = 256;
const RESULT = AUX_RESULT / 4;

/**
 * Runs the items of `work` in the slot of `activation`, which holds the image of `work` with nothing marked
 * and its globals saved. Afterwards slot and result agree.
 */
export function runSequentially(
  heap: Heap,
  activation: Activation,
  work: BatchWork,
  tracer: Tracer | null,
): BatchResult {
  const { slot } = activation;
  const { shadow, exports, auxWords } = slot;
  const { stateBytes, globalsLength } = work.program.handle;
  const inputs = new Inputs(heap, work.inputs);
  const outcomes = new OutcomesWriter(inputs.count);
  shadow.begin(heap, work.memory, stateBytes);
  activation.inItem = true;
  let i = 0;
  for (; i < inputs.count; i++) {
    const limit = inputs.gas(i);
    if (limit > work.gas) {
      outcomes.add(abi.ITEM_REFUSED, 0, 0, 0, 0);
      continue;
    }
    if (limit > work.gas - outcomes.gasUsed) break;
    const length = inputs.length(i);
    deliver(heap, inputs.address(i), slot, inputs.inbox, length);
    let fault = activation.runItem(work.entry, length, limit);
    shadow.measure();
    let left = activation.gas();
    let output = 0;
    if (fault === abi.FAULT_NONE) {
      output = slot.words[inputs.outbox / 4] as number;
      left -= costOfItem(shadow.statePages, shadow.privatePages, output);
      if (output > inputs.outboxCapacity - 4) fault = abi.FAULT_MEMORY_BOUNDS;
      else if (left < 0 || outcomes.outputBytes + output > BATCH_BYTES_LIMIT) fault = abi.FAULT_OUT_OF_GAS;
    }
    const used = fault === abi.FAULT_NONE || fault === abi.FAULT_ABORT ? limit - left : limit;
    if (fault === abi.FAULT_NONE) {
      const low = auxWords[RESULT] as number;
      const high = auxWords[RESULT + 1] as number;
      const from = inputs.outbox + 4;
      outcomes.add(abi.ITEM_RETURNED, fault, low, high, used, slot.memory, from, output);
    } else if (fault === abi.FAULT_ABORT) {
      const { abortLine, abortColumn } = activation;
      outcomes.add(abi.ITEM_FAULTED, fault, abortLine, abortColumn, used);
    } else {
      outcomes.add(abi.ITEM_FAULTED, fault, 0, 0, used);
    }
    shadow.settle(fault === abi.FAULT_NONE);
    if (globalsLength > 0) exports.load();
    tracer?.item(i, fault, used);
  }
  for (; i < inputs.count; i++) outcomes.add(abi.ITEM_NOT_RUN, 0, 0, 0, 0);
  activation.inItem = false;
  shadow.markState();
  return {
    memory: slot.publish(heap, activation.start.memory),
    children: work.children,
    childCount: work.childCount,
    memoryQuota: work.memoryQuota,
    processQuota: work.processQuota,
    outcomes: outcomes.finish(heap),
    gasUsed: outcomes.gasUsed,
    returned: outcomes.returned,
  };
}

/** Copies an input into the inbox. Both addresses are divisible by 4. */
function deliver(heap: Heap, address: number, slot: Slot, inbox: number, length: number): void {
  if (length > SHORT_BYTES) {
    slot.memory.set(heap.bytes.subarray(address, address + length), inbox);
  } else {
    const { words } = slot;
    const from = address / 4;
    const to = inbox / 4;
    const whole = length >>> 2;
    for (let i = 0; i < whole; i++) words[to + i] = heap.words[from + i] as number;
    for (let i = whole * 4; i < length; i++) slot.memory[inbox + i] = heap.bytes[address + i] as number;
  }
  slot.mark(inbox, length);
}
