/**
 * The structure of a store's file, read without lmdb: lmdb trusts its pages. A damaged one can end the whole
 * process, or have pages written over that are in use. So a file is looked through before anything is read of
 * it, and one that lmdb could not survive is refused with a clear error.
 *
 * The file, of lmdb's data version 2, little-endian; all pages have the size that page 0 says:
 *
 *   page        u64 own number · u64 transaction · u16 · u16 flags · u16 lower · u16 upper · contents
 *   0 and 1     flags 8: meta: u32 magic · u32 version · u64 · u64 map size · table "free" · table "main" ·
 *               u64 last page · u64 transaction; the one with the higher transaction counts
 *   table       u32 page size (of "free") · u16 flags · u16 depth · u64 branch pages · u64 leaf pages ·
 *               u64 overflow pages · u64 entries · u64 root page, 2^64 - 1: empty
 *   branch, 1   lower / 2 pointers (u16, from the end of the header) to nodes: 3 × u16, a page number ·
 *               u16 key length · key
 *   leaf, 2     likewise: u32 data length · u16 flags · u16 key length · key · data; flag 1: the data is
 *               u64 first overflow page · u64 · u64 pages; flag 2: the data is a table
 *               of "free": key u64 transaction, value u64 words · so many words, each a free page, or minus
 *               how many and then the first of them, or 0
 *   overflow, 4 the first has a header, with the number of pages in place of lower and upper
 */

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { StoreError } from "../errors.ts";

const MAGIC = 0xbeefc0de;
const VERSION = 2;
const HEADER_BYTES = 24;
const NODE_BYTES = 8;
const TABLE_BYTES = 48;
const META_BYTES = 24 + 2 * TABLE_BYTES + 16;
const FLAG_BRANCH = 1;
const FLAG_LEAF = 2;
const FLAG_OVERFLOW = 4;
const FLAG_LEAF_FIXED = 0x20;
const NODE_OVERFLOW = 1;
const NODE_TABLE = 2;
const NONE = 0xffffffffffffffffn;
/** Files with more pages are looked through when they are verified, not whenever they are opened. */
const PAGES_AT_OPENING = 1 << 12;

/** Attempts at reading a file that another process writes to. */
const ATTEMPTS_LIMIT = 20;

/** How many pages are read from one report of progress to the next. */
const PAGES_BETWEEN = 256;

/** A value of a page, wherever it lies. */
export interface Found {
  readonly key: Buffer;
  readonly value: Buffer;
}

/**
 * All values in the file that lie in pages which can be read, also in old ones, and in damaged files. What
 * they are, and whether they are whole, is for the caller to check.
 */
export function* valuesIn(
  path: string,
  tell: (bytes: number, total: number) => void = () => {},
): Generator<Found> {
  const descriptor = openSync(`${path}/data.mdb`, "r");
  try {
    yield* new Structure(descriptor, "tables").values(tell);
  } finally {
    closeSync(descriptor);
  }
}

interface Table {
  readonly depth: number;
  readonly root: bigint;
}

interface Meta {
  readonly free: Table;
  readonly main: Table;
  readonly lastPage: bigint;
  readonly transaction: bigint;
}

/** How much of the structure is looked at. */
type Depth = "tables" | "opening" | "whole";

/** A file that lmdb must not see. */
class Unsound extends Error {}

/**
 * Checks what lmdb looks at when it opens the file: where the tables are. Others may write to it meanwhile.
 *
 * @throws StoreError (STORE_CORRUPT)
 */
export function checkTables(path: string): void {
  withFile(path, (descriptor) => {
    for (let attempt = 1; ; attempt++) {
      const structure = new Structure(descriptor, "tables");
      try {
        return structure.check();
      } catch (error) {
        // What a writer has changed meanwhile is of no state, and looked at again.
        const now = new Structure(descriptor, "tables").transaction();
        if (attempt === ATTEMPTS_LIMIT || now === structure.transaction()) throw error;
      }
    }
  });
}

/**
 * Checks the structure of a store's file: all of it if `whole`, or if it is small; else what leads to its
 * tables, the first page of each, and that the pages which that names lie in the file. Nobody may use pages
 * again meanwhile (Database.hold).
 *
 * @throws StoreError (STORE_CORRUPT)
 */
