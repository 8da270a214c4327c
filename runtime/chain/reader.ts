/**
 * Reading a store that somebody else may be writing to.
 *
 * A reader runs nothing. It brings what it looks at into a small heap of its own, and drops all of it when
 * that is full.
 */

import { checkNames, integer } from "../arguments.ts";
import { LimitError, StoreError } from "../errors.ts";
import { createHeap, HEADER_STORED, Heap, UNIT_WORDS } from "../heap/heap.ts";
import { makeStub } from "../heap/stub.ts";
import { decodeGenesis, decodeRules, type Rules } from "../image/rules.ts";
import type { Database } from "../store/database.ts";
import { storeFailure } from "../store/failures.ts";
import type { BlockRecord } from "../store/record.ts";
import type { ArchivedBlock } from "./archive.ts";
import { framesOf } from "./backup.ts";
import { type Block, checkArchived, checkTarget, headerOf, inputFrom } from "./block.ts";
import { Chain } from "./chain.ts";
import type { RetainedInput } from "./change.ts";
import { type FollowEvent, Follower } from "./follow.ts";
import type { BlockName } from "./history.ts";
import { decodeLogged } from "./logged.ts";
import type { Outline } from "./outline.ts";
import { noProgram } from "./rulebook.ts";
import { type Access, archivedOf, blockOf, checkState, findBlock, wayTo } from "./stored.ts";
import type { Side } from "./tables.ts";

/** Options of `openReader`. */
export interface ReaderOptions {
  /** Capacity for what is looked at. Default 1 GiB; committed as it is touched. */
  readonly heapBytes?: number;
}

/** Options of `follow`. */
export interface FollowOptions {
  /** The block that is known already: of the chain by height, or any by its value. Default: the head. */
  readonly from?: number | Block;
  /** How often the store is looked at while nothing happens. Default 20. */
  readonly everyMs?: number;
}

/** From what the state of a block is made. The blocks need not be retained. */
export interface Way {
  /** The nearest block at or below it whose state is in the store. */
  readonly anchor: Block;
  /** The blocks above that one, up to the block itself, ascending; none: its own state is in the store. */
  readonly above: readonly { readonly block: Block; readonly input: () => RetainedInput }[];
}

const HEAP_BYTES = 2 ** 30;
/** More than this is not kept from one call to the next. */
const KEPT_BYTES = 64 << 20;

/**
 * Opens a store for reading; any number of processes may, while one writes to it.
 *
 * @throws StoreError (STORE_MISSING, STORE_EMPTY, STORE_VERSION, STORE_CORRUPT), UsageError (BAD_OPTION)
 * @example
 * ```ts
 * const reader = await openReader("state");
 * console.log(reader.blocks().length, reader.inspect([]).status); // 1 snapshot
 * await reader.close();
 * ```
 */
export async function openReader(path: string, options: ReaderOptions = {}): Promise<Reader> {
  checkNames(options, ["heapBytes"]);
  const heapBytes = integer(options, "heapBytes", HEAP_BYTES, 1 << 20, 2 ** 37);
  const access = await import("../store/access.ts");
  return new Reader(path, await access.openToRead(path), heapBytes, access);
}

/**
 * A store, for looking at. Every call sees the newest committed state, which with "logged" is that of the
 * newest checkpoint, and throws StoreError (STORE_CLOSED) once the reader is closed.
 */
export class Reader extends Chain {
  readonly #path: string;
  readonly #database: Database;
  readonly #heapBytes: number;
  readonly #access: Access;
  #heap: Heap;
  #closed = false;

  constructor(path: string, database: Database, heapBytes: number, access: Access) {
    super();
    this.#path = path;
    this.#heapBytes = heapBytes;
    this.#database = database;
    this.#access = access;
    this.#heap = this.#newHeap();
  }

