/**
 * The shadow of a slot: a second memory that holds what the slot's memory has to be put back to, page by page
 * as it is needed. With it the items of a batch run one after the other in one instance, and what an item
 * costs follows the pages that it wrote.
 *
 * While a batch runs, for every page whose byte at AUX_SHADOW is set, to KEPT if an item changed the page and
 * that was kept:
 *   private memory   shadow = the page when the batch began
 *   state            shadow = the page when the running item began
 * Any other page has not been written since the batch began, so it is still that of the table the slot was
 * entered with: from there it is fetched.
 *
 * At an item's end `measure` finds the pages that differ, of which the item pays those of state, and `settle`
 * makes slot and shadow agree again: state that is kept goes into the shadow, everything else comes out of
 * it. After that every page has yet to be paid.
 *
 * Of a slot in which the batch variant runs the shadow has private memory only. State is put back by lines,
 * by the log (line-log.ts) or by who gave the shadow to the slot.
 */

import { part } from "../../heap/bytes.ts";
import type { Heap, Ref } from "../../heap/heap.ts";
import { tableGet } from "../../heap/table.ts";
import { readPage } from "../../image/memory.ts";
import { PAGE_BYTES, WASM_PAGE_BYTES } from "../../limits.ts";
import * as layout from "../../program/layout.ts";
import { COUNTING, work } from "../../work.ts";
import { addChangedLines } from "../changes.ts";
import { payPages } from "../exit.ts";
import type { ByteRange, RawLine } from "../trace.ts";
import { growMemory, newMemory } from "./host-memory.ts";
import type { LineLog } from "./line-log.ts";
import type { Meter } from "./meter.ts";
import { markPages, marksToScan } from "./page-marks.ts";
import { FIRST_BYTES, KEPT, type ShadowGlue, shadowModule, WRITTEN_FIRST } from "./shadow-glue.ts";

const counting = COUNTING;

const modules = new Map<number, WebAssembly.Module>();

/** The glue for marks of that kind. */
function glueFor(marks: layout.Marks): WebAssembly.Module {
  let module = modules.get(marks.at);
  if (module === undefined) {
    module = new WebAssembly.Module(shadowModule(marks));
    modules.set(marks.at, module);
  }
  return module;
}

export class Shadow {
  readonly #guest: WebAssembly.Memory;
  readonly #memory: WebAssembly.Memory;
  readonly #aux: Uint8Array;
  readonly #auxWords: Int32Array;
  readonly #meter: Meter;
  readonly #glue: ShadowGlue;
  readonly #marks: layout.Marks;
  /** Where the state ends, if it is put back by lines. */
  readonly #bound: number;
  readonly #log: LineLog | null;
  #bytes: Uint8Array;
  #heap: Heap | null = null;
  /** The slot's memory when the batch began. */
  #root: Ref = 0;
  /** Where state and memory end, in what a mark stands for. */
  #state = 0;
  #end = 0;