export function checkStructure(path: string, whole: boolean): void {
  withFile(path, (descriptor) => new Structure(descriptor, whole ? "whole" : "opening").check());
}

function withFile(path: string, check: (descriptor: number) => void): void {
  const file = `${path}/data.mdb`;
  const descriptor = openSync(file, "r");
  try {
    check(descriptor);
  } catch (error) {
    if (!(error instanceof Unsound)) throw error;
    throw new StoreError(
      "STORE_CORRUPT",
      `the store ${path} is damaged: its file ${file} ${error.message}. "stillpoint store DIR salvage" ` +
        "saves what can be read into a new one; or restore it from an export",
      { path, reason: error.message },
    );
  } finally {
    closeSync(descriptor);
  }
}

class Structure {
  readonly #descriptor: number;
  #size: number;
  readonly #depth: Depth;
  #pageBytes = 4096;
  /** Whether all pages are looked at that name others. */
  #deep = false;
  #newest: Meta | undefined;
  /** A bit for each page that is in use, where all are looked at. */
  #used = new Uint8Array();
  /** The values of the table "free", while it is looked at. */
  #free: Buffer[] | null = null;

  constructor(descriptor: number, depth: Depth) {
    this.#descriptor = descriptor;
    this.#size = fstatSync(descriptor).size;
    this.#depth = depth;
  }

  /** The transaction that is checked, null: none is. */
  transaction(): bigint | null {
    this.#newest ??= this.#newestMeta();
    return this.#newest?.transaction ?? null;
  }

  #newestMeta(): Meta | undefined {
    const metas = [0, 1].map((number) => this.#meta(number)).filter((meta) => meta !== null);
    return metas.sort((a, b) => Number(b.transaction - a.transaction))[0];
  }

