/**
 * Powers modulo numbers of any length: `modularPower(target, base, exponent, modulus, …)`. Numbers are bytes,
 * the most significant first.
 *
 * An odd modulus is worked with by Montgomery's method, digits of 32 bits. An even one is 2^k times an odd
 * one: the power is computed modulo both, and put together by the Chinese remainder theorem.
 */

/** The next free byte of the room for numbers; functions put it back when they end. */
let free: usize = 0;

/** Room for a number of so many digits, all zero. */
function take(digits: usize): usize {
  const number = free;
  free += digits * 4;
  memory.fill(number, 0, digits * 4);
  return number;
}

/**
 * Writes base^exponent mod modulus, `modulusLength` bytes, to `target`. A modulus of 0 gives 0. `work` has
 * room for 16 numbers as long as the longest of base and modulus, and 256 bytes.
 */
export function modularPower(
  target: usize,
  base: usize,
  baseLength: u32,
  exponent: usize,
  exponentLength: u32,
  modulus: usize,
  modulusLength: u32,
  work: usize,
): void {
  const digits = (<usize>modulusLength + 3) >> 2;
  free = (work + 7) & ~7;
  const m = take(digits);
  read(m, modulus, modulusLength);
  const size = lengthOf(m, digits);
  memory.fill(target, 0, modulusLength);
  if (!size || (size == 1 && load<u32>(m) == 1)) return;
  while (exponentLength && !load<u8>(exponent)) {
    exponent++;
    exponentLength--;
  }
  const baseDigits = (<usize>baseLength + 3) >> 2;
  const b = take(max<usize>(baseDigits, size) + 1);
  read(b, base, baseLength);
  const result = take(size);
  const twos = trailingZeros(m);
  if (twos == 0) {
    reduce(b, lengthOf(b, baseDigits), m, size);
    power(result, b, exponent, exponentLength, m, size);
  } else {
    powerOfEven(result, b, baseDigits, exponent, exponentLength, m, size, twos);
  }
  write(target, modulusLength, result, size);
}

// ---- numbers ----------------------------------------------------------------------------------------------

function read(number: usize, bytes: usize, length: u32): void {
  for (let i: u32 = 0; i < length; i++) store<u8>(number + i, load<u8>(bytes + length - 1 - i));
}

function write(bytes: usize, length: u32, number: usize, digits: usize): void {
  const there = min<u32>(length, <u32>digits * 4);
  for (let i: u32 = 0; i < there; i++) store<u8>(bytes + length - 1 - i, load<u8>(number + i));
}

/** Digits without leading zeros. */
function lengthOf(number: usize, digits: usize): usize {
  while (digits && !load<u32>(number + digits * 4 - 4)) digits--;
  return digits;
}

function trailingZeros(number: usize): u32 {
  let at: usize = 0;
  while (!load<u32>(number + at)) at += 4;
  return <u32>at * 8 + ctz<u32>(load<u32>(number + at));
}

/** number = number mod m, both of any length: long division (Knuth 4.3.1, algorithm D). `size` > 0. */
function reduce(number: usize, digits: usize, m: usize, size: usize): void {
  if (digits < size) return;
  const saved = free;
  const divisor = take(size);
  const shift = clz<u32>(load<u32>(m + size * 4 - 4));
  shiftLeft(divisor, m, size, shift);
  store<u32>(number + digits * 4, shiftLeft(number, number, digits, shift));
  const top = <u64>load<u32>(divisor + size * 4 - 4);
  const second: u64 = size > 1 ? <u64>load<u32>(divisor + size * 4 - 8) : 0;
  for (let at: isize = <isize>(digits - size); at >= 0; at--) {
    const low = number + <usize>at * 4;
    const high = low + size * 4;
    const part = ((<u64>load<u32>(high)) << 32) | <u64>load<u32>(high - 4);
    let guess = part / top;
    let left = part % top;
    const below: u64 = size > 1 ? <u64>load<u32>(high - 8) : 0;
    while (guess >> 32 || guess * second > ((left << 32) | below)) {
      guess--;
      left += top;
      if (left >> 32) break;
    }
    if (!guess) continue;
    let carry: u64 = 0;
    let borrow: u64 = 0;
    for (let i: usize = 0; i < size * 4; i += 4) {
      const multiple = guess * <u64>load<u32>(divisor + i) + carry;
      carry = multiple >> 32;
      const difference = <u64>load<u32>(low + i) - (multiple & 0xffffffff) - borrow;
      store<u32>(low + i, <u32>difference);
      borrow = difference >> 63;
    }
    const difference = <u64>load<u32>(high) - carry - borrow;
    store<u32>(high, <u32>difference);
    if (!(difference >> 63)) continue;
    carry = 0;
    for (let i: usize = 0; i < size * 4; i += 4) {
      const sum = <u64>load<u32>(low + i) + <u64>load<u32>(divisor + i) + carry;
      store<u32>(low + i, <u32>sum);
      carry = sum >> 32;
    }
    store<u32>(high, load<u32>(high) + <u32>carry);
  }
  shiftRight(number, size, shift);
  memory.fill(number + size * 4, 0, (digits + 1 - size) * 4);
  free = saved;
}

