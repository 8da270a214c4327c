/**
 * Random valid modules, two of each: the program under test, and a reference that does by itself, in the
 * simplest way, what instrumentation must do: it makes every arithmetic result canonical where it arises, and
 * counts function entries and loop turns. Run plain, the reference must give the same results, memory and
 * traps as the program instrumented.
 */

import * as op from "../../runtime/program/decode/opcodes.ts";
import { Code } from "../../runtime/program/instrument/code.ts";
import { build, type Fn, Types } from "./build.ts";
import { FunctionGenerator } from "./generate-function.ts";
import { GLOBALS, GLOBALS_AT, IMPORTED, POINTER, POINTER_AT, TYPES } from "./generate-tables.ts";
import { Random } from "./random.ts";

const { I32, I64, F32, F64, V128 } = op;

/** The reference's global that counts entries and turns. */
const COUNT = POINTER + 1;

export interface Pair {
  readonly program: Uint8Array;
  readonly reference: Uint8Array;
  readonly memoryPages: number;
}

function emit(
  generator: FunctionGenerator,
  parameters: number,
  reference: boolean,
  countGlobal: number,
): Code {
  const code = new Code();
  const base = parameters + generator.locals.length;
  for (const token of generator.tokens) {
    if (token instanceof Uint8Array) code.bytes(token);
    else if (!reference) continue;
    else if ("count" in token) {
      code.index(op.GLOBAL_GET, countGlobal);
      code.i64(1n);
      code.op(op.I64_ADD);
      code.index(op.GLOBAL_SET, countGlobal);
    } else canonical(code, token.nan, base);
  }
  return code;
}

function canonical(code: Code, shape: number, base: number): void {
  const single = shape === op.SHAPE_F32 || shape === op.SHAPE_F32X4;
  const lane = single ? [0, 0, 0xc0, 0x7f] : [0, 0, 0, 0, 0, 0, 0xf8, 0x7f];
  if (shape === op.SHAPE_F32 || shape === op.SHAPE_F64) {
    const local = base + (single ? 0 : 1);
    code.set(local);
    code.op(single ? op.F32_CONST : op.F64_CONST);
    code.bytes(Uint8Array.from(lane));
    code.get(local);
    code.get(local);
    code.get(local);
    code.op(single ? op.F32_NE : op.F64_NE);
    code.op(op.SELECT);
  } else {
    const local = base + 2;
    code.set(local);
    code.get(local);
    code.op(op.V128_CONST);
    for (let index = 0; index < 16 / lane.length; index++) code.bytes(Uint8Array.from(lane));
    code.get(local);
    code.get(local);
    code.op(single ? op.F32X4_EQ : op.F64X2_EQ);
    code.op(op.V128_BITSELECT);
  }
}

/** With `suspending` the programs import ret in place of get: they suspend at it. */
export function generate(seed: number, suspending = false): Pair {
  const random = new Random(seed);
  const types = new Types();
  const count = 2 + random.below(4);
  const functions: { parameters: number[]; results: number[] }[] = [{ parameters: [I64], results: [I64] }];
  for (let index = 1; index < count; index++) {
    functions.push({
      parameters: Array.from({ length: random.below(4) }, () => random.pick(TYPES)),
      results: random.chance(85) ? [random.pick(TYPES)] : [random.pick(TYPES), random.pick(TYPES)],
    });
  }
  for (const fn of functions) types.index(fn.parameters, fn.results);
  const bodies = functions.map((_, index) => {
    const generator = new FunctionGenerator(
      random,
      types,
      index,
      functions,
      60 + random.below(240),
      suspending,
    );
    generator.body();
    return generator;
  });
  const initials = GLOBALS.map((type) => {
    const code = new Code();
    const value = random.next();
    if (type === I32) code.i32(value | 0);
    else if (type === I64) code.i64(BigInt(value));
    else if (type === V128) {
      code.op(op.V128_CONST);
      code.bytes(new Uint8Array(16).fill(value & 255));
    } else {
      code.op(type === F32 ? op.F32_CONST : op.F64_CONST);
      code.bytes(new Uint8Array(type === F32 ? 4 : 8).fill(value & 127));
    }
    return code.finish();
  });
  const variant = (reference: boolean): Uint8Array => {
    const list: Fn[] = functions.map(({ parameters, results }, index) => {
      const generator = bodies[index] as FunctionGenerator;
      return {
        parameters,
        results,
        locals: [...generator.locals, ...(reference ? [F32, F64, V128] : [])],
        code: (code) => code.bytes(emit(generator, parameters.length, reference, COUNT).view()),
      };
    });
    list.push({
      parameters: [I64],
      results: [I64],
      locals: [I64],
      export: "main",
      code: (code) => {
        code.get(0);
        code.index(op.CALL, IMPORTED);
        code.set(1);
        GLOBALS.forEach((type, index) => {
          code.i32(0);
          code.index(op.GLOBAL_GET, index);
          const store = {
            [I32]: op.I32_STORE,
            [I64]: op.I64_STORE,
            [F32]: op.F32_STORE,
            [F64]: op.F64_STORE,
          }[type];
          code.access(store ?? op.V128_STORE, 0, GLOBALS_AT + 16 * index, 0);
        });
        code.get(1);
      },
    });
    const own = new Types();
    for (const [parameters, results] of types.list) own.index(parameters, results);
    return build(
      {
        imports: [
          ["stillpoint", "put", [I32, I32], [I32]],
          suspending ? ["stillpoint", "ret", [I64], [I64]] : ["stillpoint", "get", [I32, I32], [I32]],
          ["env", "abort", [I32, I32, I32, I32], []],
        ],
        functions: list,
        tables: [{ minimum: functions.length + 2 }],
        memory: [1, 3],
        globals: [
          ...GLOBALS.map((type, index) => ({
            type,
            initial: (code: Code) => code.bytes(initials[index] as Uint8Array),
          })),
          { type: I32, initial: (code: Code) => code.i32(POINTER_AT) },
          ...(reference ? [{ type: I64, initial: (code: Code) => code.i64(0n) }] : []),
        ],
        exports: reference
          ? [
              ["memory", 2, 0],
              ["count", 3, COUNT],
            ]
          : [["memory", 2, 0]],
        elements: [{ offset: 1, functions: functions.slice(1).map((_, index) => IMPORTED + index + 1) }],
        data: [
          { offset: 4000, bytes: new Uint8Array(300).map((_, index) => index * 7) },
          { offset: null, bytes: new Uint8Array(500).map((_, index) => index * 13) },
        ],
      },
      own,
    );
  };
  return { program: variant(false), reference: variant(true), memoryPages: 3 };
}
