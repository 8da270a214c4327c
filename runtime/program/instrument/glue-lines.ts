/** What modules of glue (glue-module.ts) have in common: loops, and lines of 64 bytes in any memories. */

import { LINE_BYTES, LINE_SHIFT } from "../../units.ts";
import * as op from "../decode/opcodes.ts";
import type { Code } from "./code.ts";

const VECTOR_BYTES = 16;

/** A line: its memory, the local that holds an address, and how far above that it begins. */
export interface LineAt {
  readonly memory: number;
  readonly at: number;
  readonly offset: number;
}

/** Copies a line. */
export function copyLine(code: Code, to: LineAt, from: LineAt): void {
  for (let byte = 0; byte < LINE_BYTES; byte += VECTOR_BYTES) {
    code.get(to.at);
    code.get(from.at);
    code.access(op.V128_LOAD, from.memory, from.offset + byte, 4);
    code.access(op.V128_STORE, to.memory, to.offset + byte, 4);
  }
}

/** Leaves on the stack whether two lines differ. */
export function linesDiffer(code: Code, a: LineAt, b: LineAt): void {
  for (let byte = 0; byte < LINE_BYTES; byte += VECTOR_BYTES) {
    for (const side of [a, b]) {
      code.get(side.at);
      code.access(op.V128_LOAD, side.memory, side.offset + byte, 4);
    }
    code.op(op.V128_XOR);
    if (byte > 0) code.op(op.V128_OR);
  }
  code.op(op.V128_ANY_TRUE);
}

/** The local becomes itself plus a constant. */
export function addTo(code: Code, local: number, value: number): void {
  code.get(local);
  code.i32(value);
  code.op(op.I32_ADD);
  code.set(local);
}

/** Local `to` becomes the byte address of the line whose number is in the local. */
export function lineAddress(code: Code, line: number, to: number): void {
  code.get(line);
  code.i32(LINE_SHIFT);
  code.op(op.I32_SHL);
  code.set(to);
}

/**
 * Runs `visit` for each line of a range that begins below `bound`, ascending: those above it are left out.
 * The range is in locals, its address and its length, which is not 0; `line` and `last` are used up.
 */
export function eachLineOf(
  code: Code,
  range: { address: number; length: number; line: number; last: number },
  bound: number,
  visit: () => void,
): void {
  const { address, length, line, last } = range;
  code.get(address);
  code.i32(LINE_SHIFT);
  code.op(op.I32_SHR_U);
  code.set(line);
  // The last line: that of the last byte, or the last below the bound.
  code.i32(bound | 0);
  code.get(address);
  code.get(length);
  code.op(op.I32_ADD);
  code.get(length);
  code.i32(bound | 0);
  code.get(address);
  code.op(op.I32_SUB);
  code.op(op.I32_GE_U);
  code.op(op.SELECT);
  code.i32(1);
  code.op(op.I32_SUB);
  code.i32(LINE_SHIFT);
  code.op(op.I32_SHR_U);
  code.set(last);
  countTo(code, line, last, visit);
}

/** Runs `body` once, and again with local `i` one more until it is local `last`. */
export function countTo(code: Code, i: number, last: number, body: () => void): void {
  code.open(op.LOOP);
  body();
  code.get(i);
  code.get(last);
  code.op(op.I32_LT_U);
  code.open(op.IF);
  code.get(i);
  code.i32(1);
  code.op(op.I32_ADD);
  code.set(i);
  code.index(op.BR, 1);
  code.end();
  code.end();
}

/** Runs `body` while local `i` is below local `end`, adding `step` to it each time. */
export function countUp(code: Code, i: number, end: number, step: number, body: () => void): void {
  code.open(op.BLOCK);
  code.open(op.LOOP);
  code.get(i);
  code.get(end);
  code.op(op.I32_GE_U);
  code.index(op.BR_IF, 1);
  body();
  code.get(i);
  code.i32(step);
  code.op(op.I32_ADD);
  code.set(i);
  code.index(op.BR, 0);
  code.end();
  code.end();
}
