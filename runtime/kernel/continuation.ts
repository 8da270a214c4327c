/**
 * The stack of a suspended process: in the aux memory of a slot while it is taken down or put back, and in
 * the image as its continuation, a blob: u32 number of the entry · frames, the innermost first
 * (program/suspend/frame.ts).
 */

import { assert } from "../errors.ts";
import { copyBytes } from "../heap/bytes.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import * as layout from "../program/layout.ts";
import { COUNTING, work } from "../work.ts";
import type { Slot } from "./slots/slot.ts";

const counting = COUNTING;

/** Word of the aux memory with the address behind the last frame. */
const POSITION = layout.AUX_UNWIND / 4;
const HEADER_BYTES = 4;

/** RET or SNAPSHOT was called: from its return on, the functions of the guest save themselves and return. */
export function startUnwind(slot: Slot): void {
  slot.auxWords[POSITION] = layout.AUX_STACK;
  setState(slot, layout.UNWINDING);
}

/** The stack was taken down, or put back. */
export function stopUnwindOrRewind(slot: Slot): void {
  setState(slot, layout.RUNNING);
}

function setState({ exports: { state } }: Slot, value: number): void {
  assert(state !== undefined, "the program can be suspended");
  state.value = value;
}

/** Bytes of the continuation of a stack that was taken down. */
export function continuationBytes(slot: Slot): number {
  const bytes = (slot.auxWords[POSITION] as number) - layout.AUX_STACK;
  slot.noteStack(bytes);
  return HEADER_BYTES + bytes;
}

/** The continuation of a stack that was taken down, of a process that runs this entry. */
export function saveContinuation(heap: Heap, slot: Slot, entry: number): Ref {
  const bytes = Buffer.alloc(continuationBytes(slot));
  bytes.writeUInt32LE(entry, 0);
  copyBytes(slot.aux, layout.AUX_STACK, bytes, HEADER_BYTES, bytes.length - HEADER_BYTES);
  return heap.blob(bytes);
}

/**
 * Puts the stack into the slot: from the call of the entry, whose number is returned, the functions restore
 * themselves down to the call in which the process was suspended.
 */
export function startRewind(heap: Heap, slot: Slot, continuation: Ref): number {
  const bytes = heap.payload(continuation);
  if (counting) work.bytesCopied += bytes.length;
  slot.noteStack(bytes.length);
  copyBytes(bytes, HEADER_BYTES, slot.aux, layout.AUX_STACK, bytes.length - HEADER_BYTES);
  slot.auxWords[POSITION] = layout.AUX_STACK + bytes.length - HEADER_BYTES;
  setState(slot, layout.REWINDING);
  return bytes.readUInt32LE(0);
}
