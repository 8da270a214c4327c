/** What a store says of itself, read without changing anything. */

import { hash } from "node:crypto";
import { assert, StoreError } from "../errors.ts";
import type { Database } from "./database.ts";
import type { LogPlace } from "./log.ts";
import {
  type BlockRecord,
  type Head,
  packHead,
  STORE_FORMAT,
  type Totals,
  unpackBlock,
  unpackFormat,
  unpackGenesis,
  unpackHead,
  unpackLog,
  unpackTotals,
} from "./record.ts";

/** What a store held when it was opened. */
export interface StoreState {
  /** Null: it holds no block. */
  readonly head: Buffer | null;
  /** Those that are retained, by height, the older of one height first. */
  readonly blocks: readonly BlockRecord[];
  /** Those that are kept for the states of others. */
  readonly supports: readonly BlockRecord[];
  /** Where the log of inputs begins that continues from there, null: there is none. */
  readonly log: LogPlace | null;
  /** What the id of its genesis is the hash of; null: it has none yet. */
  readonly genesis: Buffer | null;
}

/** Objects counted at a time. */
const COUNTED = 4096;

/** @throws StoreError (STORE_EMPTY: nothing was ever written to it, STORE_VERSION, STORE_CORRUPT) */
export function checkFormat(database: Database, path: string): void {
  const record = database.meta("format");
  if (record === undefined)
    throw new StoreError("STORE_EMPTY", `the store ${path} holds nothing yet`, { path });
  const version = unpackFormat(record);
  if (version === STORE_FORMAT) return;
  throw new StoreError(
    "STORE_VERSION",
    `the store ${path} has format ${version}, this version reads format ${STORE_FORMAT}. ` +
      "Export its head with the version that wrote it, portable, and import that here with rehash",
    { path, version, known: STORE_FORMAT },
  );
}

/** What the id of the store's genesis is the hash of. */
export function genesisBytesOf(database: Database): Buffer {
  const record = database.meta("genesis");
  if (record === undefined) {
    throw new StoreError("STORE_CORRUPT", 'the store is damaged: its record "genesis" is not there');
  }
  return unpackGenesis(record);
}

/** The id of the store's genesis. */
export function genesisOf(database: Database): Buffer {
  return hash("sha256", genesisBytesOf(database), "buffer");
}

/** What can be read of the records of a store, and what cannot. */
export interface Records {
  /** Retained or not. */
  readonly blocks: readonly BlockRecord[];
  /** Ids of the blocks whose records are damaged. */
  readonly damagedBlocks: readonly Buffer[];
  /** Whether "head" names a block that is there, and the table "chain" its chain; or there is none. */
  readonly head: boolean;
  /** The block that the record "head" names, if it is there. */
  readonly at: Buffer | null;
  /** Whether the record "totals" can be read. */
  readonly totals: boolean;
}

/** As `readState`, but continues where a record is damaged. */
export function readRecords(database: Database): Records {
  const blocks: BlockRecord[] = [];
  const damagedBlocks: Buffer[] = [];
  for (const id of database.blockIds()) {
    const record = readable(() => unpackBlock(id, database.block(id) as Buffer));
    if (record === null) damagedBlocks.push(id);
    else blocks.push(record);
  }
  blocks.sort(byHeight);
  const head = database.meta("head");
  const at = head === undefined ? null : readable(() => unpackHead(head));
  return {
    blocks,
    damagedBlocks,
    head: head === undefined || (at !== null && isChain(database, at)),
    at: at === null || database.block(at.id) === undefined ? null : at.id,
    totals: readable(() => readTotals(database)) !== null,
  };
}

/** Whether the table "chain" has, from a head on, the parent of each block; a damaged record ends it. */
function isChain(database: Database, { id, height, base }: Head): boolean {
  const record = (of: Buffer): BlockRecord | null => readable(() => readBlock(database, of));
  let next = record(id);
  if (next === null) return database.block(id) !== undefined;
  if (next.height !== height) return false;
  for (;;) {
    if (!database.chainAt(next.height)?.equals(next.id)) return false;
    const before = record(next.parent);
    if (before === null) return next.height === base || database.block(next.parent) !== undefined;
    next = before;
  }
}

/** What it gives, null where a record is damaged. */
export function readable<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof StoreError) return null;
    throw error;
  }
}

