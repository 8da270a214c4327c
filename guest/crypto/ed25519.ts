/**
 * Ed25519 (RFC 8032): verifying signatures over the curve -x² + y² = 1 + d x² y² modulo p = 2^255 - 19.
 *
 *   if (Ed25519.verify(signature, message, length, publicKey)) …
 *
 * RFC 8032 leaves open what becomes of keys and signatures that no honest signer makes, and libraries differ.
 * Here it is what ZIP 215 says, whose answer does not depend on whether signatures are verified alone or in a
 * batch: s is below the order, R and the key may be any encodings of points, and 8 s B = 8 R + 8 k A.
 *
 * Points are (X / Z, Y / Z) with T = X Y / Z (Hisil, Wong, Carter and Dawson, 2008). Their sum has no special
 * cases. About 4.2 million gas, and 5,700 for each 128 bytes of the message.
 */

import { U256 } from "../u256.ts";
import { MULTIPLES, writeDigits } from "./digits.ts";
import { Montgomery, ONE } from "./montgomery.ts";
import { Sha512 } from "./sha512.ts";

/** Where coordinates lie in a point. */
const Y: usize = 32;
const Z: usize = 64;
const T: usize = 96;
const POINT: usize = 128;
const DIGITS: usize = 260;
const PLACES: isize = 256;
const SIGN: u64 = 1 << 63;

/** p and the order of B, as montgomery.ts describes them; their first words are constants. */
const field: usize = memory.data(104, 8);
const scalars: usize = memory.data(104, 8);
// prettier-ignore
const prime: usize = memory.data<u64>([
  0xffffffffffffffed, 0xffffffffffffffff, 0xffffffffffffffff, 0x7fffffffffffffff,
]);
const order: usize = memory.data<u64>([0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 0x1000000000000000]);
/** (p - 5) / 8. */
// prettier-ignore
const rootExponent: usize = memory.data<u64>([
  0xfffffffffffffffd, 0xffffffffffffffff, 0xffffffffffffffff, 0x0fffffffffffffff,
]);
/** d, a root of -1, and x and y of B; `prepare` brings them into Montgomery's form. */
// prettier-ignore
const plain: usize = memory.data<u64>([
  0x75eb4dca135978a3, 0x00700a4d4141d8ab, 0x8cc740797779e898, 0x52036cee2b6ffe73, 0xc4ee1b274a0ea0b0,
  0x2f431806ad2fe478, 0x2b4d00993dfbd7a7, 0x2b8324804fc1df0b, 0xc9562d608f25d51a, 0x692cc7609525a7b2,
  0xc0a4e231fdd6dc5c, 0x216936d3cd6e53fe, 0x6666666666666658, 0x6666666666666666, 0x6666666666666666,
  0x6666666666666666,
]);
const d: usize = memory.data(32, 8);
const twiceD: usize = memory.data(32, 8);
const root: usize = memory.data(32, 8);
const generator: usize = memory.data(128, 8);

const hashState: usize = memory.data(200, 8);
const hashed: usize = memory.data(64, 8);
const s: usize = memory.data(32, 8);
const k: usize = memory.data(32, 8);
const key: usize = memory.data(128, 8);
const commitment: usize = memory.data(128, 8);
const sum: usize = memory.data(128, 8);
/** Odd multiples of B and of the key, and the digits of their factors. */
const tables: usize = memory.data(2048, 8);
const digits: usize = memory.data(520, 8);

export class Ed25519 {
  /** Whether the 64 bytes at `signature` are one of the message by that public key, 32 bytes. */
  static verify(signature: usize, message: usize, length: u32, publicKey: usize): bool {
    prepare();
    memory.copy(s, signature + 32, 32);
    if (!U256.lessThan(s, scalars)) return false;
    if (!readPoint(key, publicKey) || !readPoint(commitment, signature)) return false;
    Sha512.begin(hashState);
    Sha512.update(hashState, signature, 32);
    Sha512.update(hashState, publicKey, 32);
    Sha512.update(hashState, message, length);
    Sha512.end(hashState, hashed);
    reduce(k, hashed);
    negate(key);
    negate(commitment);
    combine();
    addPoint(sum, commitment);
    for (let i = 0; i < 3; i++) double(sum);
    return U256.isZero(sum) && U256.equals(sum + Y, sum + Z);
  }
}

function prepare(): void {
  if (load<u64>(field)) return;
  U256.copy(field, prime);
  U256.copy(scalars, order);
  Montgomery.describe(field);
  Montgomery.describe(scalars);
  Montgomery.enter(d, plain, field);
  Montgomery.add(twiceD, d, d, field);
  Montgomery.enter(root, plain + 32, field);
  Montgomery.enter(generator, plain + 64, field);
  Montgomery.enter(generator + Y, plain + 96, field);
  complete(generator);
}

/** target = 64 bytes as a number, the least significant first, modulo the order. */
function reduce(target: usize, bytes: usize): void {
  const low = t1;
  Montgomery.enter(low, bytes, scalars);
  Montgomery.leave(low, low, scalars);
  // Entering multiplies by 2^256.
  Montgomery.enter(target, bytes + 32, scalars);
  Montgomery.add(target, target, low, scalars);
}

// ---- points -----------------------------------------------------------------------------------------------

/** Sets Z and T of a point of which X and Y are there. */
function complete(point: usize): void {
  U256.copy(point + Z, field + ONE);
  multiply(point + T, point, point + Y);
}

