/** Products of two 64 by 64 matrices of f64. */
const N = 64;
const A = new StaticArray<f64>(N * N);
const B = new StaticArray<f64>(N * N);
const C = new StaticArray<f64>(N * N);

export function main(n: i64): i64 {
  for (let i = 0; i < N * N; i++) {
    unchecked((A[i] = <f64>(i % 17) * 0.5));
    unchecked((B[i] = <f64>(i % 13) * 0.25));
  }
  for (let round: i64 = 0; round < n; round++) {
    for (let i = 0; i < N; i++) {
      for (let j = 0; j < N; j++) {
        let sum: f64 = 0;
        for (let k = 0; k < N; k++) sum += unchecked(A[i * N + k]) * unchecked(B[k * N + j]);
        unchecked((C[i * N + j] = sum));
      }
    }
    unchecked((A[<i32>round & 4095] = C[77] * 1e-6));
  }
  return <i64>unchecked(C[1234]);
}
