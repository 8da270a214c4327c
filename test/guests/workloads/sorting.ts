/** Quicksort: the array is split at medians of samples, the parts are sorted in copies. */

import { PAGE_BYTES, allocatePages } from "../../../guest/index.ts";
import { fillRandom, quicksort } from "../determinator/quicksort.ts";
import { COPIES, rangeOf, runPhase } from "./phases.ts";

export { forked } from "../../../guest/index";

const SAMPLES: i32 = 1021;
const samples: usize = memory.data(SAMPLES * 4, 8);
let count: i32 = 0;
let numbers: usize = 0;
/** Where the parts begin, and the end; in front of the numbers. */
let borders: usize = 0;

export function prepare(size: i64): i64 {
  if (count == 0) {
    count = <i32>size;
    borders = allocatePages(PAGE_BYTES + count * 4);
    numbers = borders + PAGE_BYTES;
  }
  fillRandom(numbers, count, 4711);
  return rangeOf(numbers, count * 4);
}

export function phases(argument: i64): i64 {
  return 1;
}

/** Splits in two, and each part in two again. */
export function before(phase: i64): i64 {
  for (let i = 0; i < SAMPLES; i++) {
    store<u32>(samples + (i << 2), load<u32>(numbers + ((<usize>i * (count / SAMPLES)) << 2)));
  }
  quicksort(samples, 0, SAMPLES);
  store<i32>(borders, count, COPIES * 4);
  store<i32>(borders, 0);
  split(0, COPIES);
  return 0;
}

function split(from: i32, to: i32): void {
  const middle = (from + to) >> 1;
  if (middle == from) return;
  const pivot = load<u32>(samples + (((middle * SAMPLES) / COPIES) << 2));
  store<i32>(
    borders + (middle << 2),
    below(pivot, load<i32>(borders + (from << 2)), load<i32>(borders + (to << 2))),
  );
  split(from, middle);
  split(middle, to);
}

/** Brings numbers below the pivot to the front of [low, high); where the others begin. */
function below(pivot: u32, low: i32, high: i32): i32 {
  let left = numbers + ((<usize>low) << 2);
  let right = numbers + ((<usize>high) << 2);
  while (true) {
    while (left < right && load<u32>(left) < pivot) left += 4;
    while (left < right && load<u32>(right - 4) >= pivot) right -= 4;
    if (left >= right) return <i32>((left - numbers) >> 2);
    right -= 4;
    const value = load<u32>(left);
    store<u32>(left, load<u32>(right));
    store<u32>(right, value);
    left += 4;
  }
}

export function needs(phase: i64): i64 {
  return rangeOf(borders, PAGE_BYTES + count * 4);
}

export function range(id: i64): i64 {
  const from = load<u32>(borders + ((<usize>id) << 2));
  return rangeOf(numbers + (from << 2), (load<u32>(borders + ((<usize>id) << 2), 4) - from) << 2);
}

export function piece(id: i64): i64 {
  sortPart(<i32>id, 0);
  return 0;
}

export function solve(argument: i64): i64 {
  before(0);
  runPhase(0, sortPart, range(0), range(COPIES - 1));
  return 0;
}

function sortPart(index: i32, phase: i64): void {
  quicksort(numbers, load<i32>(borders + (index << 2)), load<i32>(borders + (index << 2), 4));
}
