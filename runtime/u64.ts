/**
 * 64-bit integers in two 32-bit halves, as they lie in memory and cross into Wasm, and as numbers, which are
 * exact up to 2^53.
 */

const TWO_32 = 2 ** 32;

/** The lower half, 0 to 2^32 - 1. */
export function lowOf(value: number): number {
  return value - Math.floor(value / TWO_32) * TWO_32;
}

/** The upper half; of a negative value, a negative number. */
export function highOf(value: number): number {
  return Math.floor(value / TWO_32);
}

/** The number of two halves; `high` has the sign. */
export function joined(low: number, high: number): number {
  return (low >>> 0) + high * TWO_32;
}

/** The halves of a 64-bit integer, as signed 32-bit integers. */
export function halvesOf(value: bigint): { low: number; high: number } {
  return { low: Number(BigInt.asIntN(32, value)), high: Number(BigInt.asIntN(32, value >> 32n)) };
}
