/**
 * What the threads share of the one batch that runs in parallel: its description, who leads it, who takes
 * part.
 *
 * The thread whose activation meets a batch leads it: it takes the engine, describes the batch, and opens one
 * window of items after the other. Other threads sit down, work while a window is open, and leave when the
 * batch has ended. Between two windows nobody is inside: the leader closes the window, waits for all who are
 * in, and only then resets the core.
 *
 *   ENGINE   0: free · id of the leading thread · ORPHANED: the leader died, those who sit have not left yet
 *   BATCH    number of the batch that is led, 0: none. Participants leave when it is no longer theirs
 *   WINDOW   number of the window × 2, and 1 while it is open
 *   seats    for each: id of the thread (0: empty), and 1 while it is in the window
 *
 * A thread that dies is cleared away by the main thread (`recover`): it poisons the core, so that nobody
 * waits for what the dead would have done, and the batch begins again.
 */

import { assert } from "../errors.ts";
import type { Ref } from "../heap/heap.ts";
import { highOf, joined, lowOf } from "../u64.ts";
import { coreMemory, coreModule } from "./core.ts";
import { createEntries } from "./entries.ts";
import { PHASES } from "./evidence.ts";
import { createHints } from "./hints.ts";
import { POISON, WAKE, WORKERS_LIMIT } from "./layout.ts";
import { createRecords } from "./records.ts";

/** Can be posted to workers. */
export interface BatchMemory {
  readonly coreModule: WebAssembly.Module;
  /** The core's: scheduler, logs, versions (layout.ts). */
  readonly core: WebAssembly.Memory;
  /** The state before the window (bridge.ts). */
  readonly base: WebAssembly.Memory;
  readonly control: SharedArrayBuffer;
  /** What became of the items (records.ts). */
  readonly records: SharedArrayBuffer;
  /** Which items read from which, as far as that is known (hints.ts). */
  readonly hints: SharedArrayBuffer;
  /** What is known of the items of entries (entries.ts). */
  readonly entries: SharedArrayBuffer;
  /** Threads that take part at most. */
  readonly workers: number;
}

/** What a batch is, for those who help. */
export interface Description {
  /** The process, runnable. */
  readonly start: Ref;
  /** Its image as the items find it. */
  readonly memory: Ref;
  readonly globals: Ref;
  readonly memoryPages: number;
  /** Of the process, from the root. */
  readonly depth: number;
  /** For threads that have not got its program's batch variant (kernel/program.ts). */
  readonly code: Ref;
}

const ORPHANED = -1;

const ENGINE = 0;
const BATCH = 1;
const WINDOW = 2;
const LAST_BATCH = 3;
/** Item of the batch that is item 0 of the window. */
const FIRST_ITEM = 4;
const START = 5;
const MEMORY = 6;
const GLOBALS = 7;
const MEMORY_PAGES = 8;
const DEPTH = 9;
const CODE = 10;
/** The first lease of the window's items, a u64. */
const LEASE_LOW = 11;
const LEASE_HIGH = 12;
const SEAT_WORDS = 16;
const SEAT_AT = 64;
const TIMES_AT = (SEAT_AT + WORKERS_LIMIT * SEAT_WORDS) * 4;
const TIMES_BYTES = PHASES.length * 8;
const CONTROL_BYTES = TIMES_AT + WORKERS_LIMIT * TIMES_BYTES;

const OPEN = 1;
/** How often it looks before it sleeps. */
const SPINS = 2000;
/** A sleeper looks again after this time at the latest: nobody has to be woken for progress. */
const NAP_MS = 2;

/** Where `worker` adds up its time, in the order of PHASES. */
export function timesOf(memory: BatchMemory, worker: number): Float64Array {
  return new Float64Array(memory.control, TIMES_AT + worker * TIMES_BYTES, PHASES.length);
}

/** One thread's view. */
export class BatchControl {
  readonly #words: Int32Array;
  /** For all threads but the leader. */
  readonly #seats: number;

