/**
 * The job board: activations that wait for a thread, in shared memory.
 *
 * A job is an entry of fixed size. Its first word has its state and its owner:
 *
 *   FREE ──post──▶ WRITING(poster) ──▶ POSTED ──claim──▶ CLAIMED(worker) ──▶ DONE or FAILED ──▶ FREE
 *                                       │                   │
 *                                       └──withdraw──▶ FREE └──withdraw──▶ ORPHAN(worker) ──end──▶ FREE
 *
 * An entry belongs to its poster, which frees it. When the poster's activation ends while the child is still
 * started, the entry becomes *speculative work*, which no thread owns. Idle threads run it, unless there is
 * only one thread. A join of the START image finds the entry and takes its result, a memo that can be
 * lost. Only jobs with the rules that the entry names may use the memo.
 *
 * A claim and its owner are one word, so a worker that is killed leaves a board that `recover` can repair:
 * the jobs it had claimed are posted again, those it had posted are void, since the activation that needs
 * them is gone.
 *
 * Blocks have an affinity: the thread that ran the last one runs the next, unless it has begun something
 * else. Its slot holds the root as that block left it; when four threads took turns, blocks of 256 pages took
 * 1.6 times as long.
 * So have children: a parent that posts a job, of a child that it ran last itself, is likely to join it at
 * once; of several such jobs, the first. Others see the job and take it if it is still there a while later
 * (patience.ts). A child of 64 MiB of which most pages change in a block took 20 ms more whenever another
 * thread was quicker than its parent's join, which was every other block.
 * Views are posted by the main thread as well. Threads for views claim views only, other threads none.
 */

import { assert } from "../errors.ts";
import type { Ref } from "../heap/heap.ts";
import {
  AFFINE,
  CLAIMED,
  DONE,
  ENTRIES_LIMIT,
  ERROR_AT,
  ERROR_BYTES,
  ERROR_LENGTH,
  entryAt,
  FAILED,
  FREE,
  HIGH_WATER,
  KEPT,
  KIND,
  lastRanAt,
  MAIN_ENTRIES,
  MAIN_THREAD,
  mayFollow,
  ORPHAN,
  PARENT,
  PARENT_SEQUENCE,
  PAUSED,
  POSTED,
  POSTER,
  RESERVED,
  RESULT,
  RULES,
  SEQUENCE,
  START,
  STATE,
  STATE_BITS,
  STATE_MASK,
  USED,
  WRITING,
} from "./board-layout.ts";
import { descends, readJob, writeJob } from "./entry.ts";
import { JOB_ACTIVATE, JOB_ASSIST, JOB_VIEW, type Job, type Memo, NO_ENTRY, type Outcome } from "./job.ts";
import { Patience } from "./patience.ts";
import { Signals } from "./signals.ts";

const PENDING: Outcome = { state: "pending" };
const YOURS: Outcome = { state: "claimed" };
const LOST: Outcome = { state: "lost" };

export { MAIN_THREAD } from "./board-layout.ts";

export const createBoard = () => new SharedArrayBuffer(ERROR_AT + ENTRIES_LIMIT * ERROR_BYTES);

/** One thread's view of the board. `self` identifies the thread and is never used again for another. */
export class Board {
  readonly #words: Int32Array;
  readonly #bytes: Buffer;
  readonly #self: number;
  /** The kit of the rules by which this thread runs: it knows speculative jobs of these alone. */
  rules: Ref = 0;
  /** Raised by every post and every end. */
  readonly signals: Signals;
  readonly #freed: number[] = [];
  #cursor = 0;
  /** How many jobs this thread has reserved for itself. */
  #reserved = 0;
  /** With jobs that others have posted. */
  readonly patience = new Patience();

