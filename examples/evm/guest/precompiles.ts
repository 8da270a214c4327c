/**
 * The contracts that are part of the rules: addresses 1 to 9, and 10 from Cancun on, whose point evaluation
 * is not supported. Each charges first, writes its output into the return buffer, and returns what gas is
 * left, or FAILED.
 */

import { Sha256, U256 } from "../../../guest/index.ts";
import { Blake2b } from "../../../guest/crypto/blake2b.ts";
import { Bn254 } from "../../../guest/crypto/bn254.ts";
import { Keccak256 } from "../../../guest/crypto/keccak.ts";
import { modularPower } from "../../../guest/crypto/modular.ts";
import { Ripemd160 } from "../../../guest/crypto/ripemd160.ts";
import { Secp256k1 } from "../../../guest/crypto/secp256k1.ts";
import { MEMORY_BYTES, RETURN_BYTES, memoryArena, returnArena } from "./arena.ts";
import { copyPadded, wordsOf } from "./frame.ts";
import * as rules from "./rules.ts";
import * as words from "./words.ts";

export const FAILED: i64 = -1;

let produced: u32 = 0;
/** Whether the transaction has called the one that is not supported; what comes of it counts for nothing. */
let refused: bool = false;
/** Input of a fixed length, padded with zeros. */
const padded: usize = memory.data(256, 8);

/** Bytes in the return buffer from the last precompile. */
export function outputLength(): u32 {
  return produced;
}

export function beginPrecompiles(): void {
  refused = false;
}

export function wasRefused(): bool {
  return refused;
}

/** Whether a word, of which 20 bytes count, is the address of one. */
export function isPrecompile(address: usize): bool {
  if (load<u64>(address, 8) | <u64>load<u32>(address, 16)) return false;
  const number = load<u64>(address);
  return number != 0 && number <= last();
}

function last(): u64 {
  if (rules.fork >= rules.CANCUN) return 10;
  return rules.fork >= rules.ISTANBUL ? 9 : rules.fork >= rules.BYZANTIUM ? 8 : 4;
}

/** Runs the one at that address. */
export function precompile(address: usize, input: usize, length: u32, gas: i64): i64 {
  produced = 0;
  switch (<u32>load<u64>(address)) {
    case 1:
      return recover(input, length, gas - 3000);
    case 2:
      gas -= 60 + 12 * wordsOf(length);
      if (gas < 0) return FAILED;
      Sha256.hash(input, length, returnArena);
      produced = 32;
      return gas;
    case 3:
      gas -= 600 + 120 * wordsOf(length);
      if (gas < 0) return FAILED;
      words.clear(returnArena);
      Ripemd160.hash(input, length, returnArena + 12);
      produced = 32;
      return gas;
    case 4:
      gas -= 15 + 3 * wordsOf(length);
      if (gas < 0) return FAILED;
      memory.copy(returnArena, input, length);
      produced = length;
      return gas;
    case 5:
      return power(input, length, gas);
    case 6:
      gas -= rules.fork >= rules.ISTANBUL ? 150 : 500;
      if (gas < 0) return FAILED;
      copyPadded(padded, input, length, 0, 128);
      produced = 64;
      return Bn254.add(returnArena, padded, padded + 64) ? gas : FAILED;
    case 7:
      gas -= rules.fork >= rules.ISTANBUL ? 6000 : 40000;
      if (gas < 0) return FAILED;
      copyPadded(padded, input, length, 0, 96);
      produced = 64;
      return Bn254.multiply(returnArena, padded, padded + 64) ? gas : FAILED;
    case 8:
      return pairing(input, length, gas);
    case 9:
      return blake(input, length, gas);
    default:
      refused = true;
      return FAILED;
  }
}

/** ECRECOVER: an input that no key has signed has no output, and is no failure. */
function recover(input: usize, length: u32, gas: i64): i64 {
  if (gas < 0) return FAILED;
  copyPadded(padded, input, length, 0, 128);
  words.reverse(padded + 128, padded + 32);
  const v = load<u64>(padded, 128);
  if (!U256.fitsU64(padded + 128) || (v != 27 && v != 28)) return gas;
  if (!Secp256k1.recover(padded + 128, padded, padded + 64, padded + 96, v == 28)) return gas;
  Keccak256.hash(padded + 128, 64, returnArena);
  memory.fill(returnArena, 0, 12);
  produced = 32;
  return gas;
}

// ---- MODEXP (EIP-198, EIP-2565) ---------------------------------------------------------------------------

const head: usize = memory.data(96, 8);
const exponentHead: usize = memory.data(32, 8);

