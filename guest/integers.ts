/**
 * Unsigned integers of 128 and 256 bits as values: u128 and u256. Operations give new numbers and fail with
 * "overflow" where the type does not hold the result; those of U128 and U256 work in place, by address, and
 * wrap.
 *
 *   const total = price.multiply(u256.from(amount));
 *   if (total.greaterThan(limit)) fail("too much");
 */

import { FAILURE_OVERFLOW, fail } from "./fail";
import { sameBytes } from "./state/layout";
import { U128 } from "./u128";
import { U256 } from "./u256";

function check(fits: bool): void {
  if (!fits) fail("overflow", 0, FAILURE_OVERFLOW);
}

/** An unsigned integer of 128 bits. */
@unmanaged
@final
export class u128 {
  static from(value: u64): u128 {
    const result = u128.zero();
    store<u64>(changetype<usize>(result), value);
    return result;
  }

  static zero(): u128 {
    const address = heap.alloc(16);
    memory.fill(address, 0, 16);
    return changetype<u128>(address);
  }

  @inline
  get byteSize(): u32 {
    return 16;
  }

  clone(): u128 {
    const address = heap.alloc(16);
    memory.copy(address, changetype<usize>(this), 16);
    return changetype<u128>(address);
  }

  /** The number as a u64. Fails with "overflow" if it is 2^64 or more. */
  toU64(): u64 {
    check(load<u64>(changetype<usize>(this), 8) == 0);
    return load<u64>(changetype<usize>(this));
  }

  add(other: u128): u128 {
    const result = u128.zero();
    check(!U128.add(changetype<usize>(result), changetype<usize>(this), changetype<usize>(other)));
    return result;
  }

  subtract(other: u128): u128 {
    const result = u128.zero();
    check(!U128.subtract(changetype<usize>(result), changetype<usize>(this), changetype<usize>(other)));
    return result;
  }

  multiply(other: u128): u128 {
    const result = u128.zero();
    check(!U128.multiply(changetype<usize>(result), changetype<usize>(this), changetype<usize>(other)));
    return result;
  }

  /** The whole part of the quotient. Dividing by zero faults. */
  divideU64(by: u64): u128 {
    const result = u128.zero();
    U128.divideU64(changetype<usize>(result), changetype<usize>(this), by);
    return result;
  }

  lessThan(other: u128): bool {
    return U128.lessThan(changetype<usize>(this), changetype<usize>(other));
  }

  greaterThan(other: u128): bool {
    return U128.lessThan(changetype<usize>(other), changetype<usize>(this));
  }

  isZero(): bool {
    return U128.isZero(changetype<usize>(this));
  }

  @operator("==")
  equals(other: u128): bool {
    return sameBytes(changetype<usize>(this), changetype<usize>(other), 16);
  }

  @operator("!=")
  differs(other: u128): bool {
    return !sameBytes(changetype<usize>(this), changetype<usize>(other), 16);
  }
}

/** An unsigned integer of 256 bits. */
@unmanaged
@final
export class u256 {
  static from(value: u64): u256 {
    const result = u256.zero();
    store<u64>(changetype<usize>(result), value);
    return result;
  }

  static zero(): u256 {
    const address = heap.alloc(32);
    memory.fill(address, 0, 32);
    return changetype<u256>(address);
  }

  @inline
  get byteSize(): u32 {
    return 32;
  }

  clone(): u256 {
    const address = heap.alloc(32);
    memory.copy(address, changetype<usize>(this), 32);
    return changetype<u256>(address);
  }

  /** The number as a u64. Fails with "overflow" if it is 2^64 or more. */
  toU64(): u64 {
    check(U256.fitsU64(changetype<usize>(this)));
    return load<u64>(changetype<usize>(this));
  }

  add(other: u256): u256 {
    const result = u256.zero();
    check(!U256.add(changetype<usize>(result), changetype<usize>(this), changetype<usize>(other)));
    return result;
  }

  subtract(other: u256): u256 {
    const result = u256.zero();
    check(!U256.subtract(changetype<usize>(result), changetype<usize>(this), changetype<usize>(other)));
    return result;
  }

  multiply(other: u256): u256 {
    const result = u256.zero();
    check(!U256.multiply(changetype<usize>(result), changetype<usize>(this), changetype<usize>(other)));
    return result;
  }

  /** The whole part of the quotient. Dividing by zero faults. */
  divide(other: u256): u256 {
    const result = u256.zero();
    const rest = u256.zero();
    U256.divide(
      changetype<usize>(result),
      changetype<usize>(rest),
      changetype<usize>(this),
      changetype<usize>(other),
    );
    return result;
  }

  /** The whole part of the quotient. Dividing by zero faults. */
  divideU64(by: u64): u256 {
    const result = u256.zero();
    U256.divideU64(changetype<usize>(result), changetype<usize>(this), by);
    return result;
  }

  lessThan(other: u256): bool {
    return U256.lessThan(changetype<usize>(this), changetype<usize>(other));
  }

  greaterThan(other: u256): bool {
    return U256.lessThan(changetype<usize>(other), changetype<usize>(this));
  }

  isZero(): bool {
    return U256.isZero(changetype<usize>(this));
  }

  @operator("==")
  equals(other: u256): bool {
    return sameBytes(changetype<usize>(this), changetype<usize>(other), 32);
  }

  @operator("!=")
  differs(other: u256): bool {
    return !sameBytes(changetype<usize>(this), changetype<usize>(other), 32);
  }
}
