/**
 * Bringing objects of stores into a heap.
 *
 * What is loaded names its children by stubs. An object that is known already is not loaded twice: a
 * table remembers where each hash was seen last. It forgets now and then, which costs space and nothing else.
 */

import { LimitError } from "../errors.ts";
import { equalBytes, part } from "../heap/bytes.ts";
import {
  HEADER_HASH,
  HEADER_HASHED,
  HEADER_STORED,
  type Heap,
  KIND_FREE,
  type Loader,
  type Ref,
  UNIT_BYTES,
  UNIT_WORDS,
} from "../heap/heap.ts";
import {
  FAILED_DAMAGED,
  FAILED_HEAP_FULL,
  FAILED_MISSING,
  FAILED_READING,
  loadError,
  makeStub,
  STUB_FAILED,
  STUB_TARGET,
} from "../heap/stub.ts";
import { HASH_BYTES } from "../image/record.ts";
import type { Database } from "./database.ts";
import { DamagedObject, decodeObject } from "./format.ts";

/** A store to read from, and its bit in the headers of objects. */
export interface Source {
  readonly database: Database;
  readonly bit: number;
}

/** Hashes whose place is remembered: at first, for untouched memory is slow, and at most. */
const KNOWN_LEAST = 1 << 13;
const KNOWN_LIMIT = 1 << 20;

/** Reads from stores on the calling thread; the one thread of a heap that does. */
export class DirectLoader implements Loader {
  readonly #heap: Heap;
  readonly sources: Source[];
  #known = new Uint32Array(KNOWN_LEAST);
  /** How many were remembered, some perhaps more than once. */
  #count = 0;
  #generation: number;

  constructor(heap: Heap, sources: readonly Source[]) {
    this.#heap = heap;
    this.sources = [...sources];
    this.#generation = heap.generation;
  }

  load(stub: Ref): Ref {
    const target = this.bring(stub);
    if (target < STUB_FAILED) return target;
    this.#heap.words[stub * UNIT_WORDS + STUB_TARGET] = 0;
    throw loadError(target, this.#key(stub).toString("hex"), this.#heap);
  }

  prefetch(): void {}

  /** What the stub leads to from now on; from STUB_FAILED on why it leads nowhere. */
  bring(stub: Ref): number {
    const { words } = this.#heap;
    const at = stub * UNIT_WORDS + STUB_TARGET;
    const before = Atomics.load(words, at);
    if (before !== 0) return before;
    const target = this.#read(stub);
    Atomics.store(words, at, target);
    return target;
  }

  #read(stub: Ref): number {
    const heap = this.#heap;
    heap.refresh();
    if (heap.generation !== this.#generation) this.#learn();
    const key = this.#key(stub);
    try {
      let failure = FAILED_MISSING;
      for (const { database, bit } of this.sources) {
        let stored = database.object(key);
        if (stored === undefined) {
          database.refresh();
          stored = database.object(key);
        }
        if (stored === undefined) continue;
        try {
          const ref = decodeObject(heap, key, stored, bit, (hashes, at) => this.#reference(hashes, at, bit));
          this.#remember(key, 0, ref);
          return ref;
        } catch (error) {
          if (!(error instanceof DamagedObject)) throw error;
          failure = FAILED_DAMAGED;
        }
      }
      return failure;
    } catch (error) {
      if (error instanceof RangeError) return FAILED_DAMAGED;
      return error instanceof LimitError ? FAILED_HEAP_FULL : FAILED_READING;
    }
  }

  /** The object with the hash at `at`, or a stub for it. */
  #reference(hashes: Buffer, at: number, bit: number): Ref {
    const known = this.#known[this.#place(hashes.readUInt32LE(at))] as number;
    const heap = this.#heap;
    if (known !== 0) {
      const start = known * UNIT_BYTES + HEADER_HASH * 4;
      const found = heap.words[known * UNIT_WORDS + HEADER_STORED] as number;
      if ((found & bit) !== 0 && equalBytes(heap.bytes, start, hashes, at, HASH_BYTES)) return known;
    }
    const stub = makeStub(heap, hashes, at);
    heap.words[stub * UNIT_WORDS + HEADER_STORED] = bit;
    this.#remember(hashes, at, stub);
    return stub;
  }

  #remember(hashes: Buffer, at: number, ref: Ref): void {
    this.#put(hashes.readUInt32LE(at), ref);
  }

  /** Remembers an object by the first word of its hash. */
  #put(word: number, ref: Ref): void {
    if (++this.#count > this.#known.length && this.#known.length < KNOWN_LIMIT) {
      const before = this.#known;
      this.#known = new Uint32Array(8 * before.length);
      for (const known of before) if (known !== 0) this.#known[this.#place(this.#wordOf(known))] = known;
    }
    this.#known[this.#place(word)] = ref;
  }

  #place(word: number): number {
    return word % this.#known.length;
  }

  #wordOf(ref: Ref): number {
    return this.#heap.words[ref * UNIT_WORDS + HEADER_HASH] as number;
  }

  /** After a collection: references may be gone. Looks through what is there. */
  #learn(): void {
    const heap = this.#heap;
    this.#generation = heap.generation;
    this.#known.fill(0);
    this.#count = 0;
    heap.walk((ref) => {
      const at = ref * UNIT_WORDS;
      if (heap.kind(ref) === KIND_FREE || heap.words[at + HEADER_HASHED] !== 1) return;
      if (heap.words[at + HEADER_STORED] !== 0) this.#put(this.#wordOf(ref), ref);
    });
  }

  #key(ref: Ref): Buffer {
    const at = ref * UNIT_BYTES + HEADER_HASH * 4;
    return Buffer.from(part(this.#heap.bytes, at, HASH_BYTES));
  }
}
