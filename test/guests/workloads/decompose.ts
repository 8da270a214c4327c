/**
 * LU decomposition in blocks, without pivots, of a matrix whose diagonal dominates. Each phase: the diagonal
 * block and the rows beside it sequentially, then all rows below in parts.
 */

import { allocatePages } from "../../../guest/index.ts";
import { COPIES, rangeOf, runPhase } from "./phases.ts";

export { forked } from "../../../guest/index";

const WIDTH: i32 = 32;
let n: i32 = 0;
let a: usize = 0;

function at(i: i32, j: i32): usize {
  return a + ((i * n + j) << 3);
}

export function prepare(size: i64): i64 {
  if (n == 0) {
    n = <i32>size;
    a = allocatePages(n * n * 8);
  }
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const value = <f64>(((i * n + j) * 7919) % 1000) / 1000;
      store<f64>(at(i, j), i == j ? value + <f64>n : value);
    }
  }
  return rangeOf(a, n * n * 8);
}

export function phases(argument: i64): i64 {
  return n / WIDTH;
}

/** The rows of the diagonal block. */
export function before(phase: i64): i64 {
  const from = <i32>phase * WIDTH;
  for (let i = from + 1; i < from + WIDTH; i++) eliminate(i, from, i);
  return 0;
}

/** Takes multiples of rows `from` to `to` - 1, at most WIDTH, from row i. */
function eliminate(i: i32, from: i32, to: i32): void {
  for (let k = from; k < to; k++) {
    const factor = load<f64>(at(i, k)) / load<f64>(at(k, k));
    store<f64>(at(i, k), factor);
    const end = at(i, n);
    let other = at(k, k + 1);
    for (let cell = at(i, k + 1); cell < end; cell += 8) {
      store<f64>(cell, load<f64>(cell) - factor * load<f64>(other));
      other += 8;
    }
  }
}

/** The rows of the diagonal block, and those below: others wrote there. */
export function needs(phase: i64): i64 {
  const from = <i32>phase * WIDTH;
  return rangeOf(at(from, 0), (n - from) * n * 8);
}

/** First row of a part. */
function border(phase: i32, index: i32): i32 {
  const first = (phase + 1) * WIDTH;
  return first + ((n - first) * index) / COPIES;
}

export function range(id: i64): i64 {
  const phase = <i32>id / COPIES;
  const index = <i32>id % COPIES;
  const from = border(phase, index);
  return rangeOf(at(from, 0), (border(phase, index + 1) - from) * n * 8);
}

export function piece(id: i64): i64 {
  eliminatePart(<i32>id % COPIES, id / COPIES);
  return 0;
}

export function solve(argument: i64): i64 {
  for (let phase = 0; phase < n / WIDTH; phase++) {
    before(phase);
    runPhase(phase, eliminatePart, range(phase * COPIES), range(phase * COPIES + COPIES - 1));
  }
  return 0;
}

function eliminatePart(index: i32, phase: i64): void {
  const from = <i32>phase * WIDTH;
  const end = border(<i32>phase, index + 1);
  for (let i = border(<i32>phase, index); i < end; i++) eliminate(i, from, from + WIDTH);
}
