/** Writing proofs; the format is drawn in format.ts. Reads the heap only. */

import { badArgument } from "../arguments.ts";
import { type Heap, type Ref, referencesOf, UNIT_WORDS } from "../heap/heap.ts";
import { childHashes, NODE_BITMAP, tableGet } from "../heap/table.ts";
import { hashObject, writeRecord } from "../image/hash.ts";
import { loadProcess } from "../image/process.ts";
import { fieldBytes, HASH_BYTES, HASHED_FIELDS, RECORD_PREFIX_BYTES } from "../image/record.ts";
import { PAGE_BYTES } from "../limits.ts";
import { highOf, lowOf } from "../u64.ts";
import { TABLE_LIMIT, TOP_SHIFT } from "../units.ts";
import { isInside, PATH_LIMIT, PROOF_KIND, PROOF_VERSION } from "./format.ts";

/**
 * The proof, below the process at `root`, of `length` bytes at `address` of the process at `path`; of
 * absence, if there is no such process or memory.
 */
export function proveRange(
  heap: Heap,
  root: Ref,
  path: readonly number[],
  address: number,
  length: number,
): Uint8Array {
  checkArguments(path, address, length);
  hashObject(heap, root);
  let target = root;
  for (const number of path) {
    if (target !== 0) target = tableGet(heap, loadProcess(heap, target).children, number);
  }
  const writer = new Writer();
  writer.bytes(Uint8Array.of(PROOF_KIND, PROOF_VERSION, path.length, 0));
  for (const number of path) writer.u32(number);
  for (const value of target === 0 ? [0, 0] : [address, length]) {
    writer.u32(lowOf(value));
    writer.u32(highOf(value));
  }
  writeProcess(writer, heap, root, path, address, length);
  return writer.finish();
}

function checkArguments(path: readonly number[], address: number, length: number): void {
  const isNumber = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
  const isChild = (value: unknown): boolean => isNumber(value) && (value as number) < TABLE_LIMIT;
  if (!Array.isArray(path) || path.length > PATH_LIMIT || !path.every(isChild)) {
    throw badArgument("path", path, `an array of at most ${PATH_LIMIT} child numbers below 2^20`);
  }
  if (!isNumber(address)) throw badArgument("address", address, "an integer, 0 or more");
  if (!isNumber(length) || !isNumber(address + length)) {
    throw badArgument("length", length, "an integer, 0 or more");
  }
}

function writeProcess(
  writer: Writer,
  heap: Heap,
  ref: Ref,
  path: readonly number[],
  address: number,
  length: number,
): void {
  const process = loadProcess(heap, ref);
  const record = Uint8Array.from(writeRecord(heap, ref));
  const [number, ...rest] = path;
  const hashes: Uint8Array[] = [];
  const parts: (() => void)[] = [];
  let at = RECORD_PREFIX_BYTES;
  for (const [name, type] of HASHED_FIELDS) {
    const field = record.subarray(at, at + fieldBytes(type));
    at += field.length;
    if (type === "hash") hashes.push(field);
    if (type === "hash" && isZero(field)) continue;
    if (name === "children" && number !== undefined) {
      parts.push(() =>
        writeTable(writer, heap, process.children, TOP_SHIFT, 0, number, number, (child) =>
          writeProcess(writer, heap, child, rest, address, length),
        ),
      );
    } else if (
      name === "memory" &&
      number === undefined &&
      length > 0 &&
      isInside(address, length, process.memoryPages)
    ) {
      const first = Math.floor(address / PAGE_BYTES);
      const last = Math.floor((address + length - 1) / PAGE_BYTES);
      parts.push(() =>
        writeTable(writer, heap, process.memory, TOP_SHIFT, 0, first, last, (page) =>
          writer.bytes(heap.payload(page)),
        ),
      );
    } else {
      parts.push(() => writer.bytes(field));
    }
  }
  const present = hashes.reduce((bits, hash, i) => bits | (isZero(hash) ? 0 : 1 << i), 0);
  writer.bytes(Uint8Array.of(present, present >>> 8));
  for (const write of parts) write();
}

function writeTable(
  writer: Writer,
  heap: Heap,
  root: Ref,
  shift: number,
  prefix: number,
  first: number,
  last: number,
  leaf: (ref: Ref) => void,
): void {
  const { words, bytes } = heap;
  const node = heap.resolve(root);
  const bitmap = words[node * UNIT_WORDS + NODE_BITMAP] as number;
  let child = referencesOf(words, node);
  let hash = childHashes(words, node) * 4;
  writer.u32(bitmap);
  for (let position = 0; position < 32; position++) {
    if (((bitmap >>> position) & 1) === 0) continue;
    const below = words[child++] as number;
    const from = prefix + position * 2 ** shift;
    if (from + 2 ** shift <= first || from > last) writer.bytes(bytes.subarray(hash, hash + HASH_BYTES));
    else if (shift === 0) leaf(below);
    else writeTable(writer, heap, below, shift - 5, from, first, last, leaf);
    hash += HASH_BYTES;
  }
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** Bytes that grow. */
class Writer {
  #bytes = new Uint8Array(4 * PAGE_BYTES);
  #length = 0;

  u32(value: number): void {
    this.bytes(Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24));
  }

  bytes(bytes: Uint8Array): void {
    const end = this.#length + bytes.length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = end;
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}
