/**
 * Transactions that CometBFT's mempool holds, as they would run now: blocks of a fork of the runtime, which
 * stands on the head and lives in memory. A transaction is run once when it comes, on top of those before it,
 * whatever waits. After each commit the fork is given up, and CometBFT checks what still waits again.
 *
 * A transaction that fails here leaves nothing in the fork but its nonce.
 */

import { LimitError } from "../errors.ts";
import type { Block, Runtime } from "../index.ts";

/** Makes the metadata of a block of these transactions. */
export type Packing = (txs: readonly Uint8Array[]) => Uint8Array;

/** Limits of checks. */
export interface CheckLimits {
  /** Gas of a block of checks: no transaction that needs more comes into this node's mempool. */
  readonly gas: number;
  /** Maximum number of checks that wait. */
  readonly waiting: number;
}

interface Waiting {
  readonly tx: Uint8Array;
  readonly resolve: (place: [block: Block, index: number]) => void;
  readonly reject: (error: unknown) => void;
}

/** Transactions of one block of checks. */
const AT_ONCE = 32;

export class Pending {
  readonly #runtime: Runtime;
  readonly #limits: CheckLimits;
  readonly #pack: Packing;
  /** How many of the first transactions of a block have run. */
  readonly #ran: (block: Block) => number;
  #fork: Promise<Runtime> | null = null;
  #waiting: Waiting[] = [];
  #isRunning = false;

  constructor(runtime: Runtime, limits: CheckLimits, pack: Packing, ran: (block: Block) => number) {
    this.#runtime = runtime;
    this.#limits = limits;
    this.#pack = pack;
    this.#ran = ran;
  }

  /**
   * Runs a transaction on top of those that wait: the block that has it, and where in it.
   *
   * @throws LimitError QUEUE_FULL; and as `Runtime.produce`
   */
  check(tx: Uint8Array): Promise<[block: Block, index: number]> {
    const limit = this.#limits.waiting;
    if (this.#waiting.length >= limit) {
      const text = `${limit} transactions wait to be checked already: send it again later`;
      return Promise.reject(new LimitError("QUEUE_FULL", text, { limit }));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ tx, resolve, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  /** Starts from the head again. */
  async renew(): Promise<void> {
    const fork = this.#fork;
    this.#fork = null;
    await fork?.then(
      (runtime) => runtime.close(),
      () => undefined,
    );
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    await Promise.resolve(); // those that come together are checked together
    let most = AT_ONCE;
    while (this.#waiting.length > 0) {
      const part = this.#waiting.splice(0, most);
      most = AT_ONCE;
      try {
        const block = await this.#produce(part.map(({ tx }) => tx));
        const ran = Math.max(1, this.#ran(block)); // the first needs more than there is
        for (const [i, { resolve }] of part.slice(0, ran).entries()) resolve([block, i]);
        this.#waiting.unshift(...part.slice(ran));
      } catch (error) {
        if (part.length === 1) part[0]?.reject(error);
        else {
          this.#waiting.unshift(...part); // one of them, or all together
          most = Math.ceil(part.length / 2);
        }
      }
    }
    this.#isRunning = false;
  }

  async #produce(txs: readonly Uint8Array[]): Promise<Block> {
    const runtime = this.#runtime;
    this.#fork ??= runtime.fork({ at: runtime.head });
    const fork = this.#fork;
    fork.catch(() => {
      if (this.#fork === fork) this.#fork = null;
    });
    const gasLimit = Math.min(this.#limits.gas, runtime.rules().gasLimit);
    return (await fork).produce(this.#pack(txs), { gasLimit });
  }
}
