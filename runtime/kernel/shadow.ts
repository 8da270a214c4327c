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
 */

import type { Heap, Ref } from "../heap/heap.ts";
import { tableGet } from "../heap/table.ts";
import { pageStart, ZERO_PAGE } from "../image/memory.ts";
import { PAGE_BYTES, WASM_PAGE_BYTES } from "../limits.ts";
import type { Code } from "../program/code.ts";
import { glueModule } from "../program/glue-module.ts";
import * as layout from "../program/layout.ts";
import * as op from "../program/opcodes.ts";
import { I32 } from "../program/opcodes.ts";
import { growMemory, newMemory } from "./host-memory.ts";

const GUEST = 0;
const AUX = 1;
const SHADOW = 2;
const PAGE_SHIFT = 12;
const LINE_BYTES = 64;
const VECTOR_BYTES = 16;
/** Pages whose marks are looked at together where nothing is marked. */
const SCAN_STEP = 64;
/** How far into the next page a mark reaches (slot.ts). */
const STRADDLE_BYTES = 128;

// Functions of the glue by index; the first is imported.
const FETCH = 0;
const BRING = 1;
const DIFFERENCE = 2;
const NOTE = 3;
const MOVE = 4;

interface Glue {
  /**
   * Counts the pages that differ from the shadow, in AUX_STATE_PAGES and AUX_PRIVATE_PAGES, and takes the
   * marks away. `state` and `end` are numbers of pages: where state and memory end; below `first` nothing is
   * marked.
   */
  measure(state: number, end: number, first: number): void;
  /** Makes those pages agree with the shadow; `keep`: state goes into it. */
  settle(state: number, end: number, keep: number): void;
}

/** The glue; it lists `capacity` pages that differ, marks any more again, and seeks them anew. */
export function shadowModule(capacity = layout.LIST_CAPACITY): Uint8Array<ArrayBuffer> {
  const define = (name: string, parameters: number, locals: number, write: (code: Code) => void) => ({
    name,
    parameters: Array.from({ length: parameters }, () => I32),
    results: name === "difference" ? [I32] : [],
    locals: Array.from({ length: locals }, () => I32),
    write,
  });
  return glueModule(
    ["guest", "aux", "shadow"].map((name) => ({ name, shared: false })),
    [{ name: "fetch", parameters: [I32], results: [] }],
    [
      define("bring", 1, 0, bring),
      define("difference", 1, 1, difference),
      define("note", 2, 2, (code) => note(code, capacity)),
      define("move", 3, 1, move),
      define("measure", 3, 1, measure),
      define("settle", 3, 3, (code) => settle(code, capacity)),
    ],
  );
}

/** bring(page): the shadow has the page. */
function bring(code: Code): void {
  const page = 0;
  code.get(page);
  code.access(op.I32_LOAD8_U, AUX, layout.AUX_SHADOW);
  code.op(op.I32_EQZ);
  code.open(op.IF);
  code.get(page);
  code.index(op.CALL, FETCH);
  code.get(page);
  code.i32(1);
  code.access(op.I32_STORE8, AUX, layout.AUX_SHADOW);
  code.end();
}

/** Whether `length` bytes at the address in the local differ between slot and shadow: 0 or 1. */
function differs(code: Code, address: number, length: number): void {
  for (let offset = 0; offset < length; offset += VECTOR_BYTES) {
    for (const memory of [GUEST, SHADOW]) {
      code.get(address);
      code.access(op.V128_LOAD, memory, offset);
    }
    code.op(op.V128_XOR);
    if (offset > 0) code.op(op.V128_OR);
  }
  code.op(op.V128_ANY_TRUE);
}

/** difference(page): where in the page its first line lies that differs; PAGE_BYTES if none does. */
function difference(code: Code): void {
  const [page, address] = [0, 1] as const;
  code.get(page);
  code.i32(PAGE_SHIFT);
  code.op(op.I32_SHL);
  code.set(address);
  code.open(op.LOOP);
  differs(code, address, LINE_BYTES);
  code.open(op.IF);
  code.get(address);
  code.i32(PAGE_BYTES - 1);
  code.op(op.I32_AND);
  code.op(op.RETURN);
  code.end();
  code.get(address);
  code.i32(LINE_BYTES);
  code.op(op.I32_ADD);
  code.tee(address);
  code.i32(PAGE_BYTES - 1);
  code.op(op.I32_AND);
  code.index(op.BR_IF, 0);
  code.end();
  code.i32(PAGE_BYTES);
}

