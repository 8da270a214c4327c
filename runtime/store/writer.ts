/**
 * The writer: what one process, and one thread of it, does to a store.
 *
 * A commit is one transaction: the objects that the block's root names and the store does not hold, the
 * block's record, the new head, and the records of blocks that are no longer retained. An object's stored
 * mark (a bit of its header for each store) is set when the transaction is durable, and says that everything
 * below is there as well; so a commit walks down from the root and stops at marks. Its cost follows what
 * changed.
 *
 * No collection may run during a call: objects are read, and marked, by reference.
 */

import { assert, StoreError } from "../errors.ts";
import {
  HEADER_HASH,
  HEADER_REFERENCES,
  HEADER_STORED,
  type Heap,
  KIND_STUB,
  type Ref,
  referencesOf,
  UNIT_BYTES,
  UNIT_WORDS,
} from "../heap/heap.ts";
import { hashObject } from "../image/hash.ts";
import { HASH_BYTES } from "../image/record.ts";
import type { Database } from "./database.ts";
import { storeFailure } from "./failures.ts";
import { encodeObject, forEachHash, type Stored } from "./format.ts";
import { holds, release, takeHold } from "./holder.ts";
import type { Source } from "./load.ts";
import type { StorePlace } from "./message.ts";
import { openToWrite } from "./open.ts";
import {
  type BlockRecord,
  packBlock,
  packFormat,
  packHash,
  packTotals,
  STORE_FORMAT,
  type Totals,
  unpackBlock,
} from "./record.ts";
import { checkFormat, genesisOf, readState, readTotals, type StoreState } from "./state.ts";
import { Sweep } from "./sweep.ts";

/** A block to write, by reference, and what goes with it. */
export interface Commit {
  readonly block: Omit<BlockRecord, "sequence" | "metadata">;
  /** The block to stand at: this one, or another that is retained; null: as before. */
  readonly head: Buffer | null;
  /** The root's record in the heap. */
  readonly ref: Ref;
  /** The BLOB of the metadata, 0: none. */
  readonly metadata: Ref;
  /** Blocks that are no longer retained. */
  readonly removed: readonly Buffer[];
}

/** What a commit or a sweep did. */
export interface Written {
  readonly objects: number;
  readonly bytes: number;
  /** So much was written since the last sweep that another one is worth it. */
  readonly sweepDue: boolean;
}

/** A sweep is worth it when so much was written since the last one, or as much as there is. */
const SWEEP_BYTES = 64 << 20;

/** Called between the steps of a transaction: where the crash harness kills. */
export type Step = (name: string) => void;

export class Writer {
  readonly path: string;
  readonly database: Database;
  readonly #token: string;
  readonly #limitBytes: number;
  readonly #heap: Heap;
  /** The bit of this store in the headers of objects. */
  readonly #bit: number;
  readonly #step: Step;
  /** Other stores of the same heap: what is a stub here may be there. */
  readonly #sources: readonly Source[];
  #copied = 0;
  readonly state: StoreState;
  #totals: Totals;
  #sweep: Sweep | null = null;

