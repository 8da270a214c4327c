/** The blocks that a store's records say: finding one, and whether a record can be believed. */

import { hash } from "node:crypto";
import { StoreError, UsageError } from "../errors.ts";
import type { Database } from "../store/database.ts";
import type { ArchivedRecord, BlockRecord } from "../store/record.ts";
import type { ArchivedBlock } from "./archive.ts";
import { type Block, blockId, checkTarget, inputFrom, noState } from "./block.ts";

/** What reads and writes a store on the calling thread. */
export type Access = typeof import("../store/access.ts");

/** @throws UsageError (NO_STATE): its state is not in the store, and which ones are */
export function checkState({ readChain, readHead }: Access, database: Database, block: BlockRecord): void {
  if (block.stored) return;
  const head = readHead(database);
  const nearest = (step: 1 | -1): number | null => {
    if (head === null || !readChain(database, block.height)?.id.equals(block.id)) return null;
    for (let height = block.height + step; ; height += step) {
      const found = readChain(database, height);
      if (found === null || found.stored) return found?.height ?? null;
    }
  };
  throw noState(blockOf(block), nearest(-1), nearest(1));
}

/**
 * From what the state of a block is made: a block whose state is in the store, and those above it up to this
 * one, ascending. They need not be retained.
 *
 * @throws StoreError (STORE_CORRUPT: one of them is not there)
 */
export function wayTo(
  { readAnyBlock }: Access,
  database: Database,
  path: string,
  block: BlockRecord,
): BlockRecord[] {
  const way = [block];
  for (let first = block; !first.stored; ) {
    const before = first.height === 0 ? null : readAnyBlock(database, first.parent);
    if (before === null) throw unsupported(blockOf(first), path);
    way.push(before);
    first = before;
  }
  return way.reverse();
}

/** The block from which the state of another is to be made is not there. */
export function unsupported({ id, height }: Block, path: string): StoreError {
  return new StoreError(
    "STORE_CORRUPT",
    `the store ${path} is damaged: the block before ${id} (${height}), from which its state is made, is ` +
      'not there. "stillpoint inspect DIR verify" says what is intact',
    { path, block: id, height },
  );
}

/** The id of the genesis that these bytes describe. */
export function genesisId(genesis: Buffer): Buffer {
  return hash("sha256", genesis, "buffer");
}

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

/** The archived block that a record says. */
export function archivedOf({ block, metadata, change }: ArchivedRecord): ArchivedBlock {
  const input = inputFrom(new Uint8Array(metadata), block.budget, block.change === null ? null : change);
  return { block: blockOf(block), ...input };
}

/** Whether the record is of the block that its id names. */
export function isBlock(genesis: Buffer, record: BlockRecord): boolean {
  return blockId(genesis, record).equals(record.id);
}

/** @throws StoreError (STORE_CORRUPT) */
export function checkBlock(genesis: Buffer, record: BlockRecord): void {
  if (isBlock(genesis, record)) return;
  throw new StoreError(
    "STORE_CORRUPT",
    `the store is damaged: the record of block ${record.id.toString("hex")} (${record.height}) is not ` +
      'that of this block. "stillpoint inspect DIR verify" says what is intact',
    { block: record.id.toString("hex"), height: record.height },
  );
}

/**
 * A retained block: of the chain by height, or any by its value; by default the head. Costs no more in a long
 * history than in a short one.
 *
 * @throws UsageError (NOT_RETAINED, BAD_ARGUMENT), StoreError (STORE_EMPTY)
 */
export function findBlock(
  { readBlock, readChain, readHead }: Access,
  database: Database,
  path: string,
  target?: number | Block,
): BlockRecord {
  if (target === undefined) {
    const head = readHead(database);
    const block = head === null ? null : readBlock(database, head.id);
    if (block !== null) return block;
    throw new StoreError("STORE_EMPTY", `the store ${path} holds no block`, { path });
  }
  checkTarget(target);
  const byHeight = typeof target === "number";
  const found = byHeight ? readChain(database, target) : readBlock(database, Buffer.from(target.id, "hex"));
  if (found !== null) return found;
  const name = byHeight ? `height ${target}` : `block ${target.id}`;
  const advice = byHeight ? " on its chain: a block of a side branch is named by its value" : "";
  throw new UsageError("NOT_RETAINED", `the store ${path} does not hold ${name}${advice}`, { path });
}

/**
 * A block by its id that need not be retained: kept for the states that are made from its own.
 *
 * @throws UsageError (NOT_RETAINED)
 */
export function findAnchor(
  { readAnyBlock }: Access,
  database: Database,
  path: string,
  id: string,
): BlockRecord {
  const found = readAnyBlock(database, Buffer.from(id, "hex"));
  if (found !== null) return found;
  throw new UsageError("NOT_RETAINED", `the store ${path} does not hold block ${id}`, { path });
}
