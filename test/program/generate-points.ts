/**
 * Random code around calls of ret, at which a program is suspended: with operands that wait below, in blocks,
 * loops and ifs that take and return values, between a value and the branch that takes it along.
 */

import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import type { Types } from "./build.ts";
import { GET, TYPES } from "./generate-tables.ts";
import type { Random } from "./random.ts";

const { I32, I64 } = op;

export interface PointMeans {
  readonly random: Random;
  readonly code: Code;
  readonly types: Types;
  /** Leaves a value of the type on the stack, made at random. */
  readonly value: (type: number) => void;
  /** A local of the type, and one that nothing else uses. */
  readonly local: (type: number) => number;
  readonly ownLocal: (type: number) => number;
  /** Writes code within a label that takes and gives these: nothing in it branches there by chance. */
  readonly within: (types: readonly number[], write: () => void) => void;
  /** Called where a turn of a loop begins. */
  readonly turn: () => void;
}

/** A call of ret, whose answer stays on the stack. In generated programs that can suspend GET is ret. */
function answer({ random, code, local, value }: PointMeans): void {
  if (random.chance(70)) code.get(local(I64));
  else value(I64);
  code.index(op.CALL, GET);
}

/** The same, with the answer put away. */
function point(means: PointMeans): void {
  const { random, code, local } = means;
  if (random.chance(15)) return;
  answer(means);
  if (random.chance(50)) code.set(local(I64));
  else code.op(op.DROP);
}

function open({ code, types }: PointMeans, opcode: number, takes: readonly number[], gives = takes): void {
  code.u8(opcode);
  code.s32(types.index(takes, gives));
}

const SHAPES: readonly ((means: PointMeans, type: number) => void)[] = [
  // An operand waits.
  (means, type) => {
    means.value(type);
    point(means);
  },
  // A block takes two operands; a branch takes them along, or not.
  (means, type) => {
    const other = means.random.pick(TYPES);
    means.value(other);
    means.value(type);
    open(means, op.BLOCK, [other, type]);
    means.within([other, type], () => {
      point(means);
      means.value(I32);
      means.code.index(op.BR_IF, 0);
      point(means);
    });
    means.code.end();
    keepLast(means, type);
  },
  // An if takes an operand, which its missing arm hands on, or which an arm gives up for another.
  (means, type) => {
    const { random, code } = means;
    means.value(type);
    means.value(I32);
    open(means, op.IF, [type]);
    means.within([type], () => {
      point(means);
      if (random.chance(30)) {
        code.index(op.BR, 0);
      }
      if (random.chance(60)) {
        code.op(op.ELSE);
        point(means);
        code.op(op.DROP);
        means.value(type);
        point(means);
      }
    });
    code.end();
  },
  // A loop takes a counter and an operand, and hands them to its next turn.
  (means, type) => {
    const { code } = means;
    const [counter, kept] = [means.ownLocal(I32), means.ownLocal(type)];
    code.i32(1 + means.random.below(4));
    means.value(type);
    open(means, op.LOOP, [I32, type]);
    means.within([-1], () => {
      means.turn();
      point(means);
      code.set(kept);
      code.i32(1);
      code.op(op.I32_SUB);
      code.tee(counter);
      if (means.random.chance(50)) point(means);
      code.get(kept);
      point(means);
      code.get(counter);
      code.index(op.BR_IF, 0);
    });
    code.end();
    keepLast(means, type);
  },
  // A branch table takes an operand along.
  (means, type) => {
    const { code } = means;
    open(means, op.BLOCK, [], [type]);
    means.within([type], () => {
      open(means, op.BLOCK, [], [type]);
      means.within([type], () => {
        means.value(type);
        point(means);
        means.value(I32);
        code.i32(3);
        code.op(op.I32_AND);
        code.index(op.BR_TABLE, 2);
        for (const label of [0, 1, 0]) code.u32(label);
      });
      code.end();
      point(means);
    });
    code.end();
  },
  // Both operands of a select wait for its condition.
  (means, type) => {
    means.value(type);
    means.value(type);
    answer(means);
    means.code.op(op.I32_WRAP_I64);
    means.code.op(op.SELECT);
  },
  // An address waits while the value to be stored is made, on the stack or in a local.
  (means, type) => {
    const { code } = means;
    means.value(I32);
    code.i32(0x7fff);
    code.op(op.I32_AND);
    if (means.random.chance(50)) {
      const base = means.ownLocal(I32);
      code.set(base);
      code.get(base);
    }
    answer(means);
    code.op(op.I64_STORE);
    code.u32(0);
    code.u32(means.random.below(100));
    means.value(type);
  },
];

/** Leaves the topmost of two operands. */
function keepLast({ code, ownLocal }: PointMeans, type: number): void {
  const kept = ownLocal(type);
  code.set(kept);
  code.op(op.DROP);
  code.get(kept);
}

/** Leaves a value of the type on the stack. */
export function valueAroundPoints(means: PointMeans, type: number): void {
  means.random.pick(SHAPES)(means, type);
}
