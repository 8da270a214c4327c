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

/**
 * accumulate(pointer) -> i32, with locals address, width, i (i32) and sum, delta, carry (i64). `kernel` and
 * `touch` are functions of the module.
 */
export function accumulate(code: Code, bound: number, kernel: number, touch: number): void {
  const [pointer, address, width, i, sum, value, carry] = [0, 1, 2, 3, 4, 5, 6] as const;
  const field = (offset: number): void => {
    code.get(pointer);
    code.access(op.I32_LOAD, GUEST, offset);
  };
  const leaveIf = (...conditions: (() => void)[]): void => {
    conditions.forEach((condition, number) => {
      condition();
      if (number > 0) code.op(op.I32_OR);
    });
    code.index(op.BR_IF, 0);
  };
  const limb = (base: number): void => {
    code.get(base);
    code.get(i);
    code.op(op.I32_ADD);
  };
  /** Runs `visit` with `i` = 0, 8, … below the local, or the number. */
  const eachLimb = (end: () => void, visit: () => void): void => {
    code.i32(0);
    code.set(i);
    code.open(op.LOOP);
    visit();
    code.get(i);
    code.i32(8);
    code.op(op.I32_ADD);
    code.tee(i);
    end();
    code.op(op.I32_LT_U);
    code.index(op.BR_IF, 0);
    code.end();
  };
  code.open(op.BLOCK);
  // The request lies in memory; where it is of 4 GiB, its size counts as 0 here, and the difference is right.
  leaveIf(
    () => {
      code.get(pointer);
      code.i32(7);
      code.op(op.I32_AND);
    },
    () => {
      code.get(pointer);
      code.index(op.MEMORY_SIZE, GUEST);
      code.i32(16);
      code.op(op.I32_SHL);
      code.i32(abi.ACCUMULATE_SIZE);
      code.op(op.I32_SUB);
      code.op(I32_GT_U);
    },
  );
  field(abi.ACCUMULATE_WIDTH);
  code.set(width);
  field(abi.ACCUMULATE_ADDRESS);
  code.set(address);
  leaveIf(
    () => {
      field(abi.ACCUMULATE_VERSION);
      code.i32(abi.ABI_VERSION);
      code.op(I32_NE);
    },
    () => field(abi.ACCUMULATE_FLAGS),
    () => {
      code.get(width);
      code.i32(~(8 | 16 | 32));
      code.op(op.I32_AND);
    },
    () => {
      code.get(width);
      code.op(I32_POPCNT);
      code.i32(1);
      code.op(I32_NE);
    },
    () => {
      code.get(address);
      code.get(width);
      code.i32(1);
      code.op(op.I32_SUB);
      code.op(op.I32_AND);
    },
    () => {
      code.get(address);
      code.i32(bound | 0);
      code.op(op.I32_GE_U);
    },
    () => {
      code.auxLoad(op.I64_LOAD, layout.AUX_GAS);
      code.i64(BigInt(COST_ACCUMULATE + COST_PAGE_TOUCH));
      code.op(op.I64_LT_S);
    },
  );
  const pay = (cost: number): void =>
    code.auxStore(op.I64_STORE, layout.AUX_GAS, () => {
      code.auxLoad(op.I64_LOAD, layout.AUX_GAS);
      code.i64(BigInt(cost));
      code.op(op.I64_SUB);
    });
  pay(COST_ACCUMULATE);
  // The sum, in four limbs; those beyond the width must come to nothing.
  eachLimb(
    () => code.i32(8 * LIMBS),
    () => {
      code.get(i);
      code.get(width);
      code.op(op.I32_LT_U);
      code.open(op.IF, op.I64);
      limb(address);
      code.access(op.I64_LOAD, GUEST, 0);
      code.op(op.ELSE);
      code.i64(0n);
      code.end();
      code.tee(value);
      limb(pointer);
      code.access(op.I64_LOAD, GUEST, abi.ACCUMULATE_DELTA);
      code.op(op.I64_ADD);
      code.get(carry);
      code.op(op.I64_ADD);
      code.set(sum);
      // More than the limb holds: the sum is below the value, or equal to it with all bits and a carry added.
      code.get(sum);
      code.get(value);
      code.op(I64_LT_U);
      code.get(sum);
      code.get(value);
      code.op(I64_EQ);
      limb(pointer);
      code.access(op.I64_LOAD, GUEST, abi.ACCUMULATE_DELTA);
      code.i64(0n);
      code.op(I64_NE);
      code.op(op.I32_AND);
      code.op(op.I32_OR);
      code.op(op.I64_EXTEND_I32_U);
      code.set(carry);
      code.get(i);
      code.get(sum);
      code.access(op.I64_STORE, AUX, layout.AUX_SUM);
      code.get(i);
      code.get(width);
      code.op(op.I32_GE_U);
      code.get(sum);
      code.i64(0n);
      code.op(I64_NE);
      code.op(op.I32_AND);
      code.open(op.IF);
      code.i32(0);
      code.op(op.RETURN);
      code.end();
    },
  );
  code.get(carry);
  code.i64(0n);
  code.op(I64_NE);
  code.open(op.IF);
  code.i32(0);
  code.op(op.RETURN);
  code.end();
  code.get(address);
  code.get(width);
  code.i32(1);
  code.index(op.CALL, touch);
  // The page is paid for as by a store, now that the log has the line.
  code.get(address);
  code.i32(PAGE_SHIFT);
  code.op(op.I32_SHR_U);
  code.tee(i);
  code.access(op.I32_LOAD8_U, AUX, layout.AUX_PAID);
  code.op(op.I32_EQZ);
  code.open(op.IF);
  code.get(i);
  code.i32(1);
  code.access(op.I32_STORE8, AUX, layout.AUX_PAID);
  pay(COST_PAGE_TOUCH);
  code.end();
  eachLimb(
    () => code.get(width),
    () => {
      limb(address);
      code.get(i);
      code.access(op.I64_LOAD, AUX, layout.AUX_SUM);
      code.access(op.I64_STORE, GUEST, 0);
    },
  );
  code.i32(1);
  code.op(op.RETURN);
  code.end();
  code.get(pointer);
  code.index(op.CALL, kernel);
}