function power(input: usize, length: u32, gas: i64): i64 {
  copyPadded(head, input, length, 0, 96);
  for (let i: usize = 0; i < 96; i += 32) words.reverse(head + i, head + i);
  const baseLength = sizeAt(0);
  const exponentLength = sizeAt(32);
  const modulusLength = sizeAt(64);
  const longest = max<u64>(baseLength, modulusLength);
  const start: u64 = 96 + baseLength;
  const headLength = <u32>min<u64>(exponentLength, 32);
  words.clear(exponentHead);
  copyPadded(exponentHead + 32 - headLength, input, length, start, headLength);
  words.reverse(exponentHead, exponentHead);
  const cost = costOfPower(longest, exponentLength);
  if (cost > <u64>gas) return FAILED;
  gas -= <i64>cost;
  if (!longest) return gas;
  // What gas can pay for is far below what fits, but for the zeros of an exponent.
  const bytes = baseLength + exponentLength + modulusLength;
  if (bytes > MEMORY_BYTES / 4 || 20 * longest + 512 > MEMORY_BYTES / 2 || modulusLength > RETURN_BYTES)
    throw new Error("evm: the operands of a modular power take more than fits");
  const operands = memoryArena + MEMORY_BYTES / 2 - <usize>bytes - 64;
  copyPadded(operands, input, length, 96, <u32>bytes);
  const exponent = operands + <usize>baseLength;
  modularPower(
    returnArena,
    operands,
    <u32>baseLength,
    exponent,
    <u32>exponentLength,
    exponent + <usize>exponentLength,
    <u32>modulusLength,
    memoryArena + MEMORY_BYTES / 2,
  );
  produced = <u32>modulusLength;
  return gas;
}

/** A length; beyond 2^32 all are the same. */
function sizeAt(at: usize): u64 {
  return U256.fitsU64(head + at) ? min<u64>(load<u64>(head + at), 0xffffffff) : 0xffffffff;
}

function costOfPower(longest: u64, exponentLength: u64): u64 {
  const bits = <u64>bitLength(exponentHead);
  const berlin = rules.fork >= rules.BERLIN;
  const inHead: u64 = bits ? bits - 1 : 0;
  const beyond: u64 = exponentLength > 32 ? 8 * (exponentLength - 32) : 0;
  const iterations = max<u64>(beyond + inHead, 1);
  let work: u64;
  if (berlin) {
    const eights = (longest + 7) >> 3;
    work = eights * eights;
  } else if (longest <= 64) {
    work = longest * longest;
  } else if (longest <= 1024) {
    work = ((longest * longest) >> 2) + 96 * longest - 3072;
  } else {
    work = ((longest * longest) >> 4) + 480 * longest - 199680;
  }
  words.setU64(head, work);
  // Beyond 64 bits nobody can pay.
  if (U256.multiplyU64(head, head, iterations) || !U256.fitsU64(head)) return u64.MAX_VALUE;
  const cost = load<u64>(head) / (berlin ? 3 : 20);
  return berlin ? max<u64>(cost, 200) : cost;
}

function bitLength(word: usize): u32 {
  for (let i: i32 = 24; i >= 0; i -= 8) {
    const limb = load<u64>(word + i);
    if (limb) return i * 8 + 64 - <u32>clz<u64>(limb);
  }
  return 0;
}

// ---- pairings (EIP-197, EIP-1108) and BLAKE2 (EIP-152) ----------------------------------------------------

const PAIR_BYTES: u32 = 192;

function pairing(input: usize, length: u32, gas: i64): i64 {
  const istanbul = rules.fork >= rules.ISTANBUL;
  const pairs = length / PAIR_BYTES;
  gas -= istanbul ? 45000 + 34000 * <i64>pairs : 100000 + 80000 * <i64>pairs;
  if (gas < 0 || length % PAIR_BYTES) return FAILED;
  const result = Bn254.pairing(input, pairs);
  if (result < 0) return FAILED;
  words.clear(returnArena);
  store<u8>(returnArena, <u8>result, 31);
  produced = 32;
  return gas;
}

const BLAKE_BYTES: u32 = 213;
const state: usize = memory.data(64, 8);
const message: usize = memory.data(128, 8);

function blake(input: usize, length: u32, gas: i64): i64 {
  if (length != BLAKE_BYTES || load<u8>(input, 212) > 1) return FAILED;
  const rounds = bswap<u32>(load<u32>(input));
  gas -= <i64>rounds;
  if (gas < 0) return FAILED;
  memory.copy(state, input + 4, 64);
  memory.copy(message, input + 68, 128);
  Blake2b.compress(
    state,
    message,
    load<u64>(input, 196),
    load<u64>(input, 204),
    load<u8>(input, 212) == 1,
    rounds,
  );
  memory.copy(returnArena, state, 64);
  produced = 64;
  return gas;
}
