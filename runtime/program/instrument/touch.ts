/** The batch variant: writes the checks that lines.ts has planned. */

import { LINE_SHIFT } from "../../units.ts";
import * as op from "../decode/opcodes.ts";
import { AUX_TAGS, LINE_BYTES, TAG_PRESENT, TAG_WRITTEN } from "../layout.ts";
import type { Check, Lines } from "../lines/lines.ts";
import { AUX, type Code } from "./code.ts";

const I32_LE_U = 0x4d;

/** Leaves on the stack whether what lies `low` above the base begins below the bound. */
export function isState(code: Code, lines: Lines, base: () => void, low: number): void {
  base();
  // The sum would not wrap, the difference does not either.
  code.i32(lines.defect === "bound-offset" ? lines.bound : lines.bound - low);
  code.op(op.I32_LT_U);
}

/** Puts the base plus an offset on the stack. */
function address(code: Code, base: () => void, offset: number): void {
  base();
  if (offset === 0) return;
  code.i32(offset);
  code.op(op.I32_ADD);
}

/** Puts the tag of a byte's line on the stack. */
function tag(code: Code, base: () => void, offset: number): void {
  address(code, base, offset);
  code.i32(LINE_SHIFT);
  code.op(op.I32_SHR_U);
  code.access(op.I32_LOAD8_U, AUX, AUX_TAGS);
}

/** Sees to it that the lines of a range are there. It begins below the bound. */
export function checkTags(code: Code, lines: Lines, base: () => void, check: Check): void {
  const { low, high, write, aligned } = check;
  const last = lines.defect === "straddle" ? 0 : high - low - 1;
  if (aligned && last > 0) {
    // Bit of the tag > misalignment: the bit is set, and the access lies in one line. One tag less to look
    // at, and register pressure matters: a CRC takes 1.02 times the sequential variant, not 1.7.
    tag(code, base, low);
    code.i32(1);
    code.op(write && lines.defect !== "write-tag" ? op.I32_SHR_U : op.I32_AND);
    address(code, base, low & last);
    code.i32(last);
    code.op(op.I32_AND);
    code.op(I32_LE_U);
  } else {
    tag(code, base, low);
    if (last > 0) {
      tag(code, base, high - 1);
      code.op(op.I32_AND);
    }
    code.i32(bit(lines, write));
    code.op(op.I32_AND);
    code.op(op.I32_EQZ);
  }
  miss(code, lines, check, () => address(code, base, low));
}

/** The same where the range is known. */
export function checkTagsAt(code: Code, lines: Lines, check: Check): void {
  const { low, high, write } = check;
  const first = Math.floor(low / LINE_BYTES);
  const last = Math.floor((high - 1) / LINE_BYTES);
  code.auxLoad(op.I32_LOAD8_U, AUX_TAGS + first);
  if (last > first) {
    code.auxLoad(op.I32_LOAD8_U, AUX_TAGS + last);
    code.op(op.I32_AND);
  }
  code.i32(bit(lines, write));
  code.op(op.I32_AND);
  code.op(op.I32_EQZ);
  miss(code, lines, check, () => code.i32(low));
}

function bit(lines: Lines, write: boolean): number {
  return write && lines.defect !== "write-tag" ? TAG_WRITTEN : TAG_PRESENT;
}

function miss(code: Code, lines: Lines, { low, high, write }: Check, begin: () => void): void {
  code.openUnlikely();
  begin();
  code.i32(high - low);
  code.index(op.CALL, lines.miss(write));
  code.end();
}

/**
 * What a check calls, with begin and length of a range of at most two lines that begins below the bound:
 * touches the range if one of its lines lacks what is needed.
 */
export function missed(code: Code, touch: number, lines: Lines, write: boolean): void {
  const [begin, length] = [0, 1] as const;
  tag(code, () => code.get(begin), 0);
  tag(
    code,
    () => {
      code.get(begin);
      code.get(length);
      code.op(op.I32_ADD);
    },
    -1,
  );
  code.op(op.I32_AND);
  code.i32(bit(lines, write));
  code.op(op.I32_AND);
  code.op(op.I32_EQZ);
  code.open(op.IF);
  code.get(begin);
  code.get(length);
  code.i32(write ? 1 : 0);
  code.index(op.CALL, touch);
  code.end();
}
