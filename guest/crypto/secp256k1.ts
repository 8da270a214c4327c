/**
 * ECDSA over the curve secp256k1 (SEC 1, SEC 2): y² = x³ + 7. Verifying signatures, and recovering who
 * signed; nothing here is secret, and nothing takes the same time for all inputs.
 *
 * Numbers from outside are 32 bytes, the most significant first; a public key is x and y, 64 bytes.
 *
 *   if (Secp256k1.recover(publicKey, hash, r, s, yIsOdd)) Keccak256.hash(publicKey, 64, address);
 *
 * Both need u * G + v * P. Each factor is split in two of half the length by the curve's endomorphism
 * (Gallant, Lambert and Vanstone: λ (x, y) = (βx, y)), so that four sums share 129 doublings; digits are odd,
 * from -15 to 15, a fifth of them not zero. About 2.6 million gas.
 */

import { U256 } from "../u256.ts";
import { MULTIPLES, writeDigits } from "./digits.ts";
import { Montgomery, FIELD_BYTES as SCALARS_BYTES } from "./montgomery.ts";
import * as field from "./secp256k1-field.ts";

/** Where coordinates lie in a point (x / z², y / z³); z = 0: the point at infinity. */
const Y: usize = 40;
const Z: usize = 80;
const POINT: usize = 120;

/** Bytes of the odd multiples of a point. */
const TABLE: usize = 960;
const DIGITS: usize = 136;

