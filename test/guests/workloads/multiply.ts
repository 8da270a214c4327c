/** Product of two square matrices of f64, row by row. */

import { allocatePages } from "../../../guest/index.ts";
import { COPIES, rangeOf, runPhase } from "./phases.ts";

export { forked } from "../../../guest/index";

let n: i32 = 0;
let a: usize = 0;
let b: usize = 0;
let c: usize = 0;

export function prepare(size: i64): i64 {
  if (n == 0) {
    n = <i32>size;
    a = allocatePages(n * n * 8);
    b = allocatePages(n * n * 8);
    c = allocatePages(n * n * 8);
    for (let i = 0; i < n * n; i++) {
      store<f64>(a + ((<usize>i) << 3), <f64>((i * 7919) % 1000) / 1000);
      store<f64>(b + ((<usize>i) << 3), <f64>((i * 104729) % 1000) / 1000);
    }
  }
  memory.fill(c, 0, n * n * 8);
  return rangeOf(c, n * n * 8);
}

export function phases(argument: i64): i64 {
  return 1;
}

export function before(phase: i64): i64 {
  return 0;
}

export function needs(phase: i64): i64 {
  return 0;
}

export function range(id: i64): i64 {
  const bytes = (n / COPIES) * n * 8;
  return rangeOf(c + <usize>id * bytes, bytes);
}

export function piece(id: i64): i64 {
  rows(<i32>id, 0);
  return 0;
}

export function solve(argument: i64): i64 {
  runPhase(0, rows, range(0), range(COPIES - 1));
  return 0;
}

function rows(index: i32, phase: i64): void {
  const share = n / COPIES;
  const bytes = n << 3;
  for (let i = index * share; i < (index + 1) * share; i++) {
    const target = c + i * bytes;
    for (let k = 0; k < n; k++) {
      const factor = load<f64>(a + i * bytes + (k << 3));
      let from = b + k * bytes;
      for (let to = target; to < target + bytes; to += 8) {
        store<f64>(to, load<f64>(to) + factor * load<f64>(from));
        from += 8;
      }
    }
  }
}
