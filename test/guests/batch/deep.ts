/** Entries that are suspended with a deep stack, and items that write to private memory. */

import { ret } from "../../../guest/index.ts";

export const STATE_BYTES: u32 = 65536;

const PAGES: usize = 16;
const numbers: usize = memory.data(65536, 16);

/** Suspends below so many frames, none of which is all zeros. */
export function deep(depth: i64): i64 {
  return (depth > 0 ? deep(depth - 1) : ret(0)) + ~depth;
}

/** Adds 1 to a number in each page of private memory, and returns their sum. */
export function step(_: i64): i64 {
  let sum: i64 = 0;
  for (let page: usize = 0; page < PAGES; page++) {
    const at = numbers + page * 4096;
    store<i64>(at, load<i64>(at) + 1);
    sum += load<i64>(at);
  }
  return sum;
}
