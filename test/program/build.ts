/** Builds small modules for tests, with the rewriter's own writer. */

import * as op from "../../runtime/program/decode/opcodes.ts";
import { Writer } from "../../runtime/program/decode/writer.ts";
import { Code, writeLocals } from "../../runtime/program/instrument/code.ts";

export interface Fn {
  parameters?: readonly number[];
  results?: readonly number[];
  locals?: readonly number[];
  export?: string;
  /** Writes the body without its final `end`. */
  code: (code: Code) => void;
}

export interface Spec {
  /** Further types, after those of imports and functions. */
  types?: readonly (readonly [readonly number[], readonly number[]])[];
  imports?: readonly (readonly [string, string, readonly number[], readonly number[]])[];
  functions?: readonly Fn[];
  tables?: readonly { element?: number; minimum: number; maximum?: number }[];
  memory?: readonly [number, number?] | null;
  globals?: readonly { type: number; mutable?: boolean; initial: (code: Code) => void }[];
  exports?: readonly (readonly [string, number, number])[];
  start?: number;
  elements?: readonly { offset: number; functions: readonly number[]; table?: number }[];
  data?: readonly { offset: number | null; bytes: Uint8Array }[];
}

/** The index of the type, for blocks and call_indirect: types are numbered as given, without duplicates. */
export class Types {
  readonly #keys: string[] = [];
  readonly list: (readonly [readonly number[], readonly number[]])[] = [];

  index(parameters: readonly number[], results: readonly number[]): number {
    const key = `${parameters}>${results}`;
    const known = this.#keys.indexOf(key);
    if (known >= 0) return known;
    this.list.push([parameters, results]);
    return this.#keys.push(key) - 1;
  }
}

export const HEADER = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00);

export function section(id: number, write: (out: Code) => void): Uint8Array {
  const content = new Code();
  write(content);
  const out = new Writer();
  out.section(id, content);
  return out.finish();
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Writer();
  for (const part of parts) out.bytes(part);
  return out.finish();
}

function vector<T>(out: Code, items: readonly T[], write: (item: T) => void): void {
  out.u32(items.length);
  for (const item of items) write(item);
}

export function build(spec: Spec, types = new Types()): Uint8Array {
  const imports = spec.imports ?? [];
  const functions = spec.functions ?? [];
  for (const [parameters, results] of spec.types ?? []) types.index(parameters, results);
  const importTypes = imports.map(([, , parameters, results]) => types.index(parameters, results));
  const functionTypes = functions.map((fn) => types.index(fn.parameters ?? [], fn.results ?? []));
  const bodies = functions.map((fn) => {
    const body = new Code();
    writeLocals(body, fn.locals ?? []);
    fn.code(body);
    body.end();
    return body;
  });
  const parts: Uint8Array[] = [HEADER];
  const add = (id: number, items: number, write: (out: Code) => void) => {
    if (items > 0) parts.push(section(id, write));
  };
  add(1, types.list.length, (out) =>
    vector(out, types.list, ([parameters, results]) => {
      out.u8(0x60);
      for (const list of [parameters, results]) vector(out, list, (type) => out.u8(type));
    }),
  );
  add(2, imports.length, (out) =>
    vector(out, [...imports.entries()], ([index, [module, name]]) => {
      out.name(module);
      out.name(name);
      out.u8(0);
      out.u32(importTypes[index] as number);
    }),
  );
  add(3, functions.length, (out) => vector(out, functionTypes, (type) => out.u32(type)));
  add(4, spec.tables?.length ?? 0, (out) =>
    vector(out, spec.tables ?? [], ({ element, minimum, maximum }) => {
      out.u8(element ?? op.FUNCREF);
      out.u8(maximum === undefined ? 0 : 1);
      out.u32(minimum);
      if (maximum !== undefined) out.u32(maximum);
    }),
  );
  const memory = spec.memory === undefined ? ([1] as const) : spec.memory;
  if (memory !== null) {
    parts.push(
      section(5, (out) => {
        out.u32(1);
        out.u8(memory[1] === undefined ? 0 : 1);
        out.u32(memory[0]);
        if (memory[1] !== undefined) out.u32(memory[1]);
      }),
    );
  }
  add(6, spec.globals?.length ?? 0, (out) =>
    vector(out, spec.globals ?? [], ({ type, mutable, initial }) => {
      out.u8(type);
      out.u8(mutable === false ? 0 : 1);
      initial(out);
      out.end();
    }),
  );
  const exports = functions.flatMap((fn, index) =>
    fn.export === undefined ? [] : [[fn.export, 0, imports.length + index] as const],
  );
  const allExports = [...exports, ...(spec.exports ?? [])];
  add(7, allExports.length, (out) =>
    vector(out, allExports, ([name, kind, index]) => {
      out.name(name);
      out.u8(kind);
      out.u32(index);
    }),
  );
  if (spec.start !== undefined) parts.push(section(8, (out) => out.u32(spec.start as number)));
  add(9, spec.elements?.length ?? 0, (out) =>
    vector(out, spec.elements ?? [], ({ offset, functions: items, table }) => {
      out.u32(table === undefined ? 0 : 2);
      if (table !== undefined) out.u32(table);
      out.i32(offset);
      out.end();
      if (table !== undefined) out.u8(0);
      vector(out, items, (item) => out.u32(item));
    }),
  );
  add(12, spec.data?.length ?? 0, (out) => out.u32(spec.data?.length ?? 0));
  add(10, functions.length, (out) => vector(out, bodies, (body) => out.sized(body)));
  add(11, spec.data?.length ?? 0, (out) =>
    vector(out, spec.data ?? [], ({ offset, bytes }) => {
      out.u32(offset === null ? 1 : 0);
      if (offset !== null) {
        out.i32(offset);
        out.end();
      }
      out.u32(bytes.length);
      out.bytes(bytes);
    }),
  );
  return join(...parts);
}

/** A module with one entry "main" of one parameter (local 0) and the given locals from 1 on. */
export function entry(
  code: (code: Code) => void,
  locals: readonly number[] = [],
  rest: Spec = {},
): Uint8Array {
  const main: Fn = { parameters: [op.I64], results: [op.I64], locals, export: "main", code };
  return build({ ...rest, functions: [main, ...(rest.functions ?? [])] });
}

const I64_GT_S = 0x55;

/** Runs `body` as often as parameter 0, an i64, says, at least once; leaves the rest of it on the stack. */
export function countDown(code: Code, body: () => void): void {
  code.open(op.LOOP);
  body();
  code.get(0);
  code.i64(1n);
  code.op(op.I64_SUB);
  code.tee(0);
  code.i64(0n);
  code.op(I64_GT_S);
  code.index(op.BR_IF, 0);
  code.end();
  code.get(0);
}
