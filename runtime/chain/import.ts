/** Importing blocks into a store; the streams are drawn in store/transfer.ts and store/portable.ts. */

import { badArgument, checkNames, flag } from "../arguments.ts";
import { StoreError } from "../errors.ts";
import type { Database } from "../store/database.ts";
import { storeFailure } from "../store/failures.ts";
import { InputLog } from "../store/log.ts";
import type { BlockRecord } from "../store/record.ts";
import type { Block } from "./block.ts";
import { type Arrived, HashedIncoming, type Incoming, PortableIncoming, type Said } from "./incoming.ts";
import { type Access, blockOf } from "./stored.ts";

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
 * Begins, or continues with, the import of a block into the store in the directory `path`, which is made if
 * it is not there. Which block, the id says, or other fields: of a root you trust, say. A height alone takes
 * any block of that height. Nobody else may write to it meanwhile. `exportBlock` has an example.
 *
 * With "rehash" the chunks are those of a portable export, and every hash is computed again. If the version
 * that wrote it computes other hashes, the block gets another id, which `finish` returns, and nothing proves
 * that it is the same: compare the export with its manifest, or have it from somebody you trust.
 *
 * @throws UsageError (BAD_ARGUMENT, BAD_OPTION), StoreError (STORE_LOCKED, STORE_VERSION, STORE_CORRUPT,
 *   STORE_READ_ONLY, STORE_FULL; STORE_LOGGED: its log of inputs has blocks that it has not itself, as after
 *   a crash; STORE_MISSING: its log is gone)
 */
export async function openImport(
  path: string,
  block: string | ImportPin,
  options: ImportOptions = {},
): Promise<Importer> {
  const pin = checkPin(block);
  checkNames(options, ["rehash"]);
  const rehash = flag(options, "rehash");
  const access = await import("../store/access.ts");
  const database = access.openToWrite(path);
  try {
    const token = database.transaction(() => {
      if (database.meta("format") !== undefined) access.checkFormat(database, path);
      return access.takeHold(database, path);
    });
    try {
      checkLogged(access, database, path);
      const target = { access, database, path, check: (said: Said) => checkSaid(access, pin, said) };
      const incoming = rehash ? new PortableIncoming(target) : new HashedIncoming(target);
      return new Importer(path, database, token, incoming, access);
    } catch (error) {
      access.release(database, token);
      throw error;
    }
  } catch (error) {
    await database.close();
    throw storeFailure(error, path);
  }
}

/** Options of `openImport`. */
export interface ImportOptions {
  /** The export is portable, and hashes are computed again: see `exportBlock`. Default false. */
  readonly rehash?: boolean;
}

/** @throws StoreError (CHUNK_REFUSED): it is another block than the one that is wanted */
function checkSaid({ refused }: Access, pin: ImportPin, said: Said): void {
  const wanted = Object.entries(pin);
  if (wanted.every(([name, value]) => said[name as keyof ImportPin] === value)) return;
  const names = wanted.map(([name, value]) => `${name} ${value}`).join(", ");
  throw refused(0, `it is of block ${said.id}, not of the one with ${names}`, "Send those of that block");
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
  readonly #incoming: Incoming;
  #closing: Promise<void> | null = null;

  constructor(path: string, database: Database, token: string, incoming: Incoming, access: Access) {
    this.#access = access;
    this.#path = path;
    this.#database = database;
    this.#token = token;
    this.#incoming = incoming;
  }

  /**
   * The number of the chunk that is to come next; above 0 if an import of this block was interrupted. One
   * with "rehash" starts again, and does not write again what is there.
   */
  get next(): number {
    return this.#incoming.next;
  }

  /**
   * Checks a chunk and keeps it. After a refusal the right one can be given. Chunk 0 may come at any time,
   * but for one with "rehash": the same again changes nothing, and that of another export of the block (to
   * another base, or whole) starts again with that.
   *
   * @throws StoreError (CHUNK_REFUSED, STORE_FULL), UsageError (NOT_RETAINED: the base is not there,
   *   BAD_ARGUMENT)
   */
  take(bytes: Uint8Array): void {
    this.#checkOpen();
    if (!(bytes instanceof Uint8Array)) throw badArgument("chunk", bytes, "a Uint8Array");
    try {
      this.#incoming.take(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    } catch (error) {
      throw storeFailure(error, this.#path);
    }
  }

  /**
   * Makes the block the head of the store and closes it.
   *
   * @throws StoreError (CHUNK_REFUSED: one is missing, STORE_FULL)
   */
  async finish(): Promise<Block> {
    this.#checkOpen();
    try {
      const arrived = this.#incoming.finish();
      const block = this.#database.transaction(() => this.#put(arrived));
      await this.close();
      return blockOf(block);
    } catch (error) {
      throw storeFailure(error, this.#path);
    }
  }

  #put({ genesis, block }: Arrived): BlockRecord {
    const {
      findChain,
      packBlock,
      packFormat,
      packGenesis,
      packTotals,
      readTotals,
      STORE_FORMAT,
      unpackBlock,
    } = this.#access;
    const database = this.#database;
    if (database.meta("format") === undefined) {
      database.putMeta("format", packFormat(STORE_FORMAT));
      database.putMeta("genesis", packGenesis(genesis));
    }
    const totals = readTotals(database);
    const known = database.block(block.id);
    // One that is there already stays pinned.
    const pinned = known !== undefined && unpackBlock(block.id, known).pinned;
    const record = { ...block, sequence: totals.nextSequence, pinned, stored: true, retained: true };
    database.putBlock(block.id, packBlock(record));
    database.putMeta("totals", packTotals({ ...totals, nextSequence: totals.nextSequence + 1 }));
    findChain(database, block.id);
    database.putMeta("import", null);
    database.putMeta("importHead", null);
    return record;
  }

  /** Gives the store free; what came is kept, and `openImport` continues with it. */
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
