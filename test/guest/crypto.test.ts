/**
 * The SDK's cryptography against @noble/hashes, @noble/curves and Node's own, on random and malformed inputs.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { bn254 } from "@noble/curves/bn254.js";
import { ed25519 } from "@noble/curves/ed25519.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { blake2b } from "@noble/hashes/blake2.js";
import { ripemd160 } from "@noble/hashes/legacy.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { compileGuest } from "../../runtime/compile.ts";
import { Random } from "../program/random.ts";

const file = new URL("../guests/crypto.ts", import.meta.url).pathname;
const module = new WebAssembly.Module((await compileGuest(file)) as BufferSource);
const { exports } = new WebAssembly.Instance(module, { env: { abort: () => assert.fail("abort") } });
const guest = exports as unknown as Record<string, (...values: (number | bigint)[]) => number> & {
  memory: WebAssembly.Memory;
};
const input = guest.input?.() as number;
const output = guest.output?.() as number;

const memory = (): Buffer => Buffer.from(guest.memory.buffer);
function call(name: string, bytes: Uint8Array, ...values: (number | bigint)[]): number {
  memory().set(bytes, input);
  return (guest[name] as (...values: (number | bigint)[]) => number)(...values);
}
const result = (length: number): string => memory().toString("hex", output, output + length);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const seed = Number(process.env.STILLPOINT_SEED ?? 20_150_730);
const random = new Random(seed);
const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => random.next() & 255));
const word = (value: bigint): Buffer => Buffer.from(value.toString(16).padStart(64, "0"), "hex");

test(`Keccak-256, SHA-512 and RIPEMD-160 of every length, at once and in parts (seed ${seed})`, () => {
  for (let length = 0; length < 420; length++) {
    const data = bytes(length);
    call("keccak", data, length);
    assert.equal(result(32), hex(keccak_256(data)));
    call("keccakInParts", data, length, 1 + random.below(150));
    assert.equal(result(32), hex(keccak_256(data)));
    call("sha512", data, length);
    assert.equal(result(64), hex(sha512(data)));
    call("sha512InParts", data, length, 1 + random.below(150));
    assert.equal(result(64), hex(sha512(data)));
    call("ripemd", data, length);
    assert.equal(result(20), hex(ripemd160(data)));
  }
});

test("BLAKE2b's compression makes its hash", () => {
  const initial = [
    0x6a09e667f3bcc908n ^ 0x01010040n,
    0xbb67ae8584caa73bn,
    0x3c6ef372fe94f82bn,
    0xa54ff53a5f1d36f1n,
    0x510e527fade682d1n,
    0x9b05688c2b3e6c1fn,
    0x1f83d9abfb41bd6bn,
    0x5be0cd19137e2179n,
  ];
  for (let length = 0; length <= 128; length++) {
    const data = bytes(length);
    const state = Buffer.alloc(64 + 128);
    for (const [i, value] of initial.entries()) state.writeBigUInt64LE(value, 8 * i);
    state.set(data, 64);
    call("blake", state, 12, BigInt(length));
    assert.equal(result(64), hex(blake2b(data)));
  }
});

test("powers modulo numbers of any length and parity", () => {
  const power = (base: bigint, exponent: bigint, modulus: bigint): bigint => {
    let value = 1n;
    let factor = base % modulus;
    for (let left = exponent; left > 0n; left >>= 1n) {
      if ((left & 1n) === 1n) value = (value * factor) % modulus;
      factor = (factor * factor) % modulus;
    }
    return value % modulus;
  };
  const number = (part: Uint8Array): bigint => (part.length === 0 ? 0n : BigInt(`0x${hex(part)}`));
  const operand = (longest: number): Buffer => {
    const part = bytes(random.below(longest));
    const shape = random.below(6);
    if (shape === 0) part.fill(0);
    if (shape === 1) part.fill(255);
    if (shape === 2 && part.length > 0) part.fill(0, random.below(part.length));
    if (shape === 3 && part.length > 0) part.fill(0, 0, random.below(part.length));
    return part;
  };
  for (let i = 0; i < 1500; i++) {
    const [base, exponent, modulus] = [operand(100), operand(12), operand(100)];
    call("power", Buffer.concat([base, exponent, modulus]), base.length, exponent.length, modulus.length);
    const m = number(modulus);
    const expected = m === 0n ? 0n : power(number(base), number(exponent), m);
    assert.equal(number(memory().subarray(output, output + modulus.length)), expected);
  }
});

test("secp256k1: signatures are verified, and their keys recovered", () => {
  for (let i = 0; i < 40; i++) {
    const key = secp256k1.utils.randomSecretKey(bytes(48));
    const hash = bytes(32);
    const signed = secp256k1.sign(hash, key, { prehash: false, format: "recovered" });
    const [parity, r, s] = [signed[0] as number, signed.subarray(1, 33), signed.subarray(33, 65)];
    const publicKey = Buffer.from(secp256k1.getPublicKey(key, false)).subarray(1);
    if (parity > 1) continue;
    assert.equal(call("recover", Buffer.concat([hash, r, s]), parity), 1);
    assert.equal(result(64), hex(publicKey));
    const whole = Buffer.concat([hash, r, s, publicKey]);
    assert.equal(call("verify", whole), 1);
    whole[random.below(128)] = (whole[random.below(128)] as number) ^ (1 << random.below(8));
    assert.equal(call("verify", whole), 0);
  }
});

test("secp256k1: numbers out of range and points that are none are refused", () => {
  const order = secp256k1.Point.Fn.ORDER;
  const prime = secp256k1.Point.Fp.ORDER;
  const hash = bytes(32);
  const one = word(1n);
  for (const bad of [0n, order, order + 1n, prime, 2n ** 256n - 1n]) {
    assert.equal(call("recover", Buffer.concat([hash, word(bad), one]), 0), 0);
    assert.equal(call("recover", Buffer.concat([hash, one, word(bad)]), 0), 0);
  }
  // 5 is no x of a point.
  assert.equal(call("recover", Buffer.concat([hash, word(5n), one]), 0), 0);
  assert.equal(call("verify", Buffer.concat([hash, one, one, word(1n), word(1n)])), 0);
  assert.equal(call("verify", Buffer.concat([hash, one, one, word(prime), word(0n)])), 0);
});

test("ed25519: signatures are verified, damaged ones are not", () => {
  for (let i = 0; i < 24; i++) {
    const secret = ed25519.utils.randomSecretKey(bytes(32));
    const message = bytes(random.below(300));
    const publicKey = ed25519.getPublicKey(secret);
    const whole = Buffer.concat([ed25519.sign(message, secret), publicKey, message]);
    assert.equal(call("ed25519", whole, message.length), 1);
    const at = random.below(whole.length);
    whole[at] = (whole[at] as number) ^ (1 << random.below(8));
    const [signature, key, text] = [whole.subarray(0, 64), whole.subarray(64, 96), whole.subarray(96)];
    const expected = ed25519.verify(signature, text, key, { zip215: true });
    assert.equal(call("ed25519", whole, message.length), expected ? 1 : 0);
  }
});

test("ed25519: what no honest signer makes is decided as ZIP 215 says", () => {
  const p = ed25519.Point.Fp.ORDER;
  const order = ed25519.Point.Fn.ORDER;
  const little = (value: bigint): Buffer => word(value).reverse();
  const signed = (encoded: Buffer): Buffer => {
    const odd = Buffer.from(encoded);
    odd[31] = (odd[31] as number) | 0x80;
    return odd;
  };
  // Numbers at and beyond the field's end, and all points whose order divides 8: y is 0, 1, -1 or one of two.
  const eighth = [...smallPoints()];
  const numbers = [0n, 1n, 2n, p - 1n, p, p + 1n, p + 2n, 2n ** 255n - 1n, ...eighth].map(little);
  const encodings = numbers.flatMap((number) => [number, signed(number)]);
  const message = Buffer.from("Zcash");
  let accepted = 0;
  for (const key of encodings) {
    for (const commitment of encodings) {
      for (const s of [little(0n), little(order)]) {
        const signature = Buffer.concat([commitment, s]);
        const expected = ed25519.verify(signature, message, key, { zip215: true });
        const found = call("ed25519", Buffer.concat([signature, key, message]), message.length);
        assert.equal(found, expected ? 1 : 0, `${hex(key)} ${hex(signature)}`);
        accepted += found;
      }
    }
  }
  assert.ok(accepted > 100, `${accepted} are accepted`);
});

/** y of the points of order 8: any point times the order may be one. */
function smallPoints(): Set<bigint> {
  const { Point } = ed25519;
  const found = new Set<bigint>();
  for (let y = 2n; y < 200n && found.size < 2; y++) {
    let point: typeof Point.BASE;
    try {
      point = Point.fromHex(hex(word(y).reverse()));
    } catch {
      continue; // no point has this y
    }
    const small = point.multiplyUnsafe(Point.Fn.ORDER - 1n).add(point);
    if (!small.double().double().is0()) found.add(small.toAffine().y);
  }
  assert.equal(found.size, 2);
  return found;
}