  /**
   * Opens the store in the directory `path`, or makes one there.
   *
   * @throws StoreError (STORE_LOCKED, STORE_VERSION, STORE_GENESIS, STORE_CORRUPT, STORE_READ_ONLY,
   *   STORE_FULL)
   */
  constructor(
    place: StorePlace,
    genesis: Buffer,
    heap: Heap,
    bit: number,
    step: Step,
    sources: readonly Source[],
  ) {
    const { path, limitBytes } = place;
    this.path = path;
    this.#sources = sources;
    this.#limitBytes = limitBytes ?? Number.POSITIVE_INFINITY;
    this.#heap = heap;
    this.#bit = bit;
    this.#step = step;
    let database: Database | undefined;
    try {
      database = openToWrite(path);
      this.database = database;
      // What is damaged is found before the store is held: a repair must get it.
      [this.#token, this.#totals, this.state] = this.database.transaction(() => {
        this.#found(genesis);
        const token = takeHold(this.database, path);
        return [token, readTotals(this.database), readState(this.database)];
      });
    } catch (error) {
      database?.close();
      throw storeFailure(error, path);
    }
  }

  #found(genesis: Buffer): void {
    const database = this.database;
    if (database.meta("format") === undefined) {
      database.putMeta("format", packFormat(STORE_FORMAT));
      database.putMeta("genesis", packHash(genesis));
      return;
    }
    checkFormat(database, this.path);
    const found = genesisOf(database);
    if (found.equals(genesis)) return;
    throw new StoreError(
      "STORE_GENESIS",
      `the store ${this.path} belongs to another genesis: its programs, options or this version's rules ` +
        "differ from those given. Open it with the same, or choose another directory",
      { path: this.path, stored: found.toString("hex"), given: genesis.toString("hex") },
    );
  }

  /** Writes a block and makes it the head. */
  commit({ block, head, ref, metadata, removed }: Commit): Written {
    const written: Ref[] = [];
    let bytes = 0;
    this.#transaction(() => {
      for (const root of [ref, metadata]) if (root !== 0) bytes += this.#write(root, written);
      this.#step("objects");
      const { nextSequence } = this.#totals;
      const known = this.database.block(block.id);
      const sequence = known === undefined ? nextSequence : unpackBlock(block.id, known).sequence;
      const hash = metadata === 0 ? null : this.#key(metadata);
      this.database.putBlock(block.id, packBlock({ ...block, metadata: hash, sequence }));
      for (const id of removed) this.database.removeBlock(id);
      this.#putHead(head);
      this.#putTotals(bytes, nextSequence + 1);
      this.#step("record");
    });
    const { words } = this.#heap;
    for (const one of written) Atomics.or(words, one * UNIT_WORDS + HEADER_STORED, this.#bit);
    return { objects: written.length, bytes, sweepDue: this.#sweepDue };
  }

  /** Makes another retained block the head, forgets blocks, pins and unpins some. */
  change(
    head: Buffer | null,
    removed: readonly Buffer[],
    pinned: readonly Buffer[],
    unpinned: readonly Buffer[],
  ): Written {
    const database = this.database;
    this.#transaction(() => {
      for (const id of removed) database.removeBlock(id);
      for (const [ids, value] of [
        [pinned, true],
        [unpinned, false],
      ] as const) {
        for (const id of ids) {
          const record = database.block(id);
          assert(record !== undefined, "store: a pinned block is not there");
          database.putBlock(id, packBlock({ ...unpackBlock(id, record), pinned: value }));
        }
      }
      this.#putHead(head);
      this.#step("record");
    });
    return { objects: 0, bytes: 0, sweepDue: this.#sweepDue };
  }

  /**
   * Frees what no retained block and none of `refs` reaches, a slice at a time: null until it is done, then
   * what was freed.
   */
  sweep(refs: readonly Ref[], slice: number): Written | null {
    const database = this.database;
    if (this.#sweep === null) {
      this.#sweep = new Sweep(database, this.#heap, this.#bit, refs);
      return null;
    }
    const sweep = this.#sweep;
    const live = this.#transaction(() => {
      const done = sweep.slice(slice);
      this.#step("sweep");
      if (!done) return null;
      const liveBytes = Math.max(0, this.#totals.liveBytes - sweep.freedBytes);
      this.#totals = { ...this.#totals, liveBytes, writtenBytes: 0 };
      database.putMeta("totals", packTotals(this.#totals));
      return liveBytes;
    });
    if (live === null) return null;
    this.#sweep = null;
    return { objects: sweep.freedObjects, bytes: sweep.freedBytes, sweepDue: false };
  }

  async close(): Promise<void> {
    try {
      release(this.database, this.#token);
    } finally {
      await this.database.close();
    }
  }

  get #sweepDue(): boolean {
    const { liveBytes, writtenBytes } = this.#totals;
    return this.#sweep !== null || writtenBytes > Math.max(SWEEP_BYTES, liveBytes - writtenBytes);
  }

  #transaction<T>(work: () => T): T {
    const totals = this.#totals;
    try {
      this.#step("begin");
      const result = this.database.transaction(() => {
        if (!holds(this.database, this.#token)) {
          throw new StoreError("STORE_LOCKED", `another process has taken over the store ${this.path}`, {
            path: this.path,
          });
        }
        return work();
      });
      this.#step("committed");
      return result;
    } catch (error) {
      this.#totals = totals;
      this.#sweep = null;
      this.database.forgetNumbers();
      throw storeFailure(error, this.path);
    }
  }

  #putHead(head: Buffer | null): void {
    if (head !== null) this.database.putMeta("head", packHash(head));
  }

  #putTotals(bytes: number, nextSequence: number): void {
    const { liveBytes, writtenBytes } = this.#totals;
    if (liveBytes + bytes > this.#limitBytes) {
      throw new StoreError(
        "STORE_FULL",
        `the store ${this.path} has reached its limit of ${this.#limitBytes} bytes. Retain fewer blocks or ` +
          'raise its option "limitBytes"',
        { path: this.path, limitBytes: this.#limitBytes, liveBytes },
      );
    }
    this.#totals = { liveBytes: liveBytes + bytes, writtenBytes: writtenBytes + bytes, nextSequence };
    this.database.putMeta("totals", packTotals(this.#totals));
  }

  /** Writes what `root` reaches and the store does not hold; collects it in `written`. The bytes it takes. */
  #write(root: Ref, written: Ref[]): number {
    const { words } = this.#heap;
    const seen = new Set<Ref>();
    const stack = [root];
    let bytes = 0;
    for (let ref = stack.pop(); ref !== undefined; ref = stack.pop()) {
      const at = ref * UNIT_WORDS;
      if (((words[at + HEADER_STORED] as number) & this.#bit) !== 0 || seen.has(ref)) continue;
      seen.add(ref);
      hashObject(this.#heap, ref);
      const key = this.#key(ref);
      if (this.#heap.kind(ref) === KIND_STUB) {
        this.#copied = 0;
        this.#require(key);
        bytes += this.#copied;
        continue;
      }
      bytes += this.database.putObject(key, encodeObject(this.#heap, ref));
      this.#sweep?.keep(key);
      written.push(ref);
      const references = words[at + HEADER_REFERENCES] as number;
      const first = referencesOf(words, ref);
      for (let i = first; i < first + references; i++) {
        const next = words[i] as number;
        if (next !== 0) stack.push(next);
      }
    }
    return bytes;
  }

  /** A stub without a mark: makes sure that all it stands for is there, of other stores if need be. */
  #require(key: Buffer): void {
    if (this.#sweep?.keeps(key)) return;
    const own = this.database.hasObject(key);
    // What is there has been written with all below it, and only a sweep may be about to remove that.
    if (own && this.#sweep === null) return;
    const stored = own ? this.database.object(key) : this.#elsewhere(key);
    if (stored === undefined) {
      throw new StoreError(
        "STORE_CORRUPT",
        `the store is damaged: object ${key.toString("hex")} is not there`,
        {
          hash: key.toString("hex"),
        },
      );
    }
    if (!own) this.#copied += this.database.putObject(key, stored);
    this.#sweep?.keep(key);
    forEachHash(stored, (at) => this.#require(Buffer.from(stored.bytes.subarray(at, at + HASH_BYTES))));
  }

  #elsewhere(key: Buffer): Stored | undefined {
    for (const { database } of this.#sources) {
      const stored = database === this.database ? undefined : database.object(key);
      if (stored !== undefined) return stored;
    }
    return undefined;
  }

  #key(ref: Ref): Buffer {
    const at = ref * UNIT_BYTES + HEADER_HASH * 4;
    return Buffer.from(this.#heap.bytes.subarray(at, at + HASH_BYTES));
  }
}
