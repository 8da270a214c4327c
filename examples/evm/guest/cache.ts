/**
 * What a transaction sees of the world: the accounts and slots that it touches, each read from its record
 * when it is first needed, changed here, and written back when the transaction ends (`flush`). A change is
 * noted in the journal first, so a frame that reverts leaves nothing; a transaction that fails writes nothing
 * but what it pays. Warm sets (EIP-2929) and transient storage (EIP-1153) are entries as well.
 *
 * Of an account address and code are in the first line of its record, balance and nonce in the second: who
 * only calls a contract never reads that, and does not conflict with its payers. Nor do payers conflict with
 * others who do: what is added to a balance that nobody has looked at is a credit, and in the end is
 * accumulated. A balance that is here has its credit added, but for one that a revert has brought back.
 *
 * Entries have 160 bytes and lie one after the other; a hash table of their numbers, which grows with them,
 * finds them.
 *
 *   account     0  u32 KIND_ACCOUNT   4  u32 record, 0: none   8  address, a word (its limbs above 20 bytes
 *               are 0)
 *              40  balance            72  u64 nonce            80  u32 code (world.ts)   84  u32 marks
 *                  (below)
 *              88  hash of the code  120  u32 incarnation     124  u32 incarnation when the transaction began
 *             128  credit
 *   slot        0  u32 KIND_SLOT      4  u32 record            8  u32 entry of the account
 *              12  u32 incarnation   16  key   48  value   80  value when the transaction began  112  u64
 *                  marks
 *   transient   as slot, with KIND_TRANSIENT
 */

import { accumulate } from "../../../guest/index.ts";
import { CACHE_BYTES, cacheArena } from "./arena.ts";
import { saveU64, saveWord } from "./journal.ts";
import * as world from "./world.ts";
import { add, clear, copyWord, equals, isZero, subtract } from "./words.ts";

const KIND_ACCOUNT: u32 = 1;
const KIND_SLOT: u32 = 2;
const KIND_TRANSIENT: u32 = 3;
const ENTRY: usize = 160;

const RECORD: usize = 4;
export const ADDRESS: usize = 8;
export const BALANCE: usize = 40;
const NONCE: usize = 72;
/** Code and marks lie in one u64, which the journal saves. */
const CODE: usize = 80;
const MARKS: usize = 84;
export const CODE_HASH: usize = 88;
const INCARNATION: usize = 120;
const INCARNATION_BEFORE: usize = 124;
const CREDIT: usize = 128;
const OWNER: usize = 8;
const SLOT_INCARNATION: usize = 12;
const KEY: usize = 16;
export const VALUE: usize = 48;
export const ORIGINAL: usize = 80;
const SLOT_MARKS: usize = 112;

// Marks of an account.
const LOADED: u32 = 1; //      balance and nonce are here
const WARM: u32 = 2;
const CHANGED: u32 = 4; //     balance, nonce or existence
const RECODED: u32 = 8; //     code or incarnation
const EXISTS: u32 = 16;
const CREATED: u32 = 32; //    by this transaction
const DESTRUCTED: u32 = 64;
const TOUCHED: u32 = 128;
const HAS_STORAGE: u32 = 256;
const CREDITED: u32 = 512; //  its credit is to be added

/** The hash tables lie in the last third of the arena, one after the other as they grow. */
const TABLES: usize = (CACHE_BYTES / 3) * 2;
const TABLE_FIRST: u32 = 256;

/** Keccak-256 of nothing. */
// prettier-ignore
export const EMPTY_CODE_HASH: usize = memory.data<u8>([
  0xc5, 0xd2, 0x46, 0x01, 0x86, 0xf7, 0x23, 0x3c, 0x92, 0x7e, 0x7d, 0xb2, 0xdc, 0xc7, 0x03, 0xc0, 0xe5, 0x00,
  0xb6, 0x53, 0xca, 0x82, 0x27, 0x3b, 0x7b, 0xfa, 0xd8, 0x04, 0x5d, 0x85, 0xa4, 0x70,
]);

let count: u32 = 0;
let table: usize = 0;
let mask: u32 = 0;
/** The account that was asked for last: most questions are about the one that runs. */
let recent: usize = 0;

export function beginCache(): void {
  count = 0;
  table = cacheArena + TABLES;
  mask = TABLE_FIRST - 1;
  recent = 0;
}

/** Puts the memory back to zeros, as the end of an item does: for what runs outside of items. */
export function endCache(): void {
  memory.fill(cacheArena, 0, <usize>count * ENTRY);
  const tables = cacheArena + TABLES;
  memory.fill(tables, 0, table + (<usize>mask + 1) * 8 - tables);
}

function entryAt(number: u32): usize {
  return cacheArena + <usize>number * ENTRY;
}

