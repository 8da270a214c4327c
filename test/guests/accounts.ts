/**
 * A million accounts of 64 bytes, of which the first 8 are a balance: for the bench of durable blocks. Input
 * of a payment: u32 from · u32 to.
 */

import { Item } from "../../guest/index.ts";

export const STATE_BYTES: u32 = 1 << 26;
export const STATE_ACCOUNTS: usize = 0;
export const STATE_ACCOUNTS_STRIDE: u32 = 64;

/** Gives every account something. */
export function found(each: i64): i64 {
  for (let account: usize = 0; account < STATE_BYTES; account += 64) store<u64>(account, each);
  return 0;
}

export function pay(length: i64): i64 {
  assert(length == 8, "pay: input");
  const from = (<usize>load<u32>(Item.input)) << 6;
  const to = (<usize>load<u32>(Item.input, 4)) << 6;
  store<u64>(from, load<u64>(from) - 1);
  store<u64>(to, load<u64>(to) + 1);
  return 0;
}
