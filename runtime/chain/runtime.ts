/**
 * Runtime: a chain of blocks over one tree of processes. What an embedder uses.
 *
 * A block is one activation of the root, from the host's resume to its next SNAPSHOT. Its state is one
 * reference into the heap, so that reverting puts a reference back and forking copies one. All work is done
 * by the pool's threads; the event loop only waits.
 *
 * Calls on one runtime queue: each begins when those before have ended, in the order they were made.
 */

import { assert, UsageError } from "../errors.ts";
import type { Ref } from "../heap/heap.ts";
import { lookAt } from "../heap/stub.ts";
import { loadProcess } from "../image/process.ts";
import type { ByteRange, Frame, TraceEvent } from "../kernel/trace.ts";
import type { Store } from "../store/store.ts";
import { type Block, makeBlock, type Retained } from "./block.ts";
import { Chain } from "./chain.ts";
import { type ChromeTrace, chromeTrace } from "./chrome.ts";
import type { Side } from "./diff.ts";
import type { BlockRun, Engine, Metrics } from "./engine.ts";
import type { BlockName, Change, History } from "./history.ts";
import {
  type BlockInput,
  checkCapacity,
  checkInput,
  checkReorg,
  type Input,
  type ProduceOptions,
  type ReorgOptions,
} from "./input.ts";
import { Journal } from "./journal.ts";
import { copyToStore, openParts, type Parts } from "./open.ts";
import { checkFork, checkOptions, type ForkOptions, integer, type RuntimeOptions } from "./options.ts";

export type { ByteRange, Frame, TraceEvent };

/** What `reorg` changed. */
export interface Reorg {
  /** Blocks of the chain that are not on it any more, newest first. */
  readonly removed: readonly Block[];
  /** Blocks that came instead, oldest first; the last is the head. */
  readonly added: readonly Block[];
  readonly head: Block;
}

/** What `prune` freed. */
export interface Pruned {
  readonly blocks: number;
  /** In the store; its file does not shrink, the space is used again. 0 without a store. */
  readonly objects: number;
  readonly bytes: number;
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
export class Runtime extends Chain {
  readonly #engine: Engine;
  readonly #journal: Journal;
  #queue: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;

  private constructor({ engine, journal }: Parts) {
    super();
    this.#engine = engine;
    this.#journal = journal;
    engine.open(this);
  }

  /**
   * Admits the programs, starts the workers and runs the root to its first SNAPSHOT, which is block 0. With a
   * store that holds blocks of the same genesis it goes on from them instead, and reads of the states what is
   * needed when it is.
   *
   * @throws UsageError (BAD_OPTION, NO_ENTRY, QUOTA), AdmissionError (E_BAD_PROGRAM), BlockFault, StoreError
   *   (STORE_LOCKED, STORE_GENESIS, STORE_VERSION, STORE_CORRUPT, STORE_READ_ONLY, STORE_FULL)
   */
  static async open(options: RuntimeOptions): Promise<Runtime> {
    return new Runtime(await openParts(checkOptions(options)));
  }

  get head(): Block {
    return this.#history.head.block;
  }

  get #history(): History {
    return this.#journal.history;
  }

  /** Where its blocks lie on disk, null: nowhere. @internal */
  get store(): Store | null {
    return this.#journal.store;
  }

