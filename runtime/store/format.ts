/**
 * How an object of the heap lies in a store: a tag, and bytes. Its key is its hash.
 *
 *   tag            bytes
 *   1 page         4,096 bytes
 *   2 page, runs   runs, see below
 *   3 node         what is hashed of it: kind, version, bitmap, the hashes of its children (image/record.ts)
 *   4 blob         the bytes
 *   5 blob, runs   u32 length · runs
 *   6 process      what is hashed of it · the words of the record that are not hashed · 8 bytes: a check
 *
 * A page and a blob of the same bytes have one name, and are one object: a blob of 4,096 bytes is stored as a
 * page. A blob with the bytes of a node or of a record would have its name as well; they are not
 * distinguished.
 *
 * Runs leave zeros out: u16 zero words · u16 literal words · the literal words, again and again; what is
 * missing at the end is zero. Words have 4 bytes; a blob's last one is filled up.
 *
 * Everything is checked when it is read: bytes that do not have the hash they are kept under are never used.
 */

import { hash } from "node:crypto";
import { assert } from "../errors.ts";
import { copyBytes } from "../heap/bytes.ts";
import {
  HEADER_HASH,
  HEADER_HASHED,
  HEADER_LENGTH,
  HEADER_REFERENCES,
  HEADER_STORED,
  type Heap,
  KIND_BLOB,
  KIND_NODE,
  KIND_PAGE,
  KIND_PROCESS,
  type Ref,
  referencesOf,
  UNIT_BYTES,
  UNIT_WORDS,
} from "../heap/heap.ts";
import { allocateNode, childHashes, NODE_BITMAP, popcount } from "../heap/table.ts";
import { writeRecord } from "../image/hash.ts";
import { GAS_HELD_WORD, PROCESS_WORDS, putRecord, RUNNABLE_HELD_WORD, recordWord } from "../image/process.ts";
import {
  fieldBytes,
  HASH_BYTES,
  HASH_NODE,
  HASH_PROCESS,
  HASH_VERSION,
  HASHED_FIELDS,
  NODE_PREFIX_BYTES,
  RECORD_BYTES,
  RECORD_PREFIX_BYTES,
} from "../image/record.ts";
import { PAGE_BYTES } from "../limits.ts";
import { highOf, joined, lowOf } from "../u64.ts";

export const TAG_PAGE = 1;
export const TAG_PAGE_RUNS = 2;
export const TAG_NODE = 3;
export const TAG_BLOB = 4;
export const TAG_BLOB_RUNS = 5;
export const TAG_PROCESS = 6;

/** An object as it is stored. */
export interface Stored {
  readonly tag: number;
  readonly bytes: Buffer;
}

const CHECK_BYTES = 8;
/** Words of a record that are not hashed: what the rest of the state says anyway. */
const LOOSE_WORDS = looseWords();
const LOOSE_AT = RECORD_BYTES;
const CHECK_AT = LOOSE_AT + 4 * LOOSE_WORDS.length;
export const STORED_PROCESS_BYTES = CHECK_AT + CHECK_BYTES;

function looseWords(): readonly number[] {
  const hashed = new Set<number>();
  for (const [, type, position] of HASHED_FIELDS) {
    const count = type === "hash" ? 1 : fieldBytes(type) / 4;
    for (let i = 0; i < count; i++) hashed.add(position + i);
  }
  return Array.from({ length: PROCESS_WORDS }, (_, word) => word).filter((word) => !hashed.has(word));
}

// ---- writing ----------------------------------------------------------------------------------------------

const ZERO_RUN_WORDS = 4;
const RUN_LIMIT = 0xffff;
let runs = Buffer.alloc(2 * PAGE_BYTES);
let runWords = wordsOf(runs);

/** The hashed object at `ref` as it is stored; the bytes are valid until the next call. */
export function encodeObject(heap: Heap, ref: Ref): Stored {
  const kind = heap.kind(ref);
  if (kind === KIND_NODE) return { tag: TAG_NODE, bytes: encodeNode(heap, ref) };
  if (kind === KIND_PROCESS) return { tag: TAG_PROCESS, bytes: encodeProcess(heap, ref) };
  const at = ref * UNIT_WORDS;
  const length = heap.words[at + HEADER_LENGTH] as number;
  const isPage = kind === KIND_PAGE;
  return encodeWords(heap.words, at + UNIT_WORDS, length, isPage) ?? storedRaw(heap.payload(ref), isPage);
}

