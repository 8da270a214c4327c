/**
 * The ledger process: a table of accounts that stays in its memory from block to block, and the rules of a
 * value transfer. The transactions of a block are the items of a batch.
 *
 * Entries, in the order of a block:
 *   prepare(length)  address, divisible by 4096, of at least `length` bytes: where header and accounts go
 *   begin(length)    sets the accounts; where a status byte for each transaction goes after the batch
 *   pay(length)      the item: applies the transaction in the inbox; its status
 *   finish(0)        address of the result, which ends where the statuses begin
 *
 * A transaction pays fee = 21,000 × gas price. With another nonce than its sender's its status is 1, with a
 * balance below value + fee it is 2, and nothing changes; else it moves the value (a creation burns it), pays
 * the miner what the gas price is above the base fee, burns the rest of the fee, and raises the sender's
 * nonce. The miner and what is burned are paid by accumulate, so transactions of different parties have
 * nothing in common.
 *
 * Money is never created: value + fee is computed with its overflow, and what cannot be paid out of 256 bits
 * is insufficient. A nonce of 2^64 - 1 cannot be raised, so it is bad. A credit beyond 2^256 - 1 aborts, as
 * does any message that breaks the format; the root then gives the block up.
 */

import {
  Accounts,
  Block,
  Item,
  PageBuffer,
  RECORDS_OFFSET,
  RECORD_BALANCE,
  RECORD_BYTES,
  RECORD_FLAGS,
  RECORD_NONCE,
  accumulate,
} from "../../../guest/index.ts";
import { Sha256, SHA256_BYTES, U256 } from "../../../guest/index.ts";
import * as message from "./messages.ts";

/** What is burned in the block, and the table: room for some 150,000 accounts. */
export const STATE_BYTES: u32 = message.LEDGER_STATE_BYTES;
const BURNED: usize = 64;
const TABLE: usize = 128;
/** Names for the addresses in reports of batches. */
export const STATE_BURNED: usize = BURNED;
export const STATE_TABLE: usize = TABLE;
export const STATE_ACCOUNTS: usize = TABLE + RECORDS_OFFSET;
export const STATE_ACCOUNTS_STRIDE: u32 = RECORD_BYTES;

const TRANSFER_GAS: u64 = 21000;
const DIGEST_ACCOUNT_BYTES: u32 = 60;

const accounts = Accounts.within(TABLE, STATE_BYTES - TABLE);
const inbox = new PageBuffer();
const outbox = new PageBuffer();
const reader = new Block(0, 0);

/** The block: its header in the inbox, 21,000 × base fee, and the miner's record. Items only read them. */
let header: usize = 0;
let baseOverflow: bool = false;
let miner: usize = 0;
const baseBurn: usize = memory.data(32, 8);

const fee: usize = memory.data(32, 8);
const cost: usize = memory.data(32, 8);
const tip: usize = memory.data(32, 8);
const digestState: usize = memory.data(SHA256_BYTES, 8);
const digestAccount: usize = memory.data(64, 8);

export function prepare(length: i64): i64 {
  if (length < 0 || length > 0x7fffffff) throw new Error("ledger: prepare: length out of range");
  return inbox.reserve(<u32>length);
}

export function begin(length: i64): i64 {
  if (length < 0 || length > <i64>inbox.capacity)
    throw new Error("ledger: begin: longer than what was prepared");
  header = inbox.address;
  reader.reset(header, <u32>length);
  readHeader();
  const count = load<u32>(header, message.HEADER_ACCOUNTS);
  const list = reader.records(count, message.ACCOUNT_BYTES, "accounts");
  reader.end();
  setAccounts(list, count);
  miner = accounts.findOrAdd(header + message.HEADER_MINER);
  baseOverflow = U256.multiplyU64(baseBurn, header + message.HEADER_BASE_FEE, TRANSFER_GAS) != 0;
  U256.set(BURNED, 0);
  const transactions = load<u32>(header, message.HEADER_TRANSACTIONS);
  return outbox.reserve(message.RESULT_BYTES + transactions) + message.RESULT_BYTES;
}

export function pay(length: i64): i64 {
  if (length != message.TRANSACTION_BYTES) throw new Error("ledger: pay: not a transaction");
  checkTransaction(Item.input);
  return transfer(Item.input);
}

export function finish(argument: i64): i64 {
  const result = outbox.address;
  const transactions = load<u32>(header, message.HEADER_TRANSACTIONS);
  memory.fill(result, 0, message.RESULT_BYTES);
  store<u64>(result, load<u64>(header, message.HEADER_NUMBER), message.RESULT_NUMBER);
  store<u32>(result, transactions, message.RESULT_TRANSACTIONS);
  countStatuses(result, transactions);
  U256.copy(result + message.RESULT_BURNED, BURNED);
  writeDigest(result, transactions);
  return result;
}

// ---- reading ----------------------------------------------------------------------------------------------

function readHeader(): void {
  reader.expect(message.METADATA_VERSION, "version");
  reader.u32(); // accounts and transactions are counted against the length below
  reader.u32();
  reader.expect(0, "reserved word");
  reader.bytes(<u32>(message.HEADER_PADDING - message.HEADER_NUMBER));
  reader.zeros(<u32>(message.HEADER_BYTES - message.HEADER_PADDING), "padding of the header");
}

