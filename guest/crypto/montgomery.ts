/**
 * Arithmetic modulo an odd number of 256 bits, by Montgomery's method: a value a stands as a * 2^256 modulo
 * m, in four u64, the least significant first, always below m. Targets may overlap operands.
 *
 * A field is described by FIELD_BYTES bytes at an address divisible by 8, which `describe` fills:
 *    0  m             32  u32 -1 / m modulo 2^32, u32 0     40  2^512 modulo m      72  2^256 modulo m: one
 */

import { U256 } from "../u256.ts";

export const FIELD_BYTES: usize = 104;
const INVERSE: usize = 32;
const SQUARE: usize = 40;
export const ONE: usize = 72;
const LOW: u64 = 0xffffffff;

const exponent: usize = memory.data(32, 8);
const base: usize = memory.data(32, 8);
const result: usize = memory.data(32, 8);

export class Montgomery {
  /** Fills in what follows from m, which stands at `field` and is odd and above 1. */
  static describe(field: usize): void {
    let inverse: u32 = 1;
    const low = load<u32>(field);
    for (let i = 0; i < 5; i++) inverse *= 2 - low * inverse;
    store<u32>(field, 0 - inverse, INVERSE);
    store<u32>(field, 0, INVERSE + 4);
    const one = field + ONE;
    U256.set(one, 1);
    for (let i = 0; i < 256; i++) Montgomery.add(one, one, one, field);
    const square = field + SQUARE;
    U256.copy(square, one);
    for (let i = 0; i < 256; i++) Montgomery.add(square, square, square, field);
  }

  /** target = a * b. */
  // prettier-ignore
  static multiply(target: usize, a: usize, b: usize, field: usize): void {
    const a0 = <u64>load<u32>(a);
    const a1 = <u64>load<u32>(a, 4);
    const a2 = <u64>load<u32>(a, 8);
    const a3 = <u64>load<u32>(a, 12);
    const a4 = <u64>load<u32>(a, 16);
    const a5 = <u64>load<u32>(a, 20);
    const a6 = <u64>load<u32>(a, 24);
    const a7 = <u64>load<u32>(a, 28);
    const m0 = <u64>load<u32>(field);
    const m1 = <u64>load<u32>(field, 4);
    const m2 = <u64>load<u32>(field, 8);
    const m3 = <u64>load<u32>(field, 12);
    const m4 = <u64>load<u32>(field, 16);
    const m5 = <u64>load<u32>(field, 20);
    const m6 = <u64>load<u32>(field, 24);
    const m7 = <u64>load<u32>(field, 28);
    const inverse = <u64>load<u32>(field, INVERSE);
    let t0: u64 = 0;
    let t1: u64 = 0;
    let t2: u64 = 0;
    let t3: u64 = 0;
    let t4: u64 = 0;
    let t5: u64 = 0;
    let t6: u64 = 0;
    let t7: u64 = 0;
    let t8: u64 = 0;
    for (let i: usize = 0; i < 32; i += 4) {
      const digit = <u64>load<u32>(b + i);
      let sum = t0 + a0 * digit;
      const factor = (sum * inverse) & LOW;
      let other = (sum & LOW) + factor * m0;
      sum = (sum >> 32) + t1 + a1 * digit;
      other = (other >> 32) + (sum & LOW) + factor * m1;
      t0 = other & LOW;
      sum = (sum >> 32) + t2 + a2 * digit;
      other = (other >> 32) + (sum & LOW) + factor * m2;
      t1 = other & LOW;
      sum = (sum >> 32) + t3 + a3 * digit;
      other = (other >> 32) + (sum & LOW) + factor * m3;
      t2 = other & LOW;
      sum = (sum >> 32) + t4 + a4 * digit;
      other = (other >> 32) + (sum & LOW) + factor * m4;
      t3 = other & LOW;
      sum = (sum >> 32) + t5 + a5 * digit;
      other = (other >> 32) + (sum & LOW) + factor * m5;
      t4 = other & LOW;
      sum = (sum >> 32) + t6 + a6 * digit;
      other = (other >> 32) + (sum & LOW) + factor * m6;
      t5 = other & LOW;
      sum = (sum >> 32) + t7 + a7 * digit;
      other = (other >> 32) + (sum & LOW) + factor * m7;
      t6 = other & LOW;
      sum = (sum >> 32) + t8;
      other = (other >> 32) + (sum & LOW);
      t7 = other & LOW;
      t8 = (sum >> 32) + (other >> 32);
    }
    store<u64>(target, t0 | (t1 << 32));
    store<u64>(target, t2 | (t3 << 32), 8);
    store<u64>(target, t4 | (t5 << 32), 16);
    store<u64>(target, t6 | (t7 << 32), 24);
    if (t8 || !U256.lessThan(target, field)) U256.subtract(target, target, field);
  }

  /** target = a + b. */
  static add(target: usize, a: usize, b: usize, field: usize): void {
    if (U256.add(target, a, b) || !U256.lessThan(target, field)) U256.subtract(target, target, field);
  }

  /** target = a - b. */
  static subtract(target: usize, a: usize, b: usize, field: usize): void {
    if (U256.subtract(target, a, b)) U256.add(target, target, field);
  }

  /** Into the form in which values stand here; a may be any number of 256 bits. */
  static enter(target: usize, a: usize, field: usize): void {
    Montgomery.multiply(target, a, field + SQUARE, field);
  }

