/**
 * When the heap is collected, and who works on it meanwhile.
 *
 * Work on the heap takes turns: any number of blocks side by side (`inTurn`), or one that has the heap to
 * itself (`alone`), or a collection. A collection waits for the turns in progress and holds back new ones, so
 * references are safe from the start of a turn to its end. Views take no turns: a collection interrupts them,
 * and they start again after it.
 */

import { LimitError } from "../errors.ts";
import { compact } from "../heap/compact.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { COLLECTION_WAITS } from "../heap/stub.ts";
import { JOB_COLLECT } from "../worker/job.ts";
import type { Pool } from "../worker/pool.ts";

export interface CollectOptions {
  /** Collects now, even if there is speculative work. */
  readonly force?: boolean;
  /** Evicts pages that lie in a store, even if there is room. */
  readonly evict?: boolean;
  /** Called after it, while nothing else works on the heap. */
  readonly also?: () => Promise<void>;
}

/** What a collection needs of its owner. */
export interface Kept {
  /** The objects that stay, with all that they reach. */
  roots(): Iterable<Ref>;
  /** Drops states that can be made again. Called where there is little room. */
  drop(): void;
  /** The bits of all stores from which objects can be loaded. */
  storeBits(): number;
  collected(milliseconds: number): void;
}

/**
 * A collection is due when the heap has grown by this many times what the last one left, within these bounds,
 * or by all that it left, if that is more. It costs what is live. A small heap is collected often, since
 * space that is used again soon is in the caches, and was touched before: 256 scattered pages are then
 * captured in 0.17 ms instead of 0.75.
 */
const COLLECT_TIMES = 4;
const COLLECT_BYTES_LEAST = 64 << 20;
const COLLECT_BYTES_MOST = 256 << 20;
/** It is due at the latest when this share of the heap's limit is used. */
const COLLECT_SHARE = 0.75;
/** From then on, whenever this share of the limit was allocated: sooner it would find little to free. */
const COLLECT_SLACK = 1 / 64;
/** Collections that free nothing for a view take at most this fraction of the time, as 1/n. */
const PAUSE_FOR_VIEWS = 10;

export class Collector {
  readonly #pool: Pool;
  readonly #heap: Heap;
  readonly #kept: Kept;
  /** Turns in progress. */
  #inFlight = 0;
  /** Those among them that end soon when a collection waits: a store reads what it writes. */
  #reading = 0;
  readonly #drained: (() => void)[] = [];
  /** Who still marks objects after its turn. */
  readonly #marking = new Set<Promise<unknown>>();
  #collecting: Promise<boolean> | null = null;
  /** While one turn has the heap to itself: resolves at its end. */
  #isAlone: Promise<void> | null = null;
  #usedAfterwards = 0;
  /** How long the last one took. */
  #lastMs = 0;
  /** Until then a collection is not worth its time to a view. */
  #vainUntil = 0;
  #collections = 0;
  #evicted = 0;

  constructor(pool: Pool, kept: Kept) {
    this.#pool = pool;
    this.#heap = pool.heap;
    this.#kept = kept;
  }

  /** Collections so far. */
  get collections(): number {
    return this.#collections;
  }

  /** Bits of the stores of which pages have been evicted so far. */
  get evicted(): number {
    return this.#evicted;
  }

  /** Whether little of the heap is free. */
  get isPressed(): boolean {
    return this.#heap.usedBytes > this.#heap.limitBytes * COLLECT_SHARE;
  }

