/** What a store says of itself, read without changing anything. */

import { StoreError } from "../errors.ts";
import type { Database } from "./database.ts";
import {
  type BlockRecord,
  STORE_FORMAT,
  type Totals,
  unpackBlock,
  unpackFormat,
  unpackHash,
  unpackTotals,
} from "./record.ts";

/** What a store held when it was opened. */
export interface StoreState {
  /** Null: it holds no block. */
  readonly head: Buffer | null;
  /** By height, the older of one height first. */
  readonly blocks: readonly BlockRecord[];
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
      "Open it with the version that wrote it, and carry its blocks over by export and import",
    { path, version, known: STORE_FORMAT },
  );
}

export function genesisOf(database: Database): Buffer {
  const record = database.meta("genesis");
  if (record === undefined) {
    throw new StoreError("STORE_CORRUPT", 'the store is damaged: its record "genesis" is not there');
  }
  return unpackHash(record, '"genesis"');
}

/** What can be read of the records of a store, and what can not. */
export interface Records {
  readonly blocks: readonly BlockRecord[];
  /** Ids of the blocks whose records are damaged. */
  readonly damagedBlocks: readonly Buffer[];
  /** Whether the record "head" names a block that is there, or there is none. */
  readonly head: boolean;
  /** Whether the record "totals" can be read. */
  readonly totals: boolean;
}

/** As `readState`, but goes on where a record is damaged. */
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
  const id = head === undefined ? null : readable(() => unpackHash(head, '"head"'));
  return {
    blocks,
    damagedBlocks,
    head: head === undefined || (id !== null && database.block(id) !== undefined),
    totals: readable(() => readTotals(database)) !== null,
  };
}

function readable<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof StoreError) return null;
    throw error;
  }
}

export function readState(database: Database): StoreState {
  const head = database.meta("head");
  const blocks = database
    .blockIds()
    .map((id) => unpackBlock(id, database.block(id) as Buffer))
    .sort(byHeight);
  return { head: head === undefined ? null : unpackHash(head, '"head"'), blocks };
}

function byHeight(a: BlockRecord, b: BlockRecord): number {
  return a.height - b.height || a.sequence - b.sequence;
}

/** What the record "totals" says, counted anew; a sweep is due. */
export function countTotals(database: Database): Totals {
  let liveBytes = 0;
  for (let keys = database.objectKeys(null, COUNTED); keys.length > 0; ) {
    for (const key of keys) liveBytes += database.object(key)?.bytes.length ?? 0;
    keys = database.objectKeys(keys.at(-1) as Buffer, COUNTED);
  }
  const nextSequence = 1 + Math.max(0, ...readRecords(database).blocks.map(({ sequence }) => sequence));
  return { liveBytes, writtenBytes: liveBytes, nextSequence };
}

export function readTotals(database: Database): Totals {
  const record = database.meta("totals");
  return record === undefined ? { liveBytes: 0, writtenBytes: 0, nextSequence: 0 } : unpackTotals(record);
}
