/**
 * Changes of a history as the store takes them.
 *
 * With a log of inputs not every state is stored. Those that are, the anchors, are chosen so that any other
 * is made from one by running blocks of a single checkpoint. A block from which the state of a retained one
 * is made is kept in the store beyond its own time: it supports that.
 */

import { assert } from "../errors.ts";
import type { Heap } from "../heap/heap.ts";
import type { NamedBlock, NewBlock, StoreChange } from "../store/change.ts";
import { dataOf, type Retained } from "./block.ts";
import type { BlockName, Change, History } from "./history.ts";

/** The blocks that the changes push. */
export function pushedBy(changes: readonly Change[]): Retained[] {
  return changes.flatMap((change) => (change.kind === "push" ? [change.entry] : []));
}

/** Blocks of a store that are not retained, and support others: by their ids. */
export type Supports = ReadonlyMap<string, BlockName>;

/**
 * The blocks whose states are to be stored with these changes, which lead to the history `next`: the head,
 * what is pinned, and each that nothing stands on; and what blocks stand on that came with other changes.
 * Others are made again from these. Without a log no block is linked to another, and all are stored.
 */
export function anchorsOf(changes: readonly Change[], next: History): Set<Retained> {
  const kept = (name: BlockName): Retained[] => [next.get(name) ?? []].flat();
  const pushed = new Set(pushedBy(changes).flatMap(({ block }) => kept(block)));
  const below = new Set([...pushed].map(({ block }) => block.parent));
  const pins = changes.flatMap((change) => (change.kind === "pin" ? kept(change.block) : []));
  const anchors = new Set([next.head, ...pins].filter((entry) => entry.before !== null));
  for (const entry of pushed) {
    const base = next.below(entry);
    if (base !== null && !pushed.has(base) && base.before !== null) anchors.add(base);
    const isEnd = !below.has(entry.block.id) || next.isPinned(entry.block);
    if (isEnd || entry.before === null) anchors.add(entry);
  }
  return anchors;
}

/** Each block that is pushed is made again from the one that it stands on. */
export function linkPushed(history: History, changes: readonly Change[]): void {
  let { head } = history;
  for (const change of changes) {
    if (change.kind === "push") {
      change.entry.before = head;
      head = change.entry;
    } else if (change.kind === "goTo") head = history.get(change.block) as Retained;
  }
}

/** What a store holds. */
export interface Held {
  readonly history: History;
  readonly supports: Supports;
}

/** What a store holds of which all states are there. */
export function wholly(history: History): Held {
  return { history, supports: new Map() };
}

/** A change of a store. */
export interface Planned {
  readonly change: StoreChange;
  /** The blocks whose states come with it. */
  readonly anchors: ReadonlySet<Retained>;
  /** What the store holds then. */
  readonly held: Held;
}

/**
 * The changes that lead from what a store holds to the history `next`, as one of the store. `known` are the
 * blocks that they push, by id, because the state of one that is forgotten again may be gone. What was undone
 * in between does not come up. No collection runs meanwhile.
 */
export function planChange(
  heap: Heap,
  { history, supports: had }: Held,
  changes: readonly Change[],
  next: History,
  known: ReadonlyMap<string, NewBlock>,
): Planned {
  const anchors = anchorsOf(changes, next);
  const supporting = next.supports(anchors);
  const supports: Supports = new Map([...supporting].map(({ block }) => [block.id, block]));
  const named = (...kinds: Change["kind"][]): BlockName[] =>
    changes.flatMap((change) => (kinds.includes(change.kind) && "block" in change ? [change.block] : []));
  const pins = named("pin", "unpin").filter((block) => next.get(block) !== undefined);
  const ids = (pinned: boolean): Uint8Array[] =>
    pins.filter((block) => next.isPinned(block) === pinned).map(({ id }) => bytesOf(id));
  const archived = archivedBy(changes, history);
  const wanted = new Set([...archived.map((id) => id.toString("hex")), ...supports.keys()]);
  const blocks = new Map<string, NewBlock>();
  for (const { block } of pushedBy(changes)) {
    const entry = next.get(block);
    const made = known.get(block.id) as NewBlock;
    if (entry !== undefined) blocks.set(block.id, withState(made, entry, next, anchors.has(entry)));
    else if (wanted.has(block.id)) blocks.set(block.id, withoutState(made));
  }
  for (const entry of anchors) {
    const { id } = entry.block;
    const made = blocks.get(id) ?? newBlock(heap, entry);
    blocks.set(id, withState(made, entry, next, true));
  }
  return {
    anchors,
    held: { history: next, supports },
    change: {
      archived,
      blocks: [...blocks.values()],
      supports: [...supports.values()].filter((block) => history.get(block) !== undefined).map(nameOf),
      removed: [...named("forget"), ...had.values()]
        .filter((block) => next.get(block) === undefined && !supports.has(block.id))
        .map(nameOf),
      pinned: ids(true),
      unpinned: ids(false),
      chain: next.chainSince(history).map(({ block }) => nameOf(block)),
      head: headOf(next),
    },
  };
}

/** The blocks that leave the chain at its lower end, if they are to be archived. */
function archivedBy(changes: readonly Change[], before: History): Buffer[] {
  const archived: Buffer[] = [];
  if (before.archiveLimit === 0) return archived;
  let history = before;
  for (const change of changes) {
    if (change.kind === "forget") {
      archived.push(...history.leavingWith(change.block).map(({ block }) => bytesOf(block.id)));
    }
    history = history.apply([change]);
  }
  return archived;
}

/** The head of a history as the store takes it. */
export function headOf({ head, base }: History): StoreChange["head"] {
  return { ...nameOf(head.block), base };
}

export function nameOf({ id, height }: BlockName): NamedBlock {
  return { id: bytesOf(id), height };
}

/** A block as the store takes it, with its state. */
export function newBlock(heap: Heap, entry: Retained): NewBlock {
  const { block, ref, metadata, budget, rules, change } = entry;
  const { height, gasUsed, ended } = block;
  const [id, parent, root] = [block.id, block.parent, block.root].map(bytesOf) as [Buffer, Buffer, Buffer];
  // The owner of a block may write into its data.
  const data = ref === 0 ? block.data : dataOf(heap, ref);
  const facts = { id, height, parent, root, data, budget, gasUsed, ended };
  return {
    ref,
    metadata,
    change,
    rules: [rules.ref, ...rules.programs],
    block: { ...facts, rules: bytesOf(rules.hash), pinned: false, stored: true, retained: true },
  };
}

/** The same as it is in a history. */
export function withState(made: NewBlock, entry: Retained, history: History, stored: boolean): NewBlock {
  const { block } = entry;
  const [pinned, retained] = [history.isPinned(block), history.get(block) !== undefined];
  assert(!stored || entry.ref !== 0, "changes: a state to store is not there");
  return { ...made, ref: stored ? entry.ref : 0, block: { ...made.block, pinned, stored, retained } };
}

/** The same once it is not retained any more. */
function withoutState(made: NewBlock): NewBlock {
  return { ...made, ref: 0, block: { ...made.block, stored: false, retained: false } };
}

export function bytesOf(hex: string): Buffer {
  return Buffer.from(hex, "hex");
}