  /** `bound`: of the batch variant, where the state ends; 0: of the sequential variant. */
  constructor(
    guest: WebAssembly.Memory,
    aux: WebAssembly.Memory,
    meter: Meter,
    maximumPages: number,
    bound: number,
    log: LineLog | null,
  ) {
    this.#guest = guest;
    this.#meter = meter;
    this.#memory = newMemory(0, maximumPages);
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#aux = new Uint8Array(aux.buffer);
    this.#auxWords = new Int32Array(aux.buffer);
    this.#marks = layout.marksOf(bound);
    this.#bound = bound;
    this.#log = log;
    const fetch = (page: number): void => this.#fetch(page);
    const instance = new WebAssembly.Instance(glueFor(this.#marks), {
      glue: { guest, aux, shadow: this.#memory, fetch },
    });
    this.#glue = instance.exports as unknown as ShadowGlue;
  }

  /** A batch begins; nothing is marked, and the slot's memory is that of the table `root`. */
  begin(heap: Heap, root: Ref, stateBytes: number): void {
    const { shift } = this.#marks;
    this.#heap = heap;
    this.#root = root;
    this.#state = stateBytes / (1 << shift);
    const bytes = this.#guest.buffer.byteLength;
    const missing = bytes - this.#bytes.length;
    if (missing > 0) {
      growMemory(this.#memory, missing / WASM_PAGE_BYTES);
      this.#bytes = new Uint8Array(this.#memory.buffer);
    }
    this.#end = bytes / (1 << shift);
    for (const { page, end } of this.#groups()) {
      this.#aux.fill(0, layout.AUX_SHADOW + page, layout.AUX_SHADOW + end);
      this.#aux[layout.AUX_SHADOW_GROUPS + page / layout.GROUP_PAGES] = 0;
    }
  }

  /** The groups with a page whose byte at AUX_SHADOW is set. */
  *#groups(): Generator<{ readonly page: number; readonly end: number }> {
    const pages = this.#guest.buffer.byteLength / PAGE_BYTES;
    const from = layout.AUX_SHADOW_GROUPS;
    const groups = this.#aux.subarray(from, from + Math.ceil(pages / layout.GROUP_PAGES));
    if (counting) work.marksScanned += Math.ceil(groups.length / 16);
    for (let group = groups.indexOf(1); group >= 0; group = groups.indexOf(1, group + 1)) {
      const page = group * layout.GROUP_PAGES;
      yield { page, end: page + layout.GROUP_PAGES };
    }
  }

  /** The kernel is about to write `length` bytes at `address`, at the running item's expense. */
  mark(address: number, length: number): void {
    if (length === 0) return;
    const { at, shift } = this.#marks;
    const paid = layout.paidOf(this.#bound).at;
    payPages(this.#meter, this.#aux, paid, address, length);
    if (address < this.#bound) this.#log?.touch(address, length, 1);
    const firstPage = Math.floor(address / PAGE_BYTES);
    const lastPage = Math.floor((address + length - 1) / PAGE_BYTES);
    markPages(this.#aux, paid, firstPage, lastPage);
    const first = Math.floor(Math.max(address, this.#bound) / (1 << shift));
    const last = Math.floor((address + length - 1) / (1 << shift));
    if (first < last) this.#aux.fill(1, at + first, at + last + 1);
    else if (address + length > first * (1 << shift) + FIRST_BYTES) this.#aux[at + first] = 1;
    else if (first === last && this.#aux[at + first] === 0) this.#aux[at + first] = WRITTEN_FIRST;
  }

  /** An item has run: finds what it changed, for `settle`. */
  measure(): void {
    if (counting) this.#count();
    this.#glue.measure(this.#state, this.#end, this.#bound === 0 ? 0 : this.#state);
    this.#log?.measure();
  }

  /** What `measure` and `settle` will do: what is marked is compared, and at worst put back. */
  #count(): void {
    const { at, shift } = this.#marks;
    const from = this.#bound === 0 ? 0 : this.#state;
    const inPage = PAGE_BYTES >> shift;
    work.marksScanned += marksToScan(this.#aux, from / inPage, this.#end / inPage);
    for (let i = from; i < this.#end; i++) {
      if (this.#aux[at + i] === 0) continue;
      work.bytesCompared += 1 << shift;
      work.bytesCopied += 1 << shift;
    }
  }

  /** Pages of state that `measure` found. */
  get statePages(): number {
    return this.#auxWords[layout.AUX_STATE_PAGES / 4] as number;
  }

  /**
   * The bytes of private memory that `measure` found changed and that lie in none of the ranges `but`, the
   * first `limit` ranges of them. To be asked before `settle`, for debugging.
   */
  privateChanges(limit: number, but: readonly ByteRange[]): ByteRange[] {
    const ranges: { address: number; length: number }[] = [];
    const guest = new Uint8Array(this.#guest.buffer);
    const listed = this.#auxWords[layout.AUX_LISTED / 4] as number;
    for (let i = 0; i < listed; i++) {
      const block = this.#auxWords[layout.AUX_LIST / 4 + 2 * i] as number;
      if (block < this.#state) continue;
      const size = 1 << this.#marks.shift;
      for (let at = block * size; at < (block + 1) * size; at++) {
        if (guest[at] === this.#bytes[at]) continue;
        if (but.some(({ address, length }) => at >= address && at < address + length)) continue;
        const last = ranges.at(-1);
        if (last !== undefined && last.address + last.length === at) last.length++;
        else if (ranges.length === limit) return ranges;
        else ranges.push({ address: at, length: 1 });
      }
    }
    return ranges;
  }

  /**
   * Lines of state that `measure` found changed, as they are now; of the sequential variant. To be asked
   * before `settle`, for traces.
   */
  changedLines(limit: number): RawLine[] {
    const lines: RawLine[] = [];
    if (this.#bound > 0) return lines;
    const guest = new Uint8Array(this.#guest.buffer);
    const listed = this.#auxWords[layout.AUX_LISTED / 4] as number;
    for (let i = 0; i < listed; i++) {
      const page = this.#auxWords[layout.AUX_LIST / 4 + 2 * i] as number;
      if (page >= this.#state) continue;
      const at = page * PAGE_BYTES;
      const of = (memory: Uint8Array): Buffer => part(memory, at, PAGE_BYTES);
      addChangedLines(lines, limit, at, of(this.#bytes), of(guest));
    }
    return lines.sort((a, b) => a.address - b.address);
  }

  /** Puts what `measure` found back to what it was; `keep`: but for state. */
  settle(keep: boolean): void {
    this.#glue.settle(this.#state, this.#end, keep ? 1 : 0);
    this.#log?.settle(keep ? 1 : 0);
  }

  /** The batch has ended: marks every page of state of which an item changed something that was kept. */
  markState(): void {
    if (this.#bound > 0) return;
    for (const { page, end } of this.#groups()) {
      if (counting) work.marksScanned += layout.GROUP_PAGES;
      for (let i = page; i < end; i++) {
        if (this.#aux[layout.AUX_SHADOW + i] === KEPT) markPages(this.#aux, layout.AUX_MARKS, i, i);
      }
    }
  }

  #fetch(page: number): void {
    const heap = this.#heap as Heap;
    readPage(heap, tableGet(heap, this.#root, page), this.#bytes, page * PAGE_BYTES);
  }
}
