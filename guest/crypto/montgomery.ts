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
    U256.subtractU64(inverseExponent, field, 2);
    Montgomery.power(target, a, inverseExponent, field);
  }
}

const plainOne: usize = memory.data(32, 8);
const inverseExponent: usize = memory.data(32, 8);
