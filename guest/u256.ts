/**
 * Unsigned 256-bit integers in memory: 32 bytes, little-endian, at any address (faster if divisible by 8).
 * Operations take addresses; the first is written, it may be one of the others, and the operands must not
 * overlap in part. Nothing is allocated. Everything wraps modulo 2^256 and says so: by a carry, a borrow or
 * an overflow flag.
 */

const SIZE: usize = 32;

/**
 * Digits of Knuth's algorithm D in base 2^32: the dividend with one more, and the divisor, both shifted left.
 */
const dividend: usize = memory.data(36, 8);
const divisor: usize = memory.data(32, 8);
const digits: usize = memory.data(32, 8);
const product: usize = memory.data(64, 8);

/** High 64 bits of a 64 × 64-bit product. */
export function multiplyHigh(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const middle = aHigh * bLow + ((aLow * bLow) >> 32);
  const other = aLow * bHigh + (middle & 0xffffffff);
  return aHigh * bHigh + (middle >> 32) + (other >> 32);
}

export class U256 {
  // ---- moving ---------------------------------------------------------------------------------------------

  @inline
  static set(target: usize, low: u64, second: u64 = 0, third: u64 = 0, high: u64 = 0): void {
    store<u64>(target, low);
    store<u64>(target, second, 8);
    store<u64>(target, third, 16);
    store<u64>(target, high, 24);
  }

  @inline
  static copy(target: usize, a: usize): void {
    U256.set(target, load<u64>(a), load<u64>(a, 8), load<u64>(a, 16), load<u64>(a, 24));
  }

  /** Writes a as 32 bytes, most significant first. target and a may be the same address. */
  static toBigEndian(target: usize, a: usize): void {
    U256.set(
      target,
      bswap<u64>(load<u64>(a, 24)),
      bswap<u64>(load<u64>(a, 16)),
      bswap<u64>(load<u64>(a, 8)),
      bswap<u64>(load<u64>(a)),
    );
  }

  /** Reads 32 bytes, most significant first. */
  @inline
  static fromBigEndian(target: usize, bytes: usize): void {
    U256.toBigEndian(target, bytes);
  }

  // ---- asking ---------------------------------------------------------------------------------------------

  @inline
  static isZero(a: usize): bool {
    return (load<u64>(a) | load<u64>(a, 8) | load<u64>(a, 16) | load<u64>(a, 24)) == 0;
  }

  /** Is it below 2^64? Then `load<u64>(a)` is its value. */
  @inline
  static fitsU64(a: usize): bool {
    return (load<u64>(a, 8) | load<u64>(a, 16) | load<u64>(a, 24)) == 0;
  }

  @inline
  static equals(a: usize, b: usize): bool {
    return (
      ((load<u64>(a) ^ load<u64>(b)) |
        (load<u64>(a, 8) ^ load<u64>(b, 8)) |
        (load<u64>(a, 16) ^ load<u64>(b, 16)) |
        (load<u64>(a, 24) ^ load<u64>(b, 24))) ==
      0
    );
  }

  /** -1, 0 or 1: a below, equal to or above b. */
  static compare(a: usize, b: usize): i32 {
    for (let i: i32 = 24; i >= 0; i -= 8) {
      const x = load<u64>(a + i);
      const y = load<u64>(b + i);
      if (x != y) return x < y ? -1 : 1;
    }
    return 0;
  }

  @inline
  static lessThan(a: usize, b: usize): bool {
    return U256.compare(a, b) < 0;
  }

  // ---- adding and subtracting -----------------------------------------------------------------------------

  /** target = a + b; returns the carry, 0 or 1. */
  static add(target: usize, a: usize, b: usize): u64 {
    let carry: u64 = 0;
    for (let i: usize = 0; i < SIZE; i += 8) {
      const x = load<u64>(a + i);
      const sum = x + load<u64>(b + i);
      const whole = sum + carry;
      carry = u64(sum < x) | u64(whole < sum);
      store<u64>(target + i, whole);
    }
    return carry;
  }

  /** target = a + b; returns the carry. */
  static addU64(target: usize, a: usize, b: u64): u64 {
    let carry = b;
    for (let i: usize = 0; i < SIZE; i += 8) {
      const sum = load<u64>(a + i) + carry;
      carry = u64(sum < carry);
      store<u64>(target + i, sum);
    }
    return carry;
  }

