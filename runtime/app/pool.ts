/**
 * Transactions that wait for a block. Each is in the pool from `submit` until a block has it; what a block
 * did not take, or did not run for want of gas, goes back to where it was.
 */

import { BATCH_LIMIT } from "../../syscalls/abi.ts";
import type { Outcome, Transaction } from "../typed/client.ts";
import { type Entry, entryBytes } from "./blocks.ts";
import { BLOCK_BYTES, REGION_BYTES } from "./guest/messages.ts";

/** A transaction that waits. */
export interface Waiting extends Entry {
  readonly call: Transaction;
  /** Who makes it, "0x…" in hex. */
  readonly from: string;
}

/** A transaction that waits, and who waits for it. */
export interface Pending extends Waiting {
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

export class Pool {
  #waiting: Pending[] = [];

  get waiting(): readonly Waiting[] {
    return this.#waiting;
  }

  add(pending: Pending): void {
    this.#waiting.push(pending);
  }

  /** Those that are first in `order` and fit into a block; they stay here until `remove`. */
  choose(order: (waiting: readonly Waiting[]) => readonly Waiting[]): Pending[] {
    const known = new Set<Waiting>(this.#waiting);
    const chosen: Pending[] = [];
    let length = BLOCK_BYTES;
    for (const each of order(this.#waiting.slice())) {
      if (!known.delete(each)) continue; // of another pool, or named twice
      length += entryBytes(each);
      if (length > REGION_BYTES || chosen.length === BATCH_LIMIT) break;
      chosen.push(each as Pending);
    }
    return chosen;
  }

  remove(done: ReadonlySet<Waiting>): void {
    this.#waiting = this.#waiting.filter((each) => !done.has(each));
  }

  /** Nobody is to wait any longer. */
  reject(error: unknown): void {
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting = [];
  }
}
