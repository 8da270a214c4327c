/**
 * The upper fields of bn254.ts: six coefficients a + bi over 1, v, v² with v³ = 9 + i, twice, the second half
 * times w with w² = v. Targets may overlap operands, but for `multiplySparse`.
 */

import { U256 } from "../u256.ts";
import { ONE } from "./montgomery.ts";
import { FP2, Fp2, field } from "./bn254-fields.ts";

const FP6: usize = 192;
export const FP12: usize = 384;

/** Powers of 9 + i: what Frobenius multiplies coefficients by, in Montgomery's form. */
// prettier-ignore
const frobenius: usize = memory.data<u64>([
  // ξ^(1(p-1)/6)
  0xaf9ba69633144907, 0xca6b1d7387afb78a, 0x11bded5ef08a2087, 0x02f34d751a1f3a7c, 0xa222ae234c492d72,
  0xd00f02a4565de15b, 0xdc2ff3a253dfc926, 0x10a75716b3899551,
  // ξ^(2(p-1)/6)
  0xb5773b104563ab30, 0x347f91c8a9aa6454, 0x7a007127242e0991, 0x1956bcd8118214ec, 0x6e849f1ea0aa4757,
  0xaa1c7b6d89f89141, 0xb6e713cdfae0ca3a, 0x26694fbb4e82ebc3,
  // ξ^(3(p-1)/6)
  0xe4bbdd0c2936b629, 0xbb30f162e133bacb, 0x31a9d1b6f9645366, 0x253570bea500f8dd, 0xa1d77ce45ffe77c7,
  0x07affd117826d1db, 0x6d16bd27bb7edc6b, 0x2c87200285defecc,
  // ξ^(4(p-1)/6)
  0x7361d77f843abe92, 0xa5bb2bd3273411fb, 0x9c941f314b3e2399, 0x15df9cddbb9fd3ec, 0x5dddfd154bd8c949,
  0x62cb29a5a4445b60, 0x37bc870a0c7dd2b9, 0x24830a9d3171f0fd,
  // ξ^(5(p-1)/6)
  0xc970692f41690fe7, 0xe240342127694b0b, 0x32bee66b83c459e8, 0x12aabced0ab08841, 0x0d485d2340aebfa9,
  0x05193418ab2fcc57, 0xd3b0a40b8a4910f5, 0x2f21ebb535d2925a,
]);

/** Where coefficient k of w^k lies in an element, for k from 0 to 5. */
function coefficient(k: usize): usize {
  return (k & 1) * FP6 + (k >> 1) * FP2;
}

const s0: usize = memory.data(64, 8);
const s1: usize = memory.data(64, 8);
const s2: usize = memory.data(64, 8);
const s3: usize = memory.data(64, 8);
const s4: usize = memory.data(64, 8);
const s5: usize = memory.data(64, 8);
const h0: usize = memory.data(192, 8);
const h1: usize = memory.data(192, 8);
const h2: usize = memory.data(192, 8);
const h3: usize = memory.data(192, 8);

// ---- 1, v, v² ---------------------------------------------------------------------------------------------

function add6(target: usize, a: usize, b: usize): void {
  for (let at: usize = 0; at < FP6; at += FP2) Fp2.add(target + at, a + at, b + at);
}

function subtract6(target: usize, a: usize, b: usize): void {
  for (let at: usize = 0; at < FP6; at += FP2) Fp2.subtract(target + at, a + at, b + at);
}

/** Six products (Karatsuba). */
function multiply6(target: usize, a: usize, b: usize): void {
  const a1 = a + FP2;
  const a2 = a + 2 * FP2;
  const b1 = b + FP2;
  const b2 = b + 2 * FP2;
  Fp2.multiply(s0, a, b);
  Fp2.multiply(s1, a1, b1);
  Fp2.multiply(s2, a2, b2);
  cross(s3, a1, a2, b1, b2, s1, s2);
  cross(s4, a, a1, b, b1, s0, s1);
  cross(s5, a, a2, b, b2, s0, s2);
  Fp2.multiplyByXi(s3, s3);
  Fp2.add(target, s0, s3);
  Fp2.multiplyByXi(s3, s2);
  Fp2.add(target + FP2, s4, s3);
  Fp2.add(target + 2 * FP2, s5, s1);
}

const x0: usize = memory.data(64, 8);
const x1: usize = memory.data(64, 8);

/** (a + b)(c + d) - ac - bd. */
function cross(target: usize, a: usize, b: usize, c: usize, d: usize, ac: usize, bd: usize): void {
  Fp2.add(x0, a, b);
  Fp2.add(x1, c, d);
  Fp2.multiply(target, x0, x1);
  Fp2.subtract(target, target, ac);
  Fp2.subtract(target, target, bd);
}