  /** target = a - b; returns the borrow, 1 if a < b. */
  static subtract(target: usize, a: usize, b: usize): u64 {
    let borrow: u64 = 0;
    for (let i: usize = 0; i < SIZE; i += 8) {
      const x = load<u64>(a + i);
      const y = load<u64>(b + i);
      const difference = x - y;
      store<u64>(target + i, difference - borrow);
      borrow = u64(x < y) | u64(difference < borrow);
    }
    return borrow;
  }

  /** target = a - b; returns the borrow. */
  static subtractU64(target: usize, a: usize, b: u64): u64 {
    let borrow = b;
    for (let i: usize = 0; i < SIZE; i += 8) {
      const x = load<u64>(a + i);
      store<u64>(target + i, x - borrow);
      borrow = u64(x < borrow);
    }
    return borrow;
  }

  // ---- multiplying ----------------------------------------------------------------------------------------

  /** target = a × b; returns what lies above 2^256 (0: no overflow). */
  static multiplyU64(target: usize, a: usize, b: u64): u64 {
    let carry: u64 = 0;
    for (let i: usize = 0; i < SIZE; i += 8) {
      const x = load<u64>(a + i);
      const low = x * b + carry;
      carry = multiplyHigh(x, b) + u64(low < carry);
      store<u64>(target + i, low);
    }
    return carry;
  }

  /** target = a × b; returns whether it overflowed. */
  static multiply(target: usize, a: usize, b: usize): bool {
    memory.fill(product, 0, 64);
    for (let i: usize = 0; i < SIZE; i += 8) {
      const x = load<u64>(a + i);
      if (x == 0) continue;
      let carry: u64 = 0;
      for (let j: usize = 0; j < SIZE; j += 8) {
        const y = load<u64>(b + j);
        const at = product + i + j;
        // x × y + sum + carry fits 128 bits: (2^64 - 1)^2 + 2 × (2^64 - 1) = 2^128 - 1.
        const low = x * y;
        const sum = low + load<u64>(at);
        const whole = sum + carry;
        carry = multiplyHigh(x, y) + u64(sum < low) + u64(whole < sum);
        store<u64>(at, whole);
      }
      store<u64>(product + i + SIZE, carry);
    }
    U256.copy(target, product);
    return !U256.isZero(product + SIZE);
  }

  // ---- dividing -------------------------------------------------------------------------------------------

  /** target = ⌊a ÷ b⌋; returns the remainder. b = 0 faults (division by zero). */
  static divideU64(target: usize, a: usize, b: u64): u64 {
    if (b >> 32 == 0) {
      let remainder: u64 = 0;
      for (let i: i32 = 28; i >= 0; i -= 4) {
        const part = (remainder << 32) | load<u32>(a + i);
        store<u32>(target + i, <u32>(part / b));
        remainder = part % b;
      }
      return remainder;
    }
    const shift = clz(b);
    const scaled = b << shift;
    let remainder: u64 = 0;
    for (let i: i32 = 24; i >= 0; i -= 8) {
      const x = load<u64>(a + i);
      const high = (remainder << shift) | (shift ? x >> (64 - shift) : 0);
      const quotient = divide128(high, x << shift, scaled);
      remainder = x - quotient * b;
      store<u64>(target + i, quotient);
    }
    return remainder;
  }

  /**
   * quotient = ⌊a ÷ b⌋, remainder = a mod b; the two targets must differ. b = 0 faults (division by zero).
   */
  static divide(quotient: usize, remainder: usize, a: usize, b: usize): void {
    if (U256.fitsU64(b)) {
      const rest = U256.divideU64(quotient, a, load<u64>(b));
      U256.set(remainder, rest);
      return;
    }
    if (U256.lessThan(a, b)) {
      U256.copy(remainder, a);
      U256.set(quotient, 0);
      return;
    }
    divideLong(quotient, remainder, a, b);
  }

  // ---- shifting -------------------------------------------------------------------------------------------

  /** target = a × 2^bits modulo 2^256. */
  static shiftLeft(target: usize, a: usize, bits: u32): void {
    let x0 = load<u64>(a);
    let x1 = load<u64>(a, 8);
    let x2 = load<u64>(a, 16);
    let x3 = load<u64>(a, 24);
    if (bits >= 256) {
      U256.set(target, 0);
      return;
    }
    for (; bits >= 64; bits -= 64) {
      x3 = x2;
      x2 = x1;
      x1 = x0;
      x0 = 0;
    }
    if (bits) {
      const back: u64 = 64 - bits;
      x3 = (x3 << bits) | (x2 >> back);
      x2 = (x2 << bits) | (x1 >> back);
      x1 = (x1 << bits) | (x0 >> back);
      x0 <<= bits;
    }
    U256.set(target, x0, x1, x2, x3);
  }

