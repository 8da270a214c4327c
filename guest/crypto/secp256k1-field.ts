/**
 * The field of the curve secp256k1: integers modulo p = 2^256 - 2^32 - 977, as ten digits of 26 bits in ten
 * u32, the least significant first. Targets may overlap operands.
 *
 * Sums are not carried. What they add up to is a value's *magnitude*, which callers count: a value of
 * magnitude k has digits of at most 2k (2^26 - 1), the highest of at most 2k (2^22 - 1). `multiply` and
 * `square` take magnitudes up to 8 and give 1; `add` gives the sum of both, `subtract` one more than that.
 * `normalize` makes a value the one below p.
 *
 * Products are sums of 64 bits by columns. What stands from 2^260 on comes back 2^36 + 15632 times, for
 * 2^260 = 2^4 (2^32 + 977) modulo p. Digits are at most 2^30: a column is below 10 * 2^60, and so far from
 * 2^64 that carries and folded digits fit.
 */

import { Montgomery } from "./montgomery.ts";

export const FIELD_BYTES: usize = 40;

const MASK: u64 = 0x3ffffff;
const TOP_MASK: u64 = 0x3fffff;
const FOLD: u64 = 15632;

/** p, by digits. */
// prettier-ignore
const modulus: usize = memory.data<u32>([
  0x3fffc2f, 0x3ffffbf, 0x3ffffff, 0x3ffffff, 0x3ffffff, 0x3ffffff, 0x3ffffff, 0x3ffffff, 0x3ffffff, 0x3fffff,
]);

const power: usize = memory.data(40, 8);
const base: usize = memory.data(40, 8);

/**
 * Writes digits after one pass of carries; the first two may have 60 bits, what leaves the last is folded.
 */
// prettier-ignore
function fold(
  target: usize,
  r0: u64,
  r1: u64,
  r2: u64,
  r3: u64,
  r4: u64,
  r5: u64,
  r6: u64,
  r7: u64,
  r8: u64,
  r9: u64,
): void {
  store<u32>(target, <u32>(r0 & MASK));
  r1 += r0 >> 26;
  store<u32>(target, <u32>(r1 & MASK), 4);
  r2 += r1 >> 26;
  store<u32>(target, <u32>(r2 & MASK), 8);
  r3 += r2 >> 26;
  store<u32>(target, <u32>(r3 & MASK), 12);
  r4 += r3 >> 26;
  store<u32>(target, <u32>(r4 & MASK), 16);
  r5 += r4 >> 26;
  store<u32>(target, <u32>(r5 & MASK), 20);
  r6 += r5 >> 26;
  store<u32>(target, <u32>(r6 & MASK), 24);
  r7 += r6 >> 26;
  store<u32>(target, <u32>(r7 & MASK), 28);
  r8 += r7 >> 26;
  store<u32>(target, <u32>(r8 & MASK), 32);
  store<u32>(target, <u32>(r9 + (r8 >> 26)), 36);
}

