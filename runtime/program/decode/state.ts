/**
 * What a module says of its state and globals, read without checking the rest of it: for the compiler, which
 * lays memory out by it, and for messages to people. What is wrong with a module is found at its admission.
 *
 * State is declared by exported constants, i32: STATE_BYTES says where it ends. Any other STATE_NAME is the
 * address at which a variable or a table called "name" begins, and STATE_NAME_STRIDE the bytes from one of
 * its elements to the next. They only give names for reports.
 */

import { AdmissionError } from "../admission-error.ts";
import { STATE_BYTES } from "./module.ts";
import * as op from "./opcodes.ts";
import { Reader } from "./reader.ts";

export interface DeclaredState {
  /** The exported constant STATE_BYTES; 0 without one. */
  readonly stateBytes: number;
  /** Initial memory, in pages of 64 KiB. */
  readonly memoryPages: number;
  /** By their addresses, ascending. */
  readonly variables: readonly Variable[];
}

/** What lies in the state, from an address up to that of the next. */
export interface Variable {
  readonly name: string;
  readonly address: number;
  /** Of an array, the bytes from one element to the next; else 0. */
  readonly stride: number;
}

/** The section of globals, and the prefix of a constant of type v128. */
const GLOBALS = 6;
const PREFIX_V128 = 0xfd;
const NOTHING: DeclaredState = { stateBytes: 0, memoryPages: 0, variables: [] };
/** Nothing else of a name is shown to people. */
const NAME = /^STATE_(\w{1,64})$/;
const STRIDE = "_STRIDE";

export function readState(bytes: Uint8Array): DeclaredState {
  return ifSound(() => read(new Reader(bytes, 8)), NOTHING);
}

/** For each word of 8 bytes of a module's saved globals (layout.ts) the number of its global. */
export function savedGlobals(bytes: Uint8Array): number[] {
  return ifSound(() => readSaved(new Reader(bytes, 8)), []);
}

function ifSound<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof AdmissionError) return otherwise;
    throw error;
  }
}

function readSaved(reader: Reader): number[] {
  const { end } = reader;
  while (reader.offset < end) {
    const id = reader.u8();
    const size = reader.u32();
    if (id === GLOBALS) {
      const globals = Array.from({ length: reader.u32() }, () => readGlobal(reader));
      return globals.flatMap(({ type, mutable }, index) =>
        mutable ? new Array<number>(type === op.V128 ? 2 : 1).fill(index) : [],
      );
    }
    reader.skip(size);
  }
  return [];
}

function read(reader: Reader): DeclaredState {
  let memoryPages = 0;
  let globals: (number | null)[] = [];
  const constants = new Map<string, number>();
  const { end } = reader;
  while (reader.offset < end) {
    const id = reader.u8();
    const size = reader.u32();
    const next = reader.offset + size;
    if (id === 5) {
      reader.offset += 2; // one memory, its flags
      memoryPages = reader.u32();
    } else if (id === GLOBALS) {
      globals = Array.from({ length: reader.u32() }, () => constantOf(readGlobal(reader)));
    } else if (id === 7) {
      for (let rest = reader.u32(); rest > 0; rest--) {
        const name = reader.name(size);
        const kind = reader.u8();
        const index = reader.u32();
        const value = kind === 3 ? globals[index] : null;
        if (typeof value === "number" && NAME.test(name)) constants.set(name, value);
      }
    }
    reader.offset = next;
  }
  return { stateBytes: constants.get(STATE_BYTES) ?? 0, memoryPages, variables: variablesOf(constants) };
}

function variablesOf(constants: ReadonlyMap<string, number>): Variable[] {
  const variables: Variable[] = [];
  for (const [name, address] of constants) {
    const owner = name.endsWith(STRIDE) ? name.slice(0, -STRIDE.length) : null;
    if (name === STATE_BYTES || (owner !== null && constants.has(owner))) continue;
    const stride = constants.get(name + STRIDE) ?? 0;
    variables.push({ name: name.replace(NAME, "$1").toLowerCase(), address, stride });
  }
  return variables.sort((a, b) => a.address - b.address);
}

interface DeclaredGlobal {
  readonly type: number;
  readonly mutable: boolean;
  /** What an i32 begins with, unsigned; null for other types. */
  readonly value: number | null;
}

/** The value of a constant of type i32; null for other globals. */
function constantOf({ mutable, value }: DeclaredGlobal): number | null {
  return mutable ? null : value;
}

function readGlobal(reader: Reader): DeclaredGlobal {
  const type = reader.u8();
  const mutable = reader.u8() === 1;
  let value: number | null = null;
  for (let opcode = reader.u8(); opcode !== op.END; opcode = reader.u8()) {
    if (opcode === op.I32_CONST) value = reader.s32() >>> 0;
    else if (opcode === op.I64_CONST) reader.s64();
    else if (opcode === op.F32_CONST) reader.offset += 4;
    else if (opcode === op.F64_CONST) reader.offset += 8;
    else if (opcode === PREFIX_V128) {
      reader.u32();
      reader.offset += 16;
    } else if (opcode === op.REF_NULL) reader.u8();
    else if (opcode === op.REF_FUNC || opcode === op.GLOBAL_GET) reader.u32();
    else reader.fail("malformed", "An initial value that compilers of guests do not write");
  }
  return { type, mutable, value };
}
