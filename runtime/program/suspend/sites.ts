/**
 * The shape of a function that can suspend: its suspension points, and the labels by which it is entered
 * again at one of them.
 *
 * A suspension point is a call through which `ret` or `snapshot` may be reached. Points are numbered from 1
 * on in the order of their places. The function and each loop that contains a point is a *region*. Where a
 * region begins, all of its labels are opened at once, so that one jump leads to any point in it:
 *
 *     loop                          loop
 *       A                             block $if
 *       block                           block $else
 *         B                               block $2
 *         call ret          (1)             block $block
 *         br_if 0                             block $1
 *         C                                     where: 1 → $1, 2 → $2, else on
 *       end                                     A B
 *       if                                    end $1
 *         call ret          (2)               call ret, br_if $block, C
 *       else                                end $block
 *         D                                 not, br_if $else
 *       end                               end $2
 *     end                                 call ret, br $if
 *                                       end $else
 *                                       D
 *                                     end $if
 *                                   end
 *
 * So a block whose code contains a point begins where its region begins, which changes nothing: only its end
 * is a place that branches lead to. An `if` that contains one is made of two blocks. A loop that contains one
 * is entered by a label of the region around it, and is a region itself. What contains no point stays as it
 * is.
 * All operands are in locals wherever such a label ends (operand-stack.ts).
 */

import { SUSPENSION_LOOPS_LIMIT, SUSPENSION_POINTS_LIMIT, SUSPENSION_VALUES_LIMIT } from "../../limits.ts";
import type { AdmissionError } from "../admission-error.ts";
import { type Body, EMPTY_BLOCK } from "../decode/body.ts";
import * as op from "../decode/opcodes.ts";
import type { Reach } from "../instrument/barrier.ts";
import { operandSlots } from "../instrument/depth.ts";

/** What a label's end is: where a point or a loop is entered, or the end of an arm or a block. */
export type LabelKind = "enter" | "else" | "end";

export interface Label {
  readonly kind: LabelKind;
  /** The place of the call, or of the loop, block or `if` that it belongs to. */
  readonly place: number;
}

export interface Region {
  /** In the order in which they end; they are opened in the opposite order. */
  readonly labels: Label[];
  /** The number of its first point, and for each from there on the label that leads to it. */
  first: number;
  readonly ways: number[];
}

/** In place of a loop: the region of the function. */
export const FUNCTION = -1;

export interface Sites {
  /** By place of a call: the number of the point. */
  readonly numbers: ReadonlyMap<number, number>;
  /** By place of a block, loop or `if` that contains a point: whether it is an `if` with an `else`. */
  readonly opened: ReadonlyMap<number, boolean>;
  /** By place of a loop that contains a point, and for FUNCTION. */
  readonly regions: ReadonlyMap<number, Region>;
}

export function isSuspending(body: Body, place: number, reach: Reach): boolean {
  const target = body.a[place] as number;
  if (body.ops[place] === op.CALL) return reach.functions[target] === 1;
  return body.ops[place] === op.CALL_INDIRECT && reach.types[target] === 1;
}

/** Whether an `if` without `else` needs a label for its missing arm, which hands on what the `if` takes. */
export function hasArmLabel(body: Body, place: number, hasElse: boolean): boolean {
  return hasElse || body.a[place] !== EMPTY_BLOCK;
}

interface Open {
  readonly opcode: number;
  readonly place: number;
  readonly firstPoint: number;
  hasElse: boolean;
}

/**
 * The points of a body, by the functions and types through which a program may suspend.
 *
 * @throws AdmissionError (not-suspendable)
 */
export function sitesOf(body: Body, reach: Reach, fail: (text: string) => AdmissionError): Sites {
  const numbers = new Map<number, number>();
  const opened = openedOf(body, reach, numbers, fail);
  const regions = new Map<number, Region>();
  const path: Region[] = [newRegion(regions, FUNCTION, 1)];
  const frames: { opcode: number; place: number; contains: boolean }[] = [];
  let next = 1;
  const label = (kind: LabelKind, place: number) => (path.at(-1) as Region).labels.push({ kind, place });
  for (let place = 0; place < body.length; place++) {
    const opcode = body.ops[place] as number;
    switch (opcode) {
      case op.CALL:
      case op.CALL_INDIRECT:
        if (!numbers.has(place)) break;
        next++;
        label("enter", place);
        // From the regions around, the way leads through the label that enters the loop, which is their last.
        for (const region of path) region.ways.push(region.labels.length - 1);
        break;
      case op.BLOCK:
      case op.IF:
      case op.LOOP: {
        const contains = opened.has(place);
        frames.push({ opcode, place, contains });
        if (!contains || opcode !== op.LOOP) break;
        label("enter", place);
        if (path.length > SUSPENSION_LOOPS_LIMIT) {
          const limit = `at most ${SUSPENSION_LOOPS_LIMIT} loops around such a call are allowed`;
          throw fail(`A call that may suspend lies in more nested loops: ${limit}`);
        }
        path.push(newRegion(regions, place, next));
        break;
      }
      case op.ELSE: {
        const frame = frames.at(-1) as (typeof frames)[0];
        if (frame.contains) label("else", frame.place);
        break;
      }
      case op.END: {
        const frame = frames.pop();
        if (frame === undefined || !frame.contains) break;
        if (frame.opcode === op.LOOP) {
          path.pop();
          break;
        }
        const isArm = frame.opcode === op.IF && opened.get(frame.place) === false;
        if (isArm && hasArmLabel(body, frame.place, false)) label("else", frame.place);
        label("end", frame.place);
      }
    }
  }
  return { numbers, opened, regions };
}

function newRegion(regions: Map<number, Region>, place: number, first: number): Region {
  const region: Region = { labels: [], first, ways: [] };
  regions.set(place, region);
  return region;
}

/** Numbers the points; returns what contains one. */
function openedOf(
  body: Body,
  reach: Reach,
  numbers: Map<number, number>,
  fail: (text: string) => AdmissionError,
): Map<number, boolean> {
  const opened = new Map<number, boolean>();
  const frames: Open[] = [];
  for (let place = 0; place < body.length; place++) {
    const opcode = body.ops[place] as number;
    if (isSuspending(body, place, reach)) {
      numbers.set(place, numbers.size + 1);
    } else if (opcode === op.BLOCK || opcode === op.IF || opcode === op.LOOP) {
      frames.push({ opcode, place, firstPoint: numbers.size, hasElse: false });
    } else if (opcode === op.ELSE) {
      (frames.at(-1) as Open).hasElse = true;
    } else if (opcode === op.END) {
      const frame = frames.pop();
      if (frame !== undefined && numbers.size > frame.firstPoint) opened.set(frame.place, frame.hasElse);
    }
  }
  if (numbers.size > SUSPENSION_POINTS_LIMIT) {
    const limit = `at most ${SUSPENSION_POINTS_LIMIT} are allowed in a function`;
    throw fail(`${numbers.size} calls that may suspend: ${limit}`);
  }
  const values = body.locals.length + operandSlots(body);
  if (numbers.size * values > SUSPENSION_VALUES_LIMIT) {
    const limit = `at most ${SUSPENSION_VALUES_LIMIT} are allowed as the product of both`;
    throw fail(`${numbers.size} calls that may suspend, and ${values} locals and operands: ${limit}`);
  }
  return opened;
}