function setAccounts(list: usize, count: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    const account = list + i * message.ACCOUNT_BYTES;
    if (i && !ascending(account - message.ACCOUNT_BYTES, account))
      throw new Error(`ledger: account ${i}: addresses do not ascend`);
    const flags = load<u32>(account, message.ACCOUNT_FLAGS);
    if (flags & ~message.ACCOUNT_CONTRACT) throw new Error(`ledger: account ${i}: unknown flags ${flags}`);
    const record = accounts.findOrAdd(account);
    store<u32>(record, flags, RECORD_FLAGS);
    store<u64>(record, load<u64>(account, message.ACCOUNT_NONCE), RECORD_NONCE);
    U256.copy(record + RECORD_BALANCE, account + message.ACCOUNT_BALANCE);
  }
}

/** Is address a below address b, most significant byte first? */
function ascending(a: usize, b: usize): bool {
  for (let i: usize = 0; i < 20; i += 4) {
    const x = bswap<u32>(load<u32>(a + i));
    const y = bswap<u32>(load<u32>(b + i));
    if (x != y) return x < y;
  }
  return false;
}

// ---- applying ---------------------------------------------------------------------------------------------

function checkTransaction(transaction: usize): void {
  const flags = load<u32>(transaction, message.TRANSACTION_FLAGS);
  if (flags & ~message.TRANSACTION_CREATION) throw new Error("ledger: unknown flags");
  if (flags & message.TRANSACTION_CREATION) {
    const to = transaction + message.TRANSACTION_TO;
    if (load<u64>(to) | load<u64>(to, 8) | load<u32>(to, 16))
      throw new Error("ledger: a creation with a receiver");
  }
  if (U256.lessThan(transaction + message.TRANSACTION_GAS_PRICE, header + message.HEADER_BASE_FEE))
    throw new Error("ledger: gas price below the base fee");
}

/** Applies one transaction, or leaves everything as it was; its status. */
function transfer(transaction: usize): u8 {
  const sender = accounts.findOrAdd(transaction);
  const nonce = load<u64>(sender, RECORD_NONCE);
  if (nonce != load<u64>(transaction, message.TRANSACTION_NONCE) || nonce == u64.MAX_VALUE)
    return message.STATUS_BAD_NONCE;

  const value = transaction + message.TRANSACTION_VALUE;
  const balance = sender + RECORD_BALANCE;
  if (U256.multiplyU64(fee, transaction + message.TRANSACTION_GAS_PRICE, TRANSFER_GAS))
    return message.STATUS_INSUFFICIENT;
  if (U256.add(cost, value, fee)) return message.STATUS_INSUFFICIENT;
  if (U256.lessThan(balance, cost)) return message.STATUS_INSUFFICIENT;
  assert(!baseOverflow, "ledger: a fee was paid that does not fit");

  U256.subtract(balance, balance, cost);
  store<u64>(sender, nonce + 1, RECORD_NONCE);
  U256.subtract(tip, fee, baseBurn); // the gas price is not below the base fee
  if (load<u32>(transaction, message.TRANSACTION_FLAGS) & message.TRANSACTION_CREATION) {
    collect(BURNED, value);
  } else {
    const received = accounts.findOrAdd(transaction + message.TRANSACTION_TO) + RECORD_BALANCE;
    if (U256.add(received, received, value)) throw new Error("ledger: a balance exceeds 2^256 - 1");
  }
  collect(miner + RECORD_BALANCE, tip);
  collect(BURNED, baseBurn);
  return message.STATUS_APPLIED;
}

/** Adds to what many transactions add to. */
function collect(sum: usize, amount: usize): void {
  if (U256.isZero(amount)) return;
  if (!accumulate(sum, 32, amount)) throw new Error("ledger: a balance exceeds 2^256 - 1");
}

// ---- the result -------------------------------------------------------------------------------------------

function countStatuses(result: usize, count: u32): void {
  let badNonce: u32 = 0;
  let insufficient: u32 = 0;
  for (let at = result + message.RESULT_BYTES, end = at + count; at < end; at++) {
    const status = load<u8>(at);
    badNonce += u32(status == message.STATUS_BAD_NONCE);
    insufficient += u32(status == message.STATUS_INSUFFICIENT);
  }
  store<u32>(result, count - badNonce - insufficient, message.RESULT_APPLIED);
  store<u32>(result, badNonce, message.RESULT_BAD_NONCE);
  store<u32>(result, insufficient, message.RESULT_INSUFFICIENT);
}

/**
 * SHA-256 over address, nonce and balance (big-endian) of the block's accounts in order, burned, and the
 * statuses.
 */
function writeDigest(result: usize, statuses: u32): void {
  Sha256.begin(digestState);
  const list = header + message.HEADER_BYTES;
  const count = load<u32>(header, message.HEADER_ACCOUNTS);
  for (let i: u32 = 0; i < count; i++) {
    const record = accounts.find(list + i * message.ACCOUNT_BYTES);
    memory.copy(digestAccount, record, 20);
    store<u64>(digestAccount, bswap<u64>(load<u64>(record, RECORD_NONCE)), 20);
    U256.toBigEndian(digestAccount + 28, record + RECORD_BALANCE);
    Sha256.update(digestState, digestAccount, DIGEST_ACCOUNT_BYTES);
  }
  U256.toBigEndian(digestAccount, BURNED);
  Sha256.update(digestState, digestAccount, 32);
  Sha256.update(digestState, result + message.RESULT_BYTES, statuses);
  Sha256.end(digestState, result + message.RESULT_DIGEST);
}
