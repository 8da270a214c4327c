/**
 * A fungible token: balances, allowances and the supply. State: `tokenBalances`, `tokenAllowances`,
 * `tokenSupply`. Functions that take `from` or `owner` do not ask who calls: pass `caller()`, or somebody who
 * has agreed.
 *
 *   @transaction transfer(to: Address, amount: u256): void { transfer(caller(), to, amount); }
 *   @transaction spend(from: Address, to: Address, amount: u256): void {
 *     useAllowance(from, caller(), amount);
 *     transfer(from, to, amount);
 *   }
 *
 * Transfers between different accounts conflict only where entries share a line; the supply accumulates.
 */

import { Address, StateCell, StateMap, emit, fail, record, u256 } from "stillpoint/guest";

@record
class TokenBalance {
  amount: u256;
}

@record
class Allowance {
  owner: Address;
  spender: Address;
}

/** Made where `from` is zero, gone where `to` is. */
@record
class Transfer {
  from: Address;
  to: Address;
  amount: u256;
}

@record
class Approval {
  owner: Address;
  spender: Address;
  amount: u256;
}

const tokenBalances = new StateMap<Address, TokenBalance>(1 << 18);
const tokenAllowances = new StateMap<Allowance, TokenBalance>(1 << 16);
const tokenSupply = new StateCell<u256>();

export function balanceOf(who: Address): u256 {
  return tokenBalances.has(who) ? tokenBalances.get(who).amount : u256.zero();
}

export function totalSupply(): u256 {
  return tokenSupply.value;
}

/** Makes tokens. Fails with "overflow" above 2^256 - 1 in all. */
export function mint(to: Address, amount: u256): void {
  tokenSupply.add(amount);
  credit(to, amount);
  tell(Address.zero(), to, amount);
}

/** Takes tokens out of the world. Fails with "insufficient balance". */
export function burn(from: Address, amount: u256): void {
  debit(from, amount);
  tokenSupply.subtract(amount);
  tell(from, Address.zero(), amount);
}

/** Fails with "insufficient balance". */
export function transfer(from: Address, to: Address, amount: u256): void {
  debit(from, amount);
  credit(to, amount);
  tell(from, to, amount);
}

/** How much `spender` may still spend for `owner`. */
export function allowance(owner: Address, spender: Address): u256 {
  const key = pair(owner, spender);
  return tokenAllowances.has(key) ? tokenAllowances.get(key).amount : u256.zero();
}

/** Lets `spender` spend so much for `owner` in all, instead of what it was before. */
export function approve(owner: Address, spender: Address, amount: u256): void {
  const key = pair(owner, spender);
  if (amount.isZero()) tokenAllowances.delete(key);
  else tokenAllowances.getOrAdd(key).amount = amount;
  const approval = new Approval();
  approval.owner = owner;
  approval.spender = spender;
  approval.amount = amount;
  emit(approval);
}

/** Takes `amount` off an allowance. Fails with "insufficient allowance". */
export function useAllowance(owner: Address, spender: Address, amount: u256): void {
  const key = pair(owner, spender);
  const left = allowance(owner, spender);
  if (left.lessThan(amount)) fail("insufficient allowance");
  if (left == amount) tokenAllowances.delete(key);
  else tokenAllowances.get(key).amount = left.subtract(amount);
}

function debit(from: Address, amount: u256): void {
  if (balanceOf(from).lessThan(amount)) fail("insufficient balance");
  const entry = tokenBalances.getOrAdd(from);
  entry.amount = entry.amount.subtract(amount);
}

function credit(to: Address, amount: u256): void {
  const entry = tokenBalances.getOrAdd(to);
  entry.amount = entry.amount.add(amount);
}

function pair(owner: Address, spender: Address): Allowance {
  const key = new Allowance();
  key.owner = owner;
  key.spender = spender;
  return key;
}

function tell(from: Address, to: Address, amount: u256): void {
  const event = new Transfer();
  event.from = from;
  event.to = to;
  event.amount = amount;
  emit(event);
}
