/**
 * Sweeping a store: frees the objects that no retained block reaches.
 *
 * First everything is marked that retained blocks reach; only nodes and records are read for that. Most of it
 * is done between commits, in steps; then, in one step, what was written meanwhile, and what the heap holds.
 * Blocks may run beside that, for all that they make is new, or reached by the roots. Then the objects are
 * gone through in the order of their hashes and those without a mark are removed, in slices, each a
 * transaction, with commits in between. What a commit writes or finds there is marked as well; if it fails,
 * these marks are wrong, so the sweep ends, and the next one marks again from the roots of its own time.
 * Stored marks in the heap are cleared at the start for all that may be removed, so that a commit writes it
 * again.
 *
 * Marks are 64 bits of the hash: two objects with the same bits keep each other, which loses nothing.
 */

import { part } from "../heap/bytes.ts";
import {
  HEADER_HASH,
  HEADER_REFERENCES,
  HEADER_STORED,
  type Heap,
  type Ref,
  referencesOf,
  UNIT_BYTES,
  UNIT_WORDS,
} from "../heap/heap.ts";
import { collectionWaits, loadsWanted } from "../heap/stub.ts";
import { HASH_BYTES } from "../image/record.ts";
import type { Database } from "./database.ts";
import { forEachHash, TAG_NODE, TAG_PROCESS } from "./format.ts";
import { type Edge, edgesOf, inputEdges } from "./graph.ts";
import { unpackBlock } from "./record.ts";

/** Objects that a slice looks at in any case. */
const SLICE_LEAST = 1024;
/** Bits of an index that a node of a table takes. */
const LEVEL_BITS = 5;

/** An object to look at; `shift` is that of a node of a table of pages, else null. */
interface Reached {
  readonly key: Buffer;
  readonly shift: number | null;
}

/** Marks what the blocks of a store reach, in steps, while nothing is removed from it. */
export class Marking {
  readonly marks = new HashSet();
  readonly #database: Database;
  /** What is still to be looked at. */
  readonly #stack: Reached[] = [];

  constructor(database: Database) {
    this.#database = database;
    this.#begin();
  }

  /** Looks at `count` nodes and records; whether those were all. */
  step(count: number): boolean {
    for (let left = count; left > 0; left--) {
      const next = this.#stack.pop();
      if (next === undefined) return true;
      this.#visit(next);
    }
    return this.#stack.length === 0;
  }

  /** Marks the rest, and what was written since the first step. */
  finish(): void {
    this.step(Number.POSITIVE_INFINITY);
    this.#begin();
    this.step(Number.POSITIVE_INFINITY);
  }

  /** Marks an object of the store, and all that it reaches. */
  mark(key: Buffer): void {
    this.#stack.push({ key, shift: null });
    this.step(Number.POSITIVE_INFINITY);
  }

  #begin(): void {
    const database = this.#database;
    database.refresh();
    for (const id of database.blockIds()) {
      const block = unpackBlock(id, database.block(id) as Buffer);
      if (block.stored) this.#stack.push({ key: block.root, shift: null });
      for (const edge of inputEdges(block)) this.#markInput(edge);
    }
  }

  #markInput(edge: Edge): void {
    if (!this.marks.add(edge.key, 0) || edge.wanted !== "rules") return;
    const stored = this.#database.object(edge.key);
    if (stored !== undefined) for (const { key } of edgesOf(edge, stored)) this.marks.add(key, 0);
  }

  #visit({ key, shift }: Reached): void {
    if (!this.marks.add(key, 0)) return;
    const stored = this.#database.object(key);
    if (stored === undefined) return;
    const { tag, bytes } = stored;
    if (tag === TAG_PROCESS) {
      for (const edge of edgesOf({ key, wanted: "process", shift: 0, name: "" }, stored)) {
        this.#reach(edge.key, edge.wanted === "memory" ? edge.shift : null);
      }
    } else if (tag === TAG_NODE) {
      forEachHash(stored, (at) => {
        // Pages are most of a state. They name nothing, so they are not read.
        if (shift === 0) this.marks.add(bytes, at);
        else this.#reach(bytes.subarray(at, at + HASH_BYTES), shift === null ? null : shift - LEVEL_BITS);
      });
    }
  }

  #reach(key: Buffer, shift: number | null): void {
    if (!this.marks.has(key, 0)) this.#stack.push({ key, shift });
  }
}

export class Sweep {
  readonly #database: Database;
  readonly #heap: Heap;
  readonly #marking: Marking;
  readonly #marks: HashSet;
  #after: Buffer | null = null;
  freedObjects = 0;
  freedBytes = 0;

  /** Keeps what the retained blocks and the objects `refs` of the heap reach; `marking` has begun. */
  constructor(database: Database, marking: Marking, heap: Heap, bit: number, refs: readonly Ref[]) {
    this.#database = database;
    this.#heap = heap;
    this.#marking = marking;
    this.#marks = marking.marks;
    marking.finish();
    this.#markHeap(heap, bit, refs);
    this.#clearMarks(heap, bit);
  }

