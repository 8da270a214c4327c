/**
 * ACCUMULATE in Wasm, for slots in which items run one after the other (line-log.ts): the usual request,
 * which adds to an integer of the state without bounds. Any other, and one that is wrong, goes to the kernel,
 * which does the same for all of them (accumulate.ts): a call that leaves Wasm takes as long as the rest of a
 * cheap item.
 */

import * as abi from "../../../syscalls/abi.ts";
import * as op from "../../program/decode/opcodes.ts";
import type { Code } from "../../program/instrument/code.ts";
import * as layout from "../../program/layout.ts";
import { COST_ACCUMULATE, COST_PAGE_TOUCH } from "../gas.ts";

const GUEST = 0;
const AUX = 1;
const PAGE_SHIFT = 12;
/** Words of 64 bits in the widest integer. */
const LIMBS = 4;

// Instructions that nothing else writes.
const I32_NE = 0x47;
const I32_GT_U = 0x4b;
const I64_EQ = 0x51;
const I64_NE = 0x52;
const I64_LT_U = 0x54;
const I32_POPCNT = 0x69;

// Locals of the function: the parameter, three i32 and three i64.
const POINTER = 0;
const ADDRESS = 1;
const WIDTH = 2;
const I = 3;
const SUM = 4;
const VALUE = 5;
const CARRY = 6;

/**
 * accumulate(pointer) -> i32, with locals address, width, i (i32) and sum, value, carry (i64). `kernel` and
 * `touch` are functions of the module.
 */
export function accumulate(code: Code, bound: number, kernel: number, touch: number): void {
  code.open(op.BLOCK);
  leaveUnlessUsual(code, bound);
  pay(code, COST_ACCUMULATE);
  addLimbs(code);
  payPage(code, touch);
  eachLimb(
    code,
    () => code.get(WIDTH),
    () => {
      limb(code, ADDRESS);
      code.get(I);
      code.access(op.I64_LOAD, AUX, layout.AUX_SUM);
      code.access(op.I64_STORE, GUEST, 0);
    },
  );
  code.i32(1);
  code.op(op.RETURN);
  code.end();
  code.get(POINTER);
  code.index(op.CALL, kernel);
}

/** Leaves for the kernel unless the request is in order, without bounds, and can be paid. */
function leaveUnlessUsual(code: Code, bound: number): void {
  // The request lies in memory; where it is of 4 GiB, its size counts as 0 here, and the difference is right.
  leaveIf(
    code,
    () => {
      code.get(POINTER);
      code.i32(7);
      code.op(op.I32_AND);
    },
    () => {
      code.get(POINTER);
      code.index(op.MEMORY_SIZE, GUEST);
      code.i32(16);
      code.op(op.I32_SHL);
      code.i32(abi.ACCUMULATE_SIZE);
      code.op(op.I32_SUB);
      code.op(I32_GT_U);
    },
  );
  field(code, abi.ACCUMULATE_WIDTH);
  code.set(WIDTH);
  field(code, abi.ACCUMULATE_ADDRESS);
  code.set(ADDRESS);
  leaveIf(
    code,
    () => {
      field(code, abi.ACCUMULATE_VERSION);
      code.i32(abi.ABI_VERSION);
      code.op(I32_NE);
    },
    () => field(code, abi.ACCUMULATE_FLAGS),
    () => {
      code.get(WIDTH);
      code.i32(~(8 | 16 | 32));
      code.op(op.I32_AND);
    },
    () => {
      code.get(WIDTH);
      code.op(I32_POPCNT);
      code.i32(1);
      code.op(I32_NE);
    },
    () => {
      code.get(ADDRESS);
      code.get(WIDTH);
      code.i32(1);
      code.op(op.I32_SUB);
      code.op(op.I32_AND);
    },
    () => {
      code.get(ADDRESS);
      code.i32(bound | 0);
      code.op(op.I32_GE_U);
    },
    () => {
      code.auxLoad(op.I64_LOAD, layout.AUX_GAS);
      code.i64(BigInt(COST_ACCUMULATE + COST_PAGE_TOUCH));
      code.op(op.I64_LT_S);
    },
  );
}