function multiplyByV(target: usize, a: usize): void {
  Fp2.multiplyByXi(x0, a + 2 * FP2);
  Fp2.copy(target + 2 * FP2, a + FP2);
  Fp2.copy(target + FP2, a);
  Fp2.copy(target, x0);
}

function invert6(target: usize, a: usize): void {
  const a1 = a + FP2;
  const a2 = a + 2 * FP2;
  Fp2.square(s0, a);
  Fp2.multiply(x0, a1, a2);
  Fp2.multiplyByXi(x0, x0);
  Fp2.subtract(s0, s0, x0);
  Fp2.square(s1, a2);
  Fp2.multiplyByXi(s1, s1);
  Fp2.multiply(x0, a, a1);
  Fp2.subtract(s1, s1, x0);
  Fp2.square(s2, a1);
  Fp2.multiply(x0, a, a2);
  Fp2.subtract(s2, s2, x0);
  Fp2.multiply(x0, a2, s1);
  Fp2.multiply(x1, a1, s2);
  Fp2.add(x0, x0, x1);
  Fp2.multiplyByXi(x0, x0);
  Fp2.multiply(x1, a, s0);
  Fp2.add(x0, x0, x1);
  Fp2.invert(x0, x0);
  Fp2.multiply(target, s0, x0);
  Fp2.multiply(target + FP2, s1, x0);
  Fp2.multiply(target + 2 * FP2, s2, x0);
}

// ---- the whole --------------------------------------------------------------------------------------------

export function setOne(target: usize): void {
  memory.fill(target, 0, FP12);
  U256.copy(target, field + ONE);
}

export function isOne(a: usize): bool {
  if (!U256.equals(a, field + ONE)) return false;
  for (let at: usize = 32; at < FP12; at += 32) if (!U256.isZero(a + at)) return false;
  return true;
}

/** Three products of halves (Karatsuba). */
export function multiply(target: usize, a: usize, b: usize): void {
  multiply6(h0, a, b);
  multiply6(h1, a + FP6, b + FP6);
  add6(h2, a, a + FP6);
  add6(h3, b, b + FP6);
  multiply6(h2, h2, h3);
  subtract6(h2, h2, h0);
  subtract6(target + FP6, h2, h1);
  multiplyByV(h1, h1);
  add6(target, h0, h1);
}

/** (a + b)(a + vb) - ab - vab, and 2ab. */
export function square(target: usize, a: usize): void {
  multiply6(h0, a, a + FP6);
  add6(h1, a, a + FP6);
  multiplyByV(h2, a + FP6);
  add6(h2, h2, a);
  multiply6(h1, h1, h2);
  subtract6(h1, h1, h0);
  add6(target + FP6, h0, h0);
  multiplyByV(h0, h0);
  subtract6(target, h1, h0);
}

const sparse: usize = memory.data(384, 8);

/** target = target * (c0 + (c3 + c4 v) w): what a line gives. */
export function multiplySparse(target: usize, c0: usize, c3: usize, c4: usize): void {
  memory.fill(sparse, 0, FP12);
  Fp2.copy(sparse, c0);
  Fp2.copy(sparse + FP6, c3);
  Fp2.copy(sparse + FP6 + FP2, c4);
  multiply(target, target, sparse);
}

/** The inverse where the norm is 1, as after the first part of the final exponentiation. */
export function conjugate(target: usize, a: usize): void {
  if (target != a) memory.copy(target, a, FP6);
  for (let at: usize = FP6; at < FP12; at += FP2) Fp2.negate(target + at, a + at);
}

export function invert(target: usize, a: usize): void {
  multiply6(h0, a, a);
  multiply6(h1, a + FP6, a + FP6);
  multiplyByV(h1, h1);
  subtract6(h0, h0, h1);
  invert6(h0, h0);
  multiply6(target, a, h0);
  multiply6(target + FP6, a + FP6, h0);
  for (let at: usize = FP6; at < FP12; at += FP2) Fp2.negate(target + at, target + at);
}

/** a to the power of p. */
export function applyFrobenius(target: usize, a: usize): void {
  for (let k: usize = 0; k < 6; k++) {
    const at = coefficient(k);
    Fp2.conjugate(target + at, a + at);
    if (k) Fp2.multiply(target + at, target + at, frobenius + (k - 1) * FP2);
  }
}

/** 9 + i to the power of k(p - 1) / 6, for k from 1 to 5. */
export function frobeniusFactor(k: usize): usize {
  return frobenius + (k - 1) * FP2;
}
