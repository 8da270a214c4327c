/**
 * Slots: instances with memories of their own, in which activations run.
 *
 * A slot remembers the table its memory holds (`root`); pages written since are marked, by the guest's
 * instrumentation or by the kernel's own writes. So bringing another image in copies only pages that differ,
 * and publishing looks only at marked pages. Invariant: bytes of memory = contents of `root`, except in
 * marked pages and the first bytes of the page after one.
 *
 * A slot serves an image only if its program is the same and its memory is not larger: memories cannot
 * shrink.
 *
 * The items of a batch run in slots of the program's batch variant, if it has one. There what is marked below
 * the bound is what items have left (line-log.ts); nothing else runs in them.
 */

import { assert } from "../../errors.ts";
import { equalBytes, part } from "../../heap/bytes.ts";
import { type Heap, KIND_STUB, type Ref } from "../../heap/heap.ts";
import { TABLE_LIMIT, tableDiff, tableGet, tableUpdate } from "../../heap/table.ts";
import { capturePage, capturing, type Pay, pageEquals, readPage } from "../../image/memory.ts";
import type { Process } from "../../image/process.ts";
import { lazy } from "../../lazy.ts";
import { PAGE_BYTES } from "../../limits.ts";
import {
  AUX_GLOBALS,
  AUX_GLOBALS_END,
  AUX_LIST,
  AUX_MARKS,
  AUX_SHADOW,
  batchAuxPages,
  LIST_CAPACITY,
  MEMORY_PAGES_LIMIT,
} from "../../program/layout.ts";
import { COUNTING, work } from "../../work.ts";
import type { Payer } from "../changes.ts";
import { payPages } from "../exit.ts";
import { COST_PAGE_TOUCH } from "../gas.ts";
import type { LoadedProgram, Variant } from "../program.ts";
import { growMemory, newMemory } from "./host-memory.ts";
import type { LineLog } from "./line-log.ts";
import { Meter } from "./meter.ts";
import { markPages, marksToScan } from "./page-marks.ts";
import type { Shadow } from "./shadow.ts";

const counting = COUNTING;

const logs = lazy<typeof import("./line-log.ts")>(import.meta.url, "./line-log.ts");
const shadows = lazy<typeof import("./shadow.ts")>(import.meta.url, "./shadow.ts");

/** The functions that instrumented code imports from the kernel. */
export interface KernelImports {
  put(child: number, request: number): number;
  get(child: number, request: number): number;
  ret(): void;
  snapshot(request: number): number;
  grow(pages: number): number;
  abort(message: number, file: number, line: number, column: number): void;
  accumulate(request: number): number;
}

/** What an instrumented module exports (program/layout.ts). */
interface SlotExports {
  run(entry: number, argumentLow: number, argumentHigh: number, gasLow: number, gasHigh: number): void;
  start(gasLow: number, gasHigh: number): void;
  load(): void;
  save(): void;
  scan(from: number, end: number): number;
  /** Of a program that can be suspended. */
  readonly state?: { value: number };
}

/**
 * A store marks the page of its lowest byte only, and stores to nearby addresses share a mark: what they
 * write beyond that page lies in the first bytes of the next one.
 */
const STRADDLE_BYTES = 128;

/** Pages from which on capturing them takes long enough for another thread to help. */
const PAGES_MANY = 512;

/** What a slot can be entered with. */
export type SlotImage = Pick<Process, "memory" | "memoryPages" | "globals">;

/** In place of a reference: a collection has freed the object, or its contents were lost otherwise. */
export const UNKNOWN = -1;

const indexes = new Uint32Array(TABLE_LIMIT);
const pages = new Uint32Array(TABLE_LIMIT);

