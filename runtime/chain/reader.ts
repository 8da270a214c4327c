/**
 * Reading a store that somebody else may be writing to, and caring for one that nobody writes to.
 *
 * A reader runs nothing. It brings what it looks at into a small heap of its own, and drops all of it when
 * that is full.
 */

import { existsSync } from "node:fs";
import { LimitError, StoreError, UsageError } from "../errors.ts";
import { createHeap, HEADER_STORED, Heap, type Ref, UNIT_WORDS } from "../heap/heap.ts";
import { makeStub } from "../heap/stub.ts";
import { proveRange } from "../proof/prove.ts";
import type { Database } from "../store/database.ts";
import { storeFailure } from "../store/failures.ts";
import type { BlockRecord } from "../store/record.ts";
import type { Verification, Verifier } from "../store/verify.ts";
import { type Block, blockId, NO_METADATA_HASH } from "./block.ts";
import { type Diff, type DiffOptions, diffLimit, diffProcesses } from "./diff.ts";
import { inspectProcess, type ProcessView, readProcess } from "./inspect.ts";
import { blockOf } from "./open.ts";

export type { Damage, Verification } from "../store/verify.ts";

/** Options of `openReader`. */
export interface ReaderOptions {
  /** Capacity for what is looked at. Default 1 GiB; committed as it is touched. */
  readonly heapBytes?: number;
}

const HEAP_BYTES = 2 ** 30;
/** More than this is not kept from one call to the next. */
const KEPT_BYTES = 64 << 20;

/**
 * Opens a store for reading; any number of processes may, while one writes to it.
 *
 * @throws StoreError (STORE_MISSING, STORE_VERSION, STORE_CORRUPT)
 * @example
 * ```ts
 * const reader = await openReader("state");
 * console.log(reader.blocks().length, reader.inspect([]).status); // 1 snapshot
 * await reader.close();
 * ```
 */
export async function openReader(path: string, options: ReaderOptions = {}): Promise<Reader> {
  const store = await import("../store/access.ts");
  return new Reader(path, await openForReading(path), options.heapBytes ?? HEAP_BYTES, store);
}

/** What reads and writes a store on the calling thread. */
export type Access = typeof import("../store/access.ts");

/** A store, for looking at. Every call sees the newest committed state. */
export class Reader {
  readonly #path: string;
  readonly #database: Database;
  readonly #heapBytes: number;
  readonly #access: Access;
  #heap: Heap;

  constructor(path: string, database: Database, heapBytes: number, access: Access) {
    this.#path = path;
    this.#heapBytes = heapBytes;
    this.#database = database;
    this.#access = access;
    this.#heap = this.#newHeap();
  }

  /** The blocks of the chain on whose end the writer stands, ascending. */
  blocks(): readonly Block[] {
    const { head, blocks } = this.#state();
    const byId = new Map(blocks.map((record) => [record.id.toString("hex"), record]));
    const chain: Block[] = [];
    for (
      let next = byId.get(head?.toString("hex") ?? "");
      next;
      next = byId.get(next.parent.toString("hex"))
    ) {
      chain.push(blockOf(next));
    }
    return chain.reverse();
  }

  /** All retained blocks, in the order in which they came. */
  retained(): readonly Block[] {
    return this.#state().blocks.map(blockOf);
  }

  /** The block on which the writer stands. */
  get head(): Block {
    const head = this.blocks().at(-1);
    if (head !== undefined) return head;
    throw new StoreError("STORE_EMPTY", `the store ${this.#path} holds no block`, { path: this.#path });
  }

  /** As `inspect` of Runtime. */
  inspect(path: readonly number[], block: number | Block = this.head): ProcessView | null {
    return this.#at(block, (heap, ref) => inspectProcess(heap, ref, path));
  }

  /** As `read` of Runtime. */
  read(
    path: readonly number[],
    address: number,
    length: number,
    block: number | Block = this.head,
  ): Uint8Array {
    return this.#at(block, (heap, ref) => readProcess(heap, ref, path, address, length));
  }

  /** As `prove` of Runtime. */
  prove(
    path: readonly number[],
    address: number,
    length: number,
    block: number | Block = this.head,
  ): Uint8Array {
    return this.#at(block, (heap, ref) => proveRange(heap, ref, path, address, length));
  }

  /** As `diff` of Runtime. */
  diff(a: number | Block, b: number | Block, options: DiffOptions = {}): Diff {
    return this.#at(a, (heap, left) => {
      const right = this.#stub(heap, b);
      return diffProcesses({ heap, ref: left }, { heap, ref: right }, diffLimit(options));
    });
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #state() {
    this.#database.refresh();
    return this.#access.readState(this.#database);
  }

