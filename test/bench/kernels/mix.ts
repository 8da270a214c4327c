/** Arithmetic in locals: turns of a mixing function, without memory. */
export function main(n: i64): i64 {
  let x: u64 = 0x9e3779b97f4a7c15;
  for (let i: i64 = 0; i < n; i++) {
    x ^= x >>> 33;
    x *= 0xff51afd7ed558ccd;
    x ^= x >>> 29;
    x += <u64>i;
  }
  return x;
}