export class Slot {
  readonly variant: Variant;
  readonly program: LoadedProgram;
  readonly exports: SlotExports;
  readonly aux: Uint8Array;
  readonly auxWords: Int32Array;
  readonly meter: Meter;
  /** The table whose contents the memory holds, but for marked pages; or UNKNOWN. */
  root: Ref = 0;
  /** The BLOB whose contents the instance's globals hold, or UNKNOWN. */
  globals: Ref = UNKNOWN;
  /** Of the process that runs in it, or ran last (slot-pool.ts). */
  place = 0;
  /** Pages of 4 KiB of the memory that may have been written to: the others take nothing of the host. */
  #touched = 0;
  /** Of the longest stack that its aux memory has held. */
  #stackBytes = 0;
  /** Of those since the last batch: where they lay, a batch wants zeros. */
  #stackLeft = 0;
  memory: Uint8Array;
  words: Uint32Array;
  /** Of the memory, in pages of 64 KiB. A pool asks often, and the length of a view takes 50 ns. */
  memoryPages: number;
  readonly #memory: WebAssembly.Memory;
  readonly #auxMemory: WebAssembly.Memory;
  /** What tells the lines of state that items write, in the batch variant. */
  readonly #log: LineLog | null;
  #shadow: Shadow | null = null;
  /** Pages that were brought into it, at most. */
  #shadowed = 0;
  /** Of marked pages that were shared since the last publishing: the page with the bytes at that time. */
  #shared = new Uint32Array(0);
  /** Where `scan` leaves the numbers of marked pages. */
  readonly #list: Int32Array;

