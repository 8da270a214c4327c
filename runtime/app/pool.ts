/**
 * Transactions that wait for a block. Each is in the pool from `submit` until a block of the chain has it,
 * whichever replica made it; transactions that a block did not take, or had no gas for, keep their position.
 */

import { BATCH_LIMIT } from "../../syscalls/abi.ts";
import type { Outcome, Transaction } from "../typed/client.ts";
import { type Entry, entryBytes } from "./blocks.ts";
import { BLOCK_BYTES, REGION_BYTES } from "./guest/messages.ts";

/** A transaction that waits. */
export interface Waiting extends Entry {
  readonly call: Transaction;
  /** The sender, "0x…" in hex. */
  readonly from: string;
}

/** A transaction that waits, and who waits for it. */
export interface Pending extends Waiting {
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

export class Pool {
  #waiting: Pending[] = [];
  readonly #isSigned: boolean;

  /** `isSigned`: the bytes of a transaction say its gas. */
  constructor(isSigned: boolean) {
    this.#isSigned = isSigned;
  }

  get waiting(): readonly Waiting[] {
    return this.#waiting;
  }

  add(pending: Pending): void {
    this.#waiting.push(pending);
  }

  /** Those that are first in `order`, at most `limit`, and fit into a block; they stay until `settle`. */
  choose(order: (waiting: readonly Waiting[]) => readonly Waiting[], limit: number): Waiting[] {
    const known = new Set<Waiting>(this.#waiting);
    const chosen: Waiting[] = [];
    let length = BLOCK_BYTES;
    for (const each of order(this.#waiting.slice())) {
      if (!known.delete(each)) continue; // of another pool, or named twice
      length += entryBytes(each);
      if (length > REGION_BYTES || chosen.length === Math.min(limit, BATCH_LIMIT)) break;
      chosen.push(each);
    }
    return chosen;
  }

  /**
   * A block has these entries, with these outcomes; null: it was not run. The promise of a transaction with
   * the same bytes resolves, of several the first one.
   */
  settle(entries: readonly Entry[], outcomes: readonly (Outcome | null)[]): void {
    if (this.#waiting.length === 0) return;
    const waiting = Map.groupBy(this.#waiting, (each) => this.#keyOf(each));
    const done = new Set<Pending>();
    entries.forEach((entry, i) => {
      const outcome = outcomes[i] ?? null;
      const pending = outcome === null ? undefined : waiting.get(this.#keyOf(entry))?.shift();
      if (pending === undefined) return;
      done.add(pending);
      pending.resolve(outcome as Outcome);
    });
    this.#waiting = this.#waiting.filter((each) => !done.has(each));
  }

  /** Nobody is to wait any longer. */
  reject(error: unknown): void {
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting = [];
  }

  #keyOf({ bytes, gas }: Entry): string {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
    return this.#isSigned ? text : `${gas} ${text}`;
  }
}
