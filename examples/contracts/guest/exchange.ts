/**
 * Two tokens and a pool that swaps them, in one program: what examples/exchange does with a process for each.
 * The product of the pool's reserves does not fall; 0.3 % of what is given stays in it.
 */

import {
  Address,
  StateCell,
  StateMap,
  U128,
  caller,
  contract,
  fail,
  plus,
  record,
  setup,
  times,
  transaction,
  view,
} from "stillpoint/guest";

@record
class Holder {
  first: u64 = 0;
  second: u64 = 0;
}

const holders = new StateMap<Address, Holder>(100_000);
const pool = new StateCell<Holder>();
const product: usize = memory.data(16, 8);

@contract
export class Exchange {
  @setup({ owners: 1000 })
  fill(reserves: Holder, owners: Address[], balance: u64): void {
    pool.value = reserves;
    for (let i = 0; i < owners.length; i++) {
      credit(owners[i], 0, balance);
      credit(owners[i], 1, balance);
    }
  }

  @transaction
  transfer(token: u8, to: Address, amount: u64): void {
    debit(caller(), token, amount);
    credit(to, token, amount);
  }

  /** Gives `amount` of a token for at least `minimum` of the other; what is received. */
  @transaction
  swap(token: u8, amount: u64, minimum: u64): u64 {
    debit(caller(), token, amount);
    const reserves = pool.value;
    const counted = times<u64>(amount, 997);
    U128.product(product, held(reserves, 1 - token), counted);
    U128.divideU64(product, product, plus(times<u64>(held(reserves, token), 1000), counted));
    const received = load<u64>(product);
    if (received < minimum) fail("slippage");
    set(reserves, token, plus(held(reserves, token), amount));
    set(reserves, 1 - token, held(reserves, 1 - token) - received);
    credit(caller(), 1 - token, received);
    return received;
  }

  @view
  balances(who: Address): Holder {
    return holders.has(who) ? holders.get(who) : new Holder();
  }
}

function held(holder: Holder, token: u8): u64 {
  if (token > 1) fail("no such token");
  return token == 0 ? holder.first : holder.second;
}

function set(holder: Holder, token: u8, amount: u64): void {
  if (token == 0) holder.first = amount;
  else holder.second = amount;
}

function debit(from: Address, token: u8, amount: u64): void {
  if (token > 1) fail("no such token");
  if (!holders.has(from)) fail("overdraft");
  const holder = holders.get(from);
  const before = held(holder, token);
  if (before < amount) fail("overdraft");
  set(holder, token, before - amount);
}

function credit(to: Address, token: u8, amount: u64): void {
  const holder = holders.getOrAdd(to);
  set(holder, token, plus(held(holder, token), amount));
}
