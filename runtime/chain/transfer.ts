/**
 * Exporting blocks from a store, and importing them into another; the stream is drawn in store/transfer.ts.
 */

import { STATUS_ENDED } from "../../syscalls/abi.ts";
import { StoreError, UsageError } from "../errors.ts";
import type { Database } from "../store/database.ts";
import { storeFailure } from "../store/failures.ts";
import { factsOf } from "../store/graph.ts";
import type { BlockRecord } from "../store/record.ts";
import type { Import } from "../store/transfer.ts";
import type { Block } from "./block.ts";
import { checkNames, integer } from "./options.ts";
import { type Access, blockOf, checkBlock, findBlock, isBlock } from "./stored.ts";

/** Options of `exportBlock`. */
export interface ExportOptions {
  /** Which block, by height of the chain or by value. Default: the head. */
  readonly block?: number | Block;
  /** A block that the receiver has: only what differs is sent. Default: none. */
  readonly base?: number | Block;
  /** Begin with this chunk: what an import that was interrupted asks for. Default 0. */
  readonly from?: number;
}

/**
 * The chunks of a block of the store in the directory `path`, of about 256 KiB each. The block must stay
 * retained meanwhile: pin it if somebody writes to the store.
 *
 * @throws StoreError (STORE_MISSING, STORE_EMPTY, STORE_VERSION, STORE_CORRUPT), UsageError (NOT_RETAINED,
 *   BAD_OPTION)
 * @example
 * ```ts
 * const importer = await openImport("copy", runtime.head.id);
 * for await (const chunk of exportBlock("state", { from: importer.next })) importer.take(chunk);
 * console.log((await importer.finish()).height); // 0
 * ```
 */
export function exportBlock(path: string, options: ExportOptions = {}): AsyncGenerator<Uint8Array> {
  return chunks(path, options);
}

async function* chunks(path: string, options: ExportOptions): AsyncGenerator<Uint8Array> {
  checkNames(options, ["block", "base", "from"]);
  const from = integer(options, "from", 0, 0, 0xffffffff);
  const access = await import("../store/access.ts");
  const { exportChunks, genesisOf, openToRead } = access;
  const database = await openToRead(path);
  try {
    const block = findBlock(access, database, path, options.block);
    const base = options.base === undefined ? null : findBlock(access, database, path, options.base);
    try {
      for (const chunk of exportChunks(database, { genesis: genesisOf(database), block, base }, from)) {
        yield new Uint8Array(chunk);
      }
    } catch (error) {
      database.refresh();
      if ([block, base].every((one) => one === null || database.block(one.id) !== undefined)) throw error;
      const text = `the block was pruned while it was exported from ${path}: pin it meanwhile`;
      throw new UsageError("NOT_RETAINED", text, { path });
    }
  } catch (error) {
    throw storeFailure(error, path);
  } finally {
    await database.close();
  }
}

/**
 * Begins, or goes on with, the import of the block with this id into the store in the directory `path`,
 * which is made if it is not there. Nobody else may write to it meanwhile. `exportBlock` has an example.
 *
 * @throws UsageError (BAD_ARGUMENT), StoreError (STORE_LOCKED, STORE_VERSION, STORE_CORRUPT, STORE_READ_ONLY,
 *   STORE_FULL)
 */
export async function openImport(path: string, id: string): Promise<Importer> {
  if (typeof id !== "string" || !/^[0-9a-f]{64}$/.test(id)) {
    throw new UsageError("BAD_ARGUMENT", "the id of a block is 64 characters of hex");
  }
  const access = await import("../store/access.ts");
  const database = access.openToWrite(path);
  try {
    const token = database.transaction(() => {
      if (database.meta("format") !== undefined) access.checkFormat(database, path);
      return access.takeHold(database, path);
    });
    return new Importer(path, database, token, Buffer.from(id, "hex"), access);
  } catch (error) {
    await database.close();
    throw storeFailure(error, path);
  }
}

/**
 * Takes the chunks of a block, in order, and makes it the head of a store in the end. Close it in any case:
 * once it is closed, all but `close` throws StoreError (STORE_CLOSED).
 */
export class Importer {
  readonly #access: Access;
  readonly #path: string;
  readonly #database: Database;
  readonly #token: string;
  readonly #id: Buffer;
  #import: Import | null;
  #closing: Promise<void> | null = null;

  constructor(path: string, database: Database, token: string, id: Buffer, access: Access) {
    this.#access = access;
    this.#path = path;
    this.#database = database;
    this.#token = token;
    this.#id = id;
    const found = access.Import.resume(database);
    this.#import = found?.record.block.id.equals(id) ? found : null;
  }

  /** The number of the chunk that is to come next; above 0 if an import of this block was interrupted. */
  get next(): number {
    return this.#import?.next ?? 0;
  }