function bucket(place: u32): usize {
  return table + <usize>(place & mask) * 8;
}

/** A new entry that will be found by `hash`. Buckets: u32 number of the entry + 1, u32 hash. */
function insert(hash: u32): usize {
  if (count * 2 > mask) grow();
  const entry = entryAt(count++);
  if (entry + ENTRY > cacheArena + TABLES)
    throw new Error("evm: the transaction touches more than its cache holds");
  place(hash, count);
  return entry;
}

function place(hash: u32, number: u32): void {
  let at = hash;
  while (load<u32>(bucket(at))) at++;
  store<u32>(bucket(at), number);
  store<u32>(bucket(at), hash, 4);
}

function grow(): void {
  const from = table;
  const end = from + (<usize>mask + 1) * 8;
  table = end;
  mask = mask * 4 + 3;
  if (table + (<usize>mask + 1) * 8 > cacheArena + CACHE_BYTES)
    throw new Error("evm: the transaction touches more than its cache holds");
  for (let at = from; at < end; at += 8) {
    const number = load<u32>(at);
    if (number) place(load<u32>(at, 4), number);
  }
}

// ---- accounts ---------------------------------------------------------------------------------------------

/** The entry of an address: a word, whose upper 12 bytes do not count. */
export function account(address: usize): usize {
  if (recent && world.sameAddress(recent + ADDRESS, address)) return recent;
  const hash = world.hashOfAddress(address);
  let at = hash;
  while (true) {
    const found = bucket(at++);
    const number = load<u32>(found);
    if (!number) return (recent = newAccount(address, hash));
    if (load<u32>(found, 4) != hash) continue;
    const entry = entryAt(number - 1);
    if (load<u32>(entry) != KIND_ACCOUNT || !world.sameAddress(entry + ADDRESS, address)) continue;
    return (recent = entry);
  }
}

function newAccount(address: usize, hash: u32): usize {
  const entry = insert(hash);
  store<u32>(entry, KIND_ACCOUNT);
  memory.copy(entry + ADDRESS, address, 20);
  const record = world.findAccount(address, hash);
  store<u32>(entry, <u32>record, RECORD);
  if (record) {
    const tag = load<u32>(record, world.RECORD_CODE);
    store<u32>(entry, tag >> 8, CODE);
    store<u32>(entry, (tag & world.EXISTS ? EXISTS : 0) | (tag & world.HAS_STORAGE ? HAS_STORAGE : 0), MARKS);
    const incarnation = load<u32>(record, world.RECORD_INCARNATION);
    store<u32>(entry, incarnation, INCARNATION);
    store<u32>(entry, incarnation, INCARNATION_BEFORE);
    copyWord(entry + CODE_HASH, record + world.RECORD_CODE_HASH);
  } else {
    copyWord(entry + CODE_HASH, EMPTY_CODE_HASH);
  }
  return entry;
}

function marks(entry: usize): u32 {
  return load<u32>(entry, MARKS);
}

/** Adds marks; they go when the frame reverts. */
function mark(entry: usize, added: u32): void {
  const before = marks(entry);
  if ((before & added) == added) return;
  saveU64(entry + CODE);
  store<u32>(entry, before | added, MARKS);
}

/** Reads balance and nonce, if that was not done, and adds the credit. */
function read(entry: usize): void {
  const before = marks(entry);
  if (!(before & LOADED)) {
    const record = <usize>load<u32>(entry, RECORD);
    if (record) {
      copyWord(entry + BALANCE, record + world.RECORD_BALANCE);
      store<u64>(entry, load<u64>(record, world.RECORD_NONCE), NONCE);
    }
    store<u32>(entry, before | LOADED, MARKS);
  }
  if (!(before & CREDITED)) return;
  saveU64(entry + CODE);
  store<u32>(entry, (marks(entry) & ~CREDITED) | CHANGED, MARKS);
  addTo(entry + BALANCE, entry + CREDIT);
  saveWord(entry + CREDIT);
  clear(entry + CREDIT);
}

/** Adds to a word; it is put back when the frame reverts. */
function addTo(word: usize, amount: usize): void {
  saveWord(word);
  const sum = memory.data(32, 8);
  copyWord(sum, amount);
  add(word, sum);
  copyWord(word, sum);
}

/** Where its balance lies, a word. */
export function balanceOf(entry: usize): usize {
  read(entry);
  return entry + BALANCE;
}

export function nonceOf(entry: usize): u64 {
  read(entry);
  return load<u64>(entry, NONCE);
}

/** The number of its code (world.ts), 0: none. */
export function codeOf(entry: usize): u32 {
  return load<u32>(entry, CODE);
}

/** Whether there is such an account, before EIP-158. */
export function exists(entry: usize): bool {
  return codeOf(entry) != 0 || (marks(entry) & EXISTS) != 0;
}

