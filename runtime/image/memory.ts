/**
 * The memory of an image: a table of pages. An all-zero page is always absent: equal bytes, equal
 * root.
 *
 * MemoryEdit changes an image that no instance holds; a running process writes into its slot instead
 * (kernel/slots/slot.ts).
 */

import { assert } from "../errors.ts";
import { copyBytes, equalBytes } from "../heap/bytes.ts";
import { type Heap, KIND_PAGE, type Ref, UNIT_BYTES, unitsOf } from "../heap/heap.ts";
import { type OwnNodes, tableGet, tableUpdate } from "../heap/table.ts";
import { PAGE_BYTES } from "../limits.ts";
import { COUNTING, work } from "../work.ts";

const counting = COUNTING;

export const ZERO_PAGE = new Uint8Array(PAGE_BYTES);
const PAGE_UNITS = unitsOf(PAGE_BYTES);

/** Is called before an object is made, with its size in units. */
export type Pay = (units: number) => void;
const NOBODY_PAYS: Pay = () => {};

/** Where the bytes of a page begin in `heap.bytes`; loads it if need be. */
export function pageStart(heap: Heap, page: Ref): number {
  return heap.resolve(page) * UNIT_BYTES + UNIT_BYTES;
}

/** A page with the bytes of `source` at `offset`; 0 if they are all zero. */
export function capturePage(heap: Heap, source: Uint8Array, offset: number, pay = NOBODY_PAYS): Ref {
  if (isZero(source, offset)) return 0;
  pay(PAGE_UNITS);
  if (counting) work.bytesCopied += PAGE_BYTES;
  const page = heap.allocate(KIND_PAGE, PAGE_BYTES, 0);
  copyBytes(source, offset, heap.bytes, pageStart(heap, page), PAGE_BYTES);
  heap.captures?.add(page);
  return page;
}

/** Runs `capture`, which captures many pages: another thread that has nothing to do hashes them meanwhile. */
export function capturing<T>(heap: Heap, capture: () => T): T {
  const { captures } = heap;
  if (captures === null || !captures.begin()) return capture();
  try {
    return capture();
  } finally {
    captures.end();
  }
}

/** Whether the page of bytes at `offset` equals `page` (0: all zero). */
export function pageEquals(
  heap: Heap,
  page: Ref,
  source: Uint8Array,
  offset: number,
  length = PAGE_BYTES,
): boolean {
  if (counting) work.bytesCompared += length;
  if (page === 0) return equalBytes(ZERO_PAGE, 0, source, offset, length);
  return equalBytes(heap.bytes, pageStart(heap, page), source, offset, length);
}

/** Whether two pages (0: zeros) have the same bytes from `from` to `to`. */
export function pagesEqual(heap: Heap, a: Ref, b: Ref, from: number, to: number): boolean {
  if (a === b) return true;
  if (a === 0) return pagesEqual(heap, b, a, from, to);
  if (counting) work.bytesCompared += to - from;
  const start = pageStart(heap, a);
  const other = b === 0 ? ZERO_PAGE : heap.bytes;
  const at = b === 0 ? 0 : pageStart(heap, b);
  return equalBytes(heap.bytes, start + from, other, at + from, to - from);
}

function isZero(source: Uint8Array, offset: number): boolean {
  if (counting) work.bytesCompared += PAGE_BYTES;
  // Most pages that are not zero show it in their first bytes.
  return source[offset] === 0 && equalBytes(ZERO_PAGE, 0, source, offset, PAGE_BYTES);
}

/** Copies `length` bytes at `address` of the memory `root` to `target` at `offset`. */
export function readMemory(
  heap: Heap,
  root: Ref,
  address: number,
  target: Uint8Array,
  offset: number,
  length: number,
): void {
  if (counting) work.bytesCopied += length;
  for (let done = 0; done < length; ) {
    const at = address + done;
    const within = at % PAGE_BYTES;
    const size = Math.min(PAGE_BYTES - within, length - done);
    const page = tableGet(heap, root, Math.floor(at / PAGE_BYTES));
    if (page === 0) {
      target.fill(0, offset + done, offset + done + size);
    } else {
      copyBytes(heap.bytes, pageStart(heap, page) + within, target, offset + done, size);
    }
    done += size;
  }
}

/** Copies a page (0: zeros), or its first `length` bytes, to `target` at `offset`. */
export function readPage(heap: Heap, page: Ref, target: Uint8Array, offset = 0, length = PAGE_BYTES): void {
  if (counting) work.bytesCopied += length;
  if (page === 0) {
    copyBytes(ZERO_PAGE, 0, target, offset, length);
  } else {
    copyBytes(heap.bytes, pageStart(heap, page), target, offset, length);
  }
}

/**
 * Writes to the memory of an image that is private to its writer. The edit is open until others see the
 * memory, whatever is written and however often: pages and nodes that it made are written in place, so that
 * the hundredth write to a page makes nothing new. A page number has one page of the edit's own at most,
 * which is kept also while the table has another one there, or none.
 *
 * So what is made depends on contents and on earlier writes of this edit, never on what is shared: it can be
 * paid.
 */
