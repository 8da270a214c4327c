/** What instructions other than control flow take from the operand stack, and what they leave there. */

import { assert } from "../../errors.ts";
import type { Body } from "../decode/body.ts";
import type { Module } from "../decode/model.ts";
import * as op from "../decode/opcodes.ts";
import type { OperandStack } from "./operand-stack.ts";

/** `leaves` is a type, or null. */
export interface Effect {
  readonly takes: number;
  readonly leaves: number | null;
}

/** Of the instruction at `place`, with its operands on `stack`. */
export function effectOf(body: Body, module: Module, place: number, stack: OperandStack): Effect {
  const opcode = body.ops[place] as number;
  const signature = op.SIGNATURES[opcode] ?? null;
  if (signature !== null && op.IMMEDIATES[opcode] !== op.SPECIAL)
    return { takes: signature.operands.length, leaves: signature.results[0] ?? null };
  const a = body.a[place] as number;
  switch (opcode) {
    case op.NOP:
      return { takes: 0, leaves: null };
    case op.DROP:
    case op.LOCAL_SET:
    case op.GLOBAL_SET:
      return { takes: 1, leaves: null };
    case op.SELECT:
      return { takes: 3, leaves: stack.typeAt(1) };
    case op.SELECT_TYPED:
      return { takes: 3, leaves: a };
    case op.LOCAL_GET:
      return { takes: 0, leaves: body.locals[a] as number };
    case op.LOCAL_TEE:
      return { takes: 1, leaves: body.locals[a] as number };
    case op.GLOBAL_GET:
      return { takes: 0, leaves: module.globals[a]?.type as number };
    case op.TABLE_SIZE:
    case op.MEMORY_SIZE:
    case op.I32_CONST:
      return { takes: 0, leaves: op.I32 };
    case op.MEMORY_GROW:
      return { takes: 1, leaves: op.I32 };
    case op.MEMORY_INIT:
    case op.MEMORY_COPY:
    case op.MEMORY_FILL:
      return { takes: 3, leaves: null };
    case op.I64_CONST:
      return { takes: 0, leaves: op.I64 };
    case op.F32_CONST:
      return { takes: 0, leaves: op.F32 };
    case op.F64_CONST:
      return { takes: 0, leaves: op.F64 };
    case op.V128_CONST:
      return { takes: 0, leaves: op.V128 };
    case op.I8X16_SHUFFLE:
      return { takes: 2, leaves: op.V128 };
    default:
      // References are not admitted in functions that can suspend.
      return assert(false, `effectOf: ${op.NAMES[opcode]}`) as never;
  }
}
