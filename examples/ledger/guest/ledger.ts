/**
 * The ledger process: a table of accounts that stays in its memory from block to block, and the rules of a
 * value transfer.
 *
 * Entries:
 *   prepare(length)  address, divisible by 4096, of at least `length` bytes: where the next message goes
 *   execute(length)  sets the message's accounts, applies its transactions in order; address of the result
 *
 * A transaction pays fee = 21,000 × gas price. With another nonce than its sender's its status is 1, with a
 * balance below value + fee it is 2, and nothing changes; else it moves the value (a creation burns it), pays
 * the miner what the gas price is above the base fee, burns the rest of the fee, and raises the sender's
 * nonce.
 *
 * Money is never created: value + fee is computed with its overflow, and what cannot be paid out of 256 bits
 * is insufficient. A nonce of 2^64 - 1 cannot be raised, so it is bad. A credit beyond 2^256 - 1 aborts, as
 * does any message that breaks the format; the process is then back where the block began.
 */

import {
  Accounts,
  Block,
  PageBuffer,
  RECORD_BALANCE,
  RECORD_FLAGS,
  RECORD_NONCE,
} from "../../../guest/index.ts";
import { Sha256, SHA256_BYTES, U256 } from "../../../guest/index.ts";
import * as message from "./messages.ts";

const TRANSFER_GAS: u64 = 21000;
const LOOKAHEAD: u32 = 32;
const DIGEST_ACCOUNT_BYTES: u32 = 60;

const accounts = new Accounts(1024);
const inbox = new PageBuffer();
const outbox = new PageBuffer();
const reader = new Block(0, 0);

/** Records of the next LOOKAHEAD transactions, u32 each. */
const senders: usize = memory.data(128, 8);
const receivers: usize = memory.data(128, 8);
const fee: usize = memory.data(32, 8);
const cost: usize = memory.data(32, 8);
const tip: usize = memory.data(32, 8);
const baseBurn: usize = memory.data(32, 8);
const burned: usize = memory.data(32, 8);
const digestState: usize = memory.data(SHA256_BYTES, 8);
const digestAccount: usize = memory.data(64, 8);

export function prepare(length: i64): i64 {
  if (length < 0 || length > 0x7fffffff) throw new Error("ledger: prepare: length out of range");
  return inbox.reserve(<u32>length);
}

export function execute(length: i64): i64 {
  if (length < 0 || length > <i64>inbox.capacity)
    throw new Error("ledger: execute: longer than what was prepared");
  const header = inbox.address;
  reader.reset(header, <u32>length);
  readHeader();
  const accountCount = load<u32>(header, message.HEADER_ACCOUNTS);
  const transactionCount = load<u32>(header, message.HEADER_TRANSACTIONS);
  const accountList = reader.records(accountCount, message.ACCOUNT_BYTES, "accounts");
  const transactions = reader.records(transactionCount, message.TRANSACTION_BYTES, "transactions");
  reader.end();

  const result = outbox.reserve(message.RESULT_BYTES + transactionCount);
  memory.fill(result, 0, message.RESULT_BYTES);
  setAccounts(accountList, accountCount);
  applyTransactions(header, transactions, transactionCount, result);
  writeDigest(accountList, accountCount, result, transactionCount);
  U256.copy(result + message.RESULT_BURNED, burned);
  store<u64>(result, load<u64>(header, message.HEADER_NUMBER), message.RESULT_NUMBER);
  store<u32>(result, transactionCount, message.RESULT_TRANSACTIONS);
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

function checkTransaction(transaction: usize, baseFee: usize, i: u32): void {
  const flags = load<u32>(transaction, message.TRANSACTION_FLAGS);
  if (flags & ~message.TRANSACTION_CREATION)
    throw new Error(`ledger: transaction ${i}: unknown flags ${flags}`);
  if (flags & message.TRANSACTION_CREATION) {
    const to = transaction + message.TRANSACTION_TO;
    if (load<u64>(to) | load<u64>(to, 8) | load<u32>(to, 16))
      throw new Error(`ledger: transaction ${i}: a creation with a receiver`);
  }
  if (U256.lessThan(transaction + message.TRANSACTION_GAS_PRICE, baseFee)) {
    throw new Error(`ledger: transaction ${i}: gas price below the base fee`);
  }
}

// ---- applying ---------------------------------------------------------------------------------------------

function applyTransactions(header: usize, list: usize, count: u32, result: usize): void {
  const baseFee = header + message.HEADER_BASE_FEE;
  const baseOverflow = U256.multiplyU64(baseBurn, baseFee, TRANSFER_GAS) != 0;
  const miner = accounts.findOrAdd(header + message.HEADER_MINER);
  U256.set(burned, 0);
  let badNonce: u32 = 0;
  let insufficient: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    if (i % LOOKAHEAD == 0) findRecords(list + i * message.TRANSACTION_BYTES, min<u32>(LOOKAHEAD, count - i));
    const transaction = list + i * message.TRANSACTION_BYTES;
    checkTransaction(transaction, baseFee, i);
    const slot = (i % LOOKAHEAD) * 4;
    const status = transfer(transaction, load<u32>(senders + slot), load<u32>(receivers + slot), miner);
    badNonce += u32(status == message.STATUS_BAD_NONCE);
    insufficient += u32(status == message.STATUS_INSUFFICIENT);
    store<u8>(result + message.RESULT_BYTES + i, status);
  }
  const applied = count - badNonce - insufficient;
  assert(!applied || !baseOverflow, "ledger: a fee was paid that does not fit");
  store<u32>(result, applied, message.RESULT_APPLIED);
  store<u32>(result, badNonce, message.RESULT_BAD_NONCE);
  store<u32>(result, insufficient, message.RESULT_INSUFFICIENT);
}

