/**
 * The shadow of a slot: a second memory that holds what the slot's memory has to be put back to, page by page
 * as it is needed. With it the items of a batch run one after the other in one instance, and what an item
 * costs follows the pages that it wrote.
 *
 * While a batch runs, for every page whose byte at AUX_SHADOW is set:
 *   private memory   shadow = the page when the batch began
 *   state            shadow = the page when the running item began
 * Any other page has not been written since the batch began, so it is still that of the table the slot was
 * entered with: from there it is fetched.
 *
 * At an item's end `measure` finds the pages that differ, which is what the item pays for, and `settle` makes
 * slot and shadow agree again: state that is kept goes into the shadow, everything else comes out of it.
 *
 * Of a slot in which the batch variant runs the shadow has private memory only; state is put back by lines
 * (line-log.ts).
 */

import type { Heap, Ref } from "../heap/heap.ts";
import { tableGet } from "../heap/table.ts";
import { readPage } from "../image/memory.ts";
import { PAGE_BYTES, WASM_PAGE_BYTES } from "../limits.ts";
import * as layout from "../program/layout.ts";
import { growMemory, newMemory } from "./host-memory.ts";
import { type LineLog, lineLog } from "./line-log.ts";
import { type ShadowGlue, shadowModule } from "./shadow-glue.ts";
import type { ByteRange } from "./trace.ts";

let module: WebAssembly.Module | undefined;

export class Shadow {
  readonly #guest: WebAssembly.Memory;
  readonly #memory: WebAssembly.Memory;
  readonly #aux: Buffer;
  readonly #auxWords: Int32Array;
  readonly #glue: ShadowGlue;
  /** What puts the state back, if not the shadow does. */
  readonly lines: LineLog | null;
  #bytes: Buffer;
  #heap: Heap | null = null;
  /** The slot's memory when the batch began. */
  #root: Ref = 0;
  /** In pages. */
  #first = 0;
  #state = 0;
  #end = 0;

  /** `linesBelow`: where the state ends, if it is put back by lines. */
  constructor(guest: WebAssembly.Memory, aux: WebAssembly.Memory, maximumPages: number, linesBelow = 0) {
    this.#guest = guest;
    this.#memory = newMemory(0, maximumPages);
    this.#bytes = Buffer.from(this.#memory.buffer);
    this.#aux = Buffer.from(aux.buffer);
    this.#auxWords = new Int32Array(aux.buffer);
    module ??= new WebAssembly.Module(shadowModule());
    const fetch = (page: number): void => this.#fetch(page);
    const instance = new WebAssembly.Instance(module, {
      glue: { guest, aux, shadow: this.#memory, fetch },
    });
    this.#glue = instance.exports as unknown as ShadowGlue;
    this.lines = linesBelow === 0 ? null : lineLog(guest, aux, linesBelow);
  }

  /**
   * A batch begins; nothing is marked, and the slot's memory is that of the table `root`. Pages below `first`
   * will not be marked either.
   */
  begin(heap: Heap, root: Ref, stateBytes: number, first = 0): void {
    this.#first = first;
    this.#heap = heap;
    this.#root = root;
    this.#state = stateBytes / PAGE_BYTES;
    const bytes = this.#guest.buffer.byteLength;
    const missing = bytes - this.#bytes.length;
    if (missing > 0) {
      growMemory(this.#memory, missing / WASM_PAGE_BYTES);
      this.#bytes = Buffer.from(this.#memory.buffer);
    }
    this.#end = bytes / PAGE_BYTES;
    this.#aux.fill(0, layout.AUX_SHADOW, layout.AUX_SHADOW + this.#end);
  }

  /** An item has run: finds the pages that it changed, for `settle`. */
  measure(): void {
    this.#glue.measure(this.#state, this.#end, this.#first);
    this.lines?.measure();
  }

  /** Pages of state that `measure` found. */
  get statePages(): number {
    return this.#auxWords[layout.AUX_STATE_PAGES / 4] as number;
  }

  /** Private pages that it found. */
  get privatePages(): number {
    return this.#auxWords[layout.AUX_PRIVATE_PAGES / 4] as number;
  }

  /**
   * The bytes of private memory that `measure` found changed and that lie in none of the ranges `but`, the
   * first `limit` ranges of them. To be asked before `settle`, for debugging.
   */
  privateChanges(limit: number, but: readonly ByteRange[]): ByteRange[] {
    const ranges: { address: number; length: number }[] = [];
    const guest = Buffer.from(this.#guest.buffer);
    const listed = this.#auxWords[layout.AUX_LISTED / 4] as number;
    for (let i = 0; i < listed; i++) {
      const page = this.#auxWords[layout.AUX_LIST / 4 + 2 * i] as number;
      if (page < this.#state) continue;
      for (let at = page * PAGE_BYTES; at < (page + 1) * PAGE_BYTES; at++) {
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

  /** Puts what `measure` found back to what it was; `keep`: but for state. */
  settle(keep: boolean): void {
    this.#glue.settle(this.#state, this.#end, keep ? 1 : 0);
    this.lines?.settle(keep ? 1 : 0);
  }

  /** The batch has ended: marks every page of state that an item may have changed. */
  markState(): void {
    if (this.lines !== null) return;
    for (let page = 0; page < this.#state; page++) {
      if (this.#aux[layout.AUX_SHADOW + page] !== 0) this.#aux[layout.AUX_MARKS + page] = 1;
    }
  }

  #fetch(page: number): void {
    const heap = this.#heap as Heap;
    readPage(heap, tableGet(heap, this.#root, page), this.#bytes, page * PAGE_BYTES);
  }
}
