/** Modules whose instances, code or instructions are as expensive as the limits of admission allow. */

import { WASM_PAGE_BYTES } from "../../runtime/limits.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import { build, countDown, type Fn } from "../program/build.ts";

const ENTRY = { parameters: [op.I64], results: [op.I64] } as const;
const DROP = 0x1a;
const MEMORY_GROW = 0x40;
const I64X2_SPLAT = op.PREFIX_FD + 18;

function entry(name: string, code: (code: Code) => void, locals: readonly number[] = []): Fn {
  return { ...ENTRY, export: name, locals, code };
}

const nothing = entry("nothing", (code) => code.get(0));

/** Grows by a page and traps: the instance is of no more use. */
const growTrap = entry("growTrap", (code) => {
  code.i32(1);
  code.u8(MEMORY_GROW);
  code.u8(0);
  code.u8(DROP);
  code.op(op.UNREACHABLE);
});

/** A table of so many elements. */
export function tableModule(elements: number): Uint8Array {
  const functions = Array.from({ length: elements }, () => 0);
  return build({
    tables: [{ minimum: elements, maximum: elements }],
    memory: [1, 2],
    functions: [nothing, growTrap],
    elements: [{ offset: 0, functions }],
  });
}

/** Grows its memory by as many pages as the argument says. */
export function growerModule(maximum = 300): Uint8Array {
  const grow = entry("grow", (code) => {
    code.get(0);
    code.op(op.I32_WRAP_I64);
    code.u8(MEMORY_GROW);
    code.u8(0);
    code.op(op.I64_EXTEND_I32_U);
  });
  return build({ memory: [1, maximum], functions: [nothing, grow, growTrap] });
}

/** So many mutable globals of 16 bytes; "change" changes the last. */
export function globalsModule(count: number): Uint8Array {
  const zero = (code: Code, last = 0): void => {
    code.op(op.V128_CONST);
    for (let i = 0; i < 16; i++) code.u8(i === 0 ? last : 0);
  };
  const change = entry("change", (code) => {
    code.get(0);
    code.op(I64X2_SPLAT);
    code.index(op.GLOBAL_SET, count - 1);
    code.get(0);
  });
  return build({
    memory: [1, 2],
    globals: Array.from({ length: count }, () => ({ type: op.V128, initial: (code: Code) => zero(code) })),
    functions: [nothing, change],
  });
}

/** A tiny program, one for each `number`; `maximum`: of its memory, in pages of 64 KiB. */
export function tinyModule(number: number, maximum = 1): Uint8Array {
  const data = [{ offset: 0, bytes: new Uint8Array(Uint32Array.of(number + 1).buffer) }];
  return build({ memory: [1, maximum], functions: [nothing], data });
}

/** A program whose code takes long to make: many loops that store. */
export function loopsModule(loops: number, number = 0): Uint8Array {
  const stores: Fn = {
    ...ENTRY,
    locals: [op.I32],
    code: (code) => {
      for (let i = 0; i < loops; i++) {
        code.open(op.LOOP);
        code.get(1);
        code.get(0);
        code.access(op.I64_STORE, 0, 8 * (i % 8000));
        code.end();
      }
      code.get(0);
    },
  };
  const data = [{ offset: 0, bytes: new Uint8Array(Uint32Array.of(number + 1).buffer) }];
  return build({ memory: [1, 1], functions: [nothing, stores], data });
}

/** `size` bytes of instructions that do nothing, in a loop that turns as often as the argument says. */
export function freeModule(kind: "moves" | "blocks" | "constants", size = 20_000): Uint8Array {
  const LOCALS = 4000;
  const body = entry(
    "run",
    (code) => {
      const start = code.length;
      countDown(code, () => {
        for (let i = 0; code.length - start < size; i++) {
          if (kind === "moves") {
            code.get(1 + (i % LOCALS));
            code.set(1 + ((i * 7 + 1) % LOCALS));
          } else if (kind === "constants") {
            code.i64(BigInt(i));
            code.set(1 + ((i * 7 + 1) % LOCALS));
          } else {
            code.open(op.BLOCK);
            code.end();
            code.get(1 + (i % LOCALS));
            code.u8(DROP);
          }
        }
      });
    },
    Array.from({ length: LOCALS }, () => op.I64),
  );
  return build({ memory: [1, 1], functions: [body] });
}

/** How much a module has of what an instance and its image are made of, within the limits of admission. */
export interface Shape {
  /** Mutable, 16 bytes each; and immutable ones. */
  readonly globals: number;
  readonly constants: number;
  readonly tables: number;
  /** Of all tables together, all of them filled. */
  readonly elements: number;
  /** Entries beside "nothing", "change" and "growTrap": `entryName` says how they are called. */
  readonly entries: number;
  readonly functions: number;
  /** Segments of data that lie at equal distances in all of the initial memory; and passive ones. */
  readonly segments: number;
  readonly passive: number;
  /** Of the initial memory. */
  readonly memoryPages: number;
}

/** The name of entry `i` of a shaped module: from one to a thousand bytes. */
export function entryName(i: number): string {
  return `${i}`.padEnd((i * 7_919) % 1_000, "_");
}

/** A module of this shape. */
export function shapedModule(shape: Shape): Uint8Array {
  const vector = (code: Code): void => {
    code.op(op.V128_CONST);
    for (let i = 0; i < 16; i++) code.u8(i);
  };
  const mutable = Array.from({ length: shape.globals }, () => ({ type: op.V128, initial: vector }));
  const constants = Array.from({ length: shape.constants }, () => {
    return { type: op.V128, mutable: false, initial: vector };
  });
  const change = entry("change", (code) => {
    if (shape.globals > 0) {
      code.get(0);
      code.op(I64X2_SPLAT);
      code.index(op.GLOBAL_SET, shape.globals - 1);
    }
    code.get(0);
  });
  const functions = [nothing, change, growTrap];
  for (let i = 0; i < shape.functions; i++) functions.push({ ...ENTRY, code: (code) => code.get(0) });
  const each = Math.floor(shape.elements / Math.max(shape.tables, 1));
  const tables = Array.from({ length: shape.tables }, () => ({ minimum: each, maximum: each }));
  const filling = tables.map((_, table) => {
    return { table, offset: 0, functions: Array.from({ length: each }, (_, i) => i % functions.length) };
  });
  const distance = Math.floor((shape.memoryPages * WASM_PAGE_BYTES) / Math.max(shape.segments, 1));
  const bytes = Uint8Array.of(1, 2, 3);
  const active = Array.from({ length: shape.segments }, (_, i) => ({ offset: i * distance, bytes }));
  const passive = Array.from({ length: shape.passive }, () => ({ offset: null, bytes }));
  return build({
    memory: [shape.memoryPages, shape.memoryPages + 2],
    tables,
    globals: [...mutable, ...constants],
    functions,
    exports: Array.from({ length: shape.entries }, (_, i) => [entryName(i), 0, i % functions.length]),
    elements: filling,
    data: [...active, ...passive],
  });
}
