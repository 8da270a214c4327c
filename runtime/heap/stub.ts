/**
 * Stubs: objects that lie in a store and were not needed so far.
 *
 * A stub is an object of one unit. Its header holds the hash of what it stands for, and that is all that is
 * known of it. When the object is first needed it is loaded beside, and the stub leads to it from then
 * on; a collection writes the object itself into whoever names the stub, or, where memory is short, makes
 * stubs of pages again. So references are passed on, compared by hash and kept without anything being loaded.
 *
 *   word 0       1 unit · KIND_STUB      word 3     1: hashed
 *   word 5       the object; 0: not here; from STUB_FAILED on: why it could not be loaded
 *   words 8-15   SHA-256 of the object
 *
 * Threads ask for objects through control words of the heap: a thread puts the stub into a free place of the
 * list of requests and sleeps until word 5 changes. One thread (store/thread.ts) reads the list, and the
 * store. A place is taken and freed in one step, so a thread that is killed leaves nothing half done. The
 * loader writes no objects while a collection runs, and a collection waits until the loader has finished the
 * one at hand.
 */

import { type StillpointError, StoreError } from "../errors.ts";
import { COUNTING, work } from "../work.ts";
import { copyBytes, part } from "./bytes.ts";
import {
  CONTROL_LOADER,
  CONTROL_LOADER_STATE,
  CONTROL_REQUEST_LIST,
  HEADER_HASH,
  HEADER_HASHED,
  type Heap,
  heapFull,
  KIND_STUB,
  type Loader,
  NO_LOADER,
  REQUESTS_LIMIT,
  type Ref,
  UNIT_BYTES,
  UNIT_WORDS,
} from "./heap.ts";

const counting = COUNTING;

export const STUB_TARGET = 5;
/** STUB_TARGET from here on says why the object is not there. */
export const STUB_FAILED = 0xfffffff0;
export const FAILED_MISSING = 0xfffffff0;
export const FAILED_DAMAGED = 0xfffffff1;
export const FAILED_HEAP_FULL = 0xfffffff2;
export const FAILED_READING = 0xfffffff3;

// Words from CONTROL_LOADER on.
/** Grows with every request; the loader sleeps on it. */
export const LOADER_SIGNAL = CONTROL_LOADER;
/** 0: there is none, 1: it waits, 2: it is writing an object. */
export const LOADER_STATE = CONTROL_LOADER_STATE;
/** 1: a collection runs. */
export const LOADER_PAUSED = CONTROL_LOADER + 2;
/** 1: the main thread looks at objects while no block of its own is in progress. */
const MAIN_LOOKS = CONTROL_LOADER + 3;
/** 1: a collection waits for those who read the heap; a store that writes objects ends its slice. */
export const COLLECTION_WAITS = CONTROL_LOADER + 4;

export const LOADER_NONE = 0;
export const LOADER_READY = 1;
export const LOADER_BUSY = 2;

/** Time after which a thread asks again: its request may have been lost with the list of a collection. */
const ASK_AGAIN_MS = 50;
/** How long the main thread waits at a time: no other thread can wake it. */
const PATIENCE_MS = 30_000;

/** Whether a collection waits for those who read the heap. */
export function collectionWaits({ control }: Heap): boolean {
  return Atomics.load(control, COLLECTION_WAITS) === 1;
}

/** How many objects were asked for so far. */
export function loadsWanted({ control }: Heap): number {
  return Atomics.load(control, LOADER_SIGNAL);
}

/** A stub for the object with the hash at byte `at` of `hashes`. */
export function makeStub(heap: Heap, hashes: Buffer, at: number): Ref {
  const ref = heap.allocate(KIND_STUB, 0, 0);
  copyBytes(hashes, at, heap.bytes, ref * UNIT_BYTES + HEADER_HASH * 4, 32);
  heap.words[ref * UNIT_WORDS + HEADER_HASHED] = 1;
  return ref;
}

/** The hash of a hashed object, in hex. */
export function hashHexOf(heap: Heap, ref: Ref): string {
  const at = ref * UNIT_BYTES + HEADER_HASH * 4;
  return part(heap.bytes, at, 32).toString("hex");
}

/** Asks the loader thread, and waits for it. */
export class RequestLoader implements Loader {
  readonly #heap: Heap;
  readonly #words: Int32Array;
  readonly #patienceMs: number;
  #cursor = 0;

  /** The main thread must yield now and then: only its event loop notices that a thread died. */
  constructor(heap: Heap, isMain: boolean) {
    this.#heap = heap;
    this.#words = new Int32Array(heap.words.buffer, 0, heap.words.length);
    this.#patienceMs = isMain ? PATIENCE_MS : Number.POSITIVE_INFINITY;
  }