  /** Out of it. */
  static leave(target: usize, a: usize, field: usize): void {
    U256.set(plainOne, 1);
    Montgomery.multiply(target, a, plainOne, field);
  }

  /** target = a to the power of `by`, a plain integer. */
  static power(target: usize, a: usize, by: usize, field: usize): void {
    U256.copy(base, a);
    U256.copy(exponent, by);
    U256.copy(result, field + ONE);
    for (let bit: i32 = 255; bit >= 0; bit--) {
      Montgomery.multiply(result, result, result, field);
      if (load<u8>(exponent + (bit >> 3)) & (1 << (bit & 7)))
        Montgomery.multiply(result, result, base, field);
    }
    U256.copy(target, result);
  }

  /** target = 1 / a, for a prime m; 0 gives 0. */
  static invert(target: usize, a: usize, field: usize): void {
    if (U256.isZero(a)) return U256.copy(target, a);
    // a stands as x = a R, R = 2^256; the result as R / a = (2^n / x) * 2^(512 - n).
    let missing = 512 - almostInvert(target, a, field);
    for (; missing >= 256; missing -= 256) Montgomery.enter(target, target, field);
    Montgomery.enter(target, target, field);
    U256.set(plainOne, 1);
    U256.shiftLeft(shifted, plainOne, missing);
    Montgomery.multiply(target, target, shifted, field);
  }
}

const plainOne: usize = memory.data(32, 8);
const shifted: usize = memory.data(32, 8);

/**
 * target = 2^n / x modulo m; n, from the bits of m to twice as many. Kaliski's almost inverse: the binary
 * algorithm of Euclid for u and v, in which r x = -u 2^n and s x = v 2^n modulo m, and u s + v r = m, so that
 * r and s never exceed m.
 */
function almostInvert(target: usize, x: usize, m: usize): u32 {
  let u0 = load<u64>(m);
  let u1 = load<u64>(m, 8);
  let u2 = load<u64>(m, 16);
  let u3 = load<u64>(m, 24);
  let v0 = load<u64>(x);
  let v1 = load<u64>(x, 8);
  let v2 = load<u64>(x, 16);
  let v3 = load<u64>(x, 24);
  let r0: u64 = 0;
  let r1: u64 = 0;
  let r2: u64 = 0;
  let r3: u64 = 0;
  let s0: u64 = 1;
  let s1: u64 = 0;
  let s2: u64 = 0;
  let s3: u64 = 0;
  let n: u32 = 0;
  while (true) {
    while ((v0 & 1) == 0) {
      // At most 63, so that the shifts below make sense; the lowest bit set may lie higher.
      const zeros = v0 ? ctz(v0) : 63;
      const rest = 64 - zeros;
      n += <u32>zeros;
      v0 = (v0 >> zeros) | (v1 << rest);
      v1 = (v1 >> zeros) | (v2 << rest);
      v2 = (v2 >> zeros) | (v3 << rest);
      v3 >>= zeros;
      r3 = (r3 << zeros) | (r2 >> rest);
      r2 = (r2 << zeros) | (r1 >> rest);
      r1 = (r1 << zeros) | (r0 >> rest);
      r0 <<= zeros;
    }
    while ((u0 & 1) == 0) {
      const zeros = u0 ? ctz(u0) : 63;
      const rest = 64 - zeros;
      n += <u32>zeros;
      u0 = (u0 >> zeros) | (u1 << rest);
      u1 = (u1 >> zeros) | (u2 << rest);
      u2 = (u2 >> zeros) | (u3 << rest);
      u3 >>= zeros;
      s3 = (s3 << zeros) | (s2 >> rest);
      s2 = (s2 << zeros) | (s1 >> rest);
      s1 = (s1 << zeros) | (s0 >> rest);
      s0 <<= zeros;
    }
    // Both are odd: the smaller is taken from the larger.
    const d0 = v0 - u0;
    let borrow = u64(v0 < u0);
    const d1 = v1 - u1 - borrow;
    borrow = u64(v1 < u1) | (u64(v1 == u1) & borrow);
    const d2 = v2 - u2 - borrow;
    borrow = u64(v2 < u2) | (u64(v2 == u2) & borrow);
    const d3 = v3 - u3 - borrow;
    borrow = u64(v3 < u3) | (u64(v3 == u3) & borrow);
    if (!borrow && (d0 | d1 | d2 | d3) == 0) break;
    const t0 = r0 + s0;
    let carry = u64(t0 < r0);
    const t1 = r1 + s1 + carry;
    carry = u64(t1 < r1) | (u64(t1 == r1) & carry);
    const t2 = r2 + s2 + carry;
    carry = u64(t2 < r2) | (u64(t2 == r2) & carry);
    const t3 = r3 + s3 + carry;
    if (borrow) {
      u0 = 0 - d0;
      borrow = u64(d0 != 0);
      u1 = 0 - d1 - borrow;
      borrow = u64((d1 | borrow) != 0);
      u2 = 0 - d2 - borrow;
      borrow = u64((d2 | borrow) != 0);
      u3 = 0 - d3 - borrow;
      r0 = t0;
      r1 = t1;
      r2 = t2;
      r3 = t3;
    } else {
      v0 = d0;
      v1 = d1;
      v2 = d2;
      v3 = d3;
      s0 = t0;
      s1 = t1;
      s2 = t2;
      s3 = t3;
    }
  }
  // u = v = 1, the greatest common divisor: s x = 2^n.
  U256.set(target, s0, s1, s2, s3);
  return n;
}
