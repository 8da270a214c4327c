/**
 * The records of a store: msgpack arrays of fixed positions, and a check of 8 bytes behind them.
 *
 *   record = msgpack array · first 8 bytes of the SHA-256 of it
 *
 *   block      [height, parent, root, data, hash of metadata or null, budget, gas used, ended,
 *               sequence, pinned, hash of rules, hash of their change or null, stored, retained]
 *   "format"   ["stillpoint store", version]
 *   archived   [block id, block record, metadata, change of rules or no bytes]
 *   "archive"  [from, top] (archive.ts)
 *   "genesis"  [what the genesis id is the hash of] (image/rules.ts)
 *   "head"     [block id, its height, the lowest height of its chain]
 *   "log"      [id of the file, bytes of its ring, position, check, epoch] of where it begins (log.ts)
 *   "writer"   [process number, when it started, boot id, token]
 *   "export"   [as "genesis", block id, block record; of the base, or null: id, root, hash of rules]
 *   "import"   [number of the next chunk, objects that are there]; "importHead": chunk 0
 *   "totals"   [bytes of objects, bytes written since the last sweep, next sequence]
 *
 * Positions have one type each, and a record that has another is refused: integers are safe integers, hashes
 * 32 bytes. So equal values always have equal bytes.
 */

import { hash } from "node:crypto";
import { createRequire } from "node:module";
import { assert, StoreError } from "../errors.ts";
import type { LogPlace } from "./log.ts";

export const STORE_FORMAT = 5;
export const STORE_MAGIC = "stillpoint store";

type Shape = "integer" | "hash" | "hash?" | "bytes" | "text" | "boolean";
type Value = number | Uint8Array | string | boolean | null;

/** A retained block, as the store knows it. */
export interface BlockRecord {
  readonly id: Buffer;
  readonly height: number;
  readonly parent: Buffer;
  readonly root: Buffer;
  readonly data: Uint8Array;
  /** Hash of the blob of its metadata; null for block 0. */
  readonly metadata: Buffer | null;
  readonly budget: number;
  readonly gasUsed: number;
  readonly ended: boolean;
  /** In the order in which blocks were retained. */
  readonly sequence: number;
  /** Kept until it is unpinned, whatever the option "retainBlocks" says. */
  readonly pinned: boolean;
  /** Hash of the rules in force in it. */
  readonly rules: Buffer;
  /** Hash of what it changed of them; null: nothing. */
  readonly change: Buffer | null;
  /** Whether its state is in the store. If not, the block before is there, from which it is made again. */
  readonly stored: boolean;
  /** Whether it is in the history. If not, it is kept because the state of another is made from it. */
  readonly retained: boolean;
}

/** The writer. */
export interface Holder {
  readonly pid: number;
  /** Clock ticks from the start of the machine to the start of the process, as text; "" where unknown. */
  readonly started: string;
  readonly boot: string;
  readonly token: string;
}

export interface Totals {
  readonly liveBytes: number;
  readonly writtenBytes: number;
  readonly nextSequence: number;
}

const BLOCK: readonly Shape[] = [
  "integer",
  "hash",
  "hash",
  "bytes",
  "hash?",
  "integer",
  "integer",
  "boolean",
  "integer",
  "boolean",
  "hash",
  "hash?",
  "boolean",
  "boolean",
];
const CHECK_BYTES = 8;
// Required as lmdb requires it (database.ts).
const { Packr } = createRequire(import.meta.url)("msgpackr") as typeof import("msgpackr");
const packr = new Packr({ useRecords: false, variableMapSize: true });

export function packBlock(block: BlockRecord): Buffer {
  const { height, parent, root, data, metadata, budget, gasUsed, ended, sequence, pinned } = block;
  const { rules, change, stored, retained } = block;
  const values = [
    height,
    parent,
    root,
    data,
    metadata,
    budget,
    gasUsed,
    ended,
    sequence,
    pinned,
    rules,
    change,
    stored,
    retained,
  ];
  return pack(values, BLOCK);
}

