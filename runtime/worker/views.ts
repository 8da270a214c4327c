/**
 * Views, as the main thread sees them: those that wait, and those that are on the board.
 *
 * A view is a value of its inputs, so it can be begun any number of times. While views are held (`hold`) none
 * is on the board and no thread works at one that anybody still wants: those that were begin again when they
 * are let go. So a collection waits for no view; it only gives one that is nearly done a moment to end.
 *
 * The threads that serve views are started by the first one, and take nothing else.
 */

import { assert, LimitError, type StillpointError } from "../errors.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import type { Board } from "./board.ts";
import { JOB_VIEW, NO_ENTRY } from "./job.ts";
import { NO_RECORD } from "./timeline.ts";

/** Views on the board for each thread: one that runs, one that it finds when that has ended. */
const POSTED_PER_THREAD = 2;
/** How long those in progress have to end when views are held. */
const PATIENCE_MS = 5;
/** Collections that may end a view which runs before it is given up. */
const INTERRUPTIONS_LIMIT = 10;
/** Deaths of threads while a view is on the board after which it is given up. */
const DEATHS_LIMIT = 100;
/** How long the main thread waits for the heap's lock, or for an entry of the board. */
const RETRY_MS = 1;

/** What runs a view. */
export interface ViewJob {
  /** The root, which stays reachable until the view has ended. */
  readonly state: Ref;
  /** The bytes of the request (view.ts). */
  readonly request: Buffer;
  readonly gas: number;
  /** The kit of the rules by which it runs. */
  readonly rules: Ref;
}

/** What the pool does for them. */
export interface ViewThreads {
  readonly count: number;
  /** Threads that died so far. */
  deaths(): number;
  /** Starts them, if that was not done. */
  start(): void;
  /** Ends the thread of this id. */
  end(id: number): Promise<void>;
  /** The error that a thread described. */
  revive(text: string): StillpointError;
}

interface Pending {
  readonly job: ViewJob;
  readonly read: (answer: Ref) => void;
  readonly reject: (error: unknown) => void;
  interruptions: number;
  deathsBefore: number;
}

export class Views {
  readonly #heap: Heap;
  readonly #board: Board;
  readonly #threads: ViewThreads;
  #waiting: Pending[] = [];
  /** By their entry on the board. */
  readonly #posted = new Map<number, Pending>();
  #holds = 0;
  #isWatching = false;
  readonly #drained: (() => void)[] = [];

  constructor(heap: Heap, board: Board, threads: ViewThreads) {
    this.#heap = heap;
    this.#board = board;
    this.#threads = threads;
  }