  /** The object stays. */
  keep(key: Buffer): void {
    this.#marks.add(key, 0);
  }

  keeps(key: Buffer): boolean {
    return this.#marks.has(key, 0);
  }

  /** How much was looked at, from 0 to 1: hashes are spread evenly. */
  get share(): number {
    return this.#after === null ? 0 : (this.#after.readUInt32BE(0) + 1) / 2 ** 32;
  }

  /**
   * Looks at the next `count` objects, or fewer if a collection or an object to load waits; whether they were
   * the last. Inside a transaction.
   */
  slice(count: number): boolean {
    const keys = this.#database.objectKeys(this.#after, count);
    const loads = loadsWanted(this.#heap);
    for (const [i, key] of keys.entries()) {
      const isWanted = collectionWaits(this.#heap) || loadsWanted(this.#heap) !== loads;
      if (isWanted && i >= SLICE_LEAST) return false;
      this.#after = key;
      if (this.#marks.has(key, 0)) continue;
      this.freedBytes += this.#database.removeObject(key);
      this.freedObjects++;
    }
    return keys.length < count;
  }

  /** What the heap holds: of the objects that are not in the store, those that name others lead to some. */
  #markHeap(heap: Heap, bit: number, refs: readonly Ref[]): void {
    const { words, bytes } = heap;
    const seen = new Set<Ref>();
    const stack: Ref[] = [];
    const reach = (ref: Ref): void => {
      if (ref === 0) return;
      const at = ref * UNIT_WORDS;
      const hash = ref * UNIT_BYTES + HEADER_HASH * 4;
      if (((words[at + HEADER_STORED] as number) & bit) === 0) {
        if ((words[at + HEADER_REFERENCES] as number) > 0) stack.push(ref);
      } else if (!this.#marks.has(bytes, hash)) {
        this.#marking.mark(Buffer.from(part(bytes, hash, HASH_BYTES)));
      }
    };
    refs.forEach(reach);
    for (let ref = stack.pop(); ref !== undefined; ref = stack.pop()) {
      if (seen.has(ref)) continue;
      seen.add(ref);
      const first = referencesOf(words, ref);
      const end = first + (words[ref * UNIT_WORDS + HEADER_REFERENCES] as number);
      for (let i = first; i < end; i++) reach(words[i] as Ref);
    }
  }

  #clearMarks(heap: Heap, bit: number): void {
    heap.walk((ref) => {
      const at = ref * UNIT_WORDS;
      if (((heap.words[at + HEADER_STORED] as number) & bit) === 0) return;
      if (!this.#marks.has(heap.bytes, ref * UNIT_BYTES + HEADER_HASH * 4)) {
        Atomics.and(heap.words, at + HEADER_STORED, ~bit);
      }
    });
  }
}

/** A set of hashes, by their first 64 bits. */
class HashSet {
  #words = new Uint32Array(2 * 1024);
  #size = 0;

  /** Adds the hash at `at`; false if it was there. */
  add(bytes: Uint8Array, at: number): boolean {
    if (4 * this.#size > this.#words.length) this.#grow();
    const [low, high] = this.#halves(bytes, at);
    return this.#insert(low, high);
  }

  has(bytes: Uint8Array, at: number): boolean {
    const [low, high] = this.#halves(bytes, at);
    const words = this.#words;
    for (let i = this.#place(low); ; i = (i + 2) % words.length) {
      if (words[i] === 0 && words[i + 1] === 0) return false;
      if (words[i] === low && words[i + 1] === high) return true;
    }
  }

  #insert(low: number, high: number): boolean {
    const words = this.#words;
    for (let i = this.#place(low); ; i = (i + 2) % words.length) {
      if (words[i] === low && words[i + 1] === high) return false;
      if (words[i] !== 0 || words[i + 1] !== 0) continue;
      words[i] = low;
      words[i + 1] = high;
      this.#size++;
      return true;
    }
  }

  #place(low: number): number {
    return 2 * (low % (this.#words.length / 2));
  }

  #halves(bytes: Uint8Array, at: number): [number, number] {
    const read = (i: number): number =>
      ((bytes[i] as number) |
        ((bytes[i + 1] as number) << 8) |
        ((bytes[i + 2] as number) << 16) |
        ((bytes[i + 3] as number) << 24)) >>>
      0;
    // Both halves zero means a free place.
    return [read(at) || 1, read(at + 4)];
  }

  #grow(): void {
    const old = this.#words;
    this.#words = new Uint32Array(2 * old.length);
    this.#size = 0;
    for (let i = 0; i < old.length; i += 2) {
      if (old[i] !== 0 || old[i + 1] !== 0) this.#insert(old[i] as number, old[i + 1] as number);
    }
  }
}
