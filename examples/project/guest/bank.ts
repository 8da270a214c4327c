/** A bank: accounts, which pay each other. What the two constants below hold is the state: it is kept. */

import {
  Address,
  StateCell,
  StateMap,
  caller,
  contract,
  emit,
  fail,
  minus,
  plus,
  record,
} from "stillpoint/guest";
import { setup, transaction, view } from "stillpoint/guest";

@record
class Account {
  balance: u64 = 0;
  payments: u32 = 0;
}

@record
class Paid {
  from: Address;
  to: Address;
  amount: u64 = 0;
}

const accounts = new StateMap<Address, Account>(100_000);
const supply = new StateCell<u64>();

@contract
class Bank {
  /** Runs once, before all transactions: each of these accounts begins with so much. */
  @setup({ holders: 100 })
  begin(holders: Address[], amount: u64): void {
    for (let i = 0; i < holders.length; i++) {
      accounts.getOrAdd(holders[i]).balance = amount;
      supply.add(amount);
    }
  }

  /** Returns what is left to the caller. A failure undoes all that the transaction did. */
  @transaction
  pay(to: Address, amount: u64): u64 {
    if (!accounts.has(caller())) fail("no account");
    const from = accounts.get(caller());
    if (from.balance < amount) fail("overdraft");
    from.balance = minus(from.balance, amount);
    from.payments++;
    const target = accounts.getOrAdd(to);
    target.balance = plus(target.balance, amount);
    const paid = new Paid();
    paid.from = caller();
    paid.to = to;
    paid.amount = amount;
    emit(paid);
    return from.balance;
  }

  @view
  balanceOf(who: Address): u64 {
    return accounts.has(who) ? accounts.get(who).balance : 0;
  }

  @view
  supply(): u64 {
    return supply.value;
  }
}
