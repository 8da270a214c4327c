/**
 * What the calls cost, in gas. Part of the rules: two runtimes with different tables compute different
 * states.
 *
 * The table is that of the rules by which the thread runs: what is exported here changes with them
 * (`useCosts`), between activations only. So nobody may keep a copy from one activation to the next.
 *
 * One gas is about one Wasm instruction (0.3 ns). A cost is a function of the request and of contents, never
 * of what is shared, cached, hashed or resident. Instructions are charged by the rewriter (program/).
 */

import { assert } from "../errors.ts";
import { FIRST_COSTS, PAGE_TOUCH_GAS } from "../program/instrument/gas.ts";

export let COST_CALL = 1_000;
export let COST_PROGRAM = 20_000;
/**
 * PROGRAM from Wasm bytes: with the next one it pays for decoding, rewriting and compiling both variants, the
 * batch variant whenever that is made. A tiny program takes 0.9 + 0.7 ms, one of 65,303 bytes 32 + 44 ms.
 */
export let COST_INSTALL = 1_000_000;
/** The same, per byte. */
export let COST_PROGRAM_BYTE = 2_000;
/**
 * PROGRAM by a hash that is neither of the rules nor the caller's own, per child that the caller had at its
 * start or has used since: its record is looked at, and its program's hash.
 */
export let COST_PROGRAM_SEARCH = 2_000;
/** CLONE, of whatever size. */
export let COST_CLONE = 20_000;
/** START and BATCH: an instance may have to be made. */
export let COST_START = 25_000;
/** In addition, per page that is present in the child's image: it may have to be loaded into the instance. */
export let COST_START_PAGE = 576;
/** And per element of its program's tables and of what fills them. */
export let COST_START_ELEMENT = 32;
/**
 * A byte of globals: at START, where they are loaded, for each item, and where they are saved: when an
 * activation ends, and when it clones itself.
 */
export let COST_GLOBAL_BYTE = 2;
/** BATCH, besides what START costs, for each item. */
export let COST_ITEM = 2_000;
/** A byte of an item's input or output: copying, hashing and storing it, as much as a page that changed. */
export let COST_ITEM_BYTE = 4;
/**
 * The first write to a page since the activation or item began, by the guest or by the kernel for it: it has
 * to be compared, and put back.
 */
export let COST_PAGE_TOUCH = PAGE_TOUCH_GAS;
/** OUTCOMES, for each item that is written. */
export let COST_OUTCOME = 16;
/**
 * What a call makes in the heap, per unit of 64 bytes: a page is 65 units, a node of a table 1 to 19. So gas
 * bounds the heap: one gas is at most half a byte.
 */
export let COST_HEAP_UNIT = 128;
/** The same, per object: it is hashed one day. */
export let COST_HEAP_OBJECT = 640;
/** Maximum number of bytes of the heap that one gas makes, whatever operation pays for them. */
export const HEAP_BYTES_PER_GAS = 0.5;
/** COPY and ZERO, per range. */
export let COST_RANGE = 100;
/** COPY and ZERO, per page of the target that a range touches. */
export let COST_RANGE_PAGE = 768;
/** COPY and ZERO: bytes for one gas. */
export let BYTES_PER_GAS = 8;
/** MERGE, per page that its range touches: it may have to be compared to be found unchanged. */
export let COST_MERGE_RANGE_PAGE = 576;
/** MERGE, besides, per page whose bytes in the range the child changed: they are merged. */
export let COST_MERGE_PAGE = 8_192;
/** RET and SNAPSHOT, per byte of the stack that is kept, and again when it is put back. */
export let COST_STACK_BYTE = 4;
/** HASH, whatever is below: the objects it covers were paid for when they changed. */
export let COST_HASH = 20_000;
export let COST_SNAPSHOT = 20_000;
/** SNAPSHOT, besides, per byte of the block's data: as much of the heap as gas pays for. */
export let COST_DATA_BYTE = 2;
/** ACCUMULATE, of whatever width. */
export let COST_ACCUMULATE = 500;
/**
 * A page whose bytes differ when an activation ends, or when it clones itself, from when it began: copying,
 * hashing and storing it.
 */
export let COST_PAGE_CHANGED = 16_384;
/**
 * A node of a table above such a page, or above a child that changed: it is made again, and hashed. As much
 * as the largest takes of the heap, 19 units.
 */
