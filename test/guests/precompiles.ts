/** The precompiled contracts of the EVM, to be called from a test. */

import { returnArena, takeArenas } from "../../examples/evm/guest/arena.ts";
import { outputLength, precompile } from "../../examples/evm/guest/precompiles.ts";
import { useRules } from "../../examples/evm/guest/rules.ts";
import { setU64 } from "../../examples/evm/guest/words.ts";

const INPUT_BYTES: usize = 1 << 16;
const address: usize = memory.data(32, 8);
let from: usize = 0;

/** Where inputs go, of at most 64 KiB. */
export function input(): usize {
  takeArenas();
  if (!from) from = heap.alloc(INPUT_BYTES);
  return from;
}

/** Runs one of them by the rules of a fork: what gas is left, or -1. */
export function run(fork: u32, number: u32, length: u32, gas: i64): i64 {
  useRules(fork);
  setU64(address, <u64>number);
  return precompile(address, from, length, gas);
}

export function output(): usize {
  return returnArena;
}

export function produced(): u32 {
  return outputLength();
}
