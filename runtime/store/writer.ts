/**
 * The writer: what one process, and one thread of it, does to a store.
 *
 * A change of the history is one transaction: the objects that new blocks name and the store does not hold,
 * the records of blocks, those among them that are no longer retained, and the head. An object's stored
 * mark (a bit of its header for each store) is set when the transaction is durable, and says that everything
 * below is there as well; so a commit walks down from the root and stops at marks. Its cost follows what
 * changed.
 *
 * Objects are written before those that name them, so all that an object of the store names is there as well,
 * at every moment. So a change with many objects takes several transactions, and takes effect with the last;
 * collections and sweeps may run in between.
 *
 * Objects are read, and marked, by reference: no collection may run until `hasRead`, and behind that none
 * that evicts or moves what was written.
 */

import { existsSync, rmdirSync } from "node:fs";
import { assert, StoreError } from "../errors.ts";
import { copyBytes } from "../heap/bytes.ts";
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
import { collectionWaits, loadsWanted } from "../heap/stub.ts";
import { hashObject } from "../image/hash.ts";
import { HASH_BYTES } from "../image/record.ts";
import { archiveBlock, readArchived } from "./archive.ts";
import { refsOfBlock, type Step, type StoreChange, type SweepStep, type Written } from "./change.ts";
import { Database } from "./database.ts";
import { storeFailure } from "./failures.ts";
import { encodeObject, forEachHash, type Stored } from "./format.ts";
import { checkGenesis } from "./genesis.ts";
import { holds, release, takeHold } from "./holder.ts";
import type { Source } from "./load.ts";
import type { LogPlace } from "./log.ts";
import type { StorePlace } from "./message.ts";
import { openToWrite } from "./open.ts";
import {
  type ArchivedRecord,
  type BlockRecord,
  type Head,
  packBlock,
  packFormat,
  packGenesis,
  packHead,
  packLog,
  packTotals,
  STORE_FORMAT,
  type Totals,
} from "./record.ts";
import {
  checkFormat,
  checkLimit,
  genesisBytesOf,
  hasHead,
  readAnyBlock,
  readLog,
  readState,
  readTotals,
  type StoreState,
} from "./state.ts";
import { Marking, Sweep } from "./sweep.ts";

/** A sweep is due when this was written since the last one, and as much as there was before. */
const SWEEP_BYTES = 64 << 20;
/**
 * Objects written in one transaction at most; fewer if a collection waits for it, or a thread for an object
 * that is to be loaded. Hashes are spread over all leaves of a table, and each transaction writes the leaves
 * again that it changes.
 */
const SLICE_OBJECTS = 16_384;
/** Objects that it writes at least, though threads may wait for objects all the time. */
const SLICE_LEAST = 1024;

type WrittenSlice = Pick<Written, "bytes" | "more">;

export class Writer {
  readonly path: string;
  readonly database: Database;
  readonly #token: string;
  readonly #limitBytes: number;
  readonly #archiveLimit: number;
  /** What the id of the genesis is the hash of, to which the store belongs from its first block on. */
  #genesis: Buffer | null;
  /** Whether the directory, and whether a store in it, were made by opening this one. */
  readonly #madeDirectory: boolean;
  readonly #isNew: boolean;
  readonly #heap: Heap;
  /** The bit of this store in the headers of objects. */
  readonly #bit: number;
  readonly #step: Step;
  /** Other stores of the same heap: what is a stub here may be there. */
  readonly #sources: readonly Source[];
  #copied = 0;
  /** The key of the object that is being written. */
  readonly #nextKey = Buffer.alloc(HASH_BYTES);
  /** Called when a transaction with objects has read all that it needs of the heap, before it is durable. */
  hasRead: () => void = () => {};
  readonly state: StoreState;
  #totals: Totals;
  /** The sweep in progress; a failed transaction ends it. */
  #sweep: Sweep | null = null;
  /** What the next sweep keeps, as far as that was marked ahead. */
  #ahead: Marking | null = null;
  /** Number of the last sweep that began. */
  #sweeps = 0;