/** The bytes of a node that has these children. */
function encodeNode(heap: Heap, ref: Ref): Buffer {
  const at = ref * UNIT_WORDS;
  const count = heap.words[at + HEADER_REFERENCES] as number;
  const bytes = Buffer.allocUnsafe(NODE_PREFIX_BYTES + count * HASH_BYTES);
  bytes.writeUInt32LE(HASH_NODE | (HASH_VERSION << 8), 0);
  bytes.writeUInt32LE(heap.words[at + NODE_BITMAP] as number, 4);
  const hashes = childHashes(heap.words, ref) * 4;
  copyBytes(heap.bytes, hashes, bytes, NODE_PREFIX_BYTES, count * HASH_BYTES);
  return bytes;
}

function encodeProcess(heap: Heap, ref: Ref): Buffer {
  const bytes = Buffer.allocUnsafe(STORED_PROCESS_BYTES);
  bytes.set(writeRecord(heap, ref));
  LOOSE_WORDS.forEach((word, i) => {
    bytes.writeUInt32LE(recordWord(heap, ref, word), LOOSE_AT + 4 * i);
  });
  checkOf(bytes).copy(bytes, CHECK_AT);
  return bytes;
}

function checkOf(bytes: Buffer): Buffer {
  return hash("sha256", bytes.subarray(0, CHECK_AT), "buffer").subarray(0, CHECK_BYTES);
}

/** The bytes of a page or of a blob as they are stored; they begin at a word. Valid until the next call. */
export function encodeBytes(raw: Buffer, isPage: boolean): Stored {
  const padded = Buffer.alloc(4 * Math.ceil(raw.length / 4));
  raw.copy(padded);
  return encodeWords(wordsOf(padded), 0, raw.length, isPage) ?? storedRaw(raw, isPage);
}

function storedRaw(raw: Buffer, isPage: boolean): Stored {
  return { tag: isPage || raw.length === PAGE_BYTES ? TAG_PAGE : TAG_BLOB, bytes: raw };
}

/** `length` bytes from the word `from` on as runs; null: runs would not save enough. */
function encodeWords(words: Uint32Array, from: number, length: number, isPage: boolean): Stored | null {
  // A blob of this length may have the bytes, and so the name, of a page: it is stored as that.
  if (isPage || length === PAGE_BYTES) {
    const end = encodeRuns(words, from, length, 0);
    return end < 0 ? null : { tag: TAG_PAGE_RUNS, bytes: runs.subarray(0, end) };
  }
  const end = length < 64 ? -1 : encodeRuns(words, from, length, 4);
  if (end < 0) return null;
  runs.writeUInt32LE(length, 0);
  return { tag: TAG_BLOB_RUNS, bytes: runs.subarray(0, end) };
}

/** A node with children at these positions, of which these are the hashes. */
export function storedNode(bitmap: number, hashes: readonly Buffer[]): Stored {
  const prefix = Buffer.alloc(NODE_PREFIX_BYTES);
  prefix.writeUInt32LE(HASH_NODE | (HASH_VERSION << 8), 0);
  prefix.writeUInt32LE(bitmap, 4);
  return { tag: TAG_NODE, bytes: Buffer.concat([prefix, ...hashes]) };
}

/** A process with these fields, by name as they are hashed, and these sums over its children. */
export function storedProcess(
  fields: ReadonlyMap<string, Buffer>,
  { gas, runnable }: { readonly gas: number; readonly runnable: number },
): Stored {
  const bytes = Buffer.alloc(STORED_PROCESS_BYTES);
  bytes.writeUInt32LE(HASH_PROCESS | (HASH_VERSION << 8), 0);
  let at = RECORD_PREFIX_BYTES;
  for (const [name, type] of HASHED_FIELDS) {
    fields.get(name)?.copy(bytes, at);
    at += fieldBytes(type);
  }
  const sums = new Map([
    [GAS_HELD_WORD, lowOf(gas)],
    [GAS_HELD_WORD + 1, highOf(gas)],
    [RUNNABLE_HELD_WORD, runnable],
  ]);
  assert(LOOSE_WORDS.length === sums.size, "store: a record has other words beside what is hashed");
  LOOSE_WORDS.forEach((word, i) => {
    bytes.writeUInt32LE(sums.get(word) as number, LOOSE_AT + 4 * i);
  });
  checkOf(bytes).copy(bytes, CHECK_AT);
  return { tag: TAG_PROCESS, bytes };
}

/** The hash by which an object is named, and kept. */
export function keyOf(stored: Stored): Buffer {
  return hash("sha256", hashedBytes(stored), "buffer");
}

/**
 * Writes so many bytes, which begin at the word `from`, without their zeros into `runs`, from byte `to` on, a
 * multiple of four; the end, or -1 if that is not worth it.
 */
