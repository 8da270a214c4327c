/** Fourier transform of a square of complex numbers: its rows, then its columns into a second square. */

import { allocatePages } from "../../../guest/index.ts";
import { COPIES, rangeOf, runPhase } from "./phases.ts";

export { forked } from "../../../guest/index";

let n: i32 = 0;
let a: usize = 0;
let b: usize = 0;
let roots: usize = 0;

export function prepare(size: i64): i64 {
  if (n == 0) {
    n = <i32>size;
    a = allocatePages(n * n * 16);
    b = allocatePages(n * n * 16);
    roots = allocatePages(n * 8);
    for (let i = 0; i < n / 2; i++) {
      store<f64>(roots + (i << 4), Math.cos((2 * Math.PI * i) / n));
      store<f64>(roots + (i << 4), -Math.sin((2 * Math.PI * i) / n), 8);
    }
  }
  for (let i = 0; i < n * n * 2; i++) store<f64>(a + ((<usize>i) << 3), <f64>((i * 7919) % 1000) / 1000);
  return rangeOf(b, n * n * 16);
}

export function phases(argument: i64): i64 {
  return 2;
}

export function before(phase: i64): i64 {
  return 0;
}

export function needs(phase: i64): i64 {
  return phase == 0 ? 0 : rangeOf(a, n * n * 16);
}

export function range(id: i64): i64 {
  const bytes = (n / COPIES) * n * 16;
  const phase = id / COPIES;
  return rangeOf((phase == 0 ? a : b) + <usize>(id - phase * COPIES) * bytes, bytes);
}

export function piece(id: i64): i64 {
  transformPart(<i32>id % COPIES, id / COPIES);
  return 0;
}

export function solve(argument: i64): i64 {
  for (let phase = 0; phase < 2; phase++) {
    runPhase(phase, transformPart, range(phase * COPIES), range(phase * COPIES + COPIES - 1));
  }
  return 0;
}

function transformPart(index: i32, phase: i64): void {
  const share = n / COPIES;
  for (let i = index * share; i < (index + 1) * share; i++) {
    if (phase == 0) {
      transform(a + ((i * n) << 4));
      continue;
    }
    const row = b + ((i * n) << 4);
    for (let j = 0; j < n; j++) {
      store<f64>(row + (j << 4), load<f64>(a + ((j * n + i) << 4)));
      store<f64>(row + (j << 4), load<f64>(a + ((j * n + i) << 4), 8), 8);
    }
    transform(row);
  }
}

/** Of one row, in place. */
function transform(row: usize): void {
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i >= j) continue;
    for (let half = 0; half < 16; half += 8) {
      const value = load<f64>(row + (i << 4) + half);
      store<f64>(row + (i << 4) + half, load<f64>(row + (j << 4) + half));
      store<f64>(row + (j << 4) + half, value);
    }
  }
  for (let length = 2; length <= n; length <<= 1) {
    const step = n / length;
    for (let start = 0; start < n; start += length) {
      for (let k = 0; k < length >> 1; k++) {
        const low = row + ((start + k) << 4);
        const high = low + (length << 3);
        const root = roots + ((k * step) << 4);
        const x = load<f64>(high);
        const y = load<f64>(high, 8);
        const u = load<f64>(root);
        const v = load<f64>(root, 8);
        const re = x * u - y * v;
        const im = x * v + y * u;
        const lowRe = load<f64>(low);
        const lowIm = load<f64>(low, 8);
        store<f64>(high, lowRe - re);
        store<f64>(high, lowIm - im, 8);
        store<f64>(low, lowRe + re);
        store<f64>(low, lowIm + im, 8);
      }
    }
  }
}