/** The sum, in four limbs; those beyond the width must come to nothing, else the answer is 0. */
function addLimbs(code: Code): void {
  eachLimb(
    code,
    () => code.i32(8 * LIMBS),
    () => {
      addLimb(code);
      code.get(I);
      code.get(SUM);
      code.access(op.I64_STORE, AUX, layout.AUX_SUM);
      code.get(I);
      code.get(WIDTH);
      code.op(op.I32_GE_U);
      code.get(SUM);
      code.i64(0n);
      code.op(I64_NE);
      code.op(op.I32_AND);
      refuseIf(code);
    },
  );
  code.get(CARRY);
  code.i64(0n);
  code.op(I64_NE);
  refuseIf(code);
}

/** sum = value + delta + carry of one limb, and the next carry. */
function addLimb(code: Code): void {
  code.get(I);
  code.get(WIDTH);
  code.op(op.I32_LT_U);
  code.open(op.IF, op.I64);
  limb(code, ADDRESS);
  code.access(op.I64_LOAD, GUEST, 0);
  code.op(op.ELSE);
  code.i64(0n);
  code.end();
  code.tee(VALUE);
  limb(code, POINTER);
  code.access(op.I64_LOAD, GUEST, abi.ACCUMULATE_DELTA);
  code.op(op.I64_ADD);
  code.get(CARRY);
  code.op(op.I64_ADD);
  code.set(SUM);
  // More than the limb holds: the sum is below the value, or equal to it with all bits and a carry added.
  code.get(SUM);
  code.get(VALUE);
  code.op(I64_LT_U);
  code.get(SUM);
  code.get(VALUE);
  code.op(I64_EQ);
  limb(code, POINTER);
  code.access(op.I64_LOAD, GUEST, abi.ACCUMULATE_DELTA);
  code.i64(0n);
  code.op(I64_NE);
  code.op(op.I32_AND);
  code.op(op.I32_OR);
  code.op(op.I64_EXTEND_I32_U);
  code.set(CARRY);
}

/** The log gets the line; then the page is paid for as by a store. */
function payPage(code: Code, touch: number): void {
  code.get(ADDRESS);
  code.get(WIDTH);
  code.i32(1);
  code.index(op.CALL, touch);
  code.get(ADDRESS);
  code.i32(PAGE_SHIFT);
  code.op(op.I32_SHR_U);
  code.tee(I);
  code.access(op.I32_LOAD8_U, AUX, layout.AUX_PAID);
  code.op(op.I32_EQZ);
  code.open(op.IF);
  code.get(I);
  code.i32(1);
  code.access(op.I32_STORE8, AUX, layout.AUX_PAID);
  pay(code, COST_PAGE_TOUCH);
  code.end();
}

// ---- pieces -----------------------------------------------------------------------------------------------

/** A word of the request. */
function field(code: Code, offset: number): void {
  code.get(POINTER);
  code.access(op.I32_LOAD, GUEST, offset);
}

/** The address of limb `i` from a base on. */
function limb(code: Code, base: number): void {
  code.get(base);
  code.get(I);
  code.op(op.I32_ADD);
}

/** Leaves the block if one of the conditions, each an i32, is not zero. */
function leaveIf(code: Code, ...conditions: (() => void)[]): void {
  conditions.forEach((condition, number) => {
    condition();
    if (number > 0) code.op(op.I32_OR);
  });
  code.index(op.BR_IF, 0);
}

/** Returns 0 if the operand is not zero. */
function refuseIf(code: Code): void {
  code.open(op.IF);
  code.i32(0);
  code.op(op.RETURN);
  code.end();
}

/** Runs `visit` with `i` = 0, 8, … below what `end` puts onto the stack. */
function eachLimb(code: Code, end: () => void, visit: () => void): void {
  code.i32(0);
  code.set(I);
  code.open(op.LOOP);
  visit();
  code.get(I);
  code.i32(8);
  code.op(op.I32_ADD);
  code.tee(I);
  end();
  code.op(op.I32_LT_U);
  code.index(op.BR_IF, 0);
  code.end();
}

function pay(code: Code, cost: number): void {
  code.auxStore(op.I64_STORE, layout.AUX_GAS, () => {
    code.auxLoad(op.I64_LOAD, layout.AUX_GAS);
    code.i64(BigInt(cost));
    code.op(op.I64_SUB);
  });
}
