/**
 * The calls of items that run in parallel. They are the kernel's, by the same code: the item is an activation
 * whose slot is an item slot and whose children are cells, which the core versions (cells.ts). Whatever an
 * item starts runs in the kernel of this thread, in slots of its own; what is left of it is an image, and
 * goes into the child's cell when the item is committed.
 */

import * as abi from "../../syscalls/abi.ts";
import type { Heap } from "../heap/heap.ts";
import { loadProcess, type Process, publishProcess } from "../image/process.ts";
import { Activation, Scratch } from "../kernel/activation.ts";
import { accumulate } from "../kernel/calls/accumulate.ts";
import { costOfChildren } from "../kernel/changes.ts";
import { Children } from "../kernel/children.ts";
import { charge } from "../kernel/exit.ts";
import { BYTES_PER_GAS, COST_ACCUMULATE, COST_ITEM } from "../kernel/gas.ts";
import { afterItem, Item } from "../kernel/items/children.ts";
import { NOBODY_ELSE } from "../kernel/jobs.ts";
import { Kernel } from "../kernel/kernel.ts";
import type { Programs } from "../kernel/program.ts";
import { AccumulateRequest } from "../kernel/requests/request.ts";
import type { Slot } from "../kernel/slots/slot.ts";
import type { SlotLimits } from "../kernel/slots/slot-pool.ts";
import { ABORT_TEXT_LIMIT } from "../limits.ts";
import { PAGE_LINES } from "../units.ts";
import { BASE_AT } from "./bridge.ts";
import { childLine, type Quotas, quotaLine, readQuotas, writeQuotas } from "./cells.ts";
import type { Core } from "./core.ts";
import {
  ACCUMULATE_APPLIED,
  ACCUMULATE_GIVE_UP,
  ACCUMULATE_PLAIN,
  ACCUMULATE_REFUSED,
  ENTRY_BYTES,
  ENTRY_VERSION,
  LINE_BYTES,
  WORKER_AMOUNTS,
  WORKER_SIZE,
  WORKERS,
} from "./layout.ts";
import type { Records } from "./records.ts";

const LINE_WORDS = LINE_BYTES / 4;
/** What STATUS writes of a fault's text is less: message and file name of an abort. */
const DETAIL_BYTES = 8 * ABORT_TEXT_LIMIT;

/** Thrown to leave an item: it met a value that is about to change. */
export const GIVEN_UP = Object.freeze({ leave: "given up" });
/** Thrown to leave an item: it must run in the kernel's loop. */
export const SEQUENTIAL = Object.freeze({ leave: "needs the sequential variant" });

/** What calls use of a slot. */
export interface CallerSlot
  extends Pick<
    Slot,
    "memory" | "words" | "auxWords" | "meter" | "memoryPages" | "place" | "program" | "mark" | "write"
  > {
  /** Whether the item has looked at the line of this address. */
  isTouched(address: number): boolean;
}

/** What a batch is, to its calls. */
export interface CallsBatch {
  /** The process, runnable. */
  readonly start: Process;
  readonly depth: number;
  /** Where its state ends. */
  readonly bound: number;
  readonly slot: CallerSlot;
  /** Loads lines of state, as instrumented code has them loaded. */
  readonly touch: (address: number, length: number, write: number) => void;
}

/** One thread's. */
export class ItemCalls {
  readonly #heap: Heap;
  readonly #programs: Programs;
  readonly #core: Core;
  readonly #words: Int32Array;
  readonly #base: WebAssembly.Memory;
  readonly #records: Records;
  readonly #load: (page: number) => void;
  readonly #kernel: Kernel;
  readonly #scratch = new Scratch();
  readonly #accumulate = new AccumulateRequest();
  #worker = 0;
  #batch: CallsBatch | null = null;
  /** The item that runs, since its first call. */
  #running: Running | null = null;

  /** `base` and `load`: the state before the window, and what brings a page of it in. */
  constructor(
    heap: Heap,
    programs: Programs,
    core: Core,
    words: Int32Array,
    base: WebAssembly.Memory,
    records: Records,
    load: (page: number) => void,
    slots: SlotLimits,
  ) {
    this.#records = records;
    this.#heap = heap;
    this.#programs = programs;
    this.#core = core;
    this.#words = words;
    this.#base = base;
    this.#load = load;
    this.#kernel = new Kernel(heap, programs, NOBODY_ELSE, null, undefined, slots);
  }

