/** Memory of a process: bytes with what lies there by name, and collections of its state as values. */

import { entryCount, type PlacedEntry, statePart } from "../../app/state-places.ts";
import { unknownName } from "../../arguments.ts";
import { described, StoreError, UsageError } from "../../errors.ts";
import type { Block, Chain } from "../../index.ts";
import { canonical, type Interface, type Region } from "../../typed/interface.ts";
import { LINE_BYTES, PAGE_BYTES } from "../../units.ts";
import type { TableReader } from "../layout.ts";
import type { Names } from "../programs.ts";
import type { Query } from "../query.ts";
import type { Source } from "../source.ts";
import { clipped, textOf } from "./text.ts";

const BYTES = 1024;
const BYTES_MAX = 16 * PAGE_BYTES;
const NAMES = 64;
const REGIONS = 200;
const ENTRIES = 40;
const VALUE_MAX = 400;

/** Bytes that cannot be read. */
export interface DamagedBytes {
  readonly address: number;
  readonly length: number;
  readonly reason: string;
}

/** What lies in a line, and the value of the entry that it belongs to. */
export interface NamedLine {
  readonly address: number;
  readonly name: string;
  readonly value: string | null;
}

export interface MemoryView {
  readonly block: string;
  readonly height: number;
  readonly path: readonly number[];
  readonly memoryBytes: number;
  readonly address: number;
  readonly length: number;
  /** In hex; what cannot be read is zeros, and listed. */
  readonly hex: string;
  /** The same range in the block that it is compared with; null: with none. */
  readonly base: { readonly block: string; readonly hex: string } | null;
  /** Names of lines of 64 bytes, the first 64 that have one. */
  readonly names: readonly NamedLine[];
  readonly damaged: readonly DamagedBytes[];
  /** Variables of the program's state, for a way there. */
  readonly regions: readonly RegionView[];
}

/** A collection or variable of the state. */
export interface RegionView {
  readonly name: string;
  /** "StateMap<address, Account>"; null: the program does not tell. */
  readonly type: string | null;
  readonly address: number;
  /** Null: unknown. */
  readonly bytes: number | null;
  readonly capacity: number | null;
}

export function memoryView(source: Source, query: Query): MemoryView {
  const { chain, programs } = source;
  const block = source.block(query.id());
  const path = query.path();
  const { memoryBytes } = processOf(chain, block, path);
  const address = query.integer("address", 0, 0, Math.max(0, memoryBytes - 1));
  const wanted = query.integer("length", BYTES, 1, BYTES_MAX);
  const length = Math.min(wanted, memoryBytes - address);
  const damaged: DamagedBytes[] = [];
  const bytes = wholeBytes(chain, block, path, address, length, damaged);
  const names = damaged.length > 0 ? null : programs.namesOf(path, block);
  const base = query.id("base");
  return {
    ...{ block: block.id, height: block.height, path, memoryBytes, address, length, damaged },
    hex: Buffer.from(bytes).toString("hex"),
    base: base === null ? null : baseOf(chain, chain.blockOf(base), path, address, length),
    names: names === null ? [] : lineNames(names, address, bytes),
    regions: names === null ? [] : regionsOf(names),
  };
}

function processOf(chain: Chain, block: Block, path: readonly number[]) {
  const view = chain.inspect(path, block);
  if (view !== null) return view;
  const text = `block ${block.height} has no process /${path.join("/")}`;
  throw new UsageError("NO_PROCESS", text, { path: path.join("/") });
}

/** Page by page, so that one that is damaged hides no other. */
function wholeBytes(
  chain: Chain,
  block: Block,
  path: readonly number[],
  address: number,
  length: number,
  damaged: DamagedBytes[],
): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = address; at < address + length; ) {
    const size = Math.min(PAGE_BYTES - (at % PAGE_BYTES), address + length - at);
    try {
      bytes.set(chain.read(path, at, size, block), at - address);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      damaged.push({ address: at, length: size, reason: error.message });
    }
    at += size;
  }
  return bytes;
}

function baseOf(
  chain: Chain,
  block: Block,
  path: readonly number[],
  address: number,
  length: number,
): MemoryView["base"] {
  const size = chain.inspect(path, block)?.memoryBytes ?? 0;
  const there = Math.max(0, Math.min(length, size - address));
  const bytes = new Uint8Array(length);
  if (there > 0) bytes.set(chain.read(path, address, there, block));
  return { block: block.id, hex: Buffer.from(bytes).toString("hex") };
}