/** target = number shifted left by less than 32 bits; what leaves it at the top. */
function shiftLeft(target: usize, number: usize, digits: usize, shift: u32): u32 {
  let over: u32 = 0;
  for (let i: usize = 0; i < digits * 4; i += 4) {
    const digit = load<u32>(number + i);
    store<u32>(target + i, (digit << shift) | over);
    over = shift ? digit >> (32 - shift) : 0;
  }
  return over;
}

function shiftRight(number: usize, digits: usize, shift: u32): void {
  if (!shift) return;
  for (let i: usize = 0; i < digits * 4; i += 4) {
    const above: u32 = i + 4 < digits * 4 ? load<u32>(number + i, 4) : 0;
    store<u32>(number + i, (load<u32>(number + i) >> shift) | (above << (32 - shift)));
  }
}

function subtract(a: usize, b: usize, digits: usize): u64 {
  let borrow: u64 = 0;
  for (let i: usize = 0; i < digits * 4; i += 4) {
    const difference = <u64>load<u32>(a + i) - <u64>load<u32>(b + i) - borrow;
    store<u32>(a + i, <u32>difference);
    borrow = difference >> 63;
  }
  return borrow;
}

function isBelow(a: usize, b: usize, digits: usize): bool {
  for (let i: isize = <isize>digits * 4 - 4; i >= 0; i -= 4) {
    const x = load<u32>(a + i);
    const y = load<u32>(b + i);
    if (x != y) return x < y;
  }
  return false;
}

// ---- odd moduli -------------------------------------------------------------------------------------------

function inverseOf(low: u32): u32 {
  let inverse: u32 = 1;
  for (let i = 0; i < 5; i++) inverse *= 2 - low * inverse;
  return 0 - inverse;
}

/** result = base^exponent modulo an odd m; base is below m. */
function power(
  result: usize,
  base: usize,
  exponent: usize,
  exponentLength: u32,
  m: usize,
  size: usize,
): void {
  const saved = free;
  const inverse = inverseOf(load<u32>(m));
  const product = take(size + 2);
  const one = take(size);
  const square = take(2 * size + 2);
  store<u32>(square + 2 * size * 4, 1);
  reduce(square, 2 * size + 1, m, size);
  store<u32>(one, 1);
  montgomery(result, one, square, m, size, inverse, product);
  const factor = take(size);
  montgomery(factor, base, square, m, size, inverse, product);
  for (let i: u32 = 0; i < exponentLength; i++) {
    const byte: u32 = load<u8>(exponent + i);
    for (let bit: i32 = 7; bit >= 0; bit--) {
      montgomery(result, result, result, m, size, inverse, product);
      if (byte & (1 << bit)) montgomery(result, result, factor, m, size, inverse, product);
    }
  }
  montgomery(result, result, one, m, size, inverse, product);
  free = saved;
}

/** target = a * b / 2^(32 size) mod m. */
function montgomery(
  target: usize,
  a: usize,
  b: usize,
  m: usize,
  size: usize,
  inverse: u32,
  product: usize,
): void {
  const end = size * 4;
  memory.fill(product, 0, end + 8);
  for (let i: usize = 0; i < end; i += 4) {
    const digit = <u64>load<u32>(b + i);
    let sum = <u64>load<u32>(product) + digit * <u64>load<u32>(a);
    const factor = <u64>(<u32>sum * inverse);
    let other = (sum & 0xffffffff) + factor * <u64>load<u32>(m);
    for (let j: usize = 4; j < end; j += 4) {
      sum = (sum >> 32) + <u64>load<u32>(product + j) + digit * <u64>load<u32>(a + j);
      other = (other >> 32) + (sum & 0xffffffff) + factor * <u64>load<u32>(m + j);
      store<u32>(product + j - 4, <u32>other);
    }
    sum = (sum >> 32) + <u64>load<u32>(product + end);
    other = (other >> 32) + (sum & 0xffffffff);
    store<u32>(product + end - 4, <u32>other);
    store<u32>(product + end, <u32>((sum >> 32) + (other >> 32)));
  }
  if (load<u32>(product + end) || !isBelow(product, m, size)) subtract(product, m, size);
  memory.copy(target, product, end);
}

