/**
 * What transactions leave to each other: accounts and storage slots, as records of 128 bytes in the state,
 * two lines each. The first holds the key and is written once, when the record is made; the second holds what
 * changes. So two transactions meet only where one writes what the other reads.
 *
 *   account  0  u32 generation   4  u32 KIND_ACCOUNT | EXISTS | HAS_STORAGE | code << 8
 *            8  address, 20 bytes as the low limbs of a word
 *           28  u32 incarnation of its storage                     32  Keccak-256 of its code
 *           64  balance, a word                                    96  u64 nonce
 *   slot     0  u32 generation   4  u32 KIND_SLOT | record of its account << 8
 *            8  u32 incarnation  16 (to 48)  key, a word           64  value, a word
 *
 * `code` numbers a code that came with the block (codes.ts), from 1 on; 0: none. Codes that the block creates
 * lie in the state as well, and have numbers from CREATED_CODES on.
 *
 * A table with open addressing over the records themselves, as large as the block needs: records that lie
 * close together take few pages. A record is of the current block if its generation is; every other counts as
 * empty, so a new block costs nothing but its own records.
 */

import * as rules from "./rules.ts";
import { equals } from "./words.ts";

export const STATE_BYTES: u32 = 24 << 20;
/** Incremented by `clearWorld`; kept in the state, since it outlives the block. */
const GENERATION: usize = 0;
/** Wei of fees that were burned. */
export const BURNED: usize = 64;
/** Next byte for code that is created. */
const CREATED_NEXT: usize = 128;
/** Places of the table, for accounts and slots together. */
const CAPACITY_LEAST: u32 = 1 << 10;
const CAPACITY_MOST: u32 = 1 << 17;
/**
 * No transaction makes an account or slot for less gas. Before EIP-150 an heir of SELFDESTRUCT cost nothing
 * but the call: some blocks have thousands of them.
 */
const GAS_PER_RECORD: u64 = 20000;
const GAS_PER_HEIR: u64 = 50;
const RECORD_BYTES: usize = 128;
const TABLE: usize = 4096;
const CREATED: usize = TABLE + <usize>CAPACITY_MOST * RECORD_BYTES;
export const STATE_GENERATION: usize = GENERATION;
export const STATE_BURNED: usize = BURNED;
export const STATE_RECORDS: usize = TABLE;
export const STATE_RECORDS_STRIDE: u32 = 128;
export const STATE_CREATED_NEXT: usize = CREATED_NEXT;
export const STATE_CREATED: usize = CREATED;

export const KIND_ACCOUNT: u32 = 1;
export const KIND_SLOT: u32 = 2;
/** Code numbers below are of codes that came with the block. */
export const CREATED_CODES: u32 = 1 << 16;

export const RECORD_CODE: usize = 4;
export const RECORD_ADDRESS: usize = 8;
export const RECORD_INCARNATION: usize = 28;
export const RECORD_CODE_HASH: usize = 32;
export const RECORD_BALANCE: usize = 64;
export const RECORD_NONCE: usize = 96;
export const RECORD_VALUE: usize = 64;
const RECORD_KEY: usize = 16;

/** Bits of RECORD_CODE. There is such an account, even if it is empty (before EIP-158). */
export const EXISTS: u32 = 16;
/** It had storage when the block began: no contract can be created there (EIP-7610). */
export const HAS_STORAGE: u32 = 32;
export const FLAGS: u32 = EXISTS | HAS_STORAGE;

/** The generation of the current block; 0: no block yet. */
let generation: u32 = 0;
let capacity: u32 = CAPACITY_LEAST;

/**
 * Forgets all records. Outside of items only. There will be `known` of them, and what a block of so much gas
 * adds; up to CAPACITY_MOST, at most half of the places are taken.
 */
export function clearWorld(known: u32, gasLimit: u64): void {
  const gas = rules.fork < rules.TANGERINE_WHISTLE ? GAS_PER_HEIR : GAS_PER_RECORD;
  const records = <u64>known + min<u64>(gasLimit, <u64>CAPACITY_MOST * gas) / gas;
  capacity = CAPACITY_LEAST;
  while (capacity < CAPACITY_MOST && <u64>capacity < 2 * records) capacity *= 2;
  generation = load<u32>(GENERATION) + 1;
  store<u32>(GENERATION, generation);
  store<u64>(BURNED, 0);
  store<u64>(BURNED, 0, 8);
  store<u64>(BURNED, 0, 16);
  store<u64>(BURNED, 0, 24);
  store<u32>(CREATED_NEXT, <u32>CREATED);
}

