/** Calls through a table: functions picked by number. */
type Step = (x: i32) => i32;
const steps: Step[] = [
  (x: i32): i32 => x * 3 + 1,
  (x: i32): i32 => x ^ (x >>> 7),
  (x: i32): i32 => rotl(x, 11),
  (x: i32): i32 => x - 0x12345,
];

export function main(n: i64): i64 {
  let x = 1;
  for (let i = 0; i < <i32>n; i++) x = unchecked(steps[(x ^ i) & 3])(x);
  return x;
}