/** The point that 32 bytes encode: y, and above it whether x is odd. False if there is none. */
function readPoint(point: usize, bytes: usize): bool {
  memory.copy(t1, bytes, 32);
  const odd = (load<u64>(t1, 24) & SIGN) != 0;
  store<u64>(t1, load<u64>(t1, 24) & ~SIGN, 24);
  const y = point + Y;
  Montgomery.enter(y, t1, field);
  // x² = u / v
  const u = t1;
  const v = t2;
  multiply(t3, y, y);
  Montgomery.subtract(u, t3, field + ONE, field);
  multiply(v, t3, d);
  Montgomery.add(v, v, field + ONE, field);
  // x = u v³ (u v⁷)^((p - 5) / 8), or that times the root of -1
  multiply(t3, v, v);
  multiply(t3, t3, v);
  multiply(t4, t3, t3);
  multiply(t4, t4, v);
  multiply(t4, t4, u);
  Montgomery.power(t4, t4, rootExponent, field);
  multiply(t4, t4, t3);
  multiply(point, t4, u);
  multiply(t3, point, point);
  multiply(t3, t3, v);
  if (!U256.equals(t3, u)) {
    Montgomery.add(t3, t3, u, field);
    if (!U256.isZero(t3)) return false;
    multiply(point, point, root);
  }
  Montgomery.leave(t3, point, field);
  if (((load<u64>(t3) & 1) != 0) != odd) negateNumber(point);
  complete(point);
  return true;
}

function negateNumber(number: usize): void {
  U256.set(t5, 0);
  Montgomery.subtract(number, t5, number, field);
}

function negate(point: usize): void {
  negateNumber(point);
  negateNumber(point + T);
}

/** sum = s B + k key. */
function combine(): void {
  writeDigits(digits, DIGITS, s, false);
  writeDigits(digits + DIGITS, DIGITS, k, false);
  makeTable(tables, generator);
  makeTable(tables + <usize>MULTIPLES * POINT, key);
  memory.fill(sum, 0, POINT);
  U256.copy(sum + Y, field + ONE);
  U256.copy(sum + Z, field + ONE);
  for (let place = PLACES; place >= 0; place--) {
    double(sum);
    addMultiple(tables, load<i8>(digits + place));
    addMultiple(tables + <usize>MULTIPLES * POINT, load<i8>(digits + DIGITS + place));
  }
}

function makeTable(table: usize, point: usize): void {
  memory.copy(table, point, POINT);
  memory.copy(other, point, POINT);
  double(other);
  for (let i: u32 = 1; i < MULTIPLES; i++) {
    const next = table + <usize>i * POINT;
    memory.copy(next, next - POINT, POINT);
    addPoint(next, other);
  }
}

function addMultiple(table: usize, digit: i32): void {
  if (!digit) return;
  if (digit > 0) return addPoint(sum, table + <usize>(digit >> 1) * POINT);
  memory.copy(other, table + <usize>(-digit >> 1) * POINT, POINT);
  negate(other);
  addPoint(sum, other);
}

const other: usize = memory.data(128, 8);
const t1: usize = memory.data(32, 8);
const t2: usize = memory.data(32, 8);
const t3: usize = memory.data(32, 8);
const t4: usize = memory.data(32, 8);
const t5: usize = memory.data(32, 8);
const t6: usize = memory.data(32, 8);

function multiply(target: usize, a: usize, b: usize): void {
  Montgomery.multiply(target, a, b, field);
}

/** p = p + q (add-2008-hwcd-3 of the Explicit-Formulas Database). */
function addPoint(p: usize, q: usize): void {
  Montgomery.subtract(t1, p + Y, p, field);
  Montgomery.subtract(t2, q + Y, q, field);
  multiply(t1, t1, t2);
  Montgomery.add(t2, p + Y, p, field);
  Montgomery.add(t3, q + Y, q, field);
  multiply(t2, t2, t3);
  multiply(t3, p + T, twiceD);
  multiply(t3, t3, q + T);
  multiply(t4, p + Z, q + Z);
  Montgomery.add(t4, t4, t4, field);
  Montgomery.subtract(t5, t2, t1, field);
  Montgomery.subtract(t6, t4, t3, field);
  Montgomery.add(t4, t4, t3, field);
  Montgomery.add(t2, t2, t1, field);
  product(p);
}

/** p = 2 p (dbl-2008-hwcd, for a = -1). */
function double(p: usize): void {
  multiply(t1, p, p);
  multiply(t2, p + Y, p + Y);
  multiply(t3, p + Z, p + Z);
  Montgomery.add(t3, t3, t3, field);
  Montgomery.add(t5, p, p + Y, field);
  multiply(t5, t5, t5);
  Montgomery.subtract(t5, t5, t1, field);
  Montgomery.subtract(t5, t5, t2, field);
  Montgomery.subtract(t4, t2, t1, field);
  Montgomery.subtract(t6, t4, t3, field);
  Montgomery.add(t2, t1, t2, field);
  U256.set(t3, 0);
  Montgomery.subtract(t2, t3, t2, field);
  product(p);
}

/** The end of both: E, F, G and H of the formulas are t5, t6, t4 and t2. */
function product(p: usize): void {
  multiply(p, t5, t6);
  multiply(p + Y, t4, t2);
  multiply(p + T, t5, t2);
  multiply(p + Z, t6, t4);
}
