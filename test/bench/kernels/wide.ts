/** 256-bit additions and multiplications in place, as a ledger does them. */
const A = memory.data(32, 16);
const B = memory.data(32, 16);
const C = memory.data(32, 16);

function add(target: usize, a: usize, b: usize): void {
  let carry: u64 = 0;
  for (let i: usize = 0; i < 32; i += 8) {
    const x = load<u64>(a + i),
      y = load<u64>(b + i);
    const sum = x + y;
    const whole = sum + carry;
    carry = u64(sum < x) | u64(whole < sum);
    store<u64>(target + i, whole);
  }
}

function multiply(target: usize, a: usize, b: u32): void {
  let carry: u64 = 0;
  for (let i: usize = 0; i < 32; i += 4) {
    const product = <u64>load<u32>(a + i) * b + carry;
    store<u32>(target + i, <u32>product);
    carry = product >>> 32;
  }
}

export function main(n: i64): i64 {
  memory.fill(A, 3, 32);
  memory.fill(B, 5, 32);
  for (let i: u32 = 0; i < <u32>n; i++) {
    add(C, A, B);
    multiply(A, C, i | 1);
    add(B, B, A);
  }
  return load<i64>(C);
}
