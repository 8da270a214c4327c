/** The SDK's cryptography, to be called from a test: operands in one place, results in another. */

import {
  Blake2b,
  Bn254,
  Ed25519,
  Keccak256,
  Ripemd160,
  Secp256k1,
  Sha512,
  modularPower,
} from "../../guest/crypto/index.ts";

const from: usize = memory.data(4096, 8);
const to: usize = memory.data(1024, 8);
const state: usize = memory.data(208, 8);
const work: usize = memory.data(32768, 8);

export function input(): usize {
  return from;
}

export function output(): usize {
  return to;
}

export function keccak(length: u32): void {
  Keccak256.hash(from, length, to);
}

export function keccakInParts(length: u32, part: u32): void {
  Keccak256.begin(state);
  for (let at: u32 = 0; at < length; at += part)
    Keccak256.update(state, from + at, min<u32>(part, length - at));
  Keccak256.end(state, to);
}

export function ripemd(length: u32): void {
  Ripemd160.hash(from, length, to);
}

export function blake(rounds: u32, length: u64): void {
  memory.copy(to, from, 64);
  Blake2b.compress(to, from + 64, length, 0, true, rounds);
}

export function power(baseLength: u32, exponentLength: u32, modulusLength: u32): void {
  const exponent = from + baseLength;
  const modulus = exponent + exponentLength;
  modularPower(to, from, baseLength, exponent, exponentLength, modulus, modulusLength, work);
}

export function recover(parity: u32): i32 {
  return i32(Secp256k1.recover(to, from, from + 32, from + 64, parity != 0));
}

export function verify(): i32 {
  return i32(Secp256k1.verify(from, from + 32, from + 64, from + 96));
}

export function bnAdd(): i32 {
  return i32(Bn254.add(to, from, from + 64));
}

export function bnMultiply(): i32 {
  return i32(Bn254.multiply(to, from, from + 64));
}

export function bnPairing(count: u32): i32 {
  return Bn254.pairing(from, count);
}

export function sha512(length: u32): void {
  Sha512.hash(from, length, to);
}

export function sha512InParts(length: u32, part: u32): void {
  Sha512.begin(state);
  for (let at: u32 = 0; at < length; at += part) Sha512.update(state, from + at, min<u32>(part, length - at));
  Sha512.end(state, to);
}

/** Signature, public key, message. */
export function ed25519(length: u32): i32 {
  return i32(Ed25519.verify(from, from + 96, length, from + 64));
}
