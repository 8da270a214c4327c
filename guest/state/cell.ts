/**
 * One value in state, on lines of its own. `add` and `subtract` of a StateCell<u64>, u128 or u256 accumulate:
 * items of a batch that only do that do not wait for each other, and one that reads the value waits for those
 * before it.
 */

import { accumulate, accumulateU64 } from "../accumulate";
import { FAILURE_OVERFLOW, fail } from "../fail";
import { LINE_BYTES, bytesOf, checkPlace, loadValue, roundUp, storeValue } from "./layout";

@unmanaged
@final
export class StateCell<T> {
  /** At the address `at`, a multiple of 64, in memory that is zero or holds this cell. */
  constructor(public readonly at: usize = 0) {
    checkPlace(at, bytesOf<T>());
  }

  /** The address behind it, a multiple of 64. */
  get end(): usize {
    return this.at + roundUp(bytesOf<T>(), LINE_BYTES);
  }

  /** The value; a record is the one in state. */
  get value(): T {
    return loadValue<T>(this.at);
  }

  set value(value: T) {
    storeValue<T>(this.at, value);
  }

  /** Adds to a u64, u128 or u256. Fails with "overflow" above what it holds. */
  add(amount: T): void {
    if (!this.accumulated(amount, false)) fail("overflow", 0, FAILURE_OVERFLOW);
  }

  /** Subtracts from a u64, u128 or u256. Fails with "overflow" below 0. */
  subtract(amount: T): void {
    if (!this.accumulated(amount, true)) fail("overflow", 0, FAILURE_OVERFLOW);
  }

  private accumulated(amount: T, subtract: bool): bool {
    if (isReference<T>()) {
      // @ts-ignore: a class has it or not
      if (!isDefined(amount.multiply(amount))) ERROR("only cells of u64, u128 and u256 accumulate");
      return accumulate(this.at, bytesOf<T>(), changetype<usize>(amount), subtract);
    }
    if (isSigned<T>() || sizeof<T>() != 8) ERROR("only cells of u64, u128 and u256 accumulate");
    return accumulateU64(this.at, <u64>amount, subtract);
  }
}
