/**
 * The curve that Ethereum calls alt_bn128 (EIP-196, EIP-197): y² = x³ + 3 over the integers modulo p, its
 * twist over the field of i² = -1, and the pairing of the two.
 *
 * Numbers from outside are 32 bytes, the most significant first. A point is x and y, two zeros for the point
 * at infinity; of the twist each coordinate is two numbers, that with i first.
 *
 * The pairing is the optimal ate pairing (Vercauteren): a Miller loop over 6u + 2 for u =
 * 4965661367192848881, with two more steps by Frobenius, and the final exponentiation of Fuentes-Castañeda,
 * Knapp and Rodríguez-Henríquez. About 20 million gas for each pair, and 25 million for all.
 */

import { U256 } from "../u256.ts";
import * as fp12 from "./bn254-tower.ts";
import { FP, FP2, Fp, Fp2, describeField, field } from "./bn254-fields.ts";
import { ONE } from "./montgomery.ts";

/** Digits of 6u + 2, the most significant first, each 1, 0 or -1. */
// prettier-ignore
const loop: usize = memory.data<i8>([
  1, 0, -1, 0, 1, 0, 0, 0, -1, 0, -1, 0, 0, 0, -1, 0, 1, 0, -1, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0, 0, -1, 0, 1, 0,
  0, -1, 0, 0, 0, 0, -1, 0, 1, 0, 0, 0, -1, 0, -1, 0, 0, 1, 0, 0, 0, -1, 0, 0, -1, 0, 1, 0, 1, 0, 0, 0,
]);
const LOOP: usize = 66;
const U: u64 = 4965661367192848881;

// In Montgomery's form: 1/2, and 3 / (9 + i) of the twist's equation.
const half: usize = memory.data<u64>([
  0x87bee7d24f060572, 0xd0fd2add2f1c6ae5, 0x8f5f7492fcfd4f44, 0x1f37631a3d9cbfac,
]);
// prettier-ignore
const twistB: usize = memory.data<u64>([
  0x3bf938e377b802a8, 0x020b1b273633535d, 0x26b7edf049755260, 0x2514c6324384a86d, 0x38e7ecccd1dcff67,
  0x65f0b37d93ce0d3e, 0xd749d0dd22ac00aa, 0x0141b9ce4a688d4d,
]);

export class Bn254 {
  /** Writes a + b; false if one of them is not on the curve. */
  static add(target: usize, a: usize, b: usize): bool {
    describeField();
    if (!readPoint(first, a) || !readPoint(second, b)) return false;
    addPoint(first, second);
    writePoint(target, first);
    return true;
  }

  /** Writes factor * a, for any 32 bytes as factor; false if the point is not on the curve. */
  static multiply(target: usize, a: usize, factor: usize): bool {
    describeField();
    if (!readPoint(second, a)) return false;
    memory.fill(first, 0, POINT);
    for (let i: usize = 0; i < 32; i++) {
      const byte: u32 = load<u8>(factor + i);
      for (let bit: i32 = 7; bit >= 0; bit--) {
        doublePoint(first);
        if (byte & (1 << bit)) addPoint(first, second);
      }
    }
    writePoint(target, first);
    return true;
  }

  /**
   * Whether the product of the pairings of `count` pairs (a point, 64 bytes, and one of the twist, 128 bytes)
   * is 1; -1 if a point is not on its curve, or of the twist not in the subgroup.
   */
  static pairing(pairs: usize, count: u32): i32 {
    describeField();
    fp12.setOne(product);
    for (let i: u32 = 0; i < count; i++) {
      const pair = pairs + i * 192;
      if (!readPoint(first, pair) || !readTwist(pair + 64)) return -1;
      if (isInfinite(first) || twistIsInfinite) continue;
      millerLoop();
      fp12.multiply(product, product, miller);
    }
    finalExponentiation();
    return i32(fp12.isOne(product));
  }
}

// ---- the curve: (x / z², y / z³) --------------------------------------------------------------------------

const POINT: usize = 96;
const PY: usize = 32;
const PZ: usize = 64;
const first: usize = memory.data(96, 8);
const second: usize = memory.data(96, 8);
const a0: usize = memory.data(32, 8);
const a1: usize = memory.data(32, 8);
const a2: usize = memory.data(32, 8);
const a3: usize = memory.data(32, 8);
const a4: usize = memory.data(32, 8);
const a5: usize = memory.data(32, 8);

function isInfinite(p: usize): bool {
  return U256.isZero(p + PZ);
}

