/**
 * The calls of one runtime: most wait for those before and begin in the order in which they were made; some
 * begin at once, beside them. No call begins once it is closed, and closing waits for all that have been
 * made.
 */

import { LimitError, UsageError } from "../errors.ts";
import type { Alive } from "../worker/alive.ts";
import { cancelled } from "../worker/pool.ts";

export class Queue {
  readonly #limit: number;
  readonly #alive: Alive;
  readonly #cancel = new AbortController();
  /** Calls that have not ended. */
  readonly #calls = new Set<Promise<unknown>>();
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #closed = false;

  constructor(limit: number, alive: Alive) {
    this.#limit = limit;
    this.#alive = alive;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Calls that wait for those before. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Is aborted when all that is in progress, or waits, is to be given up. */
  get signal(): AbortSignal {
    return this.#cancel.signal;
  }

  /**
   * Begins a call when those before have ended.
   *
   * @throws UsageError (CLOSED, CANCELLED), LimitError (QUEUE_FULL)
   */
  async inOrder<T>(work: () => Promise<T>): Promise<T> {
    this.#checkOpen();
    if (this.#waiting >= this.#limit) {
      throw new LimitError(
        "QUEUE_FULL",
        `${this.#limit} calls wait for those before, as many as the option "queueLimit" allows. Wait for ` +
          "some of them before the next, or raise it",
        { limit: this.#limit },
      );
    }
    this.#waiting++;
    const result = this.#tail.then(() => {
      this.#waiting--;
      if (this.signal.aborted) throw cancelled(this.signal);
      return work();
    });
    this.#tail = result.catch(() => {});
    return this.#add(result);
  }

  /**
   * Begins a call at once.
   *
   * @throws UsageError (CLOSED)
   */
  async atOnce<T>(work: () => Promise<T>): Promise<T> {
    this.#checkOpen();
    return this.#add(work());
  }

  /** No call begins from now on; `reason`: those that were made are given up, and reject with CANCELLED. */
  close(reason: Error | null): void {
    this.#closed = true;
    if (reason !== null) this.#cancel.abort(reason);
  }

  /** Waits for all calls that were made. */
  async ended(): Promise<void> {
    while (this.#calls.size > 0) await Promise.allSettled(this.#calls);
  }

  #checkOpen(): void {
    if (this.#closed) throw new UsageError("CLOSED", "the runtime is closed");
  }

  #add<T>(call: Promise<T>): Promise<T> {
    this.#calls.add(call);
    const done = (): unknown => this.#calls.delete(call);
    call.then(done, done);
    return this.#alive.until(call);
  }
}
