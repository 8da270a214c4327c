/**
 * Writes integers-256.json and integers-128.json: operands that sit on the edges of limbs, and what BigInt makes of them.
 * Run it again after a change and look at the difference: `node test/vectors/generate-integers.ts`.
 *
 * A vector is [operation, a, b, results…], numbers in hexadecimal; results are the value written, then the value returned
 * (carry, borrow, what lies above, remainder).
 */

import { writeFileSync } from "node:fs";
import { join } from "node:path";

type Vector = [operation: string, a: string, b: string, ...results: string[]];

function vectors(bits: number): Vector[] {
  const size = BigInt(bits);
  const modulus = 1n << size;
  const wrap = (value: bigint) => BigInt.asUintN(bits, value);
  const edges = [0n, 1n, 2n, 0xffffffffn, 1n << 32n, (1n << 63n) - 1n, (1n << 64n) - 1n, 1n << 64n, (1n << 96n) + 1n];
  edges.push((1n << (size - 1n)) - 1n, 1n << (size - 1n), modulus - (1n << 64n), modulus - 2n, modulus - 1n);
  // The dividends and divisors for which algorithm D must add back.
  edges.push(0x7fffffff_80000000_00000000_00000000n, 0x80000000_00000000_00000001n, 0x8000_0000_0000_0000_0003n);
  if (bits === 256) edges.push((0x7fffffffn << 224n) | (1n << 223n), (1n << 223n) + 1n, (0xfffffffen << 192n) | 3n);
  const out: Vector[] = [];
  const push = (operation: string, a: bigint, b: bigint, ...results: bigint[]) =>
    out.push([operation, ...[a, b, ...results].map((value) => value.toString(16))] as Vector);
  for (const [i, a] of edges.entries()) {
    for (const [j, b] of edges.entries()) {
      if ((i + 3 * j) % 4 !== 0) continue; // a quarter of the pairs, each operand with several others
      push("add", a, b, wrap(a + b), (a + b) >> size);
      push("subtract", a, b, wrap(a - b), a < b ? 1n : 0n);
      push("multiply", a, b, wrap(a * b), a * b >= modulus ? 1n : 0n);
      if (bits === 256 && b !== 0n) push("divide", a, b, a / b, a % b);
      push("compare", a, b, a < b ? 0n : a === b ? 1n : 2n);
      if (b >> 64n !== 0n) continue;
      push("multiplyU64", a, b, wrap(a * b), (a * b) >> size);
      if (b !== 0n) push("divideU64", a, b, a / b, a % b);
    }
    for (const shift of [0n, 1n, 31n, 32n, 63n, 64n, 65n, 127n, 128n, 192n, 255n, 256n, 4294967295n]) {
      push("shiftLeft", a, shift, shift >= size ? 0n : wrap(a << shift));
      push("shiftRight", a, shift, shift >= size ? 0n : a >> shift);
    }
  }
  return out;
}

for (const bits of [128, 256]) {
  const lines = vectors(bits).map((vector) => `  ${JSON.stringify(vector)}`);
  writeFileSync(join(import.meta.dirname, `integers-${bits}.json`), `[\n${lines.join(",\n")}\n]\n`);
}