export let COST_NODE = 2_432;
/**
 * A child that changed, when its parent's activation or item ends: its record, and that of its reference
 * snapshot.
 */
export let COST_CHILD_CHANGED = 2_048;
/** memory.grow, per page of 64 KiB. */
export let COST_GROW = 4_096;
/**
 * The first memory.grow of an activation that succeeds: if the activation faults, its instance is of no use
 * any more, and another memory must be made.
 */
export let COST_GROW_FIRST = 600_000;
/** The same, per page of 64 KiB that the memory has: V8 collects its garbage by bytes. */
export let COST_GROW_FIRST_PAGE = 512;

// ---- tables -----------------------------------------------------------------------------------------------

const FIRST = {
  COST_CALL,
  COST_PROGRAM,
  COST_INSTALL,
  COST_PROGRAM_BYTE,
  COST_PROGRAM_SEARCH,
  COST_CLONE,
  COST_START,
  COST_START_PAGE,
  COST_START_ELEMENT,
  COST_GLOBAL_BYTE,
  COST_ITEM,
  COST_ITEM_BYTE,
  COST_PAGE_TOUCH,
  COST_OUTCOME,
  COST_HEAP_UNIT,
  COST_HEAP_OBJECT,
  COST_RANGE,
  COST_RANGE_PAGE,
  COST_MERGE_RANGE_PAGE,
  COST_MERGE_PAGE,
  COST_STACK_BYTE,
  COST_HASH,
  COST_SNAPSHOT,
  COST_DATA_BYTE,
  COST_ACCUMULATE,
  COST_PAGE_CHANGED,
  COST_NODE,
  COST_CHILD_CHANGED,
  COST_GROW,
  COST_GROW_FIRST,
  COST_GROW_FIRST_PAGE,
  BYTES_PER_GAS,
};

type CostTable = typeof FIRST;

/** Everything twice as dear, instructions too (CODE_PRICES): to try a change of prices, and for tests. */
function doubled(table: CostTable): CostTable {
  const entries = Object.entries(table).map(([name, cost]) => [
    name,
    name === "BYTES_PER_GAS" ? cost / 2 : 2 * cost,
  ]);
  return Object.fromEntries(entries) as CostTable;
}

/** The tables that this build carries, by version. */
export const TABLES: Readonly<Record<string, CostTable>> = { "1": FIRST, doubled: doubled(FIRST) };
export { FIRST_COSTS };
/** The version of the table in force on this thread. */
export let costsInForce = FIRST_COSTS;

/** Puts a table into force on this thread. */
export function useCosts(version: string): void {
  const table = TABLES[version];
  assert(table !== undefined, "gas: a table that this build does not carry");
  ({
    COST_CALL,
    COST_PROGRAM,
    COST_INSTALL,
    COST_PROGRAM_BYTE,
    COST_PROGRAM_SEARCH,
    COST_CLONE,
    COST_START,
    COST_START_PAGE,
    COST_START_ELEMENT,
    COST_GLOBAL_BYTE,
    COST_ITEM,
    COST_ITEM_BYTE,
    COST_PAGE_TOUCH,
    COST_OUTCOME,
    COST_HEAP_UNIT,
    COST_HEAP_OBJECT,
    COST_RANGE,
    COST_RANGE_PAGE,
    COST_MERGE_RANGE_PAGE,
    COST_MERGE_PAGE,
    COST_STACK_BYTE,
    COST_HASH,
    COST_SNAPSHOT,
    COST_DATA_BYTE,
    COST_ACCUMULATE,
    COST_PAGE_CHANGED,
    COST_NODE,
    COST_CHILD_CHANGED,
    COST_GROW,
    COST_GROW_FIRST,
    COST_GROW_FIRST_PAGE,
    BYTES_PER_GAS,
  } = table);
  costsInForce = version;
}

/** What memory.grow costs; `first`: it is the first of the activation, whose memory has so many pages. */
export function costOfGrowth(pages: number, first: boolean, memoryPages: number): number {
  const again = first ? COST_GROW_FIRST + memoryPages * COST_GROW_FIRST_PAGE : 0;
  return pages * COST_GROW + again;
}

/**
 * What START and BATCH cost, besides what does not depend on the child, for a child with so many pages, of a
 * program of that size, and a batch of so many items.
 */
export function costOfStart(
  { presentPages }: { readonly presentPages: number },
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
