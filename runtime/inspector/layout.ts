/**
 * What programs that lay memory out themselves say of it: of the elements of a table in state, and of the
 * data of their blocks. The text is JSON, in a constant string that the program exports
 * (program/decode/state.ts); guest/README.md shows one.
 *
 *   element  { "used": { "at", "equals" }, "kinds": [kind…] }
 *   data     { "fields": [field…], "rows": { "name", "at", "stride", "fields": [field…] } }
 *   kind     { "name", "when": { "at", "mask", "is" }, "key": [field…], "fields": [field…] }
 *   field    { "name", "at", "type", "shift", "hex", "reversed" }
 *
 * An element is in use if its u32 at `used.at` has the value of the variable `used.equals`; without `used` it
 * is if one of its bytes is not zero. Its kind is the first one whose `when` holds, a u32 under a mask; one
 * without `when` always holds. `key` tells elements of a kind apart. A type is u8 to u256, i32, i64, bool,
 * bytesN, or "element": a u32, the number of another element of the table. All offsets are those in the
 * element, integers are little-endian; `shift` drops the lowest bits of one, `hex` writes it so, and
 * `reversed` turns bytes round.
 * A program is not trusted: a layout that is not as here counts as none.
 */

import type { Read } from "../app/state.ts";

/** Kinds, and fields of each, that are read. */
const KINDS = 16;
const FIELDS = 64;
const OFFSET_MAX = 1 << 20;
/** Bytes of a table that one call looks at, and that are read at once. */
const LOOKED_AT_BYTES = 16 << 20;
const STRETCH_BYTES = 1 << 18;
const NAME = /^\w{1,64}$/;
/** Types without a number of bits in their name. */
const BYTES_OF: Readonly<Record<string, number>> = { bool: 1, element: 4 };
const TYPE = /^(?:bool|u8|u16|u32|u64|u128|u256|i32|i64|element|bytes([1-9]\d?\d?))$/;

export interface LayoutField {
  readonly name: string;
  readonly at: number;
  readonly bytes: number;
  readonly type: string;
  readonly shift: number;
  readonly hex: boolean;
  readonly reversed: boolean;
}

export interface Kind {
  readonly name: string;
  readonly when: { readonly at: number; readonly mask: number; readonly is: number } | null;
  readonly key: readonly LayoutField[];
  readonly fields: readonly LayoutField[];
}

/** Of the elements of a table. */
export interface ElementLayout {
  readonly used: { readonly at: number; readonly equals: string } | null;
  readonly kinds: readonly Kind[];
}

/** Of the data of a block: fields, and as many rows as there is room for behind them. */
export interface DataLayout {
  readonly fields: readonly LayoutField[];
  readonly rows: {
    readonly name: string;
    readonly at: number;
    readonly stride: number;
    readonly fields: readonly LayoutField[];
  } | null;
}

/** Null: it is not one. */
export function elementLayout(text: string): ElementLayout | null {
  return parsed(text, (all) => {
    const used = all.used === undefined ? null : object(all.used);
    return {
      used: used && { at: offset(used.at), equals: name(used.equals) },
      kinds: list(all.kinds, KINDS).map((each) => kindOf(object(each))),
    };
  });
}

/** Null: it is not one. */
export function dataLayout(text: string): DataLayout | null {
  return parsed(text, (all) => ({
    fields: fieldsOf(all.fields),
    rows: all.rows === undefined ? null : rowsOf(object(all.rows)),
  }));
}

function rowsOf(rows: Json): DataLayout["rows"] {
  const stride = offset(rows.stride);
  if (stride === 0) throw new Malformed();
  return { name: name(rows.name), at: offset(rows.at), stride, fields: fieldsOf(rows.fields) };
}

type Json = Readonly<Record<string, unknown>>;
class Malformed extends Error {}

function parsed<T>(text: string, read: (all: Json) => T): T | null {
  try {
    return read(object(JSON.parse(text)));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof Malformed) return null;
    throw error;
  }
}

