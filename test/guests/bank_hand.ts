/** bank_typed.ts by hand: the same state at the same addresses, the same checks, inputs and outputs. */

import { Address, Item, StateCell, StateMap, fail, minus, plus } from "../../guest/index.ts";

@unmanaged
@final
class Account {
  balance: u64 = 0;
  nonce: u64 = 0;
}

export const STATE_BYTES: u32 = 131072;
const accounts = new StateMap<Address, Account>(1000, 64);
const fees = new StateCell<u64>(96256);

export function transaction(length: i64): i64 {
  if (length < 24) fail("input");
  switch (load<u32>(Item.input)) {
    case 1:
      return mint(length);
    case 2:
      return pay(length);
  }
  fail("no such function");
  return 0;
}

export function view(length: i64): i64 {
  if (length < 24) fail("input");
  switch (load<u32>(Item.input)) {
    case 3:
      return balanceOf(length);
  }
  fail("no such function");
  return 0;
}

function mint(length: i64): i64 {
  if (length != 52) fail("input");
  const account = accounts.getOrAdd(Address.from(Item.input + 24));
  account.balance = plus(account.balance, load<u64>(Item.input + 44));
  return answer(account.balance);
}

function pay(length: i64): i64 {
  if (length != 72) fail("input");
  const from = Address.from(Item.input + 24);
  const amount = load<u64>(Item.input + 64);
  if (from != Address.from(Item.input + 4)) fail("not yours");
  const source = accounts.get(from);
  if (source.balance < plus(amount, 1)) fail("overdraft");
  source.balance = minus(source.balance, amount + 1);
  source.nonce++;
  const target = accounts.getOrAdd(Address.from(Item.input + 44));
  target.balance = plus(target.balance, amount);
  fees.add(1);
  return answer(source.balance);
}

function balanceOf(length: i64): i64 {
  if (length != 44) fail("input");
  return answer(accounts.get(Address.from(Item.input + 24)).balance);
}

/** No events, and a result. */
function answer(result: u64): i64 {
  store<u32>(Item.output, 0);
  store<u64>(Item.output + 4, result);
  Item.finish(12);
  return 0;
}
