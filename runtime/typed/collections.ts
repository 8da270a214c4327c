/**
 * How the collections of the SDK lie in memory, from the start of each: what guest/state/ does, as the
 * compiler lays it out and a host reads it. Bytes are those of a key or value in memory.
 */

import { LINE_BYTES } from "../units.ts";
import type { Type } from "./interface.ts";

export { LINE_BYTES };

/** Slots of a StateMap or StateSet; a set has values of one byte. */
export interface TableShape {
  /** Where the first slot lies, behind the lines of the count and the seed. */
  readonly slotsAt: number;
  readonly slots: number;
  readonly stride: number;
  /** Of a slot. */
  readonly keyAt: number;
  readonly valueAt: number;
}

export function tableShape(capacity: number, keyBytes: number, valueBytes = 1): TableShape {
  const keyAt = 8;
  const valueAt = keyAt + roundUp(keyBytes, 8);
  return {
    slotsAt: 2 * LINE_BYTES,
    slots: capacity + Math.floor(capacity / 2) + 1,
    stride: roundUp(valueAt + valueBytes, LINE_BYTES),
    keyAt,
    valueAt,
  };
}

/** Where the first entry of a StateVector lies, behind the line of its length. */
export const VECTOR_ENTRIES_AT = LINE_BYTES;

/** Bytes from one entry of a StateVector to the next: lines of its own for what is got by reference. */
export function vectorStride(type: Type, bytes: number): number {
  return isReference(type) ? roundUp(bytes, LINE_BYTES) : bytes;
}

/** Whether a value of the type is an object of the guest's. */
export function isReference({ kind }: Type): boolean {
  return kind === "fixed" || kind === "record" || kind === "u128" || kind === "u256";
}

export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
