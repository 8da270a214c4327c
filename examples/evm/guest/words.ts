/**
 * Words of the EVM: integers of 256 bits in memory, four u64, the least significant first. Each function
 * writes its result over its last operand unless it says otherwise; results may overlap operands. Division by
 * zero is zero.
 */

import { U256 } from "../../../guest/index.ts";

export const WORD: usize = 32;

const quotient: usize = memory.data(32, 8);
const rest: usize = memory.data(32, 8);
const first: usize = memory.data(32, 8);
const second: usize = memory.data(32, 8);
const product: usize = memory.data(72, 8);
const divisor: usize = memory.data(32, 8);

export function clear(target: usize): void {
  v128.store(target, i64x2.splat(0));
  v128.store(target, i64x2.splat(0), 16);
}

export function copyWord(target: usize, source: usize): void {
  v128.store(target, v128.load(source));
  v128.store(target, v128.load(source, 16), 16);
}

export function setU64(target: usize, value: u64): void {
  store<u64>(target, value);
  store<u64>(target, 0, 8);
  v128.store(target, i64x2.splat(0), 16);
}

export function swap(a: usize, b: usize): void {
  const low = v128.load(a);
  const high = v128.load(a, 16);
  copyWord(a, b);
  v128.store(b, low);
  v128.store(b, high, 16);
}

/** From `count` big-endian bytes, 1 to 32; 32 are read. */
export function readBytes(target: usize, bytes: usize, count: usize): void {
  reverse(target, bytes);
  U256.shiftRight(target, target, <u32>(256 - 8 * count));
}

export function isZero(a: usize): bool {
  return !v128.any_true(v128.or(v128.load(a), v128.load(a, 16)));
}

export function isNegative(a: usize): bool {
  return load<i64>(a, 24) < 0;
}