export class MemoryEdit {
  readonly #heap: Heap;
  readonly #own: OwnNodes;
  #root: Ref;
  /** What the table does not have yet. */
  readonly #pages = new Map<number, Ref>();
  /** Pages that this edit made. */
  readonly #ownPages = new Map<number, Ref>();
  #morePresent = 0;
  #isOpen = true;

  constructor(heap: Heap, root: Ref, pay = NOBODY_PAYS) {
    this.#heap = heap;
    this.#root = root;
    this.#own = { nodes: new Set(), pay };
  }

  /** How many pages more are present, after what was committed, than in the memory the edit began with. */
  get morePresent(): number {
    return this.#morePresent;
  }

  /** Makes page number `index` the given page, sharing it. */
  share(index: number, page: Ref): void {
    this.#pages.set(index, page);
  }

  /** Whether `page`, which the table has at `index`, may change as long as the edit is open. */
  owns(index: number, page: Ref): boolean {
    return page !== 0 && this.#ownPages.get(index) === page;
  }

  write(address: number, source: Uint8Array, offset: number, length: number): void {
    for (let done = 0; done < length; ) {
      const at = address + done;
      const within = at % PAGE_BYTES;
      const size = Math.min(PAGE_BYTES - within, length - done);
      const page = this.#writable(Math.floor(at / PAGE_BYTES), size === PAGE_BYTES);
      const start = pageStart(this.#heap, page) + within;
      if (counting) work.bytesCopied += size;
      copyBytes(source, offset + done, this.#heap.bytes, start, size);
      done += size;
    }
  }

  zero(address: number, length: number): void {
    for (let done = 0; done < length; ) {
      const at = address + done;
      const index = Math.floor(at / PAGE_BYTES);
      const within = at % PAGE_BYTES;
      const size = Math.min(PAGE_BYTES - within, length - done);
      if (size === PAGE_BYTES) {
        this.#pages.set(index, 0);
      } else if (this.#page(index) !== 0) {
        const start = pageStart(this.#heap, this.#writable(index, false)) + within;
        if (counting) work.bytesCopied += size;
        this.#heap.bytes.fill(0, start, start + size);
      }
      done += size;
    }
  }

  /** The table after the writes so far. It may be written in place as long as the edit is open. */
  commit(): Ref {
    const heap = this.#heap;
    const indexes = [...this.#pages.keys()].sort((a, b) => a - b);
    const pages = indexes.map((index) => {
      const written = this.#pages.get(index) as Ref;
      const page = this.owns(index, written) && isZero(heap.bytes, pageStart(heap, written)) ? 0 : written;
      // Counted here, since the table is written in place: there is no earlier one to compare it with.
      const old = tableGet(heap, this.#root, index);
      this.#morePresent += (page === 0 ? 0 : 1) - (old === 0 ? 0 : 1);
      return page;
    });
    this.#pages.clear();
    this.#root = tableUpdate(heap, this.#root, indexes, pages, indexes.length, this.#own);
    return this.#root;
  }

  /** Others see the memory from now on: nothing that was committed changes any more. */
  close(): void {
    assert(this.#pages.size === 0, "memory: an edit is closed before it is committed");
    this.#isOpen = false;
  }

  #page(index: number): Ref {
    return this.#pages.get(index) ?? tableGet(this.#heap, this.#root, index);
  }

  /** The edit's own page with the contents of page number `index`; with any if all of it `isReplaced`. */
  #writable(index: number, isReplaced: boolean): Ref {
    assert(this.#isOpen, "memory: a closed edit is written to");
    const heap = this.#heap;
    const old = this.#page(index);
    let page = this.#ownPages.get(index);
    if (page === undefined) {
      this.#own.pay(PAGE_UNITS);
      page = heap.allocate(KIND_PAGE, PAGE_BYTES, 0);
      this.#ownPages.set(index, page);
    } else if (page !== old && !isReplaced) {
      // The table has had another page there since: copying that is paid as an object that takes no room.
      this.#own.pay(0);
    }
    this.#pages.set(index, page);
    if (page === old || isReplaced) return page;
    if (counting) work.bytesCopied += PAGE_BYTES;
    const start = pageStart(heap, page);
    if (old === 0) {
      heap.bytes.fill(0, start, start + PAGE_BYTES);
    } else {
      const from = pageStart(heap, old) / 4;
      heap.words.copyWithin(start / 4, from, from + PAGE_BYTES / 4);
    }
    return page;
  }
}

/** The memory of a program before its first instruction: its active data segments, in order. */
export function initialMemory(
  heap: Heap,
  data: readonly { readonly offset: number; readonly bytes: Uint8Array }[],
): Ref {
  const edit = new MemoryEdit(heap, 0);
  for (const { offset, bytes } of data) edit.write(offset, bytes, 0, bytes.length);
  return edit.commit();
}
