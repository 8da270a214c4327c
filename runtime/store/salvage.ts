/**
 * Salvage: makes a new store of what can be read in the file of a damaged one, page by page and without its
 * structure. Objects have the hash they are kept under and records a checksum, so intact ones can be
 * distinguished from what is not, whatever page it is found in; pages of older states serve as well.
 */

import { hash } from "node:crypto";
import { HASH_BYTES } from "../units.ts";
import { isArchived } from "./archive.ts";
import { assemble, bodyOf, type Database, ENTRY_BYTES, HEIGHT_BYTES, NUMBER_BYTES } from "./database.ts";
import { checkObject, TAG_PROCESS } from "./format.ts";
import type { LogPlace } from "./log.ts";
import {
  type ArchivedRecord,
  type BlockRecord,
  packArchived,
  packBlock,
  packFormat,
  packGenesis,
  packTotals,
  STORE_FORMAT,
  unpackArchived,
  unpackBlock,
  unpackGenesis,
  unpackLog,
} from "./record.ts";
import { valuesIn } from "./structure.ts";

/** Objects written in one transaction. */
const BATCH = 1000;

/** What was found. */
export interface Salvaged {
  readonly objects: number;
  readonly blocks: number;
  /** What the store, now or earlier, said of its log, newest first; the log itself was not looked at. */
  readonly logs: readonly LogPlace[];
}

/**
 * Copies what is whole in the file of `path` into the new store `target`; `isBlock` knows a block's
 * record, and `tell` is called with how many bytes of the file were read.
 */
export function salvage(
  path: string,
  target: Database,
  isBlock: (genesis: Buffer, record: BlockRecord) => boolean,
  tell: (bytes: number, total: number) => void,
): Salvaged {
  const bodies = new Map<string, Buffer[]>();
  const entries: [Buffer, Buffer][] = [];
  const blocks: BlockRecord[] = [];
  const archived: ArchivedRecord[] = [];
  const genesis = new Map<string, Buffer>();
  const logs: LogPlace[] = [];
  for (const { key, value } of valuesIn(path, tell)) {
    if (key.length === NUMBER_BYTES) {
      const name = key.toString("hex");
      const known = bodies.get(name);
      if (known === undefined) bodies.set(name, [value]);
      else known.push(value);
    } else if (key.length === HASH_BYTES) {
      const record = attempt(() => unpackBlock(Buffer.from(key), value));
      if (record !== null) blocks.push(record);
      else if (value.length >= ENTRY_BYTES && (value[0] as number) <= TAG_PROCESS) {
        entries.push([Buffer.from(key), Buffer.from(value)]);
      }
    } else if (key.length === HEIGHT_BYTES) {
      const record = attempt(() => unpackArchived(value));
      if (record !== null) archived.push(record);
    } else if (key.toString("latin1") === "genesis") {
      const found = attempt(() => unpackGenesis(value));
      if (found !== null) genesis.set(found.toString("hex"), found);
    } else if (key.toString("latin1") === "log") {
      const found = attempt(() => unpackLog(value));
      if (found !== null) logs.push(found);
    }
  }
  const [first] = genesis.values();
  // Positions in a log never go back.
  logs.sort((one, other) => other.position - one.position);
  if (first === undefined) return { objects: 0, blocks: 0, logs };
  const id = hash("sha256", first, "buffer");
  let objects = 0;
  let liveBytes = 0;
  for (let from = 0; from < entries.length; from += BATCH) {
    target.transaction(() => {
      for (const [key, entry] of entries.slice(from, from + BATCH)) {
        const bytes = target.hasObject(key) ? null : restore(target, key, entry, bodies);
        if (bytes === null) continue;
        objects++;
        liveBytes += bytes;
      }
    });
  }
  const known = new Map(
    blocks.filter((block) => isBlock(id, block)).map((block) => [block.id.toString("hex"), block]),
  );
  target.transaction(() => {
    target.putMeta("format", packFormat(STORE_FORMAT));
    target.putMeta("genesis", packGenesis(first));
    for (const record of archived) {
      const { id: of, height } = record.block;
      const isWhole = isArchived(record, height, (block) => isBlock(id, block));
      if (isWhole) target.putArchived(height, of, packArchived(record));
    }
    for (const block of known.values()) target.putBlock(block.id, packBlock(block));
    const nextSequence = 1 + blocks.reduce((last, { sequence }) => Math.max(last, sequence), 0);
    target.putMeta("totals", packTotals({ liveBytes, writtenBytes: 0, nextSequence }));
  });
  return { objects, blocks: known.size, logs };
}

/** Puts an object together from its entry and whatever body has the right bytes; its size, null: none has. */
function restore(
  target: Database,
  key: Buffer,
  entry: Buffer,
  bodies: ReadonlyMap<string, Buffer[]>,
): number | null {
  const number = bodyOf(entry);
  const candidates = number === null ? [null] : (bodies.get(number.toString("hex")) ?? []);
  for (const body of candidates) {
    const stored = assemble(entry, body);
    if (attempt(() => checkObject(key, stored)) === null) continue;
    return target.putObject(key, stored);
  }
  return null;
}

/** What it gives, true for nothing; null if it throws. */
function attempt<T>(work: () => T): (T extends void ? true : T) | null {
  try {
    return (work() ?? true) as T extends void ? true : T;
  } catch {
    return null;
  }
}
