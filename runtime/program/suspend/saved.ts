/**
 * Which locals must be saved when a function is suspended: those with a read that may find a value written
 * before a suspension point that was passed since.
 *
 * One pass over the body, in time linear in it. For each local it knows the place of the last write that
 * every way to the current place leads through; a local begins with a write before the first instruction. A
 * read needs nothing saved if no point lies between that write and the read. Between the two in the order of
 * the code lies all that can run between them, but for turns of a loop that begins between them: so a loop
 * that contains a point counts as one where it begins. The points of one arm of an `if` do not count in the
 * other. What is written in a block or an arm is forgotten behind it, where ways meet.
 *
 * The first mark of a store at a local reads that local, too (barrier.ts).
 */

import type { Body } from "../decode/body.ts";
import * as op from "../decode/opcodes.ts";
import { MARK_LOCAL, type Marks } from "../instrument/barrier.ts";
import type { Sites } from "./sites.ts";

const BEFORE = -1;

/** By local: 1 if it must be saved. `defect` plants one, for tests. */
export function savedLocals(
  body: Body,
  marks: Marks,
  { numbers, regions }: Sites,
  defect: string | null,
): Uint8Array {
  const saved = new Uint8Array(body.locals.length);
  const written = new Int32Array(body.locals.length).fill(BEFORE);
  /** Locals and what `written` said of them before, in turn: to go back to. */
  const undo: number[] = [];
  /** Of an open block, `before` and `arm` are the last point before it and at the end of its first arm. */
  const frames: { opcode: number; mark: number; before: number; arm: number }[] = [];
  let point = BEFORE - 1;
  const read = (local: number) => {
    if ((written[local] as number) < point) saved[local] = 1;
  };
  const goBack = (mark: number) => {
    while (undo.length > mark) {
      const before = undo.pop() as number;
      written[undo.pop() as number] = before;
    }
  };
  for (let place = 0; place < body.length; place++) {
    const opcode = body.ops[place] as number;
    const local = body.a[place] as number;
    switch (opcode) {
      case op.LOCAL_GET:
        read(local);
        break;
      case op.LOCAL_SET:
      case op.LOCAL_TEE:
        if (frames.length > 0) undo.push(local, written[local] as number);
        written[local] = place;
        break;
      case op.CALL:
      case op.CALL_INDIRECT:
        if (numbers.has(place)) point = place;
        break;
      case op.LOOP:
        if (regions.has(place) && defect !== "local") point = place;
        frames.push({ opcode, mark: undo.length, before: point, arm: point });
        break;
      case op.BLOCK:
      case op.IF:
        frames.push({ opcode, mark: undo.length, before: point, arm: point });
        break;
      case op.ELSE: {
        const frame = frames.at(-1) as (typeof frames)[0];
        goBack(frame.mark);
        frame.arm = point;
        point = frame.before;
        break;
      }
      case op.END: {
        const frame = frames.pop();
        if (frame === undefined) break;
        if (frame.opcode !== op.LOOP) goBack(frame.mark);
        point = Math.max(point, frame.arm);
        break;
      }
      default:
        if (marks.kinds[place] === MARK_LOCAL && op.IS_STORE[opcode] === 1 && defect !== "base")
          read(marks.ids[place] as number);
    }
  }
  return saved;
}
