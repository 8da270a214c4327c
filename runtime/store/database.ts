/**
 * The store's file: objects by their hash, blocks by their id. The only place that knows lmdb.
 *
 *   directory/data.mdb, lock.mdb   lmdb: several tables, transactions that hold over kill -9 and power loss
 *   directory/inputs.log           what the newest blocks were made from (log.ts), if there is such a log
 *   directory/programs/            instrumented programs (program/cache.ts)
 *
 *   table     key                    value
 *   objects   hash                   u8 tag · u48 number of the body, 0: none · the rest of its bytes
 *   bodies    u48 number             the first bytes of an object, at most 4,072 of a page
 *   blocks    block id               record.ts
 *   chain     u40 height             the id of the block of this height on the chain; below the base of the
 *                                    chain, and above its head, what was there when they were on it
 *   archive   u40 height             a block of this height without its state: archive.ts
 *   archived  block id               its height in the archive
 *   meta      "format", "genesis", "rewriter",   record.ts
 *             "head", "writer", …
 *
 * Why two tables for an object: lmdb gives a value with more than 2,038 bytes whole pages of its own, and of
 * the first it needs 16 bytes itself. A page of 4,096 bytes would take two. Its first 4,072 bytes take one,
 * and the 24 that remain lie beside its number, in the table that is sorted by hash. Bodies are numbered in
 * the order in which they are written, so a commit writes them side by side; 20,000 random pages take 1.04 to
 * 1.07 times their bytes (2.07 in one table, 1.10 with the remains in a second table by hash), and the commit
 * of 256 pages takes 60 % of the time. Small objects have no body.
 */

