/** A small bank with types: what it costs is compared with bank_hand.ts, the same by hand. */

import {
  Address,
  StateCell,
  StateMap,
  caller,
  contract,
  fail,
  minus,
  plus,
  record,
  transaction,
  view,
} from "../../guest/index.ts";

@record
class Account {
  balance: u64 = 0;
  nonce: u64 = 0;
}

const accounts = new StateMap<Address, Account>(1000);
const fees = new StateCell<u64>();

@contract
class Bank {
  @transaction
  mint(to: Address, amount: u64): u64 {
    const account = accounts.getOrAdd(to);
    account.balance = plus(account.balance, amount);
    return account.balance;
  }

  @transaction
  pay(from: Address, to: Address, amount: u64): u64 {
    if (from != caller()) fail("not yours");
    const source = accounts.get(from);
    if (source.balance < plus(amount, 1)) fail("overdraft");
    source.balance = minus(source.balance, amount + 1);
    source.nonce++;
    const target = accounts.getOrAdd(to);
    target.balance = plus(target.balance, amount);
    fees.add(1);
    return source.balance;
  }

  @view
  balanceOf(who: Address): u64 {
    return accounts.get(who).balance;
  }
}
