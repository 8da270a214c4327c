/**
 * Checkpoints: how a runtime with a log of inputs gets its states into the store, beside its blocks.
 *
 * A change is durable when it is in the log. Some time later a checkpoint takes the newest acknowledged
 * history, writes the states of its anchors in slices, and finally, in one transaction, the history itself
 * and the position in the log from which to continue. Other states are made again from those (changes.ts,
 * recompute.ts). Only then may earlier frames of the log be overwritten. So there is a third history,
 * the one that is checkpointed; the log leads from it to the acknowledged one, and a process that opens the
 * store runs its blocks again (replay.ts).
 *
 * A change that the log cannot take, because it is too large or the log has failed, is made durable by a
 * checkpoint of its own, after which the log starts again: a frame that was written in part, or whole and not
 * acknowledged, counts for nothing. If that fails as well, the frame is cleared before the change is refused;
 * where not even that is possible, the error says that the change may be there after all.
 *
 * Clocks decide when a checkpoint is made, never what is in it. One that fails loses nothing: blocks continue
 * until the log is full.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { assert, StoreError } from "../errors.ts";
import type { Ref } from "../heap/heap.ts";
import { type NewBlock, refsOfBlock, type StoreChange, type Written } from "../store/change.ts";
import type { InputLog, LogMark } from "../store/log.ts";
import type { Store } from "../store/store.ts";
import { hexOf } from "../text.ts";
import { type Retained, refsOf } from "./block.ts";
import { anchorsOf, type Held, newBlock, planChange, pushedBy } from "./changes.ts";
import type { Engine } from "./engine.ts";
import type { Events } from "./events.ts";
import type { Change, History } from "./history.ts";
import { encodeLogged, loggedBytes } from "./logged.ts";
import { holdMs } from "./pace.ts";
import { BUILD } from "./recompute.ts";

/** Share of the log that may be in use before a checkpoint begins. */
const USED_SHARE = 0.5;
/** How many times as long as the last one a checkpoint may take before blocks are stopped. */
const MARGIN_TIMES = 1.5;
/** Weight of the newest block in the average time of a block. */
const NEWEST_SHARE = 0.1;

/** A log, and what a runtime does with it. */
export interface Logging {
  readonly log: InputLog;
  /** How long the oldest change waits for a checkpoint. */
  readonly checkpointMs: number;
}

/** A transaction of a store, which says when it has read the heap. */
export type Write = (hasRead: () => void) => Promise<Written>;

/** How a store is written: collections wait while the heap is read, and a sweep makes room if need be. */
export type Writing = (write: Write) => Promise<Written>;

/** Changes since the checkpoint. */
interface Since {
  readonly changes: readonly Change[];
  /** The blocks that they push, as the store takes them: what was forgotten again may be archived. */
  readonly blocks: readonly NewBlock[];
}

