/**
 * What the calls cost, in gas. Part of genesis: two runtimes with different tables compute different states.
 *
 * One gas is about one Wasm instruction (0.3 ns). A cost is a function of the request and of contents, never
 * of what is shared, cached, hashed or resident. Instructions are charged by the rewriter (program/).
 */

import { PAGE_TOUCH_GAS } from "../program/instrument/gas.ts";

export const COST_CALL = 1_000;
export const COST_PROGRAM = 20_000;
/**
 * PROGRAM from Wasm bytes: with the next one it pays for decoding, rewriting and compiling both variants, the
 * batch variant whenever that is made. A tiny program takes 0.9 + 0.7 ms, one of 65,303 bytes 32 + 44 ms.
 */
export const COST_INSTALL = 1_000_000;
/** The same, per byte. */
export const COST_PROGRAM_BYTE = 2_000;
/**
 * PROGRAM by a hash that is neither of genesis nor the caller's own, per child that the caller had at its
 * start or has used since: its record is looked at, and its program's hash.
 */
export const COST_PROGRAM_SEARCH = 2_000;
/** CLONE, of whatever size. */
export const COST_CLONE = 20_000;
/** START and BATCH: an instance may have to be made. */
export const COST_START = 20_000;
/** Besides, per page that is present in the child's image: it may have to be brought into the instance. */
export const COST_START_PAGE = 256;
/** And per element of its program's tables and of what fills them. */
export const COST_START_ELEMENT = 32;
/**
 * A byte of globals: at START, where they are loaded, for each item, and where they are saved: when an
 * activation ends, and when it clones itself.
 */
export const COST_GLOBAL_BYTE = 2;
/** BATCH, besides what START costs, for each item. */
export const COST_ITEM = 2_000;
/** A byte of an item's input or output: copying, hashing and storing it, as much as a page that changed. */
export const COST_ITEM_BYTE = 4;
/**
 * The first write to a page since the activation or item began, by the guest or by the kernel for it: it has
 * to be compared, and put back.
 */
export const COST_PAGE_TOUCH = PAGE_TOUCH_GAS;
/** OUTCOMES, for each item that is told of. */
export const COST_OUTCOME = 16;
/**
 * What a call makes in the heap, per unit of 64 bytes: a page is 65 units, a node of a table 1 to 19. So gas
 * bounds the heap: one gas is at most half a byte.
 */
export const COST_HEAP_UNIT = 128;
/** So many bytes of the heap are made for a gas at most, whatever is paid for them by. */
export const HEAP_BYTES_PER_GAS = 0.5;
/** COPY and ZERO, per range. */
export const COST_RANGE = 100;
/** COPY and ZERO, per page of the target that a range touches. */
export const COST_RANGE_PAGE = 768;
/** COPY and ZERO: one gas for so many bytes. */
export const BYTES_PER_GAS = 8;
/** MERGE, per page that its range touches: it may have to be compared to be found unchanged. */
export const COST_MERGE_RANGE_PAGE = 256;
/** MERGE, besides, per page whose bytes in the range the child changed: they are merged. */
export const COST_MERGE_PAGE = 4_096;
/** RET and SNAPSHOT, per byte of the stack that is kept, and again when it is put back. */
export const COST_STACK_BYTE = 4;
/** HASH, whatever is below: the objects it covers were paid for when they changed. */
export const COST_HASH = 20_000;
export const COST_SNAPSHOT = 20_000;
/** ACCUMULATE, of whatever width. */
export const COST_ACCUMULATE = 500;
/**
 * A page whose bytes differ when an activation ends, or when it clones itself, from when it began: copying,
 * hashing and storing it.
 */
export const COST_PAGE_CHANGED = 16_384;
/**
 * A node of a table above such a page, or above a child that changed: it is made anew, and hashed. As much as
 * the largest takes of the heap, 19 units.
 */
export const COST_NODE = 2_432;
/**
 * A child that changed, when its parent's activation or item ends: its record, and that of its reference
 * snapshot.
 */
export const COST_CHILD_CHANGED = 2_048;
/** memory.grow, per page of 64 KiB. */
export const COST_GROW = 4_096;
/**
 * The first memory.grow of an activation that succeeds: if the activation faults, its instance is of no use
 * any more, and another memory must be made.
 */
export const COST_GROW_FIRST = 400_000;

/**
 * What START and BATCH cost, besides what does not depend on the child, for a program of that size and a
 * batch of so many items.
 */
export function costOfStart(
  presentPages: number,
  { tableElements, globalsLength }: { readonly tableElements: number; readonly globalsLength: number },
  items: number,
): number {
  const globals = globalsLength * (1 + items) * COST_GLOBAL_BYTE;
  return presentPages * COST_START_PAGE + tableElements * COST_START_ELEMENT + globals;
}

/** What an item pays when it returns. */
export function costOfItem(statePages: number, outputBytes: number): number {
  return statePages * COST_PAGE_CHANGED + outputBytes * COST_ITEM_BYTE;
}

/** Cost of moving `bytes` bytes. */
export function costOfBytes(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_GAS);
}
