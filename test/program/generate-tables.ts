/** What generated programs are made of: instructions by what they make, globals and imports. */

import * as op from "../../runtime/program/decode/opcodes.ts";
import { ARITHMETIC_SHAPES, opcodeOf } from "./arithmetic.ts";

const { I32, I64, F32, F64, V128 } = op;
export const TYPES: readonly number[] = [I32, I64, F32, F64, V128];

/** Instructions of one signature, by result type. */
export const MAKERS = new Map<number, number[]>(TYPES.map((type) => [type, []]));
op.SIGNATURES.forEach((signature, opcode) => {
  if (signature === null) return;
  if (op.IS_STORE[opcode] === 0) MAKERS.get(signature.results[0] as number)?.push(opcode);
});
export const ARITHMETIC = new Map(
  TYPES.map((type) => [
    type,
    (MAKERS.get(type) as number[]).filter((opcode) => ARITHMETIC_SHAPES.has(opcode)),
  ]),
);
/** Vectors made of integers as numbers of one shape, which may be NaNs of the other. */
export const CONVERSIONS = [
  "f32x4.convert_i32x4_s",
  "f32x4.convert_i32x4_u",
  "f64x2.convert_low_i32x4_s",
  "f64x2.convert_low_i32x4_u",
].map(opcodeOf);
export const I32X4_SPLAT = opcodeOf("i32x4.splat");
/** Integers whose doubles have low halves that are NaNs as singles. */
export const NANS_BY_HALVES = [0x4000_03ff, 0x4000_01ff, 0x6000_05ff];

export const GLOBALS = [I32, I64, F32, F64, V128, I32];
/** A global that only moves by constants, as a stack pointer does, and where it begins. */
export const POINTER = GLOBALS.length;
export const POINTER_AT = 40_000;
/** Where main leaves the globals, before it returns. */
export const GLOBALS_AT = 1024;
export const PUT = 0;
export const GET = 1;
export const ABORT = 2;
export const IMPORTED = 3;
export const PASSIVE = 1;
