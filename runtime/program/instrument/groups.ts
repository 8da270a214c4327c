/**
 * Groups of pages (layout.ts), where marks are looked for: a group in which nothing is marked is passed, and
 * 16 of them at a time.
 */

import * as op from "../decode/opcodes.ts";
import { AUX_GROUPS, GROUP_PAGES, GROUP_SHIFT } from "../layout.ts";
import { AUX, type Code } from "./code.ts";
import { addTo } from "./glue-lines.ts";

/** Pages whose groups are looked at together: 16 of them. */
const SCAN_STEP = 16 * GROUP_PAGES;

/** Puts the number of the group of the page in the local on the stack. */
function groupOf(code: Code, page: number): void {
  code.get(page);
  code.i32(GROUP_SHIFT);
  code.op(op.I32_SHR_U);
}

function setGroup(code: Code, page: number, value: number): void {
  groupOf(code, page);
  code.i32(value);
  code.access(op.I32_STORE8, AUX, AUX_GROUPS);
}

/** Marks the group of the page in the local: one of its pages may have a mark. */
export function markGroup(code: Code, page: number): void {
  setGroup(code, page, 1);
}

/**
 * Continues with the next group, at the start of the loop that is `depth` labels out, if the page in the
 * local is the first one of a group in which nothing is marked. Else the group's own mark is taken away.
 */
export function passGroup(code: Code, page: number, depth: number): void {
  code.open(op.BLOCK);
  code.get(page);
  code.i32(GROUP_PAGES - 1);
  code.op(op.I32_AND);
  code.index(op.BR_IF, 0);
  code.open(op.BLOCK);
  code.get(page);
  code.i32(SCAN_STEP - 1);
  code.op(op.I32_AND);
  code.index(op.BR_IF, 0);
  // May reach beyond the end of memory, where nothing is ever marked.
  groupOf(code, page);
  code.access(op.V128_LOAD, AUX, AUX_GROUPS);
  code.op(op.V128_ANY_TRUE);
  code.index(op.BR_IF, 0);
  addTo(code, page, SCAN_STEP);
  code.index(op.BR, depth + 2);
  code.end();
  groupOf(code, page);
  code.access(op.I32_LOAD8_U, AUX, AUX_GROUPS);
  code.op(op.I32_EQZ);
  code.open(op.IF);
  addTo(code, page, GROUP_PAGES);
  code.index(op.BR, depth + 2);
  code.end();
  setGroup(code, page, 0);
  code.end();
}
