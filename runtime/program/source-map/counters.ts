/**
 * A copy of a program's instrumented code that counts how often its instructions are reached: for the line
 * coverage of tests, and for nothing else. The rewriter knows nothing of it: counters are put between
 * instructions that it has written, so that charges, marks, faults and results stay as they are.
 *
 *   before an instruction that is counted:   counter[n] += 1
 *   before a select:                         counter[n] += (condition != 0), by a function at the end
 *   the counters, an i64 each:               a memory of their own, imported as "k.counters" behind "k.aux"
 */

import * as op from "../decode/opcodes.ts";
import { Reader } from "../decode/reader.ts";
import { Writer } from "../decode/writer.ts";
import { Code } from "../instrument/code.ts";

/** The index of the memory, behind those of the guest and of the kernel. */
const COUNTERS = 2;
export const COUNTER_BYTES = 8;
const [CUSTOM, TYPES, IMPORTS, FUNCTIONS, CODE] = [0, 1, 2, 3, 10];
/** The kinds of imports. */
const [FUNCTION, MEMORY] = [0, 2];
const HEADER_BYTES = 8;

/** Pairs: where the code of an instruction begins in a body, and where it stands in the original. */
export type Places = readonly number[];

/** Numbers of the counters of an instruction. */
export interface Counters {
  /** Count how often it is reached. */
  readonly reached: readonly number[];
  /** Of a select: counts how often its condition holds. */
  readonly held?: number;
}

/** The counters for the instruction at `offset` of the original. */
export type CountersAt = (functionIndex: number, offset: number) => Counters;

/**
 * The code with counters, and where its instructions stand then. `origins` are those of the program's own
 * functions, by number; functions behind them are the kernel's.
 */
export function withCounters(
  code: Uint8Array,
  origins: ReadonlyMap<number, Places>,
  countersAt: CountersAt,
): { readonly code: Uint8Array; readonly origins: Map<number, Places> } {
  const moved = new Map<number, Places>();
  const reader = new Reader(code, HEADER_BYTES);
  const out = new Writer(code.length * 2);
  out.bytes(code.subarray(0, HEADER_BYTES));
  let noteType = 0;
  let note = 0;
  while (reader.offset < reader.end) {
    const id = reader.u8();
    const start = reader.skip(reader.u32());
    const section = code.subarray(start, reader.offset);
    const [count, rest] = countOf(section);
    switch (id) {
      case CUSTOM: // hints name places that have moved
        continue;
      case TYPES:
        noteType = count;
        out.section(
          id,
          oneMore(count, rest, (more) => more.bytes(NOTE_TYPE)),
        );
        continue;
      case IMPORTS:
        note = importedFunctions(section);
        out.section(id, oneMore(count, rest, importCounters));
        continue;
      case FUNCTIONS:
        note += count;
        out.section(
          id,
          oneMore(count, rest, (more) => more.u32(noteType)),
        );
        continue;
      case CODE:
        out.section(id, bodies(section, origins, countersAt, note, moved));
        continue;
    }
    out.u8(id);
    out.u32(section.length);
    out.bytes(section);
  }
  return { code: out.finish(), origins: moved };
}

/** The number of items of a section, and their bytes. */
function countOf(section: Uint8Array): [count: number, rest: Uint8Array] {
  const reader = new Reader(section);
  const count = reader.u32();
  return [count, section.subarray(reader.offset)];
}

function oneMore(count: number, rest: Uint8Array, write: (out: Writer) => void): Writer {
  const out = new Writer(rest.length + 32);
  out.u32(count + 1);
  out.bytes(rest);
  write(out);
  return out;
}

/** (condition, place of the counter) -> condition */
const NOTE_TYPE = Uint8Array.of(0x60, 2, op.I32, op.I32, 1, op.I32);

function noteCode(): Code {
  const out = new Code(64);
  out.u32(0); // locals
  out.get(1);
  out.get(1);
  out.access(op.I64_LOAD, COUNTERS, 0);
  out.get(0);
  out.op(op.I32_EQZ);
  out.op(op.I32_EQZ);
  out.op(op.I64_EXTEND_I32_U);
  out.op(op.I64_ADD);
  out.access(op.I64_STORE, COUNTERS, 0);
  out.get(0);
  out.end();
  return out;
}

function importCounters(out: Writer): void {
  out.name("k");
  out.name("counters");
  out.u8(MEMORY);
  out.u8(0);
  out.u32(0);
}

function importedFunctions(section: Uint8Array): number {
  const reader = new Reader(section);
  let functions = 0;
  for (let left = reader.u32(); left > 0; left--) {
    reader.skip(reader.u32());
    reader.skip(reader.u32());
    if (reader.u8() === FUNCTION) {
      functions++;
      reader.u32();
    } else if (reader.u8() === 0) {
      reader.u32(); // a memory, the one other kind, without a maximum
    } else {
      reader.u32();
      reader.u32();
    }
  }
  return functions;
}

function bodies(
  section: Uint8Array,
  origins: ReadonlyMap<number, Places>,
  countersAt: CountersAt,
  note: number,
  moved: Map<number, Places>,
): Writer {
  const reader = new Reader(section);
  const out = new Writer(section.length * 2);
  const count = reader.u32();
  out.u32(count + 1);
  // Functions have no gaps, and are told in their order.
  const indices = [...origins.keys()];
  for (let i = 0; i < count; i++) {
    const start = reader.skip(reader.u32());
    const body = section.subarray(start, reader.offset);
    const functionIndex = indices[i];
    if (functionIndex === undefined) {
      out.u32(body.length);
      out.bytes(body);
      continue;
    }
    const written = new Code(body.length * 2);
    const places = origins.get(functionIndex) as Places;
    const at = (offset: number): Counters => countersAt(functionIndex, offset);
    moved.set(functionIndex, counted(body, places, at, note, written));
    out.sized(written);
  }
  out.sized(noteCode());
  return out;
}

/** Writes a body with its counters; its places as they are then. */
function counted(
  body: Uint8Array,
  places: Places,
  countersAt: (offset: number) => Counters,
  note: number,
  out: Code,
): Places {
  const moved: number[] = [];
  let done = 0;
  for (let i = 0; i < places.length; i += 2) {
    const [place, offset] = [places[i] as number, places[i + 1] as number];
    out.bytes(body.subarray(done, place));
    done = place;
    moved.push(out.length, offset);
    const { reached, held } = countersAt(offset);
    for (const counter of reached) count(out, counter);
    if (held === undefined) continue;
    out.i32(held * COUNTER_BYTES);
    out.index(op.CALL, note);
  }
  out.bytes(body.subarray(done));
  return moved;
}

function count(out: Code, counter: number): void {
  out.i32(0);
  out.i32(0);
  out.access(op.I64_LOAD, COUNTERS, counter * COUNTER_BYTES);
  out.i64(1n);
  out.op(op.I64_ADD);
  out.access(op.I64_STORE, COUNTERS, counter * COUNTER_BYTES);
}