  /**
   * Checks a chunk and keeps it. After a refusal the right one can be given. Chunk 0 may come at any time:
   * the same again changes nothing, and that of another export of the block (to another base, or whole)
   * begins anew with that.
   *
   * @throws StoreError (CHUNK_REFUSED, STORE_FULL), UsageError (NOT_RETAINED: the base is not there,
   *   BAD_ARGUMENT)
   */
  take(bytes: Uint8Array): void {
    this.#checkOpen();
    if (!(bytes instanceof Uint8Array)) {
      throw new UsageError("BAD_ARGUMENT", `a chunk must be a Uint8Array, got ${typeof bytes}`);
    }
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    try {
      const isFirst = this.#access.Import.isFirst(chunk);
      if (this.#import === null || (isFirst && !this.#import.beganWith(chunk))) this.#begin(chunk);
      else if (!isFirst) this.#import.take(chunk);
    } catch (error) {
      // The walk of a chunk that was refused half way is made again from what is kept.
      if (this.#import !== null) this.#import = this.#access.Import.resume(this.#database);
      throw storeFailure(error, this.#path);
    }
  }

  #begin(chunk: Buffer): void {
    const { genesisOf, Import, packFormat, packHash, refused, STORE_FORMAT, unpackBlock } = this.#access;
    const database = this.#database;
    const found = Import.begin(database, chunk);
    const { genesis, block, base } = found.record;
    if (!block.id.equals(this.#id) || !isBlock(genesis, block)) {
      const text = `it is of block ${block.id.toString("hex")}, not of ${this.#id.toString("hex")}`;
      throw refused(0, text, "Send those of that block");
    }
    if (base !== null) {
      const record = database.block(base.id);
      if (record === undefined || !unpackBlock(base.id, record).root.equals(base.root)) {
        throw new UsageError(
          "NOT_RETAINED",
          `the store ${this.#path} does not hold the base of this export: import that first, or a whole ` +
            "block",

          {
            base: base.id.toString("hex"),
          },
        );
      }
    }
    database.transaction(() => {
      if (database.meta("format") === undefined) {
        database.putMeta("format", packFormat(STORE_FORMAT));
        database.putMeta("genesis", packHash(genesis));
      } else if (!genesisOf(database).equals(genesis)) {
        throw refused(
          0,
          `the store ${this.#path} belongs to another genesis`,
          "Import into another directory",
        );
      }
      found.note();
    });
    this.#import = found;
  }

  /**
   * Makes the block the head of the store and closes it.
   *
   * @throws StoreError (CHUNK_REFUSED: one is missing, STORE_FULL)
   */
  async finish(): Promise<Block> {
    this.#checkOpen();
    try {
      const block = this.#checkedBlock();
      this.#database.transaction(() => this.#putBlock(block));
      await this.close();
      return blockOf(block);
    } catch (error) {
      throw storeFailure(error, this.#path);
    }
  }

  /** The block, once all of it is there and its record says what it holds. */
  #checkedBlock(): BlockRecord {
    const { refused } = this.#access;
    if (this.#import === null || !this.#import.complete)
      throw refused(this.next, "it did not come", "Send it");
    this.#import.checkSums();
    const { block, genesis } = this.#import.record;
    checkBlock(genesis, block);
    const root = this.#database.object(block.root);
    const facts = root === undefined ? null : factsOf(root);
    if (facts?.gasUsed !== block.gasUsed || (facts.status === STATUS_ENDED) !== block.ended) {
      throw refused(0, "it says other gas than the root has used, or another end");
    }
    return block;
  }

  #putBlock(block: BlockRecord): void {
    const { findChain, packBlock, packTotals, readTotals, unpackBlock } = this.#access;
    const database = this.#database;
    const totals = readTotals(database);
    const known = database.block(block.id);
    // One that is there already stays pinned.
    const pinned = known !== undefined && unpackBlock(block.id, known).pinned;
    database.putBlock(block.id, packBlock({ ...block, sequence: totals.nextSequence, pinned }));
    database.putMeta("totals", packTotals({ ...totals, nextSequence: totals.nextSequence + 1 }));
    findChain(database, block.id);
    database.putMeta("import", null);
    database.putMeta("importHead", null);
  }

  /** Gives the store free; what came is kept, and `openImport` goes on with it. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    try {
      this.#access.release(this.#database, this.#token);
    } catch (error) {
      throw storeFailure(error, this.#path);
    } finally {
      await this.#database.close();
    }
  }

  #checkOpen(): void {
    if (this.#closing === null) return;
    const path = this.#path;
    throw new StoreError("STORE_CLOSED", `the import into the store ${path} is closed`, { path });
  }
}