  check(): void {
    // lmdb makes an empty file before it writes the first pages.
    if (this.#size === 0) return;
    this.#newest = this.#newestMeta();
    // A writer makes the file longer before it names the new pages: not the other way round.
    this.#size = fstatSync(this.#descriptor).size;
    const meta = this.#newest;
    if (meta === undefined) throw new Unsound("has no valid first page: it is no store, or was cut off");
    if (this.#depth === "tables") return this.#table(meta.main);
    const pages = Math.ceil(this.#size / this.#pageBytes);
    this.#deep = this.#depth === "whole" || pages <= PAGES_AT_OPENING;
    if (this.#deep) this.#used = new Uint8Array((pages >>> 3) + 1);
    const free: Buffer[] = [];
    this.#free = free;
    this.#table(meta.free);
    this.#free = null;
    this.#table(meta.main);
    if (this.#deep) for (const list of free) this.#checkFree(list);
  }

  /** u64 number of words, and so many: each a page, or minus how many and the first of them; 0: nothing. */
  #checkFree(list: Buffer): void {
    const words = list.length < 8 ? -1 : Number(list.readBigUInt64LE(0));
    if (words < 0 || 8 * (words + 1) > list.length) throw new Unsound("is damaged: a list of free pages");
    for (let i = 1; i <= words; i++) {
      const word = list.readBigInt64LE(8 * i);
      if (word === 0n) continue;
      const first = word > 0n ? word : i < words ? list.readBigInt64LE(8 * ++i) : 0n;
      this.#use(first, word > 0n ? 1n : -word, "is free and used, or twice free");
    }
  }

  /** Notes that these pages are in use: nothing else may be. */
  #use(first: bigint, count: bigint, otherwise: string): void {
    const { lastPage } = this.#newest as Meta;
    if (first < 2n || count < 1n || first + count - 1n > lastPage) {
      throw new Unsound(`is damaged: page ${first} lies outside of it`);
    }
    if (!this.#deep) return;
    for (let page = Number(first); page < Number(first + count); page++) {
      const bit = 1 << (page & 7);
      const known = this.#used[page >>> 3] ?? 0;
      if ((known & bit) !== 0) throw new Unsound(`is damaged: page ${page} ${otherwise}`);
      this.#used[page >>> 3] = known | bit;
    }
  }

  #meta(number: number): Meta | null {
    const bytes = this.#bytes(number * this.#pageBytes, HEADER_BYTES + META_BYTES);
    if (bytes === null || bytes.readUInt32LE(HEADER_BYTES) !== MAGIC) return null;
    if (bytes.readUInt32LE(HEADER_BYTES + 4) !== VERSION) return null;
    const tables = HEADER_BYTES + 24;
    const pageBytes = bytes.readUInt32LE(tables);
    if (pageBytes < 512 || pageBytes > 65536 || (pageBytes & (pageBytes - 1)) !== 0) return null;
    this.#pageBytes = pageBytes;
    return {
      free: tableAt(bytes, tables),
      main: tableAt(bytes, tables + TABLE_BYTES),
      lastPage: bytes.readBigUInt64LE(tables + 2 * TABLE_BYTES),
      transaction: bytes.readBigUInt64LE(tables + 2 * TABLE_BYTES + 8),
    };
  }

  #table({ root, depth }: Table): void {
    if (root === NONE) return;
    if (depth === 0 || depth > 32) throw new Unsound(`has a table of depth ${depth}`);
    this.#page(root, depth);
  }

  #page(number: bigint, depth: number): void {
    const page = this.#read(number);
    this.#use(number, 1n, "is used twice");
    const flags = page.readUInt16LE(18);
    const wanted = depth > 1 ? FLAG_BRANCH : FLAG_LEAF;
    if ((flags & (FLAG_BRANCH | FLAG_LEAF)) !== wanted || (flags & FLAG_LEAF_FIXED) !== 0) {
      throw new Unsound(`is damaged in page ${number}: it is of another kind`);
    }
    const room = this.#pageBytes - HEADER_BYTES;
    const lower = page.readUInt16LE(20);
    const upper = page.readUInt16LE(22);
    if (lower % 2 !== 0 || lower > upper || upper > room || lower === 0) {
      throw new Unsound(`is damaged in page ${number}: its bounds`);
    }
    let before: Buffer | null = null;
    for (let i = 0; i < lower / 2; i++) {
      const node = page.readUInt16LE(HEADER_BYTES + 2 * i);
      if (node < upper || node + NODE_BYTES > room)
        throw new Unsound(`is damaged in page ${number}: a pointer`);
      const at = HEADER_BYTES + node;
      const keyEnd = at + NODE_BYTES + page.readUInt16LE(at + 6);
      if (keyEnd > this.#pageBytes) throw new Unsound(`is damaged in page ${number}: a key`);
      const key = page.subarray(at + NODE_BYTES, keyEnd);
      // Keys of 8 bytes are the numbers of transactions in the table "free".
      if (before !== null && key.length !== 8 && before.compare(key) >= 0)
        throw new Unsound(`is damaged in page ${number}: keys out of order`);
      if (!(depth > 1 && i === 0)) before = key;
      if (depth > 1) this.#branch(page, at, depth);
      else this.#leaf(page, at, keyEnd, number);
    }
  }

  #branch(page: Buffer, at: number, depth: number): void {
    const child = BigInt(page.readUInt32LE(at)) | (BigInt(page.readUInt16LE(at + 4)) << 32n);
    if (this.#deep) this.#page(child, depth - 1);
    else this.#checkNumber(child);
  }

  #leaf(page: Buffer, at: number, data: number, number: bigint): void {
    const flags = page.readUInt16LE(at + 4);
    const length = page.readUInt32LE(at);
    const here = (flags & NODE_OVERFLOW) !== 0 ? 24 : length;
    if (data + here > this.#pageBytes || (flags & ~(NODE_OVERFLOW | NODE_TABLE)) !== 0) {
      throw new Unsound(`is damaged in page ${number}: a value`);
    }
    if ((flags & NODE_TABLE) !== 0) {
      if (length !== TABLE_BYTES) throw new Unsound(`is damaged in page ${number}: a table`);
      if (this.#depth !== "tables") this.#table(tableAt(page, data));
    } else if ((flags & NODE_OVERFLOW) !== 0) {
      const first = page.readBigUInt64LE(data);
      const pages = page.readBigUInt64LE(data + 16);
      const end = (first + pages) * BigInt(this.#pageBytes);
      if (end > BigInt(this.#size) || BigInt(HEADER_BYTES + length) > pages * BigInt(this.#pageBytes)) {
        throw new Unsound(`was cut off, or is damaged in page ${number}: a value lies beyond its end`);
      }
      this.#use(first, pages, "is used twice");
      if (this.#depth === "whole") this.#overflow(first, pages);
    }
    if (this.#free !== null && this.#deep) {
      const value = this.#value(page, at, data);
      if (value !== null) this.#free.push(Buffer.from(value));
    }
  }

  #overflow(first: bigint, pages: bigint): void {
    const head = this.#bytes(Number(first) * this.#pageBytes, HEADER_BYTES);
    const sound =
      head !== null &&
      head.readBigUInt64LE(0) === first &&
      head.readBigUInt64LE(8) <= (this.#newest as Meta).transaction &&
      (head.readUInt16LE(18) & FLAG_OVERFLOW) !== 0 &&
      BigInt(head.readUInt32LE(20)) === pages;
    if (!sound) throw new Unsound(`is damaged in page ${first}: its header`);
  }

  *values(tell: (bytes: number, total: number) => void): Generator<Found> {
    this.transaction();
    const pageBytes = this.#pageBytes;
    for (let number = 2; (number + 1) * pageBytes <= this.#size; number++) {
      if (number % PAGES_BETWEEN === 0) tell(number * pageBytes, this.#size);
      const page = this.#bytes(number * pageBytes, pageBytes);
      if (page === null || page.readUInt16LE(18) !== FLAG_LEAF) continue;
      const lower = Math.min(page.readUInt16LE(20), pageBytes - HEADER_BYTES);
      for (let i = 0; i + 1 < lower; i += 2) {
        const at = HEADER_BYTES + page.readUInt16LE(HEADER_BYTES + i);
        if (at + NODE_BYTES > pageBytes) continue;
        const data = at + NODE_BYTES + page.readUInt16LE(at + 6);
        const value = data > pageBytes ? null : this.#value(page, at, data);
        if (value !== null) yield { key: page.subarray(at + NODE_BYTES, data), value };
      }
    }
  }

  #value(page: Buffer, at: number, data: number): Buffer | null {
    const flags = page.readUInt16LE(at + 4);
    const length = page.readUInt32LE(at);
    if (flags === 0) return data + length > page.length ? null : page.subarray(data, data + length);
    if (flags !== NODE_OVERFLOW || data + 8 > page.length || length > this.#size) return null;
    const first = page.readBigUInt64LE(data) * BigInt(this.#pageBytes);
    if (first > BigInt(this.#size)) return null;
    return this.#bytes(Number(first) + HEADER_BYTES, length);
  }

  #checkNumber(number: bigint): void {
    if (number < 2n || (number + 1n) * BigInt(this.#pageBytes) > BigInt(this.#size)) {
      throw new Unsound(`was cut off, or is damaged: page ${number} lies beyond its end`);
    }
  }

  #read(number: bigint): Buffer {
    this.#checkNumber(number);
    const page = this.#bytes(Number(number) * this.#pageBytes, this.#pageBytes);
    if (page === null) throw new Unsound(`was cut off in page ${number}`);
    if (page.readBigUInt64LE(0) !== number) throw new Unsound(`is damaged in page ${number}: its number`);
    // lmdb takes a page of a later transaction for one that it has just made itself.
    if (page.readBigUInt64LE(8) > (this.#newest as Meta).transaction) {
      throw new Unsound(`is damaged in page ${number}: its transaction`);
    }
    return page;
  }

  #bytes(at: number, length: number): Buffer | null {
    const bytes = Buffer.allocUnsafe(length);
    return readSync(this.#descriptor, bytes, 0, length, at) === length ? bytes : null;
  }
}

function tableAt(bytes: Buffer, at: number): Table {
  return { depth: bytes.readUInt16LE(at + 6), root: bytes.readBigUInt64LE(at + 40) };
}
