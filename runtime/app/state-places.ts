/**
 * Collections of a program's state by place: what lies at an address, as a name, and their entries a part at
 * a time, for tools that look at states too large to read whole. Layouts are those of guest/state/.
 */

import { tableShape, VECTOR_ENTRIES_AT, vectorStride } from "../typed/collections.ts";
import type { Interface, RecordType, Region, Type } from "../typed/interface.ts";
import { memoryBytes, readMemory } from "../typed/memory.ts";
import type { Read } from "./state.ts";

/** An entry of a collection, and where it lies: the address of its value, or of its key in a set. */
export interface PlacedEntry {
  /** Null of a vector and a cell. */
  readonly key: unknown;
  /** Of a vector; else null. */
  readonly index: number | null;
  /** Undefined in a set. */
  readonly value: unknown;
  readonly address: number;
  readonly bytes: number;
}

/** Entries, and from which slot or index on the others are; null: there are no more. */
export interface StatePart {
  readonly entries: readonly PlacedEntry[];
  readonly next: number | null;
}

/** Bytes of a table that one call looks at, and that are read at once. */
const LOOKED_AT_BYTES = 16 << 20;
const STRETCH_BYTES = 1 << 20;
const KEY_CHARACTERS = 44;

/** How many entries a collection has. */
export function entryCount(region: Region, read: Read): number {
  return region.kind === "StateCell" ? 1 : u32(read(region.at, 4), 0);
}

/** At most `count` entries from a slot or index on. */
export function statePart(
  description: Interface,
  region: Region,
  read: Read,
  from: number,
  count: number,
): StatePart {
  const type = region.types[0] as Type;
  const bytes = memoryBytes(description, type);
  if (region.kind === "StateCell") {
    const value = readMemory(description, type, read(region.at, bytes), 0);
    return { entries: [{ key: null, index: null, value, address: region.at, bytes }], next: null };
  }
  if (region.kind !== "StateVector") return tablePart(description, region, read, from, count);
  const stride = vectorStride(type, bytes);
  const length = Math.min(entryCount(region, read), region.capacity);
  const end = Math.min(length, from + count);
  const entries = Array.from({ length: Math.max(0, end - from) }, (_, i) => {
    const address = region.at + VECTOR_ENTRIES_AT + (from + i) * stride;
    const value = readMemory(description, type, read(address, bytes), 0);
    return { key: null, index: from + i, value, address, bytes };
  });
  return { entries, next: end < length ? end : null };
}

function tablePart(
  description: Interface,
  region: Region,
  read: Read,
  from: number,
  count: number,
): StatePart {
  const table = tableOf(description, region);
  const { slots, slotsAt, stride } = table.shape;
  const entries: PlacedEntry[] = [];
  const end = Math.min(slots, from + Math.ceil(LOOKED_AT_BYTES / stride));
  const perStretch = Math.max(1, Math.floor(STRETCH_BYTES / stride));
  let slot = from;
  while (slot < end && entries.length < count) {
    const slotsRead = Math.min(perStretch, end - slot);
    const first = region.at + slotsAt + slot * stride;
    const bytes = read(first, slotsRead * stride);
    for (let i = 0; i < slotsRead && entries.length < count; i++, slot++) {
      if (u32(bytes, i * stride) === 0) continue;
      entries.push(entryIn(description, table, bytes.subarray(i * stride), first + i * stride));
    }
  }
  return { entries, next: slot < slots ? slot : null };
}

/** The entry in the slot at `address`, whose bytes begin `slot`. */
function entryIn(description: Interface, { key, value, shape }: Table, slot: Uint8Array, address: number) {
  const { keyAt, valueAt } = shape;
  const type = value ?? key;
  const at = value === null ? keyAt : valueAt;
  return {
    key: readMemory(description, key, slot, keyAt),
    index: null,
    value: value === null ? undefined : readMemory(description, value, slot, valueAt),
    address: address + at,
    bytes: memoryBytes(description, type),
  };
}

type Table = ReturnType<typeof tableOf>;

function tableOf(description: Interface, region: Region) {
  const [key, value] = region.types as [Type, Type?];
  const valueBytes = value === undefined ? 1 : memoryBytes(description, value);
  const shape = tableShape(region.capacity, memoryBytes(description, key), valueBytes);
  return { key, value: value ?? null, shape };
}

/** What lies at an offset of a collection: "accounts[0xb0b0…].balance", "names (count)", "fees". */
export function placeIn(description: Interface, region: Region, read: Read, offset: number): string {
  const { name, kind, types, at } = region;
  const type = types[0] as Type;
  if (kind === "StateCell") return name + fieldAt(description, type, offset);
  if (kind === "StateVector") {
    if (offset < VECTOR_ENTRIES_AT) return `${name} (length)`;
    const stride = vectorStride(type, memoryBytes(description, type));
    const index = Math.floor((offset - VECTOR_ENTRIES_AT) / stride);
    return `${name}[${index}]${fieldAt(description, type, (offset - VECTOR_ENTRIES_AT) % stride)}`;
  }
  const { key, value, shape } = tableOf(description, region);
  if (offset < shape.slotsAt) return `${name} (${offset < 8 ? "count" : "seed"})`;
  const slot = Math.floor((offset - shape.slotsAt) / shape.stride);
  const within = (offset - shape.slotsAt) % shape.stride;
  const bytes = read(at + shape.slotsAt + slot * shape.stride, shape.stride);
  // A removed entry has left its key; a slot that was never used has none.
  if (u32(bytes, 0) === 0) return `${name} (free slot ${slot})`;
  const text = textOf(readMemory(description, key, bytes, shape.keyAt));
  if (value === null || within < shape.valueAt) return `${name}[${text}]`;
  return `${name}[${text}]${fieldAt(description, value, within - shape.valueAt)}`;
}

/** ".balance" of a record; nothing of another type. */
function fieldAt(description: Interface, type: Type, offset: number): string {
  if (type.kind !== "record") return "";
  const record = description.records.find(({ name }) => name === type.name) as RecordType;
  const field = record.fields.findLast((each) => each.offset <= offset);
  if (field === undefined) return "";
  return `.${field.name}${fieldAt(description, field.type, offset - field.offset)}`;
}

function textOf(key: unknown): string {
  const text =
    typeof key === "object" && key !== null
      ? JSON.stringify(key, (_, each) => (typeof each === "bigint" ? String(each) : each))
      : String(key);
  return text.length <= KEY_CHARACTERS ? text : `${text.slice(0, KEY_CHARACTERS - 1)}…`;
}

function u32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
}