/** Loads a word of the aux memory's header, adds one, stores it. */
function increment(code: Code, place: () => void): void {
  place();
  place();
  code.access(op.I32_LOAD, AUX, 0);
  code.i32(1);
  code.op(op.I32_ADD);
  code.access(op.I32_STORE, AUX, 0);
}

/** note(page, state): if the page differs, it is counted, and listed by the address of its first line. */
function note(code: Code, capacity: number): void {
  const [page, state, offset, place] = [0, 1, 2, 3] as const;
  code.get(page);
  code.index(op.CALL, BRING);
  code.get(page);
  code.index(op.CALL, DIFFERENCE);
  code.tee(offset);
  code.i32(PAGE_BYTES);
  code.op(op.I32_EQ);
  code.open(op.IF);
  code.op(op.RETURN);
  code.end();
  code.i32(layout.AUX_STATE_PAGES);
  code.i32(layout.AUX_PRIVATE_PAGES);
  code.get(page);
  code.get(state);
  code.op(op.I32_LT_U);
  code.op(op.SELECT);
  code.set(place);
  increment(code, () => code.get(place));
  code.auxLoad(op.I32_LOAD, layout.AUX_LISTED);
  code.tee(place);
  code.i32(capacity);
  code.op(op.I32_LT_U);
  code.open(op.IF);
  code.get(place);
  code.i32(2);
  code.op(op.I32_SHL);
  code.get(page);
  code.i32(PAGE_SHIFT);
  code.op(op.I32_SHL);
  code.get(offset);
  code.op(op.I32_OR);
  code.access(op.I32_STORE, AUX, layout.AUX_LIST);
  increment(code, () => code.i32(layout.AUX_LISTED));
  code.op(op.ELSE);
  setMark(code, page, 1);
  code.end();
}

function setMark(code: Code, page: number, value: number): void {
  code.get(page);
  code.i32(value);
  code.access(op.I32_STORE8, AUX, layout.AUX_MARKS);
}

/** move(address, state, keep): from the address to the end of its page, slot and shadow become equal. */
function move(code: Code): void {
  const [address, state, keep, length] = [0, 1, 2, 3] as const;
  const copy = (to: number, from: number): void => {
    code.get(address);
    code.get(address);
    code.get(length);
    code.op(op.MEMORY_COPY);
    code.u8(to);
    code.u8(from);
  };
  code.i32(PAGE_BYTES);
  code.get(address);
  code.i32(PAGE_BYTES - 1);
  code.op(op.I32_AND);
  code.op(op.I32_SUB);
  code.set(length);
  code.get(keep);
  code.get(address);
  code.i32(PAGE_SHIFT);
  code.op(op.I32_SHR_U);
  code.get(state);
  code.op(op.I32_LT_U);
  code.op(op.I32_AND);
  code.open(op.IF);
  copy(SHADOW, GUEST);
  code.op(op.ELSE);
  copy(GUEST, SHADOW);
  code.end();
}

/** Runs `visit` for each marked page from `page` to `end`, ascending, after its mark was taken away. */
function forMarked(code: Code, page: number, end: number, visit: () => void): void {
  code.open(op.BLOCK);
  code.open(op.LOOP);
  code.get(page);
  code.get(end);
  code.op(op.I32_GE_U);
  code.index(op.BR_IF, 1);
  // A step may reach beyond the end of memory, where nothing is ever marked.
  code.open(op.BLOCK);
  code.get(page);
  code.i32(SCAN_STEP - 1);
  code.op(op.I32_AND);
  code.index(op.BR_IF, 0);
  for (let offset = 0; offset < SCAN_STEP; offset += VECTOR_BYTES) {
    code.get(page);
    code.access(op.V128_LOAD, AUX, layout.AUX_MARKS + offset);
    if (offset > 0) code.op(op.V128_OR);
  }
  code.op(op.V128_ANY_TRUE);
  code.index(op.BR_IF, 0);
  code.get(page);
  code.i32(SCAN_STEP);
  code.op(op.I32_ADD);
  code.set(page);
  code.index(op.BR, 1);
  code.end();
  code.get(page);
  code.access(op.I32_LOAD8_U, AUX, layout.AUX_MARKS);
  code.open(op.IF);
  setMark(code, page, 0);
  visit();
  code.end();
  code.get(page);
  code.i32(1);
  code.op(op.I32_ADD);
  code.set(page);
  code.index(op.BR, 0);
  code.end();
  code.end();
}

