/**
 * Sweeping a store: frees the objects that no retained block reaches.
 *
 * First everything is marked that retained blocks reach; only nodes and records are read for that. Then the
 * objects are gone through in the order of their hashes and those without a mark are removed, in slices, each
 * a transaction, with commits in between. What a commit writes or finds there is marked as well; if it fails,
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
import { HASH_BYTES } from "../image/record.ts";
import type { Database } from "./database.ts";
import { forEachHash, TAG_NODE, TAG_PROCESS } from "./format.ts";
import { type Edge, edgesOf, inputEdges } from "./graph.ts";
import { unpackBlock } from "./record.ts";

export class Sweep {
  readonly #database: Database;
  readonly #marks = new HashSet();
  #after: Buffer | null = null;
  freedObjects = 0;
  freedBytes = 0;

  /** Marks what the retained blocks and the objects `refs` of the heap reach. */
  constructor(database: Database, heap: Heap, bit: number, refs: readonly Ref[]) {
    this.#database = database;
    database.refresh();
    for (const id of database.blockIds()) {
      const block = unpackBlock(id, database.block(id) as Buffer);
      if (block.stored) this.#markStored(block.root);
      for (const edge of inputEdges(block)) this.#markInput(edge);
    }
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

  /** Looks at the next `count` objects; whether they were the last. Inside a transaction. */
  slice(count: number): boolean {
    const keys = this.#database.objectKeys(this.#after, count);
    for (const key of keys) {
      if (this.#marks.has(key, 0)) continue;
      this.freedBytes += this.#database.removeObject(key);
      this.freedObjects++;
    }
    this.#after = keys.at(-1) ?? this.#after;
    return keys.length < count;
  }

  #markInput(edge: Edge): void {
    if (!this.#marks.add(edge.key, 0) || edge.wanted !== "rules") return;
    const stored = this.#database.object(edge.key);
    if (stored !== undefined) for (const { key } of edgesOf(edge, stored)) this.#marks.add(key, 0);
  }

  #markStored(root: Buffer): void {
    const stack = [root];
    for (let key = stack.pop(); key !== undefined; key = stack.pop()) {
      if (!this.#marks.add(key, 0)) continue;
      const stored = this.#database.object(key);
      if (stored === undefined || (stored.tag !== TAG_NODE && stored.tag !== TAG_PROCESS)) continue;
      const { bytes } = stored;
      forEachHash(stored, (at) => {
        if (!this.#marks.has(bytes, at)) stack.push(bytes.subarray(at, at + HASH_BYTES));
      });
    }
  }

  /** What runtimes hold that have no store of their own. */
  #markHeap(heap: Heap, bit: number, refs: readonly Ref[]): void {
    const seen = new Set<Ref>();
    const stack = refs.filter((ref) => ref !== 0);
    for (let ref = stack.pop(); ref !== undefined; ref = stack.pop()) {
      if (seen.has(ref)) continue;
      seen.add(ref);
      const at = ref * UNIT_WORDS;
      if (((heap.words[at + HEADER_STORED] as number) & bit) !== 0) {
        const hash = ref * UNIT_BYTES + HEADER_HASH * 4;
        this.#markStored(Buffer.from(part(heap.bytes, hash, HASH_BYTES)));
        continue;
      }
      const references = heap.words[at + HEADER_REFERENCES] as number;
      const first = referencesOf(heap.words, ref);
      for (let i = first; i < first + references; i++) {
        const next = heap.words[i] as number;
        if (next !== 0) stack.push(next);
      }
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