/** Without code, balance and nonce (EIP-161). */
export function isEmpty(entry: usize): bool {
  if (codeOf(entry) || (marks(entry) & (LOADED | CREDITED)) == CREDITED) return false;
  read(entry);
  return load<u64>(entry, NONCE) == 0 && isZero(entry + BALANCE);
}

export function addBalance(entry: usize, amount: usize): void {
  if (!(marks(entry) & LOADED) && !isZero(amount)) {
    addTo(entry + CREDIT, amount);
    return mark(entry, CREDITED | EXISTS | TOUCHED);
  }
  read(entry);
  addTo(entry + BALANCE, amount);
  mark(entry, CHANGED | EXISTS | TOUCHED);
}

/** What it has must suffice. */
export function subtractBalance(entry: usize, amount: usize): void {
  read(entry);
  saveWord(entry + BALANCE);
  const rest = memory.data(32, 8);
  copyWord(rest, amount);
  subtract(entry + BALANCE, rest);
  copyWord(entry + BALANCE, rest);
  mark(entry, CHANGED | EXISTS | TOUCHED);
}

export function setNonce(entry: usize, nonce: u64): void {
  read(entry);
  saveU64(entry + NONCE);
  store<u64>(entry, nonce, NONCE);
  mark(entry, CHANGED | EXISTS | TOUCHED);
}

/** A transfer of nothing: an empty account disappears by it (EIP-158), or comes into being before that. */
export function touch(entry: usize): void {
  mark(entry, TOUCHED);
}

export function makeExist(entry: usize): void {
  read(entry);
  mark(entry, CHANGED | EXISTS);
}

/** Makes it a contract without code yet; what storage the address had is gone. */
export function create(entry: usize): void {
  read(entry);
  saveU64(entry + INCARNATION);
  store<u32>(entry, load<u32>(entry, INCARNATION) + 1, INCARNATION);
  mark(entry, CREATED | RECODED | CHANGED | EXISTS);
}

export function wasCreated(entry: usize): bool {
  return (marks(entry) & CREATED) != 0;
}

/** Whether the address cannot become a contract: it has code, a nonce or storage. */
export function isTaken(entry: usize): bool {
  return codeOf(entry) != 0 || nonceOf(entry) != 0 || (marks(entry) & HAS_STORAGE) != 0;
}

export function setCode(entry: usize, code: u32, hash: usize): void {
  mark(entry, RECODED | CHANGED);
  saveU64(entry + CODE);
  store<u32>(entry, code, CODE);
  saveWord(entry + CODE_HASH);
  copyWord(entry + CODE_HASH, hash);
}

/** It disappears when the transaction ends. */
export function destruct(entry: usize): void {
  mark(entry, DESTRUCTED);
}

export function isDestructed(entry: usize): bool {
  return (marks(entry) & DESTRUCTED) != 0;
}

/** Makes it warm; whether it was not. */
export function warmAccount(entry: usize): bool {
  if (marks(entry) & WARM) return false;
  mark(entry, WARM);
  return true;
}

// ---- storage ----------------------------------------------------------------------------------------------

/** The entry of a slot of the account's storage. */
export function slot(owner: usize, key: usize): usize {
  return cell(KIND_SLOT, owner, key);
}

/** The entry of a slot of its transient storage. */
export function transient(owner: usize, key: usize): usize {
  return cell(KIND_TRANSIENT, owner, key);
}

function cell(kind: u32, owner: usize, key: usize): usize {
  const incarnation = load<u32>(owner, INCARNATION);
  const hash = world.hashOfSlot(<u32>owner + kind, key);
  let at = hash;
  while (true) {
    const found = bucket(at++);
    const number = load<u32>(found);
    if (!number) return newCell(kind, owner, incarnation, key, hash);
    if (load<u32>(found, 4) != hash) continue;
    const entry = entryAt(number - 1);
    if (
      load<u32>(entry) == kind &&
      load<u32>(entry, OWNER) == <u32>owner &&
      load<u32>(entry, SLOT_INCARNATION) == incarnation &&
      equals(entry + KEY, key)
    ) {
      return entry;
    }
  }
}

function newCell(kind: u32, owner: usize, incarnation: u32, key: usize, hash: u32): usize {
  const entry = insert(hash);
  store<u32>(entry, kind);
  store<u32>(entry, <u32>owner, OWNER);
  store<u32>(entry, incarnation, SLOT_INCARNATION);
  copyWord(entry + KEY, key);
  const account = <usize>load<u32>(owner, RECORD);
  if (kind != KIND_SLOT || !account) return entry;
  const number = world.numberOf(account);
  const record = world.findSlot(number, incarnation, key, world.hashOfSlot(number, key));
  store<u32>(entry, <u32>record, RECORD);
  if (!record) return entry;
  copyWord(entry + VALUE, record + world.RECORD_VALUE);
  copyWord(entry + ORIGINAL, record + world.RECORD_VALUE);
  return entry;
}

