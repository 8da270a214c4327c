/**
 * Hashes of objects: SHA-256, computed when somebody asks, once per object, kept in the object's header.
 *
 *   page, program bytes    SHA-256 of the raw bytes; they stand only where a field says so
 *   blob                   SHA-256(raw bytes) likewise
 *   node, process          see record.ts
 *
 * Two threads may hash the same object at once: they write the same bytes. So a thread with much to hash lets
 * another one begin from the other end, and nothing else is needed for that: each passes over what it finds
 * done, and they meet where they meet.
 */

import { hash } from "node:crypto";
import { assert } from "../errors.ts";
import { copyBytes } from "../heap/bytes.ts";
import {
  HEADER_HASH,
  HEADER_HASHED,
  HEADER_REFERENCES,
  type Heap,
  KIND_NODE,
  KIND_PROCESS,
  type Ref,
  referencesOf,
  UNIT_BYTES,
  UNIT_WORDS,
} from "../heap/heap.ts";
import { childHashes, NODE_BITMAP, NODE_HASHED, popcount } from "../heap/table.ts";
import { COUNTING, work } from "../work.ts";
import { recordWord } from "./process.ts";
import {
  fieldBytes,
  HASH_BYTES,
  HASH_NODE,
  HASH_PROCESS,
  HASH_VERSION,
  HASHED_FIELDS,
  NODE_PREFIX_BYTES,
} from "./record.ts";

const counting = COUNTING;

export { HASH_BYTES, HASH_NODE, HASH_PROCESS, HASH_VERSION } from "./record.ts";

const input = Buffer.alloc(NODE_PREFIX_BYTES + 32 * HASH_BYTES);
const inputWords = new Uint32Array(input.buffer, input.byteOffset, input.length / 4);
const digest = Buffer.alloc(HASH_BYTES);
const digestWords = new Uint32Array(digest.buffer, digest.byteOffset, HASH_BYTES / 4);

/** Objects after which help is worth waking a thread. */
const HASHES_ALONE = 64;

// What the call in progress wants besides: the other direction; help, after so many objects, 0: none.
let backwards = false;
let untilHelp = 0;
let help: () => void = () => {};

/**
 * Makes sure that the object at `ref` and all it names are hashed. If that is much, `askForHelp` is called
 * once, on the way: another thread may call `hashBackwards` meanwhile.
 */
export function hashObject(heap: Heap, ref: Ref, askForHelp?: () => void): void {
  if (askForHelp !== undefined) {
    untilHelp = HASHES_ALONE;
    help = askForHelp;
  }
  try {
    hashAny(heap, ref);
  } finally {
    untilHelp = 0;
  }
}

/** As `hashObject`, from the other end. */
export function hashBackwards(heap: Heap, ref: Ref): void {
  backwards = true;
  try {
    hashAny(heap, ref);
  } finally {
    backwards = false;
  }
}

function hashAny(heap: Heap, ref: Ref): void {
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
  copyBytes(heap.bytes, start, out, 0, HASH_BYTES);
  return out;
}

/** Whether the object at `ref` has this hash, given as eight words. */
export function hasHash(heap: Heap, ref: Ref, words: Uint32Array): boolean {
  hashObject(heap, ref);
  const at = ref * UNIT_WORDS + HEADER_HASH;
  for (let i = 0; i < HASH_BYTES / 4; i++) if (heap.words[at + i] !== words[i]) return false;
  return true;
}

function hashNode(heap: Heap, ref: Ref): void {
  const words = heap.words;
  const at = ref * UNIT_WORDS;
  const bitmap = words[at + NODE_BITMAP] as number;
  const count = words[at + HEADER_REFERENCES] as number;
  const children = referencesOf(words, ref);
  const hashes = childHashes(words, ref);
  const missing = bitmap & ~Atomics.load(words, at + NODE_HASHED);
  for (let rest = missing; rest !== 0; ) {
    const bit = backwards ? 1 << (31 - Math.clz32(rest)) : rest & -rest;
    rest &= ~bit;
    const i = popcount(bitmap & (bit - 1));
    const child = words[children + i] as number;
    hashAny(heap, child);
    const from = child * UNIT_WORDS + HEADER_HASH;
    // An only child's goes onto itself.
    for (let j = 0; j < 8; j++) words[hashes + i * 8 + j] = words[from + j] as number;
  }
  if (missing !== 0) Atomics.or(words, at + NODE_HASHED, missing);
  inputWords[0] = HASH_NODE | (HASH_VERSION << 8);
  inputWords[1] = bitmap;
  copyBytes(heap.bytes, hashes * 4, input, NODE_PREFIX_BYTES, count * HASH_BYTES);
  keep(heap, ref, input.subarray(0, NODE_PREFIX_BYTES + count * HASH_BYTES));
}

// Positions in the record of what is hashed, word by word: 'r' a reference, 'w' a word.
const FIELDS: readonly (readonly ["r" | "w", number])[] = HASHED_FIELDS.flatMap(([, type, position]) =>
  Array.from({ length: type === "hash" ? 1 : fieldBytes(type) / 4 }, (_, i): ["r" | "w", number] => [
    type === "hash" ? "r" : "w",
    position + i,
  ]),
);

const REFERENCES = FIELDS.filter(([type]) => type === "r").map(([, position]) => position);
const REFERENCES_BACKWARDS = REFERENCES.toReversed();

function hashProcess(heap: Heap, ref: Ref): void {
  for (const position of backwards ? REFERENCES_BACKWARDS : REFERENCES) {
    const named = recordWord(heap, ref, position);
    if (named !== 0) hashAny(heap, named);
  }
  keep(heap, ref, writeRecord(heap, ref));
}

/** The bytes that are hashed of the process at `ref`, valid until the next hash; all it names is hashed. */
export function writeRecord(heap: Heap, ref: Ref): Uint8Array {
  const words = heap.words;
  const record = heap.resolve(ref);
  let at = 0;
  inputWords[at++] = HASH_PROCESS | (HASH_VERSION << 8);
  for (const [type, position] of FIELDS) {
    const value = recordWord(heap, record, position);
    if (type === "w") {
      inputWords[at++] = value;
    } else {
      const from = value * UNIT_WORDS + HEADER_HASH;
      for (let j = 0; j < 8; j++) inputWords[at++] = value === 0 ? 0 : (words[from + j] as number);
    }
  }
  return input.subarray(0, at * 4);
}

// 'latin1' is the fastest output of crypto.hash (a Buffer costs twice as much), and Node aborts on latin1
// writes into buffers beyond 4 GiB: hence the way over a small buffer.
function keep(heap: Heap, ref: Ref, bytes: Uint8Array): void {
  if (counting) work.objectsHashed++;
  if (counting) work.bytesHashed += bytes.length;
  const written = digest.write(hash("sha256", bytes, "latin1"), 0, HASH_BYTES, "latin1");
  assert(written === HASH_BYTES, "hash: the engine gave another digest than was asked for");
  const words = heap.words;
  const to = ref * UNIT_WORDS + HEADER_HASH;
  for (let j = 0; j < 8; j++) words[to + j] = digestWords[j] as number;
  Atomics.store(words, ref * UNIT_WORDS + HEADER_HASHED, 1);
  if (untilHelp > 0 && --untilHelp === 0) help();
}
