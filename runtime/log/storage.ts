/**
 * Where a log lies: numbered entries of bytes, of which only the next one can be put. That is all the
 * agreement there is: of two who put the same number one succeeds, whatever else they do.
 */

import { assert } from "../errors.ts";
import { closed, notNext } from "./errors.ts";

/** Where the entries of a log lie, for logs of one's own kind: `new BlockLog(storage)`. */
export interface LogStorage {
  /**
   * Numbers of the oldest entry and the newest one; entries count from 1. In an empty log `last` is
   * `first - 1`.
   */
  bounds(): Promise<{ readonly first: number; readonly last: number }>;
  /** An entry between these. */
  get(number: number): Promise<Uint8Array>;
  /**
   * Puts an entry behind the last one, durably once this resolves; also if these bytes are there already,
   * for an answer can be lost.
   *
   * @throws LogError (LOG_TAKEN: there is another entry with this number, LOG_FULL, LOG_TOO_LARGE,
   *   LOG_UNCERTAIN: nobody answers, and it may be there or not, LOG_CLOSED)
   */
  put(number: number, bytes: Uint8Array): Promise<void>;
  /** Entries from a number on, each when it is there, until the signal is aborted. */
  follow(number: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Releases its resources. Followers get LOG_CLOSED. */
  close(): Promise<void>;
}

/** A log in the memory of this process: for tests, and for replicas in one process. */
export class MemoryStorage implements LogStorage {
  readonly #entries: Uint8Array[] = [];
  #news = Promise.withResolvers<void>();
  #closed = false;

  async bounds(): Promise<{ first: number; last: number }> {
    return { first: 1, last: this.#entries.length };
  }

  async get(number: number): Promise<Uint8Array> {
    return this.#entries[number - 1] as Uint8Array;
  }

  async put(number: number, bytes: Uint8Array): Promise<void> {
    if (this.#closed) throw closed();
    const there = this.#entries[number - 1];
    if (there !== undefined) {
      if (Buffer.compare(there, bytes) === 0) return;
      throw notNext(number);
    }
    assert(number === this.#entries.length + 1, `entry ${number} is not the next`);
    this.#entries.push(bytes.slice());
    this.#wake();
  }

  async *follow(from: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const stop = (): void => this.#wake();
    signal.addEventListener("abort", stop);
    try {
      for (let at = from - 1; !signal.aborted; ) {
        if (this.#closed) throw closed();
        const entry = this.#entries[at];
        if (entry === undefined) await this.#news.promise;
        else {
          at++;
          yield entry;
        }
      }
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
  }

  /** Those who wait look again. */
  #wake(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers<void>();
  }
}
