/**
 * The instructions whose NaN results WebAssembly leaves open, written down by hand from its specification
 * ("Floating-Point Operations", NaN propagation): not taken from the table that the rewriter uses, which
 * these check.
 */

import * as op from "../../runtime/program/decode/opcodes.ts";

const SCALAR = ["add", "sub", "mul", "div", "min", "max", "sqrt", "ceil", "floor", "trunc", "nearest"];
const NAMES: readonly (readonly [name: string, shape: number])[] = [
  ...SCALAR.map((name) => [`f32.${name}`, op.SHAPE_F32] as const),
  ...SCALAR.map((name) => [`f64.${name}`, op.SHAPE_F64] as const),
  ...SCALAR.map((name) => [`f32x4.${name}`, op.SHAPE_F32X4] as const),
  ...SCALAR.map((name) => [`f64x2.${name}`, op.SHAPE_F64X2] as const),
  ["f32.demote_f64", op.SHAPE_F32],
  ["f64.promote_f32", op.SHAPE_F64],
  ["f32x4.demote_f64x2_zero", op.SHAPE_F32X4],
  ["f64x2.promote_low_f32x4", op.SHAPE_F64X2],
];

/** The opcode of an instruction by its name. */
export function opcodeOf(name: string): number {
  const opcode = op.NAMES.indexOf(name);
  if (opcode < 0) throw new Error(`no instruction ${name}`);
  return opcode;
}

/** By opcode of an arithmetic instruction: the shape of the NaN that it may make. */
export const ARITHMETIC_SHAPES: ReadonlyMap<number, number> = new Map(
  NAMES.map(([name, shape]) => [opcodeOf(name), shape]),
);
