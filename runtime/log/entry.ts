/**
 * Entries of a log: what a replica needs to make a block again, and to see that it is the same.
 *
 *   entry   u8 LOG_VERSION · u8 kind · genesis (32 bytes) · u64 term · text writer · u64 height ·
 *           block id (32 bytes), then of a block
 *   block   parent id (32 bytes) · u64 gas limit · bytes metadata · u8 0, or 1 · bytes change of rules ·
 *           u32 batches · each: inputs' hash (32 bytes) · u32 count · pairs of u32 (item, lower item)
 *
 * Written as image/bytes.ts says. There is no checksum: what was changed on the way makes another id, except
 * in hints, which change no result.
 *
 * A term is the time in which one writer appends. It begins with an entry that is no block: height and id are
 * those of the block on which it continues. In a log heights never fall, and each block follows the one
 * before.
 */

import { BadBytes, ByteReader, ByteWriter } from "../image/bytes.ts";
import { HASH_BYTES } from "../image/record.ts";
import type { Hints, ProduceOptions, RetainedInput } from "../index.ts";
import { decodeRulesChange, encodeRulesChange } from "../index.ts";
import { bytesOf, hexOf } from "../text.ts";
import { LogError } from "./errors.ts";

const LOG_VERSION = 1;
const TERM = 1;
const BLOCK = 2;

/** What every entry says. */
interface Common {
  /** Id of the chain's genesis, in hex. */
  readonly genesis: string;
  /** Counts from 1. */
  readonly term: number;
  /** Whose term it is. */
  readonly writer: string;
  /** Of the block, or of the one on which a term continues. */
  readonly height: number;
  /** Its id, in hex. */
  readonly id: string;
}

/** A term begins. */
export interface TermEntry extends Common {
  readonly kind: "term";
}

/** A block, as the writer has made it. */
export interface BlockEntry extends Common, RetainedInput {
  readonly kind: "block";
  /** Id of the block before, in hex. */
  readonly parent: string;
  /** What the writer learnt of the dependencies between items; none unless it asked for them. */
  readonly hints: readonly Hints[];
}

/** An entry of a log: a block, or the beginning of a term. */
export type LogEntry = TermEntry | BlockEntry;

/** Height of the first block that is in a log whose oldest entry this is: a term continues above its own. */
export function lowestHeight({ kind, height }: LogEntry): number {
  return kind === "term" ? height + 1 : height;
}

/** With what the block of an entry is made again, besides its metadata. */
export function optionsOf({ gasLimit, rules }: BlockEntry): Pick<ProduceOptions, "gasLimit" | "rules"> {
  return { gasLimit, ...(rules === undefined ? {} : { rules }) };
}

/** The bytes of an entry. */
export function encodeEntry(entry: LogEntry): Uint8Array {
  const writer = new ByteWriter()
    .u8(LOG_VERSION)
    .u8(entry.kind === "term" ? TERM : BLOCK)
    .raw(bytesOf(entry.genesis))
    .u64(entry.term)
    .text(entry.writer)
    .u64(entry.height)
    .raw(bytesOf(entry.id));
  if (entry.kind === "term") return writer.done();
  writer.raw(bytesOf(entry.parent)).u64(entry.gasLimit).bytes(entry.metadata);
  writer.u8(entry.rules === undefined ? 0 : 1);
  if (entry.rules !== undefined) writer.bytes(encodeRulesChange(entry.rules));
  const known = entry.hints.filter(({ inputs, dependencies }) => inputs !== null && dependencies !== null);
  writer.u32(known.length);
  for (const { inputs, dependencies } of known) {
    writer.raw(bytesOf(inputs as string)).bytes(pairBytes(dependencies ?? []));
  }
  return writer.done();
}

/**
 * An entry of its bytes.
 *
 * @throws LogError LOG_CORRUPT
 */
export function decodeEntry(bytes: Uint8Array, number: number): LogEntry {
  try {
    return decode(new ByteReader(bytes));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new LogError(
      "LOG_CORRUPT",
      `entry ${number} of the log cannot be read: it has ${reason}. Its writer has another version, ` +
        "or the log is damaged: restore it, or begin another",
      { entry: number, reason },
    );
  }
}

function decode(reader: ByteReader): LogEntry {
  const version = reader.u8();
  if (version !== LOG_VERSION) throw new BadBytes(`version ${version}`, 0);
  const kind = reader.u8();
  if (kind !== TERM && kind !== BLOCK) throw new BadBytes(`kind ${kind}`, 1);
  const common = {
    genesis: hexOf(reader.raw(HASH_BYTES)),
    term: reader.u64(),
    writer: reader.text(),
    height: reader.u64(),
    id: hexOf(reader.raw(HASH_BYTES)),
  };
  if (kind === TERM) {
    reader.end();
    return { kind: "term", ...common };
  }
  const parent = hexOf(reader.raw(HASH_BYTES));
  const gasLimit = reader.u64();
  const metadata = reader.bytes();
  const rules = reader.u8() === 1 ? decodeRulesChange(reader.bytes()) : undefined;
  const hints = Array.from({ length: reader.u32() }, () => ({
    inputs: hexOf(reader.raw(HASH_BYTES)),
    dependencies: pairsOf(reader.bytes()),
  }));
  reader.end();
  const input = { metadata, gasLimit, ...(rules === undefined ? {} : { rules }) };
  return { kind: "block", ...common, parent, ...input, hints };
}

function pairBytes(pairs: readonly (readonly [number, number])[]): Uint8Array {
  const bytes = new Uint8Array(8 * pairs.length);
  const view = new DataView(bytes.buffer);
  for (const [i, [item, lower]] of pairs.entries()) {
    view.setUint32(8 * i, item, true);
    view.setUint32(8 * i + 4, lower, true);
  }
  return bytes;
}

function pairsOf(bytes: Uint8Array): [number, number][] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const pair = (at: number): [number, number] => [view.getUint32(at, true), view.getUint32(at + 4, true)];
  return Array.from({ length: bytes.length >>> 3 }, (_, i) => pair(8 * i));
}