import { closeSync, existsSync, fsyncSync, openSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import type { Database as LmdbTable, RootDatabase } from "lmdb";
import { StoreError } from "../errors.ts";
import { syncDirectory } from "./directory.ts";
import type { Stored } from "./format.ts";
import { unpackArchived } from "./record.ts";

// Not imported: by `require` lmdb is one file and 7 ms less, with msgpackr (record.ts), of which it needs the
// same kind.
const { open } = createRequire(import.meta.url)("lmdb") as typeof import("lmdb");

/** Reserved address space, and the bound on what a store holds. */
const MAP_BYTES = 2 ** 38;
/** Maximum number of readers of a file at once, of all processes together; each takes 64 bytes beside it. */
const READERS_LIMIT = 4096;
/** Bytes of a larger object that go into its body in any case. */
const BODY_BYTES = 4072;
/** Remains that do not deserve a page of their own. */
const REMAINS_BYTES = 256;
/** Smaller objects lie beside their hash whole. */
const INLINE_BYTES = 160;
/** Bytes of keys and values of the tables: what an object's hash leads to, a body's number, a height. */
export const ENTRY_BYTES = 7;
export const NUMBER_BYTES = 6;
export const HEIGHT_BYTES = 5;

type Table = LmdbTable<Buffer, Buffer>;

export interface DatabaseOptions {
  /** Whether tables that are not there are made. Default true. */
  readonly create?: boolean;
  /** Whether the file may not be written. Default false. */
  readonly readOnly?: boolean;
}

/** Only where there is nothing; behind all others. */
const NEW = { noOverwrite: true };
const LAST = { append: true };
const BINARY = { encoding: "binary", keyEncoding: "binary", cache: false } as const;

export class Database {
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #objects: Table;
  readonly #bodies: Table;
  readonly #blocks: Table;
  readonly #chain: Table;
  readonly #archive: Table;
  readonly #archived: Table;
  readonly #meta: Table;
  readonly #path: string;
  readonly #file: string;
  #nextBody = 0;
  readonly #number = Buffer.alloc(NUMBER_BYTES);
  /** Buffers for entries, by their length. */
  readonly #entries: Buffer[] = [];

  /** Opens, or makes, the file in the directory `path`. */
  constructor(path: string, options: DatabaseOptions = {}) {
    const { create = true, readOnly = false } = options;
    this.#root = open<Buffer, Buffer>({
      path,
      ...BINARY,
      // Else a name with a dot in it is taken for that of a file.
      noSubdir: false,
      readOnly,
      mapSize: MAP_BYTES,
      maxDbs: 7,
      maxReaders: READERS_LIMIT,
      // A transaction is on the disk when it returns.
      overlappingSync: false,
      noMemInit: true,
      // Objects are spread over the file; what lies beside one is rarely wanted.
      noReadAhead: true,
    } as Parameters<typeof open>[0]) as RootDatabase<Buffer, Buffer>;
    const table = (name: string): Table => {
      const found = this.#root.openDB({ name, create, ...BINARY } as never) as Table | undefined;
      if (found !== undefined) return found;
      void this.#root.close();
      const text = `the store ${path} holds nothing: it was never written to, or its file was emptied`;
      throw new StoreError("STORE_EMPTY", text, { path });
    };
    this.#objects = table("objects");
    this.#bodies = table("bodies");
    this.#blocks = table("blocks");
    this.#chain = table("chain");
    this.#archive = table("archive");
    this.#archived = table("archived");
    this.#meta = table("meta");
    this.#path = path;
    this.#file = fileIn(path);
  }

  /** Whether there is a store in the directory. */
  static exists(path: string): boolean {
    return existsSync(`${path}/data.mdb`);
  }

  /** Removes the files of a store that nobody has open. */
  static remove(path: string): void {
    for (const name of ["data.mdb", "lock.mdb", "inputs.log"]) rmSync(`${path}/${name}`, { force: true });
  }

  /**
   * Whether the file that is open is that of the directory: neither removed, moved nor replaced. lmdb would
   * continue writing to one that nobody will find.
   */
  get isInPlace(): boolean {
    return fileIn(this.#path) === this.#file;
  }

  /**
   * Runs `work` as one transaction, which is durable when this returns, or did not happen.
   *
   * @throws StoreError (STORE_MISSING)
   */
  transaction<T>(work: () => T): T {
    return this.#root.transactionSync(() => {
      const result = work();
      if (this.isInPlace) return result;
      const path = this.#path;
      throw new StoreError(
        "STORE_MISSING",
        `the file of the store ${path} was removed, moved or replaced while it was open, so nothing is ` +
          "written any more. Put it back, or close this and open it again",
        { path },
      );
    });
  }

  /**
   * Later reads see what was committed until now. Others cannot reuse what an earlier state needs before
   * this.
   */
  refresh(): void {
    this.#root.resetReadTxn();
  }

  /** Runs `work` while nobody uses the pages of the newest committed state again. */
  hold<T>(work: () => T): T {
    this.refresh();
    const snapshot = this.#root.useReadTransaction();
    try {
      return work();
    } finally {
      snapshot.done();
    }
  }

  async close(): Promise<void> {
    await this.#root.close();
  }

  /** Copies the newest committed state into a directory that has no file yet, durably. */
  async copyTo(path: string): Promise<void> {
    this.refresh();
    await this.#root.backup(path, false);
    const file = openSync(`${path}/data.mdb`, "r+");
    fsyncSync(file);
    closeSync(file);
    syncDirectory(path);
  }

  // ---- objects --------------------------------------------------------------------------------------------

  hasObject(key: Buffer): boolean {
    return this.#objects.doesExist(key);
  }

  object(key: Buffer): Stored | undefined {
    const entry = this.#objects.getBinary(key);
    if (entry === undefined || entry.length < ENTRY_BYTES) return undefined;
    const number = bodyOf(entry);
    if (number === null) return assemble(entry, null);
    const body = this.#bodies.getBinary(number);
    return body === undefined ? undefined : assemble(entry, body);
  }

  /** Writes an object, unless it is there; the bytes it takes, 0 if it was there. Inside a transaction. */
  putObject(key: Buffer, { tag, bytes }: Stored): number {
    const inline = bytes.length <= INLINE_BYTES;
    const beyond = bytes.length - BODY_BYTES;
    const body = inline ? 0 : beyond > 0 && beyond <= REMAINS_BYTES ? BODY_BYTES : bytes.length;
    const entry = this.#entryOf(ENTRY_BYTES + bytes.length - body);
    const number = inline ? 0 : this.#freeNumber();
    entry[0] = tag;
    entry.writeUIntBE(number, 1, NUMBER_BYTES);
    bytes.copy(entry, ENTRY_BYTES, body);
    // Inside a transaction it says whether it has written.
    if (!(this.#objects.putSync(key, entry, NEW) as unknown as boolean)) return 0;
    if (inline) return bytes.length;
    this.#nextBody++;
    this.#number.writeUIntBE(number, 0, NUMBER_BYTES);
    this.#bodies.putSync(this.#number, body === bytes.length ? bytes : bytes.subarray(0, body), LAST);
    return bytes.length;
  }

  /** A buffer of this length, until the next call: a commit needs thousands, and lmdb copies them. */
  #entryOf(length: number): Buffer {
    this.#entries[length] ??= Buffer.alloc(length);
    return this.#entries[length];
  }

  /** How many objects there are. */
  get objectCount(): number {
    return (this.#objects.getStats() as { readonly entryCount: number }).entryCount;
  }

  /** Removes an object; the bytes it took. Inside a transaction. */
  removeObject(key: Buffer): number {
    const entry = this.#objects.getBinary(key);
    if (entry === undefined) return 0;
    let length = entry.length - ENTRY_BYTES;
    const number = bodyOf(entry);
    if (number !== null) {
      // A body with remains beside it has one length; only others are read for theirs.
      length += length > 0 ? BODY_BYTES : (this.#bodies.getBinaryFast(number)?.length ?? 0);
      this.#bodies.removeSync(number);
    }
    this.#objects.removeSync(key);
    return length;
  }

  /** At most `limit` hashes of objects, ascending, above `after` (null: from the first). */
  objectKeys(after: Buffer | null, limit: number): Buffer[] {
    const range = after === null ? { limit } : { start: after, limit: limit + 1 };
    const keys = [...this.#objects.getKeys(range)] as Buffer[];
    return after !== null && keys[0]?.equals(after) ? keys.slice(1) : keys.slice(0, limit);
  }

  /** A transaction that was given up takes its numbers with it: they are looked up again. */
  forgetNumbers(): void {
    this.#nextBody = 0;
  }

  /** The number of the next body. */
  #freeNumber(): number {
    if (this.#nextBody === 0) {
      const [last] = [...this.#bodies.getKeys({ reverse: true, limit: 1 })] as Buffer[];
      this.#nextBody = last === undefined ? 1 : last.readUIntBE(0, NUMBER_BYTES) + 1;
    }
    return this.#nextBody;
  }

  // ---- blocks and the rest --------------------------------------------------------------------------------

  block(id: Buffer): Buffer | undefined {
    return this.#blocks.getBinary(id);
  }

  blockIds(): Buffer[] {
    return [...this.#blocks.getKeys()] as Buffer[];
  }

  putBlock(id: Buffer, record: Buffer): void {
    this.#blocks.putSync(id, record);
  }

  removeBlock(id: Buffer): void {
    this.#blocks.removeSync(id);
  }

  /** The id of the block of the chain at this height: see above. */
  chainAt(height: number): Buffer | undefined {
    return this.#chain.getBinary(heightKey(height));
  }

  putChain(height: number, id: Buffer): void {
    this.#chain.putSync(heightKey(height), id);
  }

  /** The block is not at this height any more. */
  removeChain(height: number, id: Buffer): void {
    if (this.chainAt(height)?.equals(id)) this.#chain.removeSync(heightKey(height));
  }

  archivedAt(height: number): Buffer | undefined {
    return this.#archive.getBinary(heightKey(height));
  }

  /** The height at which the archive has, or had, the block with this id. */
  archivedHeight(id: Buffer): number | null {
    return this.#archived.getBinary(id)?.readUIntBE(0, HEIGHT_BYTES) ?? null;
  }

  /** The lowest height of the archive. */
  firstArchived(): number | null {
    const [first] = this.archivedHeights(null, 1);
    return first ?? null;
  }

  /** At most `limit` heights of the archive, ascending, above `after` (null: from the first). */
  archivedHeights(after: number | null, limit: number): number[] {
    const range = after === null ? { limit } : { start: heightKey(after + 1), limit };
    return ([...this.#archive.getKeys(range)] as Buffer[]).map((key) => key.readUIntBE(0, HEIGHT_BYTES));
  }

  /** Replaces what the archive has at this height. */
  putArchived(height: number, id: Buffer, record: Buffer): void {
    this.removeArchived(height);
    this.#archive.putSync(heightKey(height), record);
    this.#archived.putSync(id, heightKey(height));
  }

  removeArchived(height: number): void {
    const record = this.archivedAt(height);
    if (record === undefined) return;
    const id = idOfArchived(record);
    if (id !== null && this.archivedHeight(id) === height) this.#archived.removeSync(id);
    this.#archive.removeSync(heightKey(height));
  }

  meta(name: string): Buffer | undefined {
    return this.#meta.getBinary(Buffer.from(name));
  }

  putMeta(name: string, value: Buffer | null): void {
    if (value === null) this.#meta.removeSync(Buffer.from(name));
    else this.#meta.putSync(Buffer.from(name), value);
  }
}

function heightKey(height: number): Buffer {
  const key = Buffer.alloc(HEIGHT_BYTES);
  key.writeUIntBE(height, 0, HEIGHT_BYTES);
  return key;
}

/** The id in an archived block's record; null: it is damaged. */
function idOfArchived(record: Buffer): Buffer | null {
  try {
    return unpackArchived(record).block.id;
  } catch {
    return null;
  }
}

/** Which file lies in the directory, "" if none. */
function fileIn(path: string): string {
  const found = statSync(`${path}/data.mdb`, { throwIfNoEntry: false });
  return found === undefined ? "" : `${found.dev} ${found.ino}`;
}

/** The key of the body that an entry of the table "objects" names, null: it has none. */
export function bodyOf(entry: Buffer): Buffer | null {
  return entry.readUIntBE(1, NUMBER_BYTES) === 0 ? null : entry.subarray(1, ENTRY_BYTES);
}

/** The object of an entry and its body. */
export function assemble(entry: Buffer, body: Buffer | null): Stored {
  const rest = entry.subarray(ENTRY_BYTES);
  const bytes = body === null ? rest : rest.length === 0 ? body : Buffer.concat([body, rest]);
  return { tag: entry[0] as number, bytes };
}
