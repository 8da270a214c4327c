/**
 * What is known of the items of an entry: what their work costs in the loop, and whether running them in
 * parallel has paid. From that follows what is tried next. It knows no clock, and decides nothing but time.
 *
 * Work is gas, which tells items apart that do more from those that do less, and something for each item: gas
 * of those that used up all they had says nothing.
 *
 * Runs in parallel may lose a small share of what the items would have taken in the loop, and no more: each
 * adds what it took longer, or takes away what it gained. One that would lose more than is left is not begun,
 * and one that has does not go on, so items that are not worth it are tried again from time to time, the
 * worse they are the more seldom. A batch is never much slower than its loop, however it conflicts.
 */

import { Spending } from "./lease.ts";

/** Fewer items, or items that take less time altogether, are not worth waking other threads. */
const ITEMS_MINIMUM = 8;
const BATCH_NS_MINIMUM = 500_000;
/** The first items that the loop runs bring pages in: what they cost says nothing. */
export const COLD_ITEMS = 8;
/**
 * To see what items cost so many are run one after the other, or as many as take so long, so many times; of
 * these the least counts: a thread that is held up takes long for anything.
 */
const PROBE_ITEMS = 32;
const PROBE_NS = 100_000;
const PROBES = 3;
/** At first they take so long altogether: until V8 has compiled the loop, items of 0.2 µs take 5. */
const FIRST_LOOK_NS = 10e6;
/** Items that cost less are faster in a loop. */
const CHEAP_NS = 4_000;
/** Items that are run in the loop before that is thought over. */
const LOOP_ITEMS = 256;
/** The loop is looked at again after so many items in parallel, at first and at last. */
const INTERVAL_FIRST = 2048;
const INTERVAL_LAST = 32_768;
/** What runs in parallel may lose: a share of all the time, and what some items take, to begin with. */
const LOSS_SHARE = 0.05;
const LOSS_ITEMS = 384;
/**
 * While the first ones run, threads load the engine and V8 compiles it and the program, which takes 150 ms
 * altogether. So much time is no loss, if it passes with the first items: without that, items of 5 µs were
 * given up before all was compiled, and again at each trial, for the first second of a runtime.
 */
const FIRST_NS = 100e6;
const FIRST_ITEMS = 16_384;
/** Work that all threads did in less than this share of what each would have to do is not what it was. */
const STALE = 0.8;
/** What lies further back counts half. */
const MEMORY_NS = 2e9;

/** What every item is at least, in gas. */
const ITEM_WORK = 10_000;

/** Some items, and the gas of those among them that did not use up all they had. */
export interface Work {
  readonly items: number;
  readonly gas: number;
}

const amount = ({ items, gas }: Work): number => items * ITEM_WORK + gas;

export class Experience {
  /** What leases follow from. */
  readonly spending = new Spending();
  readonly #threads: number;
  /** Time that work takes in the loop; 0: not known. */
  #loopNs = 0;
  /** Work of an item, lately. */
  #itemWork = 0;
  #probes: number[] = [];
  /** Time that all of them took. */
  #lookedNs = 0;
  /** Items in parallel since the loop was looked at, and how many there may be. */
  #unseen = 0;
  /** Items in parallel altogether. */
  #ran = 0;
  #interval = INTERVAL_FIRST;
  /** What all items took in the loop, or would have. */
  #timeNs = 0;
  /** What runs in parallel have lost, and the last one for its work. */
  #lossNs = 0;
  #lastLossNs = 0;
  /** What they may take longer because they are the first. */
  #creditNs = FIRST_NS;

  /** So many threads can run items at once. */
  constructor(threads: number) {
    this.#threads = threads;
  }

  /** Of `rest` items, how many are run one after the other now; 0: they are run in parallel. */
  plan(rest: number): number {
    const itemNs = this.#loopNs * this.#itemWork;
    if (rest < ITEMS_MINIMUM || (itemNs > 0 && rest * itemNs < BATCH_NS_MINIMUM)) return rest;
    if (itemNs === 0 || this.#unseen >= this.#interval) return PROBE_ITEMS;
    if (itemNs < CHEAP_NS) return LOOP_ITEMS;
    const lossNs = this.#lastLossNs * LOOP_ITEMS * this.#itemWork;
    return this.#affords(this.#lossNs + lossNs) ? 0 : LOOP_ITEMS;
  }

  /** This work took so long in the loop. */
  looped(work: Work, ns: number): void {
    this.#spend(ns);
    if (work.items < PROBE_ITEMS && ns < PROBE_NS) return;
    this.#itemWork = amount(work) / work.items;
    this.#probes.push(ns / amount(work));
    this.#lookedNs += ns;
    if (this.#probes.length < PROBES || this.#lookedNs < FIRST_LOOK_NS) return;
    const least = Math.min(...this.#probes);
    this.#probes = [];
    if (this.#unseen > 0) this.#interval = Math.min(2 * this.#interval, INTERVAL_LAST);
    this.#unseen = 0;
    // What seemed to be lost was the items' own.
    if (least * STALE > this.#loopNs) this.#forgive();
    this.#loopNs = least;
  }

  /** Whether a run in parallel may go on whose work so far took so long. */
  goesOn(work: Work, ns: number): boolean {
    return !this.#isStale(work, ns) && this.#affords(this.#lossNs + ns - amount(work) * this.#loopNs);
  }

  /** A run in parallel has ended that has done this work. */
  ran(work: Work, ns: number): void {
    if (work.items > 0) this.#itemWork = amount(work) / work.items;
    if (this.#isStale(work, ns)) {
      this.#loopNs = 0;
      return;
    }
    const allNs = ns - amount(work) * this.#loopNs;
    const lossNs = allNs - Math.min(this.#creditNs, Math.max(0, allNs));
    this.#spend(amount(work) * this.#loopNs);
    this.#lossNs = Math.max(0, this.#lossNs + lossNs);
    this.#lastLossNs = Math.max(0, lossNs / Math.max(ITEM_WORK, amount(work)));
    this.#unseen += work.items;
    this.#ran += work.items;
    this.#creditNs = this.#ran < FIRST_ITEMS ? this.#creditNs - (allNs - lossNs) : 0;
  }

  #isStale(work: Work, ns: number): boolean {
    return ns * this.#threads < STALE * amount(work) * this.#loopNs;
  }

  #affords(lossNs: number): boolean {
    const some = LOSS_ITEMS * this.#itemWork * this.#loopNs;
    return lossNs <= LOSS_SHARE * this.#timeNs + some + this.#creditNs;
  }

  #spend(ns: number): void {
    this.#timeNs += ns;
    if (this.#timeNs < MEMORY_NS) return;
    this.#timeNs /= 2;
    this.#lossNs /= 2;
  }

  #forgive(): void {
    this.#lossNs = 0;
    this.#lastLossNs = 0;
  }
}