  /** Looks at a block's state; once more with an empty heap if there was no room beside what is kept. */
  #at<T>(block: number | Block, look: (heap: Heap, ref: Ref) => T): T {
    if (this.#heap.usedBytes > KEPT_BYTES) this.#heap = this.#newHeap();
    try {
      return look(this.#heap, this.#stub(this.#heap, block));
    } catch (error) {
      if (!(error instanceof LimitError)) throw storeFailure(error, this.#path);
      this.#heap = this.#newHeap();
      return look(this.#heap, this.#stub(this.#heap, block));
    }
  }

  #stub(heap: Heap, target: number | Block): Ref {
    const block =
      typeof target === "number"
        ? this.blocks().find(({ height }) => height === target)
        : this.retained().find(({ id }) => id === target.id);
    if (block === undefined) {
      const name = typeof target === "number" ? `height ${target}` : `block ${target.id}`;
      throw new UsageError("NOT_RETAINED", `the store ${this.#path} does not hold ${name}`, {
        path: this.#path,
      });
    }
    const stub = makeStub(heap, Buffer.from(block.root, "hex"), 0);
    heap.words[stub * UNIT_WORDS + HEADER_STORED] = 1;
    return stub;
  }

  #newHeap(): Heap {
    const heap = new Heap(createHeap(this.#heapBytes), 1);
    heap.loader = new this.#access.DirectLoader(heap, [{ database: this.#database, bit: 1 }]);
    return heap;
  }
}

/**
 * Walks everything that the retained blocks of a store reach and hashes it anew, newest block first. Does not
 * hinder a writer.
 *
 * @throws StoreError (STORE_MISSING, STORE_VERSION, STORE_CORRUPT)
 * @example
 * ```ts
 * const found = await verifyStore("state");
 * console.log(found.damages.length, found.newestIntact === runtime.head.id); // 0 true
 * ```
 */
export async function verifyStore(path: string): Promise<Verification> {
  const database = await openForReading(path, true);
  try {
    return (await verifyDatabase(database)).result();
  } catch (error) {
    throw storeFailure(error, path);
  } finally {
    await database.close();
  }
}

/**
 * Makes the newest intact block the head of a store, and forgets blocks that are damaged. Nobody may write
 * to it meanwhile.
 *
 * @throws StoreError (STORE_MISSING, STORE_LOCKED, STORE_VERSION, STORE_CORRUPT: no block is intact)
 */
export async function repairStore(path: string): Promise<Verification> {
  const { Database, packHash, readState, release, takeHold } = await import("../store/access.ts");
  await (await openForReading(path, true)).close();
  const database = new Database(path);
  try {
    const token = database.transaction(() => takeHold(database, path));
    const verifier = await verifyDatabase(database);
    const result = verifier.result();
    database.transaction(() => {
      if (result.newestIntact !== null) {
        const { head } = readState(database);
        const damaged = result.blocks.filter(({ intact }) => !intact);
        for (const { id } of damaged) database.removeBlock(Buffer.from(id, "hex"));
        // What is written again must not be taken for what is there.
        for (const key of verifier.damagedObjects) database.removeObject(Buffer.from(key, "hex"));
        const lost = head === null || database.block(head) === undefined;
        if (lost) database.putMeta("head", packHash(Buffer.from(result.newestIntact, "hex")));
      }
      release(database, token);
    });
    if (result.newestIntact === null) {
      throw new StoreError(
        "STORE_CORRUPT",
        `no block of the store ${path} is intact: restore it from an export`,
        {
          path,
        },
      );
    }
    return result;
  } catch (error) {
    throw storeFailure(error, path);
  } finally {
    await database.close();
  }
}

/**
 * Makes a new store in the empty directory `to` of what can be read in a store whose file is too damaged for
 * `repairStore`, and leaves it at the newest block that is whole. Nothing is written to the damaged one.
 *
 * @throws StoreError (STORE_CORRUPT: no block is whole), UsageError (STORE_NOT_EMPTY)
 */
export async function salvageStore(path: string, to: string): Promise<Verification> {
  const { Database, salvage } = await import("../store/access.ts");
  if (!existsSync(`${path}/data.mdb`)) {
    throw new StoreError("STORE_MISSING", `there is no store in ${path}`, { path });
  }
  if (Database.exists(to)) {
    throw new UsageError("STORE_NOT_EMPTY", `there is a store in ${to} already: name another directory`, {
      to,
    });
  }
  const target = new Database(to);
  try {
    const { blocks } = salvage(path, target, isBlock);
    if (blocks === 0) {
      throw new StoreError("STORE_CORRUPT", `no block can be read in ${path}: restore it from an export`, {
        path,
      });
    }
  } catch (error) {
    throw storeFailure(error, to);
  } finally {
    await target.close();
  }
  return repairStore(to);
}

async function verifyDatabase(database: Database): Promise<Verifier> {
  const { genesisOf, readState, Verifier } = await import("../store/access.ts");
  const verifier = new Verifier(database);
  const genesis = genesisOf(database);
  for (const record of readState(database).blocks.toReversed()) {
    const steps = verifier.block(record, isBlock(genesis, record) ? null : "damaged");
    while (!steps.next().done) await new Promise((resolve) => setImmediate(resolve));
  }
  return verifier;
}

function isBlock(genesis: Buffer, record: BlockRecord): boolean {
  return blockId(genesis, { ...record, metadataHash: record.metadata ?? NO_METADATA_HASH }).equals(record.id);
}

/** @throws StoreError (STORE_MISSING, STORE_VERSION, STORE_CORRUPT) */
export async function openForReading(path: string, whole = false): Promise<Database> {
  const { checkFormat, checkStructure, Database } = await import("../store/access.ts");
  if (!Database.exists(path)) {
    throw new StoreError("STORE_MISSING", `there is no store in ${path}`, { path });
  }
  let database: Database | undefined;
  try {
    checkStructure(path, whole);
    database = new Database(path, { readOnly: true });
    checkFormat(database, path);
    return database;
  } catch (error) {
    await database?.close();
    throw storeFailure(error, path);
  }
}