  /**
   * With the memories of `old`, a slot that is not used any more, as far as they serve (`memoryServes`,
   * `auxServes`): making them, and having V8 collect them, takes thirty times as long as an instance.
   */
  constructor(variant: Variant, memoryPages: number, imports: KernelImports, old: Slot | null = null) {
    const { program, module, bound } = variant;
    if (counting) {
      work.instances++;
      work.tableElements += program.handle.tableElements;
    }
    this.variant = variant;
    this.program = program;
    if (old?.memoryServes(variant, memoryPages)) {
      this.#memory = old.#memory;
      this.root = old.root;
      this.#touched = old.#touched;
      this.memory = old.memory;
      this.words = old.words;
      this.memoryPages = old.memoryPages;
    } else {
      this.#memory = newMemory(memoryPages, MEMORY_PAGES_LIMIT);
      this.memory = new Uint8Array(this.#memory.buffer);
      this.words = new Uint32Array(this.#memory.buffer);
      this.memoryPages = memoryPages;
    }
    if (this.memoryPages < memoryPages) this.grow(memoryPages - this.memoryPages);
    const auxPages = batchAuxPages(bound);
    if (old?.auxServes(variant)) {
      this.#auxMemory = old.#auxMemory;
      this.#stackBytes = old.#stackBytes;
      this.#stackLeft = old.#stackLeft;
      this.aux = old.aux;
      this.auxWords = old.auxWords;
    } else {
      this.#auxMemory = newMemory(auxPages, auxPages);
      this.aux = new Uint8Array(this.#auxMemory.buffer);
      this.auxWords = new Int32Array(this.#auxMemory.buffer);
    }
    const { accumulate } = imports;
    this.#log = bound === 0 ? null : logs().lineLog(this.#memory, this.#auxMemory, bound, accumulate);
    const calls = this.#log === null ? {} : { touch: this.#log.touch, accumulate: this.#log.accumulate };
    const instance = new WebAssembly.Instance(module, {
      k: { memory: this.#memory, aux: this.#auxMemory, ...imports, ...calls, ...program.counters },
    });
    this.exports = instance.exports as unknown as SlotExports;
    this.meter = new Meter(this.auxWords);
    this.#list = this.auxWords.subarray(AUX_LIST / 4);
  }

  /** Whether the memory can be that of a slot of `variant`, for an image of that size. */
  memoryServes(variant: Variant, memoryPages: number): boolean {
    return this.auxServes(variant) && this.memoryPages <= memoryPages;
  }

  /** The same for the aux memory. Those of batch variants differ in size, and hold tags. */
  auxServes(variant: Variant): boolean {
    return this.variant.bound === 0 && variant.bound === 0;
  }

  /** Bytes of the host that it has taken at most: what was touched of its memories, and the instance. */
  get hostBytes(): number {
    const memoryPages = this.memory.length / PAGE_BYTES;
    const touchedPages = Math.min(this.#touched, memoryPages);
    const shadowBytes = Math.min(this.#shadowed, memoryPages) * PAGE_BYTES;
    // Of the aux memory: globals, marks, and the list of those that were found.
    const lists = AUX_GLOBALS_END + memoryPages + Math.min(4 * touchedPages, 4 * LIST_CAPACITY);
    const auxBytes = this.variant.bound === 0 ? lists + this.#stackBytes : this.aux.length;
    const { instanceBytes } = this.program.handle;
    return touchedPages * PAGE_BYTES + shadowBytes + auxBytes + instanceBytes;
  }

  /** A stack of so many bytes was taken down or put back. */
  noteStack(bytes: number): void {
    this.#stackBytes = Math.max(this.#stackBytes, bytes);
    this.#stackLeft = Math.max(this.#stackLeft, bytes);
  }

  /** A batch begins in it, with the memory `root`, to which the shadow puts it back between items. */
  beginItems(heap: Heap, root: Ref, stateBytes: number): void {
    this.aux.fill(0, AUX_SHADOW, AUX_SHADOW + this.#stackLeft);
    this.#stackLeft = 0;
    this.shadow.begin(heap, root, stateBytes);
  }

  /** Items ran that have spent so much gas: each page that they wrote to is paid, or reached from one. */
  noteItems(gasSpent: number): void {
    const pages = 2 * Math.floor(gasSpent / COST_PAGE_TOUCH);
    this.#touched += pages;
    this.#shadowed += pages;
  }

  /** What puts the memory back between the items of a batch. */
  get shadow(): Shadow {
    if (this.#shadow === null) {
      const { Shadow } = shadows();
      const { maximumPages } = this.program.handle.memory;
      const [guest, aux] = [this.#memory, this.#auxMemory];
      this.#shadow = new Shadow(guest, aux, this.meter, maximumPages, this.variant.bound, this.#log);
    }
    return this.#shadow;
  }

  /** Makes the memory larger by `delta` pages of 64 KiB; quotas were checked. */
  grow(delta: number): void {
    growMemory(this.#memory, delta);
    this.memory = new Uint8Array(this.#memory.buffer);
    this.words = new Uint32Array(this.#memory.buffer);
    this.memoryPages += delta;
  }

  /** Brings the memory of `image` in. Nothing may be marked. */
  enter(heap: Heap, image: SlotImage): void {
    if (this.memoryPages < image.memoryPages) this.grow(image.memoryPages - this.memoryPages);
    if (this.root !== image.memory) {
      if (heap.lazy) this.#prefetch(heap, image.memory);
      let known = this.root === UNKNOWN ? 0 : this.memory.length;
      tableDiff(heap, this.#known, image.memory, (index, _held, page) => {
        const start = index * PAGE_BYTES;
        if (known < start) {
          if (counting) work.bytesCleared += start - known;
          this.memory.fill(0, known, start);
        }
        this.#fetch(heap, index, page, PAGE_BYTES);
        this.#touched++;
        if (counting && page === 0) {
          work.bytesCopied -= PAGE_BYTES;
          work.bytesCleared += PAGE_BYTES;
        }
        known = Math.max(known, start + PAGE_BYTES);
      });
      if (counting) work.bytesCleared += this.memory.length - known;
      if (this.root === UNKNOWN) this.#touched = this.memory.length / PAGE_BYTES;
      this.memory.fill(0, known);
      this.root = image.memory;
    }
    if (this.globals !== image.globals) {
      if (image.globals !== 0) {
        if (counting) work.globalBytes += heap.length(image.globals);
        this.aux.set(heap.payload(image.globals), AUX_GLOBALS);
        this.exports.load();
      }
      this.globals = image.globals;
    }
  }

  get #known(): Ref {
    return this.root === UNKNOWN ? 0 : this.root;
  }

  /** After a collection: what became of the objects whose contents it holds. */
  forget(heap: Heap): void {
    if (this.root !== 0 && !heap.outlived(this.root)) this.root = UNKNOWN;
    if (!heap.outlived(this.globals)) this.globals = UNKNOWN;
  }

  /** Asks for pages that `enter` will copy: the loader is ahead of it then. */
  #prefetch(heap: Heap, root: Ref): void {
    tableDiff(heap, this.#known, root, (_index, _held, page) => {
      if (page !== 0 && heap.kind(page) === KIND_STUB) heap.loader.prefetch(page);
    });
  }

  /** The BLOB of the globals as they are now; the one they came from if nothing changed. */
  publishGlobals(heap: Heap): Ref {
    const before = this.globals;
    const length = this.program.handle.globalsLength;
    if (length === 0) return before;
    if (counting) work.globalBytes += length;
    this.exports.save();
    if (!equalBytes(heap.payload(before), 0, this.aux, AUX_GLOBALS, length)) {
      this.globals = heap.blob(part(this.aux, AUX_GLOBALS, length));
    }
    return this.globals;
  }

  /**
   * The globals that differ from those that `load` puts back, by their words of 8 bytes in AUX_GLOBALS: for
   * traces.
   */
  changedGlobals(): { readonly global: number; readonly before: number }[] {
    const end = AUX_GLOBALS + this.program.handle.globalsLength;
    const before = this.aux.slice(AUX_GLOBALS, end);
    this.exports.save();
    const changed = new Set<number>();
    before.forEach((byte, i) => {
      if (byte !== this.aux[AUX_GLOBALS + i]) changed.add(Math.floor(i / 8));
    });
    this.aux.set(before, AUX_GLOBALS);
    const words = new DataView(before.buffer);
    return [...changed].map((global) => ({ global, before: words.getUint32(8 * global, true) }));
  }

  /**
   * Publishes what was written since the last time: afterwards `root` is the table of the memory's contents.
   * Pages that equal those of the table `base` are shared with it; the others are paid by `payer` before
   * they are captured. False if one cannot be paid: then what is not published stays marked.
   */
  publish(heap: Heap, base: Ref, payer: Payer): boolean {
    const end = this.memory.length / PAGE_BYTES;
    const list = this.#list;
    for (let from = 0; from < end; ) {
      if (counting) work.marksScanned += marksToScan(this.aux, from, end);
      const found = this.exports.scan(from, end);
      if (found === 0) break;
      const capture = (): number => this.#captureListed(heap, base, found, payer);
      const count = found < PAGES_MANY ? capture() : capturing(heap, capture);
      if (count < 0) {
        for (const page of list.subarray(0, found)) markPages(this.aux, AUX_MARKS, page, page);
        return false;
      }
      this.#touched += count;
      this.root = tableUpdate(heap, this.root, indexes, pages, count);
      from = (list[found - 1] as number) + 1;
      if (found < LIST_CAPACITY) break;
    }
    return true;
  }

  /**
   * Puts the first `found` listed pages, and those that a write reached into, into rows of the next update.
   * Returns how many rows there are, -1 if a page cannot be paid.
   */
  #captureListed(heap: Heap, base: Ref, found: number, payer: Payer): number {
    const end = this.memory.length / PAGE_BYTES;
    const list = this.#list;
    let count = 0;
    for (let i = 0; i < found; i++) {
      const index = list[i] as number;
      if (!this.#capture(heap, base, index, count++, payer)) return -1;
      const next = index + 1;
      const listed = i + 1 < found && list[i + 1] === next;
      if (!listed && next < end && this.aux[AUX_MARKS + next] === 0 && this.#straddled(heap, next)) {
        if (!this.#capture(heap, base, next, count++, payer)) return -1;
      }
    }
    return count;
  }

  /**
   * The page with the bytes that are at `index` now, for others to share; publishing finds it as well, if the
   * guest does not write there any more. `pay` is called before a page is made.
   */
  pageAt(heap: Heap, base: Ref, index: number, pay: Pay): Ref {
    if (!this.#changed(heap, index)) return tableGet(heap, this.root, index);
    const old = tableGet(heap, base, index);
    if (pageEquals(heap, old, this.memory, index * PAGE_BYTES)) return old;
    const page = this.#page(heap, index, pay);
    if (this.aux[AUX_MARKS + index] !== 0) this.#remember(index, page);
    return page;
  }

  /** Forgets what was written since the last publishing: puts those pages back to what `root` says. */
  discard(heap: Heap): void {
    const end = this.memory.length / PAGE_BYTES;
    const list = this.#list;
    for (;;) {
      if (counting) work.marksScanned += marksToScan(this.aux, 0, end);
      const found = this.exports.scan(0, end);
      this.#touched += found;
      for (let i = 0; i < found; i++) {
        const index = list[i] as number;
        this.#shared[index] = 0;
        this.#fetch(heap, index, tableGet(heap, this.root, index), PAGE_BYTES);
        if (index + 1 < end)
          this.#fetch(heap, index + 1, tableGet(heap, this.root, index + 1), STRADDLE_BYTES);
      }
      if (found < LIST_CAPACITY) break;
    }
    this.globals = UNKNOWN;
  }

  /** The kernel's own write. */
  write(address: number, bytes: Uint8Array): void {
    if (counting) work.bytesCopied += bytes.length;
    this.mark(address, bytes.length);
    this.memory.set(bytes, address);
  }

  /** The kernel is about to write `length` bytes at `address`, at the expense of what runs in the slot. */
  mark(address: number, length: number): void {
    if (this.variant.bound > 0) return this.shadow.mark(address, length);
    if (length === 0) return;
    payPages(this.meter, this.aux, AUX_MARKS, address, length);
    const first = Math.floor(address / PAGE_BYTES);
    const last = Math.floor((address + length - 1) / PAGE_BYTES);
    markPages(this.aux, AUX_MARKS, first, last);
  }

  /**
   * Puts a whole page in. One that is `shared` will never change: it is what publishing finds there, if the
   * guest does not write to it.
   */
  putPage(heap: Heap, index: number, page: Ref, shared: boolean): void {
    assert(this.variant.bound === 0, "slot: pages of an item are not shared");
    // What is there already is paid and marked, but left alone: most of a large memory was never touched.
    const isThere = tableGet(heap, this.root, index) === page && !this.#changed(heap, index);
    this.mark(index * PAGE_BYTES, PAGE_BYTES);
    if (!isThere) this.#fetch(heap, index, page, PAGE_BYTES);
    this.#remember(index, shared ? page : 0);
  }

  #remember(index: number, page: Ref): void {
    if (index >= this.#shared.length) {
      const before = this.#shared;
      this.#shared = new Uint32Array(this.memory.length / PAGE_BYTES);
      this.#shared.set(before);
    }
    this.#shared[index] = page;
  }

  /** Puts page `index` into row `row` of the next update; false if it changed and cannot be paid. */
  #capture(heap: Heap, base: Ref, index: number, row: number, payer: Payer): boolean {
    const old = tableGet(heap, base, index);
    const same = pageEquals(heap, old, this.memory, index * PAGE_BYTES);
    if (!same && !payer.add(index)) return false;
    indexes[row] = index;
    pages[row] = same ? old : this.#page(heap, index);
    this.#shared[index] = 0;
    return true;
  }

  /** A page with the bytes at `index`: the one that was shared, or a new one. */
  #page(heap: Heap, index: number, pay?: Pay): Ref {
    const offset = index * PAGE_BYTES;
    const shared = this.#shared[index] ?? 0;
    if (shared !== 0 && pageEquals(heap, shared, this.memory, offset)) return shared;
    return capturePage(heap, this.memory, offset, pay);
  }

  /** Whether page `index` may differ from what `root` says: a write began in it, or reached into it. */
  #changed(heap: Heap, index: number): boolean {
    if (this.aux[AUX_MARKS + index] !== 0) return true;
    return index > 0 && this.aux[AUX_MARKS + index - 1] !== 0 && this.#straddled(heap, index);
  }

  /** Whether a write to the page before, whose mark stands for it, changed the first bytes of this one. */
  #straddled(heap: Heap, index: number): boolean {
    return !pageEquals(
      heap,
      tableGet(heap, this.root, index),
      this.memory,
      index * PAGE_BYTES,
      STRADDLE_BYTES,
    );
  }

  #fetch(heap: Heap, index: number, page: Ref, length: number): void {
    readPage(heap, page, this.memory, index * PAGE_BYTES, length);
  }
}
