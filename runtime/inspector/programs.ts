/**
 * What programs say of themselves: their interface if they have contracts, and names of their state. So an
 * address becomes a name: `accounts[0xb0b0…].balance`, `fees`, `slots[17] + 8`.
 *
 * A program without contracts may say what its tables consist of (layout.ts).
 */

import type { Read } from "../app/state.ts";
import { placeIn, valueIn } from "../app/state-places.ts";
import { namesBetween } from "../batch/contended.ts";
import { UsageError } from "../errors.ts";
import type { Block, Chain } from "../index.ts";
import { type DeclaredState, readState, type Variable } from "../program/decode/state.ts";
import { Client } from "../typed/client.ts";
import { type Interface, type Region, readInterface } from "../typed/interface.ts";
import { type DataLayout, dataLayout, elementLayout, type Table, TableReader } from "./layout.ts";

/** What is known of a program. */
export interface KnownProgram {
  readonly hash: string;
  readonly bytes: number;
  /** Null: it has no contracts, or its bytes are not there. */
  readonly client: Client | null;
  readonly variables: readonly Variable[];
  readonly stateBytes: number;
  /** Tables whose elements it describes. */
  readonly tables: readonly Table[];
  /** Of the data of its blocks, if it is a root that tells. */
  readonly dataLayout: DataLayout | null;
}

const KEPT = 32;

export class KnownPrograms {
  readonly #chain: Chain;
  readonly #known = new Map<string, KnownProgram>();

  constructor(chain: Chain) {
    this.#chain = chain;
  }

  get(hash: string): KnownProgram {
    const known = this.#known.get(hash);
    if (known !== undefined) return known;
    const program = read(hash, this.#bytes(hash));
    if (this.#known.size === KEPT) this.#known.delete(this.#known.keys().next().value as string);
    this.#known.set(hash, program);
    return program;
  }

  /** Null: the rules of no retained block name it. */
  #bytes(hash: string): Uint8Array | null {
    try {
      return this.#chain.programBytes(hash);
    } catch (error) {
      if (error instanceof UsageError) return null;
      throw error;
    }
  }

  /** Names addresses of the process at `path`, as it is in this block. */
  namesOf(path: readonly number[], block: Block): Names | null {
    const view = this.#chain.inspect(path, block);
    if (view === null) return null;
    const size = view.memoryBytes;
    // A key that lies behind the end is none: a slot is read as far as there is memory.
    const bytes: Read = (address, length) =>
      address + length > size ? new Uint8Array(length) : this.#chain.read(path, address, length, block);
    return new Names(this.get(view.program), bytes);
  }
}

function read(hash: string, bytes: Uint8Array | null): KnownProgram {
  const nothing = { client: null, variables: [], stateBytes: 0, tables: [], dataLayout: null };
  if (bytes === null) return { hash, bytes: 0, ...nothing };
  const declared = readState(bytes);
  const { variables, stateBytes } = declared;
  return {
    ...{ hash, bytes: bytes.length, client: clientOf(bytes), variables, stateBytes },
    tables: tablesOf(declared),
    dataLayout: declared.dataLayout === null ? null : dataLayout(declared.dataLayout),
  };
}

function tablesOf({ variables, layouts, stateBytes }: DeclaredState): Table[] {
  return variables.flatMap(({ name, address, stride }, i) => {
    const text = layouts.get(name);
    const layout = text === undefined || stride === 0 ? null : elementLayout(text);
    const end = Math.min(stateBytes, variables[i + 1]?.address ?? stateBytes);
    return layout === null ? [] : [{ name, address, stride, end, layout }];
  });
}

function clientOf(bytes: Uint8Array): Client | null {
  try {
    return new Client(readInterface(bytes));
  } catch (error) {
    if (error instanceof UsageError) return null;
    throw error;
  }
}

/** The names of a process's state. */
export class Names {
  readonly program: KnownProgram;
  readonly #read: Read;
  readonly #readers = new Map<Table, TableReader>();

  constructor(program: KnownProgram, read: Read) {
    this.program = program;
    this.#read = read;
  }

  get description(): Interface | null {
    return this.program.client?.description ?? null;
  }

  /** What lies from an address on; null: the program says nothing of it. */
  at(address: number, length: number): string | null {
    const region = this.#region(address);
    if (region !== undefined && this.description !== null) {
      return placeIn(this.description, region, this.#read, address - region.at);
    }
    if (address >= this.program.stateBytes) return null;
    const reader = this.tableAt(address);
    if (reader !== null && address + length <= reader.table.end) {
      const name = elementsBetween(reader, address, length);
      if (name !== null) return name;
    }
    return namesBetween(address, address + Math.max(1, length), this.program.variables);
  }

  /** Whether names tell keys, and not only numbers of elements. */
  get areTyped(): boolean {
    return this.description !== null || this.program.tables.length > 0;
  }

  /** Reads the table of that name; null: the program does not describe one. */
  table(name: string): TableReader | null {
    return this.#readerOf(this.program.tables.find((each) => each.name === name));
  }

  /** Reads the table that lies there. */
  tableAt(address: number): TableReader | null {
    return this.#readerOf(this.program.tables.find((each) => address >= each.address && address < each.end));
  }

  #readerOf(table: Table | undefined): TableReader | null {
    if (table === undefined) return null;
    const known = this.#readers.get(table);
    if (known !== undefined) return known;
    const { variables } = this.program;
    const addressOf = (wanted: string) => variables.find(({ name }) => name === wanted)?.address;
    const reader = new TableReader(table, this.#read, addressOf);
    this.#readers.set(table, reader);
    return reader;
  }

  /** The value of the entry that lies there as text, null: there is none, or the program does not tell. */
  valueAt(address: number, text: (value: unknown) => string): string | null {
    const region = this.#region(address);
    if (region !== undefined && this.description !== null) {
      const value = valueIn(this.description, region, this.#read, address - region.at);
      return value === undefined ? null : text(value);
    }
    const reader = this.tableAt(address);
    const element = reader?.at(Math.floor((address - reader.table.address) / reader.table.stride)) ?? null;
    return reader === null || element === null ? null : reader.valueOf(element);
  }

  #region(address: number): Region | undefined {
    return this.description?.state.find(({ at, bytes }) => address >= at && address < at + bytes);
  }
}

/** Elements that a name lists, and those that are looked at for it. */
const LISTED = 4;
const LOOKED_AT = 64;

/** Names of the elements in a range; null: they have none. */
function elementsBetween(reader: TableReader, address: number, length: number): string | null {
  const { table } = reader;
  const first = Math.floor((address - table.address) / table.stride);
  const last = Math.floor((address + Math.max(1, length) - 1 - table.address) / table.stride);
  const names: string[] = [];
  for (let i = first; i <= Math.min(last, first + LOOKED_AT); i++) {
    const element = reader.at(i);
    if (element === null) continue;
    if (names.length === LISTED) return `${names.join(", ")}, …`;
    const from = Math.max(0, address - element.address);
    const to = Math.min(table.stride, address + Math.max(1, length) - element.address);
    names.push(reader.placeIn(element, from, to - from));
  }
  if (names.length > 0) return names.join(", ");
  return first === last ? `${table.name} (free, ${first})` : null;
}