function readPoint(p: usize, bytes: usize): bool {
  if (!Fp.read(p, bytes) || !Fp.read(p + PY, bytes + 32)) return false;
  U256.set(p + PZ, 0);
  if (U256.isZero(p) && U256.isZero(p + PY)) return true;
  U256.copy(p + PZ, field + ONE);
  Fp.multiply(a0, p, p);
  Fp.multiply(a0, a0, p);
  Fp.add(a1, field + ONE, field + ONE);
  Fp.add(a1, a1, field + ONE);
  Fp.add(a0, a0, a1);
  Fp.multiply(a1, p + PY, p + PY);
  return U256.equals(a0, a1);
}

function writePoint(bytes: usize, p: usize): void {
  memory.fill(bytes, 0, 64);
  if (isInfinite(p)) return;
  Fp.invert(a0, p + PZ);
  Fp.multiply(a1, a0, a0);
  Fp.multiply(a2, p, a1);
  Fp.multiply(a1, a1, a0);
  Fp.multiply(a3, p + PY, a1);
  Fp.write(bytes, a2);
  Fp.write(bytes + 32, a3);
}

/** dbl-2009-l of the Explicit-Formulas Database. */
function doublePoint(p: usize): void {
  Fp.multiply(a0, p, p);
  Fp.multiply(a1, p + PY, p + PY);
  Fp.multiply(a2, a1, a1);
  Fp.add(a3, p, a1);
  Fp.multiply(a3, a3, a3);
  Fp.subtract(a3, a3, a0);
  Fp.subtract(a3, a3, a2);
  Fp.add(a3, a3, a3);
  Fp.add(a4, a0, a0);
  Fp.add(a0, a4, a0);
  Fp.multiply(p + PZ, p + PY, p + PZ);
  Fp.add(p + PZ, p + PZ, p + PZ);
  Fp.multiply(p, a0, a0);
  Fp.subtract(p, p, a3);
  Fp.subtract(p, p, a3);
  Fp.subtract(a3, a3, p);
  Fp.multiply(p + PY, a0, a3);
  for (let i = 0; i < 3; i++) Fp.add(a2, a2, a2);
  Fp.subtract(p + PY, p + PY, a2);
}

/** p = p + q (add-1998-cmo-2), with the cases in which that is no sum of two different points. */
function addPoint(p: usize, q: usize): void {
  if (isInfinite(q)) return;
  if (isInfinite(p)) {
    memory.copy(p, q, POINT);
    return;
  }
  Fp.multiply(a0, p + PZ, p + PZ);
  Fp.multiply(a1, q + PZ, q + PZ);
  Fp.multiply(a2, p, a1);
  Fp.multiply(a3, q, a0);
  Fp.subtract(a3, a3, a2);
  Fp.multiply(a4, p + PY, q + PZ);
  Fp.multiply(a4, a4, a1);
  Fp.multiply(a5, q + PY, p + PZ);
  Fp.multiply(a5, a5, a0);
  Fp.subtract(a5, a5, a4);
  if (U256.isZero(a3)) {
    if (U256.isZero(a5)) return doublePoint(p);
    memory.fill(p, 0, POINT);
    return;
  }
  Fp.multiply(p + PZ, p + PZ, q + PZ);
  Fp.multiply(p + PZ, p + PZ, a3);
  Fp.multiply(a0, a3, a3);
  Fp.multiply(a1, a0, a3);
  Fp.multiply(a2, a2, a0);
  Fp.multiply(p, a5, a5);
  Fp.subtract(p, p, a1);
  Fp.subtract(p, p, a2);
  Fp.subtract(p, p, a2);
  Fp.subtract(a2, a2, p);
  Fp.multiply(a2, a5, a2);
  Fp.multiply(a4, a4, a1);
  Fp.subtract(p + PY, a2, a4);
}

// ---- the twist: (x / z, y / z) ----------------------------------------------------------------------------

const TY: usize = 64;
const TZ: usize = 128;
const TWIST: usize = 192;
/** The point of the pair, with z = 1; one that moves; and others. */
const base: usize = memory.data(192, 8);
const moving: usize = memory.data(192, 8);
const image: usize = memory.data(192, 8);
const saved: usize = memory.data(192, 8);
let twistIsInfinite: bool = false;

const b0: usize = memory.data(64, 8);
const b1: usize = memory.data(64, 8);
const b2: usize = memory.data(64, 8);
const b3: usize = memory.data(64, 8);
const b4: usize = memory.data(64, 8);
const b5: usize = memory.data(64, 8);
const b6: usize = memory.data(64, 8);
/** The line of the last step. */
const line0: usize = memory.data(64, 8);
const line3: usize = memory.data(64, 8);
const line4: usize = memory.data(64, 8);

