/** Collections in state, each operation as an export of its own; and a program that takes batches of them. */

import {
  Address,
  Bytes32,
  Item,
  StateCell,
  StateMap,
  StateSet,
  StateVector,
  minus,
  plus,
  times,
} from "../../guest/index.ts";

export const STATE_BYTES: u32 = 1 << 20;

@unmanaged
class Account {
  balance: u64 = 0;
  nonce: u32 = 0;
  frozen: bool = false;
}

const accounts = new StateMap<Address, Account>(48, 64);
export const STATE_ACCOUNTS: usize = 64 + 128;
export const STATE_ACCOUNTS_STRIDE: u32 = 64;
const numbers = new StateMap<u32, u16>(20, accounts.end);
const names = new StateSet<Bytes32>(30, numbers.end);
const journal = new StateVector<Account>(10, names.end);
const bytes = new StateVector<u8>(100, journal.end);
const total = new StateCell<u64>(bytes.end);
const owner = new StateCell<Address>(total.end);
const many = new StateMap<u64, u64>(4000, owner.end);

const area: usize = memory.data(64, 8);

export function scratch(): usize {
  return area;
}

export function end(): usize {
  return many.end;
}

export function accounts_add(key: usize, amount: u64): u64 {
  const account = accounts.getOrAdd(Address.from(key));
  account.balance += amount;
  account.nonce++;
  return account.balance;
}
export function accounts_balance(key: usize): u64 {
  return accounts.get(Address.from(key)).balance;
}
export function accounts_delete(key: usize): bool {
  return accounts.delete(Address.from(key));
}
export function accounts_next(position: u32): u32 {
  return accounts.next(position);
}
export function accounts_key(position: u32): usize {
  return changetype<usize>(accounts.keyAt(position));
}
export function accounts_at(position: u32): usize {
  return changetype<usize>(accounts.valueAt(position));
}
export function accounts_size(): u32 {
  return accounts.size;
}
export function accounts_seed(a: u64, b: u64): void {
  accounts.seed(a, b);
}

export function numbers_set(key: u32, value: u32): void {
  numbers.set(key, <u16>value);
}
export function numbers_get(key: u32): u32 {
  return numbers.get(key);
}
export function numbers_has(key: u32): bool {
  return numbers.has(key);
}
export function numbers_delete(key: u32): bool {
  return numbers.delete(key);
}

export function names_add(key: usize): bool {
  return names.add(Bytes32.from(key));
}
export function names_has(key: usize): bool {
  return names.has(Bytes32.from(key));
}
export function names_delete(key: usize): bool {
  return names.delete(Bytes32.from(key));
}
export function names_size(): u32 {
  return names.size;
}

export function journal_add(balance: u64): u32 {
  journal.add().balance = balance;
  return journal.length;
}
export function journal_pop(): void {
  journal.pop();
}
export function journal_at(index: u32): u64 {
  return journal[index].balance;
}

export function bytes_push(value: u32): u32 {
  return bytes.push(<u8>value);
}
export function bytes_set(index: u32, value: u32): void {
  bytes[index] = <u8>value;
}
export function bytes_get(index: u32): u32 {
  return bytes[index];
}
export function bytes_pop(): void {
  bytes.pop();
}

export function total_add(amount: u64): u64 {
  total.add(amount);
  return total.value;
}
export function total_subtract(amount: u64): u64 {
  total.subtract(amount);
  return total.value;
}

/** Sets the owner; the bytes of the value that was read before, which the change does not reach. */
export function owner_replace(key: usize): usize {
  const before = owner.value;
  owner.value = Address.from(key);
  assert(owner.value == Address.from(key));
  return changetype<usize>(before);
}

// ---- arithmetic -------------------------------------------------------------------------------------------

export function plus_u8(a: u32, b: u32): u32 {
  return plus<u8>(<u8>a, <u8>b);
}
export function minus_u8(a: u32, b: u32): u32 {
  return minus<u8>(<u8>a, <u8>b);
}
export function times_u8(a: u32, b: u32): u32 {
  return times<u8>(<u8>a, <u8>b);
}
export function plus_i8(a: i32, b: i32): i32 {
  return plus<i8>(<i8>a, <i8>b);
}
export function minus_i8(a: i32, b: i32): i32 {
  return minus<i8>(<i8>a, <i8>b);
}
export function times_i8(a: i32, b: i32): i32 {
  return times<i8>(<i8>a, <i8>b);
}
export function plus_u64(a: u64, b: u64): u64 {
  return plus<u64>(a, b);
}
export function minus_u64(a: u64, b: u64): u64 {
  return minus<u64>(a, b);
}
export function times_u64(a: u64, b: u64): u64 {
  return times<u64>(a, b);
}
export function plus_i64(a: i64, b: i64): i64 {
  return plus<i64>(a, b);
}
export function minus_i64(a: i64, b: i64): i64 {
  return minus<i64>(a, b);
}
export function times_i64(a: i64, b: i64): i64 {
  return times<i64>(a, b);
}

// ---- items ------------------------------------------------------------------------------------------------

/** Item: u64 key. Adds it. */
export function insert(length: i64): i64 {
  many.set(load<u64>(Item.input), load<u64>(Item.input));
  return 0;
}

/** Item: u64 key. Deletes it. */
export function remove(length: i64): i64 {
  return many.delete(load<u64>(Item.input)) ? 1 : 0;
}

/** Item: u64 key. Adds it, and counts as a careless program would. */
export function insertAndCount(length: i64): i64 {
  insert(length);
  total.value = total.value + 1;
  return 0;
}

/**
 * Where the slots of `many` begin, the number of slots, and the number of entries; the argument says which.
 */
export function place(what: i64): i64 {
  if (what == 0) return many.at + 128;
  return what == 1 ? many.capacity + many.capacity / 2 + 1 : many.size;
}