  /** After a collection: references outside the roots are gone. */
  forget(): void {
    this.#kernel.forget();
    this.#batch = null;
  }

  begin(batch: CallsBatch): void {
    this.#batch = batch;
    this.#running = null;
  }

  /** A window begins, in which this thread is `worker`. */
  enter(worker: number): void {
    this.#worker = worker;
  }

  put(number: number, pointer: number): number {
    const running = this.#now();
    const parts = this.#needPut(running.activation, pointer >>> 0);
    if ((parts & (abi.PART_PROGRAM | abi.PART_DROP)) !== 0) running.needQuotas(this.#words);
    const code = this.#kernel.asItem(running.activation, (kernel) => kernel.put(number, pointer));
    // Room is reserved here for outputs of other items: the loop may find more.
    if (code === abi.E_QUOTA) throw SEQUENTIAL;
    return code;
  }

  get(number: number, pointer: number): number {
    const { activation } = this.#now();
    this.#needGet(activation, pointer >>> 0);
    return this.#kernel.asItem(activation, (kernel) => kernel.get(number, pointer));
  }

  accumulate(pointer: number): number {
    const { slot, bound, touch } = this.#batch as CallsBatch;
    const request = this.#accumulate;
    charge(slot.meter, COST_ACCUMULATE);
    const at = pointer >>> 0;
    if (at < bound && at + abi.ACCUMULATE_SIZE <= slot.memory.length) touch(at, abi.ACCUMULATE_SIZE, 0);
    const error = request.read(slot, pointer);
    if (error !== abi.OK) return error;
    if (request.address < bound) {
      const answer = slot.isTouched(request.address) ? ACCUMULATE_PLAIN : this.#delta(request);
      if (answer === ACCUMULATE_GIVE_UP) throw GIVEN_UP;
      if (answer !== ACCUMULATE_PLAIN) {
        if (answer === ACCUMULATE_APPLIED) slot.mark(request.address, request.width);
        return answer;
      }
      touch(request.address, request.width, 1);
    }
    return accumulate(slot, request);
  }

  /** Adds to a line that the item has not looked at. */
  #delta({ address, width, subtract, bounded, delta, minimum, maximum }: AccumulateRequest): number {
    const words = this.#words;
    const count = width / 4;
    const fits = (integer: Uint32Array): boolean => integer.every((word, i) => i < count || word === 0);
    // Whatever the integer is, the result does not fit.
    if (!fits(delta) || (bounded && !fits(minimum))) return ACCUMULATE_REFUSED;
    const amounts = WORKERS + this.#worker * WORKER_SIZE + WORKER_AMOUNTS;
    const write = (place: number, value: (i: number) => number): number => {
      for (let i = 0; i < count; i++) words[(amounts + place) / 4 + i] = value(i);
      return amounts + place;
    };
    const limited = bounded && fits(maximum);
    return this.#core.accumulate(
      Math.floor(address / LINE_BYTES),
      address % LINE_BYTES,
      width,
      subtract ? 1 : 0,
      write(0, (i) => delta[i] as number),
      write(32, (i) => (bounded ? (minimum[i] as number) : 0)),
      write(64, (i) => (limited ? (maximum[i] as number) : 0xffffffff)),
    );
  }

  /** The item has returned: what it has started runs now at the latest. */
  join(): void {
    const running = this.#running;
    if (running !== null) this.#kernel.asItem(running.activation, (kernel) => kernel.joinStarted());
  }

  /** Whether what the item has started has spent the item's lease. */
  get hasExpired(): boolean {
    return this.#running?.item.hasExpired ?? false;
  }

  /** What the children cost that the item has changed. */
  get childrenCost(): number {
    const running = this.#running;
    return running === null ? 0 : costOfChildren(running.children.changed());
  }

  /** Makes versions of the cells that the item has changed; false: the core has no room for them. */
  publish(): boolean {
    const running = this.#running;
    if (running === null) return true;
    const { activation, item, quotas } = running;
    for (const child of activation.children.changed()) {
      const path = `/${child.number}`;
      const left = afterItem(this.#heap, this.#programs, item, path, child.before, child.process);
      const ref = left === null ? 0 : publishProcess(this.#heap, left);
      const entry = running.children.entry(child.number);
      if (ref !== (this.#words[(entry + ENTRY_BYTES) / 4] as number) >>> 0) {
        if (!this.#write(entry, (words, at) => words.fill(ref, at, at + 1))) return false;
      }
    }
    if (quotas === null) return true;
    const { memoryPassed, heldGasPassed, processQuota } = activation;
    const childCount = quotas.before.childCount + activation.children.more;
    return this.#write(quotas.entry, (words, at) =>
      writeQuotas(words, at, { memoryPassed, heldGasPassed, processQuota, childCount }),
    );
  }

  /** The item is over. */
  end(): void {
    this.#running = null;
  }

  #now(): Running {
    const cell = (line: number): number => this.#cell(line);
    if (this.#running === null) {
      const batch = this.#batch as CallsBatch;
      this.#running = new Running(this.#heap, batch, this.#scratch, this.#words, cell);
      this.#running.activation.kept = this.#records.kept;
    }
    return this.#running;
  }

  /** Reads a cell: the address of its entry in the log. */
  #cell(line: number): number {
    const words = this.#words;
    const entry = this.#core.lookup(line);
    if (entry === 0) throw GIVEN_UP;
    if (words[(entry + ENTRY_VERSION) / 4] === 0) {
      this.#load(Math.floor(line / PAGE_LINES));
      const cell = new Int32Array(this.#base.buffer, BASE_AT + line * LINE_BYTES, LINE_WORDS);
      words.set(cell, (entry + ENTRY_BYTES) / 4);
    }
    return entry;
  }

  /** The item leaves other words in a cell than it read. */
  #write(entry: number, fill: (words: Int32Array, at: number) => void): boolean {
    const words = this.#words;
    const version = this.#core.version(entry);
    if (version === 0) return false;
    words.fill(0, version / 4, version / 4 + LINE_WORDS);
    fill(words, version / 4);
    return true;
  }

  // ---- lines of state that a request names ----------------------------------------------------------------

  /**
   * Loads what a PUT reads, as the kernel will read it: also of parts that are not for items, which
   * are refused after they were read. Its parts, 0 if it will be refused.
   */
  #needPut(caller: Activation, at: number): number {
    if (!this.#needStruct(at, abi.PUT_SIZE)) return 0;
    const word = (offset: number): number => this.#word(at + offset);
    const parts = word(abi.PUT_PARTS);
    if ((parts & abi.PART_PROGRAM) !== 0) {
      this.#need(caller, word(abi.PUT_PROGRAM_POINTER), word(abi.PUT_PROGRAM_LENGTH) || 32);
      this.#need(caller, at + abi.PUT_REASON, 8, 1);
    }
    if ((parts & (abi.PART_START | abi.PART_BATCH)) !== 0) {
      this.#need(caller, word(abi.PUT_ENTRY_POINTER), word(abi.PUT_ENTRY_LENGTH));
    }
    if ((parts & abi.PART_RANGES) !== 0) {
      this.#needRanges(caller, word(abi.PUT_RANGES_POINTER), word(abi.PUT_RANGES_COUNT), abi.RANGE_SOURCE, 0);
    }
    const batch = word(abi.PUT_BATCH_POINTER);
    if ((parts & abi.PART_BATCH) !== 0 && this.#needStruct(batch, abi.BATCH_SIZE)) {
      const count = this.#word(batch + abi.BATCH_INPUTS_COUNT);
      const bytes = count * abi.INPUT_SIZE;
      if (count * COST_ITEM <= caller.gas()) {
        this.#need(caller, this.#word(batch + abi.BATCH_INPUTS_POINTER), bytes);
      }
    }
    return parts;
  }

  /** Loads what a GET reads and writes, likewise. */
  #needGet(caller: Activation, at: number): void {
    if (!this.#needStruct(at, abi.GET_SIZE)) return;
    const word = (offset: number): number => this.#word(at + offset);
    const parts = word(abi.GET_PARTS);
    if ((parts & abi.PART_GET_STATUS) !== 0) {
      this.#need(caller, word(abi.GET_STATUS_POINTER), abi.STATUS_SIZE, 1);
      const detail = Math.min(word(abi.GET_DETAIL_CAPACITY), DETAIL_BYTES);
      this.#need(caller, word(abi.GET_DETAIL_POINTER), detail, 1);
    }
    if ((parts & abi.PART_GET_COPY) !== 0) {
      this.#needRanges(caller, word(abi.GET_RANGES_POINTER), word(abi.GET_RANGES_COUNT), abi.RANGE_TARGET, 1);
    }
    if ((parts & abi.PART_GET_MERGE) !== 0) this.#needStruct(word(abi.GET_MERGE_POINTER), abi.MERGE_SIZE);
    if ((parts & abi.PART_GET_OUTCOMES) !== 0) {
      this.#needStruct(word(abi.GET_OUTCOMES_POINTER), abi.OUTCOMES_SIZE);
    }
  }

  /** The list of ranges, and of each range what begins at its word `side`. */
  #needRanges(caller: Activation, list: number, count: number, side: number, write: 0 | 1): void {
    if (count > abi.RANGES_LIMIT || list % 4 !== 0) return;
    // The list is read before it is paid.
    if (!this.#bringIn(list, count * abi.RANGE_SIZE, 0)) return;
    for (let i = 0; i < count; i++) {
      const range = list + i * abi.RANGE_SIZE;
      const length = this.#word(range + abi.RANGE_LENGTH);
      const zeroes = this.#word(range + abi.RANGE_KIND) === abi.RANGE_ZERO;
      if (!zeroes) this.#need(caller, this.#word(range + side), length, write);
    }
  }

  /** A struct that is read before anything is paid; false if its place will be refused. */
  #needStruct(at: number, size: number): boolean {
    return at % 8 === 0 && this.#bringIn(at, size, 0);
  }

  /** Loads what of a range is state that the call pays for, if it can. */
  #need(caller: Activation, address: number, length: number, write: 0 | 1 = 0): void {
    if (length / BYTES_PER_GAS <= caller.gas()) this.#bringIn(address, length, write);
  }

  /** Loads what of a range is state; false if it does not lie in the memory. */
  #bringIn(address: number, length: number, write: 0 | 1): boolean {
    const { slot, bound, touch } = this.#batch as CallsBatch;
    if (address + length > slot.memory.length) return false;
    if (length > 0 && address < bound) touch(address, length, write);
    return true;
  }

  #word(at: number): number {
    return (this.#batch as CallsBatch).slot.words[at / 4] as number;
  }
}

