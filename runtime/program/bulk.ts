/** The bulk instructions, as functions of the instrumented module: with gas and marks. */

import { AUX, type Code } from "./code.ts";
import { BULK_GAS_SHIFT } from "./gas.ts";
import { type Glue, glue } from "./glue.ts";
import { marksOf } from "./layout.ts";
import type { Lines } from "./lines.ts";
import * as op from "./opcodes.ts";
import { I32, I64 } from "./opcodes.ts";

export interface Bulk {
  readonly opcode: number;
  /** Of memory.init: the segment and its length. */
  readonly segment: number;
  readonly segmentBytes: number;
  readonly gasGlobal: number;
  readonly lines: Lines | null;
  /** The import touch, of the batch variant. */
  readonly touch: number;
  /** Whether it marks: all do, but for the tests. */
  readonly marks: boolean;
}

/** memory.copy, fill or init: charges, touches, runs, marks. Parameters as the instruction's. */
export function bulk({ opcode, segment, segmentBytes, gasGlobal, lines, touch, marks }: Bulk): Glue {
  return glue([I32, I32, I32], [], [I64, I32, I32], (code) => {
    const [target, source, length, gas, first, last] = [0, 1, 2, 3, 4, 5] as const;
    code.index(op.GLOBAL_GET, gasGlobal);
    code.get(length);
    code.op(op.I64_EXTEND_I32_U);
    code.i64(BigInt(BULK_GAS_SHIFT));
    code.op(op.I64_SHR_U);
    code.op(op.I64_SUB);
    code.tee(gas);
    code.index(op.GLOBAL_SET, gasGlobal);
    code.get(gas);
    code.faultIfOutOfGas();
    if (lines !== null && lines.bound > 0) touchRanges(code, lines, touch, opcode, segmentBytes);
    code.get(target);
    code.get(source);
    code.get(length);
    code.op(opcode);
    if (opcode === op.MEMORY_INIT) code.u32(segment);
    if (opcode === op.MEMORY_COPY) code.u8(0);
    code.u8(0);
    if (!marks) return;
    const bound = lines === null ? 0 : lines.bound;
    const { at, shift } = marksOf(bound);
    const end = () => {
      code.get(target);
      code.get(length);
      code.op(op.I32_ADD);
      code.i32(1);
      code.op(op.I32_SUB);
    };
    /** What begins below the bound is marked from the bound on. */
    const begin = () => {
      code.get(target);
      if (bound === 0) return;
      code.i32(bound);
      code.get(target);
      code.i32(bound);
      code.op(op.I32_GE_U);
      code.op(op.SELECT);
    };
    code.get(length);
    if (bound > 0) {
      code.i32(0);
      code.op(I32_NE);
      end();
      code.i32(bound);
      code.op(op.I32_GE_U);
      code.op(op.I32_AND);
    }
    code.open(op.IF);
    for (const [address, local] of [
      [begin, first],
      [end, last],
    ] as const) {
      address();
      code.i32(shift);
      code.op(op.I32_SHR_U);
      code.tee(local);
      code.i32(1);
      code.access(op.I32_STORE8, AUX, at);
    }
    // More than two marks: all of them at once.
    code.get(last);
    code.get(first);
    code.op(op.I32_SUB);
    code.i32(1);
    code.op(I32_GT_U);
    code.open(op.IF);
    code.get(first);
    code.i32(at);
    code.op(op.I32_ADD);
    code.i32(1);
    code.get(last);
    code.get(first);
    code.op(op.I32_SUB);
    code.op(op.MEMORY_FILL);
    code.u8(AUX);
    code.end();
    code.end();
  });
}

const I32_NE = 0x47;
const I32_GT_U = 0x4b;
const I64_GT_U = 0x56;

/** Touches what lies below the bound of a bulk instruction's ranges, unless it is going to trap. */
function touchRanges(code: Code, lines: Lines, touch: number, opcode: number, segmentBytes: number): void {
  const [target, source, length] = [0, 1, 2] as const;
  const below = (address: number) => {
    code.get(address);
    code.i32(lines.bound);
    code.op(op.I32_LT_U);
  };
  /** Leaves the block if the range goes over `size`, an i64 to be put on the stack. */
  const fits = (from: number, size: () => void) => {
    code.get(from);
    code.op(op.I64_EXTEND_I32_U);
    code.get(length);
    code.op(op.I64_EXTEND_I32_U);
    code.op(op.I64_ADD);
    size();
    code.op(I64_GT_U);
    code.index(op.BR_IF, 0);
  };
  const memorySize = () => {
    code.index(op.MEMORY_SIZE, 0);
    code.op(op.I64_EXTEND_I32_U);
    code.i64(16n);
    code.op(op.I64_SHL);
  };
  const touchRange = (from: number, write: number) => {
    below(from);
    code.open(op.IF);
    code.get(from);
    code.get(length);
    code.i32(write);
    code.index(op.CALL, touch);
    code.end();
  };
  code.open(op.BLOCK);
  below(target);
  if (opcode === op.MEMORY_COPY) {
    below(source);
    code.op(op.I32_OR);
  }
  code.op(op.I32_EQZ);
  code.index(op.BR_IF, 0);
  code.get(length);
  code.op(op.I32_EQZ);
  code.index(op.BR_IF, 0);
  fits(target, memorySize);
  if (opcode === op.MEMORY_COPY) fits(source, memorySize);
  if (opcode === op.MEMORY_INIT) fits(source, () => code.i64(BigInt(segmentBytes)));
  if (opcode === op.MEMORY_COPY) touchRange(source, 0);
  if (lines.defect !== "bulk-touch") touchRange(target, 1);
  code.end();
}
