/** The root that the examples in docstrings use: adds up the bytes of every block it is given. */

import { snapshot } from "../../guest/process.ts";

const CAPACITY = 4096;
const region = memory.data(CAPACITY, 8);
const total = memory.data(8, 8);

export function main(argument: i64): i64 {
  let length = snapshot(0, 0, region, CAPACITY);
  while (length >= 0) {
    for (let i = 0; i < length; i++) store<u64>(total, load<u64>(total) + load<u8>(region + i));
    length = snapshot(total, 8, region, CAPACITY);
  }
  return length;
}

/** What the total would be after such a block. */
export function preview(length: i64): i64 {
  let sum = load<u64>(total);
  for (let i = 0; i < <i32>length; i++) sum += load<u8>(region + i);
  return sum;
}