function encodeRuns(words: Uint32Array, from: number, length: number, to: number): number {
  if (runs.length < length + 64) {
    runs = Buffer.alloc(4 * Math.ceil(length / 4) + 64);
    runWords = wordsOf(runs);
  }
  const end = from + (length >>> 2);
  const limit = (length - 32) / 4;
  let at = to / 4;
  for (let i = from; i < end; ) {
    const begin = i;
    const furthest = Math.min(end, i + RUN_LIMIT);
    while (i < furthest && words[i] === 0) i++;
    const zeros = i - begin;
    const literal = endOfLiteral(words, i, Math.min(end, i + RUN_LIMIT)) - i;
    if (literal === 0 && i === end) break;
    if (at + 1 + literal > limit) return -1;
    runWords[at++] = zeros | (literal << 16);
    for (const until = i + literal; i < until; i++) runWords[at++] = words[i] as number;
  }
  // The bytes after the last whole word follow as they are.
  if (at + 1 > limit) return -1;
  for (let i = 0; i < (length & 3); i++) runs[4 * at + i] = (words[end] as number) >>> (8 * i);
  return 4 * at + (length & 3);
}

/** Where words that are worth writing end: before several zeros. */
function endOfLiteral(words: Uint32Array, from: number, end: number): number {
  for (let i = from, zeros = 0; i < end; i++) {
    zeros = words[i] === 0 ? zeros + 1 : 0;
    if (zeros === ZERO_RUN_WORDS) return i + 1 - ZERO_RUN_WORDS;
  }
  return end;
}

function wordsOf(bytes: Buffer): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
}

// ---- reading ----------------------------------------------------------------------------------------------

/** Thrown for bytes that are not the object they are kept for. */
export class DamagedObject extends Error {}

function damagedUnless(condition: boolean): asserts condition {
  if (!condition) throw new DamagedObject("damaged");
}

/** Makes the references of an object that is loaded: of the 32 bytes at `at`, a hash that is not zero. */
export type MakeReference = (hashes: Buffer, at: number) => Ref;

/**
 * Brings a stored object into the heap. `key` is its hash; `mark` goes into its header.
 *
 * @throws DamagedObject, LimitError (HEAP_FULL)
 */
export function decodeObject(
  heap: Heap,
  key: Buffer,
  stored: Stored,
  mark: number,
  reference: MakeReference,
): Ref {
  const { tag, bytes } = stored;
  let ref: Ref;
  if (tag === TAG_NODE) {
    checkObject(key, stored);
    ref = decodeNode(heap, bytes, reference);
  } else if (tag === TAG_PROCESS) {
    checkObject(key, stored);
    ref = decodeProcess(heap, bytes, reference);
  } else {
    const page = tag === TAG_PAGE || tag === TAG_PAGE_RUNS;
    ref = heap.allocate(page ? KIND_PAGE : KIND_BLOB, rawLength(stored), 0);
    decodeRaw(stored, heap.payload(ref));
    damagedUnless(hash("sha256", heap.payload(ref), "latin1") === key.toString("latin1", 0, HASH_BYTES));
  }
  const at = ref * UNIT_WORDS;
  copyBytes(key, 0, heap.bytes, ref * UNIT_BYTES + HEADER_HASH * 4, HASH_BYTES);
  heap.words[at + HEADER_STORED] = mark;
  Atomics.store(heap.words, at + HEADER_HASHED, 1);
  return ref;
}

/**
 * Checks a stored object without loading it anywhere.
 *
 * @throws DamagedObject
 */
export function checkObject(key: Buffer, stored: Stored): void {
  damagedUnless(hash("sha256", hashedBytes(stored), "latin1") === key.toString("latin1", 0, HASH_BYTES));
  if (stored.tag === TAG_PROCESS) {
    const { bytes } = stored;
    damagedUnless(checkOf(bytes).equals(bytes.subarray(CHECK_AT)));
  }
}

/** The bytes whose hash is the object's. */
export function hashedBytes(stored: Stored): Buffer {
  const { tag, bytes } = stored;
  switch (tag) {
    case TAG_NODE:
      damagedUnless(bytes.length >= NODE_PREFIX_BYTES + HASH_BYTES && bytes[0] === HASH_NODE);
      damagedUnless(popcount(bytes.readUInt32LE(4)) * HASH_BYTES === bytes.length - NODE_PREFIX_BYTES);
      return bytes;
    case TAG_PROCESS:
      damagedUnless(bytes.length === STORED_PROCESS_BYTES && bytes[0] === HASH_PROCESS);
      return bytes.subarray(0, RECORD_BYTES);
    default: {
      const raw = Buffer.alloc(rawLength(stored));
      decodeRaw(stored, raw);
      return raw;
    }
  }
}

