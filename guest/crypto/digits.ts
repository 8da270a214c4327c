/**
 * Factors of points as signed digits (Guide to Elliptic Curve Cryptography, algorithm 3.35): odd, from -15 to
 * 15, and of five places at most one is not zero. So a table of the eight odd multiples of a point does.
 */

import { U256 } from "../u256.ts";

/** Multiples in a table: 1, 3, … 15. */
export const MULTIPLES: u32 = 8;

/**
 * Writes the digits of `number`, or of its negative, into `places` bytes, the least significant first. They
 * take one place more than the number has bits. The number is used up.
 */
export function writeDigits(target: usize, places: usize, number: usize, negative: bool): void {
  memory.fill(target, 0, places);
  for (let place: usize = 0; !U256.isZero(number); place++) {
    if (load<u64>(number) & 1) {
      let digit = <i32>(load<u64>(number) & 31);
      if (digit < 16) {
        U256.subtractU64(number, number, <u64>digit);
      } else {
        digit -= 32;
        U256.addU64(number, number, <u64>-digit);
      }
      store<i8>(target + place, <i8>(negative ? -digit : digit));
    }
    U256.shiftRight(number, number, 1);
  }
}