/** From or to big-endian bytes; `target` may be `source`. */
export function reverse(target: usize, source: usize): void {
  const low = v128.load(source);
  const high = v128.load(source, 16);
  v128.store(target, v128.shuffle<u8>(high, high, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
  v128.store(target, v128.shuffle<u8>(low, low, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), 16);
}

export function add(a: usize, b: usize): void {
  const a0 = load<u64>(a);
  const a1 = load<u64>(a, 8);
  const a2 = load<u64>(a, 16);
  const s0 = a0 + load<u64>(b);
  const s1 = a1 + load<u64>(b, 8);
  const s2 = a2 + load<u64>(b, 16);
  const s3 = load<u64>(a, 24) + load<u64>(b, 24);
  const r1 = s1 + u64(s0 < a0);
  const r2 = s2 + (u64(s1 < a1) | u64(r1 < s1));
  store<u64>(b, s0);
  store<u64>(b, r1, 8);
  store<u64>(b, r2, 16);
  store<u64>(b, s3 + (u64(s2 < a2) | u64(r2 < s2)), 24);
}

/** a - b, into b. */
export function subtract(a: usize, b: usize): void {
  const a0 = load<u64>(a);
  const a1 = load<u64>(a, 8);
  const a2 = load<u64>(a, 16);
  const b0 = load<u64>(b);
  const b1 = load<u64>(b, 8);
  const b2 = load<u64>(b, 16);
  const d1 = a1 - b1;
  const d2 = a2 - b2;
  const c0 = u64(a0 < b0);
  const c1 = u64(a1 < b1) | u64(d1 < c0);
  const c2 = u64(a2 < b2) | u64(d2 < c1);
  store<u64>(b, a0 - b0);
  store<u64>(b, d1 - c0, 8);
  store<u64>(b, d2 - c1, 16);
  store<u64>(b, load<u64>(a, 24) - load<u64>(b, 24) - c2, 24);
}

/** Modulo 2^256, by digits of 32 bits: the 36 products that count. */
export function multiply(a: usize, b: usize): void {
  if (U256.fitsU64(a) && U256.fitsU64(b)) {
    const x = load<u64>(a);
    const y = load<u64>(b);
    if ((x | y) >> 32 == 0) return setU64(b, x * y);
  }
  clear(product);
  for (let i: usize = 0; i < 32; i += 4) {
    const digit = <u64>load<u32>(a + i);
    if (!digit) continue;
    let carry: u64 = 0;
    for (let j: usize = 0; j < 32 - i; j += 4) {
      const sum = digit * <u64>load<u32>(b + j) + <u64>load<u32>(product + i + j) + carry;
      store<u32>(product + i + j, <u32>sum);
      carry = sum >> 32;
    }
  }
  copyWord(b, product);
}

/** a / b, into b. */
export function divide(a: usize, b: usize): void {
  if (isZero(b)) return;
  if (U256.fitsU64(a) && U256.fitsU64(b)) return setU64(b, load<u64>(a) / load<u64>(b));
  U256.divide(quotient, rest, a, b);
  copyWord(b, quotient);
}

/** a mod b, into b. */
export function remainder(a: usize, b: usize): void {
  if (isZero(b)) return;
  if (U256.fitsU64(a) && U256.fitsU64(b)) return setU64(b, load<u64>(a) % load<u64>(b));
  U256.divide(quotient, rest, a, b);
  copyWord(b, rest);
}

/** a / b as signed integers, into b. */
export function divideSigned(a: usize, b: usize): void {
  const negative = isNegative(a) != isNegative(b);
  magnitude(first, a);
  magnitude(b, b);
  divide(first, b);
  if (negative) negate(b);
}

/** a mod b as signed integers, with the sign of a, into b. */
export function remainderSigned(a: usize, b: usize): void {
  const negative = isNegative(a);
  magnitude(first, a);
  magnitude(b, b);
  remainder(first, b);
  if (negative) negate(b);
}

function magnitude(target: usize, a: usize): void {
  const negative = isNegative(a);
  copyWord(target, a);
  if (negative) negate(target);
}

function negate(a: usize): void {
  clear(second);
  subtract(second, a);
}

/** (a + b) mod n, into n. */
export function addModulo(a: usize, b: usize, n: usize): void {
  memory.fill(product, 0, 72);
  store<u64>(product, U256.add(product, a, b), 32);
  reduce(n);
}

/** (a * b) mod n, into n. */
export function multiplyModulo(a: usize, b: usize, n: usize): void {
  memory.fill(product, 0, 72);
  for (let i: usize = 0; i < 32; i += 4) {
    const digit = <u64>load<u32>(a + i);
    if (!digit) continue;
    let carry: u64 = 0;
    for (let j: usize = 0; j < 32; j += 4) {
      const sum = digit * <u64>load<u32>(b + j) + <u64>load<u32>(product + i + j) + carry;
      store<u32>(product + i + j, <u32>sum);
      carry = sum >> 32;
    }
    store<u32>(product + i + 32, <u32>carry);
  }
  reduce(n);
}

/**
 * The 512 bits of `product` mod n, into n. Long division by digits of 32 bits (Knuth, The Art of Computer
 * Programming, volume 2, 4.3.1, algorithm D).
 */
function reduce(n: usize): void {
  let size: usize = 32;
  while (size > 0 && load<u32>(n + size - 4) == 0) size -= 4;
  if (size == 0) return;
  const shift = clz<u32>(load<u32>(n + size - 4));
  copyWord(divisor, n);
  U256.shiftLeft(divisor, divisor, shift);
  shiftProduct(shift);
  const top = <u64>load<u32>(divisor + size - 4);
  const next: u64 = size > 4 ? <u64>load<u32>(divisor + size - 8) : 0;
  for (let at: isize = <isize>(64 - size); at >= 0; at -= 4) {
    const high = product + at + size;
    const part = ((<u64>load<u32>(high)) << 32) | <u64>load<u32>(high - 4);
    let guess = part / top;
    let left = part % top;
    const below: u64 = size > 4 ? <u64>load<u32>(high - 8) : 0;
    while (guess >> 32 || guess * next > ((left << 32) | below)) {
      guess--;
      left += top;
      if (left >> 32) break;
    }
    if (guess && subtractMultiple(product + at, guess, size)) addBack(product + at, size);
  }
  clear(n);
  for (let i: usize = 0; i < size; i += 4) store<u32>(n + i, load<u32>(product + i));
  U256.shiftRight(n, n, shift);
}

function shiftProduct(shift: u32): void {
  if (!shift) return;
  for (let i: usize = 64; i > 0; i -= 4) {
    const joined = ((<u64>load<u32>(product + i)) << 32) | <u64>load<u32>(product + i - 4);
    store<u32>(product + i, <u32>(joined >> (32 - shift)));
  }
  store<u32>(product, load<u32>(product) << shift);
}

/** Subtracts guess * divisor from `size` + 4 bytes at `at`; whether that was too much. */
function subtractMultiple(at: usize, guess: u64, size: usize): bool {
  let carry: u64 = 0;
  let borrow: u64 = 0;
  for (let i: usize = 0; i < size; i += 4) {
    const multiple = guess * <u64>load<u32>(divisor + i) + carry;
    carry = multiple >> 32;
    const difference = <u64>load<u32>(at + i) - (multiple & 0xffffffff) - borrow;
    store<u32>(at + i, <u32>difference);
    borrow = difference >> 63;
  }
  const difference = <u64>load<u32>(at + size) - carry - borrow;
  store<u32>(at + size, <u32>difference);
  return difference >> 63 != 0;
}

function addBack(at: usize, size: usize): void {
  let carry: u64 = 0;
  for (let i: usize = 0; i < size; i += 4) {
    const sum = <u64>load<u32>(at + i) + <u64>load<u32>(divisor + i) + carry;
    store<u32>(at + i, <u32>sum);
    carry = sum >> 32;
  }
  store<u32>(at + size, load<u32>(at + size) + <u32>carry);
}

/** a to the power of b, into b. */
export function power(a: usize, b: usize): void {
  copyWord(first, a);
  copyWord(second, b);
  setU64(b, 1);
  const bits = bitLength(second);
  for (let bit: u32 = 0; bit < bits; bit++) {
    if (load<u8>(second + (bit >> 3)) & (1 << (bit & 7))) multiply(first, b);
    copyWord(rest, first);
    multiply(rest, first);
  }
}

/** Bytes of the value without leading zeros. */
export function byteLength(a: usize): u32 {
  return (bitLength(a) + 7) >> 3;
}

function bitLength(a: usize): u32 {
  for (let i: i32 = 24; i >= 0; i -= 8) {
    const limb = load<u64>(a + i);
    if (limb) return i * 8 + 64 - <u32>clz<u64>(limb);
  }
  return 0;
}

/** Extends the sign of b from its byte number a, into b. */
export function signExtend(a: usize, b: usize): void {
  if (!U256.fitsU64(a) || load<u64>(a) >= 31) return;
  const byte = <usize>load<u64>(a);
  const fill: u8 = load<i8>(b + byte) < 0 ? 0xff : 0;
  memory.fill(b + byte + 1, fill, 31 - byte);
}

/** Byte number a of b, counted from the most significant, into b. */
export function byteOf(a: usize, b: usize): void {
  const at = load<u64>(a);
  setU64(b, U256.fitsU64(a) && at < 32 ? <u64>load<u8>(b + 31 - <usize>at) : 0);
}

export function shiftLeft(a: usize, b: usize): void {
  if (!U256.fitsU64(a) || load<u64>(a) > 255) clear(b);
  else U256.shiftLeft(b, b, <u32>load<u64>(a));
}

export function shiftRight(a: usize, b: usize): void {
  if (!U256.fitsU64(a) || load<u64>(a) > 255) clear(b);
  else U256.shiftRight(b, b, <u32>load<u64>(a));
}

export function shiftRightSigned(a: usize, b: usize): void {
  if (!isNegative(b)) return shiftRight(a, b);
  invert(b);
  shiftRight(a, b);
  invert(b);
}

export function invert(a: usize): void {
  v128.store(a, v128.not(v128.load(a)));
  v128.store(a, v128.not(v128.load(a, 16)), 16);
}

export function lessThan(a: usize, b: usize): bool {
  const a3 = load<u64>(a, 24);
  const b3 = load<u64>(b, 24);
  if (a3 != b3) return a3 < b3;
  return lessThanLow(a, b);
}

export function lessThanLow(a: usize, b: usize): bool {
  const a2 = load<u64>(a, 16);
  const b2 = load<u64>(b, 16);
  if (a2 != b2) return a2 < b2;
  const a1 = load<u64>(a, 8);
  const b1 = load<u64>(b, 8);
  if (a1 != b1) return a1 < b1;
  return load<u64>(a) < load<u64>(b);
}

export function lessThanSigned(a: usize, b: usize): bool {
  const a3 = load<i64>(a, 24);
  const b3 = load<i64>(b, 24);
  if (a3 != b3) return a3 < b3;
  return lessThanLow(a, b);
}

export function equals(a: usize, b: usize): bool {
  const low = v128.xor(v128.load(a), v128.load(b));
  const high = v128.xor(v128.load(a, 16), v128.load(b, 16));
  return !v128.any_true(v128.or(low, high));
}
