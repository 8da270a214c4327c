/**
 * The archive of a store: blocks of the chain that are not retained any more, without their states. The rules
 * are those of chain/archive.ts: one block of each height, and a run of heights each of which holds the
 * parent of the next one.
 *
 *   archive    u40 height   [block id, block record, metadata, change of rules]; record.ts
 *   archived   block id     u40 height
 *   "archive"  [from, top]: the run
 *
 * Every operation looks at a few records, however many there are.
 */

import { hash } from "node:crypto";
import { assert } from "../errors.ts";
import type { Database } from "./database.ts";
import { hashedBytes } from "./format.ts";
import {
  type ArchivedRecord,
  type BlockRecord,
  packArchived,
  packRun,
  type Run,
  unpackArchived,
  unpackRun,
} from "./record.ts";
import { readable, readChain, readHead } from "./state.ts";

/** Heights that are removed at once at most where the limit has become less. */
const REMOVED_AT_ONCE = 64;

/** Adds a block that leaves the chain at its lower end. Inside a transaction. */
export function archiveBlock(database: Database, block: BlockRecord, limit: number): void {
  const { height } = block;
  const metadata = blobOf(database, block.metadata);
  const change = blobOf(database, block.change);
  assert(metadata !== null && change !== null, "store: the input of a block is not there");
  const run = readRun(database);
  const from = leadsTo(database, run, block) ? run.from : height;
  database.putArchived(height, block.id, packArchived({ block, metadata, change }));
  const lowest = height - limit + 1;
  for (let i = 0; i < REMOVED_AT_ONCE; i++) {
    const first = database.firstArchived();
    if (first === null || first >= lowest) break;
    database.removeArchived(first);
  }
  database.putMeta("archive", packRun({ from: Math.max(from, lowest), top: height }));
}

/** The bytes of a blob, none for no hash; null if it is not there. */
export function blobOf(database: Database, key: Buffer | null): Uint8Array | null {
  if (key === null) return new Uint8Array();
  const stored = database.object(key);
  return stored === undefined ? null : hashedBytes(stored);
}

/** An archived block: of the chain by height, or any by its id. */
export function readArchived(database: Database, target: number | Uint8Array): ArchivedRecord | null {
  if (typeof target === "number") {
    const base = baseOf(database);
    if (base === null || !Number.isInteger(target) || target < 0 || target >= base.height) return null;
    const run = readRun(database);
    return leadsTo(database, run, base) && target >= run.from ? archivedAt(database, target) : null;
  }
  const height = database.archivedHeight(target as Buffer);
  const found = height === null ? null : archivedAt(database, height);
  return found?.block.id.equals(target) ? found : null;
}

/** Whether the record holds the block that its id names, as `isBlock` knows it, with its own input. */
export function isArchived(
  { block, metadata, change }: ArchivedRecord,
  height: number,
  isBlock: (block: BlockRecord) => boolean,
): boolean {
  if (block.height !== height || !isBlock(block)) return false;
  return isNamed(metadata, block.metadata) && isNamed(change, block.change);
}

function isNamed(bytes: Uint8Array, key: Buffer | null): boolean {
  return key === null ? bytes.length === 0 : hash("sha256", bytes, "buffer").equals(key);
}

/** Recomputes which archived blocks lead to the chain: costs their number. Inside a transaction. */
export function findRun(database: Database): void {
  const base = baseOf(database);
  if (base === null) return;
  let from = base.height;
  for (let next: BlockRecord = base; ; from--) {
    const below = readable(() => archivedAt(database, from - 1));
    if (!below?.block.id.equals(next.parent)) break;
    next = below.block;
  }
  if (from < base.height) database.putMeta("archive", packRun({ from, top: base.height - 1 }));
  else database.putMeta("archive", null);
}

function archivedAt(database: Database, height: number): ArchivedRecord | null {
  const record = height < 0 ? undefined : database.archivedAt(height);
  return record === undefined ? null : unpackArchived(record);
}

/** The lowest block of the chain. */
function baseOf(database: Database): BlockRecord | null {
  const head = readHead(database);
  return head === null ? null : readChain(database, head.base);
}

function readRun(database: Database): Run {
  const record = database.meta("archive");
  return record === undefined ? { from: 0, top: -1 } : unpackRun(record);
}

/** Whether the run ends with the parent of the block, or contains it. */
function leadsTo(database: Database, { from, top }: Run, { height, parent }: BlockRecord): boolean {
  if (height <= from || height > top + 1) return false;
  return archivedAt(database, height - 1)?.block.id.equals(parent) === true;
}
