/** The blocks that a store's records say: on which chain they lie, and whether a record can be believed. */

import { StoreError, UsageError } from "../errors.ts";
import type { BlockRecord } from "../store/record.ts";
import type { StoreState } from "../store/state.ts";
import { type Block, blockId, checkTarget, NO_METADATA_HASH } from "./block.ts";

/** The block that a record says. */
export function blockOf(record: BlockRecord): Block {
  const { height, id, parent, root, data, gasUsed, ended } = record;
  const hex = (hash: Buffer): string => hash.toString("hex");
  return Object.freeze({
    height,
    id: hex(id),
    parent: hex(parent),
    root: hex(root),
    data: new Uint8Array(data),
    gasUsed,
    ended,
  });
}

/** Whether the record is of the block that its id names. */
export function isBlock(genesis: Buffer, record: BlockRecord): boolean {
  const metadataHash = record.metadata ?? NO_METADATA_HASH;
  return blockId(genesis, { ...record, metadataHash }).equals(record.id);
}

/** @throws StoreError (STORE_CORRUPT) */
export function checkBlock(genesis: Buffer, record: BlockRecord): void {
  if (isBlock(genesis, record)) return;
  throw new StoreError(
    "STORE_CORRUPT",
    `the store is damaged: the record of block ${record.id.toString("hex")} (${record.height}) is not ` +
      'that of this block. "stillpoint store verify" says what is intact',
    { block: record.id.toString("hex"), height: record.height },
  );
}

/** The retained blocks of the chain on whose end the store stands, ascending. */
export function chainOf({ head, blocks }: StoreState): BlockRecord[] {
  const byId = new Map(blocks.map((record) => [record.id.toString("hex"), record]));
  const chain: BlockRecord[] = [];
  for (let id = head; id !== null; id = chain.at(-1)?.parent ?? null) {
    const record = byId.get(id.toString("hex"));
    if (record === undefined) break;
    chain.push(record);
  }
  return chain.reverse();
}

/**
 * A retained block: of the chain by height, or any by its value; by default the head.
 *
 * @throws UsageError (NOT_RETAINED, BAD_ARGUMENT), StoreError (STORE_EMPTY)
 */
export function findBlock(state: StoreState, path: string, target?: number | Block): BlockRecord {
  const chain = chainOf(state);
  if (target === undefined) {
    const head = chain.at(-1);
    if (head !== undefined) return head;
    throw new StoreError("STORE_EMPTY", `the store ${path} holds no block`, { path });
  }
  checkTarget(target);
  const found =
    typeof target === "number"
      ? chain.find(({ height }) => height === target)
      : state.blocks.find(({ id }) => id.toString("hex") === target.id);
  if (found !== undefined) return found;
  const name = typeof target === "number" ? `height ${target}` : `block ${target.id}`;
  const apart = state.blocks.some(({ height }) => height === target);
  const where = apart ? " on its chain: name the block that is retained apart from it by its value" : "";
  throw new UsageError("NOT_RETAINED", `the store ${path} does not hold ${name}${where}`, { path });
}