/** Sets `base`; false if it is not on the twist or not in the subgroup. */
function readTwist(bytes: usize): bool {
  if (!Fp2.read(base, bytes) || !Fp2.read(base + TY, bytes + 64)) return false;
  twistIsInfinite = Fp2.isZero(base) && Fp2.isZero(base + TY);
  if (twistIsInfinite) return true;
  setOne2(base + TZ);
  Fp2.square(b0, base);
  Fp2.multiply(b0, b0, base);
  Fp2.add(b0, b0, twistB);
  Fp2.square(b1, base + TY);
  return Fp2.equals(b0, b1) && isInSubgroup();
}

function setOne2(target: usize): void {
  U256.copy(target, field + ONE);
  U256.set(target + FP, 0);
}

/** In the subgroup, and nowhere else, Frobenius is multiplication by 6u² (Scott 2021). */
function isInSubgroup(): bool {
  memory.copy(saved, base, TWIST);
  if (!multiplyByU() || !normalizeMoving()) return false;
  memory.copy(base, moving, TWIST);
  if (!multiplyByU() || !normalizeMoving()) return false;
  memory.copy(base, moving, TWIST);
  twistDouble();
  twistAdd(base);
  if (Fp2.isZero(moving + TZ)) return false;
  twistDouble();
  memory.copy(base, saved, TWIST);
  if (!normalizeMoving()) return false;
  frobeniusOf(image, base);
  return Fp2.equals(image, moving) && Fp2.equals(image + TY, moving + TY);
}

/** moving = u * base; false if that is the point at infinity, or on the way there the sum of equal points. */
function multiplyByU(): bool {
  memory.copy(moving, base, TWIST);
  for (let bit: i32 = 61; bit >= 0; bit--) {
    twistDouble();
    if ((U >> bit) & 1) twistAdd(base);
    if (Fp2.isZero(moving + TZ)) return false;
  }
  return true;
}

function normalizeMoving(): bool {
  if (Fp2.isZero(moving + TZ)) return false;
  Fp2.invert(b0, moving + TZ);
  Fp2.multiply(moving, moving, b0);
  Fp2.multiply(moving + TY, moving + TY, b0);
  setOne2(moving + TZ);
  return true;
}

/** What Frobenius makes of a point of the twist with z = 1. */
function frobeniusOf(target: usize, p: usize): void {
  Fp2.conjugate(target, p);
  Fp2.multiply(target, target, fp12.frobeniusFactor(2));
  Fp2.conjugate(target + TY, p + TY);
  Fp2.multiply(target + TY, target + TY, fp12.frobeniusFactor(3));
  setOne2(target + TZ);
}

/** moving = 2 moving, and the tangent (Costello, Lange, Naehrig 2010, section 5). */
function twistDouble(): void {
  const x = moving;
  const y = moving + TY;
  const z = moving + TZ;
  Fp2.multiply(b0, x, y);
  Fp2.scale(b0, b0, half);
  Fp2.square(b1, y);
  Fp2.square(b2, z);
  Fp2.add(b3, b2, b2);
  Fp2.add(b3, b3, b2);
  Fp2.multiply(b3, b3, twistB); // 3b z²
  Fp2.add(b4, b3, b3);
  Fp2.add(b4, b4, b3); // 9b z²
  Fp2.add(b5, y, z);
  Fp2.square(b5, b5);
  Fp2.subtract(b5, b5, b1);
  Fp2.subtract(b5, b5, b2); // 2yz
  Fp2.square(b6, x);
  Fp2.negate(line0, b5);
  Fp2.add(line3, b6, b6);
  Fp2.add(line3, line3, b6);
  Fp2.subtract(line4, b3, b1);
  Fp2.subtract(b6, b1, b4);
  Fp2.multiply(x, b0, b6);
  Fp2.add(b4, b1, b4);
  Fp2.scale(b4, b4, half);
  Fp2.square(b4, b4);
  Fp2.square(b3, b3);
  Fp2.subtract(y, b4, b3);
  Fp2.subtract(y, y, b3);
  Fp2.subtract(y, y, b3);
  Fp2.multiply(z, b1, b5);
}

