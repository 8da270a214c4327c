/**
 * Items of the batch benchmark: payments between accounts, each with some work of its own before it.
 *
 * State: an account each 64 bytes: u64 balance, u64 sequence. Input: u32 turns of the work, u32 number of
 * accounts, then the accounts as u32. An item reads all of them and writes the first ones.
 */

import { Sha256 } from "../../../guest/sha256";

export const STATE_BYTES: u32 = 16 << 20;
export const STATE_ACCOUNTS: usize = 0;
export const STATE_ACCOUNTS_STRIDE: u32 = 64;

const INBOX: usize = STATE_BYTES;
const ACCOUNT_SHIFT: usize = 6;
const scratch: usize = memory.data(64, 8);

function account(place: usize): usize {
  return (<usize>load<u32>(INBOX + 8 + (place << 2))) << ACCOUNT_SHIFT;
}

/** Arithmetic in locals, one turn about a nanosecond. */
function mix(turns: u32): u64 {
  let x: u64 = turns;
  for (let i: u32 = 0; i < turns; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
  }
  return x;
}

/** SHA-256 over private memory, one turn one compression. */
function sha(turns: u32): u64 {
  for (let i: u32 = 0; i < turns; i++) Sha256.hash(scratch, 32, scratch);
  return load<u64>(scratch);
}

/** Moves one unit from the first account to the second; the others that are written count it. */
function pay(written: usize, noise: u64): i64 {
  const count = <usize>load<u32>(INBOX, 4);
  let sum: u64 = noise & 1;
  for (let i: usize = 0; i < count; i++) sum += load<u64>(account(i));
  const from = account(0);
  const to = account(1);
  store<u64>(from, load<u64>(from) - 1);
  store<u64>(from, load<u64>(from, 8) + 1, 8);
  store<u64>(to, load<u64>(to) + 1);
  for (let i: usize = 2; i < written; i++) store<u64>(account(i), load<u64>(account(i), 8) + 1, 8);
  return <i64>sum;
}

export function mix2(length: i64): i64 {
  return pay(2, mix(load<u32>(INBOX)));
}

export function mix5(length: i64): i64 {
  return pay(5, mix(load<u32>(INBOX)));
}

export function sha2(length: i64): i64 {
  return pay(2, sha(load<u32>(INBOX)));
}

export function sha5(length: i64): i64 {
  return pay(5, sha(load<u32>(INBOX)));
}
