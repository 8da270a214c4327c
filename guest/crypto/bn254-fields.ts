/**
 * The fields below the pairing of bn254.ts: integers modulo p in Montgomery's form (montgomery.ts), and a +
 * bi with i² = -1 over them, b behind a. Targets may overlap operands.
 */

import { U256 } from "../u256.ts";
import { Montgomery } from "./montgomery.ts";

export const FP: usize = 32;
export const FP2: usize = 64;

// prettier-ignore
const modulus: usize = memory.data<u64>([
  0x3c208c16d87cfd47, 0x97816a916871ca8d, 0xb85045b68181585d, 0x30644e72e131a029,
]);
/** p, as montgomery.ts describes it. */
export const field: usize = memory.data(104, 8);

const t0: usize = memory.data(32, 8);
const t1: usize = memory.data(32, 8);
const t2: usize = memory.data(32, 8);
const t3: usize = memory.data(32, 8);

/** Fills in what the arithmetic needs; before anything else. */
export function describeField(): void {
  if (load<u64>(field)) return;
  U256.copy(field, modulus);
  Montgomery.describe(field);
}

export class Fp {
  @inline
  static multiply(target: usize, a: usize, b: usize): void {
    Montgomery.multiply(target, a, b, field);
  }

  @inline
  static add(target: usize, a: usize, b: usize): void {
    Montgomery.add(target, a, b, field);
  }

  @inline
  static subtract(target: usize, a: usize, b: usize): void {
    Montgomery.subtract(target, a, b, field);
  }

  static negate(target: usize, a: usize): void {
    if (U256.isZero(a)) U256.set(target, 0);
    else U256.subtract(target, field, a);
  }

  /** From 32 bytes; false if they are no number below p. */
  static read(target: usize, bytes: usize): bool {
    U256.fromBigEndian(target, bytes);
    if (!U256.lessThan(target, field)) return false;
    Montgomery.enter(target, target, field);
    return true;
  }

  static write(bytes: usize, a: usize): void {
    Montgomery.leave(t0, a, field);
    U256.toBigEndian(bytes, t0);
  }

  static invert(target: usize, a: usize): void {
    Montgomery.invert(target, a, field);
  }
}

export class Fp2 {
  @inline
  static copy(target: usize, a: usize): void {
    memory.copy(target, a, FP2);
  }

  static isZero(a: usize): bool {
    return U256.isZero(a) && U256.isZero(a + FP);
  }

  static equals(a: usize, b: usize): bool {
    return U256.equals(a, b) && U256.equals(a + FP, b + FP);
  }

  static add(target: usize, a: usize, b: usize): void {
    Fp.add(target, a, b);
    Fp.add(target + FP, a + FP, b + FP);
  }

  static subtract(target: usize, a: usize, b: usize): void {
    Fp.subtract(target, a, b);
    Fp.subtract(target + FP, a + FP, b + FP);
  }

  static negate(target: usize, a: usize): void {
    Fp.negate(target, a);
    Fp.negate(target + FP, a + FP);
  }

  /** a - bi: what Frobenius makes of it. */
  static conjugate(target: usize, a: usize): void {
    U256.copy(target, a);
    Fp.negate(target + FP, a + FP);
  }

  /** Three products (Karatsuba). */
  static multiply(target: usize, a: usize, b: usize): void {
    Fp.multiply(t0, a, b);
    Fp.multiply(t1, a + FP, b + FP);
    Fp.add(t2, a, a + FP);
    Fp.add(t3, b, b + FP);
    Fp.multiply(t2, t2, t3);
    Fp.subtract(target, t0, t1);
    Fp.subtract(t2, t2, t0);
    Fp.subtract(target + FP, t2, t1);
  }

  /** (a + b)(a - b) + 2abi. */
  static square(target: usize, a: usize): void {
    Fp.add(t0, a, a + FP);
    Fp.subtract(t1, a, a + FP);
    Fp.multiply(t2, a, a + FP);
    Fp.multiply(target, t0, t1);
    Fp.add(target + FP, t2, t2);
  }

  /** By a number without i. */
  static scale(target: usize, a: usize, by: usize): void {
    Fp.multiply(target, a, by);
    Fp.multiply(target + FP, a + FP, by);
  }

  /** By 9 + i, from which the fields above are made. */
  static multiplyByXi(target: usize, a: usize): void {
    times9(t0, a);
    times9(t1, a + FP);
    Fp.subtract(t0, t0, a + FP);
    Fp.add(target + FP, t1, a);
    U256.copy(target, t0);
  }

  /** 0 gives 0. */
  static invert(target: usize, a: usize): void {
    Fp.multiply(t0, a, a);
    Fp.multiply(t1, a + FP, a + FP);
    Fp.add(t0, t0, t1);
    Fp.invert(t1, t0);
    Fp.multiply(target, a, t1);
    Fp.negate(t1, t1);
    Fp.multiply(target + FP, a + FP, t1);
  }

  /** From 64 bytes, the number with i first; false if one of them is not below p. */
  static read(target: usize, bytes: usize): bool {
    return Fp.read(target + FP, bytes) && Fp.read(target, bytes + 32);
  }
}

function times9(target: usize, a: usize): void {
  Fp.add(target, a, a);
  Fp.add(target, target, target);
  Fp.add(target, target, target);
  Fp.add(target, target, a);
}
