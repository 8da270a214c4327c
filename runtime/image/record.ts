/**
 * What is hashed of a process, defined once: image/hash.ts hashes it, runtime/proof writes and checks it,
 * chain/diff.ts compares it. Imports sizes only, because the verifier runs in browsers as well.
 *
 *   process   SHA-256(HASH_PROCESS, HASH_VERSION, 0, 0, the fields in the order below, little-endian)
 *   node      SHA-256(HASH_NODE, HASH_VERSION, 0, 0, u32 bitmap of present children, their hashes)
 *
 * A field that names an object holds its hash, 32 zero bytes where it is absent. Gas held by descendants
 * and how many of them are runnable are sums over the children and therefore no fields.
 */

import { HASH_BYTES } from "../units.ts";

export const HASH_VERSION = 3;
export const HASH_NODE = 1;
export const HASH_PROCESS = 2;
export const HASH_BLOCK = 3;
export const HASH_GENESIS = 4;
export const HASH_RULES = 5;
export const HASH_CHANGE = 6;
/** Of headers of blocks, and of genesis. */
export const HEADER_VERSION = 4;
export { HASH_BYTES };
/** What stands before a node's hashes, and before a record's fields. */
export const NODE_PREFIX_BYTES = 8;
export const RECORD_PREFIX_BYTES = 4;

/** "hash": an object's. "gas": an integer of 64 bits, signed, that a JavaScript number holds exactly. */
export type FieldType = "hash" | "u32" | "i64" | "gas";

/** Name, type, and the word of the record in the heap (image/process.ts) where it begins. */
export const HASHED_FIELDS = [
  ["program", "hash", 0],
  ["memoryPages", "u32", 10],
  ["memory", "hash", 1],
  ["presentPages", "u32", 21],
  ["globals", "hash", 3],
  ["entry", "u32", 22],
  ["status", "u32", 9],
  ["code", "i64", 15],
  ["argument", "i64", 23],
  ["gas", "gas", 25],
  ["gasUsed", "gas", 12],
  ["fault", "u32", 30],
  ["line", "u32", 31],
  ["column", "u32", 32],
  ["regionPointer", "u32", 33],
  ["regionCapacity", "u32", 34],
  ["memoryPassed", "u32", 17],
  ["processQuota", "u32", 18],
  ["childCount", "u32", 20],
  ["started", "u32", 14],
  ["memoryGiven", "u32", 11],
  ["processesGiven", "u32", 19],
  ["gasEpoch", "gas", 35],
  ["parentGasEpoch", "gas", 37],
  ["programPages", "u32", 39],
  ["heldGasGiven", "gas", 40],
  ["heldGasPassed", "gas", 42],
  ["gasLent", "gas", 44],
  ["continuation", "hash", 4],
  ["text", "hash", 5],
  ["inputs", "hash", 7],
  ["outcomes", "hash", 8],
  ["reference", "hash", 6],
  ["children", "hash", 2],
] as const satisfies readonly (readonly [string, FieldType, number])[];

/** Name of a hashed field. */
export type FieldName = (typeof HASHED_FIELDS)[number][0];

/**
 * The hashed fields of a process, by name: hashes in hex (null: absent), 64-bit integers as bigint, gas as a
 * number. Memory sizes are in pages of 64 KiB, quotas in pages of 4 KiB; numbers of statuses and faults are
 * those of `stillpoint/syscalls`. `gas` is what the process was given, `gasLent` what it gave; both are void
 * if on the way to it a `parentGasEpoch` is not the `gasEpoch` of the process above.
 */
export type HashedRecord = {
  readonly [F in (typeof HASHED_FIELDS)[number] as F[0]]: F[1] extends "hash"
    ? string | null
    : F[1] extends "i64"
      ? bigint
      : number;
};

const FIELD_BYTES: Readonly<Record<FieldType, number>> = { hash: HASH_BYTES, u32: 4, i64: 8, gas: 8 };

/** Bytes of a field of a type. */
export function fieldBytes(type: FieldType): number {
  return FIELD_BYTES[type];
}

/** Bytes that are hashed of a process. */
export const RECORD_BYTES = HASHED_FIELDS.reduce(
  (sum, [, type]) => sum + FIELD_BYTES[type],
  RECORD_PREFIX_BYTES,
);

/** Reads the bytes that are hashed of a process. */
export function decodeRecord(bytes: Uint8Array): HashedRecord {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const record: Record<string, string | number | bigint | null> = {};
  let at = RECORD_PREFIX_BYTES;
  for (const [name, type] of HASHED_FIELDS) {
    if (type === "hash") record[name] = hashHex(bytes.subarray(at, at + HASH_BYTES));
    else if (type === "u32") record[name] = view.getUint32(at, true);
    else if (type === "i64") record[name] = view.getBigInt64(at, true);
    else record[name] = Number(view.getBigInt64(at, true));
    at += FIELD_BYTES[type];
  }
  return record as HashedRecord;
}

/** A hash in hex, null if it is zero. */
export function hashHex(hash: Uint8Array): string | null {
  let hex = "";
  for (const byte of hash) hex += (byte < 16 ? "0" : "") + byte.toString(16);
  return /^0+$/.test(hex) ? null : hex;
}
