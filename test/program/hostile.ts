/**
 * Modules made to cost admission as much as they can for their size: each family grows with `size`, from 0 to
 * 1, up to the limits.
 */

import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import { build, type Fn } from "./build.ts";

const { I32, I64, F64 } = op;
const F64_ADD = 0xa0;
/** Bytes of the largest function made here. */
const BODY = 1_000_000;

/** Repeats code until a body of `size` times BODY bytes is full. */
function fill(size: number, code: Code, once: (index: number) => void): void {
  for (let index = 0; code.length < size * BODY; index++) once(index);
}

const single = (code: (code: Code) => void, locals: readonly number[] = [], types?: [number[], number[]][]) =>
  build({
    types: types ?? [],
    functions: [{ parameters: [I64], results: [I64], locals, export: "main", code }],
    tables: [{ minimum: 1 }],
  });
const many = (count: number, make: (index: number) => Fn, table = 1) =>
  build({
    functions: Array.from({ length: count }, (_, index) => make(index)),
    tables: [{ minimum: table }],
    elements: table > 1 ? [{ offset: 0, functions: Array.from({ length: table }, (_, i) => i % count) }] : [],
  });
const HUNDRED = new Array<number>(100).fill(I32);

export const FAMILIES: Readonly<Record<string, (size: number) => Uint8Array>> = {
  "empty blocks": (size) =>
    single((code) => {
      fill(size, code, () => {
        code.open(op.BLOCK);
        code.end();
      });
      code.get(0);
    }),
  "nested loops with stores": (size) =>
    single(
      (code) => {
        fill(size, code, () => {
          for (let depth = 0; depth < 990; depth++) {
            code.open(op.LOOP);
            code.get(1);
            code.get(0);
            code.access(op.I64_STORE, 0, 8 * depth);
          }
          for (let depth = 0; depth < 990; depth++) code.end();
        });
        code.get(0);
      },
      [I32],
    ),
  "nested ifs": (size) =>
    single((code) => {
      fill(size, code, () => {
        for (let depth = 0; depth < 990; depth++) {
          code.i32(1);
          code.open(op.IF);
        }
        for (let depth = 0; depth < 990; depth++) {
          code.op(op.ELSE);
          code.end();
        }
      });
      code.get(0);
    }),
  "blocks with a hundred parameters and results": (size) =>
    single(
      (code) => {
        for (const _ of HUNDRED) code.i32(0);
        fill(size, code, () => {
          code.u8(op.BLOCK);
          code.s32(0);
          code.end();
        });
        for (const _ of HUNDRED) code.op(op.DROP);
        code.get(0);
      },
      [],
      [[HUNDRED, HUNDRED]],
    ),
  "branch tables to many labels with many results": (size) =>
    single(
      (code) => {
        for (const _ of HUNDRED) code.i32(0);
        for (let depth = 0; depth < 900; depth++) {
          code.u8(op.BLOCK);
          code.s32(0);
        }
        code.op(op.UNREACHABLE);
        for (const _ of HUNDRED) code.i32(0);
        fill(size, code, () => {
          code.i32(0);
          code.op(op.BR_TABLE);
          code.u32(899);
          for (let label = 0; label < 900; label++) code.u32(label);
          for (const _ of HUNDRED) code.i32(0);
        });
        for (let depth = 0; depth < 900; depth++) code.end();
        for (const _ of HUNDRED) code.op(op.DROP);
        code.get(0);
      },
      [],
      [[HUNDRED, HUNDRED]],
    ),
  "live branch tables": (size) =>
    single((code) => {
      for (let depth = 0; depth < 900; depth++) code.open(op.BLOCK);
      fill(size, code, () => {
        code.open(op.BLOCK);
        code.i32(0);
        code.op(op.BR_TABLE);
        code.u32(899);
        for (let label = 0; label < 900; label++) code.u32(label);
        code.end();
      });
      for (let depth = 0; depth < 900; depth++) code.end();
      code.get(0);
    }),
  "branches out of nested loops": (size) =>
    single((code) => {
      for (let depth = 0; depth < 980; depth++) code.open(op.LOOP);
      fill(size, code, () => {
        code.i32(0);
        code.index(op.BR_IF, 979);
      });
      for (let depth = 0; depth < 980; depth++) code.end();
      code.get(0);
    }),
  "loops in loops, left for each of many blocks": (size) =>
    single((code) => {
      fill(size, code, () => {
        for (let depth = 0; depth < 490; depth++) code.open(op.BLOCK);
        for (let depth = 0; depth < 490; depth++) code.open(op.LOOP);
        code.i32(0);
        code.op(op.BR_TABLE);
        code.u32(489);
        for (let label = 490; label < 980; label++) code.u32(label);
        for (let depth = 0; depth < 980; depth++) code.end();
      });
      code.get(0);
    }),
  "branches to every block around": (size) =>
    single((code) => {
      for (let depth = 0; depth < 980; depth++) code.open(op.BLOCK);
      fill(size, code, (index) => {
        code.i32(0);
        code.index(op.BR_IF, index % 980);
      });
      for (let depth = 0; depth < 980; depth++) code.end();
      code.get(0);
    }),
  "arms of different length": (size) =>
    single((code) => {
      fill(size, code, () => {
        code.i32(1);
        code.open(op.IF);
        for (let count = 0; count < 90; count++) {
          code.get(0);
          code.get(0);
          code.op(op.I64_ADD);
          code.set(0);
        }
        code.op(op.ELSE);
        code.get(0);
        code.set(0);
        code.end();
      });
      code.get(0);
    }),
  "many locals read and written as numbers": (size) =>
    single((code) => {
      fill(size, code, (index) => {
        code.get(1 + (index % 4900));
        code.get(1 + ((index * 7) % 4900));
        code.op(F64_ADD);
        code.set(1 + ((index * 13) % 4900));
      });
      code.get(0);
    }, new Array(4900).fill(F64)),
  "operands piled up": (size) =>
    single(
      (code) => {
        fill(size, code, () => {
          for (let depth = 0; depth < 2400; depth++) {
            code.get(1);
            code.access(op.I32_LOAD, 0, 0);
          }
          for (let depth = 0; depth < 1200; depth++) code.access(op.I32_STORE, 0, depth);
        });
        code.get(0);
      },
      [I32],
    ),
  "functions of many locals": (size) =>
    many(Math.ceil(size * 49_000), () => ({
      locals: new Array(4900).fill(I64),
      code: () => {},
    })),
  "functions of many locals with arithmetic": (size) =>
    many(Math.ceil(size * 49_000), () => ({
      locals: new Array(4900).fill(F64),
      code: (code) => {
        code.get(0);
        code.get(1);
        code.op(F64_ADD);
        code.set(2);
      },
    })),
  "functions of many parameters and results": (size) =>
    many(Math.ceil(size * 49_000), () => ({
      parameters: HUNDRED,
      results: HUNDRED,
      code: (code) => code.op(op.UNREACHABLE),
    })),
  "indirect calls of everything by everything": (size) =>
    many(
      Math.ceil(size * 49_000),
      () => ({
        code: (code) => {
          code.i32(0);
          code.index(op.CALL_INDIRECT, 0);
          code.u32(0);
        },
      }),
      Math.ceil(size * 9_900),
    ),
  "a chain of calls": (size) =>
    many(Math.ceil(size * 49_000), (index) => ({
      code: (code) => {
        if (index > 0) code.index(op.CALL, index - 1);
      },
    })),
  "calls of many functions by many": (size) =>
    many(Math.ceil(Math.sqrt(size) * 2000), (_) => ({
      code: (code) => {
        for (let callee = 0; callee < Math.ceil(Math.sqrt(size) * 2000); callee++)
          code.index(op.CALL, callee);
      },
    })),
  "many types": (size) =>
    build({
      types: Array.from({ length: Math.ceil(size * 9900) }, (_, index) => [
        HUNDRED.map((_, bit) => ((index >> (bit % 14)) & 1 ? I32 : I64)),
        HUNDRED,
      ]),
    }),
};

