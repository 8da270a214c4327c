/** Changes of a history as the store takes them. */

import type { Heap } from "../heap/heap.ts";
import type { NamedBlock, NewBlock, StoreChange } from "../store/writer.ts";
import { dataOf, type Retained } from "./block.ts";
import type { BlockName, Change, History } from "./history.ts";

/** The blocks that the changes push. */
export function pushedBy(changes: readonly Change[]): Retained[] {
  return changes.flatMap((change) => (change.kind === "push" ? [change.entry] : []));
}

/**
 * The changes that lead from one history to another, as one of the store; `blocks` are those to write. What
 * was undone in between does not come up.
 */
export function storeChange(
  blocks: readonly NewBlock[],
  changes: readonly Change[],
  before: History,
  next: History,
): StoreChange {
  const named = (...kinds: Change["kind"][]): BlockName[] =>
    changes.flatMap((change) => (kinds.includes(change.kind) && "block" in change ? [change.block] : []));
  const pins = named("pin", "unpin").filter((block) => next.get(block) !== undefined);
  const ids = (pinned: boolean): Uint8Array[] =>
    pins.filter((block) => next.isPinned(block) === pinned).map(({ id }) => bytesOf(id));
  return {
    archived: archivedBy(changes, before),
    blocks,
    removed: named("forget")
      .filter((block) => next.get(block) === undefined)
      .map(nameOf),
    pinned: ids(true),
    unpinned: ids(false),
    chain: next.chainSince(before).map(({ block }) => nameOf(block)),
    head: headOf(next),
  };
}

/** The blocks that leave the chain at its lower end, if they are to be archived. */
function archivedBy(changes: readonly Change[], before: History): Uint8Array[] {
  const archived: Uint8Array[] = [];
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

/** A block as the store takes it. */
export function newBlock(heap: Heap, entry: Retained, pinned: boolean): NewBlock {
  const { block, ref, metadata, budget, rules, change } = entry;
  const { height, gasUsed, ended } = block;
  const [id, parent, root] = [block.id, block.parent, block.root].map(bytesOf) as [Buffer, Buffer, Buffer];
  const facts = { id, height, parent, root, data: dataOf(heap, ref), budget, gasUsed, ended, pinned };
  return {
    ref,
    metadata,
    change,
    rules: [rules.ref, ...rules.programs],
    block: { ...facts, rules: bytesOf(rules.hash) },
  };
}

export function bytesOf(hex: string): Buffer {
  return Buffer.from(hex, "hex");
}
