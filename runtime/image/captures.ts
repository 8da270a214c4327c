/**
 * Pages that one thread captures while another one hashes them: a ring in shared memory.
 *
 *   control   owner: the thread that captures, 0: nobody · how many pages were put in · how many were taken
 *             out · the ring
 *
 * The ring is one thread's at a time. It puts each page in that it has written, and when they are many it
 * asks for help. Who helps takes pages out and hashes them until there is none, or the owner has ended.
 *
 * Nothing depends on it: what was not hashed here is hashed with the block, and two threads may hash the same
 * page (hash.ts). So pages for which there is no room are left out, and what an owner that died has left is
 * passed over.
 */

import { CAPTURES_LIMIT, CAPTURES_OWNER, type Captures, type Heap, type Ref } from "../heap/heap.ts";
import { hashObject } from "./hash.ts";

const PUT = CAPTURES_OWNER + 1;
const TAKEN = CAPTURES_OWNER + 2;
const RING = CAPTURES_OWNER + 3;
/** Pages from which on it is worth waking a thread for help. */
const PAGES_ALONE = 128;
/** How often a helper looks for the next page: capturing one takes 1 or 2 µs. */
const SPINS = 500;
/** How often it yields and looks again before it does something else. */
const NAPS = 20;
const NAP_MS = 0.1;

/** How another thread is asked for help. */
export interface Help {
  /** Asks for a call of `hashCaptured`. */
  ask(): void;
  /** Nobody helps any more when this returns. */
  end(): void;
}

/** The side of a thread that captures. */
export class SharedCaptures implements Captures {
  readonly #heap: Heap;
  readonly #owner: number;
  readonly #help: Help;
  #isOwner = false;
  #count = 0;

  constructor(heap: Heap, owner: number, help: Help) {
    this.#heap = heap;
    this.#owner = owner;
    this.#help = help;
  }

  begin(): boolean {
    const { control } = this.#heap;
    if (this.#isOwner) return false;
    if (Atomics.compareExchange(control, CAPTURES_OWNER, 0, this.#owner) !== 0) return false;
    Atomics.store(control, TAKEN, Atomics.load(control, PUT));
    this.#isOwner = true;
    this.#count = 0;
    return true;
  }

  add(page: Ref): void {
    if (!this.#isOwner) return;
    const { control } = this.#heap;
    const put = control[PUT] as number;
    if (((put - Atomics.load(control, TAKEN)) | 0) >= CAPTURES_LIMIT) return;
    control[RING + (put & (CAPTURES_LIMIT - 1))] = page;
    Atomics.store(control, PUT, (put + 1) | 0);
    if (++this.#count === PAGES_ALONE) this.#help.ask();
  }

  end(): void {
    this.#isOwner = false;
    Atomics.store(this.#heap.control, CAPTURES_OWNER, 0);
    if (this.#count >= PAGES_ALONE) this.#help.end();
  }
}

/** Helps a thread that captures pages now, as long as there are any. */
export function hashCaptured(heap: Heap): void {
  const { control } = heap;
  for (let spins = 0, naps = 0; naps < NAPS && Atomics.load(control, CAPTURES_OWNER) !== 0; ) {
    const taken = Atomics.load(control, TAKEN);
    if (taken === Atomics.load(control, PUT)) {
      if (++spins < SPINS) continue;
      // The OS is providing memory, say.
      Atomics.wait(control, PUT, taken, NAP_MS);
      naps++;
      continue;
    }
    const page = (control[RING + (taken & (CAPTURES_LIMIT - 1))] as number) >>> 0;
    if (Atomics.compareExchange(control, TAKEN, taken, (taken + 1) | 0) !== taken) continue;
    hashObject(heap, page);
    spins = 0;
    naps = 0;
  }
}
