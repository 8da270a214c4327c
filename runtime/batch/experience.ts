/**
 * Which way the next items of an entry run: one after the other in the loop, or in parallel. It knows no
 * clock, and decides nothing but time.
 *
 * For each way there is an estimate of what work costs, in nanoseconds: a rate, which recent samples move
 * most, and for a run in parallel a fixed cost apart from it, which long batches feel less than short ones.
 * Work is gas, and something for each item. Two rules:
 *
 * - Items go the way whose estimate for the rest of their batch is less.
 * - The other way is tried once so much time has passed since the last trial that what this one may lose, or
 *   that one has lost, is a small share of it. A trial lasts as long as it wins, and at least for one window
 *   or chunk; each that changes nothing makes the next one wait twice as long.
 *
 * So what both ways lose against the better one is at most 1 / PATIENCE_LEAST of the time, or a grant for the
 * first runs of an entry, and nothing is given up for good: a trial that went badly costs a wait that
 * it is worth. Time that items took is all that counts as passed, so an idle entry learns nothing.
 *
 * What is known lies in shared memory: one record an entry, for all threads of a runtime. They read and write
 * its words one by one, without a lock; where two write at once, one sample is lost. No word has to agree
 * with another.
 */

import { Spending, type Work } from "./lease.ts";

/** What every item is at least, in gas: that of items that used up all they had says nothing. */
const ITEM_WORK = 10_000;
/** A batch that takes less is over before other threads are awake. */
const BATCH_NS_LEAST = 500_000;
/** Time for which the loop runs items before it decides again; number of items of a new entry. */
const CHUNK_NS = 500_000;
const CHUNK_ITEMS = 8;
/** The first items that the loop runs load pages: what they cost says nothing. */
export const COLD_ITEMS = 2;
/** Expected time of a sample that counts as much as what was known before. */
const MEMORY_NS = 10e6;
/** A sample of the loop counts as at most this multiple of the estimate: a thread may be held up. */
const SAMPLE_TIMES = 2;
/** Guesses before a run in parallel: what it costs to begin, and each item beside its share of the loop. */
const RUN_NS_GUESS = 300_000;
const ITEM_NS_GUESS = 3_000;
/** Time between trials, as a multiple of what one may lose or has lost: at most 5 % are lost. */
const PATIENCE_LEAST = 20;
const PATIENCE_MOST = 80;
/**
 * What the first runs of an entry may lose instead, for threads compile what they run for the first time. It
 * is gone when the entry has run for so long that the share of the time is as much.
 */
const GRANT_NS = 50e6;
/** Items of a window: few, so that a delayed thread spoils little. A trial in parallel is one at least. */
export const WINDOW_ITEMS = 256;

/** Words of a record. */
const LOOP_NS = 0;
const PARALLEL_NS = 1;
const RUN_NS = 2;
const WORK_PER_ITEM = 3;
const SINCE_NS = 4;
const LOST_NS = 5;
const PATIENCE = 6;
const SPENT_NS = 7;
const SPENDING = 8;
export const EXPERIENCE_WORDS = 10;

const amount = ({ items, gas }: Work): number => items * ITEM_WORK + gas;

type Way = "loop" | "parallel";

/** The experience with an entry, as the thread has it that runs one of its batches. */
export class Experience {
  /** What leases follow from. */
  readonly spending: Spending;
  readonly #words: Float64Array;
  readonly #threads: number;
  /** Items of the batch. */
  #all = 0;
  /** The way that is being tried. */
  #trial: Way | null = null;
  /** A run in parallel has opened its first window: what it has lost so far, and done in how long. */
  #isRunning = false;
  #runLostNs = 0;
  #runWork = 0;
  #runNs = 0;