// ---- even moduli ------------------------------------------------------------------------------------------

/** m = 2^twos * odd. x = a + odd * ((c - a) / odd mod 2^twos), for x = a mod odd and x = c mod 2^twos. */
function powerOfEven(
  result: usize,
  base: usize,
  baseDigits: usize,
  exponent: usize,
  exponentLength: u32,
  m: usize,
  size: usize,
  twos: u32,
): void {
  const saved = free;
  const odd = take(size);
  memory.copy(odd, m, size * 4);
  for (let left = twos; left > 0; ) {
    if (left >= 32) {
      memory.copy(odd, odd + 4, size * 4 - 4);
      store<u32>(odd + size * 4 - 4, 0);
      left -= 32;
    } else {
      shiftRight(odd, size, left);
      left = 0;
    }
  }
  const width = (<usize>twos + 31) >> 5;
  const c = take(width);
  powerOfTwo(c, base, min<usize>(baseDigits, width), exponent, exponentLength, width);
  const oddSize = lengthOf(odd, size);
  const a = take(size);
  if (oddSize > 1 || load<u32>(odd) != 1) {
    reduce(base, lengthOf(base, baseDigits), odd, oddSize);
    power(a, base, exponent, exponentLength, odd, oddSize);
  }
  // c = (c - a) / odd modulo 2^(32 width)
  const part = take(width);
  memory.copy(part, a, min<usize>(width, size) * 4);
  subtract(c, part, width);
  divideByOdd(c, odd, width, oddSize);
  const bits: u32 = twos & 31;
  if (bits) store<u32>(c + width * 4 - 4, load<u32>(c + width * 4 - 4) & ((1 << bits) - 1));
  // result = a + odd * c, which is below m
  memory.copy(result, a, size * 4);
  for (let i: usize = 0; i < oddSize; i++) {
    const digit = <u64>load<u32>(odd + i * 4);
    let carry: u64 = 0;
    for (let j: usize = 0; i + j < size; j++) {
      const factor: u64 = j < width ? <u64>load<u32>(c + j * 4) : 0;
      const at = result + (i + j) * 4;
      const sum = digit * factor + <u64>load<u32>(at) + carry;
      store<u32>(at, <u32>sum);
      carry = sum >> 32;
    }
  }
  free = saved;
}

/** result = base^exponent modulo 2^(32 width). */
function powerOfTwo(
  result: usize,
  base: usize,
  baseDigits: usize,
  exponent: usize,
  exponentLength: u32,
  width: usize,
): void {
  const saved = free;
  const factor = take(width);
  const product = take(width);
  memory.copy(factor, base, baseDigits * 4);
  store<u32>(result, 1);
  for (let i: u32 = 0; i < exponentLength; i++) {
    const byte: u32 = load<u8>(exponent + i);
    for (let bit: i32 = 7; bit >= 0; bit--) {
      multiplyLow(product, result, result, width);
      memory.copy(result, product, width * 4);
      if (!(byte & (1 << bit))) continue;
      multiplyLow(product, result, factor, width);
      memory.copy(result, product, width * 4);
    }
  }
  free = saved;
}

function multiplyLow(target: usize, a: usize, b: usize, width: usize): void {
  memory.fill(target, 0, width * 4);
  for (let i: usize = 0; i < width; i++) {
    const digit = <u64>load<u32>(a + i * 4);
    if (!digit) continue;
    let carry: u64 = 0;
    for (let j: usize = 0; i + j < width; j++) {
      const at = target + (i + j) * 4;
      const sum = digit * <u64>load<u32>(b + j * 4) + <u64>load<u32>(at) + carry;
      store<u32>(at, <u32>sum);
      carry = sum >> 32;
    }
  }
}

/** number = number / odd modulo 2^(32 width), digit by digit from the lowest. */
function divideByOdd(number: usize, odd: usize, width: usize, oddSize: usize): void {
  const inverse: u32 = 0 - inverseOf(load<u32>(odd));
  for (let i: usize = 0; i < width; i++) {
    const quotient: u32 = load<u32>(number + i * 4) * inverse;
    let carry: u64 = 0;
    let borrow: u64 = 0;
    for (let j: usize = 0; i + j < width; j++) {
      const factor: u64 = j < oddSize ? <u64>load<u32>(odd + j * 4) : 0;
      const multiple = <u64>quotient * factor + carry;
      carry = multiple >> 32;
      const at = number + (i + j) * 4;
      const difference = <u64>load<u32>(at) - (multiple & 0xffffffff) - borrow;
      store<u32>(at, <u32>difference);
      borrow = difference >> 63;
    }
    store<u32>(number + i * 4, quotient);
  }
}
