/**
 * How much gas code costs.
 *
 * A function charges once when it is entered, and once more each time the header of one of its loops is
 * passed. A charge covers the instructions up to the next charge: all that stand in the function, or in the
 * loop, outside of inner loops. Of the two arms of an `if` the dearer one counts; code that a branch leaves
 * out is paid all the same. So a charge is a number known at admission and bounds the work that follows it,
 * and a loop without a charge does not exist.
 *
 * Bulk instructions also pay by length as they run: one gas for each BULK_GAS_BYTES.
 */

import type { Body } from "./body.ts";
import { BLOCK, ELSE, END, GAS, IF, LOOP } from "./opcodes.ts";

/** What entering a function costs besides its instructions. */
export const ENTRY_GAS = 3;
/** One gas for each so many locals, which must be set to zero. */
export const LOCALS_PER_GAS = 4;
/** What a turn of a loop costs besides its instructions. */
export const LOOP_GAS = 1;
/**
 * Bytes that memory.copy, memory.fill and memory.init move for one gas. The shift is its binary logarithm.
 */
export const BULK_GAS_BYTES = 8;
export const BULK_GAS_SHIFT = 3;

export interface Charges {
  readonly entry: number;
  /** By place of the `loop` instruction. */
  readonly loops: ReadonlyMap<number, number>;
}

export function chargesOf(body: Body): Charges {
  const loops = new Map<number, number>();
  const frames: { opcode: number; place: number; outer: number; then: number }[] = [];
  let cost = ENTRY_GAS + Math.floor((body.locals.length - body.parameters) / LOCALS_PER_GAS);
  for (let place = 0; place < body.length; place++) {
    const opcode = body.ops[place] as number;
    cost += GAS[opcode] as number;
    if (opcode === BLOCK) {
      frames.push({ opcode, place, outer: 0, then: 0 });
    } else if (opcode === LOOP) {
      frames.push({ opcode, place, outer: cost, then: 0 });
      cost = LOOP_GAS;
    } else if (opcode === IF) {
      frames.push({ opcode, place, outer: cost, then: 0 });
      cost = 0;
    } else if (opcode === ELSE) {
      const frame = frames[frames.length - 1] as (typeof frames)[0];
      frame.then = cost;
      cost = 0;
    } else if (opcode === END) {
      const frame = frames.pop();
      if (frame === undefined) break; // the function's own
      if (frame.opcode === LOOP) {
        loops.set(frame.place, cost);
        cost = frame.outer;
      } else if (frame.opcode === IF) {
        cost = frame.outer + Math.max(frame.then, cost);
      }
    }
  }
  return { entry: cost, loops };
}