/** target = a * b. */
// prettier-ignore
export function multiply(target: usize, a: usize, b: usize): void {
  const a0 = <u64>load<u32>(a);
  const a1 = <u64>load<u32>(a, 4);
  const a2 = <u64>load<u32>(a, 8);
  const a3 = <u64>load<u32>(a, 12);
  const a4 = <u64>load<u32>(a, 16);
  const a5 = <u64>load<u32>(a, 20);
  const a6 = <u64>load<u32>(a, 24);
  const a7 = <u64>load<u32>(a, 28);
  const a8 = <u64>load<u32>(a, 32);
  const a9 = <u64>load<u32>(a, 36);
  const b0 = <u64>load<u32>(b);
  const b1 = <u64>load<u32>(b, 4);
  const b2 = <u64>load<u32>(b, 8);
  const b3 = <u64>load<u32>(b, 12);
  const b4 = <u64>load<u32>(b, 16);
  const b5 = <u64>load<u32>(b, 20);
  const b6 = <u64>load<u32>(b, 24);
  const b7 = <u64>load<u32>(b, 28);
  const b8 = <u64>load<u32>(b, 32);
  const b9 = <u64>load<u32>(b, 36);
  let sum = a1 * b9 + a2 * b8 + a3 * b7 + a4 * b6 + a5 * b5 + a6 * b4 + a7 * b3 + a8 * b2 + a9 * b1;
  const h0 = sum & MASK;
  sum = (sum >> 26) + a2 * b9 + a3 * b8 + a4 * b7 + a5 * b6 + a6 * b5 + a7 * b4 + a8 * b3 + a9 * b2;
  const h1 = sum & MASK;
  sum = (sum >> 26) + a3 * b9 + a4 * b8 + a5 * b7 + a6 * b6 + a7 * b5 + a8 * b4 + a9 * b3;
  const h2 = sum & MASK;
  sum = (sum >> 26) + a4 * b9 + a5 * b8 + a6 * b7 + a7 * b6 + a8 * b5 + a9 * b4;
  const h3 = sum & MASK;
  sum = (sum >> 26) + a5 * b9 + a6 * b8 + a7 * b7 + a8 * b6 + a9 * b5;
  const h4 = sum & MASK;
  sum = (sum >> 26) + a6 * b9 + a7 * b8 + a8 * b7 + a9 * b6;
  const h5 = sum & MASK;
  sum = (sum >> 26) + a7 * b9 + a8 * b8 + a9 * b7;
  const h6 = sum & MASK;
  sum = (sum >> 26) + a8 * b9 + a9 * b8;
  const h7 = sum & MASK;
  sum = (sum >> 26) + a9 * b9;
  const h8 = sum & MASK;
  sum = sum >> 26;
  const h9 = sum;
  sum = a0 * b0 + h0 * FOLD;
  const r0 = sum & MASK;
  sum = (sum >> 26) + a0 * b1 + a1 * b0 + h1 * FOLD + (h0 << 10);
  const r1 = sum & MASK;
  sum = (sum >> 26) + a0 * b2 + a1 * b1 + a2 * b0 + h2 * FOLD + (h1 << 10);
  const r2 = sum & MASK;
  sum = (sum >> 26) + a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0 + h3 * FOLD + (h2 << 10);
  const r3 = sum & MASK;
  sum = (sum >> 26) + a0 * b4 + a1 * b3 + a2 * b2 + a3 * b1 + a4 * b0 + h4 * FOLD + (h3 << 10);
  const r4 = sum & MASK;
  sum = (sum >> 26) + a0 * b5 + a1 * b4 + a2 * b3 + a3 * b2 + a4 * b1 + a5 * b0 + h5 * FOLD + (h4 << 10);
  const r5 = sum & MASK;
  sum =
    (sum >> 26) +
    a0 * b6 +
    a1 * b5 +
    a2 * b4 +
    a3 * b3 +
    a4 * b2 +
    a5 * b1 +
    a6 * b0 +
    h6 * FOLD +
    (h5 << 10);
  const r6 = sum & MASK;
  sum =
    (sum >> 26) +
    a0 * b7 +
    a1 * b6 +
    a2 * b5 +
    a3 * b4 +
    a4 * b3 +
    a5 * b2 +
    a6 * b1 +
    a7 * b0 +
    h7 * FOLD +
    (h6 << 10);
  const r7 = sum & MASK;
  sum =
    (sum >> 26) +
    a0 * b8 +
    a1 * b7 +
    a2 * b6 +
    a3 * b5 +
    a4 * b4 +
    a5 * b3 +
    a6 * b2 +
    a7 * b1 +
    a8 * b0 +
    h8 * FOLD +
    (h7 << 10);
  const r8 = sum & MASK;
  sum =
    (sum >> 26) +
    a0 * b9 +
    a1 * b8 +
    a2 * b7 +
    a3 * b6 +
    a4 * b5 +
    a5 * b4 +
    a6 * b3 +
    a7 * b2 +
    a8 * b1 +
    a9 * b0 +
    h9 * FOLD +
    (h8 << 10);
  const r9 = sum & TOP_MASK;
  const over = (sum >> 22) + (h9 << 14);
  fold(target, r0 + over * 977, r1 + (over << 6), r2, r3, r4, r5, r6, r7, r8, r9);
}

