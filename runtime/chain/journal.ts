/**
 * The journal: makes what happens to a runtime's history durable, in order.
 *
 * "block": a call ends when its change is on the disk; if that fails, the change is undone and the call
 * rejects. "pipelined": a call ends before that, and the writer follows; what it has not written when it
 * fails, all of it, is undone, newest first, and the next call says so, be it `flush` or `close`. Either way
 * the runtime stands at a durable block after a failure.
 */

import { StoreError } from "../errors.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import type { Store } from "../store/store.ts";
import type { Written } from "../store/writer.ts";
import { dataOf, type Retained } from "./block.ts";
import type { Engine } from "./engine.ts";
import type { History, Undo } from "./history.ts";

export type Durability = "block" | "pipelined";

/** One change of the history, as the store takes it. */
export interface Entry {
  /** A block to write, if any. */
  readonly added?: Retained;
  /** Id of the block to stand at; null: as before, or none yet. */
  readonly head: string | null;
  readonly removed?: readonly Retained[];
  readonly pinned?: readonly string[];
  readonly unpinned?: readonly string[];
}

interface Pending {
  readonly undo: Undo;
  /** What must not be collected while this may be undone. */
  readonly kept: readonly Retained[];
}

/** So many changes may wait for the disk; then produce waits as well. */
const PENDING_LIMIT = 64;
/** Objects that a sweep looks at in one transaction. */
const SWEEP_SLICE = 4096;

export class Journal {
  readonly store: Store;
  readonly #engine: Engine;
  readonly #history: History;
  readonly #durability: Durability;
  readonly #pending: Pending[] = [];
  #tail: Promise<void> = Promise.resolve();
  #failure: Error | null = null;
  #failures = 0;
  #sweeping: Promise<unknown> | null = null;

  constructor(engine: Engine, store: Store, history: History, durability: Durability) {
    this.#engine = engine;
    this.store = store;
    this.#history = history;
    this.#durability = durability;
  }

  /** Grows with every failure: who began before it stands on blocks that are gone. */
  get failures(): number {
    return this.#failures;
  }

  /** References that a collection must keep. */
  *roots(): Iterable<Ref> {
    for (const { kept } of this.#pending) {
      for (const { ref, metadata } of kept) {
        yield ref;
        yield metadata;
      }
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
    this.check();
    if (this.#failures === failures) return;
    const { path } = this.store;
    throw new StoreError("STORE_FAILED", `the store ${path} failed while the block ran`, { path });
  }

  /** Writes a change that the history has made already and that `undo` takes back. */
  async write(entry: Entry, undo: Undo): Promise<void> {
    if (this.#durability === "block") return this.writeNow(entry, undo);
    this.#pending.push({ undo, kept: [...(entry.removed ?? []), ...(entry.added ? [entry.added] : [])] });
    const failures = this.#failures;
    const written = this.#tail.then(async () => {
      if (this.#failures !== failures) return;
      try {
        await this.#send(entry);
        this.#pending.shift();
      } catch (error) {
        this.#fail(error as Error);
      }
    });
    this.#tail = written;
    if (this.#pending.length > PENDING_LIMIT) await written;
  }

  /** As `write`, and waits for the disk in any case. */
  async writeNow(entry: Entry, undo: Undo): Promise<void> {
    try {
      await this.flush();
      await this.#send(entry);
    } catch (error) {
      undo();
      throw error;
    }
  }

  /** Waits until everything is on the disk. */
  async flush(): Promise<void> {
    await this.#tail;
    this.check();
  }

  /** Frees what no retained block reaches; what that was. Waits for a sweep that runs already. */
  async sweep(): Promise<Written> {
    await this.#sweeping?.catch(() => {});
    const sweeping = this.#sweep(true);
    this.#sweeping = sweeping;
    return (await sweeping) as Written;
  }

  /** Waits for the disk, and for a sweep. */
  async close(): Promise<void> {
    await this.#tail;
    await this.#sweeping?.catch(() => {});
    this.check();
  }

  async #send({ added, head, removed = [], pinned = [], unpinned = [] }: Entry): Promise<void> {
    const ids = removed.map(({ block }) => Buffer.from(block.id, "hex"));
    const hex = (id: string): Buffer => Buffer.from(id, "hex");
    const stand = head === null ? null : hex(head);
    const written = await this.#engine.inTurn(() =>
      added === undefined
        ? this.store.change({
            head: stand,
            removed: ids,
            pinned: pinned.map(hex),
            unpinned: unpinned.map(hex),
          })
        : this.store.commit({
            ...commitOf(this.#engine.heap, added, this.#history),
            head: stand,
            removed: ids,
          }),
    );
    if (written.sweepDue && this.#sweeping === null) this.#sweeping = this.#sweep(false).catch(() => null);
  }

  #fail(error: Error): void {
    this.#failures++;
    this.#failure = new StoreError(
      error instanceof StoreError ? error.code : "STORE_FAILED",
      `${this.#pending.length} changes could not be written; the runtime is at its last durable block: ` +
        error.message,
      { changes: this.#pending.length, ...(error instanceof StoreError ? error.facts : {}) },
      { cause: error },
    );
    for (const { undo } of this.#pending.splice(0).reverse()) undo();
  }

  async #sweep(force: boolean): Promise<Written | null> {
    try {
      const also = async (): Promise<void> => {
        const others = [...this.#engine.genesisRefs(), ...this.#engine.refsWithoutStore()];
        await this.store.sweep([...others, ...this.#history.roots(), ...this.roots()], 0);
      };
      if (!(await this.#engine.collect({ force, also }))) return null;
      for (;;) {
        const written = await this.store.sweep([], SWEEP_SLICE);
        if (written !== null) return written;
      }
    } finally {
      this.#sweeping = null;
    }
  }
}

function commitOf(heap: Heap, { block, ref, metadata, budget }: Retained, history: History) {
  return {
    ref,
    metadata,
    block: {
      id: Buffer.from(block.id, "hex"),
      height: block.height,
      parent: Buffer.from(block.parent, "hex"),
      root: Buffer.from(block.root, "hex"),
      data: dataOf(heap, ref),
      budget,
      gasUsed: block.gasUsed,
      ended: block.ended,
      pinned: history.isPinned(block.id),
    },
  };
}