  load(stub: Ref): Ref {
    const { words, control } = this.#heap;
    const at = stub * UNIT_WORDS + STUB_TARGET;
    for (let waitedMs = 0; ; waitedMs += ASK_AGAIN_MS) {
      const target = Atomics.load(words, at);
      if (target >= STUB_FAILED) {
        // A later request tries again.
        Atomics.compareExchange(words, at, target, 0);
        throw loadError(target, hashHexOf(this.#heap, stub), this.#heap);
      }
      // Another stub, if a thread died while it made stubs of pages.
      if (target !== 0) return this.#heap.resolve(target);
      if (Atomics.load(control, LOADER_STATE) === LOADER_NONE) return NO_LOADER.load(stub);
      if (waitedMs >= this.#patienceMs) {
        throw new StoreError("STORE_BUSY", `the store did not answer for ${PATIENCE_MS / 1000} s. Try again`);
      }
      this.prefetch(stub);
      Atomics.wait(this.#words, at, 0, ASK_AGAIN_MS);
    }
  }

  prefetch(stub: Ref): void {
    const { control } = this.#heap;
    for (let i = 0; i < REQUESTS_LIMIT; i++) {
      const place = CONTROL_REQUEST_LIST + ((this.#cursor + i) % REQUESTS_LIMIT);
      if (control[place] !== 0 || Atomics.compareExchange(control, place, 0, stub) !== 0) continue;
      if (counting) work.objectsLoaded++;
      this.#cursor = (this.#cursor + i + 1) % REQUESTS_LIMIT;
      Atomics.add(control, LOADER_SIGNAL, 1);
      Atomics.notify(control, LOADER_SIGNAL);
      return;
    }
  }
}

/** What a thread that asked for an object in vain throws. */
export function loadError(failure: number, hash: string, heap: Heap): StillpointError {
  switch (failure) {
    case FAILED_HEAP_FULL:
      return heapFull(heap);
    case FAILED_MISSING:
      return new StoreError(
        "STORE_CORRUPT",
        `the store is damaged: object ${hash} is not there. ${DAMAGED_ADVICE}`,
        { hash },
      );
    case FAILED_DAMAGED:
      return new StoreError(
        "STORE_CORRUPT",
        `the store is damaged: object ${hash} has other bytes than its hash says. ${DAMAGED_ADVICE}`,
        { hash },
      );
    default:
      return new StoreError("STORE_READ", `the store could not be read: object ${hash}`, { hash });
  }
}

const DAMAGED_ADVICE = '"stillpoint inspect DIR verify" says what is damaged and which blocks are intact';

/**
 * Runs `look` on the main thread: no collection changes or frees what it looks at meanwhile. Waits for one
 * that runs.
 *
 * @throws StoreError (STORE_BUSY)
 */
export function lookAt<T>({ control }: Heap, look: () => T): T {
  // One look inside another.
  if (Atomics.load(control, MAIN_LOOKS) === 1) return look();
  for (let waitedMs = 0; ; waitedMs += ASK_AGAIN_MS) {
    Atomics.store(control, MAIN_LOOKS, 1);
    // A collection says that it begins, and looks whether we look; we look the other way round.
    if (Atomics.load(control, LOADER_PAUSED) === 0) break;
    endLook(control);
    if (waitedMs >= PATIENCE_MS) {
      throw new StoreError("STORE_BUSY", `a collection did not end for ${PATIENCE_MS / 1000} s. Try again`);
    }
    Atomics.wait(control, LOADER_PAUSED, 1, ASK_AGAIN_MS);
  }
  try {
    return look();
  } finally {
    endLook(control);
  }
}

function endLook(control: Int32Array): void {
  Atomics.store(control, MAIN_LOOKS, 0);
  Atomics.notify(control, MAIN_LOOKS);
}

/**
 * For the thread that collects: nothing is loaded between this and `resumeLoader`, and the main thread
 * does not look at objects.
 */
export function pauseLoader(control: Int32Array): void {
  for (;;) {
    Atomics.store(control, LOADER_PAUSED, 1);
    if (Atomics.load(control, MAIN_LOOKS) === 0) break;
    // It may need objects from the loader.
    resumeLoader(control);
    Atomics.wait(control, MAIN_LOOKS, 1, 10);
  }
  while (Atomics.load(control, LOADER_STATE) === LOADER_BUSY) {
    Atomics.wait(control, LOADER_STATE, LOADER_BUSY, 10);
  }
  // Requests name references that may be gone afterwards; a waiting thread asks again.
  control.fill(0, CONTROL_REQUEST_LIST, CONTROL_REQUEST_LIST + REQUESTS_LIMIT);
}

export function resumeLoader(control: Int32Array): void {
  Atomics.store(control, LOADER_PAUSED, 0);
  Atomics.notify(control, LOADER_PAUSED);
  Atomics.add(control, LOADER_SIGNAL, 1);
  Atomics.notify(control, LOADER_SIGNAL);
}
