/**
 * A bank of 16,384 accounts that takes batches, by the SDK. An account: u64 balance, u64 payments, 64 bytes.
 * Input: u32 from · u32 to · u64 amount · u32 how often the output repeats the new balance of the first.
 */

import { Item } from "../../guest/index.ts";

export const STATE_BYTES: u32 = 1 << 20;

/** Gives every account something. */
export function found(each: i64): i64 {
  for (let account: usize = 0; account < STATE_BYTES; account += 64) store<u64>(account, each);
  return 0;
}

export function pay(length: i64): i64 {
  assert(length == 20, "pay: input");
  const from = (<usize>load<u32>(Item.input)) << 6;
  const to = (<usize>load<u32>(Item.input, 4)) << 6;
  const amount = load<u64>(Item.input, 8);
  if (load<u64>(from) < amount) throw new Error("pay: too poor");
  store<u64>(from, load<u64>(from) - amount);
  store<u64>(from, load<u64>(from, 8) + 1, 8);
  store<u64>(to, load<u64>(to) + amount);
  const times = load<u32>(Item.input, 16);
  for (let i: u32 = 0; i < times; i++) Item.write(from, 8);
  return <i64>load<u64>(from, 8);
}
