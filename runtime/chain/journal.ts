/**
 * The journal: what happens to a runtime's history, and the store's part in it.
 *
 * There is the history that callers see, and the one that the store has acknowledged. A change is applied to
 * the first at once, waits in line, and is applied to the other when it is on the disk. If one cannot be
 * written, the line is dropped and the first becomes a copy of the other; nothing is undone. Whatever one of
 * the histories, the draft of a call, a candidate, a change in line or a view reaches is a root: of
 * collections, and of sweeps.
 *
 * With a log of inputs there is a third history, of which the store has the states: a change is acknowledged
 * when it is in the log (checkpoint.ts).
 *
 * "block", "logged": a call ends when its change is on the disk, or rejects. "pipelined": a call ends before
 * that, and the next one says what could not be written, be it `flush` or `close`. Without a store every
 * change is acknowledged at once.
 */

import { assert, StoreError } from "../errors.ts";
import { HEADER_STORED, type Ref, UNIT_WORDS } from "../heap/heap.ts";
import type { LogMark } from "../store/log.ts";
import type { Store } from "../store/store.ts";
import type { Written } from "../store/writer.ts";
import type { ArchivedBlock } from "./archive.ts";
import { type Block, checkArchived, type Retained, refsOf } from "./block.ts";
import { Candidates } from "./candidates.ts";
import { bytesOf, type Held, linkPushed, newBlock, planChange, pushedBy } from "./changes.ts";
import { Checkpoints, type Logging, type Write, writeSliced } from "./checkpoint.ts";
import type { Engine, RootHolder } from "./engine.ts";
import { Events } from "./events.ts";
import { type BlockName, type Change, type History, parentOf } from "./history.ts";
import { recompute } from "./recompute.ts";
import { archivedOf } from "./stored.ts";

export type Durability = "block" | "logged" | "pipelined";

/** Maximum number of changes that wait for the disk; then produce waits as well. */
const PENDING_LIMIT = 64;
/** Objects that a sweep looks at in one transaction. */
const SWEEP_SLICE = 4096;

/** What reaches objects in the heap. */
export interface Reaching {
  roots(): Iterable<Ref>;
}

export class Journal implements RootHolder {
  /** Null: nothing is durable. */
  readonly store: Store | null;
  /** Blocks that stand on those of the history that callers see. */
  readonly candidates: Candidates;
  /** Told of what happens to them and to that history. */
  readonly events: Events;
  readonly #engine: Engine;
  readonly #durability: Durability;
  /** What callers see. */
  #seen: History;
  /** What is as durable as the option says. */
  #acknowledged: History;
  /** Without a log: blocks that the store keeps for the states of others. */
  #supports: Held["supports"];
  /** What the call in progress builds on, or has made and nobody sees yet. */
  #draft: History | null = null;
  /** Histories that are being copied, and states that views look at. */
  readonly #held = new Set<Reaching>();
  /** Null: there is no log. */
  readonly #checkpoints: Checkpoints | null;
  /** Changes on their way from the seen to the acknowledged history, each a transaction. */
  #pending: (readonly Change[])[] = [];
  #tail: Promise<void> = Promise.resolve();
  #failure: Error | null = null;
  #failures = 0;
  #sweeping: Promise<Written | null> | null = null;
  /** Whether nothing was written since a sweep that had nothing to free. */
  #isSwept = false;

