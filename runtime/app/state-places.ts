/**
 * Collections of a program's state by place: what lies at an address, as a name, and their entries a part at
 * a time, for tools that look at states too large to read whole. Layouts are those of guest/state/.
 */

import type { Interface, RecordType, Region, Type } from "../typed/interface.ts";
import { Elements, type Read, u32At } from "./elements.ts";

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
  return region.kind === "StateCell" ? 1 : u32At(read(region.at, 4), 0);
}

/** At most `count` entries from a slot or index on. */
export function statePart(
  description: Interface,
  region: Region,
  read: Read,
  from: number,
  count: number,
): StatePart {
  const elements = new Elements(description, region);
  if (elements.shape !== null) return tablePart(elements, read, from, count);
  const isCell = region.kind === "StateCell";
  const length = isCell ? 1 : Math.min(elements.length(read), region.capacity);
  const first = isCell ? 0 : from;
  const end = isCell ? 1 : Math.min(length, from + count);
  const entries = Array.from({ length: Math.max(0, end - first) }, (_, i) => {
    const index = first + i;
    const bytes = read(elements.addressOf(index), elements.bytes);
    return placed(elements, index, bytes, isCell ? null : index);
  });
  return { entries, next: end < length ? end : null };
}

function tablePart(elements: Elements, read: Read, from: number, count: number): StatePart {
  const { count: slots, stride } = elements;
  const entries: PlacedEntry[] = [];
  const end = Math.min(slots, from + Math.ceil(LOOKED_AT_BYTES / stride));
  const perStretch = Math.max(1, Math.floor(STRETCH_BYTES / stride));
  let slot = from;
  while (slot < end && entries.length < count) {
    const slotsRead = Math.min(perStretch, end - slot);
    const bytes = read(elements.addressOf(slot), slotsRead * stride);
    for (let i = 0; i < slotsRead && entries.length < count; i++, slot++) {
      const own = bytes.subarray(i * stride, (i + 1) * stride);
      if (elements.isUsed(own)) entries.push(placed(elements, slot, own, null));
    }
  }
  return { entries, next: slot < slots ? slot : null };
}

/** Element `i`, which has these bytes. */
function placed(elements: Elements, i: number, bytes: Uint8Array, index: number | null): PlacedEntry {
  return { ...elements.decode(bytes), index, ...elements.placeOf(i) };
}

/** What lies at an offset of a collection: "accounts[0xb0b0…].balance", "names (count)", "fees". */
export function placeIn(description: Interface, region: Region, read: Read, offset: number): string {
  const { name, kind } = region;
  const elements = new Elements(description, region);
  const { shape, stride } = elements;
  const type = elements.value;
  if (kind === "StateCell") return name + fieldAt(description, type as Type, offset);
  if (offset < elements.offset) {
    return `${name} (${shape === null ? "length" : offset < 8 ? "count" : "seed"})`;
  }
  const i = Math.floor((offset - elements.offset) / stride);
  const within = (offset - elements.offset) % stride;
  if (shape === null) return `${name}[${i}]${fieldAt(description, type as Type, within)}`;
  const bytes = read(elements.addressOf(i), stride);
  // A removed entry has left its key; a slot that was never used has none.
  if (!elements.isUsed(bytes)) return `${name} (free slot ${i})`;
  const text = textOf(elements.decode(bytes).key);
  if (type === null || within < shape.valueAt) return `${name}[${text}]`;
  return `${name}[${text}]${fieldAt(description, type, within - shape.valueAt)}`;
}

/** The whole value of what lies at an offset of a collection; undefined where no entry is. */
export function valueIn(description: Interface, region: Region, read: Read, offset: number): unknown {
  const elements = new Elements(description, region);
  const i = region.kind === "StateCell" ? 0 : Math.floor((offset - elements.offset) / elements.stride);
  const isElement = i >= 0 && i < elements.count;
  return isElement ? elements.read(read, i, elements.length(read))?.value : undefined;
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
