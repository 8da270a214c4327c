/**
 * Writes marks: what a store, planned by barrier.ts, does to the byte that stands for its place. The first
 * mark of a page since the activation or item began is paid.
 *
 * A page that is marked already takes a load and a branch that is never taken: 1.04 times as long as setting
 * the mark blindly, over the kernels of `npm run bench -- instrumentation`. Taking the price times what the
 * mark was instead of a branch took 1.12 times as long.
 */

import * as op from "../decode/opcodes.ts";
import { GROUPS, type Marks, marksOf, paidOf } from "../layout.ts";
import { AUX, type Code } from "./code.ts";

const I32_NE = 0x47;
const SET = 1;

/** Where a store writes: its base, to be put on the stack, and the offset; or a constant, without a base. */
export interface Address {
  readonly base: (() => void) | null;
  readonly offset: number;
}

/** Puts the index of the address's mark on the stack; returns where the mark with index 0 lies. */
function markIndex(code: Code, { at, shift }: Marks, { base, offset }: Address): number {
  if (base === null) {
    // May lie above 2^32, for a store that traps before it comes here.
    code.i32(0);
    return at + Math.floor(offset / (1 << shift));
  }
  base();
  if (offset !== 0) {
    code.i32(offset | 0);
    code.op(op.I32_ADD);
  }
  code.i32(shift);
  code.op(op.I32_SHR_U);
  return at;
}

function set(code: Code, marks: Marks, address: Address): void {
  const at = markIndex(code, marks, address);
  code.i32(SET);
  code.access(op.I32_STORE8, AUX, at);
}

/** Runs `first` if the mark is not set, and sets it. */
function setOnce(code: Code, marks: Marks, address: Address, first: () => void): void {
  const at = markIndex(code, marks, address);
  code.access(op.I32_LOAD8_U, AUX, at);
  code.i32(SET);
  code.op(I32_NE);
  code.openUnlikely();
  set(code, marks, address);
  first();
  code.end();
}

/** Has the page of the address marked, with its group, and paid for, if it is not yet. */
function setPage(code: Code, marks: Marks, address: Address, pay: () => void): void {
  setOnce(code, marks, address, () => {
    set(code, GROUPS, address);
    pay();
  });
}

/** Has the page of the address paid for, if it is not yet. */
export function payPage(code: Code, bound: number, address: Address, pay: () => void): void {
  setPage(code, paidOf(bound), address, pay);
}

/** Marks what a store has written above the bound, 0 in the sequential variant. */
export function mark(code: Code, bound: number, address: Address, pay: () => void): void {
  if (bound === 0) return payPage(code, bound, address, pay);
  // The kernel's own writes mark and pay alike, so a place that is marked lies in a page that is paid.
  setOnce(code, marksOf(bound), address, () => payPage(code, bound, address, pay));
}
