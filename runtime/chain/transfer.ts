/**
 * Exporting blocks from a store, and importing them into another; the stream is drawn in store/transfer.ts.
 */

import { mkdirSync } from "node:fs";
import { STATUS_ENDED } from "../../syscalls/abi.ts";
import { UsageError } from "../errors.ts";
import type { Database } from "../store/database.ts";
import { storeFailure } from "../store/failures.ts";
import { factsOf } from "../store/graph.ts";
import type { BlockRecord } from "../store/record.ts";
import type { StoreState } from "../store/state.ts";
import type { Import } from "../store/transfer.ts";
import { type Block, blockId, NO_METADATA_HASH } from "./block.ts";
import { blockOf, checkBlock } from "./open.ts";
import { type Access, openForReading } from "./reader.ts";

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
 * @throws StoreError (STORE_MISSING, STORE_VERSION, STORE_CORRUPT), UsageError (NOT_RETAINED)
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
  const { exportChunks, genesisOf, readState } = await import("../store/access.ts");
  const database = await openForReading(path);
  try {
    const state = readState(database);
    const block = find(state, path, options.block);
    const base = options.base === undefined ? null : find(state, path, options.base);
    const record = { genesis: genesisOf(database), block, base };
    for (const chunk of exportChunks(database, record, options.from ?? 0)) {
      yield new Uint8Array(chunk);
    }
  } catch (error) {
    throw storeFailure(error, path);
  } finally {
    await database.close();
  }
}

function find({ head, blocks }: StoreState, path: string, target: number | Block | undefined): BlockRecord {
  const byId = new Map(blocks.map((block) => [block.id.toString("hex"), block]));
  if (typeof target === "object") {
    const block = byId.get(target.id);
    if (block !== undefined) return block;
  } else {
    for (
      let next = byId.get(head?.toString("hex") ?? "");
      next;
      next = byId.get(next.parent.toString("hex"))
    ) {
      if (target === undefined || next.height === target) return next;
    }
  }
  const name = typeof target === "object" ? `block ${target.id}` : `height ${target}`;
  throw new UsageError("NOT_RETAINED", `the store ${path} does not hold ${name}`, { path });
}

/**
 * Begins, or goes on with, the import of the block with this id into the store in the directory `path`,
 * which is made if it is not there. Nobody else may write to it meanwhile.
 *
 * @throws StoreError (STORE_LOCKED, STORE_VERSION, STORE_CORRUPT, STORE_READ_ONLY, STORE_FULL)
 */
export async function openImport(path: string, id: string): Promise<Importer> {
  if (typeof id !== "string" || !/^[0-9a-f]{64}$/.test(id)) {
    throw new UsageError("BAD_ARGUMENT", "the id of a block is 64 characters of hex");
  }
  const access = await import("../store/access.ts");
  if (access.Database.exists(path)) await (await openForReading(path)).close();
  let database: Database | undefined;
  try {
    mkdirSync(path, { recursive: true });
    const opened = new access.Database(path);
    database = opened;
    const token = opened.transaction(() => access.takeHold(opened, path));
    return new Importer(path, opened, token, Buffer.from(id, "hex"), access);
  } catch (error) {
    await database?.close();
    throw storeFailure(error, path);
  }
}

/** Takes the chunks of a block, in order, and makes it the head of a store in the end. */
export class Importer {
  readonly #access: Access;
  readonly #path: string;
  readonly #database: Database;
  readonly #token: string;
  readonly #id: Buffer;
  #import: Import | null;

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
   * Checks a chunk and keeps it. After a refusal the right one can be given.
   *
   * @throws StoreError (CHUNK_REFUSED, STORE_FULL), UsageError (NOT_RETAINED: the base is not there)
   */
  take(bytes: Uint8Array): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    try {
      if (this.#import !== null) this.#import.take(chunk);
      else this.#begin(chunk);
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
    const metadataHash = block.metadata ?? NO_METADATA_HASH;
    if (!block.id.equals(this.#id) || !blockId(genesis, { ...block, metadataHash }).equals(this.#id)) {
      throw refused(0, `it is of block ${block.id.toString("hex")}, not of ${this.#id.toString("hex")}`);
    }
    if (base !== null) {
      const record = database.block(base.id);
      if (record === undefined || !unpackBlock(base.id, record).root.equals(base.root)) {
        throw new UsageError(
          "NOT_RETAINED",
          `the store ${this.#path} does not hold the base of this export`,
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
        throw refused(0, `the store ${this.#path} belongs to another genesis`);
      }
      found.note(chunk);
    });
    this.#import = found;
  }

  /**
   * Makes the block the head of the store and closes it.
   *
   * @throws StoreError (CHUNK_REFUSED: one is missing)
   */
  async finish(): Promise<Block> {
    const { packBlock, packHash, readState, refused } = this.#access;
    const { next } = this;
    if (this.#import === null || !this.#import.complete) throw refused(next, "it did not come");
    this.#import.checkSums();
    const { block, genesis } = this.#import.record;
    checkBlock(genesis, block);
    const database = this.#database;
    const root = database.object(block.root);
    const facts = root === undefined ? null : factsOf(root);
    if (facts?.gasUsed !== block.gasUsed || (facts.status === STATUS_ENDED) !== block.ended) {
      throw refused(0, "it says other gas than the root has used, or another end");
    }
    database.transaction(() => {
      const sequence = readState(database).blocks.reduce(
        (last, other) => Math.max(last, other.sequence + 1),
        0,
      );
      database.putBlock(block.id, packBlock({ ...block, sequence, pinned: false }));
      database.putMeta("head", packHash(block.id));
      database.putMeta("import", null);
      database.putMeta("importHead", null);
    });
    await this.close();
    return blockOf(block);
  }

  /** Gives the store free; what came is kept, and `openImport` goes on with it. */
  async close(): Promise<void> {
    this.#database.transaction(() => this.#access.release(this.#database, this.#token));
    await this.#database.close();
  }
}
