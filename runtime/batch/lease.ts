/**
 * Leases: how much of its gas an incarnation may spend before its reads are validated
 * (kernel/slots/meter.ts). One whose lease expires is no outcome. If its reads turn out wrong, it was aborted
 * early; else it runs again with the next lease, and after the last one when all lower items are committed,
 * with all its gas. So what runs on an inconsistent snapshot costs a small multiple of what items of its
 * entry cost.
 *
 * Leases follow from the gas of committed items, and decide nothing but time: an incarnation that ends within
 * its lease has done what it would have done without one.
 */

import { GAS_LIMIT } from "../limits.ts";

/** Valid incarnations of an item that may expire; after them it waits for its turn. */
export const LEASES = 2;
/** The smallest lease, some microseconds: below it, running an item again does not pay. */
export const LEASE_MINIMUM = 100_000;
/** The lease while too few items are known: a fraction of a millisecond. */
export const LEASE_UNKNOWN = 1_000_000;
/** The first lease, to what an item costs on average; and each next one to the one before. */
export const LEASE_ITEMS = 8;
export const LEASE_GROWTH = 8;
/** An average over fewer items counts as one over this number: a single expensive item is no rule. */
const ITEMS_LEAST = 64;
/** Items of which an average knows; older ones count half, again and again. */
const ITEMS_MOST = 1024;

/** Gas that an incarnation may spend, given the first lease, when so many leases of its item have expired. */
export function leaseAfter(expired: number, first: number): number {
  return first * LEASE_GROWTH ** expired;
}

/** Some items, and the gas of those among them that did not use up all they had. */
export interface Work {
  readonly items: number;
  readonly gas: number;
}

/** What committed items of an entry have cost lately. */
export class Spending {
  /** Items, and their gas: two words of the entry's record (experience.ts). */
  readonly #words: Float64Array;

  constructor(words: Float64Array) {
    this.#words = words;
  }

  add({ items, gas }: Work): void {
    const [knownItems, knownGas] = this.#words as unknown as [number, number];
    const all = knownItems + items;
    const share = Math.min(1, ITEMS_MOST / all);
    this.#words.set([share * all, share * (knownGas + gas)]);
  }

  /** The first lease of items of the entry. */
  get lease(): number {
    const [items, gas] = this.#words as unknown as [number, number];
    const average = gas / Math.max(items, ITEMS_LEAST);
    const least = items < ITEMS_LEAST ? LEASE_UNKNOWN : LEASE_MINIMUM;
    return Math.min(Math.max(least, Math.ceil(LEASE_ITEMS * average)), GAS_LIMIT);
  }
}
