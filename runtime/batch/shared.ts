/**
 * What the threads share of the one batch that runs in parallel: its description, who leads it, who takes part.
 *
 * The thread whose activation meets a batch leads it: it takes the engine, describes the batch, and opens one
 * window of items after the other. Other threads sit down, work while a window is open, and leave when the
 * batch has ended. Between two windows nobody is inside: the leader closes the window, waits for all who are
 * in, and only then resets the core.
 *
 *   ENGINE   0: free · id of the leading thread · ORPHANED: the leader died, those who sit have not left yet
 *   BATCH    number of the batch that is led, 0: none. Whoever sits leaves when it is not theirs any more
 *   WINDOW   number of the window × 2, and 1 while it is open
 *   seats    for each: id of the thread (0: empty), and 1 while it is in the window
 *
 * A thread that dies is cleared away by the main thread (`heal`): it poisons the core, so that nobody waits
 * for what the dead would have done, and the batch begins again.
 */

import type { Ref } from "../heap/heap.ts";

/** Can be posted to workers. */
export interface BatchMemory {
  /** The core's: scheduler, logs, versions (layout.ts). */
  readonly core: WebAssembly.Memory;
  /** The state before the window (bridge.ts). */
  readonly base: WebAssembly.Memory;
  readonly control: SharedArrayBuffer;
}

/** What a batch is, for those who help. */
export interface Description {
  readonly program: Ref;
  readonly entry: number;
  readonly memory: Ref;
  readonly globals: Ref;
  readonly memoryPages: number;
  readonly inputs: Ref;
}

export const SEATS = 64;
const ORPHANED = -1;

const ENGINE = 0;
const BATCH = 1;
const WINDOW = 2;
const LAST_BATCH = 3;
/** Item of the batch that is item 0 of the window. */
const FIRST_ITEM = 4;
const PROGRAM = 5;
const ENTRY = 6;
const MEMORY = 7;
const GLOBALS = 8;
const MEMORY_PAGES = 9;
const INPUTS = 10;
const SEAT_WORDS = 16;
const SEAT_AT = 64;
const CONTROL_WORDS = SEAT_AT + SEATS * SEAT_WORDS;

const OPEN = 1;
/** Looks so often before it sleeps. */
const SPINS = 2000;
/** A sleeper looks again after this time at the latest: nobody has to be woken for progress. */
const NAP_MS = 2;

/** One thread's view. */
export class BatchControl {
  readonly #words: Int32Array;

  constructor(control: SharedArrayBuffer) {
    this.#words = new Int32Array(control);
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
    words[PROGRAM] = batch.program;
    words[ENTRY] = batch.entry;
    words[MEMORY] = batch.memory;
    words[GLOBALS] = batch.globals;
    words[MEMORY_PAGES] = batch.memoryPages;
    words[INPUTS] = batch.inputs;
    const number = (Atomics.add(words, LAST_BATCH, 1) & 0x3fffffff) + 1;
    Atomics.store(words, BATCH, number);
    return number;
  }

  open(firstItem: number): void {
    this.#words[FIRST_ITEM] = firstItem;
    Atomics.store(this.#words, WINDOW, Atomics.load(this.#words, WINDOW) + 2 + OPEN);
    Atomics.notify(this.#words, WINDOW);
  }

  /** Closes the window and waits until nobody is in it. */
  close(): void {
    Atomics.store(this.#words, WINDOW, Atomics.load(this.#words, WINDOW) & ~OPEN);
    this.#drain(1);
  }

  /** Ends the batch, waits until all have left, and gives the engine back. */
  release(): void {
    Atomics.store(this.#words, BATCH, 0);
    Atomics.store(this.#words, WINDOW, Atomics.load(this.#words, WINDOW) & ~OPEN);
    Atomics.notify(this.#words, WINDOW);
    this.#drain(0);
    Atomics.store(this.#words, ENGINE, 0);
  }

  /** Waits until no seat's word `word` (0: its thread, 1: in the window) is set. */
  #drain(word: 0 | 1): void {
    for (let seat = 0; seat < SEATS; seat++) {
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
      program: word(PROGRAM),
      entry: word(ENTRY),
      memory: word(MEMORY),
      globals: word(GLOBALS),
      memoryPages: word(MEMORY_PAGES),
      inputs: word(INPUTS),
    };
  }

  get firstItem(): number {
    return this.#words[FIRST_ITEM] as number;
  }

  /** Sits down for a batch: the number of the seat, or -1 if there is none or the batch has ended. */
  sit(id: number, batch: number): number {
    const words = this.#words;
    for (let seat = 0; seat < SEATS; seat++) {
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
        // Who closes says so first and looks who is in then; who goes in does so first and looks then.
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

  /** Clears away a thread that died; whether it had a part in the batch, which must be poisoned then. */
  heal(dead: number, poison: () => void): void {
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
    Atomics.store(words, BATCH, 0);
    Atomics.store(words, WINDOW, Atomics.load(words, WINDOW) & ~OPEN);
    Atomics.notify(words, WINDOW);
    Atomics.store(words, ENGINE, ORPHANED);
  }

  #someSeat(test: (id: number, seat: number) => boolean): boolean {
    for (let seat = 0; seat < SEATS; seat++) {
      const id = Atomics.load(this.#words, SEAT_AT + seat * SEAT_WORDS);
      if (id !== 0 && test(id, seat)) return true;
    }
    return false;
  }
}

export function createControl(): SharedArrayBuffer {
  return new SharedArrayBuffer(CONTROL_WORDS * 4);
}
