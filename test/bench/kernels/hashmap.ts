/** Inserts and lookups in AssemblyScript's Map. */
export function main(n: i64): i64 {
  const map = new Map<i32, i64>();
  let x: u32 = 7;
  for (let i = 0; i < <i32>n; i++) {
    x = x * 1664525 + 1013904223;
    map.set(<i32>(x >>> 14), i);
  }
  let sum: i64 = 0;
  for (let i = 0; i < <i32>n; i++) {
    if (map.has(i)) sum += map.get(i);
  }
  return sum;
}