/** target = a * a. */
// prettier-ignore
export function square(target: usize, a: usize): void {
  const a0 = <u64>load<u32>(a);
  const a1 = <u64>load<u32>(a, 4);
  const a2 = <u64>load<u32>(a, 8);
  const a3 = <u64>load<u32>(a, 12);
  const a4 = <u64>load<u32>(a, 16);
  const a5 = <u64>load<u32>(a, 20);
  const a6 = <u64>load<u32>(a, 24);
  const a7 = <u64>load<u32>(a, 28);
  const a8 = <u64>load<u32>(a, 32);
  const a9 = <u64>load<u32>(a, 36);
  const d0 = a0 << 1;
  const d1 = a1 << 1;
  const d2 = a2 << 1;
  const d3 = a3 << 1;
  const d4 = a4 << 1;
  const d5 = a5 << 1;
  const d6 = a6 << 1;
  const d7 = a7 << 1;
  const d8 = a8 << 1;
  let sum = d1 * a9 + d2 * a8 + d3 * a7 + d4 * a6 + a5 * a5;
  const h0 = sum & MASK;
  sum = (sum >> 26) + d2 * a9 + d3 * a8 + d4 * a7 + d5 * a6;
  const h1 = sum & MASK;
  sum = (sum >> 26) + d3 * a9 + d4 * a8 + d5 * a7 + a6 * a6;
  const h2 = sum & MASK;
  sum = (sum >> 26) + d4 * a9 + d5 * a8 + d6 * a7;
  const h3 = sum & MASK;
  sum = (sum >> 26) + d5 * a9 + d6 * a8 + a7 * a7;
  const h4 = sum & MASK;
  sum = (sum >> 26) + d6 * a9 + d7 * a8;
  const h5 = sum & MASK;
  sum = (sum >> 26) + d7 * a9 + a8 * a8;
  const h6 = sum & MASK;
  sum = (sum >> 26) + d8 * a9;
  const h7 = sum & MASK;
  sum = (sum >> 26) + a9 * a9;
  const h8 = sum & MASK;
  sum = sum >> 26;
  const h9 = sum;
  sum = a0 * a0 + h0 * FOLD;
  const r0 = sum & MASK;
  sum = (sum >> 26) + d0 * a1 + h1 * FOLD + (h0 << 10);
  const r1 = sum & MASK;
  sum = (sum >> 26) + d0 * a2 + a1 * a1 + h2 * FOLD + (h1 << 10);
  const r2 = sum & MASK;
  sum = (sum >> 26) + d0 * a3 + d1 * a2 + h3 * FOLD + (h2 << 10);
  const r3 = sum & MASK;
  sum = (sum >> 26) + d0 * a4 + d1 * a3 + a2 * a2 + h4 * FOLD + (h3 << 10);
  const r4 = sum & MASK;
  sum = (sum >> 26) + d0 * a5 + d1 * a4 + d2 * a3 + h5 * FOLD + (h4 << 10);
  const r5 = sum & MASK;
  sum = (sum >> 26) + d0 * a6 + d1 * a5 + d2 * a4 + a3 * a3 + h6 * FOLD + (h5 << 10);
  const r6 = sum & MASK;
  sum = (sum >> 26) + d0 * a7 + d1 * a6 + d2 * a5 + d3 * a4 + h7 * FOLD + (h6 << 10);
  const r7 = sum & MASK;
  sum = (sum >> 26) + d0 * a8 + d1 * a7 + d2 * a6 + d3 * a5 + a4 * a4 + h8 * FOLD + (h7 << 10);
  const r8 = sum & MASK;
  sum = (sum >> 26) + d0 * a9 + d1 * a8 + d2 * a7 + d3 * a6 + d4 * a5 + h9 * FOLD + (h8 << 10);
  const r9 = sum & TOP_MASK;
  const over = (sum >> 22) + (h9 << 14);
  fold(target, r0 + over * 977, r1 + (over << 6), r2, r3, r4, r5, r6, r7, r8, r9);
}

/** Pairs of digits of p, as they lie in a u64. */
const MODULUS_LOWEST: u64 = 0x03ffffbf_03fffc2f;
const MODULUS_MIDDLE: u64 = 0x03ffffff_03ffffff;
const MODULUS_HIGHEST: u64 = 0x003fffff_03ffffff;

