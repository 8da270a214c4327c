/** A log of blocks: entries over a storage, read by height. */

import { badArgument } from "../arguments.ts";
import { decodeEntry, encodeEntry, type LogEntry, lowestHeight } from "./entry.ts";
import { truncated } from "./errors.ts";
import type { LogStorage } from "./storage.ts";

/** An entry, and its number. */
export interface Numbered {
  readonly number: number;
  readonly entry: LogEntry;
}

/** What `read` begins with, and when it ends. */
export interface ReadOptions {
  /** Height of the first block. Default: the oldest entry. */
  readonly height?: number;
  /** Instead: the number of the entry behind which it begins. */
  readonly after?: number;
  /** Ends it; without it, it ends behind the entry that is the last when it begins. */
  readonly signal?: AbortSignal;
}

/**
 * The blocks of one chain in order, with all that a replica needs to make them again: `sequence` appends,
 * `follow` reads. An entry that is in it stays: what was appended is decided.
 *
 * @example
 * ```ts
 * const log = memoryLog();
 * const sequencer = await sequence(runtime, log, { writer: "a" });
 * await sequencer.produce(Uint8Array.of(1));
 * console.log((await log.first())?.entry.kind, (await log.last())?.entry.kind); // term block
 * ```
 */
export class BlockLog {
  readonly #storage: LogStorage;

  constructor(storage: LogStorage) {
    this.#storage = storage;
  }

  /** The oldest entry that the log has; null in an empty log. */
  async first(): Promise<Numbered | null> {
    const { first, last } = await this.#storage.bounds();
    return last < first ? null : this.#at(first);
  }

  /** The newest entry; null in an empty log. */
  async last(): Promise<Numbered | null> {
    const { first, last } = await this.#storage.bounds();
    return last < first ? null : this.#at(last);
  }

  /** Number of the newest entry; 0: the log is empty. */
  async end(): Promise<number> {
    return (await this.#storage.bounds()).last;
  }

  /**
   * Appends behind an entry, by its number, 0: to an empty log; durable once this resolves.
   *
   * @throws LogError (LOG_TAKEN: somebody else has appended there, LOG_FULL, LOG_TOO_LARGE, LOG_UNCERTAIN)
   */
  async append(entry: LogEntry, after: number): Promise<Numbered> {
    const number = after + 1;
    await this.#storage.put(number, encodeEntry(entry));
    return { number, entry };
  }

  /**
   * Entries in order, from the one that makes the block of a height, or behind an entry.
   *
   * @throws LogError (LOG_TRUNCATED: the log begins above it, LOG_CORRUPT, LOG_LOST, LOG_CLOSED)
   */
  async *read({ height, after, signal }: ReadOptions = {}): AsyncGenerator<Numbered> {
    const { first, last } = await this.#storage.bounds();
    let from = after === undefined ? first : after + 1;
    if (height !== undefined) from = await this.#find(height, first, last);
    if (signal === undefined) {
      for (let number = from; number <= last; number++) yield await this.#at(number);
      return;
    }
    let number = from;
    for await (const bytes of this.#storage.follow(from, signal)) {
      yield { number, entry: decodeEntry(bytes, number) };
      number++;
    }
  }

  /** Ends those who read. */
  close(): Promise<void> {
    return this.#storage.close();
  }

  async #at(number: number): Promise<Numbered> {
    return { number, entry: decodeEntry(await this.#storage.get(number), number) };
  }

  /** Number of the first entry of a height, or of the next that will be appended. */
  async #find(height: number, first: number, last: number): Promise<number> {
    if (last < first) return first;
    const { entry: oldest } = await this.#at(first);
    const lowest = lowestHeight(oldest);
    if (height < lowest) throw truncated(height, lowest);
    let low = first;
    for (let high = last + 1; low < high; ) {
      const middle = low + Math.floor((high - low) / 2);
      if ((await this.#at(middle)).entry.height < height) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Throws unless it is a log. */
export function checkLog(log: unknown): asserts log is BlockLog {
  if (log instanceof BlockLog) return;
  throw badArgument("log", log, "a BlockLog, as memoryLog() and others make it");
}
