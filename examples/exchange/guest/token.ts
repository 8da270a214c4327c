/**
 * A token: its holders and their balances. Only its parent, the router, can start it, so it checks no
 * permissions.
 *
 * Entries, on what stands in the inbox:
 *   mint(count)   so many payments, whose payers do not matter
 *   transfer(0)   a payment: 0, or STATUS_OVERDRAFT and nothing happened
 */

import { Accounts, Item, RECORD_BALANCE } from "../../../guest/index.ts";
import * as message from "./messages.ts";

export const STATE_BYTES: u32 = message.TOKEN_STATE_BYTES;

const holders = Accounts.within(message.TABLE, STATE_BYTES - message.TABLE);

export function mint(count: i64): i64 {
  for (let i: i32 = 0; i < <i32>count; i++) credit(Item.input + i * message.PAYMENT_BYTES);
  return 0;
}

export function transfer(argument: i64): i64 {
  const payment = Item.input;
  const amount = load<u64>(payment, message.PAYMENT_AMOUNT);
  const payer = holders.find(payment);
  if (amount > (payer ? load<u64>(payer, RECORD_BALANCE) : 0)) return message.STATUS_OVERDRAFT;
  if (amount == 0) return message.STATUS_APPLIED;
  store<u64>(payer, load<u64>(payer, RECORD_BALANCE) - amount, RECORD_BALANCE);
  credit(payment);
  return message.STATUS_APPLIED;
}

/** No balance exceeds the supply, which fits. */
function credit(payment: usize): void {
  const holder = holders.findOrAdd(payment + message.PAYMENT_TO);
  const amount = load<u64>(payment, message.PAYMENT_AMOUNT);
  store<u64>(holder, load<u64>(holder, RECORD_BALANCE) + amount, RECORD_BALANCE);
}
