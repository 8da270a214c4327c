/**
 * The elements of a collection of state, as bytes: slots of a map or set, entries of a vector, the value of a
 * cell. Where they lie follows from typed/collections.ts; what reads states (state.ts), parts of them
 * (state-places.ts) and their changes (state-changes.ts) decodes them here.
 */

import { type TableShape, tableShape, VECTOR_ENTRIES_AT, vectorStride } from "../typed/collections.ts";
import type { Interface, Region, Type } from "../typed/interface.ts";
import { memoryBytes, readMemory } from "../typed/memory.ts";

/** Reads bytes of the app's process. */
export type Read = (address: number, length: number) => Uint8Array;

/** A decoded element: `key` is null in a vector and a cell, `value` undefined in a set. */
export interface Element {
  readonly key: unknown;
  readonly value: unknown;
}

/** The elements of one collection. */
export class Elements {
  /** Of a map or set: the shape of its table. */
  readonly shape: TableShape | null;
  /** Null in a vector and a cell. */
  readonly key: Type | null;
  /** Null in a set. */
  readonly value: Type | null;
  /** Offset of the first element in the collection. */
  readonly offset: number;
  /** Bytes from one to the next. */
  readonly stride: number;
  /** Bytes of one. */
  readonly bytes: number;
  /** How many there may be. */
  readonly count: number;
  readonly #description: Interface;
  readonly #region: Region;

  constructor(description: Interface, region: Region) {
    this.#description = description;
    this.#region = region;
    const [first, second = null] = region.types as [Type, Type?];
    const firstBytes = memoryBytes(description, first);
    if (region.kind === "StateMap" || region.kind === "StateSet") {
      const valueBytes = second === null ? 1 : memoryBytes(description, second);
      this.shape = tableShape(region.capacity, firstBytes, valueBytes);
      this.key = first;
      this.value = second;
      this.offset = this.shape.slotsAt;
      this.stride = this.shape.stride;
      this.bytes = this.stride;
      this.count = this.shape.slots;
    } else {
      const isCell = region.kind === "StateCell";
      this.shape = null;
      this.key = null;
      this.value = first;
      this.offset = isCell ? 0 : VECTOR_ENTRIES_AT;
      this.stride = isCell ? firstBytes : vectorStride(first, firstBytes);
      this.bytes = firstBytes;
      this.count = isCell ? 1 : region.capacity;
    }
  }

  /** Entries of a map, set or vector, as the collection counts them; 1 for a cell. */
  length(read: Read): number {
    return this.#region.kind === "StateCell" ? 1 : u32At(read(this.#region.at, 4), 0);
  }

  /** Address of element `i`. */
  addressOf(i: number): number {
    return this.#region.at + this.offset + i * this.stride;
  }

  /** Address of an element's value, in a set of its key, and its bytes there. */
  placeOf(i: number): { readonly address: number; readonly bytes: number } {
    const within = this.shape === null ? 0 : this.value === null ? this.shape.keyAt : this.shape.valueAt;
    const type = this.value ?? (this.key as Type);
    return { address: this.addressOf(i) + within, bytes: memoryBytes(this.#description, type) };
  }

  /** Whether a slot with these bytes is in use; of a vector its length decides. */
  isUsed(slot: Uint8Array): boolean {
    return u32At(slot, 0) !== 0;
  }

  /** Decodes the bytes of an element. */
  decode(bytes: Uint8Array): Element {
    const { keyAt, valueAt } = this.shape ?? { keyAt: 0, valueAt: 0 };
    const of = (type: Type | null, at: number, none: unknown): unknown =>
      type === null ? none : readMemory(this.#description, type, bytes, at);
    return { key: of(this.key, keyAt, null), value: of(this.value, valueAt, undefined) };
  }

  /** Element `i` of a collection that has `length` of them; null if it is not there. */
  read(read: Read, i: number, length: number): Element | null {
    if (this.shape === null && i >= length) return null;
    const bytes = read(this.addressOf(i), this.bytes);
    return this.shape !== null && !this.isUsed(bytes) ? null : this.decode(bytes);
  }
}

export function u32At(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
}