  constructor(memory: SharedArrayBuffer, self: number) {
    this.#words = new Int32Array(memory, 0, ERROR_AT / 4);
    this.#bytes = Buffer.from(memory as unknown as ArrayBuffer);
    this.#self = self;
    this.signals = new Signals(this.#words);
  }

  // ---- posting --------------------------------------------------------------------------------------------

  /** The entry of a new job; NO_ENTRY if the board is full. */
  post(job: Job): number {
    const entry = this.#reserve();
    if (entry === NO_ENTRY) return NO_ENTRY;
    const words = this.#words;
    const at = entryAt(entry);
    words[at + SEQUENCE] = ((words[at + SEQUENCE] as number) + 1) | 0;
    writeJob(words, at, job);
    words[at + RESULT] = 0;
    words[at + POSTER] = this.#self;
    const isReserved = job.kind === JOB_ACTIVATE && words[lastRanAt(job.path)] === this.#self;
    words[at + RESERVED] = isReserved ? ++this.#reserved : 0;
    words[at + PARENT_SEQUENCE] =
      job.parent === NO_ENTRY ? 0 : (words[entryAt(job.parent) + SEQUENCE] as number);
    const posted = this.#turn(entry, this.#mine(WRITING), POSTED);
    assert(posted, "board: a job was written into another thread's entry");
    this.signals.raise(job.kind === JOB_VIEW);
    return entry;
  }

  /** This thread leads a batch: what it has posted before, it will not run soon. */
  unreserve(): void {
    const words = this.#words;
    const count = Atomics.load(words, HIGH_WATER);
    for (let entry = 0; entry < count; entry++) {
      if (words[entryAt(entry) + POSTER] === this.#self) words[entryAt(entry) + RESERVED] = 0;
    }
  }

  /** This thread runs the process at `path`. */
  runs(path: readonly number[]): void {
    this.#words[lastRanAt(path)] = this.#self;
  }

  job(entry: number): Job {
    return readJob(this.#words, entryAt(entry));
  }

  /**
   * Tries to get the result of the job that runs `start`: "done" frees the entry; "claimed" makes it the
   * caller's to run, unless it may not claim; "lost" means that the entry is not that job any more (only of
   * speculative work).
   */
  take(entry: number, start: Ref, mayClaim = true): Outcome {
    const words = this.#words;
    const at = entryAt(entry);
    const state = Atomics.load(words, at + STATE);
    const sequence = words[at + SEQUENCE];
    if ((words[at + START] as number) >>> 0 !== start) return LOST;
    const kept = words[at + POSTER] === KEPT;
    if (kept && (words[at + RULES] as number) >>> 0 !== this.rules) return LOST;
    switch (state & STATE_MASK) {
      case POSTED:
        if (!mayClaim || !this.claim(entry)) return PENDING;
        // It may have been freed and posted again in between: then it is another job.
        if (words[at + SEQUENCE] === sequence) return YOURS;
        this.#unclaim(entry);
        return LOST;
      case CLAIMED:
        return PENDING;
      case DONE: {
        const result = (words[at + RESULT] as number) >>> 0;
        if (!this.#turn(entry, state, FREE)) return LOST;
        if (words[at + SEQUENCE] !== sequence) return LOST;
        if (kept) Atomics.add(words, USED, 1);
        this.#freed.push(entry);
        return { state: "done", result };
      }
      case FAILED: {
        const error = this.#error(entry);
        if (!this.#turn(entry, state, FREE)) return LOST;
        this.#freed.push(entry);
        return kept ? LOST : { state: "failed", error };
      }
      default:
        return LOST;
    }
  }

  /** Frees an entry that this thread has claimed. */
  free(entry: number): void {
    const freed = this.#turn(entry, this.#mine(CLAIMED), FREE);
    assert(freed, "board: the job that is freed is not this thread's");
    this.#freed.push(entry);
  }

  /**
   * The poster does not want the result any more. Returns the thread that continues at it, 0 if none does.
   */
  withdraw(entry: number): number {
    // Others continue meanwhile, and the main thread may post it again: until the entry no longer changes.
    for (;;) {
      const state = Atomics.load(this.#words, entryAt(entry) + STATE);
      const claimed = (state & STATE_MASK) === CLAIMED;
      if (!this.#turn(entry, state, claimed ? (state & ~STATE_MASK) | ORPHAN : FREE)) continue;
      if (claimed) return state >> STATE_BITS;
      this.#freed.push(entry);
      return 0;
    }
  }

  /** The poster's activation ended and left the child started: the job becomes speculative work. */
  keep(entry: number): void {
    const at = entryAt(entry);
    assert(this.#words[at + POSTER] === this.#self, "board: the job that is kept is another thread's");
    this.#words[at + PARENT] = NO_ENTRY;
    Atomics.store(this.#words, at + POSTER, KEPT);
    this.signals.raise();
  }

  /** The speculative job that runs `start` by the rules in force, NO_ENTRY if there is none. */
  find(start: Ref): number {
    const words = this.#words;
    const count = Atomics.load(words, HIGH_WATER);
    for (let entry = 0; entry < count; entry++) {
      const at = entryAt(entry);
      const isThere = words[at + POSTER] === KEPT && words[at + STATE] !== FREE;
      const isOfRules = (words[at + RULES] as number) >>> 0 === this.rules;
      if (isThere && isOfRules && (words[at + START] as number) >>> 0 === start) return entry;
    }
    return NO_ENTRY;
  }

  // ---- working --------------------------------------------------------------------------------------------

  /** Takes a posted job; false if it is not there any more. */
  claim(entry: number): boolean {
    if (!this.#turn(entry, POSTED, this.#mine(CLAIMED))) return false;
    this.#dropAffinity();
    return true;
  }

  /** Gives up the affinity, if it is this thread's: all threads may then take jobs of the main thread. */
  #dropAffinity(): void {
    const words = this.#words;
    if (words[AFFINE] !== this.#self) return;
    Atomics.compareExchange(words, AFFINE, this.#self, 0);
    for (let entry = 0; entry < MAIN_ENTRIES; entry++) {
      if (Atomics.load(words, entryAt(entry) + STATE) === POSTED) return this.signals.raise();
    }
  }

  /** Whether the job is the main thread's, and another thread has the affinity to it. */
  #isAffineElsewhere(entry: number): boolean {
    const affine = entry < MAIN_ENTRIES ? Atomics.load(this.#words, AFFINE) : 0;
    return affine !== 0 && affine !== this.#self;
  }

  /**
   * Claims any posted job but views and speculative work; with `ancestor`, one that descends from it. Help
   * with a batch comes last, for it ends with the batch. If a job is left to its poster, `patience` says when
   * to look again.
   */
  claimAny(ancestor = NO_ENTRY): number {
    const words = this.#words;
    const count = Atomics.load(words, HIGH_WATER);
    const mayClaim = (entry: number): boolean =>
      words[entryAt(entry) + POSTER] !== KEPT &&
      !this.#isView(entry) &&
      !this.#isAffineElsewhere(entry) &&
      (ancestor === NO_ENTRY || descends(words, entry, ancestor));
    const isHelp = (entry: number): boolean => words[entryAt(entry) + KIND] === JOB_ASSIST;
    let left = NO_ENTRY;
    const isLeft = (entry: number): boolean => {
      if (!this.patience.isLeft(words, entry, count)) return false;
      if (left === NO_ENTRY) left = entry;
      return true;
    };
    let found = this.#claimWhere(count, (entry) => !isHelp(entry) && mayClaim(entry) && !isLeft(entry));
    if (found !== NO_ENTRY) left = NO_ENTRY;
    else found = this.#claimWhere(count, (entry) => isHelp(entry) && mayClaim(entry));
    this.patience.leave(left, left === NO_ENTRY ? 0 : (words[entryAt(left) + SEQUENCE] as number));
    return found;
  }

  claimView(): number {
    return this.#claimWhere(MAIN_ENTRIES, (entry) => this.#isView(entry));
  }

  #isView(entry: number): boolean {
    return this.#words[entryAt(entry) + KIND] === JOB_VIEW;
  }

  /** Claims one of the first `count` entries that is posted and wanted. */
  #claimWhere(count: number, wanted: (entry: number) => boolean): number {
    const words = this.#words;
    for (let entry = 0; entry < count; entry++) {
      if (words[entryAt(entry) + STATE] !== POSTED || !wanted(entry)) continue;
      if (!this.claim(entry)) continue;
      // Between the look and the claim the entry may have become another job.
      if (wanted(entry)) return entry;
      this.#unclaim(entry);
    }
    return NO_ENTRY;
  }

  /** Claims any speculative job, unless that is paused. */
  claimAdvance(): number {
    const words = this.#words;
    if (Atomics.load(words, PAUSED) !== 0) return NO_ENTRY;
    const count = Atomics.load(words, HIGH_WATER);
    for (let entry = 0; entry < count; entry++) {
      const at = entryAt(entry);
      if (words[at + STATE] !== POSTED || words[at + POSTER] !== KEPT || !this.claim(entry)) continue;
      // Pausing sets the flag and then looks for claims; claiming claims and then looks at the flag.
      if (Atomics.load(words, PAUSED) === 0 && words[at + POSTER] === KEPT) return entry;
      this.#unclaim(entry);
      return NO_ENTRY;
    }
    return NO_ENTRY;
  }

  /** Gives a claim back; if nobody wants the job any more, frees it. */
  #unclaim(entry: number): void {
    if (!this.#turn(entry, this.#mine(CLAIMED), POSTED)) this.#turn(entry, this.#mine(ORPHAN), FREE);
    this.signals.raiseAll();
  }

  /** The claimed job ended. */
  finish(entry: number, result: Ref): void {
    this.#words[entryAt(entry) + RESULT] = result;
    this.#end(entry, DONE);
  }

  /**
   * The claimed job could not be done: a limit of the host, or a defect. `error` describes it for the main
   * thread.
   */
  fail(entry: number, error: string): void {
    const at = ERROR_AT + entry * ERROR_BYTES;
    const length = this.#bytes.write(error, at, ERROR_BYTES, "utf8");
    this.#words[entryAt(entry) + ERROR_LENGTH] = length;
    this.#end(entry, FAILED);
  }

  #error(entry: number): string {
    const at = ERROR_AT + entry * ERROR_BYTES;
    const length = this.#words[entryAt(entry) + ERROR_LENGTH] as number;
    return this.#bytes.toString("utf8", at, at + length);
  }

  // ---- the main thread's care -----------------------------------------------------------------------------

  /**
   * Puts the board right after thread `dead` ended: its claims are posted again, its own jobs are void. The
   * threads that continue at these, for nobody.
   */
  recover(dead: number): number[] {
    const words = this.#words;
    const orphaned: number[] = [];
    for (let entry = 0; entry < ENTRIES_LIMIT; entry++) {
      const at = entryAt(entry);
      // Others continue meanwhile: try until the entry did not change between the look and the change.
      for (;;) {
        const state = Atomics.load(words, at + STATE);
        const next = this.#recovered(state, words[at + POSTER] as number, dead);
        if (next === state) break;
        if (!this.#turn(entry, state, next)) continue;
        if ((next & STATE_MASK) === ORPHAN) orphaned.push(next >> STATE_BITS);
        break;
      }
    }
    Atomics.compareExchange(words, AFFINE, dead, 0);
    this.signals.raiseAll();
    return orphaned;
  }

  /** Stops or allows the beginning of speculative work. */
  pause(paused: boolean): void {
    Atomics.store(this.#words, PAUSED, paused ? 1 : 0);
    if (!paused) this.signals.raise();
  }

  /** The threads at work. While no block is in progress: on speculative work, or on `views`. */
  working(views = true): Set<number> {
    const threads = new Set<number>();
    this.#each((kind, _poster, owner, entry) => {
      if (!views && this.#isView(entry)) return;
      if (kind === ORPHAN || kind === CLAIMED || kind === WRITING) threads.add(owner);
    });
    threads.delete(this.#self);
    return threads;
  }

  /** A collection found that nobody can want this speculative job any more. */
  forget(entry: number): void {
    const words = this.#words;
    const at = entryAt(entry) + STATE;
    for (;;) {
      const state = Atomics.load(words, at);
      // A thread that claimed it in this moment sees that speculative work is paused, and gives it back.
      if ((state & STATE_MASK) === CLAIMED) Atomics.wait(words, at, state, 1);
      else if (this.#turn(entry, state, FREE)) return;
    }
  }

  /** All speculative jobs that no thread is at work on. */
  memos(): Memo[] {
    const words = this.#words;
    const found: Memo[] = [];
    this.#each((kind, poster, _owner, entry) => {
      const at = entryAt(entry);
      const result = kind === DONE ? (words[at + RESULT] as number) >>> 0 : 0;
      if (poster === KEPT && kind !== FREE)
        found.push({ entry, start: (words[at + START] as number) >>> 0, result });
    });
    return found;
  }

  /** How many results of speculative work were used so far. */
  get used(): number {
    return Atomics.load(this.#words, USED);
  }

  #each(look: (kind: number, poster: number, owner: number, entry: number) => void): void {
    const words = this.#words;
    const count = Atomics.load(words, HIGH_WATER);
    for (let entry = 0; entry < count; entry++) {
      const at = entryAt(entry);
      const state = Atomics.load(words, at + STATE);
      look(state & STATE_MASK, words[at + POSTER] as number, state >> STATE_BITS, entry);
    }
  }

  // ---- inside ---------------------------------------------------------------------------------------------

  /** Turns the state of an entry into another; false if it has a different one. */
  #turn(entry: number, from: number, to: number): boolean {
    assert(mayFollow(from, to), "board: a job cannot go from one state to another in this way");
    return Atomics.compareExchange(this.#words, entryAt(entry) + STATE, from, to) === from;
  }

  /** The state of an entry that is this thread's. */
  #mine(kind: number): number {
    return (this.#self << STATE_BITS) | kind;
  }

  #reserve(): number {
    const reserved = this.#mine(WRITING);
    for (let entry = this.#freed.pop(); entry !== undefined; entry = this.#freed.pop()) {
      if (this.#turn(entry, FREE, reserved)) return entry;
    }
    const first = this.#self === MAIN_THREAD ? 0 : MAIN_ENTRIES;
    const count = this.#self === MAIN_THREAD ? MAIN_ENTRIES : ENTRIES_LIMIT - MAIN_ENTRIES;
    for (let i = 0; i < count; i++) {
      const entry = first + ((this.#cursor + i) % count);
      if (this.#words[entryAt(entry) + STATE] !== FREE || !this.#turn(entry, FREE, reserved)) continue;
      this.#cursor = entry + 1 - first;
      for (let high = Atomics.load(this.#words, HIGH_WATER); high <= entry; ) {
        const seen = Atomics.compareExchange(this.#words, HIGH_WATER, high, entry + 1);
        if (seen === high) break;
        high = seen;
      }
      return entry;
    }
    return this.#evict(reserved);
  }

  /** The board is full: speculative work is dropped. */
  #evict(reserved: number): number {
    const words = this.#words;
    for (let entry = 0; entry < ENTRIES_LIMIT; entry++) {
      const at = entryAt(entry);
      const state = words[at + STATE] as number;
      if (words[at + POSTER] !== KEPT || (state !== DONE && state !== FAILED && state !== POSTED)) continue;
      if (this.#turn(entry, state, reserved)) return entry;
    }
    return NO_ENTRY;
  }

  #end(entry: number, state: number): void {
    const words = this.#words;
    const at = entryAt(entry);
    const toMain = words[at + POSTER] === MAIN_THREAD;
    if (toMain && !this.#isView(entry)) Atomics.store(words, AFFINE, this.#self);
    const ended =
      this.#turn(entry, this.#mine(CLAIMED), state) || this.#turn(entry, this.#mine(ORPHAN), FREE);
    assert(ended, "board: the job that ended was not this thread's");
    this.signals.raise();
    if (toMain) this.signals.raiseMain();
  }

  #recovered(state: number, poster: number, dead: number): number {
    const kind = state & STATE_MASK;
    const ownerDied =
      (kind === WRITING || kind === CLAIMED || kind === ORPHAN) && state >> STATE_BITS === dead;
    if (kind === WRITING || kind === ORPHAN) return ownerDied ? FREE : state;
    if (kind === FREE) return state;
    if (poster !== dead) return ownerDied ? POSTED : state;
    return kind === CLAIMED && !ownerDied ? (state & ~STATE_MASK) | ORPHAN : FREE;
  }
}
