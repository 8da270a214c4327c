/** The bulk instructions, as functions of the instrumented module: with gas, pages to pay, and marks. */

import * as op from "../decode/opcodes.ts";
import { I32, I64 } from "../decode/opcodes.ts";
import { GROUPS, type Marks, marksOf, paidOf } from "../layout.ts";
import type { Lines } from "../lines/lines.ts";
import { AUX, type Code } from "./code.ts";
import type { Defect } from "./defects.ts";
import { BULK_GAS_SHIFT, PAGE_TOUCH_GAS } from "./gas.ts";
import { type Glue, glue } from "./glue.ts";
import { countTo } from "./glue-lines.ts";

export interface Bulk {
  readonly opcode: number;
  /** Of memory.init: the segment and its length. */
  readonly segment: number;
  readonly segmentBytes: number;
  readonly gasGlobal: number;
  readonly lines: Lines | null;
  /** The import touch, of the batch variant. */
  readonly touch: number;
  /** How often prices are paid. */
  readonly price: number;
  /** A planted defect, for tests. */
  readonly defect: Defect | null;
}

/** memory.copy, fill or init: charges, pays pages, touches, runs, marks. Parameters as the instruction's. */
export function bulk({ opcode, segment, segmentBytes, gasGlobal, lines, touch, price, defect }: Bulk): Glue {
  return glue([I32, I32, I32], [], [I64, I32, I32], (code) => {
    const [target, source, length, gas, first, last] = [0, 1, 2, 3, 4, 5] as const;
    code.index(op.GLOBAL_GET, gasGlobal);
    code.get(length);
    code.op(op.I64_EXTEND_I32_U);
    code.i64(BigInt(BULK_GAS_SHIFT - (31 - Math.clz32(price))));
    code.op(op.I64_SHR_U);
    code.op(op.I64_SUB);
    code.tee(gas);
    code.index(op.GLOBAL_SET, gasGlobal);
    code.get(gas);
    code.faultIfOutOfGas();
    const bound = lines === null ? 0 : lines.bound;
    if (defect !== "pay" && defect !== "bulk-pay")
      payPages(code, bound, { target, length, gas, page: first, last }, gasGlobal, price);
    if (lines !== null && bound > 0) touchRanges(code, lines, touch, opcode, segmentBytes);
    code.get(target);
    code.get(source);
    code.get(length);
    code.op(opcode);
    if (opcode === op.MEMORY_INIT) code.u32(segment);
    if (opcode === op.MEMORY_COPY) code.u8(0);
    code.u8(0);
    if (defect === "bulk-mark") return;
    const end = () => {
      code.get(target);
      code.get(length);
      code.op(op.I32_ADD);
      code.i32(1);
      code.op(op.I32_SUB);
    };
    const begin = () => code.get(target);
    /** What begins below the bound is marked from the bound on. */
    const beginAbove = () => {
      begin();
      code.i32(bound);
      begin();
      code.i32(bound);
      code.op(op.I32_GE_U);
      code.op(op.SELECT);
    };
    code.get(length);
    code.open(op.IF);
    markAll(code, paidOf(bound), { begin, end, first, last });
    if (defect !== "bulk-page-group") markAll(code, GROUPS, { begin, end, first, last });
    if (bound > 0) {
      end();
      code.i32(bound);
      code.op(op.I32_GE_U);
      code.open(op.IF);
      markAll(code, marksOf(bound), { begin: beginAbove, end, first, last });
      code.end();
    }
    code.end();
  });
}

/** Marks what lies from the address `begin` to the address `end`, both included. */
function markAll(
  code: Code,
  { at, shift }: Marks,
  { begin, end, first, last }: { begin: () => void; end: () => void; first: number; last: number },
): void {
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
}

/**
 * Pays for the pages that a bulk instruction is about to touch, unless its target does not lie in the memory.
 * They are marked only when it has run, so that no page of state is without lines that were touched.
 * `gas` holds the gas left; `page` and `last` are used up.
 */
function payPages(
  code: Code,
  bound: number,
  {
    target,
    length,
    gas,
    page,
    last,
  }: { target: number; length: number; gas: number; page: number; last: number },
  gasGlobal: number,
  price: number,
): void {
  const { at, shift } = paidOf(bound);
  code.open(op.BLOCK);
  code.get(length);
  code.op(op.I32_EQZ);
  code.index(op.BR_IF, 0);
  leaveUnlessFits(code, target, length, () => memorySize(code));
  code.get(target);
  code.i32(shift);
  code.op(op.I32_SHR_U);
  code.set(page);
  code.get(target);
  code.get(length);
  code.op(op.I32_ADD);
  code.i32(1);
  code.op(op.I32_SUB);
  code.i32(shift);
  code.op(op.I32_SHR_U);
  code.set(last);
  countTo(code, page, last, () => {
    code.get(gas);
    code.i64(BigInt(PAGE_TOUCH_GAS * price));
    code.i64(0n);
    code.get(page);
    code.access(op.I32_LOAD8_U, AUX, at);
    code.op(op.I32_EQZ);
    code.op(op.SELECT);
    code.op(op.I64_SUB);
    code.set(gas);
  });
  code.get(gas);
  code.index(op.GLOBAL_SET, gasGlobal);
  code.get(gas);
  code.faultIfOutOfGas();
  code.end();
}

/** Leaves the innermost block if the range goes over `size`, an i64 to be put on the stack. */
function leaveUnlessFits(code: Code, from: number, length: number, size: () => void): void {
  code.get(from);
  code.op(op.I64_EXTEND_I32_U);
  code.get(length);
  code.op(op.I64_EXTEND_I32_U);
  code.op(op.I64_ADD);
  size();
  code.op(I64_GT_U);
  code.index(op.BR_IF, 0);
}

/** Puts the bytes of memory on the stack, an i64. */
function memorySize(code: Code): void {
  code.index(op.MEMORY_SIZE, 0);
  code.op(op.I64_EXTEND_I32_U);
  code.i64(16n);
  code.op(op.I64_SHL);
}

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
  const fits = (from: number, size: () => void) => leaveUnlessFits(code, from, length, size);
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
  fits(target, () => memorySize(code));
  if (opcode === op.MEMORY_COPY) fits(source, () => memorySize(code));
  if (opcode === op.MEMORY_INIT) fits(source, () => code.i64(BigInt(segmentBytes)));
  if (opcode === op.MEMORY_COPY) touchRange(source, 0);
  if (lines.defect !== "bulk-touch") touchRange(target, 1);
  code.end();
}
