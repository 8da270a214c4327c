/**
 * The journal: what happens to a runtime's history, and the store's part in it.
 *
 * There is the history that callers see, of which everything is on the disk, and the one that a change in
 * progress leads to. The second takes the place of the first when the change is on the disk; if it cannot be
 * written, it is dropped, and nothing has happened. Whatever the histories, the draft of a call, a candidate
 * or a view reaches is a root: of collections, and of sweeps.
 *
 * With a log of inputs there is another history, of which the store has the states: a change is on the disk
 * when it is in the log (checkpoint.ts). Without a store nothing is ever written.
 */

import { assert, StoreError } from "../errors.ts";
import { HEADER_STORED, type Ref, UNIT_WORDS } from "../heap/heap.ts";
import type { Written } from "../store/change.ts";
import type { LogMark } from "../store/log.ts";
import type { Store } from "../store/store.ts";
import type { ArchivedBlock } from "./archive.ts";
import { type Block, checkArchived, type Retained, refsOf } from "./block.ts";
import { Candidates } from "./candidates.ts";
import { bytesOf, type Held, linkPushed, newBlock, planChange, pushedBy } from "./changes.ts";
import { Checkpoints, type Logging, type Write, writeSliced } from "./checkpoint.ts";
import type { Engine, RootHolder, StoreMetrics } from "./engine.ts";
import { Events } from "./events.ts";
import type { Genesis } from "./genesis.ts";
import { type BlockName, type Change, type History, parentOf } from "./history.ts";
import { type Outline, outlineOf } from "./outline.ts";
import { recompute } from "./recompute.ts";
import { archivedOf } from "./stored.ts";

/**
 * Objects that a sweep looks at in one transaction. Bodies lie in the order in which they were written, so
 * each transaction writes many of their leaves again; but without a log, blocks wait for it.
 */
const SWEEP_SLICE = 4096;
const SWEEP_SLICE_LOGGED = 16_384;
/** Nodes and records that it marks from at once. */
const MARK_STEP = 512;

/** What reaches objects in the heap. */
export interface Reaching {
  roots(): Iterable<Ref>;
}

export class Journal implements RootHolder {
  /** Null: nothing is durable. */
  readonly store: Store | null;
  /** Blocks that stand on those of the history that callers see. */
  readonly candidates: Candidates;
  /** Events of them and of that history. */
  readonly events: Events;
  readonly #engine: Engine;
  readonly #genesis: Genesis;
  /** What callers see, all of it durable. */
  #history: History;
  /** What is being written, and leads to another one. */
  #changing: { readonly changes: readonly Change[]; readonly next: History } | null = null;
  /** Without a log: blocks that the store keeps for the states of others. */
  #supports: Held["supports"];
  /** What the call in progress builds on, or has made and nobody sees yet. */
  #draft: History | null = null;
  /** Histories that are being copied, and states that views look at. */
  readonly #held = new Set<Reaching>();
  /** Null: there is no log. */
  readonly #checkpoints: Checkpoints | null;
  #sweeping: Promise<Written | null> | null = null;
  /** Whether nothing was written since a sweep that had nothing to free. */
  #isSwept = false;