/** @throws StoreError (STORE_CORRUPT) */
export function unpackBlock(id: Buffer, bytes: Buffer): BlockRecord {
  const values = unpack(bytes, BLOCK, `of block ${id.toString("hex")}`);
  const [height, parent, root, data, metadata, budget, gasUsed, ended, sequence, pinned, ...rest] =
    values as [
      number,
      Buffer,
      Buffer,
      Buffer,
      Buffer | null,
      number,
      number,
      boolean,
      number,
      boolean,
      Buffer,
      Buffer | null,
      boolean,
      boolean,
    ];
  const [rules, change, stored, retained] = rest;
  const made = { id, height, parent, root, data, metadata, budget, gasUsed, ended };
  return { ...made, sequence, pinned, rules, change, stored, retained };
}

/** A block without its state, and what it was made from. */
export interface ArchivedRecord {
  readonly block: BlockRecord;
  readonly metadata: Uint8Array;
  /** The change of rules; empty: none. */
  readonly change: Uint8Array;
}

const ARCHIVED: readonly Shape[] = ["hash", "bytes", "bytes", "bytes"];

export function packArchived({ block, metadata, change }: ArchivedRecord): Buffer {
  return pack([block.id, packBlock(block), metadata, change], ARCHIVED);
}

/** @throws StoreError (STORE_CORRUPT) */
export function unpackArchived(bytes: Buffer): ArchivedRecord {
  const values = unpack(bytes, ARCHIVED, "of an archived block") as [Buffer, Buffer, Buffer, Buffer];
  const [id, block, metadata, change] = values;
  return { block: unpackBlock(id, block), metadata, change };
}

const RUN: readonly Shape[] = ["integer", "integer"];

/** The heights of an archive that lead to each other. */
export interface Run {
  readonly from: number;
  readonly top: number;
}

export function packRun({ from, top }: Run): Buffer {
  return pack([from, top], RUN);
}

export function unpackRun(bytes: Buffer): Run {
  const [from, top] = unpack(bytes, RUN, '"archive"') as [number, number];
  return { from, top };
}

export function packFormat(version: number): Buffer {
  return pack([STORE_MAGIC, version], ["text", "integer"]);
}

export function unpackFormat(bytes: Buffer): number {
  const [magic, version] = unpack(bytes, ["text", "integer"], '"format"') as [string, number];
  if (magic !== STORE_MAGIC) throw corrupt('"format"');
  return version;
}

/** What the id of a genesis is the hash of. */
export function packGenesis(bytes: Uint8Array): Buffer {
  return pack([bytes], ["bytes"]);
}

export function unpackGenesis(bytes: Buffer): Buffer {
  return unpack(bytes, ["bytes"], '"genesis"')[0] as Buffer;
}

/** The block at which the history is, and its chain, which is of retained blocks from `base` on. */
export interface Head {
  readonly id: Buffer;
  readonly height: number;
  readonly base: number;
}

const HEAD: readonly Shape[] = ["hash", "integer", "integer"];

export function packHead({ id, height, base }: Head): Buffer {
  return pack([id, height, base], HEAD);
}

export function unpackHead(bytes: Buffer): Head {
  const [id, height, base] = unpack(bytes, HEAD, '"head"') as [Buffer, number, number];
  return { id, height, base };
}

const LOG: readonly Shape[] = ["bytes", "integer", "integer", "bytes", "bytes"];

export function packLog({ id, bytes, position, check, epoch }: LogPlace): Buffer {
  return pack([id, bytes, position, check, epoch], LOG);
}

export function unpackLog(record: Buffer): LogPlace {
  const [id, bytes, position, check, epoch] = unpack(record, LOG, '"log"') as [
    Buffer,
    number,
    number,
    Buffer,
    Buffer,
  ];
  return { id, bytes, position, check, epoch };
}

const HOLDER: readonly Shape[] = ["integer", "text", "text", "text"];

export function packHolder({ pid, started, boot, token }: Holder): Buffer {
  return pack([pid, started, boot, token], HOLDER);
}

export function unpackHolder(bytes: Buffer): Holder {
  const [pid, started, boot, token] = unpack(bytes, HOLDER, '"writer"') as [number, string, string, string];
  return { pid, started, boot, token };
}