/** Finds the records of sender and receiver of the next transactions; 0 where there is none yet. */
function findRecords(transaction: usize, count: u32): void {
  accounts.findMany(transaction, message.TRANSACTION_BYTES, count, senders);
  accounts.findMany(transaction + message.TRANSACTION_TO, message.TRANSACTION_BYTES, count, receivers);
}

/**
 * Applies one transaction, or leaves everything as it was; its status. `sender`, `receiver` (0: to be made
 * when needed) and `miner` are records, which do not move.
 */
function transfer(transaction: usize, sender: usize, receiver: usize, miner: usize): u8 {
  if (sender == 0) sender = accounts.findOrAdd(transaction);
  const nonce = load<u64>(sender, RECORD_NONCE);
  if (nonce != load<u64>(transaction, message.TRANSACTION_NONCE) || nonce == u64.MAX_VALUE)
    return message.STATUS_BAD_NONCE;

  const value = transaction + message.TRANSACTION_VALUE;
  const balance = sender + RECORD_BALANCE;
  if (U256.multiplyU64(fee, transaction + message.TRANSACTION_GAS_PRICE, TRANSFER_GAS))
    return message.STATUS_INSUFFICIENT;
  if (U256.add(cost, value, fee)) return message.STATUS_INSUFFICIENT;
  if (U256.lessThan(balance, cost)) return message.STATUS_INSUFFICIENT;

  U256.subtract(balance, balance, cost);
  store<u64>(sender, nonce + 1, RECORD_NONCE);
  if (load<u32>(transaction, message.TRANSACTION_FLAGS) & message.TRANSACTION_CREATION) credit(burned, value);
  else credit((receiver || accounts.findOrAdd(transaction + message.TRANSACTION_TO)) + RECORD_BALANCE, value);
  U256.subtract(tip, fee, baseBurn); // the gas price is not below the base fee
  credit(miner + RECORD_BALANCE, tip);
  credit(burned, baseBurn);
  return message.STATUS_APPLIED;
}

function credit(balance: usize, amount: usize): void {
  if (U256.add(balance, balance, amount)) throw new Error("ledger: a balance exceeds 2^256 - 1");
}

// ---- the digest -------------------------------------------------------------------------------------------

/**
 * SHA-256 over address, nonce and balance (big-endian) of the message's accounts in order, burned, and the
 * statuses.
 */
function writeDigest(list: usize, count: u32, result: usize, statuses: u32): void {
  Sha256.begin(digestState);
  for (let i: u32 = 0; i < count; i++) {
    const record = accounts.find(list + i * message.ACCOUNT_BYTES);
    memory.copy(digestAccount, record, 20);
    store<u64>(digestAccount, bswap<u64>(load<u64>(record, RECORD_NONCE)), 20);
    U256.toBigEndian(digestAccount + 28, record + RECORD_BALANCE);
    Sha256.update(digestState, digestAccount, DIGEST_ACCOUNT_BYTES);
  }
  U256.toBigEndian(digestAccount, burned);
  Sha256.update(digestState, digestAccount, 32);
  Sha256.update(digestState, result + message.RESULT_BYTES, statuses);
  Sha256.end(digestState, result + message.RESULT_DIGEST);
}