  blocks(): readonly Block[] {
    return this.#guarded(() => {
      const { readChain, readHead } = this.#access;
      const head = readHead(this.#database);
      if (head === null) return [];
      const heights = Array.from({ length: head.height - head.base + 1 }, (_, i) => head.base + i);
      return heights.map((height) => blockOf(readChain(this.#database, height) as BlockRecord));
    });
  }

  retained(): readonly Block[] {
    return this.#guarded(() => this.#access.readState(this.#database).blocks.map(blockOf));
  }

  /** Those of `retained` that are pinned. */
  pinned(): readonly Block[] {
    return this.#guarded(() => {
      const { blocks } = this.#access.readState(this.#database);
      return blocks.filter((record) => record.pinned).map(blockOf);
    });
  }

  /**
   * The retained blocks whose states are in the store: all, unless it is written with "logged". Of others
   * `read`, `inspect` and the like throw UsageError (NO_STATE), with the nearest heights of the chain.
   */
  anchors(): readonly Block[] {
    return this.#guarded(() =>
      this.#access
        .readState(this.#database)
        .blocks.flatMap((record) => (record.stored ? [blockOf(record)] : [])),
    );
  }

  /**
   * The acknowledged blocks that came after the newest checkpoint, in the order in which they were made. They
   * are in the log of inputs alone: the writer has them, and this reader has their names only, until the
   * writer's next checkpoint. Reads the whole log.
   *
   * @throws StoreError (STORE_MISSING, STORE_CORRUPT)
   */
  logged(): readonly BlockName[] {
    const read = this.#guarded(() => framesOf(this.#database, this.#path, this.#access.readLog));
    const changes = (read?.frames ?? []).flatMap(({ body }) => decodeLogged(body).changes);
    return changes.flatMap(({ kind, block }) => (kind === "push" ? [block] : []));
  }

