/**
 * The structure of a store's file, read without lmdb: lmdb trusts its pages, and a damaged one can end the
 * whole process. So a file is looked through before lmdb opens it, and one that lmdb could not survive is
 * refused with a clear error.
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

/** So often a file is looked at that others write to. */
const ATTEMPTS_LIMIT = 20;

/** A value of a page, wherever it lies. */
export interface Found {
  readonly key: Buffer;
  readonly value: Buffer;
}

/**
 * All values in the file that lie in pages which can be read, also in old ones, and in damaged files. What
 * they are, and whether they are whole, is for the caller to find out.
 */
export function* valuesIn(path: string): Generator<Found> {
  const descriptor = openSync(`${path}/data.mdb`, "r");
  try {
    yield* new Structure(descriptor, false).values();
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
  readonly transaction: bigint;
}

/** A file that lmdb must not see. */
class Unsound extends Error {}

/**
 * Checks the structure of a store's file: all of it if `whole`, or if it is small; else what leads to its
 * tables, the first page of each, and that the pages which that names lie in the file.
 *
 * @throws StoreError (STORE_CORRUPT)
 */
export function checkStructure(path: string, whole: boolean): void {
  const file = `${path}/data.mdb`;
  const descriptor = openSync(file, "r");
  try {
    checkStill(descriptor, whole);
  } catch (error) {
    if (!(error instanceof Unsound)) throw error;
    throw new StoreError(
      "STORE_CORRUPT",
      `the store ${path} is damaged: its file ${file} ${error.message}. "stillpoint store salvage" saves ` +
        "what can be read into a new one; or restore it from an export",
      { path, reason: error.message },
    );
  } finally {
    closeSync(descriptor);
  }
}

/** A writer may change the file meanwhile; then what was seen is of no state, and it is looked at again. */
function checkStill(descriptor: number, whole: boolean): void {
  for (let attempt = 1; ; attempt++) {
    const structure = new Structure(descriptor, whole);
    try {
      structure.check();
      return;
    } catch (error) {
      const now = new Structure(descriptor, whole).transaction();
      if (attempt === ATTEMPTS_LIMIT || now === structure.transaction()) throw error;
    }
  }
}

class Structure {
  readonly #descriptor: number;
  readonly #size: number;
  #pageBytes = 4096;
  #deep: boolean;
  readonly #whole: boolean;
  #newest: Meta | undefined;

  constructor(descriptor: number, whole: boolean) {
    this.#descriptor = descriptor;
    this.#size = fstatSync(descriptor).size;
    this.#whole = whole;
    this.#deep = whole;
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
    const meta = this.#newest;
    if (meta === undefined) throw new Unsound("has no valid first page: it is no store, or was cut off");
    this.#deep = this.#whole || this.#size / this.#pageBytes <= PAGES_AT_OPENING;
    this.#table(meta.free);
    this.#table(meta.main);
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
      this.#table(tableAt(page, data));
    } else if ((flags & NODE_OVERFLOW) !== 0) {
      const first = page.readBigUInt64LE(data);
      const pages = BigInt(Math.ceil((length + HEADER_BYTES) / this.#pageBytes));
      const end = (first + pages) * BigInt(this.#pageBytes);
      if (first < 2n || end > BigInt(this.#size)) {
        throw new Unsound(`was cut off, or is damaged in page ${number}: a value lies beyond its end`);
      }
      if (!this.#whole) return;
      const head = this.#bytes(Number(first) * this.#pageBytes, HEADER_BYTES);
      if (head?.readBigUInt64LE(0) !== first || (head.readUInt16LE(18) & FLAG_OVERFLOW) === 0) {
        throw new Unsound(`is damaged in page ${first}: its header`);
      }
    }
  }

  *values(): Generator<Found> {
    this.transaction();
    const pageBytes = this.#pageBytes;
    for (let number = 2; (number + 1) * pageBytes <= this.#size; number++) {
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