// prettier-ignore
const orderWords: usize = memory.data<u64>([
  0xbfd25e8cd0364141, 0xbaaedce6af48a03b, 0xfffffffffffffffe, 0xffffffffffffffff,
]);
/** The order of G, as montgomery.ts describes it. */
const scalars: usize = memory.data(104, 8);
// prettier-ignore
const beta: usize = memory.data<u32>([
  0x19501ee, 0x25b0a1c, 0x0995c13, 0x1d44bd6, 0x19cf049, 0x30d0d3a, 0x24479ea, 0x01c41b9, 0x22b657c, 0x1eba5a,
]);
/** G, its y behind its x, and z = 1. */
// prettier-ignore
const generator: usize = memory.data<u32>([
  0x2f81798, 0x0a056c5, 0x28d959f, 0x36cb738, 0x3029bfc, 0x3a1c2c1, 0x206295c, 0x2eeb156, 0x27ef9dc, 0x1e6f99,
  0x310d4b8, 0x1f423fe, 0x14199c4, 0x1229a15, 0x0fd17b4, 0x384422a, 0x24fbfc0, 0x3119576, 0x27726a3, 0x120eb6,
  1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);

/*
 * Splitting (Guide to Elliptic Curve Cryptography, algorithm 3.74): with the short vectors (a1, b1), (a2, b2)
 * of the lattice, c1 = b2 k / n and c2 = -b1 k / n, rounded; then k = k1 + k2 λ for k1 = k - c1 a1 - c2 a2
 * and k2 = -c1 b1 - c2 b2, of at most 128 bits each. g1, g2 are b2 and -b1 times 2^384 / n; b2 = a1.
 */
// prettier-ignore
const g1: usize = memory.data<u64>([
  0xe893209a45dbb031, 0x3daa8a1471e8ca7f, 0xe86c90e49284eb15, 0x3086d221a7d46bcd,
]);
// prettier-ignore
const g2: usize = memory.data<u64>([
  0x1571b4ae8ac47f71, 0x221208ac9df506c6, 0x6f547fa90abfe4c4, 0xe4437ed6010e8828,
]);
const a1: usize = memory.data<u64>([0xe86c90e49284eb15, 0x3086d221a7d46bcd, 0, 0]);
const minusB1: usize = memory.data<u64>([0x6f547fa90abfe4c3, 0xe4437ed6010e8828, 0, 0]);
const a2: usize = memory.data<u64>([0x57c1108d9d44cfd8, 0x14ca50f7a8e2f3f6, 1, 0]);

const rWord: usize = memory.data(32, 8);
const sWord: usize = memory.data(32, 8);
const zWord: usize = memory.data(32, 8);
const uWord: usize = memory.data(32, 8);
const vWord: usize = memory.data(32, 8);
const point: usize = memory.data(120, 8);
const sum: usize = memory.data(120, 8);
const scratch: usize = memory.data(32, 8);
/** Tables of G, λG, P and λP, and the digits of their factors, the least significant first. */
const tables: usize = memory.data(3840, 8);
const digits: usize = memory.data(544, 8);

export class Secp256k1 {
  /**
   * Writes the public key whose signature (r, s) of `hash` this is, of the two that there may be the one that
   * belongs to a point with odd or even y. False if there is none, or r or s is not from 1 to n - 1.
   */
  static recover(target: usize, hash: usize, r: usize, s: usize, isOdd: bool): bool {
    if (!readSignature(hash, r, s) || !pointOf(rWord, isOdd)) return false;
    // (s P - z G) / r
    invertScalar(scratch, rWord);
    multiplyScalars(vWord, sWord, scratch);
    multiplyScalars(uWord, zWord, scratch);
    if (!U256.isZero(uWord)) U256.subtract(uWord, scalars, uWord);
    return combine(uWord, vWord) && writePoint(target);
  }

  /** Whether (r, s) is a signature of `hash` by that public key. */
  static verify(hash: usize, r: usize, s: usize, publicKey: usize): bool {
    if (!readSignature(hash, r, s) || !readPoint(publicKey)) return false;
    invertScalar(scratch, sWord);
    multiplyScalars(uWord, zWord, scratch);
    multiplyScalars(vWord, rWord, scratch);
    if (!combine(uWord, vWord)) return false;
    toAffine();
    field.toWord(uWord, sum);
    if (!U256.lessThan(uWord, scalars)) U256.subtract(uWord, uWord, scalars);
    return U256.equals(uWord, rWord);
  }

  /** Whether s is at most half the order: of the two signatures there are, chains take only that one. */
  static isLow(s: usize): bool {
    describeScalars();
    U256.fromBigEndian(sWord, s);
    U256.shiftRight(scratch, scalars, 1);
    return !U256.lessThan(scratch, sWord);
  }
}

// ---- scalars ----------------------------------------------------------------------------------------------

function describeScalars(): void {
  if (load<u64>(scalars)) return;
  U256.copy(scalars, orderWords);
  Montgomery.describe(scalars);
}

function readSignature(hash: usize, r: usize, s: usize): bool {
  describeScalars();
  U256.fromBigEndian(rWord, r);
  U256.fromBigEndian(sWord, s);
  U256.fromBigEndian(zWord, hash);
  if (!U256.lessThan(zWord, scalars)) U256.subtract(zWord, zWord, scalars);
  return isScalar(rWord) && isScalar(sWord);
}

function isScalar(word: usize): bool {
  return !U256.isZero(word) && U256.lessThan(word, scalars);
}

/** target = a * b, plain integers. */
function multiplyScalars(target: usize, a: usize, b: usize): void {
  Montgomery.enter(target, a, scalars);
  Montgomery.multiply(target, target, b, scalars);
}

function invertScalar(target: usize, a: usize): void {
  Montgomery.enter(target, a, scalars);
  Montgomery.invert(target, target, scalars);
  Montgomery.leave(target, target, scalars);
}

const c1: usize = memory.data(32, 8);
const c2: usize = memory.data(32, 8);
const half: usize = memory.data(32, 8);
const long: usize = memory.data(64, 8);

/** target = a * g / 2^384, rounded. */
function roundedShare(target: usize, a: usize, g: usize): void {
  memory.fill(long, 0, 64);
  for (let i: usize = 0; i < 32; i += 4) {
    const digit = <u64>load<u32>(a + i);
    let carry: u64 = 0;
    for (let j: usize = 0; j < 32; j += 4) {
      const part = digit * <u64>load<u32>(g + j) + <u64>load<u32>(long + i + j) + carry;
      store<u32>(long + i + j, <u32>part);
      carry = part >> 32;
    }
    store<u32>(long + i + 32, <u32>carry);
  }
  U256.set(target, load<u64>(long, 48), load<u64>(long, 56));
  U256.addU64(target, target, load<u64>(long, 40) >> 63);
}

/** Writes the digits of both halves of a factor, for the tables of a point and of λ times it. */
function split(factor: usize, first: usize): void {
  roundedShare(c1, factor, g1);
  roundedShare(c2, factor, g2);
  U256.multiply(half, c1, a1);
  U256.subtract(half, factor, half);
  U256.multiply(scratch, c2, a2);
  U256.subtract(half, half, scratch);
  writeHalf(first, half);
  U256.multiply(half, c1, minusB1);
  U256.multiply(scratch, c2, a1);
  U256.subtract(half, half, scratch);
  writeHalf(first + DIGITS, half);
}

/** Of a number of at most 128 bits, negative ones as two's complement. */
function writeHalf(target: usize, number: usize): void {
  const negative = load<i64>(number, 24) < 0;
  if (negative) {
    U256.set(scratch, 0);
    U256.subtract(number, scratch, number);
  }
  writeDigits(target, DIGITS, number, negative);
}

// ---- points -----------------------------------------------------------------------------------------------

const right: usize = memory.data(40, 8);

/** Sets `point` to that of this x, with odd or even y; false if there is none. */
function pointOf(x: usize, isOdd: bool): bool {
  if (!field.fromWord(point, x)) return false;
  curve(right, point);
  if (!field.squareRoot(point + Y, right)) return false;
  field.normalize(point + Y);
  if (field.isOdd(point + Y) != isOdd) negate(point + Y);
  field.setSmall(point + Z, 1);
  return true;
}

/** Sets `point` to a public key; false if it is not on the curve. */
function readPoint(publicKey: usize): bool {
  U256.fromBigEndian(scratch, publicKey);
  if (!field.fromWord(point, scratch)) return false;
  U256.fromBigEndian(scratch, publicKey + 32);
  if (!field.fromWord(point + Y, scratch)) return false;
  field.setSmall(point + Z, 1);
  curve(right, point);
  field.square(m, point + Y);
  field.subtract(m, m, right);
  return field.isZero(m);
}

/** target = x³ + 7. */
function curve(target: usize, x: usize): void {
  field.square(target, x);
  field.multiply(target, target, x);
  field.setSmall(m, 7);
  field.add(target, target, m);
}

function negate(y: usize): void {
  field.setSmall(m, 0);
  field.subtract(y, m, y);
  field.normalize(y);
}

/** sum = u * G + v * point; false if that is the point at infinity. */
function combine(u: usize, v: usize): bool {
  split(u, digits);
  split(v, digits + 2 * DIGITS);
  makeTables(tables, generator);
  makeTables(tables + 2 * TABLE, point);
  memory.fill(sum, 0, POINT);
  for (let place: isize = <isize>DIGITS - 1; place >= 0; place--) {
    double(sum);
    for (let i: usize = 0; i < 4; i++) {
      const digit = load<i8>(digits + i * DIGITS + place);
      if (digit) addMultiple(tables + i * TABLE, digit);
    }
  }
  return !field.isZero(sum + Z);
}

/** The odd multiples of a point, and behind them those of λ times it. */
function makeTables(table: usize, source: usize): void {
  memory.copy(table, source, POINT);
  memory.copy(twice, source, POINT);
  double(twice);
  for (let i: u32 = 1; i < MULTIPLES; i++) {
    const next = table + <usize>i * POINT;
    memory.copy(next, next - POINT, POINT);
    addPoint(next, twice);
  }
  memory.copy(table + TABLE, table, TABLE);
  for (let at = table + TABLE; at < table + 2 * TABLE; at += POINT) field.multiply(at, at, beta);
}

const twice: usize = memory.data(120, 8);
const negative: usize = memory.data(120, 8);

function addMultiple(table: usize, digit: i32): void {
  if (digit > 0) return addPoint(sum, table + <usize>(digit >> 1) * POINT);
  memory.copy(negative, table + <usize>(-digit >> 1) * POINT, POINT);
  field.setSmall(m, 0);
  field.subtract(negative + Y, m, negative + Y);
  addPoint(sum, negative);
}

const m: usize = memory.data(40, 8);
const t1: usize = memory.data(40, 8);
const t2: usize = memory.data(40, 8);
const t3: usize = memory.data(40, 8);
const t4: usize = memory.data(40, 8);
const t5: usize = memory.data(40, 8);
const t6: usize = memory.data(40, 8);

/** p = 2 p (dbl-2009-l of the Explicit-Formulas Database, for curves with a = 0). */
function double(p: usize): void {
  field.square(t1, p);
  field.square(t2, p + Y);
  field.square(t3, t2);
  field.add(t4, p, t2);
  field.square(t4, t4);
  field.subtract(t4, t4, t1);
  field.subtract(t4, t4, t3);
  field.add(t4, t4, t4);
  field.multiplySmall(t1, t1, 3);
  field.multiply(p + Z, p + Y, p + Z);
  field.add(p + Z, p + Z, p + Z);
  field.square(p, t1);
  field.subtract(p, p, t4);
  field.subtract(p, p, t4);
  field.subtract(t4, t4, p);
  field.multiply(p + Y, t1, t4);
  field.multiplySmall(t3, t3, 8);
  field.subtract(p + Y, p + Y, t3);
}

/** p = p + q (add-1998-cmo-2), with the cases in which that is no sum of two different points. */
function addPoint(p: usize, q: usize): void {
  if (isInfinite(q)) return;
  if (isInfinite(p)) {
    memory.copy(p, q, POINT);
    return;
  }
  field.square(t1, p + Z);
  field.square(t2, q + Z);
  field.multiply(t3, p, t2);
  field.multiply(t4, q, t1);
  field.subtract(t4, t4, t3);
  field.multiply(t5, p + Y, q + Z);
  field.multiply(t5, t5, t2);
  field.multiply(t6, q + Y, p + Z);
  field.multiply(t6, t6, t1);
  field.subtract(t6, t6, t5);
  if (field.isZero(t4)) {
    if (field.isZero(t6)) return double(p);
    memory.fill(p, 0, POINT);
    return;
  }
  field.multiply(p + Z, p + Z, q + Z);
  field.multiply(p + Z, p + Z, t4);
  field.square(t1, t4);
  field.multiply(t2, t1, t4);
  field.multiply(t3, t3, t1);
  field.square(p, t6);
  field.subtract(p, p, t2);
  field.subtract(p, p, t3);
  field.subtract(p, p, t3);
  field.subtract(t3, t3, p);
  field.multiply(t3, t6, t3);
  field.multiply(t5, t5, t2);
  field.subtract(p + Y, t3, t5);
}

function isInfinite(p: usize): bool {
  let bits: u64 = 0;
  for (let i: usize = 0; i < 40; i += 8) bits |= load<u64>(p + Z + i);
  return bits == 0;
}

/** Makes z of `sum` 1. */
function toAffine(): void {
  field.invert(t1, sum + Z);
  field.square(t2, t1);
  field.multiply(sum, sum, t2);
  field.multiply(t2, t2, t1);
  field.multiply(sum + Y, sum + Y, t2);
}

function writePoint(target: usize): bool {
  toAffine();
  field.toWord(scratch, sum);
  U256.toBigEndian(target, scratch);
  field.toWord(scratch, sum + Y);
  U256.toBigEndian(target + 32, scratch);
  return true;
}
