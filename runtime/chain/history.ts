/**
 * A history: the retained blocks, the chain among them that ends with the head, and the pinned ones.
 *
 * It is a value: a change makes another one, which shares all unchanged parts with the one before. So a
 * copy, for a fork or for a change that may turn out not to be durable, is a reference. Blocks are kept by
 * height, which grows from parent to child: each operation costs the blocks that it adds, removes or moves to
 * another chain, whatever the length of the history. Listing all blocks costs their number.
 *
 * Invariants:
 * - The chain has one block at each height from `base` to the head's; each is the parent of the next.
 * - Every retained block is on the chain, or on a side branch: pinned ones among these are not in `side`.
 * - The head is retained, so a history is never empty.
 *
 * Blocks are forgotten in the order of their heights, side branches before the chain.
 */

import { assert, UsageError } from "../errors.ts";
import type { Ref } from "../heap/heap.ts";
import { Archive, type ArchivedBlock } from "./archive.ts";
import { type Block, checkTarget, noState, type Retained, refsOf } from "./block.ts";
import { IntegerMap } from "./integer-map.ts";

/** The name of a retained block. */
export type BlockName = Pick<Block, "id" | "height">;

/** A change of a history. Several are applied in order. */
export type Change =
  /** A block on top of the head becomes the head; its state replaces that of a block of the same id. */
  | { readonly kind: "push"; readonly entry: Retained }
  /** A retained block becomes the head; what was above it stays retained. */
  | { readonly kind: "goTo"; readonly block: BlockName }
  /** Neither the head nor a pinned block. */
  | { readonly kind: "forget"; readonly block: BlockName }
  | { readonly kind: "pin"; readonly block: BlockName }
  | { readonly kind: "unpin"; readonly block: BlockName };

/** Blocks of one height, in the order in which they were retained; never none. */
type Level = readonly Retained[];
type Levels = IntegerMap<Level>;
type Pins = IntegerMap<readonly BlockName[]>;

interface Parts {
  readonly levels: Levels;
  /** One block a height. */
  readonly chain: Levels;
  /** Blocks that are neither on the chain nor pinned. */
  readonly side: Levels;
  /** The names of pinned blocks, by height. */
  readonly pins: Pins;
  /** How many blocks are retained, and how many of them are pinned. */
  readonly size: number;
  readonly pinned: number;
  /** Of blocks that have left the chain at its lower end. */
  readonly archive: Archive;
}

export class History {
  readonly #parts: Parts;
  readonly head: Retained;

  private constructor(parts: Parts, head: Retained) {
    this.#parts = parts;
    this.head = head;
    const { height, parent } = head.block;
    assert(parts.chain.last === height, "history: the head is not the end of the chain");
    assert(parts.chain.get(height)?.[0] === head, "history: another block is at the head's height");
    assert(find(parts.levels, head.block) === head, "history: the head is not retained");
    assert(!has(parts.side, head.block), "history: the head is on a side branch as well");
    const below = parts.chain.get(height - 1)?.[0];
    const isLowest = below === undefined && parts.chain.first === height;
    assert(isLowest || below?.block.id === parent, "history: a gap in the chain below the head");
    assert(parts.pinned >= 0 && parts.size > 0 && parts.pinned <= parts.size, "history: wrong counts");
  }

  /**
   * The history of these blocks, the older of one height first, that is at the block `head`, one of them.
   */
  static of(
    entries: Iterable<Retained>,
    head: BlockName,
    pinned: Iterable<BlockName> = [],
    archive = Archive.empty(0, null),
  ): History {
    let levels: Levels = IntegerMap.empty();
    let pins: Pins = IntegerMap.empty();
    const counts = { size: 0, pinned: 0 };
    for (const entry of entries) {
      levels = add(levels, entry);
      counts.size++;
    }
    for (const { id, height } of pinned) {
      pins = pins.set(height, [...(pins.get(height) ?? []), { id, height }]);
      counts.pinned++;
    }
    let chain: Levels = IntegerMap.empty();
    const last = find(levels, head);
    assert(last !== undefined, "history: the head is not retained");
    for (let next: Retained | undefined = last; next !== undefined; next = find(levels, parentOf(next))) {
      chain = chain.set(next.block.height, [next]);
    }
    let side: Levels = IntegerMap.empty();
    for (const level of levels.values()) {
      for (const entry of level) {
        if (!has(chain, entry.block) && !isIn(pins, entry.block)) side = add(side, entry);
      }
    }
    return new History({ levels, chain, side, pins, archive, ...counts }, last);
  }

