/**
 * Transactions on their way into the pool of an App that authenticates: signed, if that is to be done here,
 * and then shown to the authenticator, some at once, and taken in the order in which they came.
 */

import type { Runtime } from "../index.ts";
import type { Outcome, Transaction } from "../typed/client.ts";
import { fixedBytes } from "../typed/codec.ts";
import { type Admission, admission, nonceOf } from "./authentication.ts";
import type { Pool } from "./pool.ts";
import type { Programs } from "./programs.ts";

interface Arrival {
  readonly bytes: () => Promise<Uint8Array>;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

type Looked = readonly [transaction: Uint8Array, seen: Admission];

/** Views that run at once, of those that a runtime has (`viewsLimit`). */
const AT_ONCE = 64;

export class Intake {
  readonly #runtime: Runtime;
  readonly #programs: Programs;
  readonly #pool: Pool;
  readonly #nonces = new Map<string, Promise<bigint>>();
  #arrivals: Arrival[] = [];
  #running: Promise<void> | null = null;

  constructor(runtime: Runtime, programs: Programs, pool: Pool) {
    this.#runtime = runtime;
    this.#programs = programs;
    this.#pool = pool;
  }

  /**
   * Takes a transaction; what becomes of it. One that the next block would not let in does not come into the
   * pool.
   */
  add(bytes: () => Promise<Uint8Array>): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#arrivals.push({ bytes, resolve, reject });
      this.#running ??= this.#drain();
    });
  }

  /** Resolves when all that has come is in the pool, or refused. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  /** A nonce that the sender has not used, nor been given here. */
  nextNonce(sender: string): Promise<bigint> {
    const before = this.#nonces.get(sender);
    const next =
      before?.then((nonce) => nonce + 1n) ?? nonceOf(this.#runtime, fixedBytes(20, sender, "sender"));
    this.#nonces.set(sender, next);
    next.catch(() => this.#nonces.delete(sender));
    return next;
  }

  async #drain(): Promise<void> {
    await Promise.resolve(); // those that come at once go together
    while (this.#arrivals.length > 0) {
      const part = this.#arrivals.splice(0, AT_ONCE);
      const looked = part.map(({ bytes }) => this.#look(bytes));
      for (const each of looked) each.catch(() => undefined); // one that is awaited later may fail earlier
      for (const [i, arrival] of part.entries()) {
        try {
          const [transaction, seen] = (await looked[i]) as Looked;
          this.#take(arrival, transaction, seen);
        } catch (error) {
          arrival.reject(error);
        }
      }
    }
    this.#running = null;
  }

  async #look(make: () => Promise<Uint8Array>): Promise<Looked> {
    const bytes = await make();
    return [bytes, await admission(this.#runtime, bytes)];
  }

  #take({ resolve, reject }: Arrival, bytes: Uint8Array, seen: Admission): void {
    const { refusal, sender, gas, input } = seen;
    const call = refusal === null ? this.#programs.latest.client.callOf(input) : null;
    if (refusal === "used") this.#nonces.delete(sender); // somebody else signs for it, too
    if (refusal !== null) return resolve({ ok: false, error: refusal, gasUsed: 0 });
    if (call?.kind !== "transaction") return resolve({ ok: false, error: "no such function", gasUsed: 0 });
    this.#pool.add({ call: call as Transaction, from: sender, bytes, gas, resolve, reject });
  }
}
