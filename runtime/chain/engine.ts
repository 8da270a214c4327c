/**
 * The engine that runtimes of one genesis share: threads, heap, programs; and when to collect.
 */

import type { Heap, Ref } from "../heap/heap.ts";
import { JOB_COLLECT } from "../worker/board.ts";
import type { Pool } from "../worker/pool.ts";
import type { Genesis } from "./genesis.ts";
import type { Settings } from "./options.ts";

/** Whose references are kept. */
export interface RootHolder {
  roots(): Iterable<Ref>;
}

/**
 * A collection comes when this much was allocated since the last one, or when the heap has doubled, whichever
 * is later.
 */
const COLLECT_BYTES = 256 << 20;
/** ... but not later than at this share of the heap's limit. */
const COLLECT_SHARE = 0.75;
const COLLECT_MINIMUM_BYTES = 16 << 20;

export class Engine {
  readonly pool: Pool;
  readonly genesis: Genesis;
  readonly settings: Settings;
  readonly #users = new Set<RootHolder>();
  #inFlight = 0;
  #usedAfterCollection = 0;
  #collecting: Promise<unknown> | null = null;

  constructor(pool: Pool, genesis: Genesis, settings: Settings) {
    this.pool = pool;
    this.genesis = genesis;
    this.settings = settings;
  }

  get heap(): Heap {
    return this.pool.heap;
  }

  open(user: RootHolder): void {
    this.#users.add(user);
  }

  async close(user: RootHolder): Promise<void> {
    this.#users.delete(user);
    if (this.#users.size === 0) await this.pool.close();
  }

  /** Runs an activation of a root, after a collection if one is due. */
  async run(kind: number, start: Ref, metadata: Uint8Array | null, gas: number): Promise<Ref> {
    while (this.#collecting !== null) await this.#collecting;
    if (this.#due()) await this.collect();
    this.#inFlight++;
    try {
      this.heap.refresh();
      const blob = metadata === null ? 0 : this.heap.blob(metadata);
      return await this.pool.run({ kind, start, metadata: blob, gas });
    } finally {
      this.#inFlight--;
    }
  }

  /**
   * Frees all space that no retained block of any runtime reaches. Only while nobody waits for a thread; otherwise
   * it does nothing. Work in advance puts it off, until the heap is nearly full: then that work begins anew later.
   */
  async collect(): Promise<void> {
    if (this.#inFlight > 0 || this.pool.busy || this.#collecting !== null) return;
    if (this.pool.advancing && !this.#pressed) return;
    this.#collecting = this.#collect();
    try {
      await this.#collecting;
    } finally {
      this.#collecting = null;
    }
  }

  async #collect(): Promise<void> {
    const { heap, pool } = this;
    pool.pauseAdvance(true);
    try {
      await pool.stopAdvance();
      const refs: Ref[] = [];
      for (const user of this.#users) refs.push(...user.roots());
      for (const { ref, initialMemory, initialGlobals } of this.genesis.programs) {
        refs.push(ref, initialMemory, initialGlobals);
      }
      heap.refresh();
      const roots = heap.blob(Buffer.from(Uint32Array.from(refs).buffer));
      await pool.run({ kind: JOB_COLLECT, start: 0, metadata: roots, gas: 0 });
    } finally {
      pool.pauseAdvance(false);
    }
    this.#usedAfterCollection = heap.usedBytes;
  }

  #due(): boolean {
    const used = this.heap.usedBytes;
    const growth = Math.max(COLLECT_BYTES, this.#usedAfterCollection);
    const due = used > this.#usedAfterCollection + growth || this.#pressed;
    // Where little can have become free since, another collection would find as little.
    return due && used > this.#usedAfterCollection + COLLECT_MINIMUM_BYTES;
  }

  get #pressed(): boolean {
    return this.heap.usedBytes > this.heap.limitBytes * COLLECT_SHARE;
  }
}
