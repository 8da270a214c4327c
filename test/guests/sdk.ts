/** The SDK's functions as exports of their own, for the tests of the SDK. Not a program of its own. */

import { Accounts, Block, RECORDS_OFFSET, Sha256, U128, U256 } from "../../guest/index.ts";

// ---- memory for the host: 1 MiB from `scratch()` ----------------------------------------------------------

const area: usize = heap.alloc(1 << 20);

export function scratch(): usize {
  return area;
}

/** Leaves garbage behind: memory that is given out again is not zero. */
export function discard(length: u32): void {
  const block = heap.alloc(length);
  memory.fill(block, 0xee, length);
  heap.free(block);
}

// ---- u256 -------------------------------------------------------------------------------------------------

export function u256_add(t: usize, a: usize, b: usize): u64 {
  return U256.add(t, a, b);
}
export function u256_addU64(t: usize, a: usize, b: u64): u64 {
  return U256.addU64(t, a, b);
}
export function u256_subtract(t: usize, a: usize, b: usize): u64 {
  return U256.subtract(t, a, b);
}
export function u256_subtractU64(t: usize, a: usize, b: u64): u64 {
  return U256.subtractU64(t, a, b);
}
export function u256_multiply(t: usize, a: usize, b: usize): bool {
  return U256.multiply(t, a, b);
}
export function u256_multiplyU64(t: usize, a: usize, b: u64): u64 {
  return U256.multiplyU64(t, a, b);
}
export function u256_divide(q: usize, r: usize, a: usize, b: usize): void {
  U256.divide(q, r, a, b);
}
export function u256_divideU64(t: usize, a: usize, b: u64): u64 {
  return U256.divideU64(t, a, b);
}
export function u256_compare(a: usize, b: usize): i32 {
  return U256.compare(a, b);
}
export function u256_equals(a: usize, b: usize): bool {
  return U256.equals(a, b);
}
export function u256_isZero(a: usize): bool {
  return U256.isZero(a);
}
export function u256_fitsU64(a: usize): bool {
  return U256.fitsU64(a);
}
export function u256_shiftLeft(t: usize, a: usize, bits: u32): void {
  U256.shiftLeft(t, a, bits);
}
export function u256_shiftRight(t: usize, a: usize, bits: u32): void {
  U256.shiftRight(t, a, bits);
}
export function u256_toBigEndian(t: usize, a: usize): void {
  U256.toBigEndian(t, a);
}

// ---- u128 -------------------------------------------------------------------------------------------------

export function u128_add(t: usize, a: usize, b: usize): u64 {
  return U128.add(t, a, b);
}
export function u128_subtract(t: usize, a: usize, b: usize): u64 {
  return U128.subtract(t, a, b);
}
export function u128_product(t: usize, a: u64, b: u64): void {
  U128.product(t, a, b);
}
export function u128_multiply(t: usize, a: usize, b: usize): bool {
  return U128.multiply(t, a, b);
}
export function u128_multiplyU64(t: usize, a: usize, b: u64): u64 {
  return U128.multiplyU64(t, a, b);
}
export function u128_divideU64(t: usize, a: usize, b: u64): u64 {
  return U128.divideU64(t, a, b);
}
export function u128_compare(a: usize, b: usize): i32 {
  return U128.compare(a, b);
}
export function u128_equals(a: usize, b: usize): bool {
  return U128.equals(a, b);
}
export function u128_isZero(a: usize): bool {
  return U128.isZero(a);
}
export function u128_shiftLeft(t: usize, a: usize, bits: u32): void {
  U128.shiftLeft(t, a, bits);
}
export function u128_shiftRight(t: usize, a: usize, bits: u32): void {
  U128.shiftRight(t, a, bits);
}
export function u128_toBigEndian(t: usize, a: usize): void {
  U128.toBigEndian(t, a);
}

// ---- SHA-256 ----------------------------------------------------------------------------------------------

export function sha256_hash(data: usize, length: u32, target: usize): void {
  Sha256.hash(data, length, target);
}
export function sha256_begin(state: usize): void {
  Sha256.begin(state);
}
export function sha256_update(state: usize, data: usize, length: u32): void {
  Sha256.update(state, data, length);
}
export function sha256_end(state: usize, target: usize): void {
  Sha256.end(state, target);
}

// ---- accounts ---------------------------------------------------------------------------------------------

let table = new Accounts();

export function accounts_reset(capacity: u32, key0: u64, key1: u64): void {
  table = new Accounts(capacity, key0, key1);
}
export function records_offset(): usize {
  return RECORDS_OFFSET;
}
export function accounts_within(start: usize, length: usize): void {
  table = Accounts.within(start, length);
}
export function accounts_find(address: usize): usize {
  return table.find(address);
}
export function accounts_findMany(addresses: usize, stride: u32, count: u32, target: usize): void {
  table.findMany(addresses, stride, count, target);
}
export function accounts_findOrAdd(address: usize): usize {
  return table.findOrAdd(address);
}
export function accounts_count(): u32 {
  return table.count;
}
export function accounts_at(number: u32): usize {
  return table.at(number);
}

// ---- block reader -----------------------------------------------------------------------------------------

const block = new Block(0, 0);

export function block_reset(start: usize, length: u32): void {
  block.reset(start, length);
}
export function block_u8(): u32 {
  return block.u8();
}
export function block_u16(): u32 {
  return block.u16();
}
export function block_u32(): u32 {
  return block.u32();
}
export function block_u64(): u64 {
  return block.u64();
}
export function block_i64(): i64 {
  return block.i64();
}
export function block_f64(): f64 {
  return block.f64();
}
export function block_u256(): usize {
  return block.u256();
}
export function block_bytes(length: u32): usize {
  return block.bytes(length);
}
export function block_records(count: u32, size: u32): usize {
  return block.records(count, size, "things");
}
export function block_expect(value: u32): void {
  block.expect(value, "version");
}
export function block_zeros(length: u32): void {
  block.zeros(length, "padding");
}
export function block_remaining(): u32 {
  return block.remaining;
}
export function block_end(): void {
  block.end();
}
export function block_offset(): u32 {
  return block.offset;
}