function kindOf(kind: Json): Kind {
  const when = kind.when === undefined ? null : object(kind.when);
  return {
    name: name(kind.name),
    when: when && { at: offset(when.at), mask: integer(when.mask), is: integer(when.is) },
    key: fieldsOf(kind.key),
    fields: fieldsOf(kind.fields),
  };
}

function fieldsOf(fields: unknown): LayoutField[] {
  if (fields === undefined) return [];
  return list(fields, FIELDS).map((each) => fieldOf(object(each)));
}

function fieldOf({ name: called, at, type, shift = 0, hex = false, reversed = false }: Json): LayoutField {
  const found = typeof type === "string" ? TYPE.exec(type) : null;
  if (found === null) throw new Malformed();
  const bits = /\d+$/.exec(found[0])?.[0];
  const isBytes = found[1] !== undefined;
  const bytes = isBytes ? Number(bits) : (BYTES_OF[found[0]] ?? Number(bits) / 8);
  return {
    ...{ name: name(called), at: offset(at), bytes, type: found[0], shift: integer(shift) },
    ...{ hex: hex === true, reversed: reversed === true },
  };
}

function object(value: unknown): Json {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw new Malformed();
}

function list(value: unknown, most: number): readonly unknown[] {
  if (Array.isArray(value) && value.length <= most) return value;
  throw new Malformed();
}

function name(value: unknown): string {
  if (typeof value === "string" && NAME.test(value)) return value;
  throw new Malformed();
}

function integer(value: unknown): number {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32)
    return value as number;
  throw new Malformed();
}

function offset(value: unknown): number {
  if (integer(value) <= OFFSET_MAX) return value as number;
  throw new Malformed();
}

/** A table of elements in the state of a process, with its layout. */
export interface Table {
  readonly name: string;
  readonly address: number;
  readonly stride: number;
  /** Where the next variable, or the end of the state, is. */
  readonly end: number;
  readonly layout: ElementLayout;
}

/** An element that is in use. */
export interface Element {
  readonly index: number;
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly kind: Kind;
}

/** Reads elements of one state. */
export class TableReader {
  readonly table: Table;
  readonly #read: Read;
  readonly #addressOf: (variable: string) => number | undefined;
  #marker: number | null = null;

  /** `addressOf` gives the address of a variable by its name. */
  constructor(table: Table, read: Read, addressOf: (variable: string) => number | undefined) {
    this.table = table;
    this.#read = read;
    this.#addressOf = addressOf;
  }

  get count(): number {
    return Math.floor((this.table.end - this.table.address) / this.table.stride);
  }

