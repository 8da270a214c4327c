/** y = a·x + y over f32 vectors, and their dot product. */
let x: usize = 0;
let y: usize = 0;
const SIZE: usize = 1 << 14;

export function main(n: i64): i64 {
  if (x == 0) {
    x = heap.alloc(SIZE * 4);
    y = heap.alloc(SIZE * 4);
    for (let i: usize = 0; i < SIZE; i++) {
      store<f32>(x + (i << 2), <f32>(i & 15));
      store<f32>(y + (i << 2), <f32>(i & 7));
    }
  }
  let sum = f32x4.splat(0);
  const a = f32x4.splat(0.001);
  for (let round: i64 = 0; round < n; round++) {
    for (let i: usize = 0; i < SIZE * 4; i += 16) {
      const value = f32x4.add(f32x4.mul(a, v128.load(x + i)), v128.load(y + i));
      v128.store(y + i, value);
      sum = f32x4.add(sum, value);
    }
  }
  return <i64>f32x4.extract_lane(sum, 0);
}