  /** The lowest height of the chain. */
  get base(): number {
    return this.#parts.chain.first;
  }

  /** The same with another archive. */
  withArchive(archive: Archive): History {
    return this.#with(this.head, { archive });
  }

  /** Maximum number of blocks in the archive, here or in the store. */
  get archiveLimit(): number {
    return this.#parts.archive.limit;
  }

  /** An archived block: of this chain by height, or any by its id. */
  archived(target: number | string): ArchivedBlock | null {
    const { archive, chain } = this.#parts;
    if (typeof target === "string") return archive.withId(target);
    const base = chain.get(this.base)?.[0];
    assert(base !== undefined, "history: the chain is empty");
    return archive.at(target, base.block);
  }

  /** The blocks that leave the chain at its lower end when `name` is forgotten, the lowest first. */
  leavingWith(name: BlockName): Retained[] {
    return this.isOnChain(name) ? [...this.#parts.chain.below(name.height + 1).values()].flat() : [];
  }

  /** Only the newest `count` blocks of its chain, none of them pinned. */
  newest(count: number): History {
    return History.of(this.chain().slice(-count), this.head.block, [], this.#parts.archive);
  }

  /** The same of entries of its own, for another store: each whose state is there is made from no other. */
  copy(archive: Archive): History {
    const all = this.all();
    const own = new Map([...all, ...this.supports()].map((entry) => [entry, { ...entry }]));
    for (const [entry, made] of own) {
      const below = entry.ref === 0 ? this.below(entry) : null;
      made.before = below === null ? null : (own.get(below) as Retained);
    }
    const entries = all.map((entry) => own.get(entry) as Retained);
    const pins = [...this.#parts.pins.values()].flat();
    return History.of(entries, this.head.block, pins, archive);
  }

  /**
   * The state of a block.
   *
   * @throws UsageError (NO_STATE): it is not there, and which ones are
   */
  stateOf(entry: Retained): Ref {
    if (entry.ref !== 0) return entry.ref;
    let below = this.below(entry);
    while (below !== null && (below.ref === 0 || this.get(below.block) === undefined))
      below = this.below(below);
    const above = this.isOnChain(entry.block) ? [...this.#parts.chain.from(entry.block.height).values()] : [];
    const next = above.flat().find(({ ref }) => ref !== 0);
    throw noState(entry.block, below?.block.height ?? null, next?.block.height ?? null);
  }

  /** How many blocks are retained. */
  get size(): number {
    return this.#parts.size;
  }

  /** The retained blocks of the chain, ascending. */
  chain(): Retained[] {
    return [...this.#parts.chain.values()].flat();
  }

  /** All retained blocks by height, the older of one height first. */
  all(): Retained[] {
    return [...this.#parts.levels.values()].flat();
  }

  /** The blocks of the chain that were not on the chain of `before`; costs what differs. */
  chainSince(before: History): Retained[] {
    const levels = [...this.#parts.chain.valuesNotIn(before.#parts.chain)];
    return levels.flat().filter(({ block }) => !before.isOnChain(block));
  }

  isPinned(block: BlockName): boolean {
    return isIn(this.#parts.pins, block);
  }

  isOnChain(block: BlockName): boolean {
    return has(this.#parts.chain, block);
  }

  /** The retained block of this name. */
  get(block: BlockName): Retained | undefined {
    return find(this.#parts.levels, block);
  }

  /** The block before, if it is retained. */
  parent(entry: Retained): Retained | undefined {
    return this.get(parentOf(entry));
  }

  *roots(): Iterable<Ref> {
    for (const level of this.#parts.levels.values()) {
      for (const entry of level) yield* refsOf(entry);
    }
    for (const entry of this.supports()) yield* refsOf(entry);
  }

  /** The block that the state of another is made from, if that lies in no store. */
  below({ before }: Retained): Retained | null {
    // One of the same id may have come instead.
    return before === null ? null : (this.get(before.block) ?? before);
  }

  /**
   * Blocks that are not retained, and from which the states of retained ones are made; the states `stored`
   * are made from nothing. Costs what there is on side branches, and what it gives.
   */
  supports(stored: ReadonlySet<Retained> = new Set()): Set<Retained> {
    const { chain, side, pins } = this.#parts;
    const found = new Set<Retained>();
    // Below the others is one that is retained.
    const lowest = [chain.get(chain.first) as Level, ...side.values()].flat();
    const pinned = [...pins.values()].flat().map((name) => this.get(name) as Retained);
    for (const entry of [...lowest, ...pinned]) {
      for (let above = entry; !stored.has(above); ) {
        const next = this.below(above);
        if (next === null || this.get(next.block) !== undefined || found.has(next)) break;
        found.add(next);
        above = next;
      }
    }
    return found;
  }

  /**
   * A retained block: of this chain by height, or any by its value.
   *
   * @throws UsageError (NOT_RETAINED, BAD_ARGUMENT)
   */
  find(target: number | Block): Retained {
    checkTarget(target);
    const byHeight = typeof target === "number";
    const entry = byHeight ? this.#parts.chain.get(target)?.[0] : this.get(target);
    if (entry !== undefined) return entry;
    const name = byHeight ? `height ${target}` : `block ${target.id}`;
    const heights = `${this.base} to ${this.head.block.height}`;
    const isOnSide = byHeight && this.#parts.levels.get(target) !== undefined;
    const advice = isOnSide
      ? "One of this height is retained apart from it: name it by its value, which retained() lists"
      : this.#parts.archive.limit > 0
        ? 'What the option "archiveBlocks" keeps has no state to go back to: archived() reads the rest of it'
        : 'The option "retainBlocks" says how many blocks are kept, and pin() keeps one';
    const state = isOnSide ? "on this chain, which holds" : "retained: this chain holds";
    throw new UsageError("NOT_RETAINED", `${name} is not ${state} heights ${heights}. ${advice}`, {
      target: byHeight ? target : target.id,
    });
  }

  /**
   * The blocks to forget so that no more than `limit` are left: of side branches first, then of the chain,
   * the lowest of each first. Neither the head nor what is pinned, which does not count either.
   */
  excess(limit: number): Retained[] {
    const { side, chain, size, pinned } = this.#parts;
    const found: Retained[] = [];
    const count = size - pinned - limit;
    if (count <= 0) return found;
    for (const levels of [side, chain.below(this.head.block.height)]) {
      for (const level of levels.values()) {
        for (const entry of this.#oldestFirst(level)) {
          if (found.length === count) return found;
          if (!this.isPinned(entry.block)) found.push(entry);
        }
      }
    }
    return found;
  }

  /**
   * The next `count` blocks that may be forgotten, in the order of `excess`, if so many are left as `least`.
   */
  oldest(count: number, least: number): Retained[] {
    const { size, pinned } = this.#parts;
    return this.excess(Math.max(least, size - pinned - count));
  }

  /** The blocks below a height that may be forgotten, in the order of `excess`. */
  beneath(height: number): Retained[] {
    return this.excess(0).filter(({ block }) => block.height < height);
  }

  /** Blocks of one height in the order in which they were retained. */
  #oldestFirst(level: Level): Level {
    if (level.length === 1) return level;
    const all = this.#parts.levels.get((level[0] as Retained).block.height) as Level;
    return all.filter((entry) => level.includes(entry));
  }

  /** The history after these changes. */
  apply(changes: readonly Change[]): History {
    return changes.reduce((history, change) => history.#apply(change), this as History);
  }

  #apply(change: Change): History {
    switch (change.kind) {
      case "push":
        return this.#push(change.entry);
      case "goTo":
        return this.#goTo(change.block);
      case "forget":
        return this.#forget(change.block);
      default:
        return this.#setPinned(change.block, change.kind === "pin");
    }
  }

  #push(entry: Retained): History {
    const { levels, chain, side, size } = this.#parts;
    const { block } = entry;
    const above = block.parent === this.head.block.id && block.height === this.head.block.height + 1;
    assert(above, "history: a block is not on top of the head");
    const known = this.get(block) !== undefined;
    return this.#with(entry, {
      levels: known ? replace(levels, entry) : add(levels, entry),
      chain: chain.set(block.height, [entry]),
      side: remove(side, block),
      size: known ? size : size + 1,
    });
  }

  #goTo(name: BlockName): History {
    const entry = this.get(name);
    assert(entry !== undefined, "history: the block to go to is not retained");
    // What comes onto the chain: from the entry down to where the branches part, or to the last retained one.
    const path: Retained[] = [];
    let next: Retained | undefined = entry;
    for (; next !== undefined && !this.isOnChain(next.block); next = this.parent(next)) path.push(next);
    const { chain, side } = this.#parts;
    const parting = next === undefined ? 0 : next.block.height + 1;
    const left = this.#withoutPins(chain.from(parting));
    let to = chain.below(parting);
    let rest = side.union(left, (one, other) => [...one, ...other]);
    assert(next === undefined || to.last === next.block.height, "history: a gap where branches part");
    for (const one of path) {
      to = to.set(one.block.height, [one]);
      rest = remove(rest, one.block);
    }
    return this.#with(entry, { chain: to, side: rest });
  }

  #forget(name: BlockName): History {
    const { levels, chain, side, size } = this.#parts;
    assert(this.get(name) !== undefined, "history: a block to forget is not retained");
    assert(name.id !== this.head.block.id, "history: the head cannot be forgotten");
    assert(!this.isPinned(name), "history: a pinned block cannot be forgotten");
    const rest = remove(levels, name);
    if (!this.isOnChain(name)) {
      return this.#with(this.head, { levels: rest, side: remove(side, name), size: size - 1 });
    }
    // The chain begins above it. What was below is retained on the side: blocks that are pinned, as a rule.
    const left = this.#withoutPins(chain.below(name.height));
    const archive = this.leavingWith(name).reduce((kept, entry) => kept.add(entry), this.#parts.archive);
    return this.#with(this.head, {
      levels: rest,
      chain: chain.from(name.height + 1),
      side: side.union(left, (one, other) => [...one, ...other]),
      size: size - 1,
      archive,
    });
  }

  #setPinned(name: BlockName, value: boolean): History {
    const { id, height } = name;
    const entry = this.get(name);
    assert(entry !== undefined, "history: a block to pin is not retained");
    if (this.isPinned(name) === value) return this;
    const { pins, side, pinned } = this.#parts;
    const others = (pins.get(height) ?? []).filter((one) => one.id !== id);
    const names = value ? [...others, { id, height }] : others;
    const onChain = this.isOnChain(name);
    return this.#with(this.head, {
      pins: names.length === 0 ? pins.delete(height) : pins.set(height, names),
      side: value ? remove(side, name) : onChain ? side : add(side, entry),
      pinned: pinned + (value ? 1 : -1),
    });
  }

