/**
 * The router: knows which keys are used, and lets an order move tokens. Its children are two tokens and the
 * pool, each a process of its own; an order that spans several of them happens in all or in none.
 *
 * Entries:
 *   setup(accounts)  makes the children, from the setup in the inbox
 *   run(length)      item, an order: what a swap received, else 0
 *
 * A refusal is an abort whose line is a STATUS_… and whose column is 0. So everything that the order has
 * done until then is undone, in the children too.
 */

import {
  Accounts,
  RECORDS_OFFSET,
  Child,
  Item,
  RECORD_BYTES,
  RECORD_NONCE,
  check,
  memoryQuota,
} from "../../../guest/index.ts";
import * as message from "./messages.ts";

export const STATE_BYTES: u32 = message.ROUTER_STATE_BYTES;
/** Names for the addresses in reports of batches. */
export const STATE_TABLE: usize = message.TABLE;
export const STATE_SENDERS: usize = message.TABLE + RECORDS_OFFSET;
export const STATE_SENDERS_STRIDE: u32 = RECORD_BYTES;

/** Nonce of a record: the first key that may still be used. */
const senders = Accounts.within(message.TABLE, STATE_BYTES - message.TABLE);

/** The holder of the pool's tokens: an address for which there are no keys. */
const poolAddress: usize = memory.data(20, 8);
const payment: usize = memory.data(48, 8);

const POOL: i32 = 2; // the tokens are 0 and 1
const CHILD_PAGES: u32 = 64;
const CHILD_GAS: u64 = 1_000_000;
/** The supply of a token, at most: then the pool can count with it. */
const SUPPLY_MAX: u64 = 1 << 53;

export function setup(accounts: i64): i64 {
  const setup = Item.input;
  const holders = setup + message.SETUP_BYTES;
  for (let token = 0; token < 2; token++) {
    check(
      Child.at(token)
        .create(setup + message.SETUP_TOKEN, memoryQuota(CHILD_PAGES))
        .put(),
      "make a token",
    );
    let supply: u64 = mint(token, poolAddress, load<u64>(setup + token * 8, message.SETUP_RESERVES));
    for (let i: i32 = 0; i < <i32>accounts; i++) {
      const holder = holders + i * message.HOLDER_BYTES;
      supply += mint(token, holder, load<u64>(holder + token * 8, message.HOLDER_BALANCES));
      senders.findOrAdd(holder);
    }
    if (supply > SUPPLY_MAX) throw new Error("router: more than 2^53 of a token");
  }
  const pool = Child.at(POOL);
  check(pool.create(setup + message.SETUP_POOL, memoryQuota(CHILD_PAGES)).put(), "make the pool");
  pool.copyIn(setup + message.SETUP_RESERVES, message.POOL_STATE_BYTES, 16).call("fill", 0, CHILD_GAS);
  return 0;
}

export function run(length: i64): i64 {
  const order = Item.input;
  if (length != message.ORDER_BYTES) refuse(message.STATUS_MALFORMED);
  const kind = load<u32>(order, message.TRANSACTION_KIND);
  const token = load<u32>(order, message.TRANSACTION_TOKEN);
  const amount = load<u64>(order, message.TRANSACTION_AMOUNT);
  if (kind > message.SWAP || token > 1) refuse(message.STATUS_MALFORMED);
  useKey(senders.findOrAdd(order), load<u64>(order, message.ORDER_KEY));
  if (kind == message.TRANSFER) {
    pay(token, order, order + message.TRANSACTION_TO, amount);
    return 0;
  }
  pay(token, order, poolAddress, amount);
  const received = swap(token, order + message.TRANSACTION_AMOUNT);
  pay(1 - token, poolAddress, order, received);
  return received;
}

// ---- inside ----------------------------------------------------------------------------------------------

function refuse(status: u32): void {
  abort(null, null, status, 0);
}

/** A key signs once, and keys are used in ascending order. */
function useKey(sender: usize, key: u64): void {
  if (key < load<u64>(sender, RECORD_NONCE)) refuse(message.STATUS_REPLAY);
  store<u64>(sender, key + 1, RECORD_NONCE);
}

function pay(token: i32, from: usize, to: usize, amount: u64): void {
  layPayment(from, to, amount);
  const child = Child.at(token).copyIn(payment, message.TOKEN_STATE_BYTES, message.PAYMENT_BYTES);
  if (child.call("transfer", 0, CHILD_GAS) != message.STATUS_APPLIED) refuse(message.STATUS_OVERDRAFT);
}

/** Has the pool count a swap; `amounts`: what is given, what is wanted at least. What is received. */
function swap(token: i32, amounts: usize): u64 {
  const pool = Child.at(POOL).copyIn(amounts, message.POOL_STATE_BYTES, 16);
  const received = pool.call("swap", token, CHILD_GAS);
  if (received < 0) refuse(message.STATUS_SLIPPAGE);
  return received;
}

function mint(token: i32, to: usize, amount: u64): u64 {
  layPayment(poolAddress, to, amount);
  const child = Child.at(token).copyIn(payment, message.TOKEN_STATE_BYTES, message.PAYMENT_BYTES);
  child.call("mint", 1, CHILD_GAS);
  return amount;
}

function layPayment(from: usize, to: usize, amount: u64): void {
  memory.copy(payment, from, 20);
  memory.copy(payment + message.PAYMENT_TO, to, 20);
  store<u64>(payment, amount, message.PAYMENT_AMOUNT);
}
