/**
 * The state of an App read from outside, by the interface of its program: nothing of the guest runs. Layouts
 * are those of guest/state/.
 */

import { unknownName } from "../arguments.ts";
import { Decoder, encode } from "../typed/codec.ts";
import type { TableShape } from "../typed/collections.ts";
import { type Interface, type Region, readInterface, type Type } from "../typed/interface.ts";
import { writeMemory } from "../typed/memory.ts";
import { LINE_BYTES } from "../units.ts";
import { Elements, type Read } from "./elements.ts";
import { sipHash } from "./siphash.ts";

export type { Read };

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

/** What can be read of a collection in state, whichever it is: its methods say for which they are. */
export type StateView = MapView & VectorView & CellView;

/** Bytes that are read at once where all is read. */
const STRETCH = 1 << 20;

/**
 * The collections of a program's state by name, read through `read`: of a block that a `Reader` has, say, or
 * of bytes that proofs have shown.
 *
 * @throws UsageError NO_INTERFACE if the program has no contracts
 * @example
 * ```ts
 * const read = (address, length) => reader.read([1], address, length);
 * console.log(stateOf(program, read).accounts.get(alice));
 * ```
 */
export function stateOf(program: Uint8Array, read: Read): Readonly<Record<string, StateView>> {
  return knownViews(stateViews(readInterface(program), read));
}

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

/** A collection, its elements, and how to read it. */
class RegionReader {
  protected readonly description: Interface;
  protected readonly region: Region;
  protected readonly elements: Elements;
  protected readonly read: Read;

  constructor(description: Interface, region: Region, read: Read) {
    this.description = description;
    this.region = region;
    this.elements = new Elements(description, region);
    this.read = read;
  }
}

class TableReader extends RegionReader implements MapView {
  get size(): number {
    return this.elements.length(this.read);
  }

  has(key: unknown): boolean {
    return this.#find(key) !== null;
  }

  get(key: unknown): unknown {
    const slot = this.#find(key);
    return slot === null ? undefined : this.#entry(slot)[1];
  }

  entries(): [unknown, unknown][] {
    const entries: [unknown, unknown][] = [];
    const { count: slots, stride } = this.elements;
    const perStretch = Math.max(1, Math.floor(STRETCH / stride));
    for (let first = 0; first < slots; first += perStretch) {
      const count = Math.min(perStretch, slots - first);
      const bytes = this.#slot(first, count);
      for (let i = 0; i < count; i++) {
        const slot = bytes.subarray(i * stride, (i + 1) * stride);
        if (this.elements.isUsed(slot)) entries.push(this.#entry(slot));
      }
    }
    return entries;
  }

  /** Key and value of a slot; a set has the value true. */
  #entry(slot: Uint8Array): [unknown, unknown] {
    const { key, value } = this.elements.decode(slot);
    return [
      key,
      this.elements.value === null ? slot[(this.elements.shape as TableShape).valueAt] !== 0 : value,
    ];
  }

  /** The bytes of a slot, or of `count` from it on. */
  #slot(slot: number, count = 1): Uint8Array {
    return this.read(this.elements.addressOf(slot), count * this.elements.stride);
  }

  /** The bytes of the key's slot. */
  #find(key: unknown): Uint8Array | null {
    const { description, region } = this;
    const { count: slots, key: type } = this.elements as Elements & { key: Type };
    const { keyAt } = this.elements.shape as TableShape;
    const wanted = writeMemory(description, type, checked(description, type, key, region));
    const seed = view(this.read(region.at + LINE_BYTES, 16));
    const hash = sipHash(wanted, seed.getBigUint64(0, true), seed.getBigUint64(8, true));
    let slot = Number(((hash >> 32n) * BigInt(slots)) >> 32n);
    for (;;) {
      const bytes = this.#slot(slot);
      const isKey = Buffer.compare(bytes.subarray(keyAt, keyAt + wanted.length), wanted) === 0;
      if (this.elements.isUsed(bytes) && isKey) return bytes;
      if (view(bytes).getUint32(4, true) === 0) return null;
      slot = slot + 1 === slots ? 0 : slot + 1;
    }
  }
}

class VectorReader extends RegionReader implements VectorView {
  get length(): number {
    return this.elements.length(this.read);
  }

  get(index: number): unknown {
    if (!Number.isInteger(index) || index < 0) return undefined;
    return this.elements.read(this.read, index, this.length)?.value;
  }
}

class CellReader extends RegionReader implements CellView {
  get value(): unknown {
    return this.elements.read(this.read, 0, 1)?.value;
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

/** The view of that name; the error says which there are. */
export function knownViews<T extends object>(views: T): T {
  return new Proxy(views, {
    get: (target, name, receiver) => {
      if (typeof name === "string" && !(name in target)) {
        throw unknownName("state", name, Object.keys(target));
      }
      return Reflect.get(target, name, receiver);
    },
  });
}