/** measure(state, end, first) */
function measure(code: Code): void {
  const [state, end, page, next] = [0, 1, 2, 3] as const;
  for (const place of [layout.AUX_STATE_PAGES, layout.AUX_PRIVATE_PAGES, layout.AUX_LISTED])
    code.auxStore(op.I32_STORE, place, () => code.i32(0));
  const noteThe = (local: number): void => {
    code.get(local);
    code.get(state);
    code.index(op.CALL, NOTE);
  };
  forMarked(code, page, end, () => {
    noteThe(page);
    // The next page, if only stores that began in this one have written to it.
    code.open(op.BLOCK);
    code.get(page);
    code.i32(1);
    code.op(op.I32_ADD);
    code.tee(next);
    code.get(end);
    code.op(op.I32_GE_U);
    code.index(op.BR_IF, 0);
    code.get(next);
    code.access(op.I32_LOAD8_U, AUX, layout.AUX_MARKS);
    code.index(op.BR_IF, 0);
    code.get(next);
    code.index(op.CALL, BRING);
    code.get(next);
    code.i32(PAGE_SHIFT);
    code.op(op.I32_SHL);
    code.set(next);
    differs(code, next, STRADDLE_BYTES);
    code.op(op.I32_EQZ);
    code.index(op.BR_IF, 0);
    code.get(page);
    code.i32(1);
    code.op(op.I32_ADD);
    code.set(page);
    noteThe(page);
    code.end();
  });
}

/** settle(state, end, keep) */
function settle(code: Code, capacity: number): void {
  const [state, end, keep, i, count, offset] = [0, 1, 2, 3, 4, 5] as const;
  const moveFrom = (address: () => void): void => {
    address();
    code.get(state);
    code.get(keep);
    code.index(op.CALL, MOVE);
  };
  code.auxLoad(op.I32_LOAD, layout.AUX_LISTED);
  code.set(count);
  code.open(op.BLOCK);
  code.open(op.LOOP);
  code.get(i);
  code.get(count);
  code.op(op.I32_GE_U);
  code.index(op.BR_IF, 1);
  moveFrom(() => {
    code.get(i);
    code.i32(2);
    code.op(op.I32_SHL);
    code.access(op.I32_LOAD, AUX, layout.AUX_LIST);
  });
  code.get(i);
  code.i32(1);
  code.op(op.I32_ADD);
  code.set(i);
  code.index(op.BR, 0);
  code.end();
  code.end();
  // The list was full: what has a mark now had no room in it.
  code.get(count);
  code.i32(capacity);
  code.op(op.I32_EQ);
  code.open(op.IF);
  code.i32(0);
  code.set(i);
  forMarked(code, i, end, () => {
    code.get(i);
    code.index(op.CALL, DIFFERENCE);
    code.set(offset);
    moveFrom(() => {
      code.get(i);
      code.i32(PAGE_SHIFT);
      code.op(op.I32_SHL);
      code.get(offset);
      code.op(op.I32_OR);
    });
  });
  code.end();
}

let module: WebAssembly.Module | undefined;

export class Shadow {
  readonly #guest: WebAssembly.Memory;
  readonly #memory: WebAssembly.Memory;
  readonly #aux: Buffer;
  readonly #auxWords: Int32Array;
  readonly #glue: Glue;
  #bytes: Buffer;
  #heap: Heap | null = null;
  /** The slot's memory when the batch began. */
  #root: Ref = 0;
  /** In pages. */
  #first = 0;
  #state = 0;
  #end = 0;

  /** `aux` is the memory that `auxBytes` and its words are views of. */
  constructor(guest: WebAssembly.Memory, aux: WebAssembly.Memory, maximumPages: number) {
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
    this.#glue = instance.exports as unknown as Glue;
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
  }

  /** Pages of state that `measure` found. */
  get statePages(): number {
    return this.#auxWords[layout.AUX_STATE_PAGES / 4] as number;
  }

  /** Private pages that it found. */
  get privatePages(): number {
    return this.#auxWords[layout.AUX_PRIVATE_PAGES / 4] as number;
  }

  /** Puts what `measure` found back to what it was; `keep`: but for state. */
  settle(keep: boolean): void {
    this.#glue.settle(this.#state, this.#end, keep ? 1 : 0);
  }

  /** The batch has ended: marks every page of state that an item may have changed. */
  markState(): void {
    for (let page = 0; page < this.#state; page++) {
      if (this.#aux[layout.AUX_SHADOW + page] !== 0) this.#aux[layout.AUX_MARKS + page] = 1;
    }
  }

  #fetch(page: number): void {
    const heap = this.#heap as Heap;
    const ref = tableGet(heap, this.#root, page);
    const offset = page * PAGE_BYTES;
    if (ref === 0) {
      ZERO_PAGE.copy(this.#bytes, offset);
    } else {
      const start = pageStart(heap, ref);
      heap.bytes.copy(this.#bytes, offset, start, start + PAGE_BYTES);
    }
  }
}
