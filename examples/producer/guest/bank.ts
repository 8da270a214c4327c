/**
 * The contract of the producer: accounts that pay each other. The node has checked who makes a payment; that
 * none is made twice is checked here, by numbers that ascend for each account.
 */

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
} from "stillpoint/guest";

@record
class Account {
  balance: u64 = 0;
  /** Number of the last payment. */
  sequence: u64 = 0;
}

const accounts = new StateMap<Address, Account>(1 << 20);
const supply = new StateCell<u64>();

@contract
class Bank {
  /** Creates the whole money supply, for the caller. */
  @transaction
  found(amount: u64): void {
    if (supply.value != 0) fail("founded already");
    supply.value = amount;
    accounts.getOrAdd(caller()).balance = amount;
  }

  /** Pays once: a number that is not above that of the last payment was used. What is left. */
  @transaction
  pay(sequence: u64, to: Address, amount: u64): u64 {
    if (!accounts.has(caller())) fail("no account");
    const from = accounts.get(caller());
    if (sequence <= from.sequence) fail("used");
    if (from.balance < amount) fail("overdraft");
    from.sequence = sequence;
    from.balance = minus(from.balance, amount);
    const target = accounts.getOrAdd(to);
    target.balance = plus(target.balance, amount);
    return from.balance;
  }

  /** Zeros for an address without an account. */
  @view
  account(who: Address): Account {
    return accounts.has(who) ? accounts.get(who) : new Account();
  }

  @view
  total(): u64 {
    return supply.value;
  }
}