/** Of lines that hold anything. */
function lineNames(names: Names, address: number, bytes: Uint8Array): MemoryView["names"] {
  const found: NamedLine[] = [];
  const first = address - (address % LINE_BYTES);
  for (let line = first; line < address + bytes.length && found.length < NAMES; line += LINE_BYTES) {
    const own = bytes.subarray(Math.max(0, line - address), line - address + LINE_BYTES);
    if (own.every((byte) => byte === 0)) continue;
    const name = clipped(names.at(line, LINE_BYTES));
    if (name === null) continue;
    const value = names.valueAt(line, (each) => textOf(each, VALUE_MAX));
    found.push({ address: line, name, value: clipped(value, VALUE_MAX) });
  }
  return found;
}

function regionsOf(names: Names): RegionView[] {
  const { description, program } = names;
  if (description !== null)
    return description.state.slice(0, REGIONS).map((each) => regionOf(description, each));
  return program.variables.slice(0, REGIONS).map(({ name, address }, i) => {
    const table = names.table(name);
    if (table !== null) return regionOfTable(table);
    const end = program.variables[i + 1]?.address ?? program.stateBytes;
    return { name, type: null, address, bytes: end > address ? end - address : null, capacity: null };
  });
}

function regionOfTable({ table, count }: TableReader): RegionView {
  const { name, address, end, layout } = table;
  const type = layout.kinds.map((kind) => kind.name).join(" | ");
  return { name, type, address, bytes: end - address, capacity: count };
}

function regionOf(description: Interface, { name, kind, types, capacity, at, bytes }: Region): RegionView {
  const words = types.map((type) => typeText(description, type));
  return { name, type: `${kind}<${words.join(", ")}>`, address: at, bytes, capacity };
}

function typeText(description: Interface, type: Region["types"][number]): string {
  if (type.kind === "record") return type.name;
  if (type.kind === "fixed") return type.name;
  return canonical(
    type,
    (name) => description.records.find((record) => record.name === name) ?? { fields: [] },
  );
}

/** An entry of a collection as text. */
export interface EntryRow {
  /** Null of a cell. */
  readonly key: string | null;
  readonly value: string | null;
  readonly address: number;
  readonly bytes: number;
}

export interface StateView {
  readonly block: string;
  readonly path: readonly number[];
  readonly region: RegionView;
  /** Null: nothing counts them but a look at all. */
  readonly count: number | null;
  readonly from: number;
  readonly next: number | null;
  readonly entries: readonly EntryRow[];
}

export function stateView(source: Source, query: Query): StateView {
  const { chain, programs } = source;
  const block = source.block(query.id());
  const path = query.path();
  const name = query.text("name");
  const { program } = processOf(chain, block, path);
  const { client, tables } = programs.get(program);
  const from = query.integer("from", 0, 0, 2 ** 32);
  const table = name === null ? null : (programs.namesOf(path, block)?.table(name) ?? null);
  if (table !== null) return tableView(block, path, table, from);
  const description = client?.description;
  const region = description?.state.find((each) => each.name === name);
  if (description === undefined || region === undefined) {
    const known = [...(description?.state ?? []), ...tables].map((each) => each.name);
    throw unknownName("collection", described(name), known);
  }
  const read = (address: number, length: number) => chain.read(path, address, length, block);
  const { entries, next } = statePart(description, region, read, from, ENTRIES);
  return {
    ...{ block: block.id, path, from, next },
    region: regionOf(description, region),
    count: entryCount(region, read),
    entries: entries.map(rowOf),
  };
}

function rowOf({ key, index, value, address, bytes }: PlacedEntry): EntryRow {
  const name = index !== null ? String(index) : key === null ? null : textOf(key);
  return { key: name, value: value === undefined ? null : textOf(value, VALUE_MAX), address, bytes };
}

function tableView(block: Block, path: readonly number[], reader: TableReader, from: number): StateView {
  const { elements, next } = reader.part(from, ENTRIES);
  return {
    ...{ block: block.id, path, from, next, count: null },
    region: regionOfTable(reader),
    entries: elements.map((element) => ({
      key: clipped(reader.nameOf(element)),
      value: clipped(reader.valueOf(element), VALUE_MAX),
      address: element.address,
      bytes: element.bytes.length,
    })),
  };
}
