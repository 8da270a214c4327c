/**
 * The memory quota: what a process takes of it, in pages of 4 KiB. Everything that stays in an image counts:
 *
 *   PROCESS_PAGES            records, tables and the text of an abort; and KEPT_BYTES of what follows
 *   memory                   as declared or grown, whether it is used or not
 *   what the image keeps     globals, saved stack, inputs and outcomes of a batch, a block's data
 *   program                  unless it is of the rules (`programPages` in the record)
 *
 * A process's share of what its parent has given is what it has not passed on to children. Invariant: no
 * image takes more than its share. A call that would break it answers E_QUOTA and memory.grow -1; an item
 * whose output would is out of gas; an activation whose saved stack would faults (FAULT_QUOTA).
 */

import {
  KEPT_BYTES,
  PROCESS_PAGES,
  PROGRAM_BYTES,
  PROGRAM_PAGES,
  STATUS_FAULTED,
} from "../../syscalls/abi.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { PAGE_BYTES, PAGES_PER_WASM_PAGE } from "../limits.ts";
import type { Process } from "./process.ts";

/**
 * Pages that an installed program of `bytes` bytes takes, of each process of it: 128 bytes for each of its
 * own. At worst (nothing but short loops) V8 keeps 37 in baseline code for both variants, 34 in optimised
 * code.
 */
export function installedPages(bytes: number): number {
  return PROGRAM_PAGES + Math.ceil(bytes / PROGRAM_BYTES);
}

/** Pages taken by an image whose memory has `memoryPages` pages of 64 KiB and that keeps `keptBytes` more. */
export function pagesTaken(memoryPages: number, programPages: number, keptBytes: number): number {
  const more = Math.ceil(Math.max(0, keptBytes - KEPT_BYTES) / PAGE_BYTES);
  return PROCESS_PAGES + programPages + memoryPages * PAGES_PER_WASM_PAGE + more;
}

/** The most bytes that such an image can keep in `share` pages; negative: not even none. */
export function keptLimit(memoryPages: number, programPages: number, share: number): number {
  return KEPT_BYTES + (share - pagesTaken(memoryPages, programPages, 0)) * PAGE_BYTES;
}

/** Bytes that `process` keeps besides memory and program. The text of an abort is in PROCESS_PAGES. */
function keptBytes(heap: Heap, process: Process): number {
  const { globals, continuation, inputs, outcomes, text, status } = process;
  const length = (ref: Ref): number => (ref === 0 ? 0 : heap.length(ref));
  const data = status === STATUS_FAULTED ? 0 : length(text);
  return length(globals) + length(continuation) + length(inputs) + length(outcomes) + data;
}

/** Pages that `process` takes itself, without its children. */
export function pagesOf(heap: Heap, process: Process): number {
  return pagesTaken(process.memoryPages, process.programPages, keptBytes(heap, process));
}

/** Pages of its quota that `process` has left: for growth, for what it keeps, for children. */
export function pagesLeft(heap: Heap, process: Process): number {
  return process.memoryGiven - process.memoryPassed - pagesOf(heap, process);
}
