/**
 * When the heap is collected, and who works on it meanwhile.
 *
 * Work on the heap takes its turn: any number of blocks side by side (`inTurn`), or one that has the heap to
 * itself (`alone`), or a collection. A collection waits for what is in progress and holds back what comes, so
 * references are safe from the start of a turn to its end. Views have no turn: they begin again behind it.
 */

import { compact } from "../heap/compact.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { JOB_COLLECT } from "../worker/job.ts";
import type { Pool } from "../worker/pool.ts";

export interface CollectOptions {
  /** Speculative work does not put it off. */
  readonly force?: boolean;
  /** Pages that lie in a store are freed, whether room is short or not. */
  readonly evict?: boolean;
  /** Done behind it, while nobody works on the heap. */
  readonly also?: () => Promise<void>;
}

/** What a collection keeps, and who hears of it. */
export interface Kept {
  /** What stays, with all that it reaches. */
  roots(): Iterable<Ref>;
  /** Drops states that can be made again, for there is little room. */
  drop(): void;
  /** The bits of all stores that objects can be loaded from. */
  storeBits(): number;
  collected(milliseconds: number): void;
}

/**
 * A collection comes when the heap has grown by so many times what the last one left, within these bounds, or
 * has doubled. It costs what is live: a small heap is collected often, for pages that are used again soon are
 * in the caches, and were touched before (256 scattered pages are captured in 0.17 ms so, else in 0.75).
 */
const COLLECT_TIMES = 4;
const COLLECT_BYTES_LEAST = 64 << 20;
const COLLECT_BYTES_MOST = 256 << 20;
/** ... but not later than at this share of the heap's limit. */
const COLLECT_SHARE = 0.75;
/** Where less than this share of the limit was allocated since, another collection would find as little. */
const COLLECT_SLACK = 1 / 64;

export class Collector {
  readonly #pool: Pool;
  readonly #heap: Heap;
  readonly #kept: Kept;
  /** Turns in progress. */
  #inFlight = 0;
  readonly #drained: (() => void)[] = [];
  #collecting: Promise<boolean> | null = null;
  /** As long as somebody has the heap to himself. */
  #isAlone: Promise<void> | null = null;
  #usedAfterwards = 0;
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

  /** Bits of stores of which pages have become stubs since. */
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

  /** Whether a collection that evicts leaves so much room. */
  async leaves(bytes: number): Promise<boolean> {
    // One that is in progress may evict nothing.
    while (this.#collecting !== null) await this.#collecting.catch(() => {});
    await this.collect({ evict: true, force: true });
    return this.#heap.limitBytes - this.#heap.usedBytes >= bytes;
  }

  /**
   * Nothing else works on the heap beside `work`: no block, no speculation. Views are held by the caller. A
   * collection that evicts comes before, and then what is free is moved together.
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

  async #counted<T>(work: () => Promise<T>): Promise<T> {
    this.#inFlight++;
    try {
      return await work();
    } finally {
      this.#inFlight--;
      if (this.#inFlight === 0) for (const resolve of this.#drained.splice(0)) resolve();
    }
  }

  /** Collects where the heap has grown enough since the last time. */
  async collectIfDue(): Promise<void> {
    if (this.#due() && (this.#inFlight === 0 || this.isPressed)) await this.collect();
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
   * Frees all space that no retained block of any runtime reaches, as soon as no block is in progress; those
   * that come wait, and views begin again behind it. Speculative work puts it off, until the heap is nearly
   * full: then that work begins anew later.
   *
   * Pages that lie in a store are freed too where the rest is not enough, or with `evict`, and states that
   * can be made again: what needs them loads them, or runs blocks, again. Returns whether it was done:
   * speculative work may have put it off.
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
    while (this.#inFlight > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
    if (pool.threadsAtWork > 0 && !this.isPressed && !force) return false;
    pool.pauseAdvance(true);
    try {
      await pool.views.hold();
      await pool.stopWork();
      const stores = this.#kept.storeBits();
      await this.#free(evict ? stores : 0);
      if (!evict && stores !== 0 && this.isPressed) await this.#free(stores);
      await also?.();
    } finally {
      pool.views.release();
      pool.pauseAdvance(false);
    }
    this.#collections++;
    this.#usedAfterwards = this.#heap.usedBytes;
    this.#kept.collected(performance.now() - began);
    return true;
  }

  /** What callers and the job board name stays where it is. */
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
