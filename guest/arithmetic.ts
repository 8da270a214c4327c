/**
 * Arithmetic that fails instead of wrapping, for integers of any type:
 *
 *   account.balance = minus(account.balance, amount); // fails with "overflow" if that is below 0
 */

import { FAILURE_OVERFLOW, fail } from "./fail";

/** a + b. Fails with "overflow" if the type does not hold it. */
export function plus<T extends number>(a: T, b: T): T {
  if (!isInteger<T>()) ERROR("plus adds integers");
  const sum = <T>(a + b);
  if (isSigned<T>() ? sum < a != b < 0 : sum < a) fail("overflow", 0, FAILURE_OVERFLOW);
  return sum;
}

/** a - b. Fails with "overflow" if the type does not hold it. */
export function minus<T extends number>(a: T, b: T): T {
  if (!isInteger<T>()) ERROR("minus subtracts integers");
  const difference = <T>(a - b);
  if (isSigned<T>() ? difference > a != b < 0 : b > a) fail("overflow", 0, FAILURE_OVERFLOW);
  return difference;
}

/** a × b. Fails with "overflow" if the type does not hold it. */
export function times<T extends number>(a: T, b: T): T {
  if (!isInteger<T>()) ERROR("times multiplies integers");
  const product = <T>(a * b);
  if (a != 0) {
    // Of the quotients, only that of the smallest number and -1 cannot be computed.
    const wraps = isSigned<T>() && a == -1 && b == minOf<T>();
    if (wraps || (!(isSigned<T>() && a == -1) && product / a != b)) fail("overflow", 0, FAILURE_OVERFLOW);
  }
  return product;
}

/** The smallest number of a signed type. */
function minOf<T extends number>(): T {
  return <T>((<T>1) << (((<T>sizeof<T>()) << 3) - 1));
}
