/**
 * Runtime: a chain of blocks over one tree of processes. What an embedder uses.
 *
 * A block is one activation of the root, from the host's resume to its next SNAPSHOT. Its state is one
 * reference into the heap, so that reverting puts a reference back and forking copies one. All work is done
 * by the pool's threads; the event loop only waits.
 *
 * Calls on one runtime queue: each begins when those before have ended, in the order they were made.
 */

import { createHash } from "node:crypto";
import * as abi from "../../syscalls/abi.ts";
import { assert, StillpointError, UsageError } from "../errors.ts";
import { createHeap, type Ref } from "../heap/heap.ts";
import { HASH_BLOCK, HASH_VERSION, hashOf } from "../image/hash.ts";
import { loadProcess, type Process, publishProcess } from "../image/process.ts";
import { FAULT_NAMES } from "../kernel/faults.ts";
import type { TraceEvent } from "../kernel/trace.ts";
import { GAS_LIMIT } from "../limits.ts";
import { ProgramCache } from "../program/cache.ts";
import { proveRange } from "../proof/prove.ts";
import { mainHeap, Pool } from "../worker/pool.ts";
import { createTimeline } from "../worker/timeline.ts";
import { type ChromeTrace, chromeTrace } from "./chrome.ts";
import { type Diff, type DiffOptions, diffLimit, diffProcesses } from "./diff.ts";
import { type BlockRun, Engine } from "./engine.ts";
import { makeGenesis } from "./genesis.ts";
import { inspectProcess, type ProcessView, readProcess } from "./inspect.ts";
import { checkOptions, integer, type RuntimeOptions, unknownOption } from "./options.ts";

export type { TraceEvent };

/**
 * A committed block: a value that stays valid, also after reverts; `revert` takes it as long as it is
 * retained.
 */
export interface Block {
  /** 0 for the block that `open` makes. */
  readonly height: number;
  /**
   * SHA-256 over genesis, height, parent, root, data, metadata and budget, in hex: the same on every replica.
   */
  readonly id: string;
  /** Id of the block before; the genesis id for block 0. */
  readonly parent: string;
  /** SHA-256 root of the process tree, in hex. */
  readonly root: string;
  /** The bytes that the root gave to SNAPSHOT. */
  readonly data: Uint8Array;
  /**
   * Gas that left the root's counter and did not come back; negative if more came back than left, from
   * children that were started in earlier blocks.
   */
  readonly gasUsed: number;
  /** Whether the root returned: no block can follow. */
  readonly ended: boolean;
}

/** The root faulted: there is no block, and the runtime stands where it stood before. */
export class BlockFault extends StillpointError {
  constructor(fault: string, process: Process, text: string) {
    const { line, column, gasUsed } = process;
    const place = line === 0 ? "" : ` (${line}:${column})`;
    const advice = fault === "out-of-gas" ? ". Give the block more gas or less to do" : "";
    super("BLOCK_FAULT", `the root faulted: ${fault}${text === "" ? "" : `: ${text}${place}`}${advice}`, {
      fault,
      text,
      line,
      column,
      gasUsed,
    });
  }
}

/** Options of one block. */
export interface ProduceOptions {
  /** Gas of this block; default: that of `open`. */
  readonly gasLimit?: number;
}

interface Retained {
  readonly block: Block;
  readonly ref: Ref;
  /** The BLOB of its metadata; 0 for block 0. */
  readonly metadata: Ref;
  readonly budget: number;
}

/**
 * A running tree of processes.
 *
 * @example
 * ```ts
 * const runtime = await Runtime.open({ root: await compileGuest("root.ts") });
 * const block = await runtime.produce(new Uint8Array([1, 2, 3]));
 * console.log(block.height, block.root);
 * await runtime.revert(0);
 * await runtime.close();
 * ```
 */
export class Runtime {
  readonly #engine: Engine;
  readonly #retained = new Map<string, Retained>();
  #chain: string[] = [];
  #queue: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;

  private constructor(engine: Engine, retained: Iterable<Retained>, chain: readonly string[]) {
    this.#engine = engine;
    for (const entry of retained) this.#retained.set(entry.block.id, entry);
    this.#chain = [...chain];
    engine.open(this);
  }

