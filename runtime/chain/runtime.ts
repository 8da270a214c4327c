/**
 * Runtime: a chain of blocks over one tree of processes. What an embedder uses.
 *
 * A block is one activation of the root, from the host's resume to its next SNAPSHOT. Its state is one
 * reference into the heap, so that reverting puts a reference back and forking copies one. All work is done
 * by the pool's threads; the event loop only waits.
 *
 * Calls on one runtime queue: each begins when those before have ended, in the order they were made. Those
 * that change nothing of the history, `execute` and `fork` with "at", begin at once.
 */

import { checkNames, flag } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import type { Ref } from "../heap/heap.ts";
import { lookAt } from "../heap/stub.ts";
import type { Rules } from "../image/rules.ts";
import type { ArchivedBlock } from "./archive.ts";
import { type Block, inputOf, type Retained, retainedHeader } from "./block.ts";
import type { Candidate } from "./candidates.ts";
import { Chain, type Outline, type Side } from "./chain.ts";
import type { RetainedInput } from "./change.ts";
import { type ChromeTrace, chromeTrace } from "./chrome.ts";
import type { Engine, Metrics } from "./engine.ts";
import type { EventStream } from "./events.ts";
import type { Change, History } from "./history.ts";
import {
  checkExecute,
  checkInput,
  checkReorg,
  checkSignal,
  type ExecuteOptions,
  type ProduceOptions,
  type ReorgOptions,
} from "./input.ts";
import type { Journal } from "./journal.ts";
import { Maker, type Pruned, type Reorg } from "./maker.ts";
import { forked, openParts, type Parts } from "./open.ts";
import {
  type CloseOptions,
  checkFork,
  checkOptions,
  checkPrune,
  type ForkOptions,
  type PruneOptions,
  type RuntimeOptions,
} from "./options.ts";
import { Queue } from "./queue.ts";
import type { Trace, View } from "./results.ts";
import { checkTraced, type TriedBlock, traceBlock } from "./trace.ts";
import { type CallOptions, checkCall, Views } from "./views.ts";

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
  readonly #maker: Maker;
  readonly #views: Views;
  readonly #queue: Queue;
  #closing: Promise<void> | null = null;

  private constructor({ engine, journal }: Parts) {
    super();
    this.#engine = engine;
    this.#journal = journal;
    this.#queue = new Queue(engine.settings.queueLimit, engine.pool.alive);
    this.#maker = new Maker(engine, journal, this.#queue.signal);
    this.#views = new Views(engine, journal);
    engine.open(journal);
  }

  /**
   * Admits the programs, starts the workers and runs the root to its first SNAPSHOT, which is block 0. With a
   * store that holds blocks of the same genesis it continues from them instead, and reads of the states what
   * is needed when it is.
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

  /**
   * Resumes the root with `metadata` and commits its next SNAPSHOT as a block. If it cannot, the runtime
   * stays where it is and the next block can be tried at once.
   *
   * @throws UsageError (METADATA_TOO_LONG, ENDED, CLOSED, BAD_OPTION), BlockFault, LimitError, StoreError;
   *   with `rules` AdmissionError, UsageError (E_STATE, QUOTA, MIGRATION_FAULT, RULES_UNKNOWN) as well
   */
  async produce(metadata: Uint8Array, options: ProduceOptions = {}): Promise<Block> {
    const input = checkInput(metadata, options);
    const called = performance.now();
    return this.#enqueue(() => this.#maker.produce(input, called));
  }

  /**
   * Runs a block, as `produce` does, that is a candidate then: neither the head nor durable. Any number can
   * run side by side, beside other calls and on top of each other; none waits for the calls before. What
   * `commit` makes of a candidate is the block that `produce` would have made.
   *
   * @throws as `produce`; UsageError (NOT_RETAINED), LimitError (TOO_MANY_CANDIDATES)
   * @example
   * ```ts
   * const proposals = await Promise.all([1, 2].map((n) => runtime.execute(Uint8Array.of(n))));
   * const next = await runtime.execute(Uint8Array.of(3), { on: proposals[1] });
   * await runtime.commit(proposals[1]);
   * await runtime.commit(next);
   * await runtime.release(proposals[0]);
   * console.log(runtime.head.height, runtime.head.id === next.id); // 2 true
   * ```
   */
  async execute(metadata: Uint8Array, options: ExecuteOptions = {}): Promise<Candidate> {
    const { on = this.head, input } = checkExecute(metadata, options);
    return this.#queue.atOnce(async () => {
      const { candidates } = this.#journal;
      const base = candidates.enter(on);
      try {
        await this.#journal.recompute(base.entry, input.signal);
        return await this.#maker.execute(base, input, (count) =>
          this.#enqueue(() => this.#maker.makeRoom(count, candidates.groundOf(base))),
        );
      } finally {
        candidates.leave(base);
      }
    });
  }

  /**
   * Makes a candidate the head, and durable, without running it again. What stands on it stays. If it cannot
   * be written it is a candidate as before.
   *
   * @throws UsageError (STALE: it does not stand on the head, NOT_RETAINED, CLOSED, BAD_ARGUMENT), StoreError
   */
  commit(candidate: Candidate): Promise<Block> {
    return this.#enqueue(() => this.#maker.commit(candidate));
  }

  /** Lets go of a candidate, and of those that stand on it; does nothing if it was committed or released. */
  async release(candidate: Candidate): Promise<void> {
    this.#journal.candidates.release(candidate);
  }

  /**
   * Goes back to a retained block: one of this chain by height, or any by its value. Blocks above stay
   * retained, so that one can return to them.
   *
   * @throws UsageError (NOT_RETAINED, CLOSED), StoreError
   */
  revert(target: number | Block): Promise<Block> {
    return this.#enqueue(async () => {
      const entry = this.#history.find(target);
      const { block } = entry;
      await this.#journal.withState(entry, null, () => this.#journal.write([{ kind: "goTo", block }]));
      return block;
    });
  }

  /**
   * Goes back to a retained block and makes these blocks on top of it, or commits candidates, all or nothing:
   * if one of them cannot be made, or written, the runtime stands where it stood before. The blocks that were
   * left stay retained, as after `revert`. With a store, all of it is durable at once.
   *
   * @throws as `revert`, `produce` and `commit`; what one of the blocks cannot be made of has its `index` and
   *   its `height` in the facts
   * @example
   * ```ts
   * const blocks = [{ metadata: Uint8Array.of(4) }, { metadata: Uint8Array.of(5) }];
   * const change = await runtime.reorg({ to: 0, blocks });
   * console.log(change.added.length, change.head.height); // 2 2
   * ```
   */
  async reorg(change: ReorgOptions): Promise<Reorg> {
    const { to, inputs } = checkReorg(change);
    return this.#enqueue(() => this.#maker.reorg(to, inputs));
  }

  /**
   * Keeps a retained block beyond what "retainBlocks" says, until it is unpinned. Pinned blocks do not
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
   * Forgets all but the newest `keep` blocks, those of this chain before others, or all below a height; not
   * the head, nor what is pinned. Frees their space, in memory and in the store, and says how much that was
   * in the store.
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
  async prune(keep: number | PruneOptions = this.#engine.settings.retainBlocks): Promise<Pruned> {
    const what = checkPrune(keep);
    return this.#enqueue(async () => {
      const history = this.#history;
      const over = "keep" in what ? history.excess(what.keep) : history.beneath(what.below);
      const forgotten = over.map(({ block }): Change => ({ kind: "forget", block }));
      if (over.length > 0) await this.#journal.write(forgotten);
      this.#journal.draft = null;
      const freed = await this.#journal.sweep();
      if (freed === null) await this.#engine.collect();
      const pruned = { blocks: over.length, objects: freed?.objects ?? 0, bytes: freed?.bytes ?? 0 };
      this.#journal.events.emit("prune", this.head, pruned);
      return pruned;
    });
  }

  /**
   * Resolves when the states of all blocks so far are in the store, where readers and exports find them; at
   * once without one. No block is lost if it rejects. With "logged" this happens by itself, as the option
   * "checkpointMs" says.
   *
   * @throws StoreError
   */
  async checkpoint(): Promise<void> {
    await this.#enqueue(() => this.#journal.checkpoint());
  }

  /**
   * Makes the state of a retained block again if it is neither in memory nor in the store, by running blocks
   * from the nearest below whose state is; beside production. What takes time does this by itself; `read`,
   * `inspect`, `prove` and others like them throw NO_STATE. With "logged" states between checkpoints are not
   * stored, and dropped where memory is short.
   *
   * @throws UsageError (NOT_RETAINED, CANCELLED, CLOSED), StoreError (STORE_DIVERGED, STORE_CORRUPT)
   * @example
   * ```ts
   * await runtime.recompute(0, { signal: AbortSignal.timeout(60_000) });
   * console.log(runtime.inspect([], 0).hash === runtime.blocks()[0].root); // true
   * ```
   */
  async recompute(block: number | Block, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const signal = checkSignal(options);
    await this.#queue.atOnce(() => this.#journal.recompute(this.#find(block), signal));
  }

  /**
   * An independent runtime that stands at the same block, or at another, and has the same retained blocks, or
   * the newest of them, and no candidates. It shares threads and memory; close both. With a store of its own
   * it is durable as well; else it lives in memory.
   *
   * @throws UsageError (CLOSED, BAD_OPTION, STORE_NOT_EMPTY; NOT_RETAINED), StoreError
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
    const { at, blocks } = options;
    const engine = this.#engine;
    const journal = this.#journal;
    const fork = async (all: History): Promise<Runtime> => {
      const history = blocks === undefined ? all : all.newest(blocks);
      return new Runtime(await forked(engine, journal, history, place));
    };
    if (at === undefined) return this.#enqueue(() => fork(this.#history));
    return this.#queue.atOnce(() =>
      journal.withState(journal.find(at), null, () => fork(journal.historyAt(at))),
    );
  }

  /**
   * What happens from now on, as EventFields lists it: to blocks, candidates, store, heap and threads. Ends
   * when the runtime is closed. The runtime does not wait for the reader, which may be late by 10,000 events;
   * then the oldest are left out, and an event says how many.
   *
   * @example
   * ```ts
   * const events = runtime.events();
   * await runtime.produce(Uint8Array.of(1));
   * await runtime.close();
   * for await (const { kind, height } of events) console.log(kind, height); // commit 1
   * ```
   */
  events(): EventStream {
    return this.#journal.events.open();
  }

  input(block: number | Block = this.head): RetainedInput {
    return inputOf(this.#engine.heap, this.#find(block));
  }

  rules(block: number | Block = this.head): Rules {
    return this.#find(block).rules.rules;
  }

  programBytes(program: string): Uint8Array {
    return this.#engine.rulebook.bytesOf(program);
  }

  archived(target: number | string): Promise<ArchivedBlock | null> {
    return this.#queue.atOnce(() => this.#journal.archived(target));
  }

  blockHeader(block: number | Block = this.head): Uint8Array {
    const { heap, genesis } = this.#engine;
    return lookAt(heap, () => retainedHeader(heap, genesis.id, this.#find(block)));
  }

  /**
   * Runs an entry of the process at `path` as it is at the end of a block, beside the blocks in progress, and
   * drops its changes: a view. guest/README.md says where its input and output are.
   *
   * @throws UsageError (NOT_RETAINED, NO_PROCESS, NO_ENTRY, NO_VIEWS, RANGE, CANCELLED, CLOSED, BAD_…),
   *   LimitError (TOO_MANY_VIEWS, VIEW_INTERRUPTED, HEAP_FULL, HOST_MEMORY, WORKERS_DIED), StoreError
   * @example
   * ```ts
   * const { status, code } = await runtime.call([], "preview", { input: Uint8Array.of(3, 4) });
   * console.log(status, code === 7n, runtime.head.height); // returned true 0
   * ```
   */
  async call(path: readonly number[], entry: string, options: CallOptions = {}): Promise<View> {
    const call = checkCall(path, entry, options);
    return this.#queue.atOnce(() => this.#views.run(this.#find(call.block ?? this.head), call));
  }

  blocks(): readonly Block[] {
    return this.#history.chain().map(({ block }) => block);
  }

  retained(): readonly Block[] {
    return this.#history.all().map(({ block }) => block);
  }

  /**
   * Waits for what is in progress, or gives it up with `cancel`, and for the disk, releases candidates and,
   * with the last runtime of those that share them, the threads. A store that one of these may still need is
   * released with that. Blocks in memory can be looked at afterwards.
   *
   * @throws StoreError; it is closed all the same
   */
  async close(options: CloseOptions = {}): Promise<void> {
    checkNames(options, ["cancel"]);
    this.#queue.close(flag(options, "cancel") ? new Error("the runtime is being closed") : null);
    this.#closing ??= this.#engine.pool.alive.until(this.#close());
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await this.#queue.ended();
      await this.#journal.close();
    } finally {
      await this.#engine.close(this.#journal);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Every activation and call of a retained block or candidate, in the order of a run on one thread, and of
   * every fault the stack with source lines. The block is run once more for it, from the block before, which
   * must be there too. Or of a block that is only tried: given what `produce` would be given, and perhaps on
   * which block, it is run and forgotten. That shows why it fails, or its root and data.
   * A signal gives it up.
   *
   * @throws UsageError (NOT_RETAINED, CLOSED, CANCELLED; for an input as `produce`)
   * @example
   * ```ts
   * const { events } = await runtime.trace();
   * console.log(events[0].what, events.at(-1).status); // begin snapshot
   * const tried = await runtime.trace({ metadata: Uint8Array.of(7), on: 0 });
   * console.log(formatFaults(tried).length, tried.data.length); // 0 8
   * ```
   */
  async trace(
    block: number | Block | TriedBlock = this.head,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Trace> {
    const traced = checkTraced(block, options);
    return this.#enqueue(() => traceBlock(this.#engine, this.#journal, this.#maker, traced));
  }

  /**
   * When and on which thread activations ran since `open`, of this runtime and its forks: a trace file for
   * chrome://tracing or ui.perfetto.dev. Needs the option `debug.timelineRecords`; changes no result.
   *
   * @throws UsageError (NO_TIMELINE)
   * @example
   * ```ts
   * const debug = { timelineRecords: 10_000 };
   * const timed = await Runtime.open({ root: await compileGuest("root.ts"), debug });
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

  get genesis(): string {
    return this.#engine.genesis.id.toString("hex");
  }

  get origin(): string | null {
    return this.#engine.genesis.origin;
  }

  /** @internal */
  outline(): Outline {
    return this.#journal.outline();
  }

  /** @internal */
  withState<T>(block: number | Block | undefined, look: (state: Side) => T): T {
    const { heap } = this.#engine;
    return lookAt(heap, () => look({ heap, ref: this.refOf(block === undefined ? this.head : block) }));
  }

  /** The state of a retained block or a candidate, as a reference into the heap. @internal */
  refOf(block: number | Block): Ref {
    return this.#history.stateOf(this.#find(block));
  }

  #find(block: number | Block): Retained {
    // Once it is closed, the collections of others do not keep its blocks any more.
    if (this.#queue.isClosed && this.#engine.inUse) throw new UsageError("CLOSED", "the runtime is closed");
    return this.#journal.find(block);
  }

  /**
   * Counts since the runtime was opened, and the memory it takes: forks share them. And how far its own queue
   * and store are.
   *
   * @example
   * ```ts
   * const { blocks, heapUsedBytes, heapLimitBytes, batches } = runtime.metrics();
   * console.log(blocks, heapUsedBytes / heapLimitBytes, batches.parallel / batches.items);
   * ```
   */
  metrics(): Metrics {
    return { ...this.#engine.metrics, waiting: this.#queue.waiting, store: this.#journal.storeMetrics };
  }

  /** The engine, for tests that kill workers or look at the heap. @internal */
  get engine(): Engine {
    return this.#engine;
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    return this.#queue.inOrder(() => {
      const journal = this.#journal;
      journal.draft = journal.history;
      return work().finally(() => {
        journal.draft = null;
      });
    });
  }
}