/** moving = moving + q, for q with z = 1, and the line through both. */
function twistAdd(q: usize): void {
  const x = moving;
  const y = moving + TY;
  const z = moving + TZ;
  Fp2.multiply(b0, q + TY, z);
  Fp2.subtract(b0, y, b0); // theta
  Fp2.multiply(b1, q, z);
  Fp2.subtract(b1, x, b1); // lambda
  Fp2.square(b2, b0);
  Fp2.square(b3, b1);
  Fp2.multiply(b4, b1, b3);
  Fp2.multiply(b2, z, b2);
  Fp2.multiply(b3, x, b3);
  Fp2.add(b5, b4, b2);
  Fp2.subtract(b5, b5, b3);
  Fp2.subtract(b5, b5, b3);
  Fp2.multiply(x, b1, b5);
  Fp2.subtract(b3, b3, b5);
  Fp2.multiply(b3, b0, b3);
  Fp2.multiply(b6, b4, y);
  Fp2.subtract(y, b3, b6);
  Fp2.multiply(z, z, b4);
  Fp2.multiply(b5, b0, q);
  Fp2.multiply(b6, b1, q + TY);
  Fp2.subtract(line4, b5, b6);
  Fp2.copy(line0, b1);
  Fp2.negate(line3, b0);
}

// ---- the pairing ------------------------------------------------------------------------------------------

const product: usize = memory.data(384, 8);
const miller: usize = memory.data(384, 8);
const negated: usize = memory.data(192, 8);

/** miller = miller * the line at `first`. */
function applyLine(): void {
  Fp2.scale(line0, line0, first + PY);
  Fp2.scale(line3, line3, first);
  fp12.multiplySparse(miller, line0, line3, line4);
}

/** Of `first`, with z = 1, and `base`. */
function millerLoop(): void {
  memory.copy(negated, base, TWIST);
  Fp2.negate(negated + TY, base + TY);
  memory.copy(moving, base, TWIST);
  fp12.setOne(miller);
  for (let i: usize = 1; i < LOOP; i++) {
    if (i > 1) fp12.square(miller, miller);
    twistDouble();
    applyLine();
    const digit = load<i8>(loop + i);
    if (!digit) continue;
    twistAdd(digit > 0 ? base : negated);
    applyLine();
  }
  frobeniusOf(image, base);
  twistAdd(image);
  applyLine();
  frobeniusOf(negated, image);
  Fp2.negate(negated + TY, negated + TY);
  twistAdd(negated);
  applyLine();
}

const f0: usize = memory.data(384, 8);
const f1: usize = memory.data(384, 8);
const f2: usize = memory.data(384, 8);
const f3: usize = memory.data(384, 8);
const f4: usize = memory.data(384, 8);
const f6: usize = memory.data(384, 8);
const power: usize = memory.data(384, 8);

/** target = a to the power of -u, for a of norm 1. */
function powerOfMinusU(target: usize, a: usize): void {
  memory.copy(power, a, fp12.FP12);
  for (let bit: i32 = 61; bit >= 0; bit--) {
    fp12.square(power, power);
    if ((U >> bit) & 1) fp12.multiply(power, power, a);
  }
  fp12.conjugate(target, power);
}

/** product = product to the power of (p^12 - 1) / n. */
function finalExponentiation(): void {
  const r = product;
  // (p^6 - 1)(p² + 1)
  fp12.conjugate(f0, r);
  fp12.invert(f1, r);
  fp12.multiply(r, f0, f1);
  fp12.applyFrobenius(f0, r);
  fp12.applyFrobenius(f0, f0);
  fp12.multiply(r, f0, r);
  // A multiple of (p^4 - p² + 1) / n
  powerOfMinusU(f0, r);
  fp12.square(f1, f0);
  fp12.square(f2, f1);
  fp12.multiply(f3, f2, f1);
  powerOfMinusU(f4, f3);
  fp12.square(f6, f4);
  powerOfMinusU(f6, f6);
  fp12.conjugate(f3, f3);
  fp12.conjugate(f6, f6);
  fp12.multiply(f6, f6, f4);
  fp12.multiply(f6, f6, f3); // y8
  fp12.multiply(f1, f6, f1); // y9
  fp12.multiply(f4, f6, f4); // y10
  fp12.multiply(f4, f4, r); // y11
  fp12.applyFrobenius(f0, f1);
  fp12.multiply(f4, f0, f4); // y13
  fp12.applyFrobenius(f6, f6);
  fp12.applyFrobenius(f6, f6);
  fp12.multiply(f4, f6, f4); // y14
  fp12.conjugate(f0, r);
  fp12.multiply(f0, f0, f1); // y15
  for (let i = 0; i < 3; i++) fp12.applyFrobenius(f0, f0);
  fp12.multiply(r, f0, f4);
}
