/**
 * Inputs for the precompiled contracts: good ones, and what goes wrong with them. Most malformed ones are
 * good ones that were damaged, so that they come past the first check.
 */

import { bn254 } from "@noble/curves/bn254.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import type { Random } from "../program/random.ts";
import { bytesOf } from "./ethereumjs.ts";

const P = bn254.fields.Fp.ORDER;
const ORDER = bn254.fields.Fr.ORDER;
const EDGES = [0n, 1n, 2n, P - 1n, P, P + 1n, ORDER - 1n, ORDER, ORDER + 1n, 2n ** 256n - 1n];

/** Makes an input for the contract with that number. */
export function inputFor(random: Random, number: number): Buffer {
  const make = [anything, recovery, anything, anything, anything, power, addition, multiple, pairing, blake][
    number
  ];
  return damaged(random, (make as typeof anything)(random), number);
}

/** Cut off, longer, or with other bytes; often as it was. */
function damaged(random: Random, input: Buffer, number: number): Buffer {
  const way = random.below(8);
  if (way === 0) return input.subarray(0, random.below(input.length + 1));
  if (way === 1) return Buffer.concat([input, bytes(random, random.below(number === 8 ? 200 : 70))]);
  if (way !== 2 || input.length === 0) return input;
  const changed = Buffer.from(input);
  const at = random.below(input.length);
  changed[at] = (changed[at] as number) ^ (1 << random.below(8));
  return changed;
}

function bytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.next() & 255));
}

function word(value: bigint): Buffer {
  return Buffer.from(bytesOf(value, 32));
}

function scalar(random: Random): bigint {
  if (random.chance(20)) return random.pick(EDGES);
  return BigInt(`0x${bytes(random, 1 + random.below(32)).toString("hex")}`);
}

function anything(random: Random): Buffer {
  return bytes(random, random.below(random.chance(90) ? 200 : 5000));
}

/** hash, v, r, s. */
function recovery(random: Random): Buffer {
  const hash = bytes(random, 32);
  const key = secp256k1.utils.randomSecretKey(bytes(random, 48));
  const signed = secp256k1.sign(hash, key, { prehash: false, format: "recovered" });
  const n = secp256k1.Point.Fn.ORDER;
  const edges = [0n, 1n, n - 1n, n, n + 1n, secp256k1.Point.Fp.ORDER, 2n ** 256n - 1n];
  const part = (at: number): Buffer =>
    random.chance(15) ? word(random.pick(edges)) : Buffer.from(signed.subarray(at, at + 32));
  const v = random.chance(80)
    ? BigInt(27 + (signed[0] as number))
    : random.pick([0n, 1n, 27n, 28n, 29n, 283n, 2n ** 255n]);
  return Buffer.concat([hash, word(v), part(1), part(33)]);
}

/** Three lengths, base, exponent, modulus. */
function power(random: Random): Buffer {
  const length = (): number =>
    random.chance(15) ? random.pick([0, 1, 31, 32, 33, 64, 65]) : random.below(80);
  const parts = [length(), length(), length()].map((size) => operand(random, size));
  const lengths = parts.map((part) => word(BigInt(part.length)));
  if (random.chance(8))
    lengths[random.below(3)] = word(random.pick([2n ** 32n - 1n, 2n ** 64n, 2n ** 256n - 1n, 1024n]));
  return Buffer.concat([...lengths, ...parts]);
}

function operand(random: Random, length: number): Buffer {
  const part = bytes(random, length);
  const shape = random.below(7);
  if (shape === 0) part.fill(0);
  if (shape === 1) part.fill(255);
  if (shape === 2) part.fill(0, 0, random.below(length + 1));
  if (shape === 3) part.fill(0, random.below(length + 1));
  if (shape === 4 && length > 0) part.fill(0).writeUInt8(1, length - 1);
  return part;
}

function firstPoint(random: Random): Buffer {
  const way = random.below(10);
  if (way === 0) return Buffer.alloc(64);
  if (way === 1) return Buffer.concat([word(scalar(random)), word(scalar(random))]);
  const factor = random.chance(20) ? BigInt(1 + random.below(3)) : (scalar(random) % (ORDER - 1n)) + 1n;
  const { x, y } = bn254.G1.Point.BASE.multiply(factor).toAffine();
  // The same point once more, beyond the field.
  return Buffer.concat([word(way === 2 && x + P < 2n ** 256n ? x + P : x), word(way === 3 ? P - y : y)]);
}

function secondPoint(random: Random): Buffer {
  const way = random.below(12);
  if (way === 0) return Buffer.alloc(128);
  const factor = random.chance(40) ? BigInt(1 + random.below(4)) : (scalar(random) % (ORDER - 1n)) + 1n;
  const { x, y } = way === 1 ? outsidePoint(random) : bn254.G2.Point.BASE.multiply(factor).toAffine();
  const parts = [x.c1, x.c0, y.c1, y.c0];
  if (way === 2) parts[random.below(4)] = scalar(random);
  return Buffer.concat(parts.map(word));
}

/** A point on the second curve, but outside of the group: almost every point is. */
function outsidePoint(random: Random): { x: { c0: bigint; c1: bigint }; y: { c0: bigint; c1: bigint } } {
  const Fp2 = bn254.fields.Fp2;
  const { x: bx, y: by } = bn254.G2.Point.BASE.toAffine();
  const b = Fp2.sub(Fp2.sqr(by), Fp2.mul(Fp2.sqr(bx), bx));
  for (let c0 = scalar(random) % P; ; c0 = (c0 + 1n) % P) {
    const x = Fp2.create({ c0, c1: 1n });
    const square = Fp2.add(Fp2.mul(Fp2.sqr(x), x), b);
    try {
      return { x, y: Fp2.sqrt(square) };
    } catch {
      // Half of all have no root.
    }
  }
}

function addition(random: Random): Buffer {
  const a = firstPoint(random);
  return Buffer.concat([a, random.chance(20) ? a : firstPoint(random)]);
}

function multiple(random: Random): Buffer {
  return Buffer.concat([firstPoint(random), word(scalar(random))]);
}

/** Pairs; half of the time the product of pairings is one, if nothing is wrong with it. */
function pairing(random: Random): Buffer {
  if (random.chance(50)) {
    const pairs = Array.from({ length: random.below(3) }, () => [firstPoint(random), secondPoint(random)]);
    return Buffer.concat(pairs.flat());
  }
  const [a, b] = [BigInt(1 + random.below(1000)), BigInt(1 + random.below(1000))];
  const first = (point: typeof bn254.G1.Point.BASE): Buffer => {
    const { x, y } = point.toAffine();
    return Buffer.concat([word(x), word(y)]);
  };
  const second = (factor: bigint): Buffer => {
    const { x, y } = bn254.G2.Point.BASE.multiply(factor).toAffine();
    return Buffer.concat([x.c1, x.c0, y.c1, y.c0].map(word));
  };
  const G1 = bn254.G1.Point.BASE;
  return Buffer.concat([first(G1.multiply(a)), second(b), first(G1.multiply(a * b).negate()), second(1n)]);
}

/** Rounds, state, message, offsets, final flag. */
function blake(random: Random): Buffer {
  const input = bytes(random, 213);
  input.writeUInt32BE(random.chance(95) ? random.below(40) : random.next(), 0);
  input.writeUInt8(random.below(random.chance(90) ? 2 : 256), 212);
  return input;
}
