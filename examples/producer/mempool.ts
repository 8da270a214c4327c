/**
 * Payments that wait for a block. Each is checked before, by a view: it is run on the latest block, beside
 * the blocks in progress, and nothing of it is kept. What would fail is refused and costs no block anything;
 * what passes may still fail in its block, for what comes before it there.
 *
 * A payment is acknowledged when its block is durable, so the mempool itself may be lost at any moment.
 * A client without an answer looks up the sequence of the account, or sends the same again: it cannot be made
 * twice. Requests overtake each other, so a client sends its next payment when the one before is answered.
 */

import type { Outcome } from "../../runtime/app/index.ts";
import { RequestError } from "../../runtime/http/checks.ts";
import { type Bank, GAS } from "./bank.ts";
import type { Payment } from "./transaction.ts";
import type { Turn } from "./turn.ts";

/** What became of a payment; it is in a block, which is on the disk. */
export interface Receipt {
  readonly id: string;
  readonly height: number;
  /** What the sender has left; null: the payment failed in its block, and nothing was paid. */
  readonly left: bigint | null;
  readonly error: string | null;
  readonly gasUsed: number;
}

/** How many payments may wait. */
export interface MempoolLimits {
  readonly total: number;
  /** Of one sender. */
  readonly each: number;
}

const LIMITS: MempoolLimits = { total: 10_000, each: 64 };

export class Mempool {
  readonly #bank: Bank;
  readonly #turn: Turn;
  readonly #limits: MempoolLimits;
  /** Called when one more waits. */
  readonly #onAdded: () => void;
  /** By id: those that are checked, and those that wait. */
  readonly #receipts = new Map<string, Promise<Receipt>>();
  readonly #perSender = new Map<string, number>();
  #closed = false;

  constructor(bank: Bank, turn: Turn, onAdded: () => void, limits: MempoolLimits = LIMITS) {
    this.#bank = bank;
    this.#turn = turn;
    this.#onAdded = onAdded;
    this.#limits = limits;
  }

  /** How many are checked, or wait. */
  get size(): number {
    return this.#receipts.size;
  }

  /** Takes no more: those that wait are to be the last. */
  close(): void {
    this.#closed = true;
  }

  /**
   * Resolves when a block with the payment is durable. The same payment may be sent any number of times.
   *
   * @throws RequestError (CLOSING, FOLLOWS: other nodes make the blocks, MEMPOOL_FULL, TOO_MANY_OF_SENDER,
   *   REFUSED: it would fail); UsageError (CLOSED: no block took it)
   */
  add(payment: Payment): Promise<Receipt> {
    const { id, from } = payment;
    const known = this.#receipts.get(id);
    if (known !== undefined) return known;
    if (this.#closed) throw new RequestError(503, "CLOSING", "the node is about to stop");
    this.#turn.check();
    const ofSender = this.#perSender.get(from) ?? 0;
    if (this.size >= this.#limits.total)
      throw new RequestError(503, "MEMPOOL_FULL", "too many payments wait");
    if (ofSender >= this.#limits.each) {
      throw new RequestError(429, "TOO_MANY_OF_SENDER", `${ofSender} payments of ${from} wait`);
    }
    this.#perSender.set(from, ofSender + 1);
    const receipt = this.#add(payment).finally(() => {
      this.#receipts.delete(id);
      const left = (this.#perSender.get(from) as number) - 1;
      if (left > 0) this.#perSender.set(from, left);
      else this.#perSender.delete(from);
    });
    this.#receipts.set(id, receipt);
    return receipt;
  }

  async #add({ id, from, ...payment }: Payment): Promise<Receipt> {
    const call = this.#bank.client.Bank.pay(payment);
    const expected = await this.#bank.check(call, { from, gas: GAS });
    if (!expected.ok) throw new RequestError(422, "REFUSED", expected.error);
    const submitted = this.#bank.submit(call, { from });
    this.#onAdded();
    const outcome: Outcome<bigint> = await submitted;
    // The next block has not begun: the head is the one with this payment.
    const { height } = this.#bank.head;
    return outcome.ok
      ? { id, height, left: outcome.value, error: null, gasUsed: outcome.gasUsed }
      : { id, height, left: null, error: outcome.error, gasUsed: outcome.gasUsed };
  }
}
