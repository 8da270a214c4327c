/** Product of two matrices of i32 in 64 copies, each an eighth of the rows by an eighth of the columns. */

import { Parallel, allocatePages } from "../../../guest/index.ts";

export { forked } from "../../../guest/index";

const N: i32 = 64;
const BYTES: i32 = N * N * 4;
const a: usize = allocatePages(BYTES);
const b: usize = allocatePages(BYTES);
const c: usize = allocatePages(BYTES);

/** a[i][j] = i × salt + j, b[i][j] = i - j × salt. The address of the product. */
export function multiply(salt: i64): i64 {
  for (let i = 0; i < N; i++) {
    for (let j = 0; j < N; j++) {
      store<i32>(a + (i * N + j) * 4, i * <i32>salt + j);
      store<i32>(b + (i * N + j) * 4, i - j * <i32>salt);
    }
  }
  Parallel.of(64).gas(10_000_000).merge(c, BYTES).run(block, 0);
  return c;
}

function block(index: i32, argument: i64): void {
  const rows = (index >> 3) * (N / 8);
  const columns = (index & 7) * (N / 8);
  for (let i = rows; i < rows + N / 8; i++) {
    for (let j = columns; j < columns + N / 8; j++) {
      let sum = 0;
      for (let k = 0; k < N; k++) sum += load<i32>(a + (i * N + k) * 4) * load<i32>(b + (k * N + j) * 4);
      store<i32>(c + (i * N + j) * 4, sum);
    }
  }
}
