/**
 * When blocks are made: so long after the first payment that waits, or at once when there are enough for one.
 * Without payments there are no blocks.
 *
 * A block that cannot be made, because the disk is full, say, loses nothing: what was to be in it waits, and
 * it is tried again, less and less often.
 */

import type { Produced } from "../../runtime/app/index.ts";
import type { Bank } from "./bank.ts";
import type { Turn } from "./turn.ts";

/** When a block is made, and the callbacks. */
export interface BlockOptions {
  /** How long a payment waits for others. */
  readonly everyMs: number;
  /** This many make a block at once. */
  readonly count: number;
  readonly onBlock: (produced: Produced, ms: number) => void;
  readonly onError: (error: unknown) => void;
}

const RETRY_MS_MAX = 5_000;

export class BlockMaker {
  readonly #bank: Bank;
  readonly #turn: Turn;
  readonly #options: BlockOptions;
  #timer: NodeJS.Timeout | null = null;
  #making: Promise<void> | null = null;
  #failures = 0;
  #stopped = false;

  constructor(bank: Bank, turn: Turn, options: BlockOptions) {
    this.#bank = bank;
    this.#turn = turn;
    this.#options = options;
  }

  /** How many attempts have failed since the last block. */
  get failures(): number {
    return this.#failures;
  }

  /** To be called when a payment begins to wait. */
  wake(): void {
    const { waiting } = this.#bank;
    if (this.#stopped || this.#making !== null || waiting.length === 0) return;
    const { everyMs, count } = this.#options;
    if (this.#failures === 0 && waiting.length >= count) {
      this.#make();
      return;
    }
    const retryMs = Math.min(everyMs * 2 ** this.#failures, RETRY_MS_MAX);
    this.#timer ??= setTimeout(() => this.#make(), Math.max(everyMs, retryMs));
  }

  /** Makes blocks of all that waits, and no more then. If one fails, what waits is given up. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#making;
    do {
      this.#make();
      await this.#making;
    } while (this.#failures === 0 && this.#bank.waiting.length > 0);
  }

  #make(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#making = this.#produce().finally(() => {
      this.#making = null;
      this.wake();
    });
  }

  async #produce(): Promise<void> {
    if (this.#bank.waiting.length === 0) return;
    const start = performance.now();
    try {
      const produced = await this.#turn.produce();
      this.#failures = 0;
      this.#options.onBlock(produced, performance.now() - start);
    } catch (error) {
      if (!this.#turn.writes) return; // another node makes the blocks now, and nothing waits here
      this.#failures++;
      this.#options.onError(error);
    }
  }
}
