/**
 * The state of an App read from outside, by the interface of its program: nothing of the guest runs. Layouts
 * are those of guest/state/.
 */

import { UsageError } from "../errors.ts";
import { Decoder, encode } from "../typed/codec.ts";
import type { Interface, Region, Type } from "../typed/interface.ts";
import { memoryBytes, readMemory, writeMemory } from "../typed/memory.ts";
import { sipHash } from "./siphash.ts";

/** Reads bytes of the app's process. */
export type Read = (address: number, length: number) => Uint8Array;

/** A map or set of the state. */
export interface MapView<Key = unknown, Value = unknown> {
  readonly size: number;
  has(key: Key): boolean;
  /** Undefined where there is none. */
  get(key: Key): Value | undefined;
  /** All entries, in the table's order. Reads the whole table. */
  entries(): [Key, Value][];
}

/** A vector of the state. */
export interface VectorView<Value = unknown> {
  readonly length: number;
  /** Undefined at the length and beyond. */
  get(index: number): Value | undefined;
}

/** A cell of the state. */
export interface CellView<Value = unknown> {
  readonly value: Value;
}

export type StateView = MapView & VectorView & CellView;

const LINE_BYTES = 64;
const KEY = 8;
/** Bytes that are read at once where all is read. */
const STRETCH = 1 << 20;

/** The collections by name. */
export function stateViews(description: Interface, read: Read): Readonly<Record<string, StateView>> {
  return Object.fromEntries(
    description.state.map((region) => [region.name, viewOf(description, region, read)]),
  );
}

function viewOf(description: Interface, region: Region, read: Read): StateView {
  switch (region.kind) {
    case "StateMap":
    case "StateSet":
      return new TableReader(description, region, read) as unknown as StateView;
    case "StateVector":
      return new VectorReader(description, region, read) as unknown as StateView;
    case "StateCell":
      return new CellReader(description, region, read) as unknown as StateView;
  }
}

class TableReader implements MapView {
  readonly #description: Interface;
  readonly #region: Region;
  readonly #read: Read;
  readonly #key: Type;
  readonly #value: Type;
  readonly #valueAt: number;
  readonly #stride: number;
  readonly #slots: number;

  constructor(description: Interface, region: Region, read: Read) {
    this.#description = description;
    this.#region = region;
    this.#read = read;
    const [key, value = { kind: "bool" }] = region.types as [Type, Type?];
    this.#key = key;
    this.#value = value;
    this.#valueAt = KEY + roundUp(memoryBytes(description, key), 8);
    this.#stride = roundUp(this.#valueAt + memoryBytes(description, value), LINE_BYTES);
    this.#slots = region.capacity + Math.floor(region.capacity / 2) + 1;
  }

  get size(): number {
    return view(this.#read(this.#region.at, 4)).getUint32(0, true);
  }

  has(key: unknown): boolean {
    return this.#find(key) !== null;
  }

  get(key: unknown): unknown {
    const slot = this.#find(key);
    return slot === null ? undefined : readMemory(this.#description, this.#value, slot, this.#valueAt);
  }

  entries(): [unknown, unknown][] {
    const entries: [unknown, unknown][] = [];
    const perStretch = Math.max(1, Math.floor(STRETCH / this.#stride));
    for (let first = 0; first < this.#slots; first += perStretch) {
      const count = Math.min(perStretch, this.#slots - first);
      const bytes = this.#read(this.#address(first), count * this.#stride);
      for (let i = 0; i < count; i++) {
        const slot = bytes.subarray(i * this.#stride, (i + 1) * this.#stride);
        if (view(slot).getUint32(0, true) === 0) continue;
        const key = readMemory(this.#description, this.#key, slot, KEY);
        entries.push([key, readMemory(this.#description, this.#value, slot, this.#valueAt)]);
      }
    }
    return entries;
  }

  #address(slot: number): number {
    return this.#region.at + 2 * LINE_BYTES + slot * this.#stride;
  }

  /** The bytes of the key's slot. */
  #find(key: unknown): Uint8Array | null {
    const wanted = writeMemory(
      this.#description,
      this.#key,
      checked(this.#description, this.#key, key, this.#region),
    );
    const seed = view(this.#read(this.#region.at + LINE_BYTES, 16));
    const hash = sipHash(wanted, seed.getBigUint64(0, true), seed.getBigUint64(8, true));
    let slot = Number(((hash >> 32n) * BigInt(this.#slots)) >> 32n);
    for (;;) {
      const bytes = this.#read(this.#address(slot), this.#stride);
      const isKey = Buffer.compare(bytes.subarray(KEY, KEY + wanted.length), wanted) === 0;
      if (view(bytes).getUint32(0, true) !== 0 && isKey) return bytes;
      if (view(bytes).getUint32(4, true) === 0) return null;
      slot = slot + 1 === this.#slots ? 0 : slot + 1;
    }
  }
}

class VectorReader implements VectorView {
  readonly #description: Interface;
  readonly #region: Region;
  readonly #read: Read;

  constructor(description: Interface, region: Region, read: Read) {
    this.#description = description;
    this.#region = region;
    this.#read = read;
  }

  get length(): number {
    return view(this.#read(this.#region.at, 4)).getUint32(0, true);
  }

  get(index: number): unknown {
    if (!Number.isInteger(index) || index < 0 || index >= this.length) return undefined;
    const type = this.#region.types[0] as Type;
    const bytes = memoryBytes(this.#description, type);
    const isPacked = !["fixed", "record", "u128", "u256"].includes(type.kind);
    const stride = isPacked ? bytes : roundUp(bytes, LINE_BYTES);
    const found = this.#read(this.#region.at + LINE_BYTES + index * stride, bytes);
    return readMemory(this.#description, type, found, 0);
  }
}

class CellReader implements CellView {
  readonly #description: Interface;
  readonly #region: Region;
  readonly #read: Read;

  constructor(description: Interface, region: Region, read: Read) {
    this.#description = description;
    this.#region = region;
    this.#read = read;
  }

  get value(): unknown {
    const type = this.#region.types[0] as Type;
    const bytes = this.#read(this.#region.at, memoryBytes(this.#description, type));
    return readMemory(this.#description, type, bytes, 0);
  }
}

/** The key as the encoding gives it back, so that bytes and hex are one; refused if it is none. */
function checked(description: Interface, type: Type, key: unknown, { name }: Region): unknown {
  const bytes = encode(description, [{ name: "key", type }], { key }, name);
  return new Decoder(description, bytes).value(type);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** The view of that name; the error says which there are. */
export function knownViews<T extends object>(views: T): T {
  return new Proxy(views, {
    get: (target, name, receiver) => {
      if (typeof name === "string" && !(name in target)) {
        const known = Object.keys(target).join(", ") || "none";
        throw new UsageError("BAD_ARGUMENT", `there is no state ${name}; there are: ${known}`, { name });
      }
      return Reflect.get(target, name, receiver);
    },
  });
}