  /** Levels that leave the chain, as they come onto the side. */
  #withoutPins(levels: Levels): Levels {
    const pins = this.#parts.pins.from(levels.first).below(levels.last + 1);
    return [...pins.values()].flat().reduce(remove, levels);
  }

  #with(head: Retained, parts: Partial<Parts>): History {
    return new History({ ...this.#parts, ...parts }, head);
  }
}

/** What names the block before. */
export function parentOf({ block }: Retained): BlockName {
  return { id: block.parent, height: block.height - 1 };
}

function find(levels: Levels, { id, height }: BlockName): Retained | undefined {
  return levels.get(height)?.find(({ block }) => block.id === id);
}

function has(levels: Levels, name: BlockName): boolean {
  return find(levels, name) !== undefined;
}

function isIn(pins: Pins, { id, height }: BlockName): boolean {
  return pins.get(height)?.some((one) => one.id === id) === true;
}

function add(levels: Levels, entry: Retained): Levels {
  const { height } = entry.block;
  return levels.set(height, [...(levels.get(height) ?? []), entry]);
}

function replace(levels: Levels, entry: Retained): Levels {
  const { id, height } = entry.block;
  return levels.set(
    height,
    (levels.get(height) as Level).map((one) => (one.block.id === id ? entry : one)),
  );
}

function remove(levels: Levels, { id, height }: BlockName): Levels {
  const level = levels.get(height);
  if (level === undefined) return levels;
  const others = level.filter(({ block }) => block.id !== id);
  return others.length === 0 ? levels.delete(height) : levels.set(height, others);
}