  /** Null: no element is there, or none of a known kind. */
  at(index: number): Element | null {
    const { address, stride } = this.table;
    if (index >= this.count) return null;
    const at = address + index * stride;
    return this.of(index, at, this.#read(at, stride));
  }

  /** The element with these bytes. */
  of(index: number, address: number, bytes: Uint8Array): Element | null {
    if (!this.#isUsed(bytes)) return null;
    const { kinds } = this.table.layout;
    const kind = kinds.find(
      ({ when }) => when === null || (u32(bytes, when.at) & when.mask) >>> 0 === when.is,
    );
    return kind === undefined ? null : { index, address, bytes, kind };
  }

  /** At most `most` elements from one on, and from which on the others are; null: there are no more. */
  part(from: number, most: number): { readonly elements: readonly Element[]; readonly next: number | null } {
    const { address, stride } = this.table;
    const { count } = this;
    const end = Math.min(count, from + Math.ceil(LOOKED_AT_BYTES / stride));
    const elements: Element[] = [];
    let index = from;
    while (index < end && elements.length < most) {
      const stretch = Math.min(end - index, Math.ceil(STRETCH_BYTES / stride));
      const bytes = this.#read(address + index * stride, stretch * stride);
      for (let i = 0; i < stretch && elements.length < most; i++, index++) {
        const found = this.of(index, address + index * stride, bytes.subarray(i * stride, (i + 1) * stride));
        if (found !== null) elements.push(found);
      }
    }
    return { elements, next: index < count ? index : null };
  }

  #isUsed(bytes: Uint8Array): boolean {
    const { used } = this.table.layout;
    if (used === null) return bytes.some((byte) => byte !== 0);
    if (this.#marker === null) {
      const address = this.#addressOf(used.equals);
      this.#marker = address === undefined ? -1 : u32(this.#read(address, 4), 0);
    }
    return u32(bytes, used.at) === this.#marker;
  }

  /** "account[0xb0…]". */
  nameOf(element: Element): string {
    return `${element.kind.name}[${this.keyOf(element)}]`;
  }

  keyOf({ kind, bytes, index }: Element): string {
    return kind.key.length === 0 ? String(index) : this.#keyOf(kind, bytes, true);
  }

  /** An element in a key is named by its own key, an element in that by its number. */
  #keyOf(kind: Kind, bytes: Uint8Array, withElements: boolean): string {
    return kind.key.map((field) => this.#text(field, bytes, withElements)).join(", ");
  }

  /** Fields with their values; those of the key are not among them. */
  valueOf({ kind, bytes }: Element): string {
    const fields = kind.fields.map((field) => `${field.name}: ${this.#text(field, bytes, true)}`);
    return `{ ${fields.join(", ")} }`;
  }

  /** What lies from an offset of an element on: "slot[0xb0…, 0x5].value". */
  placeIn(element: Element, from: number, length: number): string {
    const of = this.nameOf(element);
    const isWithin = ({ at, bytes }: LayoutField): boolean => at < from + length && at + bytes > from;
    const { key, fields } = element.kind;
    const inside = fields.filter(isWithin).map((field) => field.name);
    if (key.some(isWithin) || inside.length === 0) return of;
    return `${of}.${inside.join(", ")}`;
  }

  #text(field: LayoutField, bytes: Uint8Array, withElements: boolean): string {
    if (field.type !== "element") return fieldText(field, bytes);
    const index = u32(bytes, field.at) >>> field.shift;
    const found = withElements ? this.at(index) : null;
    return found === null || found.kind.key.length === 0
      ? String(index)
      : this.#keyOf(found.kind, found.bytes, false);
  }
}

/** A value as text; what lies behind the end is zeros. */
export function fieldText(
  { at, bytes: length, type, shift, hex, reversed }: LayoutField,
  all: Uint8Array,
): string {
  const bytes = new Uint8Array(length);
  bytes.set(all.subarray(at, at + length));
  if (type.startsWith("bytes")) {
    if (reversed) bytes.reverse();
    return `0x${Buffer.from(bytes).toString("hex")}`;
  }
  if (type === "bool") return String(bytes[0] !== 0);
  const unsigned = bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const value = (type.startsWith("i") ? BigInt.asIntN(8 * length, unsigned) : unsigned) >> BigInt(shift);
  return hex ? `0x${value.toString(16)}` : String(value);
}

/** Zeros behind the end. */
function u32(bytes: Uint8Array, at: number): number {
  const own = new Uint8Array(4);
  own.set(bytes.subarray(at, at + 4));
  return new DataView(own.buffer).getUint32(0, true);
}

/** Data of a block, as far as its root's program tells what it is. */
export class BlockData {
  readonly #layout: DataLayout;
  readonly #data: Uint8Array;

  constructor(layout: DataLayout, data: Uint8Array) {
    this.#layout = layout;
    this.#data = data;
  }

  get fields(): (readonly [name: string, text: string])[] {
    return this.#layout.fields.map((field) => [field.name, fieldText(field, this.#data)]);
  }

  /** What a row is called; null: there are none. */
  get rowName(): string | null {
    return this.#layout.rows?.name ?? null;
  }

  get rowCount(): number {
    const { rows } = this.#layout;
    return rows === null ? 0 : Math.max(0, Math.floor((this.#data.length - rows.at) / rows.stride));
  }

  get columns(): string[] {
    return this.#layout.rows?.fields.map((field) => field.name) ?? [];
  }

  row(number: number): string[] {
    const { rows } = this.#layout;
    if (rows === null) return [];
    const from = rows.at + number * rows.stride;
    const bytes = this.#data.subarray(from, from + rows.stride);
    return rows.fields.map((field) => fieldText(field, bytes));
  }
}