/** Everything that is retained; costs what that is. */
export function readState(database: Database): StoreState {
  const all = database
    .blockIds()
    .map((id) => unpackBlock(id, database.block(id) as Buffer))
    .sort(byHeight);
  const blocks = all.filter(({ retained }) => retained);
  const supports = all.filter(({ retained }) => !retained);
  const genesis = database.meta("genesis") === undefined ? null : genesisBytesOf(database);
  return { head: readHead(database)?.id ?? null, blocks, supports, genesis, log: readLog(database) };
}

/** Where the log of inputs begins, null: there is none. */
export function readLog(database: Database): LogPlace | null {
  const record = database.meta("log");
  return record === undefined ? null : unpackLog(record);
}

/** Where the history is, null: nowhere yet. */
export function readHead(database: Database): Head | null {
  const head = database.meta("head");
  return head === undefined ? null : unpackHead(head);
}

/** Whether the block where the history is lies in the store; true if the history is nowhere yet. */
export function hasHead(database: Database): boolean {
  const head = readHead(database);
  return head === null || database.block(head.id) !== undefined;
}

/** The retained block with this id. */
export function readBlock(database: Database, id: Buffer): BlockRecord | null {
  const record = readAnyBlock(database, id);
  return record?.retained ? record : null;
}

/** The block with this id, retained or kept for the states of others. */
export function readAnyBlock(database: Database, id: Buffer): BlockRecord | null {
  const record = database.block(id);
  return record === undefined ? null : unpackBlock(id, record);
}

/** The retained block of the chain at this height. */
export function readChain(database: Database, height: number): BlockRecord | null {
  const head = readHead(database);
  if (head === null || !Number.isInteger(height) || height < head.base || height > head.height) return null;
  const id = database.chainAt(height);
  const block = id === undefined ? null : readBlock(database, id);
  if (block?.height === height) return block;
  const text = `the store is damaged: the block of height ${height} of its chain is not there. `;
  throw new StoreError("STORE_CORRUPT", `${text}"stillpoint store DIR repair" looks for it`, { height });
}

/**
 * Makes a retained block the head, and finds its chain: costs its length. Inside a transaction.
 */
export function findChain(database: Database, id: Buffer): void {
  let base = -1;
  let height = -1;
  for (let next = readBlock(database, id); next !== null; next = readBlock(database, next.parent)) {
    if (height < 0) height = next.height;
    base = next.height;
    database.putChain(base, next.id);
  }
  assert(height >= 0, "store: the head is not retained");
  database.putMeta("head", packHead({ id, height, base }));
}

function byHeight(a: BlockRecord, b: BlockRecord): number {
  return a.height - b.height || a.sequence - b.sequence;
}

/** What the record "totals" says, counted again; a sweep is due. */
export function countTotals(database: Database): Totals {
  let liveBytes = 0;
  for (let keys = database.objectKeys(null, COUNTED); keys.length > 0; ) {
    for (const key of keys) liveBytes += database.object(key)?.bytes.length ?? 0;
    keys = database.objectKeys(keys.at(-1) as Buffer, COUNTED);
  }
  const nextSequence = 1 + Math.max(0, ...readRecords(database).blocks.map(({ sequence }) => sequence));
  return { liveBytes, writtenBytes: liveBytes, nextSequence };
}

/**
 * Whether there is room for objects of so many bytes, beside the log.
 *
 * @throws StoreError (STORE_FULL)
 */
export function checkLimit(database: Database, path: string, limitBytes: number, objectBytes: number): void {
  if (limitBytes === Number.POSITIVE_INFINITY) return;
  const logBytes = readLog(database)?.bytes ?? 0;
  if (objectBytes + logBytes <= limitBytes) return;
  const log = logBytes === 0 ? "" : `, of which its log takes ${logBytes}`;
  const text = `the store ${path} has reached its limit of ${limitBytes} bytes${log}. Retain fewer `;
  const { liveBytes } = readTotals(database);
  throw new StoreError("STORE_FULL", `${text}blocks or raise its option "limitBytes"`, {
    path,
    limitBytes,
    liveBytes,
    logBytes,
  });
}

export function readTotals(database: Database): Totals {
  const record = database.meta("totals");
  return record === undefined ? { liveBytes: 0, writtenBytes: 0, nextSequence: 0 } : unpackTotals(record);
}
