/**
 * What arrives of a block, in one of two formats, until all of it is in a store. Neither makes it a block of
 * the store: that comes last (import.ts).
 */

import { STATUS_ENDED } from "../../syscalls/abi.ts";
import { UsageError } from "../errors.ts";
import type { Database } from "../store/database.ts";
import { factsOf } from "../store/graph.ts";
import type { BlockRecord } from "../store/record.ts";
import type { Rehash } from "../store/rehash.ts";
import type { Import } from "../store/transfer.ts";
import { blockId } from "./block.ts";
import { type Access, checkBlock, genesisId, isBlock } from "./stored.ts";

/** What an export says that it is of: hashes in hex, as its writer computes them. */
export interface Said {
  readonly id: string;
  readonly root: string;
  readonly height: number;
  readonly genesis: string;
}

/** A block that is complete. */
export interface Arrived {
  /** What the id of its genesis is the hash of. */
  readonly genesis: Buffer;
  readonly block: Omit<BlockRecord, "sequence" | "pinned" | "stored" | "retained">;
}

export interface Incoming {
  /** The number of the chunk that is to come next. */
  readonly next: number;
  /**
   * Checks a chunk and keeps it.
   *
   * @throws StoreError (CHUNK_REFUSED), UsageError (NOT_RETAINED: the base is not there)
   */
  take(chunk: Buffer): void;
  /** The block, once all of it is there. @throws StoreError (CHUNK_REFUSED) */
  finish(): Arrived;
}

/** Where chunks go, and which block is wanted. */
export interface Target {
  readonly access: Access;
  readonly database: Database;
  readonly path: string;
  /** Throws unless the block is the one that is wanted. */
  check(said: Said): void;
}

/** Chunks of which each object is checked against the block's id as it comes (store/transfer.ts). */
export class HashedIncoming implements Incoming {
  readonly #to: Target;
  #import: Import | null = null;

  constructor(target: Target) {
    this.#to = target;
    const found = target.access.Import.resume(target.database);
    try {
      if (found !== null) target.check(saidBy(found));
      this.#import = found;
    } catch {
      // It is of another block.
    }
  }

  get next(): number {
    return this.#import?.next ?? 0;
  }

  take(chunk: Buffer): void {
    const { Import, Rehash, refused } = this.#to.access;
    if (Rehash.isPortable(chunk)) {
      throw refused(this.next, "it is of a portable export", 'Open the import with the option "rehash"');
    }
    try {
      const isFirst = Import.isFirst(chunk);
      if (this.#import === null || (isFirst && !this.#import.beganWith(chunk))) this.#begin(chunk);
      else if (!isFirst) this.#import.take(chunk);
    } catch (error) {
      // The walk of a chunk that was refused half way is made again from what is kept.
      if (this.#import !== null) this.#import = Import.resume(this.#to.database);
      throw error;
    }
  }

  #begin(chunk: Buffer): void {
    const { access, database, path } = this.#to;
    const { Import, packFormat, packGenesis, readBlock, STORE_FORMAT } = access;
    const found = Import.begin(database, chunk);
    const { genesis, block, base } = found.record;
    this.#to.check(saidBy(found));
    if (!isBlock(genesisId(genesis), block)) throw access.refused(0, "it is of another block than it says");
    if (base !== null) {
      const record = readBlock(database, base.id);
      if (record === null || !record.stored || !record.root.equals(base.root)) {
        const text = `the store ${path} does not hold the base of this export`;
        const advice = "import that first, or a whole block";
        throw new UsageError("NOT_RETAINED", `${text}: ${advice}`, { base: base.id.toString("hex") });
      }
    }
    database.transaction(() => {
      checkGenesisOf(access, database, path, genesisId(genesis));
      if (database.meta("format") === undefined) {
        database.putMeta("format", packFormat(STORE_FORMAT));
        database.putMeta("genesis", packGenesis(genesis));
      }
      found.note();
    });
    this.#import = found;
  }

  /** The block, once all of it is there and its record says what it holds. */
  finish(): Arrived {
    const { access, database } = this.#to;
    const { refused } = access;
    if (this.#import === null || !this.#import.complete)
      throw refused(this.next, "it did not come", "Send it");
    this.#import.checkSums();
    const { block, genesis } = this.#import.record;
    checkBlock(genesisId(genesis), block);
    const root = database.object(block.root);
    const facts = root === undefined ? null : factsOf(root);
    if (facts?.gasUsed !== block.gasUsed || (facts.status === STATUS_ENDED) !== block.ended) {
      throw refused(0, "it says other gas than the root has used, or another end");
    }
    return { genesis, block };
  }
}

/** Chunks of a portable export, of which all hashes are computed here (store/rehash.ts). */
export class PortableIncoming implements Incoming {
  readonly #to: Target;
  #rehash: Rehash | null = null;

  constructor(target: Target) {
    this.#to = target;
  }

  get next(): number {
    return this.#rehash?.next ?? 0;
  }

  take(chunk: Buffer): void {
    if (this.#rehash === null) this.#begin(chunk);
    else this.#rehash.take(chunk);
  }

  #begin(chunk: Buffer): void {
    const { access, database, path, check } = this.#to;
    if (access.Import.isFirst(chunk)) {
      const text = "it is of an export that is not portable";
      throw access.refused(0, text, 'Import it without the option "rehash", by the version that wrote it');
    }
    const found = new access.Rehash(database, chunk);
    check(found.head);
    // If the hashes are of something else, it is known in the end.
    if (found.isSame) checkGenesisOf(access, database, path, Buffer.from(found.head.genesis, "hex"));
    this.#rehash = found;
  }

  finish(): Arrived {
    const { access, database, path } = this.#to;
    if (this.#rehash === null) throw access.refused(0, "it did not come", "Send it");
    const { genesis, block } = this.#rehash.finish();
    const { head, isSame, next } = this.#rehash;
    const id = blockId(genesisId(genesis), block);
    if (isSame && id.toString("hex") !== head.id) {
      throw access.refused(next - 1, `what came is block ${id.toString("hex")}, not ${head.id}`);
    }
    checkGenesisOf(access, database, path, genesisId(genesis));
    return { genesis, block: { ...block, id } };
  }
}

function saidBy({ record: { genesis, block } }: Import): Said {
  const { id, root, height } = block;
  const hex = (bytes: Buffer): string => bytes.toString("hex");
  return { id: hex(id), root: hex(root), height, genesis: hex(genesisId(genesis)) };
}

/** @throws StoreError (CHUNK_REFUSED): the store has another genesis */
function checkGenesisOf({ genesisOf, refused }: Access, database: Database, path: string, id: Buffer): void {
  if (database.meta("format") === undefined || genesisOf(database).equals(id)) return;
  throw refused(0, `the store ${path} belongs to another genesis`, "Import into another directory");
}
