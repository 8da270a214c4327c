/**
 * Candidates: blocks that were made and are in no history.
 *
 * A candidate stands on a retained block, or on another candidate. It lives until it is committed or
 * released, and not longer than what it stands on; then its state is garbage for the next collection. The
 * embedder holds a handle, a `Candidate`; what the handle names is known here alone, so that a handle which
 * nobody holds any more can be noticed. A handle keeps that of the candidate below alive.
 *
 * Invariants:
 * - What a live candidate, or a run in progress, stands on is live, or retained by the history that callers
 *   see.
 * - The states of live candidates, and of what runs in progress stand on, are roots of collections and
 *   sweeps.
 */

import { badArgument } from "../arguments.ts";
import type { BatchReport } from "../batch/evidence.ts";
import type { Hints } from "../batch/hints.ts";
import { assert, LimitError, UsageError } from "../errors.ts";
import type { Ref } from "../heap/heap.ts";
import { type Block, type Retained, refsOf } from "./block.ts";
import type { Events, ReleaseReason } from "./events.ts";
import { type BlockName, type History, parentOf } from "./history.ts";

/** A candidate that is neither committed nor released. */
interface Live {
  readonly number: number;
  readonly entry: Retained;
  readonly handle: WeakRef<Candidate>;
  /** What it stands on; null: a retained block. */
  base: Live | null;
}

/** What a run in progress stands on. */
export interface Base {
  readonly entry: Retained;
  /** Null: a retained block. */
  live: Live | null;
  /** Keeps the handle from being collected. */
  readonly handle: Candidate | undefined;
}

/** The handle of a candidate keeps that of the one below. */
const handlesBelow = new WeakMap<Candidate, Candidate>();

/**
 * A block that `execute` has made: neither head nor durable. Whatever takes a block to look at takes a
 * candidate, as long as it is neither committed nor released. With `await using` it is released at the end of
 * the scope, unless it was committed: wait for the commit inside.
 */
export class Candidate implements Block {
  readonly height: number;
  readonly id: string;
  readonly parent: string;
  readonly root: string;
  readonly data: Uint8Array;
  readonly gasUsed: number;
  readonly ended: boolean;
  /**
   * Dependencies that its batches reported, for runs of the same block elsewhere; with the option
   * "dependencies", else none.
   */
  readonly hints: readonly Hints[];
  readonly #candidates: Candidates;
  readonly #number: number;

  /** @internal */
  constructor(candidates: Candidates, number: number, { block }: Retained, hints: readonly Hints[]) {
    this.height = block.height;
    this.id = block.id;
    this.parent = block.parent;
    this.root = block.root;
    this.data = block.data;
    this.gasUsed = block.gasUsed;
    this.ended = block.ended;
    this.hints = hints;
    this.#candidates = candidates;
    this.#number = number;
    Object.freeze(this);
  }

  /** Its number among the candidates of one runtime; null: it is another runtime's. @internal */
  numberAmong(candidates: Candidates): number | null {
    return candidates === this.#candidates ? this.#number : null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#candidates.release(this);
  }
}