export class Checkpoints {
  readonly #engine: Engine;
  readonly #store: Store;
  readonly #log: InputLog;
  readonly #checkpointMs: number;
  readonly #events: Events;
  readonly #writing: Writing;
  readonly #recompute: (entry: Retained) => Promise<void>;
  /** What the store holds. */
  #checkpointed: Held;
  /** What the log holds up to a mark; behind that are frames which are still to be made again. */
  #acknowledged: History;
  /** Null: it has nothing beyond the checkpoint yet. */
  #mark: LogMark | null = null;
  #since: readonly Since[] = [];
  /** When the oldest of these came, by `#clock`. */
  #sinceMs = 0;
  /** How long blocks were held back so far. */
  #pausedMs = 0;
  /** When the last one was let through, and what one takes on average. */
  #lastMs = 0;
  #blockMs = 0;
  /** The blocks whose states the checkpoint in progress writes; roots. */
  #anchors: ReadonlySet<Retained> = new Set();
  #running: Promise<void> | null = null;
  /** When it began, and how long the last one took. */
  #beganMs = 0;
  #durationMs = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    engine: Engine,
    store: Store,
    { log, checkpointMs }: Logging,
    held: Held,
    events: Events,
    writing: Writing,
    recompute: (entry: Retained) => Promise<void>,
  ) {
    this.#engine = engine;
    this.#store = store;
    this.#log = log;
    this.#checkpointMs = checkpointMs;
    this.#events = events;
    this.#writing = writing;
    this.#recompute = recompute;
    this.#checkpointed = held;
    this.#acknowledged = held.history;
  }

  /**
   * What a collection must keep, besides what the acknowledged history reaches: the inputs of blocks that
   * were forgotten since, and the states that are being written. Not those of all blocks that were retained
   * when the checkpoint began: new blocks would be made in memory that was never touched. Of the
   * checkpointed history nothing: what is in it lies in the store, whose sweeps keep it.
   */
  *roots(): Iterable<Ref> {
    for (const { blocks } of this.#since) {
      for (const { metadata, change } of blocks) yield* [metadata, change];
    }
    for (const anchor of this.#anchors) yield* refsOf(anchor);
  }

  /** What the store holds. */
  get held(): Held {
    return this.#checkpointed;
  }

  get logUsedBytes(): number {
    return this.#log.usedBytes;
  }

  get logLimitBytes(): number {
    return this.#log.limitBytes;
  }

  /** States that cannot be dropped, because they are to be written or are being written. */
  *needed(): Iterable<Ref> {
    for (const { ref } of this.#anchors) yield ref;
    for (const { ref } of anchorsOf(this.#changes(this.#since), this.#acknowledged)) yield ref;
  }

  /** Blocks whose states can be made again, from those that are stored. */
  *derived(): Iterable<Retained> {
    const { history } = this.#checkpointed;
    for (const entry of history.all()) if (entry.before !== null) yield entry;
    for (const entry of history.supports()) if (entry.before !== null) yield entry;
  }

  /** Whether all changes are in a checkpoint. */
  get isDone(): boolean {
    return this.#since.length === 0;
  }

  /** Makes changes durable that lead to the history `next`. */
  async write(changes: readonly Change[], next: History): Promise<void> {
    await this.#keepUp();
    const { blocks, body } = await this.#prepare(changes);
    const since = { changes, blocks };
    if (body !== null) {
      if (this.#log.accepts(body.length) === "later") await this.now();
      if (await this.#append(body)) return this.#acknowledge(since, next, this.#log.end);
    }
    try {
      await this.#alone(since, next);
    } catch (error) {
      // Others say that nothing was committed.
      if (["STORE_FAILED", "STORE_UNCERTAIN"].includes(codeOf(error))) this.#log.suspend();
      throw (await this.#log.clear()) ? error : uncertain(error as Error, this.#store.path);
    }
  }

  /** Changes as the store takes them, and as the log does, null: it cannot. Read while no collection runs. */
  #prepare(changes: readonly Change[]): Promise<{ blocks: NewBlock[]; body: Buffer | null }> {
    return this.#engine.inTurn(async () => {
      const { heap } = this.#engine;
      const blocks = pushedBy(changes).map((entry) => newBlock(heap, entry));
      const fits = this.#log.accepts(loggedBytes(heap, BUILD, changes)) !== "never";
      return { blocks, body: fits ? encodeLogged(heap, BUILD, changes) : null };
    });
  }

  /** Whether the log has taken a frame. */
  async #append(body: Buffer): Promise<boolean> {
    if (this.#log.accepts(body.length) !== "now") return false;
    try {
      await this.#log.append(body);
      return true;
    } catch (error) {
      // If its files were taken away, none of them continues.
      if (error instanceof StoreError) throw error;
      this.#tellFailure(error as Error);
      return false;
    }
  }

  /** Changes that lead to the history `next` are in the log before `mark`. */
  #acknowledge(since: Since, next: History, mark: LogMark): void {
    this.#mark = mark;
    if (this.isDone) this.#sinceMs = this.#clock;
    this.#since = [...this.#since, since];
    this.#acknowledged = next;
    if (this.#log.usedShare > USED_SHARE) this.#begin();
    else if (this.#running === null) this.#beginLater();
  }

  /** Changes that were read from the log have been made again. */
  async replayed(changes: readonly Change[], next: History, end: LogMark): Promise<void> {
    const { blocks } = await this.#prepare(changes);
    this.#acknowledge({ changes, blocks }, next, end);
  }

  /** A checkpoint of everything that is acknowledged; resolves when it is in the store. */
  async now(): Promise<void> {
    await this.#running?.catch(() => {});
    if (!this.isDone) await this.#begin();
  }

  /** Makes a last checkpoint. If it fails, the log has what is missing. */
  async close(): Promise<void> {
    await this.now().catch(() => {});
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#log.close();
  }

  /** Holds a block back where the checkpoint in progress would end too late: pace.ts. */
  async #keepUp(): Promise<void> {
    const now = performance.now();
    const took = Math.min(now - this.#lastMs, this.#checkpointMs);
    this.#blockMs += NEWEST_SHARE * (took - this.#blockMs);
    if (this.#running !== null) {
      await Promise.race([this.#running.catch(() => {}), this.#pause()]);
      this.#pausedMs += performance.now() - now;
    }
    this.#lastMs = performance.now();
  }

  async #pause(): Promise<void> {
    const ms = holdMs({
      checkpointMs: this.#checkpointMs,
      waitedMs: this.#clock - this.#sinceMs,
      elapsedMs: performance.now() - this.#beganMs,
      lastMs: this.#durationMs,
      blockMs: this.#blockMs,
    });
    if (ms === null) await this.#running?.catch(() => {});
    else if (ms > 0) await sleep(ms, undefined, { ref: false });
  }

  /** The time in which blocks were not held back: a restart takes no longer to run them again. */
  get #clock(): number {
    return performance.now() - this.#pausedMs;
  }

  /** Begins a checkpoint so early that a restart takes no longer than twice `checkpointMs` until it ends. */
  #beginLater(leastMs = 0): void {
    if (this.#timer !== null) return;
    const [most, least] = [2 * this.#checkpointMs, this.#checkpointMs / 2];
    const dueMs = Math.max(most - MARGIN_TIMES * Math.max(this.#durationMs, least), least);
    const waited = this.#clock - this.#sinceMs;
    this.#timer = setTimeout(() => this.#begin(), Math.max(dueMs - waited, leastMs)).unref();
  }

  /** Begins a checkpoint, unless one is in progress: then that one. */
  #begin(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#running !== null) return this.#running;
    const since = this.#since;
    const mark = this.#mark as LogMark;
    const running = this.#run(since, this.#acknowledged, mark, () => this.#log.release(mark));
    running.catch((error) => this.#tellFailure(error));
    return running;
  }

  /** Makes a change durable by a checkpoint, after which the log starts again. */
  async #alone(last: Since, next: History): Promise<void> {
    await this.#running?.catch(() => {});
    const since = [...this.#since, last];
    const mark = this.#log.restart;
    await this.#run(since, next, mark, () => {
      this.#log.beginAnew(mark);
      this.#since = since;
      this.#acknowledged = next;
      this.#mark = mark;
    });
  }

  /** A checkpoint of the history `target`, to which these changes lead; then the log begins at `mark`. */
  #run(since: readonly Since[], target: History, mark: LogMark, then: () => void): Promise<void> {
    assert(this.#running === null, "checkpoint: two at once");
    const began = this.#clock;
    let isWritten = false;
    this.#beganMs = performance.now();
    this.#running = this.#checkpoint(since, target, mark)
      .then(() => {
        then();
        this.#since = this.#since.slice(since.length);
        this.#sinceMs = began;
        const milliseconds = performance.now() - this.#beganMs;
        this.#durationMs = milliseconds;
        isWritten = true;
        this.#events.emit("checkpoint", target.head.block, { milliseconds });
      })
      .finally(() => {
        this.#running = null;
        // For what came meanwhile; after a failure it is tried again.
        if (!this.isDone) this.#beginLater(isWritten ? 0 : this.#checkpointMs);
      });
    this.#engine.pool.alive.until(this.#running);
    return this.#running;
  }

  #tellFailure(error: Error): void {
    this.#events.emit("checkpointFailed", null, { code: codeOf(error), text: error.message });
  }

  async #checkpoint(since: readonly Since[], target: History, mark: LogMark): Promise<void> {
    const changes = this.#changes(since);
    this.#anchors = anchorsOf(changes, target);
    try {
      // Of a block that was pinned, or reverted to, before a crash the state may not be there.
      for (const entry of this.#anchors) if (entry.ref === 0) await this.#recompute(entry);
      const known = new Map(since.flatMap((one) => one.blocks.map((made) => [hexOf(made.block.id), made])));
      const { change, anchors, held } = await this.#engine.inTurn(async () =>
        planChange(this.#engine.heap, this.#checkpointed, changes, target, known),
      );
      await writeSliced(this.#store, { ...change, log: this.#log.placeAt(mark) }, this.#writing);
      for (const anchor of anchors) anchor.before = null;
      this.#checkpointed = held;
    } finally {
      this.#anchors = new Set();
    }
  }

  #changes(since: readonly Since[]): Change[] {
    return since.flatMap(({ changes }) => changes);
  }
}

function codeOf(error: unknown): string {
  return error instanceof StoreError ? error.code : "STORE_FAILED";
}

/** What a change ends with that is neither known to be there nor known not to be. */
function uncertain(cause: Error, path: string): StoreError {
  return new StoreError(
    "STORE_UNCERTAIN",
    `a change of the store ${path} could not be written, nor could what it left in the log of inputs be ` +
      `cleared: ${cause.message}. It may be there when the store is opened again, unless a later change is ` +
      "written before that",
    { path, reason: codeOf(cause) },
    { cause },
  );
}

/** Makes a change durable: its objects in slices, then the rest. */
export async function writeSliced(store: Store, change: StoreChange, writing: Writing): Promise<void> {
  const refs = change.blocks.flatMap(refsOfBlock);
  while ((await writing((hasRead) => store.change(change, hasRead))).more) {
    while ((await writing((hasRead) => store.stage(refs, hasRead))).more);
  }
}