test("bn254: sums, multiples, and what is on no curve", () => {
  const G = bn254.G1.Point.BASE;
  const order = bn254.fields.Fr.ORDER;
  const encode = (point: typeof G): Buffer => {
    const { x, y } = point.toAffine();
    return point.is0() ? Buffer.alloc(64) : Buffer.concat([word(x), word(y)]);
  };
  for (let i = 0; i < 12; i++) {
    const factor = (BigInt(`0x${hex(bytes(32))}`) % (order - 1n)) + 1n;
    const a = G.multiply(factor);
    const b = i % 4 === 0 ? a : i % 4 === 1 ? a.negate() : i % 4 === 2 ? bn254.G1.Point.ZERO : G;
    assert.equal(call("bnAdd", Buffer.concat([encode(a), encode(b)])), 1);
    assert.equal(result(64), hex(encode(a.add(b))));
    assert.equal(call("bnMultiply", Buffer.concat([encode(G), word(factor)])), 1);
    assert.equal(result(64), hex(encode(a)));
  }
  assert.equal(call("bnMultiply", Buffer.concat([encode(G), word(order)])), 1);
  assert.equal(result(64), "00".repeat(64));
  assert.equal(call("bnAdd", Buffer.concat([word(1n), word(1n), Buffer.alloc(64)])), 0);
  assert.equal(call("bnAdd", Buffer.concat([word(bn254.fields.Fp.ORDER), word(2n), Buffer.alloc(64)])), 0);
});

test("bn254: pairings", () => {
  const G1 = bn254.G1.Point.BASE;
  const G2 = bn254.G2.Point.BASE;
  const first = (point: typeof G1): Buffer =>
    Buffer.concat([word(point.toAffine().x), word(point.toAffine().y)]);
  const second = (point: typeof G2): Buffer => {
    const { x, y } = point.toAffine();
    return Buffer.concat([x.c1, x.c0, y.c1, y.c0].map(word));
  };
  const [a, b] = [123456789n, 987654321n];
  const good = [
    first(G1.multiply(a)),
    second(G2.multiply(b)),
    first(G1.multiply(a * b).negate()),
    second(G2),
  ];
  assert.equal(call("bnPairing", Buffer.concat(good), 2), 1);
  const other = [...good.slice(0, 2), first(G1.multiply(a * b)), second(G2)];
  assert.equal(call("bnPairing", Buffer.concat(other), 2), 0);
  assert.equal(call("bnPairing", Buffer.alloc(0), 0), 1);
  assert.equal(call("bnPairing", Buffer.alloc(192), 1), 1);
  const off = second(G2);
  off[40] = (off[40] as number) ^ 1;
  assert.equal(call("bnPairing", Buffer.concat([first(G1), off]), 1), -1);
});