  /**
   * Admits the programs, starts the workers and runs the root to its first SNAPSHOT, which is block 0.
   *
   * @throws UsageError (BAD_OPTION, NO_ENTRY, QUOTA), AdmissionError (E_BAD_PROGRAM), BlockFault
   */
  static async open(options: RuntimeOptions): Promise<Runtime> {
    const settings = checkOptions(options);
    const handle = createHeap(settings.heapBytes);
    const heap = mainHeap(handle);
    const genesis = await makeGenesis(heap, settings, new ProgramCache(settings.programCache));
    const pool = new Pool(handle, genesis.programs, settings.workers, createTimeline(settings.timeline));
    const engine = new Engine(pool, genesis, settings);
    try {
      const start = publishProcess(pool.heap, genesis.start);
      return await engine.run(start, null, settings.gasLimit, (run) => {
        const first = commit(engine, run, 0, genesis.id.toString("hex"), new Uint8Array(), settings.gasLimit);
        return new Runtime(engine, [first], [first.block.id]);
      });
    } catch (error) {
      await pool.close();
      throw error;
    }
  }

  /** The latest block. */
  get head(): Block {
    return this.#headEntry().block;
  }

  /**
   * Resumes the root with `metadata` and commits its next SNAPSHOT as a block. If it cannot, the runtime
   * stays where it is and the next block can be tried at once.
   *
   * @throws UsageError (METADATA_TOO_LONG, ENDED, CLOSED, BAD_OPTION), BlockFault, LimitError (HEAP_FULL,
   *   HOST_MEMORY)
   */
  async produce(metadata: Uint8Array, options: ProduceOptions = {}): Promise<Block> {
    for (const name of Object.keys(options)) {
      if (name !== "gasLimit") throw unknownOption(name, ["gasLimit"]);
    }
    const budget = integer(options, "gasLimit", this.#engine.settings.gasLimit, 0, GAS_LIMIT);
    if (!(metadata instanceof Uint8Array)) {
      throw new UsageError("BAD_ARGUMENT", `metadata must be a Uint8Array, got ${typeof metadata}`);
    }
    // The caller may use its array again at once.
    return this.#produce(metadata.slice(), budget);
  }

  #produce(metadata: Uint8Array, budget: number): Promise<Block> {
    return this.#enqueue(async () => {
      const head = this.#headEntry();
      if (head.block.ended)
        throw new UsageError("ENDED", "the root has returned: no block can follow", {
          height: head.block.height,
        });
      const capacity = loadProcess(this.#engine.heap, head.ref).regionCapacity;
      if (metadata.length > capacity) {
        throw new UsageError(
          "METADATA_TOO_LONG",
          `metadata of ${metadata.length} bytes does not fit into the root's region of ${capacity} bytes`,
          { length: metadata.length, capacity },
        );
      }
      return this.#engine.run(head.ref, metadata, budget, (run) => {
        const entry = commit(this.#engine, run, head.block.height + 1, head.block.id, metadata, budget);
        this.#retained.set(entry.block.id, entry);
        this.#chain.push(entry.block.id);
        this.#prune();
        return entry.block;
      });
    });
  }

  /**
   * Goes back to a retained block: one of this chain by height, or any by its value. Blocks above stay
   * retained, so that one can return to them.
   *
   * @throws UsageError (NOT_RETAINED, CLOSED)
   */
  revert(target: number | Block): Promise<Block> {
    return this.#enqueue(async () => {
      const entry = this.#find(target);
      const at = entry.block.height - this.#chainBase();
      if (this.#chain[at] === entry.block.id) {
        this.#chain.length = at + 1;
        return entry.block;
      }
      const chain: string[] = [];
      for (let next: Retained | undefined = entry; next; next = this.#retained.get(next.block.parent)) {
        chain.push(next.block.id);
      }
      this.#chain = chain.reverse();
      return entry.block;
    });
  }

  /**
   * An independent runtime that stands at the same block and has the same retained blocks. It shares threads
   * and memory; close both.
   */
  fork(): Promise<Runtime> {
    return this.#enqueue(async () => new Runtime(this.#engine, this.#retained.values(), this.#chain));
  }

  /** The blocks of this chain that are retained, ascending; the last is the head. */
  blocks(): readonly Block[] {
    return this.#chain.map((id) => (this.#retained.get(id) as Retained).block);
  }

  /**
   * What the process at `path` (child numbers from the root; empty: the root) looks like in the latest block
   * or another retained one, null if there is none.
   *
   * @throws UsageError (NOT_RETAINED)
   * @example
   * ```ts
   * const root = runtime.inspect([]);
   * console.log(root.status, root.memoryBytes, root.children);
   * console.log(runtime.inspect([], 0).hash === runtime.blocks()[0].root); // true
   * ```
   */
  inspect(path: readonly number[], block: number | Block = this.head): ProcessView | null {
    return inspectProcess(this.#engine.heap, this.refOf(block), path);
  }

  /**
   * Copies `length` bytes at `address` of the memory of the process at `path`, as of the latest block or
   * another retained one.
   *
   * @throws UsageError (NO_PROCESS, RANGE, NOT_RETAINED)
   */
  read(
    path: readonly number[],
    address: number,
    length: number,
    block: number | Block = this.head,
  ): Uint8Array {
    return readProcess(this.#engine.heap, this.refOf(block), path, address, length);
  }

  /**
   * A proof of what `length` bytes at `address` of the process at `path` are, in the latest block or another
   * retained one; or that there is no such process, or that the range is not inside its memory. Whoever knows
   * the block's `root` verifies it with `verify`, of this package or of `stillpoint/proof`. It is about 1 KiB
   * for each level of the tree, and the pages that the range lies in.
   *
   * @throws UsageError (BAD_ARGUMENT, NOT_RETAINED)
   * @example
   * ```ts
   * const proof = runtime.prove([], 1024, 8);
   * const statement = verify(runtime.head.root, proof);
   * assert.deepEqual(statement.bytes, runtime.read([], 1024, 8));
   * ```
   */
  prove(
    path: readonly number[],
    address: number,
    length: number,
    block: number | Block = this.head,
  ): Uint8Array {
    return proveRange(this.#engine.heap, this.refOf(block), path, address, length);
  }

  /**
   * What differs between two retained blocks: processes, and ranges of their memories. Costs what differs,
   * not what there is.
   *
   * @throws UsageError (NOT_RETAINED, BAD_OPTION)
   * @example
   * ```ts
   * const before = runtime.head;
   * const after = await runtime.produce(Uint8Array.of(7));
   * for (const difference of runtime.diff(before, after).differences) {
   *   if (difference.kind === "memory") console.log(difference.path, difference.address, difference.length);
   * }
   * ```
   */
  diff(a: number | Block, b: number | Block, options: DiffOptions = {}): Diff {
    const { heap } = this.#engine;
    return diffProcesses({ heap, ref: this.refOf(a) }, { heap, ref: this.refOf(b) }, diffLimit(options));
  }

  /**
   * Waits for what is in progress and releases the threads, with the last runtime of those that share them.
   */
  close(): Promise<void> {
    this.#closing ??= this.#queue.then(() => this.#engine.close(this));
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Every activation and call of a retained block, in the order of a run on one thread. The block is run once
   * more for it, from the block before, which must be retained too.
   *
   * @throws UsageError (NOT_RETAINED, CLOSED)
   * @example
   * ```ts
   * const events = await runtime.trace();
   * console.log(events[0].what, events.at(-1).status); // begin snapshot
   * ```
   */
  trace(block: number | Block = this.head): Promise<readonly TraceEvent[]> {
    return this.#enqueue(async () => {
      const { heap, genesis } = this.#engine;
      const entry = this.#find(block);
      const first = entry.block.height === 0;
      const start = first
        ? publishProcess(heap, genesis.start.copy())
        : this.#find({ ...entry.block, id: entry.block.parent, height: entry.block.height - 1 }).ref;
      const { root, events } = await this.#engine.trace(start, entry.metadata, entry.budget);
      assert(root === entry.block.root, "trace: the block came out differently");
      return events;
    });
  }

  /**
   * When and on which thread activations ran since `open`, of this runtime and its forks: the contents of a
   * trace file for chrome://tracing or ui.perfetto.dev. Other than `trace` it differs from run to run. Needs
   * the option `timeline`; changes no result.
   *
   * @throws UsageError (NO_TIMELINE)
   * @example
   * ```ts
   * const timed = await Runtime.open({ root: await compileGuest("root.ts"), timeline: 10_000 });
   * const events = timed.timeline().traceEvents.filter((event) => event.ph === "X");
   * console.log(events[0].name, events[0].cat); // / block
   * await timed.close();
   * ```
   */
  timeline(): ChromeTrace {
    const { timeline } = this.#engine.pool;
    if (timeline !== null) return chromeTrace(timeline);
    throw new UsageError("NO_TIMELINE", 'open the runtime with the option "timeline": 100000 records, say');
  }

  /** References that a collection must keep. */
  *roots(): Iterable<Ref> {
    for (const entry of this.#retained.values()) {
      yield entry.ref;
      yield entry.metadata;
    }
  }

  /**
   * The state of a retained block, as a reference into the heap.
   *
   * @throws UsageError (NOT_RETAINED)
   */
  refOf(block: number | Block): Ref {
    // Once it is closed, the collections of others do not keep its blocks any more.
    if (this.#closing !== null && this.#engine.inUse) throw new UsageError("CLOSED", "the runtime is closed");
    return this.#find(block).ref;
  }

  /** The engine, for tests that kill workers or look at the heap. */
  get engine(): Engine {
    return this.#engine;
  }

  #headEntry(): Retained {
    return this.#retained.get(this.#chain.at(-1) as string) as Retained;
  }

  /** A retained block: of this chain by height, or any by its value. */
  #find(target: number | Block): Retained {
    const id = typeof target === "number" ? this.#chain[target - this.#chainBase()] : target?.id;
    const entry = id === undefined ? undefined : this.#retained.get(id);
    if (entry !== undefined) return entry;
    const name = typeof target === "number" ? `height ${target}` : `block ${id}`;
    const heights = `${this.#chainBase()} to ${this.head.height}`;
    throw new UsageError(
      "NOT_RETAINED",
      `${name} is not retained: this chain holds heights ${heights}. ` +
        'The option "retain" says how many blocks are kept',
      { target: typeof target === "number" ? target : (id ?? null) },
    );
  }

  #chainBase(): number {
    return (this.#retained.get(this.#chain[0] as string) as Retained).block.height;
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing !== null) return Promise.reject(new UsageError("CLOSED", "the runtime is closed"));
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }

  /**
   * Forgets what is over the limit: blocks of branches that were left, oldest first, then the oldest of the
   * chain.
   */
  #prune(): void {
    const excess = this.#retained.size - this.#engine.settings.retain;
    if (excess <= 0) return;
    const onChain = new Set(this.#chain);
    const left = [...this.#retained.keys()].filter((id) => !onChain.has(id));
    for (const id of [...left, ...this.#chain].slice(0, excess)) this.#retained.delete(id);
    const base = this.#chain.findLastIndex((id) => !this.#retained.has(id));
    if (base >= 0) this.#chain.splice(0, base + 1);
  }
}

/** The block that an activation of the root ended with. */
function commit(
  engine: Engine,
  run: BlockRun,
  height: number,
  parent: string,
  metadata: Uint8Array,
  budget: number,
): Retained {
  const { heap } = engine;
  const process = loadProcess(heap, run.result);
  const text = process.text === 0 ? new Uint8Array() : new Uint8Array(heap.payload(process.text));
  if (process.status === abi.STATUS_FAULTED) {
    throw new BlockFault(FAULT_NAMES[process.fault] as string, process, Buffer.from(text).toString("utf8"));
  }
  const root = hashOf(heap, run.result);
  const numbers = Buffer.alloc(16);
  numbers.writeBigUInt64LE(BigInt(height), 0);
  numbers.writeBigUInt64LE(BigInt(budget), 8);
  const id = createHash("sha256")
    .update(Buffer.from([HASH_BLOCK, HASH_VERSION]))
    .update(engine.genesis.id)
    .update(numbers)
    .update(Buffer.from(parent, "hex"))
    .update(root)
    .update(createHash("sha256").update(text).digest())
    .update(createHash("sha256").update(metadata).digest())
    .digest("hex");
  const block: Block = Object.freeze({
    height,
    id,
    parent,
    root: Buffer.from(root).toString("hex"),
    data: text,
    gasUsed: process.gasUsed,
    ended: process.status === abi.STATUS_ENDED,
  });
  return { block, ref: run.result, metadata: run.metadata, budget };
}
