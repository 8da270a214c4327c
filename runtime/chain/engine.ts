/** The engine that runtimes of one genesis share: threads, heap, programs. */

import type { BatchCounters, BatchReport, BlockOfBatch } from "../batch/evidence.ts";
import type { Hints } from "../batch/hints.ts";
import { LimitError, UsageError } from "../errors.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { lookAt } from "../heap/stub.ts";
import { hashObject } from "../image/hash.ts";
import { loadProcess } from "../image/process.ts";
import type { RawEvent } from "../kernel/trace.ts";
import { Attempt } from "../record/attempt.ts";
import { Recorder } from "../record/recorder.ts";
import { directoryOf } from "../record/segments.ts";
import type { Store, Stores } from "../store/store.ts";
import { JOB_RESUME, JOB_TRACE } from "../worker/job.ts";
import type { Pool } from "../worker/pool.ts";
import { packPlan } from "../worker/upgrade.ts";
import type { ViewJob } from "../worker/views.ts";
import { type Block, type BlockRun, withProgram } from "./block.ts";
import { bytesMade } from "./bounds.ts";
import { type CollectOptions, Collector, isHeapFull } from "./collector.ts";
import type { EventFields, EventKind, Events } from "./events.ts";
import { type Genesis, makeRoot } from "./genesis.ts";
import { type BlockPart, type Histogram, Latency } from "./latency.ts";
import type { Settings, StoreSettings } from "./options.ts";
import { Reports } from "./reports.ts";
import type { Trace } from "./results.ts";
import type { KnownRules, Rulebook } from "./rulebook.ts";
import { withPlaces } from "./stack.ts";
import type { RulesOfBlock } from "./upgrade.ts";

/** What is known of a block before it runs. */
export interface Plan {
  readonly block: Omit<BlockOfBatch, "id">;
  readonly hints: readonly Hints[];
  readonly signal: AbortSignal | null;
  /** Where its batches are reported. */
  readonly events: Events | null;
  readonly rules: RulesOfBlock;
  /** Id of the block that is made again; null: it is a new one. It is recorded, if it is not already. */
  readonly again: string | null;
}

/**
 * What a worker answers: `data` is a BLOB, 0: none; `programs` are BLOBs by hash, as far as it still has them
 * (else 0).
 */
interface RawTrace {
  readonly root: string | null;
  readonly data: Ref;
  readonly events: readonly RawEvent[];
  readonly programs: readonly (readonly [hash: string, blob: Ref])[];
}

/** The counters of `Runtime.metrics`, of all runtimes that share threads and memory. */
export interface Metrics {
  /** Blocks that ran, whether they were kept or not; traces do not count. */
  readonly blocks: number;
  /** Views that were asked for and have ended, however they did. */
  readonly views: number;
  /** Collections of the heap. */
  readonly collections: number;
  /** Bytes handed out and not found free again: an upper bound of what is in use. */
  readonly heapUsedBytes: number;
  readonly heapLimitBytes: number;
  /** Worker threads that died, those among them that ran a block when it was cancelled, and were replaced. */
  readonly workersDied: number;
  /** Results of speculative work that were used. */
  readonly speculativeUsed: number;
  /** Candidates that are neither committed nor released. */
  readonly candidates: number;
  readonly batches: BatchCounters;
  /** Calls of this runtime that wait for those before. */
  readonly waiting: number;
  /** Times of blocks, by their parts. */
  readonly latency: Readonly<Record<BlockPart, Histogram>>;
  /** How far this runtime's store is; null: it has none. */
  readonly store: StoreMetrics | null;
}

/** How far a store is. */
export interface StoreMetrics {
  /** Height of the head as it is on the disk, with its state or in the log. */
  readonly acknowledgedHeight: number;
  /** Height of the head up to which states are in the store: after a crash the blocks since are run again. */
  readonly checkpointedHeight: number;
  /** Bytes of the log of inputs that are in use; 0 where there is none. */
  readonly logUsedBytes: number;
  readonly logLimitBytes: number;
}

/** Whose references are kept. */
export interface RootHolder {
  roots(): Iterable<Ref>;
  /** States that it does not do without. */
  needed(): Iterable<Ref>;
  /** Drops states that can be made again, but for those that anybody needs. */
  drop(needed: ReadonlySet<Ref>): void;
  /** Where its blocks lie on disk, null: nowhere. */
  readonly store: Store | null;
  /** How many candidates it holds. */
  readonly candidateCount: number;
  /** Who watches it. */
  readonly events: Events;
}

/** Metadata up to this length is hashed on the main thread: 3 ms at most in which nobody is served. */
const HASHED_HERE_BYTES = 1 << 22;

