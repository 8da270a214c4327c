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
 * those of v from -15 to 15, a sixth of them not zero. About 1,350,000 gas, or 1,000,000 after `prepare`.
 */

import { U256 } from "../u256.ts";
import { MULTIPLES, WIDTH, writeDigits } from "./digits.ts";
import { Montgomery, FIELD_BYTES as SCALARS_BYTES } from "./montgomery.ts";
import * as field from "./secp256k1-field.ts";

/**
 * Where coordinates lie in a point (x / z², y / z³); z = 0: the point at infinity. Magnitudes are at most 6,
 * 4 and 2.
 */
const Y: usize = 40;
const Z: usize = 80;
const POINT: usize = 120;

/** Where coordinates lie in an entry of a table, a point (x, y): βx is the x of λ times it. */
const BETA_X: usize = 80;
const ENTRY: usize = 120;

/** Digits of half a factor. */
const PLACES: u32 = 129;
const DIGITS: usize = 136;

/** Digits of G's factors, and odd multiples of G, once `prepare` was called. */
const PREPARED_WIDTH: u32 = 8;
const PREPARED_MULTIPLES: u32 = 64;

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
/** G, its y behind its x. */
// prettier-ignore
const generator: usize = memory.data<u32>([
  0x2f81798, 0x0a056c5, 0x28d959f, 0x36cb738, 0x3029bfc, 0x3a1c2c1, 0x206295c, 0x2eeb156, 0x27ef9dc, 0x1e6f99,
  0x310d4b8, 0x1f423fe, 0x14199c4, 0x1229a15, 0x0fd17b4, 0x384422a, 0x24fbfc0, 0x3119576, 0x27726a3, 0x120eb6,
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
/** Odd multiples of G, and how many there are and the width of its digits: 0 until they are needed. */
const generatorTable: usize = memory.data(7680, 8);
let generatorMultiples: u32 = 0;
let generatorWidth: u32 = 0;
/** Odd multiples of P, as `makeTable` leaves them, and their z. */
const table: usize = memory.data(960, 8);
const tableZ: usize = memory.data(40, 8);
/** Of both halves of the factors of G and P, the least significant first. */
const digits: usize = memory.data(544, 8);

export class Secp256k1 {
  /**
   * Makes a large table of G, which stays for all that follows. In an item of a batch it would be gone with
   * the item: call it before, from the entry that returns the inbox's address, for example.
   */
  static prepare(): void {
    describeScalars();
    makeGeneratorTable(PREPARED_MULTIPLES, PREPARED_WIDTH);
  }

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

/** Writes the digits of both halves of a factor: for a point, and for λ times it. */
function split(factor: usize, first: usize, width: u32): void {
  roundedShare(c1, factor, g1);
  roundedShare(c2, factor, g2);
  U256.multiply(half, c1, a1);
  U256.subtract(half, factor, half);
  U256.multiply(scratch, c2, a2);
  U256.subtract(half, half, scratch);
  writeHalf(first, half, width);
  U256.multiply(half, c1, minusB1);
  U256.multiply(scratch, c2, a1);
  U256.subtract(half, half, scratch);
  writeHalf(first + DIGITS, half, width);
}

/** Of a number of at most 128 bits, negative ones as two's complement. */
function writeHalf(target: usize, number: usize, width: u32): void {
  const negative = load<i64>(number, 24) < 0;
  if (negative) {
    U256.set(scratch, 0);
    U256.subtract(number, scratch, number);
  }
  writeDigits(target, PLACES, number, negative, width);
}

// ---- points -----------------------------------------------------------------------------------------------

const right: usize = memory.data(40, 8);

/** Sets `point` to that of this x, with odd or even y; false if there is none. */
function pointOf(x: usize, isOdd: bool): bool {
  if (!field.fromWord(point, x)) return false;
  curve(right, point);
  if (!field.squareRoot(point + Y, right)) return false;
  field.normalize(point + Y);
  if (field.isOdd(point + Y) == isOdd) return true;
  field.negate(point + Y, point + Y, 1);
  field.normalize(point + Y);
  return true;
}

/** Sets `point` to a public key; false if it is not on the curve. */
function readPoint(publicKey: usize): bool {
  U256.fromBigEndian(scratch, publicKey);
  if (!field.fromWord(point, scratch)) return false;
  U256.fromBigEndian(scratch, publicKey + 32);
  if (!field.fromWord(point + Y, scratch)) return false;
  curve(right, point);
  field.square(t1, point + Y);
  field.subtract(t1, t1, right, 2);
  return field.isZero(t1);
}

/** target = x³ + 7, of magnitude 2. */
function curve(target: usize, x: usize): void {
  field.square(target, x);
  field.multiply(target, target, x);
  field.setSmall(t1, 7);
  field.add(target, target, t1);
}

/**
 * sum = u * G + v * point; false if that is the point at infinity. P's table is of points on another curve,
 * to which (x, y) goes as (x z², y z³) for its z: there they need no z of their own. The sum is made on that
 * curve, and comes back at the end (Meloni; libsecp256k1 does the same).
 */
function combine(u: usize, v: usize): bool {
  if (!generatorMultiples) makeGeneratorTable(MULTIPLES, WIDTH);
  split(u, digits, generatorWidth);
  split(v, digits + 2 * DIGITS, WIDTH);
  makeTable(table, point, MULTIPLES);
  field.copy(tableZ, lastZ);
  memory.fill(sum, 0, POINT);
  for (let place: isize = <isize>PLACES - 1; place >= 0; place--) {
    if (!isInfinite(sum)) double(sum);
    const at = digits + place;
    addMultiple(generatorTable, load<i8>(at), 0, tableZ);
    addMultiple(generatorTable, load<i8>(at, DIGITS), BETA_X, tableZ);
    addMultiple(table, load<i8>(at, 2 * DIGITS), 0, 0);
    addMultiple(table, load<i8>(at, 3 * DIGITS), BETA_X, 0);
  }
  field.multiply(sum + Z, sum + Z, tableZ);
  return !field.isZero(sum + Z);
}

/** Adds an odd multiple from a table; see addEntry for z. */
function addMultiple(entries: usize, digit: i32, x: usize, z: usize): void {
  if (!digit) return;
  const entry = entries + <usize>((digit < 0 ? -digit : digit) >> 1) * ENTRY;
  addEntry(sum, entry + x, entry + Y, digit < 0, z);
}

/** z of the last entry that `makeTable` made, and what each entry's is of the one before. */
const lastZ: usize = memory.data(40, 8);
const ratios: usize = memory.data(2560, 8);
const multiple: usize = memory.data(120, 8);
const twice: usize = memory.data(120, 8);

/** The odd multiples of a point, all with the z that `lastZ` has then. */
function makeTable(entries: usize, source: usize, count: u32): void {
  memory.copy(twice, source, 2 * field.FIELD_BYTES);
  field.setSmall(twice + Z, 1);
  double(twice);
  // On the curve on which the double has z = 1.
  field.copy(lastZ, twice + Z);
  memory.copy(entries, source, 2 * field.FIELD_BYTES);
  scale(entries, lastZ);
  memory.copy(multiple, entries, 2 * field.FIELD_BYTES);
  field.setSmall(multiple + Z, 1);
  for (let i: usize = 1; i < <usize>count; i++) {
    addEntry(multiple, twice, twice + Y, false, 0);
    field.copy(ratios + i * field.FIELD_BYTES, difference);
    memory.copy(entries + i * ENTRY, multiple, 2 * field.FIELD_BYTES);
  }
  field.multiply(lastZ, lastZ, multiple + Z);
  // From the last one down: each is brought to the z of the last.
  field.setSmall(t6, 1);
  for (let i: usize = <usize>count - 1; i > 0; i--) {
    field.multiply(t6, t6, ratios + i * field.FIELD_BYTES);
    scale(entries + (i - 1) * ENTRY, t6);
  }
  for (let i: usize = 0; i < <usize>count; i++) {
    const entry = entries + i * ENTRY;
    field.multiply(entry + BETA_X, entry, beta);
  }
  // Magnitudes of the last one's x and y come from the sum; an entry's are 1.
  const last = entries + <usize>(count - 1) * ENTRY;
  field.normalize(last);
  field.normalize(last + Y);
}

/** (x, y) becomes (x z², y z³). */
function scale(entry: usize, z: usize): void {
  field.square(t1, z);
  field.multiply(entry, entry, t1);
  field.multiply(t1, t1, z);
  field.multiply(entry + Y, entry + Y, t1);
}

function makeGeneratorTable(count: u32, width: u32): void {
  makeTable(generatorTable, generator, count);
  field.invert(lastZ, lastZ);
  for (let i: usize = 0; i < <usize>count; i++) {
    const entry = generatorTable + i * ENTRY;
    scale(entry, lastZ);
    field.multiply(entry + BETA_X, entry, beta);
  }
  generatorMultiples = count;
  generatorWidth = width;
}

const t1: usize = memory.data(40, 8);
const t2: usize = memory.data(40, 8);
const t3: usize = memory.data(40, 8);
const t4: usize = memory.data(40, 8);
const t5: usize = memory.data(40, 8);
const t6: usize = memory.data(40, 8);
/** Of two x, as `addEntry` leaves it: what z was multiplied by. */
const difference: usize = memory.data(40, 8);

// Magnitudes stand behind the lines.

/** p = 2 p, not at infinity (dbl-2007-a of the Explicit-Formulas Database, for curves with a = 0). */
function double(p: usize): void {
  field.multiply(p + Z, p + Y, p + Z);
  field.add(p + Z, p + Z, p + Z); //            2
  field.square(t1, p);
  field.multiplySmall(t1, t1, 3); //            3: 3 x²
  field.square(t2, t1); //                      1: 9 x⁴
  field.square(t3, p + Y);
  field.add(t3, t3, t3); //                     2: 2 y²
  field.square(t4, t3);
  field.add(t4, t4, t4); //                     2: 8 y⁴
  field.multiply(t3, t3, p); //                 1: 2 x y²
  field.multiplySmall(t5, t3, 4);
  field.subtract(p, t2, t5, 4); //              6
  field.multiplySmall(t3, t3, 6);
  field.subtract(t3, t3, t2, 1); //             8: 12 x y² - 9 x⁴
  field.multiply(p + Y, t1, t3);
  field.subtract(p + Y, p + Y, t4, 2); //       4
}

/**
 * p = p + (x, y), or minus that, for an entry's x and y. Where z is not 0, p stands on the curve of that z
 * (see combine), and the entry does not. With the cases in which that is no sum of two different points.
 */
function addEntry(p: usize, x: usize, y: usize, isNegative: bool, z: usize): void {
  if (isInfinite(p)) return setEntry(p, x, y, isNegative, z);
  let zOfSum = p + Z;
  if (z) {
    field.multiply(t4, p + Z, z);
    zOfSum = t4;
  }
  field.square(t1, zOfSum);
  field.multiply(t2, x, t1);
  field.subtract(difference, t2, p, 6); //      8
  field.multiply(t1, t1, zOfSum);
  field.multiply(t1, y, t1);
  if (isNegative) field.negate(t1, t1, 1);
  field.subtract(t5, t1, p + Y, 4); //          7
  if (field.isZero(difference)) {
    if (field.isZero(t5)) return double(p);
    memory.fill(p, 0, POINT);
    return;
  }
  field.multiply(p + Z, p + Z, difference);
  field.square(t1, difference);
  field.multiply(t2, t1, difference);
  field.multiply(t3, p, t1);
  field.square(t1, t5);
  field.subtract(t1, t1, t2, 1); //             3
  field.add(t4, t3, t3);
  field.subtract(p, t1, t4, 2); //              6
  field.subtract(t3, t3, p, 6); //              8
  field.multiply(t3, t3, t5);
  field.multiply(t2, t2, p + Y);
  field.subtract(p + Y, t3, t2, 1); //          3
}

function setEntry(p: usize, x: usize, y: usize, isNegative: bool, z: usize): void {
  field.copy(p, x);
  field.copy(p + Y, y);
  if (z) scale(p, z);
  if (isNegative) field.negate(p + Y, p + Y, 1);
  field.setSmall(p + Z, 1);
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
