/** Random loops that move a local under conditions and access memory by it: for bounds of addresses. */

import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import { ARITHMETIC, CONVERSIONS, I32X4_SPLAT, NANS_BY_HALVES, PASSIVE, POINTER } from "./generate-tables.ts";
import type { Random } from "./random.ts";

export const STORES: readonly number[] = Array.from(op.IS_STORE.keys()).filter(
  (opcode) => op.IS_STORE[opcode] === 1,
);
const I32_COMPARISONS = 0x46;

export interface Walk {
  /** Locals of type i32: that of the loop's turns, that which walks, and one for what is loaded. */
  readonly counter: number;
  readonly index: number;
  readonly results: number;
  /** Called where a turn begins. */
  readonly turn: () => void;
  readonly constant: (type: number) => void;
}

export function walk(random: Random, code: Code, { counter, index, results, turn, constant }: Walk): void {
  const steps = [1, 4, 16, 1000, 5000, -1, -64, -1000, -5000, 0x7fff_0000];
  const step = random.pick(steps.slice(0, random.chance(95) ? 9 : 10));
  const move = () => {
    code.get(index);
    code.i32(step);
    code.op(random.chance(80) ? op.I32_ADD : op.I32_SUB);
    code.set(index);
  };
  const accesses = () => {
    for (let count = 1 + random.below(3); count > 0; count--) access();
  };
  const plain = random.chance(40);
  const access = () => {
    code.get(index);
    if (!plain) change();
    const store = random.chance(60);
    const opcode = store ? random.pick(STORES) : op.I32_LOAD;
    if (store) constant((op.SIGNATURES[opcode] as op.Signature).operands[1] as number);
    code.op(opcode);
    code.u32(0);
    code.u32(random.chance(80) ? random.below(100) : random.below(5000));
    if (op.IMMEDIATES[opcode] === op.MEMORY_LANE) code.u8(random.below(op.LANES[opcode] as number));
    if (!store) code.set(results);
  };
  const change = () => {
    if (random.chance(30)) {
      code.i32(random.pick([0xff, 0xfff, -16, 0x7fff]));
      code.op(op.I32_AND);
    }
    if (random.chance(20)) {
      code.i32(random.below(4));
      code.op(random.chance(70) ? op.I32_SHL : op.I32_SHR_U);
    }
    if (random.chance(40)) {
      code.i32(random.chance(80) ? random.below(40_000) : -random.below(5000));
      code.op(random.chance(80) ? op.I32_ADD : op.I32_SUB);
    }
    if (random.chance(75)) {
      code.i32(0xffff);
      code.op(op.I32_AND);
    }
  };

  if (random.chance(80)) {
    code.i32(random.chance(90) ? random.below(50_000) : random.next() | 0);
    code.set(index);
  }
  code.i32(1 + random.below(12));
  code.set(counter);
  code.open(op.LOOP);
  turn();
  if (random.chance(30)) move();
  code.get(index);
  if (random.chance(90)) {
    code.i32(random.chance(80) ? random.below(60_000) : random.next() | 0);
    code.op(I32_COMPARISONS + random.below(10));
  }
  if (random.chance(20)) code.op(op.I32_EQZ);
  code.open(op.IF);
  accesses();
  if (random.chance(50)) move();
  if (random.chance(20)) {
    code.op(op.ELSE);
    accesses();
  }
  code.end();
  if (random.chance(50)) accesses();
  if (random.chance(50)) move();
  code.get(counter);
  code.i32(1);
  code.op(op.I32_SUB);
  code.tee(counter);
  code.index(op.BR_IF, 0);
  code.end();
}

export interface Accumulation {
  readonly value: (type: number) => void;
  /** Called behind an arithmetic instruction. */
  readonly made: (opcode: number) => void;
  readonly turns: (turn: () => void) => void;
}

/**
 * A vector, in `local`, that arithmetic adds up in a loop, mostly of one shape, and that is then written once
 * more: by arithmetic, a conversion or a constant of the same shape or another.
 */
export function accumulate(
  random: Random,
  code: Code,
  local: number,
  { value, made, turns }: Accumulation,
): void {
  const arithmetic = ARITHMETIC.get(op.V128) as number[];
  const add = (opcode: number): void => {
    const { operands } = op.SIGNATURES[opcode] as op.Signature;
    code.get(local);
    for (let operand = 1; operand < operands.length; operand++) value(op.V128);
    code.op(opcode);
    made(opcode);
    code.set(local);
  };
  turns(() => add(random.pick(arithmetic)));
  if (random.chance(20)) add(random.pick(arithmetic));
  if (random.chance(60)) {
    if (random.chance(70)) code.i32(random.pick(NANS_BY_HALVES));
    else value(op.I32);
    code.op(I32X4_SPLAT);
    code.op(random.pick(CONVERSIONS));
    code.set(local);
  }
  code.i32(random.below(0xfff0));
  code.get(local);
  code.op(op.V128_STORE);
  code.u32(0);
  code.u32(0);
}

/** A bulk instruction, with operands mostly within bounds. */
export function bulk(random: Random, code: Code, address: () => void, value: () => void): void {
  address();
  if (random.chance(60)) address();
  else value();
  if (random.chance(95)) code.i32(random.chance(70) ? random.below(40) : random.below(20000));
  else value();
  const opcode = random.pick([op.MEMORY_COPY, op.MEMORY_FILL, op.MEMORY_INIT]);
  code.op(opcode);
  if (opcode === op.MEMORY_INIT) code.u32(PASSIVE);
  if (opcode === op.MEMORY_COPY) code.u8(0);
  code.u8(0);
}

/** Puts the sum of a local and a constant on the stack. */
export function sum(code: Code, local: number, addend: number): void {
  code.get(local);
  code.i32(addend);
  code.op(op.I32_ADD);
}

/** Moves the global that is like a stack pointer. */
export function movePointer(random: Random, code: Code): void {
  code.index(op.GLOBAL_GET, POINTER);
  code.i32(random.chance(90) ? random.below(100) : random.below(10_000));
  code.op(random.chance(60) ? op.I32_SUB : op.I32_ADD);
  code.index(op.GLOBAL_SET, POINTER);
}
