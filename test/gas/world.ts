/**
 * The property: for every call, what gas it takes pays for its work at the prices of prices.ts. Wraps a
 * caller, and writes down each call for which that does not hold.
 *
 * START takes gas for what the activation will do: bringing the image in. So what a START paid and did not
 * use is added to the gas of the join.
 */

import { type Call, type Caller, PLENTY, type Request } from "./caller.ts";
import { pricesOf } from "./prices.ts";

/** A call that did not pay for its work. */
export interface Unpaid {
  /** Of the call, in its round. */
  readonly number: number;
  /** What the generator was about. */
  readonly step: string;
  readonly call: string;
  readonly gas: number;
  /** Work over gas. */
  readonly ratio: number;
  /** What each kind of work should have cost, the dearest first. */
  readonly work: readonly (readonly [kind: string, gas: number])[];
}

export class World {
  readonly caller: Caller;
  readonly unpaid: Unpaid[] = [];
  calls = 0;
  /** Largest ratio of work to gas that was paid. */
  highest = 0;
  step = "";
  #credit = new Map<number, number>();
  #creditAtStart = new Map<number, number>();

  constructor(caller: Caller) {
    this.caller = caller;
  }

  call(request: Request, gas = PLENTY, child = request.child): Call {
    const { caller } = this;
    const started = caller.isStarted(child);
    const done = caller.call(request, gas, child);
    this.calls++;
    // What a call makes of the caller's own memory, the caller pays when its activation ends.
    const prices = pricesOf(done.work, started || request.what === "put");
    const price = [...prices.values()].reduce((sum, of) => sum + of, 0);
    const credit = started ? (this.#credit.get(child) ?? 0) : 0;
    this.#judge(request.what, done.gas + credit, price, prices);
    if (done.code === null) this.#credit = new Map(this.#creditAtStart);
    else if (caller.isStarted(child)) this.#credit.set(child, Math.max(0, done.gas + credit - price));
    else this.#credit.delete(child);
    return done;
  }

  /** The caller's activation ends and another begins. */
  settle(): void {
    this.caller.settle();
    this.#creditAtStart = new Map(this.#credit);
  }

  #judge(call: string, gas: number, price: number, prices: ReadonlyMap<string, number>): void {
    const ratio = price / Math.max(gas, 1);
    if (ratio <= 1) {
      this.highest = Math.max(this.highest, ratio);
      return;
    }
    const dearest = [...prices].filter(([, of]) => of > 0).sort((a, b) => b[1] - a[1]);
    this.unpaid.push({ number: this.calls, step: this.step, call, gas, ratio, work: dearest });
  }
}
