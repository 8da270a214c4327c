/** Iterations of z² + c over an n by n picture. */
export function main(n: i64): i64 {
  let total: i64 = 0;
  const size = <i32>n;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const cr = (<f64>x / <f64>size) * 3.0 - 2.0;
      const ci = (<f64>y / <f64>size) * 2.0 - 1.0;
      let zr: f64 = 0,
        zi: f64 = 0;
      let i = 0;
      while (i < 200) {
        const r = zr * zr,
          q = zi * zi;
        if (r + q > 4.0) break;
        zi = 2.0 * zr * zi + ci;
        zr = r - q + cr;
        i++;
      }
      total += i;
    }
  }
  return total;
}