/** Makes a slot warm; whether it was not. */
export function warmSlot(entry: usize): bool {
  if (load<u64>(entry, SLOT_MARKS)) return false;
  saveU64(entry + SLOT_MARKS);
  store<u64>(entry, 1, SLOT_MARKS);
  return true;
}

export function setValue(entry: usize, value: usize): void {
  saveWord(entry + VALUE);
  copyWord(entry + VALUE, value);
}

// ---- the end ----------------------------------------------------------------------------------------------

/** Writes everything back. With `clearing`, touched accounts that are empty disappear (EIP-158). */
export function flush(clearing: bool): void {
  for (let number: u32 = 0; number < count; number++) {
    const entry = entryAt(number);
    const kind = load<u32>(entry);
    if (kind == KIND_ACCOUNT) flushAccount(entry, clearing);
    else if (kind == KIND_SLOT) flushSlot(entry);
  }
}

function flushAccount(entry: usize, clearing: bool): void {
  const set = marks(entry);
  if (set & DESTRUCTED) return remove(entry);
  if (clearing && set & TOUCHED && isEmpty(entry)) {
    if (set & (EXISTS | CHANGED)) remove(entry);
    return;
  }
  if ((set & (LOADED | CREDITED)) == CREDITED) return flushCredit(entry, clearing);
  if (set & CREDITED) read(entry);
  else if (!(set & (CHANGED | RECODED))) return;
  const record = recordOf(entry);
  copyWord(record + world.RECORD_BALANCE, entry + BALANCE);
  store<u64>(record, load<u64>(entry, NONCE), world.RECORD_NONCE);
  markExisting(record);
  if (!(set & RECODED)) return;
  const flags = load<u32>(record, world.RECORD_CODE) & world.FLAGS;
  store<u32>(record, world.KIND_ACCOUNT | flags | (load<u32>(entry, CODE) << 8), world.RECORD_CODE);
  store<u32>(record, load<u32>(entry, INCARNATION), world.RECORD_INCARNATION);
  copyWord(record + world.RECORD_CODE_HASH, entry + CODE_HASH);
}

/** Adds to a balance that was not looked at. That an account is there matters only while it may be empty. */
function flushCredit(entry: usize, clearing: bool): void {
  const record = recordOf(entry);
  if (!clearing) markExisting(record);
  if (!accumulate(record + world.RECORD_BALANCE, 32, entry + CREDIT))
    throw new Error("evm: a balance exceeds 2^256 - 1");
}

function markExisting(record: usize): void {
  const tag = load<u32>(record, world.RECORD_CODE);
  if (!(tag & world.EXISTS)) store<u32>(record, tag | world.EXISTS, world.RECORD_CODE);
}

function recordOf(entry: usize): usize {
  const known = <usize>load<u32>(entry, RECORD);
  if (known) return known;
  const record = world.addAccount(entry + ADDRESS, world.hashOfAddress(entry + ADDRESS));
  copyWord(record + world.RECORD_CODE_HASH, EMPTY_CODE_HASH);
  store<u32>(entry, <u32>record, RECORD);
  return record;
}

/** The account is as if it had never been; slots that it had are of an earlier incarnation from now on. */
function remove(entry: usize): void {
  const record = <usize>load<u32>(entry, RECORD);
  if (!record) return;
  clear(record + world.RECORD_BALANCE);
  store<u64>(record, 0, world.RECORD_NONCE);
  store<u32>(record, load<u32>(record, world.RECORD_CODE) & ~world.FLAGS, world.RECORD_CODE);
  if (!(marks(entry) & (DESTRUCTED | RECODED))) return;
  store<u32>(record, world.KIND_ACCOUNT, world.RECORD_CODE);
  store<u32>(record, load<u32>(entry, INCARNATION) + 1, world.RECORD_INCARNATION);
  copyWord(record + world.RECORD_CODE_HASH, EMPTY_CODE_HASH);
}

function flushSlot(entry: usize): void {
  if (equals(entry + VALUE, entry + ORIGINAL)) return;
  const owner = <usize>load<u32>(entry, OWNER);
  if (marks(owner) & DESTRUCTED || load<u32>(owner, INCARNATION) != load<u32>(entry, SLOT_INCARNATION))
    return;
  let record = <usize>load<u32>(entry, RECORD);
  if (!record) {
    const account = world.numberOf(<usize>load<u32>(owner, RECORD));
    const incarnation = load<u32>(entry, SLOT_INCARNATION);
    record = world.addSlot(account, incarnation, entry + KEY, world.hashOfSlot(account, entry + KEY));
  }
  copyWord(record + world.RECORD_VALUE, entry + VALUE);
}
