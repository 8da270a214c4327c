/**
 * What a trace sees of a transaction, step by step. Only the program of tracer.ts has these calls, for which
 * the constant TRACING is defined when it is compiled; in any other they are removed, with their imports.
 *
 * Of an opcode `begins` comes first, then `paid`, once or more: the first has its cost. What it left
 * is seen when the next one begins.
 */

import { returnArena } from "./arena.ts";
import { Frame } from "./frame.ts";
import { refund } from "./operations.ts";
import { onEnd, onPaid, onStep } from "./trace.ts";

/** An opcode is about to run in `frame`, which has `gas` left. */
export function begins(frame: Frame, pc: usize, sp: usize, gas: i64): void {
  onStep(
    <u32>(pc - frame.code),
    load<u8>(pc),
    gas,
    frame.depth,
    frame.memorySize,
    frame.base,
    <u32>(sp - frame.base) >> 5,
    returnArena,
    frame.returned,
  );
}

/** It has been charged for, what it passes to another frame included; `good`: it has not failed. */
export function paid(gas: i64, good: bool): void {
  onPaid(gas, load<i64>(refund), u32(good));
}

/** What the transaction's own frame leaves as output. */
export function ended(output: usize, length: u32): void {
  onEnd(output, length);
}
