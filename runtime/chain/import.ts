/** Importing blocks into a store; the stream is drawn in store/transfer.ts. */

import { STATUS_ENDED } from "../../syscalls/abi.ts";
import { badArgument, checkNames } from "../arguments.ts";
import { StoreError, UsageError } from "../errors.ts";
import type { Database } from "../store/database.ts";
import { storeFailure } from "../store/failures.ts";
import { factsOf } from "../store/graph.ts";
import { InputLog } from "../store/log.ts";
import type { BlockRecord } from "../store/record.ts";
import type { Import } from "../store/transfer.ts";
import type { Block } from "./block.ts";
import { type Access, blockOf, checkBlock, genesisId, isBlock } from "./stored.ts";

/** Which block an import takes: the first chunk must be of one that has all that is given. */
export interface ImportPin {
  /** Id of the block, in hex. */
  readonly id?: string;
  /** Root of its state, in hex. */
  readonly root?: string;
  readonly height?: number;
  /** Id of its genesis, in hex. */
  readonly genesis?: string;
}

/** The pin, checked: at least one of its fields. */
function checkPin(pin: string | ImportPin): ImportPin {
  const fields: ImportPin = typeof pin === "string" ? { id: pin } : pin;
  checkNames(fields, ["id", "root", "height", "genesis"], "the block to import");
  const { height, ...hashes } = fields;
  for (const [name, value] of Object.entries(hashes)) {
    if (typeof value === "string" && /^[0-9a-f]{64}$/.test(value)) continue;
    throw badArgument(name, value, "64 characters of hex");
  }
  if (height !== undefined && !(Number.isSafeInteger(height) && height >= 0)) {
    throw badArgument("height", height, "an integer, 0 or more");
  }
  if (Object.keys(fields).length > 0) return fields;
  throw badArgument("pin", pin, "an id, or an object with an id, a root or a height");
}

/**
 * Begins, or goes on with, the import of a block into the store in the directory `path`, which is made if it
 * is not there. Which block, the id says, or other fields: of a root you trust, say. A height alone takes any
 * block of that height. Nobody else may write to it meanwhile. `exportBlock` has an example.
 *
 * @throws UsageError (BAD_ARGUMENT, BAD_OPTION), StoreError (STORE_LOCKED, STORE_VERSION, STORE_CORRUPT,
 *   STORE_READ_ONLY, STORE_FULL; STORE_LOGGED: its log of inputs has blocks that it has not itself, as after
 *   a crash; STORE_MISSING: its log is gone)
 */
export async function openImport(path: string, block: string | ImportPin): Promise<Importer> {
  const pin = checkPin(block);
  const access = await import("../store/access.ts");
  const database = access.openToWrite(path);
  try {
    const token = database.transaction(() => {
      if (database.meta("format") !== undefined) access.checkFormat(database, path);
      return access.takeHold(database, path);
    });
    try {
      checkLogged(access, database, path);
      return new Importer(path, database, token, pin, access);
    } catch (error) {
      access.release(database, token);
      throw error;
    }
  } catch (error) {
    await database.close();
    throw storeFailure(error, path);
  }
}

/** Blocks that are in the log alone stand on the head, which an import would move. The store is held. */
function checkLogged({ readLog }: Access, database: Database, path: string): void {
  const log = readLog(database);
  const changes = log === null ? 0 : InputLog.read(path, log).frames.length;
  if (changes === 0) return;
  throw new StoreError(
    "STORE_LOGGED",
    `the log of inputs of the store ${path} has ${changes} changes that its states do not have yet, and an ` +
      "import would move the head on which they stand. Open a runtime on the store once, which runs their " +
      'blocks again, and then import; or give these blocks up by the option "recover": "checkpoint"',
    { path, changes },
  );
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
  readonly #pin: ImportPin;
  #import: Import | null;
  #closing: Promise<void> | null = null;

  constructor(path: string, database: Database, token: string, pin: ImportPin, access: Access) {
    this.#access = access;
    this.#path = path;
    this.#database = database;
    this.#token = token;
    this.#pin = pin;
    const found = access.Import.resume(database);
    this.#import = found !== null && this.#isPinned(found) ? found : null;
  }

  /** Whether it is an import of the block that was asked for. */
  #isPinned({ record: { genesis, block } }: Import): boolean {
    const { id, root, height } = block;
    const said = {
      id: id.toString("hex"),
      root: root.toString("hex"),
      height,
      genesis: genesisId(genesis).toString("hex"),
    };
    return Object.entries(this.#pin).every(([name, value]) => said[name as keyof ImportPin] === value);
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
    if (!(bytes instanceof Uint8Array)) throw badArgument("chunk", bytes, "a Uint8Array");
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
    const { genesisOf, Import, packFormat, packGenesis, readBlock, refused, STORE_FORMAT } = this.#access;
    const database = this.#database;
    const found = Import.begin(database, chunk);
    const { genesis, block, base } = found.record;
    if (!this.#isPinned(found) || !isBlock(genesisId(genesis), block)) {
      const wanted = Object.entries(this.#pin).map(([name, value]) => `${name} ${value}`);
      const text = `it is of block ${block.id.toString("hex")}, not of the one with ${wanted.join(", ")}`;
      throw refused(0, text, "Send those of that block");
    }
    if (base !== null) {
      const record = readBlock(database, base.id);
      if (record === null || !record.stored || !record.root.equals(base.root)) {
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
        database.putMeta("genesis", packGenesis(genesis));
      } else if (!genesisOf(database).equals(genesisId(genesis))) {
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
    checkBlock(genesisId(genesis), block);
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
    database.putBlock(
      block.id,
      packBlock({ ...block, sequence: totals.nextSequence, pinned, stored: true, retained: true }),
    );
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
