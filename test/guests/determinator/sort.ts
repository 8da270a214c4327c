/**
 * Parallel quicksort by recursion: each part forks two copies for its own two parts, to a depth, and sorts
 * sequentially below it. One array of u32, sorted in place.
 */

import { Parallel, allocatePages, memoryQuota } from "../../../guest/index.ts";
import { fillRandom, partition, quicksort } from "./quicksort.ts";

export { forked } from "../../../guest/index";

const COUNT: i32 = 20_000;
const GAS: u64 = 20_000_000;
const numbers: usize = allocatePages(COUNT * 4);

// The part that the copies are to halve; copies see their parent's.
let low: i32 = 0;
let high: i32 = 0;
let middle: i32 = 0;

/** Sorts with copies down to `depth`; the address of the numbers. */
export function sort(depth: i64): i64 {
  fillRandom(numbers, COUNT, 12345);
  low = 0;
  high = COUNT;
  sortPart(depth);
  return numbers;
}

/** Gas of one that forks `depth` times: for itself as much as for each of its copies. */
function gasFor(depth: i64): u64 {
  return depth == 0 ? GAS : gasFor(depth - 1) * 3;
}

/** Processes below one that forks `depth` times. */
function below(depth: i64): i32 {
  return (2 << (<i32>depth)) - 2;
}

function sortPart(depth: i64): void {
  if (depth == 0 || high - low < 2) {
    quicksort(numbers, low, high);
    return;
  }
  middle = partition(numbers, low, high);
  const pages = memoryQuota(memory.size()) * (1 + below(depth - 1));
  Parallel.of(2)
    .gas(gasFor(depth - 1))
    .quota(pages, below(depth - 1))
    .merge(numbers + low * 4, (high - low) * 4)
    .run(sortHalf, depth - 1);
}

function sortHalf(index: i32, depth: i64): void {
  if (index == 0) high = middle;
  else low = middle;
  sortPart(depth);
}
