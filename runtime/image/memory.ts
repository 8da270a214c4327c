/**
 * The memory of an image: a table of pages. An all-zero page is absent, whoever writes it: equal bytes, equal
 * root.
 *
 * MemoryEdit changes an image that no instance holds; a running process writes into its slot instead
 * (kernel/slot.ts).
 */

import { type Heap, KIND_PAGE, type Ref, UNIT_BYTES } from "../heap/heap.ts";
import { tableGet, tableUpdate } from "../heap/table.ts";
import { PAGE_BYTES } from "../limits.ts";
import { COUNTING, work } from "../work.ts";

const counting = COUNTING;

export const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);

/** Where the bytes of a page begin in `heap.bytes`; brings it in if need be. */
export function pageStart(heap: Heap, page: Ref): number {
  return heap.resolve(page) * UNIT_BYTES + UNIT_BYTES;
}

/** A page with the bytes of `source` at `offset`; 0 if they are all zero. */
export function capturePage(heap: Heap, source: Buffer, offset: number): Ref {
  if (isZero(source, offset)) return 0;
  if (counting) work.bytesCopied += PAGE_BYTES;
  const page = heap.allocate(KIND_PAGE, PAGE_BYTES, 0);
  source.copy(heap.bytes, pageStart(heap, page), offset, offset + PAGE_BYTES);
  return page;
}

/** Whether the page of bytes at `offset` equals `page` (0: all zero). */
export function pageEquals(
  heap: Heap,
  page: Ref,
  source: Buffer,
  offset: number,
  length = PAGE_BYTES,
): boolean {
  if (counting) work.bytesCompared += length;
  if (page === 0) return ZERO_PAGE.compare(source, offset, offset + length, 0, length) === 0;
  const start = pageStart(heap, page);
  return heap.bytes.compare(source, offset, offset + length, start, start + length) === 0;
}

/** Whether two pages (0: zeros) have the same bytes from `from` to `to`. */
export function pagesEqual(heap: Heap, a: Ref, b: Ref, from: number, to: number): boolean {
  if (a === b) return true;
  if (a === 0) return pagesEqual(heap, b, a, from, to);
  if (counting) work.bytesCompared += to - from;
  const start = pageStart(heap, a);
  const other = b === 0 ? ZERO_PAGE : heap.bytes;
  const at = b === 0 ? 0 : pageStart(heap, b);
  return heap.bytes.compare(other, at + from, at + to, start + from, start + to) === 0;
}

function isZero(source: Buffer, offset: number): boolean {
  if (counting) work.bytesCompared += PAGE_BYTES;
  // Most pages that are not zero show it in their first bytes.
  return source[offset] === 0 && ZERO_PAGE.compare(source, offset, offset + PAGE_BYTES) === 0;
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
      const start = pageStart(heap, page) + within;
      target.set(heap.bytes.subarray(start, start + size), offset + done);
    }
    done += size;
  }
}

/** Copies a page (0: zeros), or its first `length` bytes, to `target` at `offset`. */
export function readPage(heap: Heap, page: Ref, target: Buffer, offset = 0, length = PAGE_BYTES): void {
  if (counting) work.bytesCopied += length;
  if (page === 0) {
    ZERO_PAGE.copy(target, offset, 0, length);
    return;
  }
  const start = pageStart(heap, page);
  heap.bytes.copy(target, offset, start, start + length);
}

/** Collects writes to a memory and makes them one new table. */
export class MemoryEdit {
  readonly #heap: Heap;
  readonly #root: Ref;
  readonly #pages = new Map<number, Ref>();
  /** Pages that this edit allocated and may still write to. */
  readonly #own = new Set<Ref>();

  constructor(heap: Heap, root: Ref) {
    this.#heap = heap;
    this.#root = root;
  }

  /** Makes page number `index` the given page, sharing it. */
  share(index: number, page: Ref): void {
    this.#pages.set(index, page);
  }

  write(address: number, source: Buffer, offset: number, length: number): void {
    if (counting) work.bytesCopied += length;
    for (let done = 0; done < length; ) {
      const at = address + done;
      const within = at % PAGE_BYTES;
      const size = Math.min(PAGE_BYTES - within, length - done);
      const page = this.#writable(Math.floor(at / PAGE_BYTES));
      const start = pageStart(this.#heap, page) + within;
      source.copy(this.#heap.bytes, start, offset + done, offset + done + size);
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
        if (counting) work.bytesCopied += size;
        const start = pageStart(this.#heap, this.#writable(index)) + within;
        this.#heap.bytes.fill(0, start, start + size);
      }
      done += size;
    }
  }

  /** The new table. The edit must not be used afterwards. */
  commit(): Ref {
    const heap = this.#heap;
    const indexes = [...this.#pages.keys()].sort((a, b) => a - b);
    const pages = indexes.map((index) => {
      const page = this.#pages.get(index) as Ref;
      return this.#own.has(page) && isZero(heap.bytes, pageStart(heap, page)) ? 0 : page;
    });
    return tableUpdate(heap, this.#root, indexes, pages, indexes.length);
  }

  #page(index: number): Ref {
    return this.#pages.get(index) ?? tableGet(this.#heap, this.#root, index);
  }

  #writable(index: number): Ref {
    const heap = this.#heap;
    const old = this.#page(index);
    if (this.#own.has(old)) return old;
    if (counting) work.bytesCopied += PAGE_BYTES;
    const page = heap.allocate(KIND_PAGE, PAGE_BYTES, 0);
    const start = pageStart(heap, page);
    if (old === 0) {
      heap.bytes.fill(0, start, start + PAGE_BYTES);
    } else {
      const from = pageStart(heap, old) / 4;
      heap.words.copyWithin(start / 4, from, from + PAGE_BYTES / 4);
    }
    this.#own.add(page);
    this.#pages.set(index, page);
    return page;
  }
}

/** The memory of a program before its first instruction: its active data segments, in order. */
export function initialMemory(
  heap: Heap,
  data: readonly { readonly offset: number; readonly bytes: Uint8Array }[],
): Ref {
  const edit = new MemoryEdit(heap, 0);
  for (const { offset, bytes } of data) edit.write(offset, Buffer.from(bytes), 0, bytes.length);
  return edit.commit();
}
