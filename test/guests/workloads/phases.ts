/**
 * How every workload of this folder is made, so that it runs as processes and by hand alike: a number of
 * phases, each a sequential part and then pieces that are independent of each other.
 *
 *   prepare(size)   makes the input; gives the range of the result
 *   phases(0)       number of phases
 *   before(phase)   the sequential part
 *   piece(id)       a piece; id = phase × COPIES + index
 *   range(id)       what the piece writes
 *   needs(phase)    what it reads of what `before` and other pieces wrote since the preparation, 0: nothing.
 *                   Only for those who run pieces in memories that do not share
 *   solve(0)        all of it with `Parallel`
 * A range is address × 2^32 + length.
 */

import { Parallel } from "../../../guest/index.ts";

/** Pieces of a phase. */
export const COPIES: i32 = 4;
/** Of each: all together nearly what the tests start a guest with. */
const PIECE_GAS: u64 = 1_900_000_000;

export function rangeOf(address: usize, length: usize): i64 {
  return ((<i64>address) << 32) | <i64>length;
}

/** Runs a phase: `piece` in copies, and their ranges, which lie one after the other, merged. */
export function runPhase(
  phase: i32,
  piece: (index: i32, argument: i64) => void,
  first: i64,
  last: i64,
): void {
  const address = <usize>(first >> 32);
  const end = <usize>(last >> 32) + <usize>(last & 0xffffffff);
  Parallel.of(COPIES)
    .merge(address, <u32>(end - address))
    .gas(PIECE_GAS)
    .run(piece, phase);
}
