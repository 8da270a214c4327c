/**
 * The files of a recording: segments, to which records are appended. All of them together take no more than a
 * limit; where the next record would not fit, the oldest segments are removed. Nothing else reads or needs
 * them: they may be deleted at any time, also while a runtime writes to them.
 *
 *   DIR/000000000017.recording   the records of one run of a runtime, or a part of them; a later run begins
 *                                a new segment, so that nothing comes behind a record that was cut off
 *
 * Record, little-endian:
 *   u32 magic · u32 bytes of the payload · u32 CRC-32 of all behind it · u32 0
 *   f64 height · f64 time · 32 bytes id, zeros: it failed · 32 bytes parent · payload, deflated
 *
 * Payload: u32 bytes of JSON · u32 bytes of spans · JSON · spans and accesses (raw.ts), numbers of 32 bits
 *
 * A record that is cut off or damaged ends its segment for readers: the length of it cannot be trusted.
 */

import { closeSync, fstatSync, openSync, readdirSync, readSync, rmSync, statSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { crc32, deflateRaw, inflateRawSync } from "node:zlib";
import { makeDirectories } from "../directories.ts";
import type { RawRecording } from "./raw.ts";
import type { RecordingEntry } from "./shapes.ts";

const deflate = promisify(deflateRaw);
const MAGIC = 0x31505253;
const HEAD_BYTES = 96;
const CRC_FROM = 12;
const SUFFIX = ".recording";
const DIGITS = 12;
/** Number of segments that share the limit. */
const SEGMENTS = 8;
const LENGTHS_BYTES = 8;
/** A payload that is longer is not ours. */
const PAYLOAD_BYTES_LIMIT = 1 << 30;

/** The directory of a store's recording. */
export function directoryOf(store: string): string {
  return join(store, "recording");
}

/** A record as it lies in a segment, but for its payload. */
interface Place {
  readonly file: string;
  readonly at: number;
  readonly bytes: number;
}

/** What a directory holds. */
export type StoredEntry = RecordingEntry & { readonly place: Place };

/** The bytes of a record. */
export async function encodeRecord({ head, spans, accesses }: RawRecording): Promise<Uint8Array> {
  const text = JSON.stringify(head, (_, value) => (typeof value === "bigint" ? String(value) : value));
  const json = Buffer.from(text);
  const lengths = Uint32Array.of(json.length, spans.byteLength);
  const parts = [bytesOf(lengths), json, bytesOf(spans), bytesOf(accesses)];
  const payload = await deflate(Buffer.concat(parts), { level: 1 });
  const record = Buffer.alloc(HEAD_BYTES + payload.length);
  const { height, time, id, parent } = head;
  record.writeUInt32LE(MAGIC, 0);
  record.writeUInt32LE(payload.length, 4);
  record.writeDoubleLE(height, 16);
  record.writeDoubleLE(time, 24);
  if (id !== null) record.write(id, 32, "hex");
  record.write(parent, 64, "hex");
  record.set(payload, HEAD_BYTES);
  record.writeUInt32LE(crc32(record.subarray(CRC_FROM)), 8);
  return record;
}

/** What `encodeRecord` was given. */
export function decodeRecord(record: Uint8Array): RawRecording {
  const payload = inflateRawSync(record.subarray(HEAD_BYTES), { maxOutputLength: PAYLOAD_BYTES_LIMIT });
  const jsonEnd = LENGTHS_BYTES + payload.readUInt32LE(0);
  const spansEnd = jsonEnd + payload.readUInt32LE(4);
  return {
    head: JSON.parse(payload.toString("utf8", LENGTHS_BYTES, jsonEnd)),
    spans: wordsOf(payload.subarray(jsonEnd, spansEnd)),
    accesses: wordsOf(payload.subarray(spansEnd)),
  };
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Numbers of 32 bits; a copy, for the bytes may lie anywhere. */
function wordsOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(new Uint8Array(bytes).buffer);
}

/** Appends records to the segments of a directory. One call of `append` at a time. */
export class SegmentWriter {
  readonly #directory: string;
  readonly #limitBytes: number;
  #file = "";
  #bytes = Number.POSITIVE_INFINITY;

  constructor(directory: string, limitBytes: number) {
    this.#directory = directory;
    this.#limitBytes = limitBytes;
  }

  /** Rejects with the error of the file system. A record beyond the limit is left out: false. */
  async append(record: Uint8Array): Promise<boolean> {
    if (record.length > this.#limitBytes) return false;
    if (this.#bytes + record.length > this.#limitBytes / SEGMENTS) this.#begin();
    makeDirectories(this.#directory);
    this.#makeRoom(record.length);
    await appendFile(this.#file, record);
    this.#bytes += record.length;
    return true;
  }

  #begin(): void {
    const last = segmentsIn(this.#directory).at(-1);
    const number = last === undefined ? 0 : Number(last.slice(0, DIGITS)) + 1;
    this.#file = join(this.#directory, `${String(number).padStart(DIGITS, "0")}${SUFFIX}`);
    this.#bytes = 0;
  }

  /** Removes the oldest segments until `bytes` more are within the limit. */
  #makeRoom(bytes: number): void {
    const sizes = segmentsIn(this.#directory).map((name) => {
      const path = join(this.#directory, name);
      return { path, size: statSync(path, { throwIfNoEntry: false })?.size ?? 0 };
    });
    let sum = sizes.reduce((total, { size }) => total + size, bytes);
    for (const { path, size } of sizes) {
      if (sum <= this.#limitBytes) return;
      rmSync(path, { force: true });
      sum -= size;
    }
  }
}

/** What the segments of a directory hold, the oldest first; nothing if there is no such directory. */
export function listRecords(directory: string): StoredEntry[] {
  return segmentsIn(directory).flatMap((name) => entriesOf(join(directory, name)));
}

/** Names of the segments, the oldest first. */
function segmentsIn(directory: string): string[] {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  const isSegment = (name: string): boolean =>
    name.length === DIGITS + SUFFIX.length && /^\d+\.rec/.test(name);
  return readdirSync(directory).filter(isSegment).sort();
}

function entriesOf(file: string): StoredEntry[] {
  return withFile(file, [], (descriptor, size) => {
    const entries: StoredEntry[] = [];
    const head = Buffer.alloc(HEAD_BYTES);
    for (let at = 0; at + HEAD_BYTES <= size; ) {
      readSync(descriptor, head, 0, HEAD_BYTES, at);
      const bytes = HEAD_BYTES + head.readUInt32LE(4);
      if (head.readUInt32LE(0) !== MAGIC || at + bytes > size) break;
      if (readAt(descriptor, at, bytes) === null) break;
      const id = head.toString("hex", 32, 64);
      entries.push({
        height: head.readDoubleLE(16),
        time: head.readDoubleLE(24),
        id: /^0*$/.test(id) ? null : id,
        parent: head.toString("hex", 64, 96),
        bytes,
        place: { file, at, bytes },
      });
      at += bytes;
    }
    return entries;
  });
}

/** The record of an entry; null if it is not there any more. */
export function readRecord({ place }: StoredEntry): RawRecording | null {
  return withFile(place.file, null, (descriptor, size) => {
    if (place.at + place.bytes > size) return null;
    const record = readAt(descriptor, place.at, place.bytes);
    return record === null ? null : decodeRecord(record);
  });
}

/** A record whose check sum is right; else null. */
function readAt(descriptor: number, at: number, bytes: number): Buffer | null {
  const record = Buffer.alloc(bytes);
  if (readSync(descriptor, record, 0, bytes, at) !== bytes) return null;
  return crc32(record.subarray(CRC_FROM)) === record.readUInt32LE(8) ? record : null;
}

/** `missing` if there is no such file: a segment may be removed at any time. */
function withFile<T>(file: string, missing: T, read: (descriptor: number, size: number) => T): T {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return missing;
    throw error;
  }
  try {
    return read(descriptor, fstatSync(descriptor).size);
  } finally {
    closeSync(descriptor);
  }
}