  /**
   * The block on which the writer stands; with "logged" the one of its newest checkpoint: see `logged`.
   *
   * @throws StoreError (STORE_EMPTY)
   */
  get head(): Block {
    return blockOf(this.#find());
  }

  get genesis(): string {
    return this.#guarded(() => this.#access.genesisOf(this.#database)).toString("hex");
  }

  get origin(): string | null {
    return this.#guarded(() => decodeGenesis(this.#access.genesisBytesOf(this.#database))).origin;
  }

  input(block?: number | Block): RetainedInput {
    return this.#inputOf(this.#find(block));
  }

  #inputOf({ metadata, budget, change }: BlockRecord): RetainedInput {
    return this.#looking(() => {
      const bytes = metadata === null ? new Uint8Array() : this.#blob(metadata);
      return inputFrom(bytes, budget, change === null ? null : this.#blob(change));
    });
  }

  rules(block?: number | Block): Rules {
    return this.#looking(() => decodeRules(this.#blob(this.#find(block).rules)));
  }

  programBytes(program: string): Uint8Array {
    return this.#looking(() => {
      // Also where the record of another block is damaged.
      const { blocks } = this.#guarded(() => this.#access.readableBlocks(this.#database));
      const known = new Map(blocks.map(({ rules }) => [rules.toString("hex"), rules]));
      const isNamed = (rules: Buffer): boolean => decodeRules(this.#blob(rules)).programs.includes(program);
      if (![...known.values()].some(isNamed)) throw noProgram(program);
      return this.#blob(Buffer.from(program, "hex"));
    });
  }

  /** A copy of the blob with this hash. */
  #blob(hash: Buffer): Uint8Array {
    const { heap, ref } = this.#stored(hash);
    return new Uint8Array(heap.payload(ref));
  }

  async archived(target: number | string): Promise<ArchivedBlock | null> {
    checkArchived(target);
    const name = typeof target === "number" ? target : Buffer.from(target, "hex");
    const found = this.#guarded(() => this.#access.readArchived(this.#database, name));
    return found === null ? null : archivedOf(found);
  }

  blockHeader(block?: number | Block): Uint8Array {
    const record = this.#find(block);
    const genesis = this.#guarded(() => this.#access.genesisOf(this.#database));
    return headerOf(genesis, record);
  }

  /**
   * Changes of the store's head, as its writer commits them: the same events as those of
   * `Runtime`. It begins behind the block `from`, and ends when the reader is closed. After a restart, give
   * the last block that you received: where that was reverted meanwhile, the first event says to which
   * block; where it was pruned with all that leads to the head, how many blocks are lost.
   *
   * @throws UsageError (NOT_RETAINED, BAD_ARGUMENT, BAD_OPTION), StoreError
   * @example
   * ```ts
   * const reader = await openReader("state");
   * await runtime.produce(Uint8Array.of(1));
   * for await (const event of reader.follow({ from: 0 })) {
   *   if (event.kind === "commit") console.log(event.height, event.block === event.made.id); // 1 true
   *   break;
   * }
   * await reader.close();
   * ```
   */
  async *follow(options: FollowOptions = {}): AsyncGenerator<FollowEvent, void> {
    checkNames(options, ["from", "everyMs"]);
    const everyMs = integer(options, "everyMs", 20, 1, 60_000);
    const { from = this.head } = options;
    checkTarget(from);
    const { id, height } = typeof from === "number" ? blockOf(this.#find(from)) : from;
    const follower = new Follower(this.#access, this.#database, { id, height });
    while (!this.#closed) {
      const events = this.#guarded(() => follower.look());
      yield* events;
      if (events.length === 0) await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#database.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #find(target?: number | Block): BlockRecord {
    return this.#guarded(() => findBlock(this.#access, this.#database, this.#path, target));
  }

  /** Reads what is committed now. */
  #guarded<T>(read: () => T): T {
    const path = this.#path;
    if (this.#closed)
      throw new StoreError("STORE_CLOSED", `the reader of the store ${path} is closed`, { path });
    try {
      this.#database.refresh();
      return read();
    } catch (error) {
      throw storeFailure(error, path);
    }
  }

  /** The directory of the store. @internal */
  get path(): string {
    return this.#path;
  }

  /** From what the state of a retained block is made. @internal */
  wayTo(block: Block): Way {
    const record = this.#find(block);
    const records = this.#guarded(() => wayTo(this.#access, this.#database, this.#path, record));
    const [anchor, ...above] = records as [BlockRecord, ...BlockRecord[]];
    return {
      anchor: blockOf(anchor),
      above: above.map((each) => ({ block: blockOf(each), input: () => this.#inputOf(each) })),
    };
  }

  /** @internal */
  outline(): Outline {
    return this.#guarded(() => this.#access.outlineOfStore(this.#database));
  }

  /** @internal */
  override blockOf(id: string): Block {
    return blockOf(this.#find({ id } as Block));
  }

  /** @internal */
  withState<T>(block: number | Block | undefined, look: (state: Side) => T): T {
    return this.#looking(() => {
      const record = this.#find(block);
      this.#guarded(() => checkState(this.#access, this.#database, record));
      return look(this.#stored(record.root));
    });
  }

  /** Looks once more with an empty heap if there was no room beside what is kept. */
  #looking<T>(attempt: () => T): T {
    if (this.#heap.usedBytes > KEPT_BYTES) this.#heap = this.#newHeap();
    try {
      try {
        return attempt();
      } catch (error) {
        if (!(error instanceof LimitError)) throw error;
        this.#heap = this.#newHeap();
        return attempt();
      }
    } catch (error) {
      throw storeFailure(error, this.#path);
    }
  }

  /** The object with this hash. */
  #stored(hash: Buffer): Side {
    const heap = this.#heap;
    const ref = makeStub(heap, hash, 0);
    heap.words[ref * UNIT_WORDS + HEADER_STORED] = 1;
    return { heap, ref };
  }

  #newHeap(): Heap {
    const heap = new Heap(createHeap(this.#heapBytes), 1);
    heap.loader = new this.#access.DirectLoader(heap, [{ database: this.#database, bit: 1 }]);
    return heap;
  }
}