  /** target = ⌊a ÷ 2^bits⌋. */
  static shiftRight(target: usize, a: usize, bits: u32): void {
    let x0 = load<u64>(a);
    let x1 = load<u64>(a, 8);
    let x2 = load<u64>(a, 16);
    let x3 = load<u64>(a, 24);
    if (bits >= 256) {
      U256.set(target, 0);
      return;
    }
    for (; bits >= 64; bits -= 64) {
      x0 = x1;
      x1 = x2;
      x2 = x3;
      x3 = 0;
    }
    if (bits) {
      const back: u64 = 64 - bits;
      x0 = (x0 >> bits) | (x1 << back);
      x1 = (x1 >> bits) | (x2 << back);
      x2 = (x2 >> bits) | (x3 << back);
      x3 >>= bits;
    }
    U256.set(target, x0, x1, x2, x3);
  }
}

/**
 * ⌊(high × 2^64 + low) ÷ b⌋ for high < b and the top bit of b set. Knuth's algorithm D with two digits of 32
 * bits.
 */
export function divide128(high: u64, low: u64, b: u64): u64 {
  const b1 = b >> 32;
  const b0 = b & 0xffffffff;
  const first = quotientDigit(high, low >> 32, b1, b0);
  // Wraps, but the true value is below b.
  const rest = (high << 32) + (low >> 32) - first * b;
  return (first << 32) + quotientDigit(rest, low & 0xffffffff, b1, b0);
}

/** ⌊(x × 2^32 + next) ÷ (b1 × 2^32 + b0)⌋ for a quotient below 2^32 and the top bit of b1 set. */
function quotientDigit(x: u64, next: u64, b1: u64, b0: u64): u64 {
  let q = x / b1;
  let r = x - q * b1;
  while (q >> 32 || q * b0 > ((r << 32) | next)) {
    q--;
    r += b1;
    if (r >> 32) break;
  }
  return q;
}

/**
 * Knuth's algorithm D in base 2^32, for b ≥ 2^64 and a ≥ b (The Art of Computer Programming, volume 2,
 * 4.3.1).
 */
function divideLong(quotient: usize, remainder: usize, a: usize, b: usize): void {
  let n: i32 = 8;
  while (load<u32>(b + (n - 1) * 4) == 0) n--;
  const shift = clz(load<u32>(b + (n - 1) * 4));
  U256.shiftLeft(divisor, b, shift);
  store<u32>(dividend, shift ? load<u32>(a, 28) >> (32 - shift) : 0, 32);
  U256.shiftLeft(dividend, a, shift);

  U256.set(digits, 0);
  const b1: u64 = load<u32>(divisor + (n - 1) * 4);
  const b0: u64 = load<u32>(divisor + (n - 2) * 4);
  for (let j = 8 - n; j >= 0; j--) {
    const at = dividend + j * 4;
    const top = at + n * 4;
    const x = ((<u64>load<u32>(top)) << 32) | load<u32>(top - 4);
    let q = quotientDigit(x, load<u32>(top - 8), b1, b0);
    if (multiplyAndSubtract(at, n, q)) {
      q--;
      addBack(at, n);
    }
    store<u32>(digits + j * 4, <u32>q);
  }
  U256.shiftRight(remainder, dividend, shift);
  U256.copy(quotient, digits);
}

/** Takes q × divisor from the n + 1 digits at `at`; returns whether it went below zero. */
function multiplyAndSubtract(at: usize, n: i32, q: u64): bool {
  let carry: u64 = 0;
  let borrow: u64 = 0;
  for (let i = 0; i < n; i++) {
    carry += q * load<u32>(divisor + i * 4);
    const difference = <u64>load<u32>(at + i * 4) - (carry & 0xffffffff) - borrow;
    store<u32>(at + i * 4, <u32>difference);
    borrow = difference >> 63;
    carry >>= 32;
  }
  const difference = <u64>load<u32>(at + n * 4) - carry - borrow;
  store<u32>(at + n * 4, <u32>difference);
  return difference >> 63 != 0;
}

function addBack(at: usize, n: i32): void {
  let carry: u64 = 0;
  for (let i = 0; i < n; i++) {
    carry += <u64>load<u32>(at + i * 4) + load<u32>(divisor + i * 4);
    store<u32>(at + i * 4, <u32>carry);
    carry >>= 32;
  }
  store<u32>(at + n * 4, load<u32>(at + n * 4) + <u32>carry);
}
