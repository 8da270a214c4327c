/**
 * Gives a module entries through which a program's host can reach all it exports. For each exported function,
 * an entry that takes its arguments from added mutable globals and leaves its results there; for each
 * exported global, one that leaves its value there. The host reads and writes those globals as it does with
 * any program's, so all bits arrive, and the module is admitted and instrumented as it would be in
 * production.
 */

import { type Module, typeOfFunction } from "../../runtime/program/decode/model.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import { Reader } from "../../runtime/program/decode/reader.ts";
import { Writer } from "../../runtime/program/decode/writer.ts";
import { Code } from "../../runtime/program/instrument/code.ts";
import { globalBytes } from "../../runtime/program/instrument/glue.ts";

const { I32, I64, F32, F64, V128 } = op;
const ORDER = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11];

/**
 * A value at a place in the area of globals. References are not there: parameters are null, results are an
 * i32.
 */
export interface Slot {
  readonly type: number | "reference";
  /** In bytes; -1 for a parameter that is a reference. */
  readonly place: number;
}

/** Something that the module exports. */
export interface Field {
  readonly kind: "function" | "global";
  readonly entry: string;
  readonly parameters: readonly Slot[];
  readonly results: readonly Slot[];
}

export interface Extended {
  readonly bytes: Uint8Array;
  readonly fields: ReadonlyMap<string, Field>;
}

/** Extends a module that was decoded and is valid. */
export function extend(bytes: Uint8Array, module: Module): Extended {
  const sections = split(bytes);
  const slots = new Slots(module);
  const fields = new Map<string, Field>();
  const bodies: Code[] = [];
  const exports = new Code();
  for (const { name, kind, index } of exportsOf(sections.get(7))) {
    if (kind !== 0 && kind !== 3) continue;
    const type = kind === 0 ? typeOfFunction(module, index) : null;
    const results = type?.results ?? [module.globals[index]?.type as number];
    const entry = `\u0000${fields.size}`;
    const parameterSlots = slots.of(type?.parameters ?? [], -1);
    const resultSlots = slots.of(results, I32);
    const body = new Code();
    body.u32(0);
    parameterSlots.forEach(({ slot, global }, position) => {
      if (slot.place >= 0) {
        body.index(op.GLOBAL_GET, global);
      } else {
        body.op(op.REF_NULL);
        body.u8(type?.parameters[position] as number);
      }
    });
    body.index(kind === 0 ? op.CALL : op.GLOBAL_GET, index);
    for (const { slot, global } of resultSlots.toReversed()) {
      if (slot.type === "reference") {
        body.op(op.REF_IS_NULL);
        body.op(op.I32_EQZ);
      }
      body.index(op.GLOBAL_SET, global);
    }
    body.i64(0n);
    body.end();
    exports.name(entry);
    exports.u8(0);
    exports.u32(module.functions.length + bodies.length);
    bodies.push(body);
    fields.set(name, {
      kind: kind === 0 ? "function" : "global",
      entry,
      parameters: parameterSlots.map(({ slot }) => slot),
      results: resultSlots.map(({ slot }) => slot),
    });
  }
  const types = new Code();
  types.bytes(Uint8Array.of(0x60, 1, I64, 1, I64));
  const functions = new Code();
  for (let count = 0; count < bodies.length; count++) functions.u32(module.types.length);
  const code = new Code();
  for (const body of bodies) code.sized(body);
  sections.set(1, append(sections.get(1), 1, types));
  sections.set(3, append(sections.get(3), bodies.length, functions));
  sections.set(6, append(sections.get(6), slots.count, slots.definitions));
  sections.set(7, append(sections.get(7), bodies.length, exports));
  sections.set(10, append(sections.get(10), bodies.length, code));
  return { bytes: joined(sections), fields };
}

/** The added globals: for each type as many as one function needs. */
class Slots {
  readonly definitions = new Code();
  count = 0;
  readonly #first: number;
  readonly #known = new Map<string, { global: number; place: number }>();
  #place: number;

  constructor(module: Module) {
    this.#first = module.globals.length;
    const mutable = module.globals.filter((global) => global.mutable);
    this.#place = mutable.reduce((sum, global) => sum + globalBytes(global.type), 0);
  }

  /** One for each of the types; for references one of type `references`, or none if that is -1. */
  of(types: Iterable<number>, references: number): { slot: Slot; global: number }[] {
    const used = new Map<number, number>();
    return [...types].map((type) => {
      const reference = op.isReference(type);
      const held = reference ? references : type;
      if (held === -1) return { slot: { type: "reference", place: -1 }, global: -1 };
      const position = used.get(held) ?? 0;
      used.set(held, position + 1);
      const { global, place } = this.#get(held, position);
      return { slot: { type: reference ? "reference" : type, place }, global };
    });
  }

  #get(type: number, position: number): { global: number; place: number } {
    const key = `${type} ${position}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const made = { global: this.#first + this.count++, place: this.#place };
    this.#place += globalBytes(type);
    this.#known.set(key, made);
    this.definitions.u8(type);
    this.definitions.u8(1);
    if (type === I32) this.definitions.i32(0);
    if (type === I64) this.definitions.i64(0n);
    if (type === F32) this.definitions.bytes(Uint8Array.of(0x43, 0, 0, 0, 0));
    if (type === F64) this.definitions.bytes(Uint8Array.of(0x44, 0, 0, 0, 0, 0, 0, 0, 0));
    if (type === V128) {
      this.definitions.op(op.V128_CONST);
      this.definitions.bytes(new Uint8Array(16));
    }
    this.definitions.end();
    return made;
  }
}

/** Contents of the sections, by id, without custom ones. */
function split(bytes: Uint8Array): Map<number, Uint8Array> {
  const sections = new Map<number, Uint8Array>();
  const reader = new Reader(bytes, 8);
  while (reader.offset < reader.end) {
    const id = reader.u8();
    const size = reader.u32();
    const from = reader.skip(size);
    if (id !== 0) sections.set(id, bytes.subarray(from, from + size));
  }
  return sections;
}

function exportsOf(content: Uint8Array | undefined): { name: string; kind: number; index: number }[] {
  if (content === undefined) return [];
  const reader = new Reader(content);
  return Array.from({ length: reader.u32() }, () => ({
    name: reader.name(content.length),
    kind: reader.u8(),
    index: reader.u32(),
  }));
}

/** A section's content with items added at its end. */
function append(content: Uint8Array | undefined, count: number, items: Code): Uint8Array {
  const reader = new Reader(content ?? Uint8Array.of(0));
  const out = new Writer();
  out.u32(reader.u32() + count);
  out.bytes(reader.bytes.subarray(reader.offset));
  out.bytes(items.view());
  return out.finish();
}

function joined(sections: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const out = new Writer();
  out.bytes(Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00));
  for (const id of ORDER) {
    const content = sections.get(id);
    if (content === undefined) continue;
    out.u8(id);
    out.u32(content.length);
    out.bytes(content);
  }
  return out.finish();
}
