/**
 * What programs say of themselves: their interface if they have contracts, and names of their state. So an
 * address becomes a name: `accounts[0xb0b0…].balance`, `fees`, `slots[17] + 8`.
 */

import type { Read } from "../app/state.ts";
import { placeIn } from "../app/state-places.ts";
import { namesBetween } from "../batch/contended.ts";
import { UsageError } from "../errors.ts";
import type { Block, Chain } from "../index.ts";
import { readState, type Variable } from "../program/decode/state.ts";
import { Client } from "../typed/client.ts";
import { type Interface, type Region, readInterface } from "../typed/interface.ts";

/** What is known of a program. */
export interface KnownProgram {
  readonly hash: string;
  readonly bytes: number;
  /** Null: it has no contracts, or its bytes are not there. */
  readonly client: Client | null;
  readonly variables: readonly Variable[];
  readonly stateBytes: number;
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
  if (bytes === null) return { hash, bytes: 0, client: null, variables: [], stateBytes: 0 };
  const { variables, stateBytes } = readState(bytes);
  return { hash, bytes: bytes.length, client: clientOf(bytes), variables, stateBytes };
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
    return namesBetween(address, address + Math.max(1, length), this.program.variables);
  }

  #region(address: number): Region | undefined {
    return this.description?.state.find(({ at, bytes }) => address >= at && address < at + bytes);
  }
}
