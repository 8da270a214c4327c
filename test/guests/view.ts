/** A root without STATE_BYTES, whose entries return where their output is. */

import { outputAt, snapshot } from "../../guest/index.ts";

const CAPACITY = 256;
const region = memory.data(CAPACITY, 8);
const reversed = memory.data(CAPACITY, 8);

export function main(argument: i64): i64 {
  while (snapshot(0, 0, region, CAPACITY) >= 0);
  return 0;
}

/** The bytes of the input in the opposite order. */
export function reverse(length: i64): i64 {
  const count = <u32>length;
  for (let i: u32 = 0; i < count; i++) store<u8>(reversed + i, load<u8>(region + count - 1 - i));
  return outputAt(reversed, count);
}

/** An output that lies outside of memory. */
export function lie(argument: i64): i64 {
  return outputAt(0x7fffffff, 0x100);
}