/** The sums over its children that a stored process carries. */
export function storedSums({ bytes }: Stored): { readonly gas: number; readonly runnable: number } {
  const word = (position: number): number => bytes.readUInt32LE(LOOSE_AT + 4 * LOOSE_WORDS.indexOf(position));
  const gas = joined(word(GAS_HELD_WORD), word(GAS_HELD_WORD + 1));
  return { gas, runnable: word(RUNNABLE_HELD_WORD) };
}

/** Calls `visit` with the position in `stored.bytes` of each hash that the object names. */
export function forEachHash({ tag, bytes }: Stored, visit: (at: number) => void): void {
  if (tag === TAG_NODE) {
    for (let at = NODE_PREFIX_BYTES; at < bytes.length; at += HASH_BYTES) visit(at);
  } else if (tag === TAG_PROCESS) {
    let at = RECORD_PREFIX_BYTES;
    for (const [, type] of HASHED_FIELDS) {
      if (type === "hash" && !isZeroHash(bytes, at)) visit(at);
      at += fieldBytes(type);
    }
  }
}

function isZeroHash(bytes: Buffer, at: number): boolean {
  for (let i = 0; i < HASH_BYTES; i++) if (bytes[at + i] !== 0) return false;
  return true;
}

function rawLength({ tag, bytes }: Stored): number {
  damagedUnless(tag === TAG_PAGE || tag === TAG_PAGE_RUNS || tag === TAG_BLOB || tag === TAG_BLOB_RUNS);
  if (tag === TAG_BLOB) return bytes.length;
  if (tag === TAG_BLOB_RUNS) {
    damagedUnless(bytes.length >= 4 && bytes.readUInt32LE(0) <= 2 ** 27);
    return bytes.readUInt32LE(0);
  }
  damagedUnless(tag === TAG_PAGE_RUNS || bytes.length === PAGE_BYTES);
  return PAGE_BYTES;
}

function decodeRaw({ tag, bytes }: Stored, target: Buffer): void {
  if (tag === TAG_PAGE || tag === TAG_BLOB) {
    bytes.copy(target);
    return;
  }
  const end = bytes.length - (target.length & 3);
  let to = 0;
  for (let at = tag === TAG_BLOB_RUNS ? 4 : 0; at < end; ) {
    damagedUnless(at + 4 <= end);
    const zeros = bytes.readUInt16LE(at) * 4;
    const literal = bytes.readUInt16LE(at + 2) * 4;
    damagedUnless(at + 4 + literal <= end && to + zeros + literal <= target.length);
    target.fill(0, to, to + zeros);
    bytes.copy(target, to + zeros, at + 4, at + 4 + literal);
    to += zeros + literal;
    at += 4 + literal;
  }
  const whole = target.length & ~3;
  target.fill(0, to, whole);
  bytes.copy(target, whole, end);
}

function decodeNode(heap: Heap, bytes: Buffer, reference: MakeReference): Ref {
  const bitmap = bytes.readUInt32LE(4);
  const count = popcount(bitmap);
  // First the children: what they need may not be found between a header and its references.
  const children = Array.from({ length: count }, (_, i) =>
    reference(bytes, NODE_PREFIX_BYTES + i * HASH_BYTES),
  );
  const ref = allocateNode(heap, bitmap, bitmap);
  heap.words.set(children, referencesOf(heap.words, ref));
  // Where there is one child, onto its own header, which says the same.
  heap.bytes.set(bytes.subarray(NODE_PREFIX_BYTES), childHashes(heap.words, ref) * 4);
  return ref;
}

function decodeProcess(heap: Heap, bytes: Buffer, reference: MakeReference): Ref {
  const words = new Uint32Array(PROCESS_WORDS);
  let at = RECORD_PREFIX_BYTES;
  for (const [, type, position] of HASHED_FIELDS) {
    if (type === "hash") {
      if (!isZeroHash(bytes, at)) words[position] = reference(bytes, at);
    } else {
      for (let i = 0; i < fieldBytes(type); i += 4) words[position + i / 4] = bytes.readUInt32LE(at + i);
    }
    at += fieldBytes(type);
  }
  LOOSE_WORDS.forEach((word, i) => {
    words[word] = bytes.readUInt32LE(LOOSE_AT + 4 * i);
  });
  return putRecord(heap, words);
}