  /**
   * Runs a view; what `read` makes of the answer, a reference that is good until `read` returns. When
   * `signal` is aborted before that, rejects with what `cancelled` makes, and ends the thread that runs it.
   */
  run<T>(
    job: ViewJob,
    read: (answer: Ref) => T,
    signal: AbortSignal | null,
    cancelled: (signal: AbortSignal) => Error,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (signal?.aborted) return reject(cancelled(signal));
      const abort = (): void => {
        signal?.removeEventListener("abort", abort);
        this.#giveUp(view).then(() => reject(cancelled(signal as AbortSignal)), reject);
      };
      const view: Pending = {
        job,
        read: (answer) => {
          signal?.removeEventListener("abort", abort);
          resolve(read(answer));
        },
        reject: (error) => {
          signal?.removeEventListener("abort", abort);
          reject(error);
        },
        interruptions: 0,
        deathsBefore: 0,
      };
      signal?.addEventListener("abort", abort);
      this.#threads.start();
      this.#waiting.push(view);
      this.#post();
    });
  }

  /** Takes all views from the board, until `release` was called as often. Threads may still be at work. */
  async hold(): Promise<void> {
    this.#holds++;
    if (this.#posted.size > 0) {
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise((resolve) => {
        timer = setTimeout(resolve, PATIENCE_MS);
      });
      await Promise.race([patience, new Promise<void>((resolve) => this.#drained.push(resolve))]);
      clearTimeout(timer);
    }
    const again: Pending[] = [];
    for (const [entry, view] of this.#posted) {
      if (this.#board.withdraw(entry) !== 0) view.interruptions++;
      if (view.interruptions < INTERRUPTIONS_LIMIT) again.push(view);
      else view.reject(interrupted());
    }
    this.#posted.clear();
    this.#waiting = [...again, ...this.#waiting];
  }

  release(): void {
    assert(this.#holds > 0, "views: released more often than held");
    this.#holds--;
    this.#post();
  }

  /** Puts views on the board as far as there is room. */
  #post(): void {
    const limit = this.#threads.count * POSTED_PER_THREAD;
    while (this.#holds === 0 && this.#posted.size < limit) {
      const view = this.#waiting.shift();
      if (view === undefined) break;
      let entry = NO_ENTRY;
      try {
        entry = this.#postOne(view);
      } catch (error) {
        view.reject(error);
        continue;
      }
      if (entry === NO_ENTRY) {
        this.#waiting.unshift(view);
        setTimeout(() => this.#post(), RETRY_MS);
        break;
      }
      this.#posted.set(entry, view);
    }
    if (this.#posted.size > 0 && !this.#isWatching) this.#watch();
  }

  /** NO_ENTRY if that cannot be done just now. */
  #postOne(view: Pending): number {
    const { state, request, gas, rules } = view.job;
    this.#heap.refresh();
    const metadata = this.#heap.tryBlob(request);
    if (metadata === null) return NO_ENTRY;
    const job = { kind: JOB_VIEW, start: state, path: [], metadata, gas, rules, upgrade: 0, run: 0 };
    const entry = this.#board.post({ ...job, parent: NO_ENTRY, origin: NO_RECORD });
    view.deathsBefore = this.#threads.deaths();
    return entry;
  }

  /** Takes answers from the board as long as views are there. */
  async #watch(): Promise<void> {
    this.#isWatching = true;
    const { signals } = this.#board;
    while (this.#posted.size > 0) {
      const signal = signals.readMain();
      for (const [entry, view] of this.#posted) this.#look(entry, view);
      this.#post();
      if (this.#posted.size === 0) break;
      await signals.sleepMain(signal);
    }
    this.#isWatching = false;
  }

  #look(entry: number, view: Pending): void {
    const outcome = this.#board.take(entry, view.job.state, false);
    if (outcome.state === "pending") {
      if (this.#threads.deaths() - view.deathsBefore <= DEATHS_LIMIT) return;
      this.#board.withdraw(entry);
    }
    this.#posted.delete(entry);
    try {
      if (outcome.state === "done") view.read(outcome.result);
      else if (outcome.state === "failed") view.reject(this.#threads.revive(outcome.error));
      else view.reject(died());
    } catch (error) {
      view.reject(error);
    }
    this.#tellDrained();
  }

  #tellDrained(): void {
    if (this.#posted.size === 0) for (const resolve of this.#drained.splice(0)) resolve();
  }

  /** Nobody wants a view any more. */
  async #giveUp(view: Pending): Promise<void> {
    const at = this.#waiting.indexOf(view);
    if (at >= 0) this.#waiting.splice(at, 1);
    const [entry] = [...this.#posted].find(([, posted]) => posted === view) ?? [NO_ENTRY];
    if (entry === NO_ENTRY) return;
    this.#posted.delete(entry);
    const id = this.#board.withdraw(entry);
    this.#tellDrained();
    if (id !== 0) await this.#threads.end(id);
    this.#post();
  }
}

function died(): LimitError {
  const text = `${DEATHS_LIMIT} worker threads died while this view ran; it was given up`;
  return new LimitError("WORKERS_DIED", text, { deaths: DEATHS_LIMIT });
}

function interrupted(): LimitError {
  const text =
    `the view ran ${INTERRUPTIONS_LIMIT} times until a collection came, and was given up. ` +
    "Give it less gas or less to do";
  return new LimitError("VIEW_INTERRUPTED", text, { interruptions: INTERRUPTIONS_LIMIT });
}