/** The candidates of one runtime. */
export class Candidates {
  readonly #limit: number;
  readonly #history: () => History;
  readonly #events: Events;
  readonly #live = new Map<number, Live>();
  /** What runs in progress stand on. */
  readonly #bases = new Set<Base>();
  readonly #dropped = new FinalizationRegistry<number>((number) => {
    const live = this.#live.get(number);
    if (live !== undefined) this.#end(live, "dropped");
  });
  #lastNumber = 0;

  /** At most `limit`, with runs in progress; `history` is what callers see. */
  constructor(limit: number, history: () => History, events: Events) {
    this.#limit = limit;
    this.#history = history;
    this.#events = events;
  }

  /** How many are live. */
  get size(): number {
    return this.#live.size;
  }

  /** References that collections and sweeps must keep. */
  *roots(): Iterable<Ref> {
    for (const { entry } of [...this.#live.values(), ...this.#bases]) yield* refsOf(entry);
  }

  /** The live candidate that a handle, or the value of a block, names. */
  find(target: number | Block): Retained | undefined {
    return this.#find(target)?.entry;
  }

  /**
   * A live candidate by its handle.
   *
   * @throws UsageError (NOT_RETAINED, BAD_ARGUMENT)
   */
  get(candidate: Candidate): Retained {
    checkCandidate(candidate);
    const live = this.#find(candidate);
    if (live === undefined) throw ended(candidate);
    return live.entry;
  }

  /** The candidates from the lowest that stands on a retained block to this one. */
  path(entry: Retained): Retained[] {
    const path: Retained[] = [];
    let live: Live | null = [...this.#live.values()].find((one) => one.entry === entry) ?? null;
    for (; live !== null; live = live.base) path.unshift(live.entry);
    return path;
  }

  /**
   * A run on top of a block or candidate begins: what it stands on stays until `leave`.
   *
   * @throws LimitError (TOO_MANY_CANDIDATES), UsageError (NOT_RETAINED, BAD_ARGUMENT)
   */
  enter(target: number | Block): Base {
    if (this.#live.size + this.#bases.size >= this.#limit) {
      throw new LimitError(
        "TOO_MANY_CANDIDATES",
        `there are ${this.#limit} candidates, those in progress among them, which is all that the option ` +
          '"candidatesLimit" allows. Commit or release some, or raise it',
        { limit: this.#limit },
      );
    }
    const live = this.#find(target) ?? null;
    if (live === null && target instanceof Candidate && this.#history().get(target) === undefined) {
      throw ended(target);
    }
    const entry = live?.entry ?? this.#history().find(target);
    const base = { entry, live, handle: live?.handle.deref() };
    this.#bases.add(base);
    return base;
  }

  leave(base: Base): void {
    assert(this.#bases.delete(base), "candidates: a run ends twice");
  }

  /** The retained block that a run in progress stands on in the end. */
  groundOf({ entry, live }: Base): BlockName {
    return live === null ? entry.block : parentOf(this.path(live.entry)[0] as Retained);
  }

  /**
   * A run has made a block: it is a candidate from now on.
   *
   * @throws UsageError (NOT_RETAINED: what it stood on is gone)
   */
  add(base: Base, entry: Retained, reports: readonly BatchReport[]): Candidate {
    assert(this.#bases.has(base), "candidates: a run that has ended");
    if (!this.#stands(base.live, entry)) throw parentGone(base.entry.block);
    const number = ++this.#lastNumber;
    const hints = reports.flatMap(({ block, inputs, dependencies }) =>
      dependencies === null ? [] : [{ block, inputs, dependencies }],
    );
    const handle = new Candidate(this, number, entry, hints);
    if (base.handle !== undefined) handlesBelow.set(handle, base.handle);
    this.#live.set(number, { number, entry, handle: new WeakRef(handle), base: base.live });
    assert(this.#live.size <= this.#limit, "candidates: more than their limit");
    this.#dropped.register(handle, number);
    this.#events.emit("execute", entry.block, { made: entry.block });
    return handle;
  }

  /** Ends a candidate and those that stand on it; nothing if it has ended. */
  release(candidate: Candidate): void {
    checkCandidate(candidate);
    const live = this.#find(candidate);
    if (live !== undefined) this.#end(live, "released");
  }

  /** This is in the history now; if it was a candidate, those that stand on it continue. */
  committed(entry: Retained): void {
    for (const live of [...this.#live.values()]) if (live.entry === entry) this.#end(live, null);
  }

  /** Blocks have left the history that callers see: ends what stands on them. */
  retire(): void {
    for (const live of [...this.#live.values()]) {
      if (this.#live.has(live.number) && !this.#stands(live.base, live.entry)) this.#end(live, "parent");
    }
  }

  /** Ends all: the runtime is closed. */
  close(): void {
    for (const live of [...this.#live.values()]) {
      if (this.#live.has(live.number)) this.#end(live, "closed");
    }
  }

  #find(target: number | Block): Live | undefined {
    if (typeof target !== "object" || target === null) return undefined;
    const number = target instanceof Candidate ? target.numberAmong(this) : null;
    if (number !== null) return this.#live.get(number);
    // A block that is retained as well is the history's.
    if (this.#live.size === 0 || this.#history().get(target) !== undefined) return undefined;
    return [...this.#live.values()].find(({ entry }) => entry.block.id === target.id);
  }

  /** Whether what a candidate stands on is still there. */
  #stands(base: Live | null, entry: Retained): boolean {
    return base === null
      ? this.#history().get(parentOf(entry)) !== undefined
      : this.#live.get(base.number) === base;
  }

  /** Null: it was committed. */
  #end(live: Live, reason: ReleaseReason | null): void {
    assert(this.#live.delete(live.number), "candidates: one ends twice");
    const { block } = live.entry;
    if (reason !== null) this.#events.emit("release", block, { reason });
    const isRetained = this.#history().get(block) !== undefined;
    for (const base of this.#bases) if (base.live === live && isRetained) base.live = null;
    for (const one of [...this.#live.values()]) {
      if (one.base !== live) continue;
      if (isRetained) {
        one.base = null;
        assert(this.#stands(null, one.entry), "candidates: one is left that stands on nothing");
      } else this.#end(one, reason === "released" ? "parent" : (reason ?? "parent"));
    }
  }
}

function checkCandidate(candidate: Candidate): void {
  if (candidate instanceof Candidate) return;
  throw badArgument("candidate", candidate, "what execute gives, which a block is not");
}

function ended({ id, height }: Candidate): UsageError {
  const text = `candidate ${id} of height ${height} was committed or released, or went with its parent`;
  return new UsageError("NOT_RETAINED", `${text}. Its event "release" says why`, { target: id });
}

function parentGone({ id, height }: BlockName): UsageError {
  const text = `block ${id} of height ${height} was forgotten or released while a candidate on it ran`;
  return new UsageError("NOT_RETAINED", `${text}: there is no candidate`, { target: id });
}
