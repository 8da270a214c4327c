/**
 * Checks of an instruction's operands before the engine's own, where its trap would not tell which fault it
 * is (faults.ts). They cost no gas, and change no result.
 */

import {
  FAULT_BAD_INDIRECT_CALL,
  FAULT_INTEGER_OVERFLOW,
  FAULT_TABLE_BOUNDS,
} from "../../../syscalls/abi.ts";
import * as op from "../decode/opcodes.ts";
import type { Code } from "./code.ts";

/** What instrumented code checks itself, since the engine has one text for two faults. */
export interface Checks {
  /** The index of call_indirect, else shown as an address is. */
  readonly index: boolean;
  /** Quotients that do not fit, else shown as conversions of numbers that do not fit. */
  readonly overflow: boolean;
}

type Temporary = (name: string, type: number) => number;

/** What an instruction needs before it, if anything. `table`: of call_indirect. */
export function checkOperands(
  code: Code,
  opcode: number,
  table: number,
  { index, overflow }: Checks,
  temporary: Temporary,
): void {
  if (opcode === op.CALL_INDIRECT && index) checkIndex(code, table, FAULT_BAD_INDIRECT_CALL, temporary);
  if (opcode === op.TABLE_GET) checkIndex(code, table, FAULT_TABLE_BOUNDS, temporary);
  if (!overflow) return;
  if (opcode === op.I32_DIV_S) {
    checkQuotient(code, op.I32, op.I32_EQ, (value) => code.i32(Number(value)), -(2n ** 31n), temporary);
  } else if (opcode === op.I64_DIV_S) {
    checkQuotient(code, op.I64, op.I64_EQ, (value) => code.i64(value), -(2n ** 63n), temporary);
  }
}

function checkIndex(code: Code, table: number, fault: number, temporary: Temporary): void {
  const index = temporary("index", op.I32);
  code.tee(index);
  code.index(op.TABLE_SIZE, table);
  code.op(op.I32_GE_U);
  code.open(op.IF);
  code.fault(fault);
  code.end();
  code.get(index);
}

/** The least number divided by -1 is the only quotient that does not fit. */
function checkQuotient(
  code: Code,
  type: number,
  equal: number,
  constant: (value: bigint) => void,
  least: bigint,
  temporary: Temporary,
): void {
  const dividend = temporary(`dividend ${type}`, type);
  const divisor = temporary(`divisor ${type}`, type);
  code.set(divisor);
  code.tee(dividend);
  constant(least);
  code.op(equal);
  code.get(divisor);
  constant(-1n);
  code.op(equal);
  code.op(op.I32_AND);
  code.open(op.IF);
  code.fault(FAULT_INTEGER_OVERFLOW);
  code.end();
  code.get(dividend);
  code.get(divisor);
}
