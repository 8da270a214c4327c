/**
 * Hashes of objects: SHA-256, computed when somebody asks, once per object, kept in the object's header.
 *
 *   page, program bytes    SHA-256 of the raw bytes; they stand only where a field says so
 *   blob                   SHA-256(raw bytes) likewise
 *   node                   SHA-256(HASH_NODE, HASH_VERSION, 0, 0, u32 bitmap of present children, their hashes)
 *   process                SHA-256(HASH_PROCESS, HASH_VERSION, 0, 0, the fields below, little-endian)
 *
 * A process's fields, in this order: program hash · memory size u32 · memory root · globals · entry u32 ·
 * status u32 · code i64 · argument i64 · gas u64 · gas used u64 · fault u32 · line u32 · column u32 · region
 * pointer u32 · region capacity u32 · memory quota u32 · process quota u32 · number of children u32 · started
 * u32 · continuation · text · reference snapshot · children root. A field that names an object holds its
 * hash, 32 zero bytes when it is absent. Gas held by descendants is a sum over the children and therefore not
 * a field.
 *
 * Two threads may hash the same object at once: they write the same bytes.
 */

import { hash } from "node:crypto";
import {
  HEADER_HASH,
  HEADER_HASHED,
  HEADER_REFERENCES,
  type Heap,
  KIND_NODE,
  KIND_PROCESS,
  type Ref,
  UNIT_BYTES,
  UNIT_WORDS,
} from "../heap/heap.ts";
import { NODE_BITMAP, NODE_HASHED, popcount } from "../heap/table.ts";

export const HASH_VERSION = 1;
export const HASH_NODE = 1;
export const HASH_PROCESS = 2;
export const HASH_BLOCK = 3;
export const HASH_GENESIS = 4;
export const HASH_BYTES = 32;

const PREFIX_BYTES = 8;
const input = Buffer.alloc(PREFIX_BYTES + 32 * HASH_BYTES);
const inputWords = new Uint32Array(input.buffer, input.byteOffset, input.length / 4);
const digest = Buffer.alloc(HASH_BYTES);
const digestWords = new Uint32Array(digest.buffer, digest.byteOffset, HASH_BYTES / 4);

/** Makes sure that the object at `ref` and all it names are hashed. */
export function hashObject(heap: Heap, ref: Ref): void {
  if (Atomics.load(heap.words, ref * UNIT_WORDS + HEADER_HASHED) === 1) return;
  const kind = heap.kind(ref);
  if (kind === KIND_NODE) hashNode(heap, ref);
  else if (kind === KIND_PROCESS) hashProcess(heap, ref);
  else keep(heap, ref, heap.payload(ref));
}

/** The hash of the object at `ref` as new bytes; zeros for reference 0. */
export function hashOf(heap: Heap, ref: Ref): Uint8Array {
  const out = new Uint8Array(HASH_BYTES);
  if (ref === 0) return out;
  hashObject(heap, ref);
  const start = ref * UNIT_BYTES + HEADER_HASH * 4;
  out.set(heap.bytes.subarray(start, start + HASH_BYTES));
  return out;
}

function hashNode(heap: Heap, ref: Ref): void {
  const words = heap.words;
  const at = ref * UNIT_WORDS;
  const bitmap = words[at + NODE_BITMAP] as number;
  const count = words[at + HEADER_REFERENCES] as number;
  const children = at + UNIT_WORDS;
  const hashes = children + count;
  const missing = bitmap & ~Atomics.load(words, at + NODE_HASHED);
  for (let rest = missing; rest !== 0; rest &= rest - 1) {
    const i = popcount(bitmap & ((rest & -rest) - 1));
    const child = words[children + i] as number;
    hashObject(heap, child);
    const from = child * UNIT_WORDS + HEADER_HASH;
    for (let j = 0; j < 8; j++) words[hashes + i * 8 + j] = words[from + j] as number;
  }
  if (missing !== 0) Atomics.or(words, at + NODE_HASHED, missing);
  inputWords[0] = HASH_NODE | (HASH_VERSION << 8);
  inputWords[1] = bitmap;
  heap.bytes.copy(input, PREFIX_BYTES, hashes * 4, hashes * 4 + count * HASH_BYTES);
  keep(heap, ref, input.subarray(0, PREFIX_BYTES + count * HASH_BYTES));
}

// Positions in the record (image/process.ts) of what is hashed: 'r' a reference, 'w' a word.
const FIELDS: readonly (readonly ["r" | "w", number])[] = [
  ["r", 0],
  ["w", 9],
  ["r", 1],
  ["r", 3],
  ["w", 7],
  ["w", 8],
  ["w", 10],
  ["w", 11],
  ["w", 12],
  ["w", 13],
  ["w", 14],
  ["w", 15],
  ["w", 16],
  ["w", 17],
  ["w", 20],
  ["w", 21],
  ["w", 22],
  ["w", 23],
  ["w", 24],
  ["w", 25],
  ["w", 26],
  ["w", 27],
  ["w", 28],
  ["w", 29],
  ["w", 30],
  ["r", 4],
  ["r", 5],
  ["r", 6],
  ["r", 2],
];

function hashProcess(heap: Heap, ref: Ref): void {
  const words = heap.words;
  const record = ref * UNIT_WORDS + UNIT_WORDS;
  for (const [type, position] of FIELDS) {
    if (type === "r" && words[record + position] !== 0) hashObject(heap, words[record + position] as number);
  }
  let at = 0;
  inputWords[at++] = HASH_PROCESS | (HASH_VERSION << 8);
  for (const [type, position] of FIELDS) {
    const value = words[record + position] as number;
    if (type === "w") {
      inputWords[at++] = value;
    } else {
      const from = value * UNIT_WORDS + HEADER_HASH;
      for (let j = 0; j < 8; j++) inputWords[at++] = value === 0 ? 0 : (words[from + j] as number);
    }
  }
  keep(heap, ref, input.subarray(0, at * 4));
}

// 'latin1' is the fastest output of crypto.hash (a Buffer costs twice as much), and Node aborts on latin1
// writes into buffers beyond 4 GiB: hence the way over a small buffer.
function keep(heap: Heap, ref: Ref, bytes: Uint8Array): void {
  digest.write(hash("sha256", bytes, "latin1"), 0, HASH_BYTES, "latin1");
  const words = heap.words;
  const to = ref * UNIT_WORDS + HEADER_HASH;
  for (let j = 0; j < 8; j++) words[to + j] = digestWords[j] as number;
  Atomics.store(words, ref * UNIT_WORDS + HEADER_HASHED, 1);
}
