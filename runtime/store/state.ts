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
  /** In the order in which they were retained. */
  readonly blocks: readonly BlockRecord[];
}

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

export function readState(database: Database): StoreState {
  const head = database.meta("head");
  const blocks = database
    .blockIds()
    .map((id) => unpackBlock(id, database.block(id) as Buffer))
    .sort((a, b) => a.sequence - b.sequence);
  return { head: head === undefined ? null : unpackHash(head, '"head"'), blocks };
}

export function readTotals(database: Database): Totals {
  const record = database.meta("totals");
  return record === undefined ? { liveBytes: 0, writtenBytes: 0, nextSequence: 0 } : unpackTotals(record);
}
