/**
 * Factors of points as signed digits (Guide to Elliptic Curve Cryptography, algorithm 3.35): odd, below
 * 2^(width-1), and of `width` places at most one is not zero. So a table of a point's odd multiples does, of
 * 2^(width-2) of them.
 */

/** Width of digits from -15 to 15, and the multiples in their tables: 1, 3, … 15. */
export const WIDTH: u32 = 5;
export const MULTIPLES: u32 = 8;

/**
 * Writes the digits of `number`, or of its negative, into `places` bytes, the least significant first. They
 * take one place more than the number has bits, at most 256.
 */
export function writeDigits(
  target: usize,
  places: u32,
  number: usize,
  negative: bool,
  width: u32 = WIDTH,
): void {
  memory.fill(target, 0, places);
  // What the digits so far are more than the bits that they stand for: 0 or 1, of weight 2^place.
  let carry: u32 = 0;
  let place: u32 = 0;
  while (place < places) {
    if ((bitsAt(number, place) & 1) == carry) {
      place++;
      continue;
    }
    const taken = min<u32>(width, places - place);
    let digit = <i32>((bitsAt(number, place) & ((1 << taken) - 1)) + carry);
    carry = (<u32>digit >> (width - 1)) & 1;
    digit -= <i32>(carry << width);
    store<i8>(target + place, <i8>(negative ? -digit : digit));
    place += taken;
  }
}

/** At least 32 bits of a number of 256 bits from `place` on. */
function bitsAt(number: usize, place: u32): u32 {
  if (place >= 256) return 0;
  const limb: usize = (place >> 6) << 3;
  const shift: u64 = place & 63;
  let bits = load<u64>(number + limb) >> shift;
  if (shift > 32 && limb < 24) bits |= load<u64>(number + limb, 8) << (64 - shift);
  return <u32>bits;
}