  /** `words`: the record, zeros at first; `threads` can run items at once. */
  constructor(words: Float64Array, threads: number) {
    this.#words = words;
    this.#threads = threads;
    this.spending = new Spending(words.subarray(SPENDING));
    if (this.#word(PATIENCE) === 0) this.#set(PATIENCE, PATIENCE_LEAST);
  }

  /** Of `rest` items, how many are run one after the other now; 0: they are run in parallel. */
  plan(rest: number): number {
    this.#all ||= rest;
    const perItem = this.#word(WORK_PER_ITEM);
    if (rest < 2 || this.#word(LOOP_NS) === 0) return Math.min(rest, CHUNK_ITEMS);
    const work = rest * perItem;
    if (work * this.#word(LOOP_NS) < BATCH_NS_LEAST) return rest;
    const better = this.#better(work);
    if (this.#trial === null && this.#isDue(better, rest)) this.#trial = other(better);
    if ((this.#trial ?? better) === "parallel") return 0;
    return Math.min(rest, this.#chunk());
  }

  /** Notes how long this work took in the loop. */
  looped(work: Work, ns: number): void {
    if (work.items === 0) return;
    const done = amount(work);
    const before = this.#word(LOOP_NS);
    const sample = ns / done;
    this.#learn(LOOP_NS, before === 0 ? sample : Math.min(sample, SAMPLE_TIMES * before), done);
    this.#learnItems(work);
    if (this.#trial !== "loop") {
      this.#pass(ns);
      return;
    }
    const lostNs = ns - done * this.#rate("parallel");
    if (lostNs < 0) return;
    this.#trial = null;
    this.#lost(lostNs, this.#word(LOOP_NS) < this.#rate("parallel"));
  }

  /** A run in parallel opens its first window, for which it took so long. */
  began(ns: number): void {
    const known = this.#word(RUN_NS);
    this.#set(RUN_NS, known === 0 ? ns : (known + ns) / 2);
    this.#isRunning = true;
    this.#runLostNs = ns;
    this.#runNs = ns;
    this.#runWork = 0;
  }

  /** A window has done this work in so long. Whether the run continues, if there is more to do. */
  windowed(work: Work, ns: number): boolean {
    const done = amount(work);
    this.#runNs += ns;
    this.#runWork += done;
    this.#runLostNs += ns - done * this.#word(LOOP_NS);
    if (work.items > 0) {
      this.#learn(PARALLEL_NS, ns / done, done);
      this.#learnItems(work);
    }
    return this.#runLostNs < 0 || this.#rate("parallel") < this.#word(LOOP_NS);
  }

  /** The run in parallel has ended, so long after what was counted before. */
  ran(ns: number): void {
    if (!this.#isRunning) this.began(ns);
    this.#isRunning = false;
    const isTrial = this.#trial === "parallel";
    this.#trial = null;
    const isBetter = this.#runWork > 0 && this.#better(this.#runWork) === "parallel";
    if (isBetter && !isTrial) this.#pass(this.#runNs);
    else this.#lost(Math.max(0, this.#runLostNs), isBetter || !isTrial);
  }

  /** A trial has lost so much, or a run that was to be better; `isTurned`: another way is better now. */
  #lost(lostNs: number, isTurned: boolean): void {
    const spentNs = this.#word(SPENT_NS);
    const grantedNs = Math.min(lostNs, Math.max(0, GRANT_NS - spentNs));
    this.#set(SPENT_NS, spentNs + grantedNs);
    this.#set(LOST_NS, lostNs - grantedNs);
    this.#set(SINCE_NS, 0);
    const isNews = isTurned || lostNs === grantedNs;
    const patience = isNews ? PATIENCE_LEAST : 2 * this.#word(PATIENCE);
    this.#set(PATIENCE, Math.min(patience, PATIENCE_MOST));
  }

  /** Whether the way that is not `better` is to be tried for `rest` items. */
  #isDue(better: Way, rest: number): boolean {
    // The last few items of a batch say nothing about a run in parallel.
    if (better === "loop" && rest < Math.min(WINDOW_ITEMS, this.#all / 2)) return false;
    const items = Math.min(rest, better === "loop" ? WINDOW_ITEMS : COLD_ITEMS + this.#chunk());
    const work = items * this.#word(WORK_PER_ITEM);
    const beginNs = better === "loop" ? 0 : this.#word(RUN_NS);
    const losesNs = beginNs + this.#cost(other(better), work) - work * this.#rate(better);
    if (better === "loop" && losesNs <= GRANT_NS - this.#word(SPENT_NS)) return true;
    return this.#word(SINCE_NS) >= this.#word(PATIENCE) * Math.max(losesNs, this.#word(LOST_NS));
  }

  #better(work: number): Way {
    return this.#cost("parallel", work) < this.#cost("loop", work) ? "parallel" : "loop";
  }

  #cost(way: Way, work: number): number {
    if (way === "loop") return work * this.#rate("loop");
    return (this.#word(RUN_NS) || RUN_NS_GUESS) + work * this.#rate("parallel");
  }

  /** Nanoseconds for a unit of work. */
  #rate(way: Way): number {
    const loopNs = this.#word(LOOP_NS);
    const known = this.#word(PARALLEL_NS);
    // What all threads did together, one does: an estimate above that is of code that was not compiled yet.
    if (way === "loop") return known > 0 ? Math.min(loopNs, this.#threads * known) : loopNs;
    return known > 0 ? known : loopNs / this.#threads + ITEM_NS_GUESS / this.#word(WORK_PER_ITEM);
  }

  /**
   * Items that the loop runs before that is thought over: for so long at what they cost in the better way.
   * The first few find cold caches, so fewer would say nothing of a loop that is tried.
   */
  #chunk(): number {
    const known = this.#word(PARALLEL_NS);
    const itemNs = Math.min(this.#rate("loop"), known || Infinity) * this.#word(WORK_PER_ITEM);
    return Math.max(1, Math.ceil(CHUNK_NS / itemNs));
  }

  /** Moves a rate by a sample of so much work. */
  #learn(word: number, sample: number, work: number): void {
    const known = this.#word(word);
    const expectedNs = work * known;
    const share = known === 0 ? 1 : expectedNs / (expectedNs + MEMORY_NS);
    this.#set(word, known + share * (sample - known));
  }

  #learnItems(work: Work): void {
    const known = this.#word(WORK_PER_ITEM);
    const share = known === 0 ? 1 : work.items / (work.items + WINDOW_ITEMS);
    this.#set(WORK_PER_ITEM, known + share * (amount(work) / work.items - known));
  }

  /** Time has passed in the better way, which a share of the grant expires with. */
  #pass(ns: number): void {
    this.#set(SINCE_NS, this.#word(SINCE_NS) + ns);
    this.#set(SPENT_NS, this.#word(SPENT_NS) + ns / PATIENCE_LEAST);
  }

  #word(place: number): number {
    return this.#words[place] as number;
  }

  #set(place: number, value: number): void {
    this.#words[place] = value;
  }
}

const other = (way: Way): Way => (way === "loop" ? "parallel" : "loop");