/** What an export begins with. */
export interface ExportRecord {
  /** What the id of the genesis is the hash of. */
  readonly genesis: Buffer;
  readonly block: BlockRecord;
  /** A block that the receiver has; null: the export is whole. */
  readonly base: { readonly id: Buffer; readonly root: Buffer; readonly rules: Buffer } | null;
}

const EXPORT: readonly Shape[] = ["bytes", "hash", "bytes", "hash?", "hash?", "hash?"];

export function packExport({ genesis, block, base }: ExportRecord): Buffer {
  const named = [base?.id ?? null, base?.root ?? null, base?.rules ?? null];
  return pack([genesis, block.id, packBlock(block), ...named], EXPORT);
}

export function unpackExport(bytes: Buffer): ExportRecord {
  const values = unpack(bytes, EXPORT, '"export"') as [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer];
  const [genesis, id, block, base, root, rules] = values;
  return { genesis, block: unpackBlock(id, block), base: base === null ? null : { id: base, root, rules } };
}

const PROGRESS: readonly Shape[] = ["integer", "integer"];

/**
 * How far an import has come: the number of the next chunk, and how many objects are there.
 */
export interface Progress {
  readonly next: number;
  readonly objects: number;
}

export function packProgress({ next, objects }: Progress): Buffer {
  return pack([next, objects], PROGRESS);
}

export function unpackProgress(bytes: Buffer): Progress {
  const [next, objects] = unpack(bytes, PROGRESS, '"import"') as [number, number];
  return { next, objects };
}

const TOTALS: readonly Shape[] = ["integer", "integer", "integer"];

export function packTotals({ liveBytes, writtenBytes, nextSequence }: Totals): Buffer {
  return pack([liveBytes, writtenBytes, nextSequence], TOTALS);
}

export function unpackTotals(bytes: Buffer): Totals {
  const [liveBytes, writtenBytes, nextSequence] = unpack(bytes, TOTALS, '"totals"') as number[];
  return { liveBytes: liveBytes ?? 0, writtenBytes: writtenBytes ?? 0, nextSequence: nextSequence ?? 0 };
}

function pack(values: readonly Value[], shapes: readonly Shape[]): Buffer {
  assert(fits(values, shapes), "store: a record has another shape");
  const body = packr.pack(values);
  return Buffer.concat([body, check(body)]);
}

function unpack(bytes: Buffer, shapes: readonly Shape[], name: string): readonly Value[] {
  const body = bytes.subarray(0, -CHECK_BYTES);
  if (bytes.length <= CHECK_BYTES || !check(body).equals(bytes.subarray(-CHECK_BYTES))) throw corrupt(name);
  let values: unknown;
  try {
    values = packr.unpack(body);
  } catch {
    throw corrupt(name);
  }
  if (!Array.isArray(values) || !fits(values, shapes)) throw corrupt(name);
  return values.map((value) => (value instanceof Uint8Array ? Buffer.from(value) : value));
}

function fits(values: readonly unknown[], shapes: readonly Shape[]): boolean {
  return values.length === shapes.length && values.every((value, i) => hasShape(value, shapes[i] as Shape));
}

function hasShape(value: unknown, shape: Shape): boolean {
  switch (shape) {
    case "integer":
      return Number.isSafeInteger(value) && !Object.is(value, -0);
    case "hash?":
      return value === null || hasShape(value, "hash");
    case "hash":
      return value instanceof Uint8Array && value.length === 32;
    case "bytes":
      return value instanceof Uint8Array;
    case "text":
      return typeof value === "string";
    case "boolean":
      return typeof value === "boolean";
  }
}

function check(body: Uint8Array): Buffer {
  return hash("sha256", body, "buffer").subarray(0, CHECK_BYTES);
}

/** Records that `repairStore` can do without: those of blocks, and what it can derive from them. */
const REPAIRED = /^(of block|of an archived block|"archive"|"head"|"log"|"totals")/;

function corrupt(name: string): StoreError {
  const advice = REPAIRED.test(name)
    ? '"stillpoint store DIR repair" goes back to the newest intact block'
    : '"stillpoint store DIR salvage" saves what can be read into a new one';
  return new StoreError(
    "STORE_CORRUPT",
    `the store is damaged: its record ${name} cannot be read. ${advice}`,
    { record: name },
  );
}