  /** `held` is what the store holds, and the log goes on from there. */
  constructor(
    engine: Engine,
    held: Held,
    store: Store | null,
    durability: Durability,
    logging: Logging | null = null,
  ) {
    this.#engine = engine;
    this.#seen = held.history;
    this.#acknowledged = held.history;
    this.store = store;
    this.#supports = held.supports;
    this.#durability = durability;
    this.events = new Events((more) => engine.reports.watch(more));
    const { candidatesLimit } = engine.settings;
    this.candidates = new Candidates(candidatesLimit, () => this.#seen, this.events);
    const writing = this.#writing.bind(this);
    // A checkpoint does not wait for itself to make room.
    const again = (entry: Retained): Promise<void> => this.recompute(entry, null, async () => 0);
    this.#checkpoints =
      store === null || logging === null
        ? null
        : new Checkpoints(engine, store, logging, held, this.events, writing, again);
  }

  get candidateCount(): number {
    return this.candidates.size;
  }

  /** The history that callers see. */
  get history(): History {
    return this.#seen;
  }

  /** What the store holds; all that is acknowledged, where there is no log or a checkpoint was made. */
  get held(): Held {
    return this.#checkpoints?.held ?? { history: this.#acknowledged, supports: this.#supports };
  }

  /**
   * A retained block, or a live candidate.
   *
   * @throws UsageError (NOT_RETAINED, BAD_ARGUMENT)
   */
  find(target: number | Block): Retained {
    return this.candidates.find(target) ?? this.#seen.find(target);
  }

  /** The history that callers see, gone to a retained block or a candidate. */
  historyAt(target: number | Block): History {
    const entry = this.find(target);
    const path = this.candidates.path(entry);
    const block = path[0] === undefined ? entry.block : parentOf(path[0]);
    const pushed = path.map((entry): Change => ({ kind: "push", entry }));
    return this.#seen.apply([{ kind: "goTo", block }, ...pushed]);
  }

  /** Grows with every failure: who began before it stands on blocks that are gone. */
  get failures(): number {
    return this.#failures;
  }

  /** References that collections and sweeps must keep. */
  *roots(): Iterable<Ref> {
    for (const held of new Set([this.#seen, this.#acknowledged, this.#draft, ...this.#held])) {
      if (held !== null) yield* held.roots();
    }
    yield* this.candidates.roots();
    if (this.#checkpoints !== null) yield* this.#checkpoints.roots();
    for (const entry of this.#pending.flatMap(pushedBy)) yield* refsOf(entry);
  }

  /** States that must not be dropped, though they could be made again: somebody is about to use them. */
  *needed(): Iterable<Ref> {
    for (const history of [this.#seen, this.#acknowledged, this.#draft]) {
      if (history !== null) yield history.head.ref;
    }
    for (const held of this.#held) yield* held.roots();
    yield* this.candidates.roots();
    if (this.#checkpoints !== null) yield* this.#checkpoints.needed();
  }

  /**
   * Drops the states that can be made again, but for those that are needed, and for those of which a store
   * has the pages anyway. No block is in progress.
   */
  drop(needed: ReadonlySet<Ref>): void {
    if (this.#checkpoints === null) return;
    const { words } = this.#engine.heap;
    for (const entry of this.#checkpoints.derived()) {
      const isStored = entry.ref !== 0 && words[entry.ref * UNIT_WORDS + HEADER_STORED] !== 0;
      if (!isStored && !needed.has(entry.ref)) entry.ref = 0;
    }
  }

  /**
   * Makes the state of a block again if it is not there. It is there then as long as the caller holds it, or
   * the heap has room.
   *
   * @throws StoreError (STORE_DIVERGED, STORE_CORRUPT), UsageError (CANCELLED, RULES_UNKNOWN), LimitError
   */
  async recompute(
    entry: Retained,
    signal: AbortSignal | null,
    makeRoom = async (): Promise<number> => ((await this.checkpoint()) ? 1 : 0),
  ): Promise<void> {
    if (entry.ref !== 0) return;
    const path = this.#engine.settings.store?.path ?? "";
    const around = {
      below: (one: Retained) => this.#seen.below(one),
      holding: <T>(one: Retained, work: () => Promise<T>) => this.holding(stateOf(one), work),
      path,
    };
    const how = { engine: this.#engine, signal, makeRoom };
    const made = await this.holding(stateOf(entry), () => recompute(how, entry, around));
    if (made !== null) this.events.tell("recompute", entry.block, made);
  }

  /** Does something with the state of a block, which is made again if need be, and stays meanwhile. */
  withState<T>(entry: Retained, signal: AbortSignal | null, work: () => Promise<T>): Promise<T> {
    return this.holding(stateOf(entry), async () => {
      await this.recompute(entry, signal);
      return work();
    });
  }

  /** Keeps all that a history, or a state, reaches as long as `work` takes. */
  async holding<T>(held: Reaching, work: () => Promise<T>): Promise<T> {
    this.#held.add(held);
    try {
      return await work();
    } finally {
      this.#held.delete(held);
    }
  }

  /** Throws what failed since the last call, once. */
  check(): void {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
  }

  /** Throws if anything failed since there were so many failures. */
  checkSince(failures: number): void {
    if (this.#failures === failures) return;
    this.check();
    const { path } = this.store as Store;
    throw new StoreError("STORE_FAILED", `the store ${path} failed while the block ran`, { path });
  }

  /** What the call in progress builds on, or has made and nobody sees yet; a root. Null: nothing. */
  get draft(): History | null {
    return this.#draft;
  }

  set draft(draft: History | null) {
    this.#draft = draft;
  }

  /** Lets go of blocks that the draft holds as well, but for its head. */
  forgetInDraft(blocks: readonly BlockName[]): void {
    const draft = this.#draft;
    if (draft === null) return;
    const held = blocks.filter((block) => draft.get(block) !== undefined && block.id !== draft.head.block.id);
    this.#draft = draft.apply(held.map((block): Change => ({ kind: "forget", block })));
  }

  /**
   * Makes changes that callers see when this returns. The promise resolves when they are as durable as the
   * option says, or, with `now`, on the disk.
   *
   * @throws StoreError: none of them is made
   */
  async write(changes: readonly Change[], now = this.#durability !== "pipelined"): Promise<void> {
    assert(
      !now || this.#pending.length === 0,
      "journal: a change that is waited for is not the first in line",
    );
    if (this.#checkpoints !== null) linkPushed(this.#seen, changes);
    this.#seen = this.#seen.apply(changes);
    this.#tell(changes);
    if (this.store === null) {
      this.#acknowledged = this.#seen;
      return;
    }
    this.#pending.push(changes);
    const failures = this.#failures;
    const written = this.#tail.then(() => this.#writeFirst(failures, now));
    this.#engine.pool.alive.until(written);
    this.#tail = written.catch(() => {});
    if (now || this.#pending.length > PENDING_LIMIT) await written;
  }

  /** Tells of changes that callers see now. */
  #tell(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind === "push") {
        const made = change.entry.block;
        this.events.tell("commit", made, { made });
      } else if (change.kind === "goTo") this.events.tell("revert", change.block, { reason: "call" });
      else if (change.kind === "forget") this.events.tell("forget", change.block, {});
    }
    if (changes.some(({ kind }) => kind === "forget")) this.candidates.retire();
  }

  /**
   * Writes the state of a block of the draft ahead, so that its pages can be evicted; with a log of inputs
   * only if there is little room. It is in no history of the store by that; what becomes of no block is
   * garbage for the next sweep.
   */
  async stage(entry: Retained): Promise<void> {
    const { store } = this;
    if (store === null || (this.#checkpoints !== null && !this.#engine.isPressed)) return;
    while ((await this.#writing((hasRead) => store.stage(refsOf(entry), hasRead))).more);
  }

  /** Changes of a frame of the log, which ends at `end`, were made again. */
  async replayed(changes: readonly Change[], end: LogMark): Promise<void> {
    assert(this.#pending.length === 0, "journal: the log is replayed before anything is written");
    linkPushed(this.#seen, changes);
    this.#seen = this.#seen.apply(changes);
    this.#acknowledged = this.#seen;
    await this.#checkpoints?.replayed(changes, this.#seen, end);
  }

  /** Brings all that is acknowledged into the store; whether anything was missing there. */
  async checkpoint(): Promise<boolean> {
    if (this.#checkpoints === null || this.#checkpoints.isDone) return false;
    await this.#checkpoints.now();
    return true;
  }

  /** An archived block: of the chain by height, or any by its id. Waits for changes that are in line. */
  async archived(target: number | string): Promise<ArchivedBlock | null> {
    checkArchived(target);
    const { store } = this;
    if (store === null) return this.#seen.archived(target);
    await this.#tail;
    await this.checkpoint();
    const found = await store.archived(typeof target === "number" ? target : bytesOf(target));
    return found === null ? null : archivedOf(found);
  }

  /** Waits until everything is on the disk. */
  async flush(): Promise<void> {
    await this.#tail;
    this.check();
  }

  /**
   * Frees what no root reaches; what that was, null without a store. Waits for a sweep in progress, and with
   * a log makes a checkpoint, for what it has forgotten is in the store until then.
   */
  async sweep(): Promise<Written | null> {
    await this.checkpoint();
    return this.#sweepNow();
  }

  async #sweepNow(): Promise<Written | null> {
    if (this.store === null) return null;
    await this.#sweeping?.catch(() => {});
    this.#sweeping = this.#sweep(this.store, true);
    return this.#sweeping;
  }

  /** Waits for the disk, and for a sweep. */
  async close(): Promise<void> {
    this.candidates.close();
    await this.#tail;
    await this.#checkpoints?.close();
    await this.#sweeping?.catch(() => {});
    this.events.end();
    this.check();
  }

  /** Writes the first change in line, unless one before it failed after `failures` others had. */
  async #writeFirst(failures: number, now: boolean): Promise<void> {
    if (this.#failures !== failures) return;
    try {
      const changes = this.#pending[0] as readonly Change[];
      const next = this.#acknowledged.apply(changes);
      const start = performance.now();
      await this.#send(changes, next);
      const milliseconds = this.#engine.latency.since(start, "write");
      this.#pending.shift();
      this.#acknowledged = next;
      this.events.tell("flush", next.head.block, { milliseconds });
      if (this.#pending.length > 0) return;
      assert(next.head === this.#seen.head && next.size === this.#seen.size, "journal: histories differ");
      // One copy of what is the same.
      this.#acknowledged = this.#seen;
    } catch (error) {
      const lost = this.#pending.length;
      this.#pending = [];
      this.#seen = this.#acknowledged;
      this.#failures++;
      this.events.tell("revert", this.#seen.head.block, { reason: "failure" });
      this.candidates.retire();
      if (now) throw error;
      this.#failure = failedLater(error as Error, lost);
    }
  }

  /** Makes changes durable, after which `next` is acknowledged. */
  async #send(changes: readonly Change[], next: History): Promise<void> {
    if (this.#checkpoints !== null) return this.#checkpoints.write(changes, next);
    const before = this.held;
    const { heap } = this.#engine;
    const { change, anchors, held } = await this.#engine.inTurn(async () => {
      const blocks = pushedBy(changes).map((entry) => [entry.block.id, newBlock(heap, entry)] as const);
      return planChange(heap, before, changes, next, new Map(blocks));
    });
    await writeSliced(this.store as Store, change, (write) => this.#writing(write));
    for (const anchor of anchors) anchor.before = null;
    this.#supports = held.supports;
  }

  /** Writes, if need be once more after a sweep: the room may be taken by what nothing reaches. */
  async #writing(write: Write): Promise<Written> {
    let written: Written;
    try {
      written = await this.#engine.marking(write);
    } catch (error) {
      const isFull = error instanceof StoreError && error.code === "STORE_FULL";
      if (!isFull || this.#isSwept) throw error;
      const freed = await this.#sweepNow().catch(() => null);
      this.#isSwept = freed?.objects === 0;
      if (freed === null || freed.objects === 0) throw error;
      written = await this.#engine.marking(write);
    }
    this.#isSwept = false;
    this.#sweepIfDue(written);
    return written;
  }

  #sweepIfDue({ sweepDue }: Written): void {
    if (!sweepDue || this.#sweeping !== null) return;
    this.#sweeping = this.#sweep(this.store as Store, false);
    this.#sweeping.catch(() => {});
  }

  /**
   * A sweep begins behind a collection, with all roots of that moment. A transaction that fails ends it; with
   * `force` another one begins then.
   */
  async #sweep(store: Store, force: boolean): Promise<Written | null> {
    try {
      for (;;) {
        let sweep = 0;
        const begin = async (): Promise<void> => {
          const others = [...this.#engine.sharedRefs(), ...this.#engine.refsWithoutStore()];
          sweep = await store.beginSweep([...others, ...this.roots()]);
        };
        if (!(await this.#engine.collect({ force, also: begin }))) return null;
        let step = await store.sweep(sweep, SWEEP_SLICE);
        while (step === "going") step = await store.sweep(sweep, SWEEP_SLICE);
        if (step !== "ended") {
          this.events.tell("sweep", null, { objects: step.objects, bytes: step.bytes });
          return step;
        }
        if (!force) return null;
      }
    } finally {
      this.#sweeping = null;
    }
  }
}

/** The state of a block, as long as it has one. */
function stateOf(entry: Retained): Reaching {
  return { roots: () => [entry.ref] };
}

/** What the next call says of changes that were acknowledged before they were durable. */
function failedLater(error: Error, changes: number): StoreError {
  const known = error instanceof StoreError ? error : null;
  return new StoreError(
    known?.code ?? "STORE_FAILED",
    `${changes} changes could not be written; the runtime is at its last durable block: ${error.message}`,
    { changes, ...known?.facts },
    { cause: error },
  );
}
