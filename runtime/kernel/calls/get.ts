/** GET, when its request is read and its child joined: what can be refused, and what it answers. */

import * as abi from "../../../syscalls/abi.ts";
import type { Heap } from "../../heap/heap.ts";
import { hashOf } from "../../image/hash.ts";
import { type Process, publishProcess } from "../../image/process.ts";
import { WASM_PAGE_BYTES } from "../../limits.ts";
import { highOf, lowOf } from "../../u64.ts";
import type { Activation } from "../activation.ts";
import { checkOutcomes, writeOutcomes } from "../items/outcomes.ts";
import type { Jobs } from "../jobs.ts";
import { copyOut } from "./copy.ts";
import { applyMerge, planMerge } from "./merge.ts";

/** Answers the caller's request from the image of the child; an error code if anything of it is refused. */
export function answerGet(heap: Heap, jobs: Jobs, caller: Activation, process: Process | null): number {
  const { parts, ranges, hashPointer } = caller.getRequest;
  if (process === null) return abi.E_NO_CHILD;
  const bytes = process.memoryPages * WASM_PAGE_BYTES;
  for (let i = 0; i < ranges.count; i++) {
    if (ranges.source(i) + ranges.length(i) > bytes) return abi.E_RANGE;
  }
  const outcomes = (parts & abi.PART_GET_OUTCOMES) !== 0;
  const refusal = outcomes ? checkOutcomes(heap, caller, process) : abi.OK;
  if (refusal !== abi.OK) return refusal;
  const merge = (parts & abi.PART_GET_MERGE) === 0 ? null : planMerge(heap, caller, process);
  if (typeof merge === "number") return merge;
  // Nothing is refused from here on.
  if ((parts & abi.PART_GET_STATUS) !== 0) writeStatus(heap, caller, process);
  for (let i = 0; i < ranges.count; i++) copyOut(heap, caller, process, i);
  if (merge !== null) applyMerge(heap, caller, process, merge);
  if ((parts & abi.PART_GET_HASH) !== 0) {
    const image = publishProcess(heap, process);
    jobs.hash(image);
    caller.slot.write(hashPointer, hashOf(heap, image));
  }
  if (outcomes) writeOutcomes(heap, caller, process);
  return abi.OK;
}

/** The part STATUS, in the caller's memory. */
function writeStatus(heap: Heap, caller: Activation, process: Process): void {
  const { statusPointer, detailPointer, detailCapacity } = caller.getRequest;
  const { slot } = caller;
  slot.mark(statusPointer, abi.STATUS_SIZE);
  const at = statusPointer / 4;
  const words = slot.words;
  words[at + abi.STATUS_KIND / 4] = process.status;
  words[at + abi.STATUS_FAULT / 4] = process.fault;
  words[at + abi.STATUS_CODE / 4] = process.codeLow;
  words[at + abi.STATUS_CODE / 4 + 1] = process.codeHigh;
  words[at + abi.STATUS_GAS_USED / 4] = lowOf(process.gasUsed);
  words[at + abi.STATUS_GAS_USED / 4 + 1] = highOf(process.gasUsed);
  words[at + abi.STATUS_MEMORY_PAGES / 4] = process.memoryPages;
  words[at + abi.STATUS_CHILDREN / 4] = process.childCount;
  words[at + abi.STATUS_LINE / 4] = process.line;
  words[at + abi.STATUS_COLUMN / 4] = process.column;
  const text = process.text === 0 ? null : heap.payload(process.text);
  words[at + abi.STATUS_DETAIL_LENGTH / 4] = text?.length ?? 0;
  words[at + abi.STATUS_RESERVED / 4] = 0;
  if (text !== null) slot.write(detailPointer, text.subarray(0, detailCapacity));
}