  /**
   * Resumes the root with `metadata` and commits its next SNAPSHOT as a block. If it cannot, the runtime
   * stays where it is and the next block can be tried at once.
   *
   * @throws UsageError (METADATA_TOO_LONG, ENDED, CLOSED, BAD_OPTION), BlockFault, LimitError (HEAP_FULL,
   *   HOST_MEMORY), StoreError (STORE_FULL, STORE_CORRUPT, STORE_READ_ONLY, STORE_MISSING,
   *   STORE_FAILED)
   */
  async produce(metadata: Uint8Array, options: ProduceOptions = {}): Promise<Block> {
    const input = checkInput(this.#engine.settings, metadata, options);
    return this.#enqueue(async () => {
      const { entry, written } = await this.#run(this.#history, input, (made) => {
        const pushed: Change = { kind: "push", entry: made };
        return { entry: made, written: this.#journal.write([pushed, ...this.#over(this.#history, pushed)]) };
      });
      await written;
      return entry.block;
    });
  }

  /**
   * Runs a block on top of a history's head and hands it to `keep`, which must make it reachable at once. The
   * promise that `keep` gives is not waited for. `needed`: a block that is not forgotten to make room.
   */
  async #run<T extends object>(
    { head }: History,
    { metadata, gasLimit, hints, signal }: Input,
    keep: (entry: Retained) => T,
    needed: BlockName = head.block,
  ): Promise<T> {
    const { failures } = this.#journal;
    const { heap, genesis } = this.#engine;
    const { height, id } = head.block;
    const ref = this.#standingFor(head, metadata);
    this.#engine.pool.hint(hints);
    const commit = (run: BlockRun): T => {
      // The head it stands on may have turned out not to be durable.
      this.#journal.checkSince(failures);
      return keep(makeBlock(heap, genesis.id, run, height + 1, id, gasLimit));
    };
    const forget = (count: number): Promise<number> => this.#makeRoom(count, needed);
    return this.#engine.run(ref, metadata, gasLimit, signal, commit, forget);
  }

  /**
   * Forgets blocks because the heap is full, at most `count`, those first that the option "retain" would let
   * go first; never the head, nor the block that is `needed`. How many it were.
   */
  async #makeRoom(count: number, needed: BlockName): Promise<number> {
    const { retainAtLeast, onForget } = this.#engine.settings;
    const journal = this.#journal;
    await journal.flush();
    const oldest = journal.history.oldest(count, retainAtLeast).filter(({ block }) => block.id !== needed.id);
    if (oldest.length === 0) return 0;
    const changes = oldest.map(({ block }): Change => ({ kind: "forget", block }));
    await journal.write(changes, true);
    journal.forgetInDraft(oldest.map(({ block }) => block));
    onForget?.(oldest.map(({ block }) => block));
    return oldest.length;
  }

  /** The blocks that the option "retain" lets go, after these changes. */
  #over(history: History, ...changes: readonly Change[]): Change[] {
    const over = history.apply(changes).excess(this.#engine.settings.retain);
    return over.map(({ block }) => ({ kind: "forget", block }));
  }

  /** The state on which a block with this metadata can follow. */
  #standingFor({ block, ref }: Retained, metadata: Uint8Array): Ref {
    if (block.ended) {
      const { height } = block;
      throw new UsageError("ENDED", "the root has returned: no block can follow", { height });
    }
    const { heap } = this.#engine;
    checkCapacity(
      metadata,
      lookAt(heap, () => loadProcess(heap, ref).regionCapacity),
    );
    return ref;
  }

  /**
   * Goes back to a retained block: one of this chain by height, or any by its value. Blocks above stay
   * retained, so that one can return to them.
   *
   * @throws UsageError (NOT_RETAINED, CLOSED), StoreError
   */
  revert(target: number | Block): Promise<Block> {
    return this.#enqueue(async () => {
      const { block } = this.#history.find(target);
      await this.#journal.write([{ kind: "goTo", block }]);
      return block;
    });
  }

  /**
   * Goes back to a retained block and makes these blocks on top of it, all or nothing: if one of them cannot
   * be made, or written, the runtime stands where it stood before. The blocks that were left stay retained,
   * as after `revert`. With a store, all of it is durable at once.
   *
   * @throws as `revert` and `produce`
   * @example
   * ```ts
   * const blocks = [{ metadata: Uint8Array.of(4) }, { metadata: Uint8Array.of(5) }];
   * const change = await runtime.reorg({ to: 0, blocks });
   * console.log(change.added.length, change.head.height); // 2 2
   * ```
   */
  async reorg(change: ReorgOptions): Promise<Reorg> {
    const { to, inputs } = checkReorg(this.#engine.settings, change);
    return this.#enqueue(async () => {
      const journal = this.#journal;
      await journal.flush();
      const before = journal.history;
      const target = before.find(to).block;
      const changes: Change[] = [{ kind: "goTo", block: target }];
      const made: Retained[] = [];
      let draft = before.apply(changes);
      journal.draft = draft;
      for (const input of inputs) {
        const keep = (entry: Retained): { entry: Retained } => {
          const pushed: Change = { kind: "push", entry };
          changes.push(pushed);
          // To make room for it, blocks may have been forgotten since.
          draft = (journal.draft as History).apply([pushed]);
          journal.draft = draft;
          return { entry };
        };
        const { entry } = await this.#run(draft, input, keep, target);
        await journal.stage(entry);
        made.push(entry);
      }
      const removed: Block[] = [];
      for (let next: Retained | undefined = before.head; next && !draft.isOnChain(next.block); ) {
        removed.push(next.block);
        next = before.parent(next);
      }
      const added = made.flatMap(({ block }) => (before.isOnChain(block) ? [] : [block]));
      await journal.write([...changes, ...this.#over(draft)], true);
      return { removed, added, head: this.head };
    });
  }

  /**
   * Keeps a retained block beyond what the option "retain" says, until it is unpinned. Pinned blocks do not
   * count there. Once those above it are gone, it is named by its value.
   *
   * @throws UsageError (NOT_RETAINED, CLOSED), StoreError
   */
  pin(block: number | Block): Promise<void> {
    return this.#setPinned(block, true);
  }

  /** The opposite of `pin`: the block may be pruned. */
  unpin(block: number | Block): Promise<void> {
    return this.#setPinned(block, false);
  }

  #setPinned(block: number | Block, pinned: boolean): Promise<void> {
    return this.#enqueue(async () => {
      const kind = pinned ? "pin" : "unpin";
      await this.#journal.write([{ kind, block: this.#history.find(block).block }]);
    });
  }

  /**
   * Forgets all but the newest `keep` blocks, those of this chain before others, and what is pinned; frees
   * their space, in memory and in the store, and says how much that was in the store.
   *
   * @throws UsageError (CLOSED, BAD_OPTION), StoreError
   * @example
   * ```ts
   * await runtime.pin(0);
   * for (let i = 0; i < 3; i++) await runtime.produce(Uint8Array.of(i));
   * console.log((await runtime.prune(1)).blocks); // 2
   * console.log(runtime.retained().map(({ height }) => height).join()); // 0,3
   * ```
   */
  async prune(keep = this.#engine.settings.retain): Promise<Pruned> {
    const limit = integer({ keep }, "keep", this.#engine.settings.retain, 1, 1 << 30);
    return this.#enqueue(async () => {
      await this.#journal.flush();
      const over = this.#history.excess(limit);
      const forgotten = over.map(({ block }): Change => ({ kind: "forget", block }));
      if (over.length > 0) await this.#journal.write(forgotten, true);
      this.#journal.draft = null;
      const freed = await this.#journal.sweep();
      if (freed === null) await this.#engine.collect();
      return { blocks: over.length, objects: freed?.objects ?? 0, bytes: freed?.bytes ?? 0 };
    });
  }

  /**
   * Resolves when all blocks so far are on the disk; at once without a store.
   *
   * @throws StoreError: what could not be written; the runtime stands at the last durable block
   */
  flush(): Promise<void> {
    return this.#enqueue(() => this.#journal.flush());
  }

  /**
   * An independent runtime that stands at the same block and has the same retained blocks. It shares threads
   * and memory; close both. With a store of its own it is durable as well; else it lives in memory.
   *
   * @throws UsageError (CLOSED, BAD_OPTION, STORE_NOT_EMPTY), StoreError
   * @example
   * ```ts
   * const branch = await runtime.fork();
   * await branch.produce(Uint8Array.of(1));
   * console.log(branch.head.height, runtime.head.height); // 1 0
   * await branch.close();
   * ```
   */
  async fork(options: ForkOptions = {}): Promise<Runtime> {
    const place = checkFork(options);
    return this.#enqueue(async () => {
      const engine = this.#engine;
      if (place === null) {
        return new Runtime({ engine, journal: new Journal(engine, this.#history, null, "block") });
      }
      await this.#journal.flush();
      return new Runtime({ engine, journal: await copyToStore(engine, this.#history, place) });
    });
  }

  blocks(): readonly Block[] {
    return this.#history.chain().map(({ block }) => block);
  }

  retained(): readonly Block[] {
    return this.#history.all().map(({ block }) => block);
  }

  /**
   * Waits for what is in progress, and for the disk, and releases the threads, with the last runtime of those
   * that share them. A store that one of these may still need is released with that. Blocks can be looked at
   * afterwards as far as they are in memory, and no other runtime goes on in it.
   *
   * @throws StoreError: what could not be written, unless `flush` or another call has said so; it is closed
   *   all the same
   */
  close(): Promise<void> {
    this.#closing ??= this.#queue.then(() => this.#journal.close()).finally(() => this.#engine.close(this));
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Every activation and call of a retained block, in the order of a run on one thread, and of every fault
   * the stack of functions with source lines. The block is run once more for it, from the block before, which
   * must be retained too. Or of a block that is only tried: given what `produce` would be given, it is run on
   * the newest block and forgotten; that tells why it failed.
   *
   * @throws UsageError (NOT_RETAINED, CLOSED; for an input as `produce`)
   * @example
   * ```ts
   * const events = await runtime.trace();
   * console.log(events[0].what, events.at(-1).status); // begin snapshot
   * const tried = await runtime.trace({ metadata: Uint8Array.of(7) });
   * console.log(formatFaults(tried).length); // 0
   * ```
   */
  async trace(block: number | Block | BlockInput = this.head): Promise<readonly TraceEvent[]> {
    if (typeof block === "object" && block !== null && "metadata" in block) {
      const { metadata, ...options } = block;
      const input = checkInput(this.#engine.settings, metadata, options);
      return this.#enqueue(async () => {
        const start = this.#standingFor(this.#history.head, input.metadata);
        return (await this.#engine.trace(start, input.metadata, input.gasLimit)).events;
      });
    }
    return this.#enqueue(async () => {
      const { genesis } = this.#engine;
      const entry = this.#history.find(block);
      const { height, parent } = entry.block;
      const start =
        height === 0
          ? genesis.start.ref
          : this.#history.find({ ...entry.block, id: parent, height: height - 1 }).ref;
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

  /** References that a collection must keep. @internal */
  roots(): Iterable<Ref> {
    return this.#journal.roots();
  }

  get genesis(): string {
    return this.#engine.genesis.id.toString("hex");
  }

  /** @internal */
  withState<T>(block: number | Block | undefined, look: (state: Side) => T): T {
    const { heap } = this.#engine;
    return lookAt(heap, () => look({ heap, ref: this.refOf(block === undefined ? this.head : block) }));
  }

  /**
   * The state of a retained block, as a reference into the heap.
   *
   * @internal
   * @throws UsageError (NOT_RETAINED)
   */
  refOf(block: number | Block): Ref {
    // Once it is closed, the collections of others do not keep its blocks any more.
    if (this.#closing !== null && this.#engine.inUse) throw new UsageError("CLOSED", "the runtime is closed");
    return this.#history.find(block).ref;
  }

  /**
   * Counts since the runtime was opened, and the memory it takes: for dashboards and alarms. Forks share
   * them.
   *
   * @example
   * ```ts
   * const { blocks, heapUsedBytes, heapLimitBytes, batches } = runtime.metrics();
   * console.log(blocks, heapUsedBytes / heapLimitBytes, batches.parallel / batches.items);
   * ```
   */
  metrics(): Metrics {
    return this.#engine.metrics;
  }

  /** The engine, for tests that kill workers or look at the heap. @internal */
  get engine(): Engine {
    return this.#engine;
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing !== null) return Promise.reject(new UsageError("CLOSED", "the runtime is closed"));
    const result = this.#queue.then(() => {
      const journal = this.#journal;
      // What could not be written since the last call is said before anything builds on it.
      journal.check();
      // What the call looks at stays, also if it turns out not to be durable.
      journal.draft = journal.history;
      return work().finally(() => {
        journal.draft = null;
      });
    });
    this.#queue = result.catch(() => {});
    return result;
  }
}