/** Carries once, and folds what stands from 2^256 on: the magnitude is 1. */
function carry(at: usize): void {
  let over = load<u32>(at, 36) >> 22;
  let sum = load<u32>(at) + over * 977;
  store<u32>(at, sum & <u32>MASK);
  sum = load<u32>(at, 4) + (over << 6) + (sum >> 26);
  store<u32>(at, sum & <u32>MASK, 4);
  for (let i: usize = 8; i < 36; i += 4) {
    sum = load<u32>(at + i) + (sum >> 26);
    store<u32>(at + i, sum & <u32>MASK);
  }
  store<u32>(at, (load<u32>(at, 36) & <u32>TOP_MASK) + (sum >> 26), 36);
}

// Two digits at a time: none leaves its 32 bits.

/** target = a + b. */
export function add(target: usize, a: usize, b: usize): void {
  store<u64>(target, load<u64>(a) + load<u64>(b));
  store<u64>(target, load<u64>(a, 8) + load<u64>(b, 8), 8);
  store<u64>(target, load<u64>(a, 16) + load<u64>(b, 16), 16);
  store<u64>(target, load<u64>(a, 24) + load<u64>(b, 24), 24);
  store<u64>(target, load<u64>(a, 32) + load<u64>(b, 32), 32);
}

/** target = a - b, for b of that magnitude: a multiple of p is added, so that no digit becomes negative. */
export function subtract(target: usize, a: usize, b: usize, magnitude: u32): void {
  const times = 2 * (<u64>magnitude + 1);
  store<u64>(target, load<u64>(a) + MODULUS_LOWEST * times - load<u64>(b));
  store<u64>(target, load<u64>(a, 8) + MODULUS_MIDDLE * times - load<u64>(b, 8), 8);
  store<u64>(target, load<u64>(a, 16) + MODULUS_MIDDLE * times - load<u64>(b, 16), 16);
  store<u64>(target, load<u64>(a, 24) + MODULUS_MIDDLE * times - load<u64>(b, 24), 24);
  store<u64>(target, load<u64>(a, 32) + MODULUS_HIGHEST * times - load<u64>(b, 32), 32);
}

/** target = -a, for a of that magnitude: of one more. */
export function negate(target: usize, a: usize, magnitude: u32): void {
  const times = 2 * (<u64>magnitude + 1);
  store<u64>(target, MODULUS_LOWEST * times - load<u64>(a));
  store<u64>(target, MODULUS_MIDDLE * times - load<u64>(a, 8), 8);
  store<u64>(target, MODULUS_MIDDLE * times - load<u64>(a, 16), 16);
  store<u64>(target, MODULUS_MIDDLE * times - load<u64>(a, 24), 24);
  store<u64>(target, MODULUS_HIGHEST * times - load<u64>(a, 32), 32);
}

/** target = a * factor, which multiplies the magnitude too. */
export function multiplySmall(target: usize, a: usize, factor: u64): void {
  store<u64>(target, load<u64>(a) * factor);
  store<u64>(target, load<u64>(a, 8) * factor, 8);
  store<u64>(target, load<u64>(a, 16) * factor, 16);
  store<u64>(target, load<u64>(a, 24) * factor, 24);
  store<u64>(target, load<u64>(a, 32) * factor, 32);
}

export function copy(target: usize, a: usize): void {
  for (let i: usize = 0; i < FIELD_BYTES; i += 8) store<u64>(target + i, load<u64>(a + i));
}

export function setSmall(target: usize, value: u32): void {
  memory.fill(target, 0, FIELD_BYTES);
  store<u32>(target, value);
}

/** Makes the value the one below p. */
export function normalize(at: usize): void {
  carry(at);
  carry(at);
  if (isBelowModulus(at)) return;
  let borrow: i32 = 0;
  for (let i: usize = 0; i < FIELD_BYTES; i += 4) {
    const digit = <i32>load<u32>(at + i) - <i32>load<u32>(modulus + i) + borrow;
    store<u32>(at + i, <u32>digit & <u32>MASK);
    borrow = digit >> 26;
  }
}

function isBelowModulus(at: usize): bool {
  for (let i: isize = 36; i >= 0; i -= 4) {
    const digit = load<u32>(at + i);
    const limit = load<u32>(modulus + i);
    if (digit != limit) return digit < limit;
  }
  return false;
}

