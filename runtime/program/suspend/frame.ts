/**
 * Writes how a suspended function's frame is saved to and restored from the stack in the aux memory.
 *
 *   frame   values of the saved locals, 4, 8 or 16 bytes each · u32 number of the suspension point
 *
 * The frame of the innermost function is the lowest. AUX_UNWIND holds the address behind the last one.
 */

import * as op from "../decode/opcodes.ts";
import { AUX, type Code } from "../instrument/code.ts";
import { AUX_UNWIND } from "../layout.ts";
import type { Slot } from "./operand-stack.ts";

const ACCESS: Readonly<Record<number, { load: number; store: number; bytes: number }>> = {
  [op.I32]: { load: op.I32_LOAD, store: op.I32_STORE, bytes: 4 },
  [op.I64]: { load: op.I64_LOAD, store: op.I64_STORE, bytes: 8 },
  [op.F32]: { load: op.F32_LOAD, store: op.F32_STORE, bytes: 4 },
  [op.F64]: { load: op.F64_LOAD, store: op.F64_STORE, bytes: 8 },
  [op.V128]: { load: op.V128_LOAD, store: op.V128_STORE, bytes: 16 },
};

const accessOf = (type: number) => ACCESS[type] as (typeof ACCESS)[number];

function bytesOf(slots: readonly Slot[]): number {
  return slots.reduce((sum, { type }) => sum + accessOf(type).bytes, 0);
}

/** `address` is a local that is free for the address of the frame. */
export function saveFrame(code: Code, slots: readonly Slot[], address: number): void {
  code.auxLoad(op.I32_LOAD, AUX_UNWIND);
  code.set(address);
  let offset = 0;
  for (const { local, type } of slots) {
    code.get(address);
    code.get(local);
    code.access(accessOf(type).store, AUX, offset);
    offset += accessOf(type).bytes;
  }
  code.auxStore(op.I32_STORE, AUX_UNWIND, () => {
    code.get(address);
    code.i32(bytesOf(slots));
    code.op(op.I32_ADD);
  });
}

export function restoreFrame(code: Code, slots: readonly Slot[], address: number): void {
  code.auxStore(op.I32_STORE, AUX_UNWIND, () => {
    code.auxLoad(op.I32_LOAD, AUX_UNWIND);
    code.i32(bytesOf(slots));
    code.op(op.I32_SUB);
    code.tee(address);
  });
  let offset = 0;
  for (const { local, type } of slots) {
    code.get(address);
    code.access(accessOf(type).load, AUX, offset);
    code.set(local);
    offset += accessOf(type).bytes;
  }
}

/** Puts a value of the type on the stack: what a function returns while it is suspended. */
export function zero(code: Code, type: number): void {
  switch (type) {
    case op.I32:
      return code.i32(0);
    case op.I64:
      return code.i64(0n);
    case op.F32:
      code.op(op.F32_CONST);
      return code.bytes(new Uint8Array(4));
    case op.F64:
      code.op(op.F64_CONST);
      return code.bytes(new Uint8Array(8));
    default:
      code.op(op.V128_CONST);
      return code.bytes(new Uint8Array(16));
  }
}
