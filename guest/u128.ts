/**
 * Unsigned 128-bit integers in memory: 16 bytes, little-endian, by the rules of u256.ts.
 */

import { divide128, multiplyHigh } from "./u256.ts";

export class U128 {
  @inline
  static set(target: usize, low: u64, high: u64 = 0): void {
    store<u64>(target, low);
    store<u64>(target, high, 8);
  }

  @inline
  static copy(target: usize, a: usize): void {
    U128.set(target, load<u64>(a), load<u64>(a, 8));
  }

  /** Writes a as 16 bytes, most significant first. target and a may be the same address. */
  @inline
  static toBigEndian(target: usize, a: usize): void {
    U128.set(target, bswap<u64>(load<u64>(a, 8)), bswap<u64>(load<u64>(a)));
  }

  @inline
  static fromBigEndian(target: usize, bytes: usize): void {
    U128.toBigEndian(target, bytes);
  }

  @inline
  static isZero(a: usize): bool {
    return (load<u64>(a) | load<u64>(a, 8)) == 0;
  }

  @inline
  static equals(a: usize, b: usize): bool {
    return ((load<u64>(a) ^ load<u64>(b)) | (load<u64>(a, 8) ^ load<u64>(b, 8))) == 0;
  }

  /** -1, 0 or 1: a below, equal to or above b. */
  static compare(a: usize, b: usize): i32 {
    let x = load<u64>(a, 8);
    let y = load<u64>(b, 8);
    if (x == y) {
      x = load<u64>(a);
      y = load<u64>(b);
    }
    return i32(x > y) - i32(x < y);
  }

  @inline
  static lessThan(a: usize, b: usize): bool {
    return U128.compare(a, b) < 0;
  }

  /** target = a + b; returns the carry, 0 or 1. */
  static add(target: usize, a: usize, b: usize): u64 {
    const a0 = load<u64>(a);
    const low = a0 + load<u64>(b);
    const a1 = load<u64>(a, 8);
    const sum = a1 + load<u64>(b, 8);
    const high = sum + u64(low < a0);
    U128.set(target, low, high);
    return u64(sum < a1) | u64(high < sum);
  }

  /** target = a - b; returns the borrow, 1 if a < b. */
  static subtract(target: usize, a: usize, b: usize): u64 {
    const a0 = load<u64>(a);
    const b0 = load<u64>(b);
    const a1 = load<u64>(a, 8);
    const b1 = load<u64>(b, 8);
    const borrow = u64(a0 < b0);
    U128.set(target, a0 - b0, a1 - b1 - borrow);
    return u64(a1 < b1) | (u64(a1 == b1) & borrow);
  }

  /** target = a × b, the whole product of two 64-bit integers. */
  @inline
  static product(target: usize, a: u64, b: u64): void {
    U128.set(target, a * b, multiplyHigh(a, b));
  }

  /** target = a × b; returns what lies above 2^128 (0: no overflow). */
  static multiplyU64(target: usize, a: usize, b: u64): u64 {
    const a0 = load<u64>(a);
    const a1 = load<u64>(a, 8);
    const carry = multiplyHigh(a0, b);
    const high = a1 * b + carry;
    U128.set(target, a0 * b, high);
    return multiplyHigh(a1, b) + u64(high < carry);
  }

  /** target = a × b; returns whether it overflowed. */
  static multiply(target: usize, a: usize, b: usize): bool {
    const a0 = load<u64>(a);
    const a1 = load<u64>(a, 8);
    const b0 = load<u64>(b);
    const b1 = load<u64>(b, 8);
    const cross = a1 * b0 + a0 * b1;
    const carry = multiplyHigh(a0, b0);
    const high = cross + carry;
    U128.set(target, a0 * b0, high);
    const crossOverflow = (a1 != 0 && b1 != 0) || multiplyHigh(a1, b0) != 0 || multiplyHigh(a0, b1) != 0;
    return crossOverflow || high < carry;
  }

  /** target = ⌊a ÷ b⌋; returns the remainder. b = 0 faults (division by zero). */
  static divideU64(target: usize, a: usize, b: u64): u64 {
    const high = load<u64>(a, 8);
    const low = load<u64>(a);
    const top = high / b;
    const rest = high - top * b;
    if (rest == 0) {
      const bottom = low / b;
      U128.set(target, bottom, top);
      return low - bottom * b;
    }
    const shift = clz(b);
    const bottom = divide128(
      shift ? (rest << shift) | (low >> (64 - shift)) : rest,
      low << shift,
      b << shift,
    );
    U128.set(target, bottom, top);
    return low - bottom * b;
  }

  /** target = a × 2^bits modulo 2^128. */
  static shiftLeft(target: usize, a: usize, bits: u32): void {
    const low = load<u64>(a);
    const high = load<u64>(a, 8);
    if (bits >= 64) U128.set(target, 0, bits >= 128 ? 0 : low << (bits - 64));
    else U128.set(target, low << bits, bits ? (high << bits) | (low >> (64 - bits)) : high);
  }

  /** target = ⌊a ÷ 2^bits⌋. */
  static shiftRight(target: usize, a: usize, bits: u32): void {
    const low = load<u64>(a);
    const high = load<u64>(a, 8);
    if (bits >= 64) U128.set(target, bits >= 128 ? 0 : high >> (bits - 64));
    else U128.set(target, bits ? (low >> bits) | (high << (64 - bits)) : low, high >> bits);
  }
}
