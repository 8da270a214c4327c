/**
 * History: which blocks a runtime retains, and on which of their chains it stands.
 *
 * Blocks are values, named by their ids; a chain is a list of them, each the parent of the next. What is done
 * here can be undone, in the opposite order: a block is in the history before it is durable.
 */

import { UsageError } from "../errors.ts";
import type { Ref } from "../heap/heap.ts";
import { type Block, checkTarget, type Retained } from "./block.ts";

/** Puts the history back to where it was before. */
export type Undo = () => void;

export class History {
  readonly #limit: number;
  /** In the order in which they were retained. */
  #retained: Map<string, Retained>;
  #chain: string[];
  readonly #pinned: Set<string>;

  constructor(
    limit: number,
    retained: Iterable<Retained>,
    chain: readonly string[],
    pinned: Iterable<string>,
  ) {
    this.#limit = limit;
    this.#retained = new Map(Array.from(retained, (entry) => [entry.block.id, entry]));
    this.#chain = [...chain];
    this.#pinned = new Set(pinned);
  }

  /** An independent copy. */
  copy(): History {
    return new History(this.#limit, this.#retained.values(), this.#chain, this.#pinned);
  }

  get head(): Retained {
    return this.#retained.get(this.#chain.at(-1) as string) as Retained;
  }

  get size(): number {
    return this.#retained.size;
  }

  /** The retained blocks of the chain, ascending. */
  chain(): Retained[] {
    return this.#chain.map((id) => this.#retained.get(id) as Retained);
  }

  /** All retained blocks, in the order in which they were retained. */
  all(): Retained[] {
    return [...this.#retained.values()];
  }

  isPinned(id: string): boolean {
    return this.#pinned.has(id);
  }

  *roots(): Iterable<Ref> {
    for (const entry of this.#retained.values()) {
      yield entry.ref;
      yield entry.metadata;
    }
  }

  /**
   * A retained block: of this chain by height, or any by its value.
   *
   * @throws UsageError (NOT_RETAINED, BAD_ARGUMENT)
   */
  find(target: number | Block): Retained {
    checkTarget(target);
    const id = typeof target === "number" ? this.#chain[target - this.#base()] : target.id;
    const entry = id === undefined ? undefined : this.#retained.get(id);
    if (entry !== undefined) return entry;
    const name = typeof target === "number" ? `height ${target}` : `block ${id}`;
    const heights = `${this.#base()} to ${this.head.block.height}`;
    const apart = [...this.#retained.values()].some(({ block }) => block.height === target);
    const advice = apart
      ? "One of this height is retained apart from it: name it by its value, which retained() lists"
      : 'The option "retain" says how many blocks are kept, and pin() keeps one';
    const state = apart ? "on this chain, which holds" : "retained: this chain holds";
    throw new UsageError("NOT_RETAINED", `${name} is not ${state} heights ${heights}. ${advice}`, {
      target: typeof target === "number" ? target : target.id,
    });
  }

  /**
   * Puts a block on top of the chain. One that was made before is known by its newer state, for which work in
   * advance may be in progress.
   */
  push(entry: Retained): Undo {
    const { id } = entry.block;
    const known = this.#retained.get(id);
    this.#retained.set(id, entry);
    this.#chain.push(id);
    return () => {
      if (known === undefined) this.#retained.delete(id);
      else this.#retained.set(id, known);
      this.#chain.pop();
    };
  }

  /** Stands on another retained block. */
  goTo(entry: Retained): Undo {
    const before = this.#chain;
    const at = entry.block.height - this.#base();
    if (before[at] === entry.block.id) {
      this.#chain = before.slice(0, at + 1);
    } else {
      const chain: string[] = [];
      for (let next: Retained | undefined = entry; next; next = this.#retained.get(next.block.parent)) {
        chain.push(next.block.id);
      }
      this.#chain = chain.reverse();
    }
    return () => {
      this.#chain = before;
    };
  }

  /**
   * Forgets what is over the limit: blocks of branches that were left, oldest first, then the oldest of the
   * chain; never the head, nor what is pinned, which does not count either.
   */
  prune(limit = this.#limit): { readonly removed: readonly Retained[]; readonly undo: Undo } {
    const excess = this.#retained.size - this.#pinned.size - limit;
    if (excess <= 0) return { removed: [], undo: () => {} };
    const onChain = new Set(this.#chain);
    const left = [...this.#retained.keys()].filter((id) => !onChain.has(id));
    const ids = [...left, ...this.#chain.slice(0, -1)].filter((id) => !this.#pinned.has(id)).slice(0, excess);
    return this.forget(ids);
  }

  /** Forgets these blocks; none of them may be the head. */
  forget(ids: readonly string[]): { readonly removed: readonly Retained[]; readonly undo: Undo } {
    const removed = ids.map((id) => this.#retained.get(id) as Retained);
    // Forgetting the oldest, which is the rule, leaves the others in their order.
    const before = ids.every((id, i) => id === removed[i]?.block.id && this.#isOldest(id, i))
      ? null
      : [...this.#retained];
    const chain = this.#chain;
    for (const id of ids) this.#retained.delete(id);
    const base = chain.findLastIndex((id) => !this.#retained.has(id));
    if (base >= 0) this.#chain = chain.slice(base + 1);
    return {
      removed,
      undo: () => {
        this.#retained = new Map(
          before ?? [...removed.map((entry) => [entry.block.id, entry] as const), ...this.#retained],
        );
        this.#chain = chain;
      },
    };
  }

  setPinned(id: string, pinned: boolean): Undo {
    const before = this.#pinned.has(id);
    const set = (value: boolean): void => void (value ? this.#pinned.add(id) : this.#pinned.delete(id));
    set(pinned);
    return () => set(before);
  }

  #isOldest(id: string, index: number): boolean {
    let i = 0;
    for (const other of this.#retained.keys()) {
      if (i++ === index) return other === id;
    }
    return false;
  }

  #base(): number {
    return (this.#retained.get(this.#chain[0] as string) as Retained).block.height;
  }
}
