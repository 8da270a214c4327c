/**
 * A pool of two tokens whose product does not fall: x · y = k. A sender of one token gets as much of the
 * other as keeps the product, less a fee of 0.3 % that stays. It only counts; the router moves the tokens.
 *
 * Entries:
 *   fill(0)       sets the reserves, two u64 in the inbox
 *   swap(token)   of that token so much is given and of the other so much is wanted at least, two u64 in the
 *                 inbox: what is received, or -1 if that is less, and nothing happened
 */

import { Item, U128 } from "../../../guest/index.ts";
import * as message from "./messages.ts";

export const STATE_BYTES: u32 = message.POOL_STATE_BYTES;

const product: usize = memory.data(16, 8);

export function fill(argument: i64): i64 {
  memory.copy(message.POOL_RESERVES, Item.input, 16);
  return 0;
}

export function swap(token: i64): i64 {
  const given = message.POOL_RESERVES + <usize>token * 8;
  const taken = message.POOL_RESERVES + <usize>(1 - token) * 8;
  const amount = load<u64>(Item.input);
  const minimum = load<u64>(Item.input, 8);
  // Reserves and amounts are at most 2^53, as the router sees to: nothing here is more than 64 bits.
  const counted = amount * 997;
  U128.product(product, load<u64>(taken), counted);
  U128.divideU64(product, product, load<u64>(given) * 1000 + counted);
  const received = load<u64>(product);
  if (received < minimum) return -1;
  store<u64>(given, load<u64>(given) + amount);
  store<u64>(taken, load<u64>(taken) - received);
  return received;
}
