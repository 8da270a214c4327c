/**
 * The stack of a suspended process: in the aux memory of a slot while it is taken down or put back, and in
 * the image as its continuation, a blob: u32 number of the entry · the stack as Asyncify writes it.
 */

import type { Heap, Ref } from "../heap/heap.ts";
import * as layout from "../program/layout.ts";
import { COUNTING, work } from "../work.ts";
import type { Slot } from "./slots/slot.ts";

const counting = COUNTING;

/** Word of the aux memory with the position on the stack; the next word is its end. */
const POSITION = layout.AUX_UNWIND / 4;
const HEADER_BYTES = 4;

/** RET or SNAPSHOT was called: from its return on, the functions of the guest save themselves and return. */
export function startUnwind({ auxWords, exports }: Slot): void {
  auxWords[POSITION] = layout.AUX_STACK;
  auxWords[POSITION + 1] = layout.AUX_STACK_END;
  exports.startUnwind(layout.AUX_UNWIND);
}

/** Bytes of the continuation of a stack that was taken down. */
export function continuationBytes({ auxWords }: Slot): number {
  return HEADER_BYTES + (auxWords[POSITION] as number) - layout.AUX_STACK;
}

/** The continuation of a stack that was taken down, of a process that runs this entry. */
export function saveContinuation(heap: Heap, slot: Slot, entry: number): Ref {
  const bytes = Buffer.alloc(continuationBytes(slot));
  bytes.writeUInt32LE(entry, 0);
  slot.aux.copy(bytes, HEADER_BYTES, layout.AUX_STACK);
  return heap.blob(bytes);
}

/**
 * Puts the stack into the slot: from the call of the entry, whose number is returned, the functions restore
 * themselves down to the call in which the process was suspended.
 */
export function startRewind(heap: Heap, { aux, auxWords, exports }: Slot, continuation: Ref): number {
  const bytes = heap.payload(continuation);
  if (counting) work.bytesCopied += bytes.length;
  bytes.copy(aux, layout.AUX_STACK, HEADER_BYTES);
  auxWords[POSITION] = layout.AUX_STACK + bytes.length - HEADER_BYTES;
  auxWords[POSITION + 1] = layout.AUX_STACK_END;
  exports.startRewind(layout.AUX_UNWIND);
  return bytes.readUInt32LE(0);
}
