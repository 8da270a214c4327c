/**
 * Cells: what items of a batch share besides the state of its process, as lines above the state.
 *
 *   boundary + n               child n: word 0 is the reference of its image, 0: there is none
 *   boundary + CHILD_LIMIT     memory and held gas passed on, processes left to give, number of children
 *
 * The boundary is the line of the bound. A child is versioned as a whole: items that use the same child
 * depend on each other, whatever of its memory they touch.
 */

import { CHILD_LIMIT } from "../../syscalls/abi.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { tableGet } from "../heap/table.ts";
import { loadProcess, type Process, publishProcess } from "../image/process.ts";
import type { Batch } from "../kernel/items/batch.ts";
import { PAGE_BYTES } from "../limits.ts";
import { highOf, joined, lowOf } from "../u64.ts";
import { PAGE_LINES } from "../units.ts";
import { BASE_AT, changedPages, PAGE_LOADED } from "./bridge.ts";
import { LINE_BYTES } from "./layout.ts";

const LINE_WORDS = LINE_BYTES / 4;
/** Lines of cells, rounded up to pages. */
const CELL_LINES = (Math.floor(CHILD_LIMIT / PAGE_LINES) + 1) * PAGE_LINES;

/** Bytes of the base that a batch needs whose state ends at `bound`. */
export function baseBytes(bound: number): number {
  return BASE_AT + bound + CELL_LINES * LINE_BYTES;
}

/** The line of the cell of child `number`. */
export function childLine(bound: number, number: number): number {
  return bound / LINE_BYTES + number;
}

/** The line of the quotas. */
export function quotaLine(bound: number): number {
  return childLine(bound, CHILD_LIMIT);
}

/** What the quotas' cell holds. */
export interface Quotas {
  memoryPassed: number;
  heldGasPassed: number;
  processQuota: number;
  childCount: number;
}

export function readQuotas(words: Int32Array, at: number): Quotas {
  const word = (i: number): number => (words[at + i] as number) >>> 0;
  const heldGasPassed = joined(word(3), word(4));
  return { memoryPassed: word(0), processQuota: word(1), childCount: word(2), heldGasPassed };
}

export function writeQuotas(words: Int32Array, at: number, quotas: Quotas): void {
  words.fill(0, at, at + LINE_WORDS);
  words[at] = quotas.memoryPassed;
  words[at + 1] = quotas.processQuota;
  words[at + 2] = quotas.childCount;
  words[at + 3] = lowOf(quotas.heldGasPassed);
  words[at + 4] = highOf(quotas.heldGasPassed);
}

/**
 * Writes a page of cells, of page number `page` in the base, as they are before any item: those of `start`.
 */
export function loadCells(
  heap: Heap,
  base: WebAssembly.Memory,
  bound: number,
  page: number,
  start: Process,
): void {
  const words = new Int32Array(base.buffer, BASE_AT + page * PAGE_BYTES, PAGE_BYTES / 4).fill(0);
  const first = page * PAGE_LINES - bound / LINE_BYTES;
  for (let i = 0; i < PAGE_LINES && first + i < CHILD_LIMIT; i++) {
    words[i * LINE_WORDS] = tableGet(heap, start.children, first + i);
  }
  if (first === CHILD_LIMIT) writeQuotas(words, 0, start);
}

/** Clears the flags of the cells' pages, and puts in what earlier items of the batch have changed. */
export function clearCells(heap: Heap, base: WebAssembly.Memory, bound: number, batch: Batch): void {
  const flags = new Uint8Array(base.buffer, bound / PAGE_BYTES, CELL_LINES / PAGE_LINES);
  flags.fill(0);
  const cell = (line: number): Int32Array => {
    const page = Math.floor(line / PAGE_LINES);
    const place = page - bound / PAGE_BYTES;
    if (flags[place] === 0) {
      loadCells(heap, base, bound, page, batch.start);
      flags[place] = PAGE_LOADED;
    }
    return new Int32Array(base.buffer, BASE_AT + line * LINE_BYTES, LINE_WORDS);
  };
  for (const [number, process] of batch.children) {
    cell(childLine(bound, number))[0] = process === null ? 0 : publishProcess(heap, process);
  }
  writeQuotas(cell(quotaLine(bound)), 0, batch);
}

/** Memory quota passed on, as the items have left it that were committed so far. */
export function passedOn(base: WebAssembly.Memory, bound: number): number {
  const at = BASE_AT + quotaLine(bound) * LINE_BYTES;
  return readQuotas(new Int32Array(base.buffer, at, LINE_WORDS), 0).memoryPassed;
}

/** Gives `batch` what items have changed. */
export function takeCells(heap: Heap, base: WebAssembly.Memory, bound: number, batch: Batch): void {
  const firstPage = bound / PAGE_BYTES;
  for (const page of changedPages(base, firstPage, firstPage + CELL_LINES / PAGE_LINES)) {
    const words = new Int32Array(base.buffer, BASE_AT + page * PAGE_BYTES, PAGE_BYTES / 4);
    const first = (page - firstPage) * PAGE_LINES;
    for (let i = 0; i < PAGE_LINES && first + i < CHILD_LIMIT; i++) {
      const ref = (words[i * LINE_WORDS] as number) >>> 0;
      if (ref !== before(heap, batch, first + i)) {
        batch.settle(heap, first + i, ref === 0 ? null : loadProcess(heap, ref));
      }
    }
    if (first === CHILD_LIMIT) {
      const { memoryPassed, heldGasPassed, processQuota, childCount } = readQuotas(words, 0);
      batch.memoryPassed = memoryPassed;
      batch.heldGasPassed = heldGasPassed;
      batch.processQuota = processQuota;
      batch.childCount = childCount;
    }
  }
}

function before(heap: Heap, batch: Batch, number: number): Ref {
  const settled = batch.children.get(number);
  if (settled === undefined) return tableGet(heap, batch.start.children, number);
  return settled === null ? 0 : publishProcess(heap, settled);
}