const RET = ["stillpoint", "ret", [I64], [I64]] as const;
/** A function of many calls of ret, with less than one in a hundred bytes of code besides. */
const suspending = (code: (code: Code) => void, locals: readonly number[] = []) =>
  build({
    imports: [RET],
    functions: [{ parameters: [I64], results: [I64], locals, export: "main", code }],
  });
/** local = ret(local) */
function statement(code: Code): void {
  code.get(0);
  code.index(op.CALL, 0);
  code.set(0);
}
const POINTS = 50_000;

/** Those of programs that can suspend. */
export const SUSPENDING_FAMILIES: Readonly<Record<string, (size: number) => Uint8Array>> = {
  "statements that suspend": (size) =>
    suspending((code) => {
      for (let count = 0; count < size * POINTS; count++) statement(code);
      code.get(0);
    }),
  "ifs with a statement that suspends": (size) =>
    suspending((code) => {
      for (let count = 0; count < size * POINTS; count++) {
        code.get(0);
        code.op(op.I32_WRAP_I64);
        code.open(op.IF);
        statement(code);
        code.end();
      }
      code.get(0);
    }),
  "a line of many calls that suspend": (size) =>
    suspending((code) => {
      code.get(0);
      for (let count = 0; count < size * POINTS; count++) {
        code.get(0);
        code.index(op.CALL, 0);
        code.op(op.I64_ADD);
      }
    }),
  "nested blocks around calls that suspend": (size) =>
    suspending((code) => {
      for (let count = 0; count < size * 50; count++) {
        for (let depth = 0; depth < 990; depth++) code.open(op.BLOCK);
        for (let depth = 0; depth < 990; depth++) {
          statement(code);
          code.end();
        }
      }
      code.get(0);
    }),
  "nested loops around calls that suspend": (size) =>
    suspending((code) => {
      for (let depth = 0; depth < 32; depth++) code.open(op.LOOP);
      for (let count = 0; count < size * POINTS; count++) statement(code);
      for (let depth = 0; depth < 32; depth++) code.end();
      code.get(0);
    }),
  "operands that wait for calls that suspend": (size) =>
    suspending((code) => {
      code.get(0);
      for (let rest = size * POINTS; rest > 0; rest -= 100) {
        for (let count = 0; count < 100; count++) code.get(0);
        for (let count = 0; count < 100; count++) {
          code.index(op.CALL, 0);
          code.op(op.I64_ADD);
        }
      }
    }),
};