  constructor(memory: BatchMemory) {
    this.#words = new Int32Array(memory.control);
    this.#seats = memory.workers - 1;
  }

  // ---- the leader -----------------------------------------------------------------------------------------

  /** Takes the engine for thread `id`; false if another batch has it. */
  acquire(id: number): boolean {
    const words = this.#words;
    if (Atomics.compareExchange(words, ENGINE, 0, id) === 0) return true;
    if (Atomics.load(words, ENGINE) !== ORPHANED || this.#someSeat(() => true)) return false;
    return Atomics.compareExchange(words, ENGINE, ORPHANED, id) === ORPHANED;
  }

  /** Makes the batch known; its number. The window is closed. */
  announce(batch: Description): number {
    const words = this.#words;
    assert(Atomics.load(words, BATCH) === 0, "batch: one is announced while another runs");
    words[START] = batch.start;
    words[MEMORY] = batch.memory;
    words[GLOBALS] = batch.globals;
    words[MEMORY_PAGES] = batch.memoryPages;
    words[DEPTH] = batch.depth;
    words[CODE] = batch.code;
    const number = (Atomics.add(words, LAST_BATCH, 1) & 0x3fffffff) + 1;
    Atomics.store(words, BATCH, number);
    return number;
  }

  /** Opens a window of items from `firstItem` on, whose first lease is `lease`. */
  open(firstItem: number, lease: number): void {
    const window = Atomics.load(this.#words, WINDOW);
    assert((window & OPEN) === 0, "batch: a window is opened while another is open");
    assert(Atomics.load(this.#words, BATCH) !== 0, "batch: a window is opened without a batch");
    this.#words[FIRST_ITEM] = firstItem;
    this.#words[LEASE_LOW] = lowOf(lease);
    this.#words[LEASE_HIGH] = highOf(lease);
    Atomics.store(this.#words, WINDOW, window + 2 + OPEN);
    Atomics.notify(this.#words, WINDOW);
  }

  /** Closes the window and waits until nobody is in it. */
  close(): void {
    Atomics.store(this.#words, WINDOW, Atomics.load(this.#words, WINDOW) & ~OPEN);
    this.#drain(1);
  }

  /** Ends the batch and waits until all have left. */
  end(): void {
    this.#dismiss();
    this.#drain(0);
  }

  /** Signals to all participants that the batch has ended. */
  #dismiss(): void {
    Atomics.store(this.#words, BATCH, 0);
    Atomics.store(this.#words, WINDOW, Atomics.load(this.#words, WINDOW) & ~OPEN);
    Atomics.notify(this.#words, WINDOW);
  }

  /** The same, and gives the engine back: from here on core and base are another batch's. */
  release(): void {
    this.end();
    Atomics.store(this.#words, ENGINE, 0);
  }

  /** Waits until no seat's word `word` (0: its thread, 1: in the window) is set. */
  #drain(word: 0 | 1): void {
    for (let seat = 0; seat < this.#seats; seat++) {
      const at = SEAT_AT + seat * SEAT_WORDS + word;
      for (let spins = 0; ; spins++) {
        const value = Atomics.load(this.#words, at);
        if (value === 0) break;
        if (spins > SPINS) Atomics.wait(this.#words, at, value, NAP_MS);
      }
    }
  }

  // ---- those who help -------------------------------------------------------------------------------------

  get description(): Description {
    const word = (i: number): number => (this.#words[i] as number) >>> 0;
    return {
      start: word(START),
      memory: word(MEMORY),
      globals: word(GLOBALS),
      memoryPages: word(MEMORY_PAGES),
      depth: word(DEPTH),
      code: word(CODE),
    };
  }

  get firstItem(): number {
    return this.#words[FIRST_ITEM] as number;
  }

  get lease(): number {
    return joined(this.#words[LEASE_LOW] as number, this.#words[LEASE_HIGH] as number);
  }

  /** Sits down for a batch: the number of the seat, or -1 if there is none or the batch has ended. */
  sit(id: number, batch: number): number {
    const words = this.#words;
    for (let seat = 0; seat < this.#seats; seat++) {
      const at = SEAT_AT + seat * SEAT_WORDS;
      if (Atomics.load(words, at) !== 0 || Atomics.compareExchange(words, at, 0, id) !== 0) continue;
      if (Atomics.load(words, BATCH) === batch) return seat;
      this.leave(seat);
      return -1;
    }
    return -1;
  }

  /** Goes into the next open window that is not `last`; its number, or 0 when the batch has ended. */
  join(seat: number, batch: number, last: number): number {
    const words = this.#words;
    const inside = SEAT_AT + seat * SEAT_WORDS + 1;
    for (let spins = 0; ; spins++) {
      const window = Atomics.load(words, WINDOW);
      if (Atomics.load(words, BATCH) !== batch) return 0;
      if ((window & OPEN) !== 0 && window !== last) {
        Atomics.store(words, inside, 1);
        // Closing sets the word and then looks who is in; entering goes in and then looks at the word.
        if (Atomics.load(words, WINDOW) === window && Atomics.load(words, BATCH) === batch) return window;
        this.exit(seat);
      } else if (spins > SPINS) {
        Atomics.wait(words, WINDOW, window, NAP_MS);
      }
    }
  }

  exit(seat: number): void {
    Atomics.store(this.#words, SEAT_AT + seat * SEAT_WORDS + 1, 0);
    Atomics.notify(this.#words, SEAT_AT + seat * SEAT_WORDS + 1);
  }

  leave(seat: number): void {
    this.exit(seat);
    Atomics.store(this.#words, SEAT_AT + seat * SEAT_WORDS, 0);
    Atomics.notify(this.#words, SEAT_AT + seat * SEAT_WORDS);
  }

  // ---- the main thread ------------------------------------------------------------------------------------

  /** Clears away a thread that died; if it had a part in the batch, `poison` is called first. */
  recover(dead: number, poison: () => void): void {
    const words = this.#words;
    const led = Atomics.load(words, ENGINE) === dead;
    const seats: number[] = [];
    this.#someSeat((id, seat) => {
      if (id === dead) seats.push(seat);
      return false;
    });
    if (led || seats.length > 0) poison();
    for (const seat of seats) this.leave(seat);
    if (!led) return;
    this.#dismiss();
    Atomics.store(words, ENGINE, ORPHANED);
  }

  #someSeat(test: (id: number, seat: number) => boolean): boolean {
    for (let seat = 0; seat < this.#seats; seat++) {
      const id = Atomics.load(this.#words, SEAT_AT + seat * SEAT_WORDS);
      if (id !== 0 && test(id, seat)) return true;
    }
    return false;
  }
}

/** Removes a thread that died; called by the main thread. */
export function recoverBatches(memory: BatchMemory, dead: number): void {
  new BatchControl(memory).recover(dead, () => poison(memory.core));
}

/** Everybody leaves the window at once, whatever they wait for. */
export function poison(core: WebAssembly.Memory): void {
  const words = new Int32Array(core.buffer);
  Atomics.store(words, POISON / 4, 1);
  Atomics.add(words, WAKE / 4, 1);
  Atomics.notify(words, WAKE / 4);
}

/**
 * Logs and versions of one window, for one thread; with many threads less. Address space, until it is used.
 */
const ARENA_BYTES = 64 << 20;
const ARENAS_BYTES = 2 ** 31;

/** What `workers` threads need to run batches in parallel. */
export async function createBatchMemory(workers: number): Promise<BatchMemory> {
  const threads = Math.min(workers, WORKERS_LIMIT);
  return {
    coreModule: await coreModule(),
    core: coreMemory(threads, Math.min(ARENA_BYTES, ARENAS_BYTES / threads)),
    base: new WebAssembly.Memory({ initial: 0, maximum: 65536, shared: true }),
    control: new SharedArrayBuffer(CONTROL_BYTES),
    records: createRecords(),
    hints: createHints(),
    entries: createEntries(),
    workers: threads,
  };
}