  /**
   * `held` is what the store holds, and the log continues from there; `genesis` is what its chain begins
   * with.
   */
  constructor(
    engine: Engine,
    held: Held,
    store: Store | null,
    logging: Logging | null = null,
    genesis: Genesis = engine.genesis,
  ) {
    this.#engine = engine;
    this.#genesis = genesis;
    this.#history = held.history;
    this.store = store;
    this.#supports = held.supports;
    this.events = new Events((more) => engine.reports.watch(more));
    const { candidatesLimit } = engine.settings;
    this.candidates = new Candidates(candidatesLimit, () => this.#history, this.events);
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
    return this.#history;
  }

  /** What the store holds: all there is, where there is no log or a checkpoint was made. */
  get held(): Held {
    return this.#checkpoints?.held ?? { history: this.#history, supports: this.#supports };
  }

  /** The history that callers see, at a glance. */
  outline(): Outline {
    return outlineOf(this.#history, this.store === null ? null : this.held.history);
  }

  /** How far the store is. */
  get storeMetrics(): StoreMetrics | null {
    if (this.store === null) return null;
    return {
      acknowledgedHeight: this.#history.head.block.height,
      checkpointedHeight: this.held.history.head.block.height,
      logUsedBytes: this.#checkpoints?.logUsedBytes ?? 0,
      logLimitBytes: this.#checkpoints?.logLimitBytes ?? 0,
    };
  }

  /**
   * A retained block, or a live candidate.
   *
   * @throws UsageError (NOT_RETAINED, BAD_ARGUMENT)
   */
  find(target: number | Block): Retained {
    return this.candidates.find(target) ?? this.#history.find(target);
  }

  /** The history that callers see, gone to a retained block or a candidate. */
  historyAt(target: number | Block): History {
    const entry = this.find(target);
    const path = this.candidates.path(entry);
    const block = path[0] === undefined ? entry.block : parentOf(path[0]);
    const pushed = path.map((entry): Change => ({ kind: "push", entry }));
    return this.#history.apply([{ kind: "goTo", block }, ...pushed]);
  }

  /** References that collections and sweeps must keep. */
  *roots(): Iterable<Ref> {
    const { changes = [], next = null } = this.#changing ?? {};
    for (const held of new Set([this.#history, next, this.#draft, ...this.#held])) {
      if (held !== null) yield* held.roots();
    }
    for (const entry of pushedBy(changes)) yield* refsOf(entry);
    yield* this.candidates.roots();
    if (this.#checkpoints !== null) yield* this.#checkpoints.roots();
  }

  /** States that must not be dropped, though they could be made again: somebody is about to use them. */
  *needed(): Iterable<Ref> {
    for (const history of [this.#history, this.#changing?.next, this.#draft]) {
      if (history) yield history.head.ref;
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
    const path = this.store?.path ?? "";
    const around = {
      below: (one: Retained) => this.#history.below(one),
      holding: <T>(one: Retained, work: () => Promise<T>) => this.holding(stateOf(one), work),
      path,
    };
    const how = { engine: this.#engine, genesis: this.#genesis, signal, makeRoom };
    const made = await this.holding(stateOf(entry), () => recompute(how, entry, around));
    if (made !== null) this.events.emit("recompute", entry.block, made);
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
   * Makes changes, which callers see when they are on the disk. What they push is a root from now on.
   *
   * @throws StoreError: none of them is made
   */
  async write(changes: readonly Change[]): Promise<void> {
    assert(this.#changing === null, "journal: two changes at once");
    if (this.#checkpoints !== null) linkPushed(this.#history, changes);
    const next = this.#history.apply(changes);
    if (this.store === null) return this.#show(changes, next);
    this.#changing = { changes, next };
    const start = performance.now();
    try {
      await this.#engine.pool.alive.until(this.#send(changes, next));
      this.#show(changes, next);
      const milliseconds = this.#engine.latency.since(start, "write");
      this.events.emit("write", next.head.block, { milliseconds });
    } finally {
      this.#changing = null;
    }
  }

  /** The changes are made: callers see the history to which they lead. */
  #show(changes: readonly Change[], next: History): void {
    this.#history = next;
    for (const change of changes) {
      if (change.kind === "push") {
        const made = change.entry.block;
        this.candidates.committed(change.entry);
        this.events.emit("commit", made, { made });
      } else if (change.kind === "goTo") this.events.emit("revert", change.block, {});
      else if (change.kind === "forget") this.events.emit("forget", change.block, {});
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
    linkPushed(this.#history, changes);
    this.#history = this.#history.apply(changes);
    await this.#checkpoints?.replayed(changes, this.#history, end);
  }

  /** Brings all states into the store that belong there; whether anything was missing. */
  async checkpoint(): Promise<boolean> {
    if (this.#checkpoints === null || this.#checkpoints.isDone) return false;
    await this.#checkpoints.now();
    return true;
  }

  /** An archived block: of the chain by height, or any by its id. */
  async archived(target: number | string): Promise<ArchivedBlock | null> {
    checkArchived(target);
    const { store } = this;
    if (store === null) return this.#history.archived(target);
    await this.checkpoint();
    const found = await store.archived(typeof target === "number" ? target : bytesOf(target));
    return found === null ? null : archivedOf(found);
  }

  /**
   * Frees what no root reaches; what that was, null without a store. Waits for a sweep in progress, and with
   * a log makes a checkpoint, because the blocks that it has forgotten are in the store until then.
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
    await this.#checkpoints?.close();
    await this.#sweeping?.catch(() => {});
    this.events.end();
  }

  /** Makes changes durable that lead to the history `next`. */
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
   * A sweep begins with all roots of one moment, beside blocks: all that these make is made of roots. With
   * `force` it begins behind a collection, and if a transaction fails, which ends it, another one begins.
   */
  async #sweep(store: Store, force: boolean): Promise<Written | null> {
    const engine = this.#engine;
    const begin = (): Promise<number> =>
      store.beginSweep([...engine.sharedRefs(), ...engine.refsWithoutStore(), ...this.roots()]);
    try {
      for (;;) {
        for (let isFirst = true; (await store.markAhead(isFirst, MARK_STEP)) === false; isFirst = false);
        let sweep = 0;
        if (!force) sweep = await engine.marking(begin);
        else {
          const also = async (): Promise<void> => {
            sweep = await begin();
          };
          await engine.collect({ force, also });
        }
        const slice = this.#checkpoints === null ? SWEEP_SLICE : SWEEP_SLICE_LOGGED;
        // A small store has one step.
        this.events.emit("sweeping", null, { share: 0 });
        let step = await store.sweep(sweep, slice);
        while (typeof step === "object" && "share" in step) {
          this.events.emit("sweeping", null, step);
          step = await store.sweep(sweep, slice);
        }
        if (step !== "ended") {
          this.events.emit("sweep", null, { objects: step.objects, bytes: step.bytes });
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