/** Whether a value is 0 modulo p; it is normalized if its lowest digit leaves that open. */
export function isZero(at: usize): bool {
  // With what stands from 2^256 on folded, a multiple of p is 0 or p.
  const lowest = (load<u32>(at) + (load<u32>(at, 36) >> 22) * 977) & <u32>MASK;
  if (lowest && lowest != load<u32>(modulus)) return false;
  normalize(at);
  let bits: u32 = 0;
  for (let i: usize = 0; i < FIELD_BYTES; i += 4) bits |= load<u32>(at + i);
  return bits == 0;
}

/** Of a normalized value. */
export function isOdd(at: usize): bool {
  return (load<u32>(at) & 1) != 0;
}

/** From four u64, the least significant first; false if they are not below p. */
export function fromWord(target: usize, word: usize): bool {
  let at: u32 = 0;
  for (let i: usize = 0; i < FIELD_BYTES; i += 4) {
    const limb: usize = (at >> 6) << 3;
    const shift: u64 = at & 63;
    let digit = load<u64>(word + limb) >> shift;
    if (shift > 38 && limb < 24) digit |= load<u64>(word + limb, 8) << (64 - shift);
    store<u32>(target + i, <u32>(digit & MASK));
    at += 26;
  }
  return isBelowModulus(target);
}

/** To four u64; the value is normalized. */
export function toWord(word: usize, at: usize): void {
  normalize(at);
  joinDigits(word, at);
}

function joinDigits(word: usize, at: usize): void {
  for (let i: usize = 0; i < 32; i += 8) store<u64>(word + i, 0);
  let place: u32 = 0;
  for (let i: usize = 0; i < FIELD_BYTES; i += 4) {
    const limb: usize = (place >> 6) << 3;
    const shift: u64 = place & 63;
    const digit = <u64>load<u32>(at + i);
    store<u64>(word + limb, load<u64>(word + limb) | (digit << shift));
    if (shift > 38 && limb < 24)
      store<u64>(word + limb, load<u64>(word + limb, 8) | (digit >> (64 - shift)), 8);
    place += 26;
  }
}

function squareTimes(at: usize, times: u32): void {
  for (let i: u32 = 0; i < times; i++) square(at, at);
}

const x2: usize = memory.data(40, 8);
const x3: usize = memory.data(40, 8);
const x22: usize = memory.data(40, 8);
const x44: usize = memory.data(40, 8);

/**
 * a to 2^223 - 1 into `power`, which the exponent below begins with; x2, x22 hold a to 2^2 - 1 and 2^22 - 1.
 * Exponents of ones are doubled and joined: a^(2^(m+n) - 1) = (a^(2^m - 1))^(2^n) * a^(2^n - 1).
 */
function powerOfOnes(a: usize): void {
  copy(base, a);
  join(x2, base, 1, base);
  join(x3, x2, 1, base);
  join(power, x3, 3, x3);
  join(power, power, 3, x3);
  join(power, power, 2, x2);
  join(x22, power, 11, power);
  join(x44, x22, 22, x22);
  join(power, x44, 44, x44);
  copy(x88, power);
  join(power, power, 88, x88);
  join(power, power, 44, x44);
  join(power, power, 3, x3);
}

const x88: usize = memory.data(40, 8);

/** target = a^(2^times) * b. */
function join(target: usize, a: usize, times: u32, b: usize): void {
  copy(joined, a);
  squareTimes(joined, times);
  multiply(target, joined, b);
}

const joined: usize = memory.data(40, 8);

const field: usize = memory.data(104, 8);
const word: usize = memory.data(32, 8);

/** target = 1 / a; 0 gives 0. */
export function invert(target: usize, a: usize): void {
  if (!load<u64>(field)) {
    joinDigits(field, modulus);
    Montgomery.describe(field);
  }
  copy(base, a);
  toWord(word, base);
  Montgomery.enter(word, word, field);
  Montgomery.invert(word, word, field);
  Montgomery.leave(word, word, field);
  fromWord(target, word);
}

/** target = a root of a, if it has one: a to (p + 1) / 4. Whether it has. */
export function squareRoot(target: usize, a: usize): bool {
  powerOfOnes(a);
  join(power, power, 23, x22);
  join(power, power, 6, x2);
  squareTimes(power, 2);
  square(joined, power);
  subtract(joined, joined, base, 1);
  copy(target, power);
  return isZero(joined);
}
