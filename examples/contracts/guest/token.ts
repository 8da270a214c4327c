/** A token with a fixed supply, which the first caller gets. */

import {
  Address,
  StateCell,
  StateMap,
  caller,
  contract,
  emit,
  fail,
  record,
  transaction,
  u256,
  view,
} from "stillpoint/guest";

@record
export class Balance {
  amount: u256;
}

@record
class Transfer {
  from: Address;
  to: Address;
  amount: u256;
}

const balances = new StateMap<Address, Balance>(100_000);
const supply = new StateCell<u256>();

@contract
export class Token {
  /** Creates the whole supply, for the first caller. */
  @transaction
  found(amount: u256): void {
    if (!supply.value.isZero()) fail("founded already");
    if (amount.isZero()) fail("nothing");
    supply.value = amount;
    balances.getOrAdd(caller()).amount = amount;
  }

  @transaction
  transfer(to: Address, amount: u256): u256 {
    return move(caller(), to, amount);
  }

  @view
  balanceOf(who: Address): u256 {
    return balances.has(who) ? balances.get(who).amount : u256.zero();
  }

  @view
  total(): u256 {
    return supply.value;
  }
}

/**
 * Moves tokens for any contract of the program that has seen to it that `from` agrees; what `from` has then.
 */
export function move(from: Address, to: Address, amount: u256): u256 {
  if (!balances.has(from)) fail("insufficient balance");
  const source = balances.get(from);
  if (source.amount.lessThan(amount)) fail("insufficient balance");
  source.amount = source.amount.subtract(amount);
  const target = balances.getOrAdd(to);
  target.amount = target.amount.add(amount);
  const moved = new Transfer();
  moved.from = from;
  moved.to = to;
  moved.amount = amount;
  emit(moved);
  return source.amount;
}
