/**
 * The batch variant: how an access finds out whether it meets state, and sees to it that the lines it meets
 * are there.
 *
 * State is the memory below a bound known at admission. Before an access its effective address, base plus
 * offset without wrapping, is compared with the bound; below it, the tags of the first and the last line
 * accessed must have the bit that the access needs, else `touch` is called with the whole range. The contract
 * is that of layout.ts.
 */

import { AUX, type Code } from "./code.ts";
import { AUX_TAGS, LINE_BYTES, TAG_PRESENT, TAG_WRITTEN } from "./layout.ts";
import * as op from "./opcodes.ts";
import type { Defect } from "./rewrite.ts";

const LINE_SHIFT = 6;

export interface Lines {
  /** Where state ends, in bytes: a multiple of 4096 below 2^32. */
  readonly bound: number;
  /** The import `touch`. */
  readonly touch: number;
  readonly defect: Defect | null;
}

export interface Access {
  /** Puts the base address on the stack. */
  readonly address: () => void;
  /** The base address where it is known, else null. */
  readonly constant: number | null;
  readonly offset: number;
  readonly width: number;
  readonly write: boolean;
}

/** Runs one of two pieces of code: as the access begins below the bound, in state, or not. */
export function whereItLies(
  code: Code,
  lines: Lines,
  access: Access,
  inState: () => void,
  inPrivate: () => void = () => {},
): void {
  const { bound, defect } = lines;
  const { constant, offset } = access;
  // The effective address does not wrap.
  if ((constant ?? 0) + offset >= bound) return inPrivate();
  if (constant !== null) return inState();
  access.address();
  code.i32(defect === "bound-offset" ? bound : bound - offset);
  code.op(op.I32_LT_U);
  code.open(op.IF);
  inState();
  if (access.write) code.op(op.ELSE);
  inPrivate();
  code.end();
}

/** For an access that begins below the bound. */
export function checkTags(code: Code, lines: Lines, access: Access): void {
  const { address, constant, offset, width, write } = access;
  const tag = (place: number) => {
    if (constant !== null)
      return code.auxLoad(op.I32_LOAD8_U, AUX_TAGS + Math.floor((constant + place) / LINE_BYTES));
    address();
    if (place !== 0) {
      code.i32(place);
      code.op(op.I32_ADD);
    }
    code.i32(LINE_SHIFT);
    code.op(op.I32_SHR_U);
    code.access(op.I32_LOAD8_U, AUX, AUX_TAGS);
  };
  tag(offset);
  if (width > 1 && lines.defect !== "straddle") {
    tag(offset + width - 1);
    code.op(op.I32_AND);
  }
  code.i32(write && lines.defect !== "write-tag" ? TAG_WRITTEN : TAG_PRESENT);
  code.op(op.I32_AND);
  code.op(op.I32_EQZ);
  code.openUnlikely();
  if (constant !== null) {
    code.i32(constant + offset);
  } else {
    address();
    if (offset !== 0) {
      code.i32(offset);
      code.op(op.I32_ADD);
    }
  }
  code.i32(width);
  code.i32(write ? 1 : 0);
  code.index(op.CALL, lines.touch);
  code.end();
}