export class Engine {
  readonly pool: Pool;
  readonly genesis: Genesis;
  readonly rulebook: Rulebook;
  /** The root before block 0; 0: it was not needed. */
  #start: Ref = 0;
  readonly settings: Settings;
  /** The stores of all runtimes. */
  readonly stores: Stores;
  /** Reports of batches. */
  readonly reports: Reports;
  readonly latency = new Latency();
  /** Of all runtimes; null: they are not recorded. */
  readonly recorder: Recorder | null;
  readonly #users = new Set<RootHolder>();
  /** Stores whose runtime is closed, and that others may need to load objects. */
  readonly #left = new Set<Store>();
  readonly #collector: Collector;
  #blocks = 0;
  #views = 0;
  #viewsInFlight = 0;

  constructor(pool: Pool, genesis: Genesis, rulebook: Rulebook, settings: Settings, stores: Stores) {
    this.rulebook = rulebook;
    this.stores = stores;
    this.pool = pool;
    this.genesis = genesis;
    this.settings = settings;
    const { onBatch, dependencies, record, store } = settings;
    this.reports = new Reports(onBatch, dependencies || record !== null, pool.reportsWanted);
    const directory = store === null ? null : directoryOf(store.path);
    const stopped: Recorder["onStop"] = (why) => this.#emit("recordingStopped", why);
    this.recorder = record === null ? null : new Recorder(directory, record.limitBytes, stopped);
    this.#collector = new Collector(pool, {
      roots: () => this.#roots(),
      drop: () => this.#drop(),
      storeBits: () => this.#storeBits(),
      collected: (milliseconds) =>
        this.#emit("collect", { heapUsedBytes: this.heap.usedBytes, milliseconds }),
    });
    pool.onDeath = (workersDied) => this.#emit("death", { workersDied });
    pool.onReport = (report, run, touched) => this.reports.take(report, run, touched);
  }

  /** Emits an event on every runtime of this engine. */
  #emit<Kind extends EventKind>(kind: Kind, fields: EventFields[Kind]): void {
    for (const { events } of this.#users) events.emit(kind, null, fields);
  }

  /** Counts since the runtime was opened, and what memory it takes now. */
  get metrics(): Omit<Metrics, "waiting" | "store"> {
    const { heap, pool } = this;
    return {
      blocks: this.#blocks,
      views: this.#views,
      collections: this.#collector.collections,
      heapUsedBytes: heap.usedBytes,
      heapLimitBytes: heap.limitBytes,
      workersDied: pool.deaths,
      speculativeUsed: pool.speculativeUsed,
      candidates: [...this.#users].reduce((sum, { candidateCount }) => sum + candidateCount, 0),
      batches: pool.batchCounters,
      latency: this.latency.parts,
    };
  }

  get heap(): Heap {
    return this.pool.heap;
  }

  open(user: RootHolder): void {
    this.#users.add(user);
  }

  /** Keeps what a journal reaches that does not belong to a runtime yet. */
  async holding<T>(user: RootHolder, work: () => Promise<T>): Promise<T> {
    this.#users.add(user);
    try {
      return await work();
    } finally {
      this.#users.delete(user);
    }
  }

  /** Whether a runtime is open. */
  get inUse(): boolean {
    return this.#users.size > 0;
  }

  /** A runtime ends; its store is closed as soon as no other needs it. */
  async close(user: RootHolder): Promise<void> {
    await this.recorder?.flush();
    if (!this.#users.delete(user)) return;
    if (user.store !== null) this.#left.add(user.store);
    if (this.#users.size === 0) await this.pool.close();
    await this.giveBack();
  }

  /** A store that is nobody's own holds what runtimes need; it is closed when they do not any more. */
  borrow(store: Store): void {
    this.#left.add(store);
  }

  /** Closes stores that nobody needs any more. */
  async giveBack(): Promise<void> {
    for (const store of this.#left) {
      if (this.#isNeeded(store)) continue;
      this.#left.delete(store);
      await store.close();
    }
  }

  /**
   * Whether a store may hold what an open runtime has nowhere else: pages that were evicted; or, where the
   * first runtime was opened with a store, parts of states that were never loaded.
   */
  #isNeeded({ bit }: Store): boolean {
    const without = [...this.#users].some(({ store }) => store === null);
    const isLazy = this.settings.store !== null || this.settings.from !== null;
    return this.inUse && ((this.#collector.evicted & bit) !== 0 || (isLazy && without));
  }

  /**
   * Opens a store for a fork. Where all marks are taken, those of stores that are closed are removed first,
   * which looks at every object.
   */
  async openStore(place: StoreSettings): Promise<Store> {
    const { stores } = this;
    if (stores.exhausted) await this.collect({ force: true, also: async () => stores.reclaim() });
    const settings = { ...place, archive: this.settings.archiveBlocks };
    return stores.open(settings, Promise.resolve(this.genesis.bytes));
  }

  /** What collections keep. */
  *#roots(): Iterable<Ref> {
    yield* this.sharedRefs();
    for (const user of this.#users) yield* user.roots();
  }

  /** What is needed as long as anybody is open: rules with their programs, and the image before block 0. */
  sharedRefs(): Ref[] {
    return [...this.rulebook.refs(), ...(this.#start === 0 ? [] : [this.#start])];
  }

  /**
   * The root before block 0, which ran by these rules.
   *
   * @throws UsageError (NO_ENTRY, QUOTA)
   */
  async startOf({ rules, programs }: KnownRules): Promise<Ref> {
    if (this.#start === 0) {
      const { heap, genesis, rulebook } = this;
      const handle = await rulebook.handle(programs[0] as Ref, rules.costs);
      this.#start = makeRoot(heap, genesis.entry, rules, handle);
    }
    return this.#start;
  }

  /** Drops states that can be made again and that nobody is about to use. */
  #drop(): void {
    const needed = new Set<Ref>();
    for (const user of this.#users) for (const ref of user.needed()) needed.add(ref);
    for (const user of this.#users) user.drop(needed);
  }

  /** The bits of all stores that objects can be loaded from. */
  #storeBits(): number {
    const open = [...this.#users].flatMap(({ store }) => (store === null ? [] : [store]));
    return [...open, ...this.#left].reduce((bits, { bit }) => bits | bit, 0);
  }

  /** What runtimes hold that have no store: it may lie in those of others. */
  refsWithoutStore(): Ref[] {
    return [...this.#users].filter(({ store }) => store === null).flatMap((user) => [...user.roots()]);
  }

  /**
   * Runs an activation of a root and hands it to `commit`, which must hold on to what is to be kept. A
   * collection comes before, if one is due. If the heap is full the run is repeated, with room for whatever
   * it does: pages that lie in a store are evicted, then `forget` lets go of 1, 2, 4… blocks (it returns how
   * many). Then it has the heap to itself, and its batches run in the loop, so that what it makes is bounded
   * by its gas (bounds.ts): it fails for want of room only if the embedder holds more than one state.
   */
  async run<T>(
    start: Ref,
    metadata: Uint8Array | null,
    gas: number,
    plan: Plan,
    commit: (run: BlockRun) => T | Promise<T>,
    forget: (count: number) => Promise<number> = async () => 0,
  ): Promise<T> {
    await this.#collector.collectIfDue();
    const run = () => this.#runOnce(start, metadata, gas, plan, commit);
    try {
      return await this.inTurn(run);
    } catch (error) {
      const again = () => this.trace(start, metadata ?? 0, gas, plan.rules, null);
      if (!isHeapFull(error)) throw await withProgram(error, again);
    }
    // Views take no room that a block needs: no block is forgotten on their account.
    const { views } = this.pool;
    await views.hold();
    try {
      const needed = this.#worst(start, metadata, gas);
      for (let count = 1; ; count *= 2) {
        while (!(await this.#collector.leaves(needed)) && (await forget(count)) > 0) count *= 2;
        try {
          return await this.#alone(run);
        } catch (error) {
          // Somebody else has taken the room meanwhile, or there is none.
          if (!isHeapFull(error) || (await forget(count)) === 0) throw error;
        }
      }
    } finally {
      views.release();
    }
  }

  /** Bytes that a run may make, whatever it does. */
  #worst(start: Ref, metadata: Uint8Array | null, gas: number): number {
    const { heap, settings } = this;
    const { gasHeld } = lookAt(heap, () => loadProcess(heap, start));
    return bytesMade(gas + gasHeld, settings) + (metadata?.length ?? 0);
  }

  /**
   * Runs a view of a state that the caller holds, and gives what `read` makes of the answer. If the heap is
   * full it is run once more behind a collection that may help; nothing is forgotten for it.
   */
  async view<T>(
    job: ViewJob,
    read: (answer: Ref) => T,
    signal: AbortSignal | null,
    cancelled: (signal: AbortSignal) => Error,
  ): Promise<T> {
    const { views, viewsLimit: limit } = this.settings;
    if (views === 0) throw new UsageError("NO_VIEWS", 'open the runtime with the option "views": 1, say');
    if (this.#viewsInFlight >= limit) {
      const text =
        `${limit} calls are in flight, as many as the option "viewsLimit" allows. ` +
        "Wait for one of them, or open the runtime with a larger one";
      throw new LimitError("TOO_MANY_VIEWS", text, { limit });
    }
    this.#viewsInFlight++;
    const run = (): Promise<T> => this.pool.views.run(job, read, signal, cancelled);
    try {
      return await this.#collector.forView(run);
    } finally {
      this.#viewsInFlight--;
      this.#views++;
    }
  }

  /** The caller holds the turn. */
  async #runOnce<T>(
    start: Ref,
    bytes: Uint8Array | null,
    gas: number,
    plan: Plan,
    commit: (run: BlockRun) => T | Promise<T>,
  ): Promise<T> {
    const { reports, pool } = this;
    const metadata = bytes === null ? 0 : await this.#blob(bytes);
    const { known } = plan.rules;
    const { rules, upgrade, change } = await this.#rulesFor(plan.rules);
    const run = reports.begin(plan.block, plan.events);
    const attempt = this.#attempt(plan, bytes, gas);
    pool.hint(run, plan.hints);
    try {
      const running = pool.run({ kind: JOB_RESUME, start, metadata, gas, run, rules, upgrade }, plan.signal);
      // Its hash will be needed, and this thread is idle. A worker hashes large metadata.
      if (bytes !== null && bytes.length <= HASHED_HERE_BYTES) hashObject(this.heap, metadata);
      if (change !== 0) hashObject(this.heap, change);
      const result = await running;
      this.#blocks++;
      const made = { metadata, result, change, rules: known };
      const reportsOf = (block: Block): BatchReport[] => {
        const reported = reports.end(run, block.id);
        attempt?.made(run, block, reported);
        return reported.map(({ report }) => report);
      };
      return commit({ ...made, reports: reportsOf });
    } catch (error) {
      attempt?.failed(run, error, reports.end(run, null));
      throw error;
    } finally {
      pool.hint(run, []);
      // Those of a block that did not come to be.
      reports.end(run, null);
    }
  }

  /** What is to be recorded of a block; null: nothing is, or it was recorded before. */
  #attempt({ block, again, rules }: Plan, metadata: Uint8Array | null, gasLimit: number): Attempt | null {
    const { recorder, pool } = this;
    if (recorder === null || pool.timeline === null || (again !== null && recorder.has(again))) return null;
    const changesRules = rules.change !== null;
    // Block 0 has no metadata.
    const input = { gasLimit, metadata: metadata ?? new Uint8Array(0), changesRules };
    return new Attempt(recorder, pool.timeline, { ...block, ...input, again: again !== null });
  }

  /**
   * Runs a block on one thread and lists what happens in it (worker.ts). Metadata is a BLOB (0: none) or
   * bytes.
   */
  trace(
    start: Ref,
    metadata: Ref | Uint8Array,
    gas: number,
    by: RulesOfBlock,
    signal: AbortSignal | null,
  ): Promise<Trace> {
    return this.inTurn(async () => {
      const blob = typeof metadata === "number" ? metadata : await this.#blob(metadata);
      const { rules, upgrade } = await this.#rulesFor(by);
      const job = { kind: JOB_TRACE, start, metadata: blob, gas, rules, upgrade };
      const ref = await this.pool.run(job, signal);
      const raw = JSON.parse(this.heap.payload(ref).toString("utf8")) as RawTrace;
      const { root, events, programs } = raw;
      const data = new Uint8Array(raw.data === 0 ? [] : this.heap.payload(raw.data));
      const found = programs.flatMap(([hash, blob]) =>
        blob === 0 ? [] : [[hash, this.heap.payload(blob)] as const],
      );
      return { root, data, events: await withPlaces(events, new Map(found)) };
    });
  }

  /** As `Collector.alone`, and batches run in the loop, which makes nothing in vain. */
  #alone<T>(run: () => Promise<T>): Promise<T> {
    const { pool } = this;
    return this.#collector.alone(async () => {
      pool.loops = true;
      try {
        return await run();
      } finally {
        pool.loops = false;
      }
    });
  }

  /**
   * References for a job: the kit of its rules, and what is done to the state before, with the change of it.
   */
  async #rulesFor({
    known,
    change,
    plan,
  }: RulesOfBlock): Promise<Record<"rules" | "upgrade" | "change", Ref>> {
    const rules = await this.rulebook.kit(known);
    const upgrade = plan === null ? 0 : await this.#blob(packPlan(plan));
    return { rules, upgrade, change: change === null ? 0 : await this.#blob(change) };
  }

  /**
   * A BLOB made by the main thread, which must stay able to hear of the death of a thread at the heap's lock.
   */
  async #blob(bytes: Uint8Array): Promise<Ref> {
    this.heap.refresh();
    for (;;) {
      const ref = this.heap.tryBlob(bytes);
      if (ref !== null) return ref;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** As `Collector.inTurn`. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#collector.inTurn(work);
  }

  /** As `Collector.marking`. */
  marking<T>(work: (hasRead: () => void) => Promise<T>): Promise<T> {
    return this.#collector.marking(work);
  }

  /** As `Collector.collect`. */
  collect(options?: CollectOptions): Promise<boolean> {
    return this.#collector.collect(options);
  }

  /** Whether little of the heap is free. */
  get isPressed(): boolean {
    return this.#collector.isPressed;
  }
}