/** An item between its first call and its end. */
class Running {
  readonly item = new Item();
  readonly activation: Activation;
  readonly children: CellChildren;
  /** The entry of the quotas' cell, and what was read from it; null: not looked at. */
  quotas: { readonly entry: number; readonly before: Quotas } | null = null;
  readonly #batch: CallsBatch;
  readonly #cell: (line: number) => number;

  constructor(
    heap: Heap,
    batch: CallsBatch,
    scratch: Scratch,
    words: Int32Array,
    cell: (line: number) => number,
  ) {
    const { start, slot, depth, bound } = batch;
    this.#batch = batch;
    this.#cell = cell;
    this.children = new CellChildren(heap, bound, words, cell);
    this.activation = new Activation(heap, start, slot as unknown as Slot, scratch, 0, depth, null);
    this.activation.within({ item: this.item, path: "" });
    this.activation.children = this.children;
  }

  /** The item makes or drops a child: what it may give depends on what those before it gave. */
  needQuotas(words: Int32Array): void {
    if (this.quotas !== null) return;
    const entry = this.#cell(quotaLine(this.#batch.bound));
    const before = readQuotas(words, (entry + ENTRY_BYTES) / 4);
    this.quotas = { entry, before };
    this.activation.memoryPassed = before.memoryPassed;
    this.activation.heldGasPassed = before.heldGasPassed;
    this.activation.processQuota = before.processQuota;
  }
}

/** Children that are cells. */
class CellChildren extends Children {
  readonly #heap: Heap;
  readonly #bound: number;
  readonly #cell: (line: number) => number;
  readonly #words: Int32Array;
  readonly #entries = new Map<number, number>();

  constructor(heap: Heap, bound: number, words: Int32Array, cell: (line: number) => number) {
    super(heap, { children: 0, gasEpoch: 0 }, 0);
    this.#heap = heap;
    this.#bound = bound;
    this.#words = words;
    this.#cell = cell;
  }

  /** The entry of the log for the cell of a child that was touched. */
  entry(number: number): number {
    return this.#entries.get(number) as number;
  }

  protected override before(number: number): Process | null {
    let entry = this.#entries.get(number);
    if (entry === undefined) {
      entry = this.#cell(childLine(this.#bound, number));
      this.#entries.set(number, entry);
    }
    const ref = (this.#words[(entry + ENTRY_BYTES) / 4] as number) >>> 0;
    return ref === 0 ? null : loadProcess(this.#heap, ref);
  }

  /** A search over all children depends on all of them. */
  override get searched(): number {
    throw SEQUENTIAL;
  }
}