  /**
   * Opens the store in the directory `path`, or makes one there.
   *
   * @throws StoreError (STORE_LOCKED, STORE_VERSION, STORE_GENESIS, STORE_CORRUPT, STORE_READ_ONLY,
   *   STORE_FULL)
   */
  constructor(
    place: StorePlace,
    genesis: Buffer | null,
    heap: Heap,
    bit: number,
    step: Step,
    sources: readonly Source[],
  ) {
    const { path, limitBytes, archive } = place;
    this.path = path;
    this.#sources = sources;
    this.#genesis = genesis;
    this.#archiveLimit = archive;
    this.#limitBytes = limitBytes ?? Number.POSITIVE_INFINITY;
    this.#heap = heap;
    this.#bit = bit;
    this.#step = step;
    let database: Database | undefined;
    this.#madeDirectory = !existsSync(path);
    try {
      this.#isNew = !Database.exists(path);
      database = openToWrite(path);
      this.database = database;
      // What is damaged is found before the store is held: a repair must get it.
      [this.#token, this.#totals, this.state] = this.database.transaction(() => {
        this.#check(genesis);
        const token = takeHold(this.database, path);
        return [token, readTotals(this.database), readState(this.database)];
      });
    } catch (error) {
      database?.close();
      throw storeFailure(error, path);
    }
  }

  /** Checks that the store is of this genesis, or of none; null: of any, but it must have one. */
  #check(given: Buffer | null): void {
    const { database, path } = this;
    if (database.meta("format") === undefined) {
      if (given !== null) return;
      const text = `the store ${path} holds nothing yet: name the root and programs of a new chain`;
      throw new StoreError("STORE_EMPTY", text, { path });
    }
    checkFormat(database, path);
    const found = genesisBytesOf(database);
    if (given !== null) checkGenesis(path, found, given);
    // That of the store: this build may begin a chain with newer versions.
    this.#genesis = found;
  }

  /** Makes a change durable. */
  change(change: StoreChange): Written {
    const { blocks, supports, removed, archived, pinned, unpinned, chain, head, log } = change;
    const database = this.database;
    return this.#writing((written) => {
      const { bytes, more } = this.#writeAll(blocks.flatMap(refsOfBlock), written);
      if (blocks.length > 0) this.#step("objects");
      if (more) {
        this.#putTotals(bytes, this.#totals.nextSequence);
        return { bytes, more };
      }
      if (blocks.length > 0) this.#bind();
      let { nextSequence } = this.#totals;
      for (const { block, metadata, change } of blocks) {
        const known = readAnyBlock(database, block.id);
        const sequence = known?.sequence ?? nextSequence++;
        // What was stored stays so, though it was made again since.
        const stored = block.stored || known?.stored === true;
        const [input, changed] = [metadata, change].map((ref) => (ref === 0 ? null : this.#key(ref)));
        const record = { ...block, metadata: input ?? null, change: changed ?? null, sequence, stored };
        database.putBlock(block.id, packBlock(record));
      }
      for (const id of archived) this.#archive(id as Buffer);
      for (const { id, height } of supports) {
        this.#edit(id as Buffer, { retained: false, pinned: false });
        database.removeChain(height, id as Buffer);
      }
      for (const { id, height } of removed) {
        database.removeBlock(id as Buffer);
        database.removeChain(height, id as Buffer);
      }
      for (const id of pinned) this.#edit(id as Buffer, { pinned: true });
      for (const id of unpinned) this.#edit(id as Buffer, { pinned: false });
      for (const { id, height } of chain) database.putChain(height, id as Buffer);
      if (head !== null) this.#putHead(head as Head);
      else assert(removed.length === 0 || hasHead(database), "store: the head was removed");
      if (log !== undefined) this.#putLog(log);
      if (blocks.length > 0) this.#putTotals(bytes, nextSequence);
      this.#step("record");
      return { bytes, more };
    });
  }

  /** Writes objects ahead, and what they reach, of blocks to come. */
  stage(refs: readonly Ref[]): Written {
    return this.#writing((written) => {
      const done = this.#writeAll(refs, written);
      this.#step("objects");
      this.#putTotals(done.bytes, this.#totals.nextSequence);
      return done;
    });
  }

  /** Runs a transaction that collects the objects it writes, and says how many bytes they take. */
  #writing(work: (written: Ref[]) => WrittenSlice): Written {
    const written: Ref[] = [];
    const done = this.#transaction(() => {
      const slice = work(written);
      this.hasRead();
      return slice;
    });
    for (const one of written) Atomics.or(this.#heap.words, one * UNIT_WORDS + HEADER_STORED, this.#bit);
    return { objects: written.length, ...done, sweepDue: this.#sweepDue };
  }

  /** The head is retained, and the ends of its chain are where they must be. */
  #putHead(head: Head): void {
    const { database } = this;
    assert(database.block(head.id) !== undefined, "store: the head is not retained");
    assert(database.chainAt(head.height)?.equals(head.id), "store: the head is not on the chain");
    const base = database.chainAt(head.base);
    if (base === undefined || database.block(base) === undefined) {
      throw new StoreError(
        "STORE_CORRUPT",
        `the store ${this.path} is damaged: the first block of its chain is not there. ` +
          '"stillpoint store DIR repair" looks for it',
        { path: this.path, height: head.base },
      );
    }
    database.putMeta("head", packHead(head));
  }

  #putLog(log: LogPlace | null): void {
    const before = readLog(this.database)?.bytes ?? 0;
    this.database.putMeta("log", log === null ? null : packLog(log));
    if ((log?.bytes ?? 0) <= before) return;
    checkLimit(this.database, this.path, this.#limitBytes, this.#totals.liveBytes);
  }

  #bind(): void {
    if (this.database.meta("format") !== undefined) return;
    this.database.putMeta("format", packFormat(STORE_FORMAT));
    this.database.putMeta("genesis", packGenesis(this.#genesis as Buffer));
  }

  #archive(id: Buffer): void {
    const block = readAnyBlock(this.database, id);
    assert(block !== null, "store: a block to archive is not there");
    archiveBlock(this.database, block, this.#archiveLimit);
  }

  /** An archived block: of the chain by height, or any by its id. */
  archived(target: number | Buffer): ArchivedRecord | null {
    this.database.refresh();
    return readArchived(this.database, target);
  }

  #edit(id: Buffer, fields: Partial<Pick<BlockRecord, "pinned" | "retained">>): void {
    const block = readAnyBlock(this.database, id);
    assert(block !== null, "store: a block to change is not there");
    this.database.putBlock(id, packBlock({ ...block, ...fields }));
  }

  /** Marks `count` objects for the next sweep, the first ones if `isFirst`; whether those were all. */
  markAhead(isFirst: boolean, count: number): boolean {
    if (isFirst || this.#ahead === null) this.#ahead = new Marking(this.database);
    return this.#ahead.step(count);
  }

  /**
   * Begins a sweep, which frees what no retained block and none of `refs` reaches; its number. No collection
   * runs meanwhile. One that is in progress ends.
   */
  beginSweep(refs: readonly Ref[]): number {
    // Only what has begun counts: if the marking fails, no sweep is in progress.
    this.#sweep = null;
    const marking = this.#ahead ?? new Marking(this.database);
    this.#ahead = null;
    this.#sweep = new Sweep(this.database, marking, this.#heap, this.#bit, refs);
    return ++this.#sweeps;
  }

  /** Does a slice of the sweep with this number; what was freed, once it is done. */
  sweep(number: number, slice: number): SweepStep {
    const sweep = this.#sweep;
    if (sweep === null || number !== this.#sweeps) return "ended";
    const isDone = this.#transaction(() => {
      const last = sweep.slice(slice);
      this.#step("sweep");
      if (!last) return false;
      const liveBytes = Math.max(0, this.#totals.liveBytes - sweep.freedBytes);
      this.#totals = { ...this.#totals, liveBytes, writtenBytes: 0 };
      this.database.putMeta("totals", packTotals(this.#totals));
      return true;
    });
    if (!isDone) return { share: sweep.share };
    this.#sweep = null;
    return { objects: sweep.freedObjects, bytes: sweep.freedBytes, sweepDue: false, more: false };
  }

  async close(): Promise<void> {
    try {
      release(this.database, this.#token);
    } finally {
      await this.database.close();
    }
  }

  /**
   * Closes a store that never had a head and takes back what was written: its file and directory, if they
   * were made for it, else its blocks.
   */
  async discard(): Promise<void> {
    const { database, path } = this;
    assert(this.state.head === null, "store: one that holds blocks cannot be discarded");
    if (!this.#isNew) {
      const { blocks, supports } = readState(database);
      const removed = [...blocks, ...supports];
      const rest = { archived: [], pinned: [], unpinned: [], chain: [], head: null };
      this.change({ blocks: [], supports: [], removed, ...rest });
      return this.close();
    }
    await this.close();
    Database.remove(path);
    if (this.#madeDirectory) rmdirSync(path);
  }

  get #sweepDue(): boolean {
    const { liveBytes, writtenBytes } = this.#totals;
    return this.#sweep !== null || writtenBytes > Math.max(SWEEP_BYTES, liveBytes - writtenBytes);
  }

  #transaction<T>(work: () => T): T {
    const [path, totals] = [this.path, this.#totals];
    try {
      this.#step("begin");
      const result = this.database.transaction(() => {
        if (!holds(this.database, this.#token)) {
          throw new StoreError("STORE_LOCKED", `another process has taken over the store ${path}`, { path });
        }
        return work();
      });
      this.#step("committed");
      return result;
    } catch (error) {
      this.#totals = totals;
      this.#sweep = null;
      this.database.forgetNumbers();
      throw storeFailure(error, path);
    }
  }

  #putTotals(bytes: number, nextSequence: number): void {
    const { liveBytes, writtenBytes } = this.#totals;
    checkLimit(this.database, this.path, this.#limitBytes, liveBytes + bytes);
    this.#totals = { liveBytes: liveBytes + bytes, writtenBytes: writtenBytes + bytes, nextSequence };
    this.database.putMeta("totals", packTotals(this.#totals));
  }

  /**
   * Writes what the roots reach and the store does not hold, each object behind those that it names, and
   * collects it in `written`: so many objects as a slice has at most.
   */
  #writeAll(roots: readonly Ref[], written: Ref[]): WrittenSlice {
    const { words } = this.#heap;
    const seen = new Set<Ref>([0]);
    const loads = loadsWanted(this.#heap);
    let bytes = 0;
    for (const root of roots) {
      // The way down to an object, and behind each on it where the next of its references lies.
      const path: [ref: Ref, next: number][] = [];
      const enter = (ref: Ref): void => {
        if (seen.has(ref)) return;
        if (((words[ref * UNIT_WORDS + HEADER_STORED] as number) & this.#bit) !== 0) return;
        path.push([ref, referencesOf(words, ref)]);
      };
      enter(root);
      for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
        const [ref, next] = top;
        const end = referencesOf(words, ref) + (words[ref * UNIT_WORDS + HEADER_REFERENCES] as number);
        if (next < end) {
          top[1]++;
          enter(words[next] as Ref);
          continue;
        }
        const isWanted = written.length > 0 && collectionWaits(this.#heap);
        const isLoading = written.length >= SLICE_LEAST && loadsWanted(this.#heap) !== loads;
        if (isWanted || isLoading || written.length === SLICE_OBJECTS) return { bytes, more: true };
        path.pop();
        seen.add(ref);
        bytes += this.#write(ref, written);
      }
    }
    return { bytes, more: false };
  }

  /** Writes one object, all below which is there, or makes sure of what a stub stands for; the bytes. */
  #write(ref: Ref, written: Ref[]): number {
    hashObject(this.#heap, ref);
    if (this.#heap.kind(ref) === KIND_STUB) {
      this.#copied = 0;
      this.#require(this.#key(ref));
      return this.#copied;
    }
    const key = this.#nextKey;
    copyBytes(this.#heap.bytes, ref * UNIT_BYTES + HEADER_HASH * 4, key, 0, HASH_BYTES);
    const bytes = this.database.putObject(key, encodeObject(this.#heap, ref));
    this.#sweep?.keep(key);
    written.push(ref);
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
      const hash = key.toString("hex");
      throw new StoreError("STORE_CORRUPT", `the store is damaged: object ${hash} is not there`, { hash });
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
    const at = ref * UNIT_WORDS + HEADER_HASH;
    return Buffer.from(this.#heap.words.slice(at, at + HASH_BYTES / 4).buffer);
  }
}
