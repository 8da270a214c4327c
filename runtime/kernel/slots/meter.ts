/**
 * The gas of what runs in an instance. Instrumented code counts it down in a global, which lies in AUX_GAS
 * while it is in a call or has ended; below zero it traps. This is the only place where the host reads or
 * writes that word.
 *
 * A *lease* is how much of its gas an incarnation of an item may spend before its reads are validated. The
 * word then holds the lesser of the two, and gas beyond it is withheld. Charges reduce both; what START gives
 * to a child, and what comes back from it, is gas alone. So every answer that depends on gas is that of all
 * the gas, withheld or not, and only running out comes early.
 *
 *   gas   = word + max(excess, 0)
 *   lease = word + max(-excess, 0)      excess = gas - lease, -Infinity where there is no lease
 */

import * as layout from "../../program/layout.ts";
import { highOf, joined, lowOf } from "../../u64.ts";

const LOW = layout.AUX_GAS / 4;
const HIGH = LOW + 1;

export class Meter {
  readonly #words: Int32Array;
  #excess = Number.NEGATIVE_INFINITY;

  /** The meter of the instance with this aux memory. */
  constructor(auxWords: Int32Array) {
    this.#words = auxWords;
  }

  /** Sets the gas that there is, of which `lease` may be spent. */
  set(gas: number, lease = Number.POSITIVE_INFINITY): void {
    this.#excess = gas - lease;
    const word = Math.min(gas, lease);
    this.#words[LOW] = lowOf(word);
    this.#words[HIGH] = highOf(word);
  }

  get #word(): number {
    return joined(this.#words[LOW] as number, this.#words[HIGH] as number);
  }

  /** Gas left, withheld or not. Exact while the code is in a call or has ended, but by a trap. */
  get gas(): number {
    return this.#word + Math.max(this.#excess, 0);
  }

  /** How much gas may still be spent under the lease; without one, at least as much as there is. */
  get lease(): number {
    return this.#word + Math.max(-this.#excess, 0);
  }

  /** Whether there is more gas than may be spent: to run out is not the end then. */
  get withholds(): boolean {
    return this.#excess > 0;
  }

  /** Takes what something costs; false if that may not be spent: nothing is taken. */
  charge(cost: number): boolean {
    const word = this.#word - cost;
    if (word < 0) return false;
    this.#words[LOW] = lowOf(word);
    this.#words[HIGH] = highOf(word);
    return true;
  }

  /** Gas is given away or comes back; `spent` of what may be spent was spent elsewhere. */
  transfer(gas: number, spent = 0): void {
    this.set(this.gas + gas, Math.max(0, this.lease - spent));
  }

  /** The halves of what entry points are called with. */
  get low(): number {
    return this.#words[LOW] as number;
  }

  get high(): number {
    return this.#words[HIGH] as number;
  }
}
