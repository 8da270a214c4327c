/** U256 and U128 of the guest SDK against vectors made by BigInt, and against BigInt on random operands. */

import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import fc from "fast-check";
import { type Guest, instantiate, integerToBytes, ROOT, SEED } from "./harness.ts";

type Vector = [operation: string, a: string, b: string, ...results: string[]];

let guest: Guest;
let scratch = 0;

before(async () => {
  guest = await instantiate("test/guests/sdk.ts");
  scratch = guest.call("scratch");
});

for (const bits of [128, 256]) {
  const width = bits / 8;
  const type = `u${bits}`;
  const hex = (value: string) => BigInt(`0x${value}`);

  test(`${type} gives what the vectors say, also when the target is an operand`, () => {
    const vectors: Vector[] = JSON.parse(
      readFileSync(join(ROOT, "test/vectors", `integers-${bits}.json`), "utf8"),
    );
    assert.ok(vectors.length > 500);
    for (const [operation, a, b, ...results] of vectors) {
      for (const overlap of ["none", "a", "b"] as const) {
        const got = run(type, width, operation, hex(a), hex(b), overlap);
        assert.deepEqual(got, results.map(hex), `${type} ${operation} ${a} ${b} (overlap: ${overlap})`);
      }
    }
  });

  test(`${type} agrees with BigInt on random operands`, () => {
    // Limbs of zeros and ones reach the rare branches of carry and of long division.
    const limb = fc.oneof(
      fc.bigInt(0n, (1n << 32n) - 1n),
      fc.constantFrom(0n, 1n, 0x7fffffffn, 0x80000000n, 0xffffffffn),
    );
    const number = fc
      .array(limb, { minLength: 0, maxLength: bits / 32 })
      .map((limbs) => limbs.reduce((value, digit) => (value << 32n) | digit, 0n));
    const property = fc.property(number, number, fc.nat(300), (a, b, shift) => {
      const modulus = 1n << BigInt(bits);
      const b64 = BigInt.asUintN(64, b);
      const expect = (operation: string, right: bigint, ...results: bigint[]) =>
        assert.deepEqual(run(type, width, operation, a, right, "none"), results, operation);
      expect("add", b, (a + b) % modulus, (a + b) / modulus);
      expect("subtract", b, BigInt.asUintN(bits, a - b), a < b ? 1n : 0n);
      expect("multiply", b, (a * b) % modulus, a * b >= modulus ? 1n : 0n);
      expect("multiplyU64", b64, (a * b64) % modulus, (a * b64) / modulus);
      if (b64) expect("divideU64", b64, a / b64, a % b64);
      if (b && bits === 256) expect("divide", b, a / b, a % b);
      expect("compare", b, a < b ? 0n : a === b ? 1n : 2n);
      expect("shiftLeft", BigInt(shift), shift >= bits ? 0n : BigInt.asUintN(bits, a << BigInt(shift)));
      expect("shiftRight", BigInt(shift), a >> BigInt(shift));
      if (bits === 256) {
        expect("addU64", b64, (a + b64) % modulus, (a + b64) / modulus);
        expect("subtractU64", b64, BigInt.asUintN(bits, a - b64), a < b64 ? 1n : 0n);
        assert.equal(guest.call("u256_fitsU64", place(a, width)), a >> 64n ? 0 : 1);
      }
      const at = place(a, width);
      assert.equal(guest.call(`${type}_isZero`, at), a ? 0 : 1);
      assert.equal(guest.call(`${type}_equals`, at, at), 1);
      guest.call(`${type}_toBigEndian`, at, at);
      assert.deepEqual(guest.bytes(at, width), integerToBytes(a, width));
    });
    fc.assert(property, { seed: SEED, numRuns: 2000 });
  });
}

test("division by zero faults", () => {
  const at = place(5n, 32);
  for (const name of ["u256_divideU64", "u128_divideU64"]) {
    assert.throws(() => guest.call(name, at, at, 0n), /divide by zero/);
  }
  guest.writeInteger(at + 64, 32, 0n);
  assert.throws(() => guest.call("u256_divide", at, at + 128, at, at + 64), /divide by zero/);
});

test("the product of two 64-bit integers has all its bits", () => {
  for (const a of [0n, 1n, 0xffffffffn, 0xffffffff00000000n, (1n << 64n) - 1n]) {
    guest.call("u128_product", scratch, a, 0xfffffffffffffffdn);
    assert.equal(guest.readInteger(scratch, 16), a * 0xfffffffffffffffdn);
  }
});

function place(value: bigint, width: number): number {
  guest.writeInteger(scratch, width, value);
  return scratch;
}

/** Runs an operation: what it wrote, then what it returned. */
function run(
  type: string,
  width: number,
  operation: string,
  a: bigint,
  b: bigint,
  overlap: "none" | "a" | "b",
): bigint[] {
  const left = scratch;
  const right = scratch + 64;
  const target = overlap === "a" ? left : overlap === "b" ? right : scratch + 128;
  guest.writeInteger(left, width, a);
  const name = `${type}_${operation}`;
  if (operation.endsWith("U64")) {
    guest.writeInteger(target, width, overlap === "a" ? a : 0n);
    const returned = guest.call64(name, target, left, b);
    return [guest.readInteger(target, width), returned];
  }
  if (operation.startsWith("shift")) {
    guest.call(name, target, left, Number(b));
    return [guest.readInteger(target, width)];
  }
  guest.writeInteger(right, width, b);
  if (operation === "compare") return [BigInt(guest.call(name, left, right) + 1)];
  if (operation === "divide") {
    guest.call(name, target, scratch + 192, left, right);
    return [guest.readInteger(target, width), guest.readInteger(scratch + 192, width)];
  }
  const returned =
    operation === "multiply"
      ? BigInt(guest.call(name, target, left, right))
      : guest.call64(name, target, left, right);
  return [guest.readInteger(target, width), returned];
}
