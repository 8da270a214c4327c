/**
 * What a module says of its state and globals, read without checking the rest of it: for the compiler, which
 * lays memory out by it, and for messages to people. What is wrong with a module is found at its admission.
 *
 * State is declared by exported constants, i32: STATE_BYTES says where it ends. Any other STATE_NAME is the
 * address at which a variable or a table called "name" begins, and STATE_NAME_STRIDE the bytes from one of
 * its elements to the next. They only give names for reports. So do two constant strings of AssemblyScript:
 * STATE_NAME_LAYOUT, which says what an element consists of, and BLOCK_DATA_LAYOUT, the data of a root's
 * blocks. What is written there is for tools (inspector/layout.ts).
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
  /** What tables consist of, as it is written, by their names. */
  readonly layouts: ReadonlyMap<string, string>;
  /** The same of a root's blocks; null: it does not tell. */
  readonly dataLayout: string | null;
}

/** What lies in the state, from an address up to that of the next. */
export interface Variable {
  readonly name: string;
  readonly address: number;
  /** Of an array, the bytes from one element to the next; else 0. */
  readonly stride: number;
}

/** Sections of globals, exports and data, and the prefix of a constant of type v128. */
const GLOBALS = 6;
const EXPORTS = 7;
const DATA = 11;
const PREFIX_V128 = 0xfd;
const NOTHING: DeclaredState = {
  ...{ stateBytes: 0, memoryPages: 0, variables: [] },
  ...{ layouts: new Map(), dataLayout: null },
};
/** Nothing else of a name is shown to people. */
const NAME = /^STATE_(\w{1,64})$/;
const STRIDE = "_STRIDE";
const LAYOUT = "_LAYOUT";
const DATA_LAYOUT = "BLOCK_DATA_LAYOUT";
/** Of a layout; what is longer is not read. */
const TEXT_BYTES = 32 << 10;

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
  let segments: readonly Segment[] = [];
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
    } else if (id === EXPORTS) {
      for (let rest = reader.u32(); rest > 0; rest--) {
        const name = reader.name(size);
        const kind = reader.u8();
        const index = reader.u32();
        const value = kind === 3 ? globals[index] : null;
        const isTold = NAME.test(name) || name === DATA_LAYOUT;
        if (typeof value === "number" && isTold) constants.set(name, value);
      }
    } else if (id === DATA) {
      segments = readSegments(reader);
    }
    reader.offset = next;
  }
  const dataLayout = constants.get(DATA_LAYOUT);
  constants.delete(DATA_LAYOUT);
  const layouts = new Map<string, string>();
  for (const [name, address] of constants) {
    if (!isOf(name, LAYOUT, constants)) continue;
    const text = textAt(segments, address);
    if (text !== null) layouts.set(shortName(name.slice(0, -LAYOUT.length)), text);
  }
  return {
    stateBytes: constants.get(STATE_BYTES) ?? 0,
    memoryPages,
    variables: variablesOf(constants),
    layouts,
    dataLayout: dataLayout === undefined ? null : textAt(segments, dataLayout),
  };
}

interface Segment {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** Segments that lie at a constant address. */
function readSegments(reader: Reader): Segment[] {
  const segments: Segment[] = [];
  for (let rest = reader.u32(); rest > 0; rest--) {
    const flags = reader.u32();
    if (flags === 2) reader.u32();
    const address = flags === 1 ? null : constantAddress(reader);
    const length = reader.u32();
    const from = reader.skip(length);
    if (address !== null) segments.push({ address, bytes: reader.bytes.subarray(from, from + length) });
  }
  return segments;
}

function constantAddress(reader: Reader): number | null {
  if (reader.u8() !== op.I32_CONST) return reader.fail("malformed", "A segment at no constant address");
  const address = reader.s32() >>> 0;
  return reader.u8() === op.END ? address : reader.fail("malformed", "A segment at no constant address");
}

/** A string of AssemblyScript: its bytes are counted in front of it, two for each character. */
function textAt(segments: readonly Segment[], address: number): string | null {
  const found = segments.find(
    (each) => address - 4 >= each.address && address < each.address + each.bytes.length,
  );
  if (found === undefined) return null;
  const { bytes } = found;
  const at = address - found.address;
  const length = Buffer.from(bytes.buffer, bytes.byteOffset + at - 4, 4).readUInt32LE();
  // A segment does not have its last zeros.
  if (length > TEXT_BYTES || at + length > bytes.length + 1) return null;
  const text = Buffer.alloc(length);
  text.set(bytes.subarray(at, at + length));
  return text.toString("utf16le");
}

/** Whether a constant only says something of another one. */
function isOf(name: string, ending: string, constants: ReadonlyMap<string, number>): boolean {
  return name.endsWith(ending) && constants.has(name.slice(0, -ending.length));
}

function shortName(name: string): string {
  return name.replace(NAME, "$1").toLowerCase();
}

function variablesOf(constants: ReadonlyMap<string, number>): Variable[] {
  const variables: Variable[] = [];
  for (const [name, address] of constants) {
    if (name === STATE_BYTES || isOf(name, STRIDE, constants) || isOf(name, LAYOUT, constants)) continue;
    const stride = constants.get(name + STRIDE) ?? 0;
    variables.push({ name: shortName(name), address, stride });
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
