/**
 * The constants of a script: arguments, as bits, and expected results, as patterns. Numbers are converted
 * exactly, with one rounding, whatever their form.
 */

import { F32, F64, I32, I64, V128 } from "../../runtime/program/decode/opcodes.ts";
import { head, type List } from "./syntax.ts";

/** A value by its type and bits. References are null (bits 0) or not (bits 1). */
export interface Value {
  readonly type: number | "reference";
  readonly bits: bigint;
}

/** Tells whether a value is what the script expects. */
export type Pattern = (value: Value) => boolean;

/** Something that cannot be passed to, or seen of, a program: a reference that the host made up. */
export class Inexpressible extends Error {}

const LANES: Record<string, number> = { i8x16: 8, i16x8: 16, i32x4: 32, i64x2: 64, f32x4: 32, f64x2: 64 };
const SCALARS: Record<string, [type: number, width: number, float: boolean]> = {
  "i32.const": [I32, 32, false],
  "i64.const": [I64, 64, false],
  "f32.const": [F32, 32, true],
  "f64.const": [F64, 64, true],
};

export function argument(form: List): Value {
  const word = head(form);
  const scalar = SCALARS[word];
  if (scalar !== undefined) return { type: scalar[0], bits: bitsOf(atom(form, 1), scalar[1], scalar[2]) };
  if (word === "v128.const") {
    const width = LANES[atom(form, 1)] as number;
    const float = atom(form, 1).startsWith("f");
    let bits = 0n;
    for (let lane = 0; lane < 128 / width; lane++) {
      bits |= bitsOf(atom(form, lane + 2), width, float) << BigInt(lane * width);
    }
    return { type: V128, bits };
  }
  if (word === "ref.null") return { type: "reference", bits: 0n };
  throw new Inexpressible(word);
}

export function pattern(form: List): Pattern {
  const word = head(form);
  const scalar = SCALARS[word];
  if (scalar !== undefined) {
    const fits = lanePattern(atom(form, 1), scalar[1], scalar[2]);
    return ({ type, bits }) => type === scalar[0] && fits(bits);
  }
  if (word === "v128.const") {
    const width = LANES[atom(form, 1)] as number;
    const float = atom(form, 1).startsWith("f");
    const lanes = form.items.slice(2).map((_, lane) => lanePattern(atom(form, lane + 2), width, float));
    return ({ type, bits }) =>
      type === V128 && lanes.every((fits, lane) => fits(BigInt.asUintN(width, bits >> BigInt(lane * width))));
  }
  if (word === "either") {
    const patterns = form.items.slice(1).map((item) => pattern(item as List));
    return (value) => patterns.some((fits) => fits(value));
  }
  if (word === "ref.null") return ({ type, bits }) => type === "reference" && bits === 0n;
  if (word === "ref.func" && form.items.length === 1) {
    return ({ type, bits }) => type === "reference" && bits === 1n;
  }
  throw new Inexpressible(word);
}

function atom(form: List, index: number): string {
  const item = form.items[index];
  if (item?.kind !== "atom") throw new SyntaxError(`a constant without value ${index}`);
  return item.text;
}

function lanePattern(text: string, width: number, float: boolean): (bits: bigint) => boolean {
  const quiet = width === 32 ? 0x7fc00000n : 0x7ff8n << 48n;
  if (text === "nan:canonical") return (bits) => BigInt.asUintN(width - 1, bits) === quiet;
  if (text === "nan:arithmetic") return (bits) => (bits & quiet) === quiet;
  const wanted = bitsOf(text, width, float);
  return (bits) => bits === wanted;
}

/** The bits of a literal, of so many bits. */
export function bitsOf(literal: string, width: number, float: boolean): bigint {
  const text = literal.replaceAll("_", "");
  const negative = text.startsWith("-");
  const magnitude = text.replace(/^[+-]/, "");
  if (!float) return BigInt.asUintN(width, negative ? -BigInt(magnitude) : BigInt(magnitude));
  return (negative ? 1n << BigInt(width - 1) : 0n) | floatBits(magnitude, width);
}

function floatBits(text: string, width: number): bigint {
  const fraction = width === 32 ? 23 : 52;
  const infinity = width === 32 ? 0x7f800000n : 0x7ff0n << 48n;
  if (text === "inf") return infinity;
  if (text === "nan") return infinity | (1n << BigInt(fraction - 1));
  if (text.startsWith("nan:")) return infinity | BigInt(text.slice(4));
  const hexadecimal = text.startsWith("0x");
  const [digits = "", exponent = "0"] = text.replace("0x", "").split(hexadecimal ? /p/i : /e/i);
  const [whole = "", part = ""] = digits.split(".");
  const mantissa = BigInt(`${hexadecimal ? "0x" : ""}${whole}${part}`);
  // The value is numerator / denominator.
  const base = hexadecimal ? 2n : 10n;
  const power = Number(exponent) - part.length * (hexadecimal ? 4 : 1);
  const numerator = power >= 0 ? mantissa * base ** BigInt(power) : mantissa;
  return rounded(numerator, power >= 0 ? 1n : base ** BigInt(-power), fraction, width);
}

/** Rounds to nearest, ties to even. */
function rounded(numerator: bigint, denominator: bigint, fraction: number, width: number): bigint {
  if (numerator === 0n) return 0n;
  const bias = width === 32 ? 127 : 1023;
  const length = (value: bigint) => value.toString(2).length;
  // One less than the exponent at most: the quotient below has fraction + 1 or fraction + 2 bits.
  let exponent = Math.max(length(numerator) - length(denominator) - 1, 1 - bias);
  for (;;) {
    const shift = fraction - exponent;
    const top = shift >= 0 ? numerator << BigInt(shift) : numerator;
    const bottom = shift >= 0 ? denominator : denominator << BigInt(-shift);
    let quotient = top / bottom;
    const twice = (top % bottom) * 2n;
    if (twice > bottom || (twice === bottom && (quotient & 1n) === 1n)) quotient++;
    if (quotient < 1n << BigInt(fraction + 1)) {
      if (exponent > bias) break;
      // A subnormal number has the exponent of the smallest normal ones, without its leading bit.
      return (BigInt(exponent + bias - 1) << BigInt(fraction)) + quotient;
    }
    exponent++;
  }
  return width === 32 ? 0x7f800000n : 0x7ff0n << 48n;
}