  /** No collection runs beside `work`: its references are safe until it has ended. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    while (this.#collecting !== null || this.#isAlone !== null) {
      await (this.#collecting?.catch(() => {}) ?? this.#isAlone);
    }
    return this.#counted(work);
  }

  /** Collects and evicts. Resolves to whether there is this much room then. */
  async leaves(bytes: number): Promise<boolean> {
    // A collection in progress may be one that does not evict.
    while (this.#collecting !== null) await this.#collecting.catch(() => {});
    await this.collect({ evict: true, force: true });
    return this.#heap.limitBytes - this.#heap.usedBytes >= bytes;
  }

  /**
   * Runs `work` with the heap to itself: no other block, no speculative work. Views are held by the caller.
   * Before, a collection evicts what it can, and the heap is compacted.
   */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    while (this.#isAlone !== null) await this.#isAlone;
    let end = (): void => {};
    this.#isAlone = new Promise((resolve) => {
      end = resolve;
    });
    try {
      await this.collect({ evict: true, force: true, also: async () => this.#compact() });
      this.#pool.pauseAdvance(true);
      return await this.#counted(work);
    } finally {
      this.#pool.pauseAdvance(false);
      this.#isAlone = null;
      end();
    }
  }

  /**
   * As `inTurn`, for work that reads the heap only until it calls its argument. After that it may mark
   * objects which somebody holds: collections run, but none that evicts or moves objects.
   */
  async marking<T>(work: (hasRead: () => void) => Promise<T>): Promise<T> {
    let end = (): void => {};
    const turn = new Promise<void>((resolve) => {
      end = resolve;
    });
    let working: Promise<T> | null = null;
    await this.inTurn(() => {
      this.#reading++;
      working = work(end).finally(end);
      const marking = working.catch(() => {});
      this.#marking.add(marking);
      void marking.then(() => this.#marking.delete(marking));
      return turn.finally(() => this.#reading--);
    });
    return working as unknown as Promise<T>;
  }

  async #counted<T>(work: () => Promise<T>): Promise<T> {
    this.#inFlight++;
    try {
      return await work();
    } finally {
      this.#inFlight--;
      if (this.#inFlight === 0) for (const resolve of this.#drained.splice(0)) resolve();
    }
  }

  /**
   * Collects if the heap has grown enough since the last time, and no other block is in progress. A
   * checkpoint may be: if it kept collections away, blocks would be made in memory that was never touched.
   */
  async collectIfDue(): Promise<void> {
    if (this.#due() && (this.#inFlight === this.#reading || this.isPressed)) await this.collect();
  }

  #due(): boolean {
    const used = this.#heap.usedBytes;
    const live = this.#usedAfterwards;
    const growth = this.isPressed
      ? this.#heap.limitBytes * COLLECT_SLACK
      : Math.max(COLLECT_BYTES_LEAST, Math.min(COLLECT_TIMES * live, COLLECT_BYTES_MOST), live);
    return used > live + growth;
  }

  /**
   * Runs a view, and once more after a collection, if it finds the heap full. Callers of views may
   * ask for many: where that was in vain, and all that was kept still is, others fail without a collection
   * for a while.
   */
  async forView<T>(run: () => Promise<T>): Promise<T> {
    const isInVain = performance.now() < this.#vainUntil && !this.#hasLetGo();
    if (!isInVain) await this.collectIfDue();
    try {
      return await run();
    } catch (error) {
      if (!isHeapFull(error) || isInVain) throw error;
    }
    await this.collect({ evict: true });
    try {
      return await run();
    } catch (error) {
      if (isHeapFull(error)) this.#vainUntil = performance.now() + PAUSE_FOR_VIEWS * this.#lastMs;
      throw error;
    }
  }

  /** Whether anything is not kept any more that the last collection kept. */
  #hasLetGo(): boolean {
    const roots = new Set(this.#kept.roots());
    for (const ref of this.#heap.roots) if (!roots.has(ref)) return true;
    return false;
  }

  /**
   * Frees all space that no retained block of any runtime reaches, as soon as no block is in progress; new
   * blocks wait, and views start again after it. While there is speculative work it is put off, until the
   * heap is nearly full: then that work is stopped, and starts again later.
   *
   * With `evict`, or if the rest is not enough, pages that lie in a store are evicted too, and states that
   * can be made again are dropped. Resolves to whether it was done, not put off.
   */
  collect(options: CollectOptions = {}): Promise<boolean> {
    return this.#pool.alive.until(this.#collectInTurn(options));
  }

  async #collectInTurn(options: CollectOptions): Promise<boolean> {
    if (options.also === undefined && this.#collecting !== null) return this.#collecting;
    while (this.#collecting !== null) await this.#collecting.catch(() => {});
    this.#collecting = this.#collect(options).finally(() => {
      this.#collecting = null;
    });
    return this.#collecting;
  }

  async #collect({ force = false, evict = false, also }: CollectOptions): Promise<boolean> {
    const pool = this.#pool;
    const began = performance.now();
    await this.#drain();
    if (pool.threadsAtWork > 0 && !this.isPressed && !force) return false;
    pool.pauseAdvance(true);
    try {
      await pool.views.hold();
      await pool.stopWork();
      const stores = this.#kept.storeBits();
      // What is being marked must be neither evicted nor moved.
      if (evict || also !== undefined) await Promise.all(this.#marking);
      await this.#free(evict ? stores : 0);
      if (!evict && stores !== 0 && this.isPressed) {
        await Promise.all(this.#marking);
        await this.#free(stores);
      }
      await also?.();
    } finally {
      pool.views.release();
      pool.pauseAdvance(false);
    }
    this.#collections++;
    this.#usedAfterwards = this.#heap.usedBytes;
    this.#lastMs = performance.now() - began;
    this.#kept.collected(this.#lastMs);
    return true;
  }

  /** Waits until no turn is in progress. */
  async #drain(): Promise<void> {
    const { control } = this.#heap;
    Atomics.store(control, COLLECTION_WAITS, 1);
    while (this.#inFlight > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
    Atomics.store(control, COLLECTION_WAITS, 0);
  }

  /** Objects that callers and the job board name are not moved. */
  #compact(): void {
    const pinned = new Set(this.#heap.roots);
    for (const { start, result } of this.#pool.memos()) pinned.add(start).add(result);
    compact(this.#heap, pinned);
  }

  /** Frees what is not reached, and pages that lie in one of these stores. */
  #free(stores: number): Promise<unknown> {
    this.#evicted |= stores;
    if (stores !== 0) this.#kept.drop();
    this.#heap.roots = new Set(this.#kept.roots());
    return this.#pool.run({ kind: JOB_COLLECT, start: 0, metadata: stores, gas: 0 });
  }
}

/** Whether it is for want of room that something failed. */
export function isHeapFull(error: unknown): error is LimitError {
  return error instanceof LimitError && error.code === "HEAP_FULL";
}
