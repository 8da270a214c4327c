/** The batch variant: bounds of the results of single instructions, for ranges.ts. */

import * as op from "../decode/opcodes.ts";

/** Bounds of an integer, as an unsigned number. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

/** By instruction: bounds of the integer that it leaves, as an unsigned number. */
export interface Ranges {
  readonly low: Float64Array;
  readonly high: Float64Array;
}

export const I32_MAX = 2 ** 32 - 1;
/** The greatest that is not negative as a signed number. */
export const POSITIVE_MAX = 2 ** 31 - 1;

const opcodes = new Map(op.NAMES.map((name, opcode) => [name, opcode]));

export function named(name: string): number {
  return opcodes.get(name) as number;
}

/** Results that are small whatever the operands. */
const SMALL = new Map<number, number>();
for (let opcode = op.I32_EQ; opcode < op.I32_EQ + 10; opcode++) SMALL.set(opcode, 1);
for (const name of ["i32.eqz", "i64.eqz"]) SMALL.set(named(name), 1);
for (const name of ["i32.load8_u", "i64.load8_u"]) SMALL.set(named(name), 0xff);
for (const name of ["i32.load16_u", "i64.load16_u"]) SMALL.set(named(name), 0xffff);
SMALL.set(named("i64.load32_u"), I32_MAX);
for (const name of ["i32.clz", "i32.ctz", "i32.popcnt"]) SMALL.set(named(name), 32);
SMALL.set(op.MEMORY_SIZE, 65536);

const WRAPS = named("i32.wrap_i64");
const EXTENDS = named("i64.extend_i32_u");

export const UNKNOWN: Range = { low: 0, high: Number.POSITIVE_INFINITY };

/** The least number of the form 2^k - 1 that is not below `value`. */
function ones(value: number): number {
  return value <= 0 ? 0 : 2 ** (32 - Math.clz32(value)) - 1;
}

const MULTIPLIES = named("i32.mul");
const AND_WIDE = named("i64.and");
const XORS = named("i32.xor");
const SHIFTS_WIDE = named("i64.shr_u");
const DIVIDES = named("i32.div_u");
const REMAINS = named("i32.rem_u");

/**
 * Bounds of what the instruction leaves, if its operands lie in `a` and `b`. `wraps`, for a test: sums are
 * taken not to wrap.
 */
export function rangeOfResult(opcode: number, a: Range, b: Range, wraps: boolean): Range {
  const small = SMALL.get(opcode);
  if (small !== undefined) return { low: 0, high: small };
  if (opcode === EXTENDS || (opcode === WRAPS && a.high <= I32_MAX)) return a;
  const narrow = op.SIGNATURES[opcode]?.results[0] === op.I32;
  return fold(opcode, a, b, wraps) ?? { low: 0, high: narrow ? I32_MAX : Number.POSITIVE_INFINITY };
}

/** Bounds of the result of i32 arithmetic, and of a little i64; null: unknown. */
function fold(opcode: number, a: Range, b: Range, wraps: boolean): Range | null {
  switch (opcode) {
    case op.I32_ADD:
      if (a.high + b.high <= I32_MAX || wraps) return { low: a.low + b.low, high: a.high + b.high };
      // All sums wrap, as where a negative constant is added.
      if (a.low + b.low <= I32_MAX) return null;
      return { low: a.low + b.low - 2 ** 32, high: a.high + b.high - 2 ** 32 };
    case op.I32_SUB:
      return a.low >= b.high ? { low: a.low - b.high, high: a.high - b.low } : null;
    case MULTIPLIES:
      return a.high * b.high <= I32_MAX ? { low: a.low * b.low, high: a.high * b.high } : null;
    case op.I32_AND:
    case AND_WIDE: {
      const high = Math.min(a.high, b.high);
      // Rounding down to a multiple of a power of two.
      const step = opcode === op.I32_AND && b.low === b.high ? 2 ** 32 - b.low : 0;
      if (step > 0 && step <= POSITIVE_MAX && (step & (step - 1)) === 0)
        return { low: a.low - (a.low % step), high: a.high - (a.high % step) };
      return Number.isFinite(high) ? { low: 0, high } : null;
    }
    case op.I32_OR:
      return { low: Math.max(a.low, b.low), high: ones(Math.max(a.high, b.high)) };
    case XORS:
      return { low: 0, high: ones(Math.max(a.high, b.high)) };
    case op.I32_SHL: {
      const factor = 2 ** (b.low & 31);
      if (b.low !== b.high || a.high * factor > I32_MAX) return null;
      return { low: a.low * factor, high: a.high * factor };
    }
    case op.I32_SHR_U:
    case SHIFTS_WIDE: {
      const divisor = 2 ** (b.low & (opcode === op.I32_SHR_U ? 31 : 63));
      if (b.low !== b.high || !Number.isFinite(a.high)) return null;
      return { low: Math.floor(a.low / divisor), high: Math.floor(a.high / divisor) };
    }
    case DIVIDES:
      if (b.low !== b.high || b.low === 0) return null;
      return { low: Math.floor(a.low / b.low), high: Math.floor(a.high / b.low) };
    case REMAINS:
      return b.low > 0 ? { low: 0, high: Math.min(a.high, b.high - 1) } : null;
    default:
      return null;
  }
}