function mix(hash: u64): u32 {
  hash *= 0x9e3779b97f4a7c15;
  hash ^= hash >> 32;
  return <u32>hash * 0x85ebca6b;
}

/** Of an address, given as a word or as the first 20 bytes of one. */
export function hashOfAddress(address: usize): u32 {
  return mix(
    load<u64>(address) ^ rotl<u64>(load<u64>(address, 8), 23) ^ rotl<u64>(<u64>load<u32>(address, 16), 41),
  );
}

export function hashOfSlot(account: u32, key: usize): u32 {
  const low = load<u64>(key) ^ rotl<u64>(load<u64>(key, 8), 17);
  const high = rotl<u64>(load<u64>(key, 16), 37) ^ rotl<u64>(load<u64>(key, 24), 51);
  return mix(low ^ high ^ ((<u64>account) << 13));
}

function record(place: u32): usize {
  return TABLE + <usize>(place & (capacity - 1)) * RECORD_BYTES;
}

/** The record of that address (the first 20 bytes there), 0 if there is none. */
export function findAccount(address: usize, hash: u32): usize {
  let place = hash;
  while (true) {
    const at = record(place++);
    if (load<u32>(at) != generation) return 0;
    if (isAccount(at) && sameAddress(at + RECORD_ADDRESS, address)) return at;
  }
}

/** Whether a record is of an account. */
export function isAccount(record: usize): bool {
  return (load<u32>(record, RECORD_CODE) & 15) == KIND_ACCOUNT;
}

export function sameAddress(a: usize, b: usize): bool {
  return (
    ((load<u64>(a) ^ load<u64>(b)) |
      (load<u64>(a, 8) ^ load<u64>(b, 8)) |
      <u64>(load<u32>(a, 16) ^ load<u32>(b, 16))) ==
    0
  );
}

/** The record of a slot of an account's record, 0 if there is none. */
export function findSlot(account: u32, incarnation: u32, key: usize, hash: u32): usize {
  const tag = KIND_SLOT | (account << 8);
  let place = hash;
  while (true) {
    const at = record(place++);
    if (load<u32>(at) != generation) return 0;
    if (load<u32>(at, 4) == tag && load<u32>(at, 8) == incarnation && equals(at + RECORD_KEY, key)) return at;
  }
}

/** The number of a record, by which slots name their account. */
export function numberOf(at: usize): u32 {
  return <u32>((at - TABLE) / RECORD_BYTES);
}

/** A record for an address that has none. */
export function addAccount(address: usize, hash: u32): usize {
  const at = empty(hash);
  store<u32>(at, KIND_ACCOUNT, 4);
  memory.copy(at + RECORD_ADDRESS, address, 20);
  return at;
}

/** A record for a slot that has none. */
export function addSlot(account: u32, incarnation: u32, key: usize, hash: u32): usize {
  const at = empty(hash);
  store<u32>(at, KIND_SLOT | (account << 8), 4);
  store<u32>(at, incarnation, 8);
  memory.copy(at + RECORD_KEY, key, 32);
  return at;
}

/** An empty record, as far from its place as the table is full. */
function empty(hash: u32): usize {
  let place = hash;
  while (load<u32>(record(place)) == generation) {
    if (place - hash > capacity / 4)
      throw new Error("evm: the block touches more accounts and slots than fit");
    place++;
  }
  const at = record(place);
  memory.fill(at, 0, RECORD_BYTES);
  store<u32>(at, generation);
  return at;
}

/** Keeps code that a transaction creates; its number. */
export function keepCode(code: usize, length: u32): u32 {
  const at = load<u32>(CREATED_NEXT);
  const end = at + ((length + 4 + 63) & ~63);
  if (end > STATE_BYTES) throw new Error("evm: the block creates more code than fits");
  store<u32>(CREATED_NEXT, end);
  store<u32>(at, length);
  memory.copy(at + 4, code, length);
  return CREATED_CODES + (at - <u32>CREATED) / 64;
}

/** Where the code of such a number lies: u32 length, the bytes. */
export function createdCode(number: u32): usize {
  return CREATED + <usize>(number - CREATED_CODES) * 64;
}

/** Calls `visit` for every record of the block. */
export function eachRecord(visit: (at: usize) => void): void {
  for (let place: u32 = 0; place < capacity; place++) {
    const at = record(place);
    if (load<u32>(at) == generation) visit(at);
  }
}
