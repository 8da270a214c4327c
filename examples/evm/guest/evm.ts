/**
 * The EVM: a process whose state is what the accounts of a block have, and whose items are transactions.
 *
 * Entries, in the order of a block:
 *   prepare(length)  address, divisible by 4096, of at least `length` bytes: where the block's message goes
 *   boxes(0)         address of the inbox in the low half, of the outbox in the high half
 *   begin(length)    sets accounts, storage and codes, and does what the rules do before the first
 *                    transaction
 *   transact(length) the item: the transaction in the inbox; 0, or why it is not valid (messages.ts)
 *   finish(0)        withdrawals; forgets the block's message; address of a word: fees that were burned
 *   records(0)       address of the state for those who look: u32 how many, then their records (world.ts),
 *                    each
 *                    with its number in front, u32
 *   forget(0)        for a loop of its own that runs transact outside of batches: what an item's end does
 *
 * Each block starts from the state in its message alone: what an earlier block left cannot be seen.
 */

import { Secp256k1 } from "../../../guest/crypto/secp256k1.ts";
import { Block, PageBuffer, U256 } from "../../../guest/index.ts";
import { inbox, outbox, takeArenas } from "./arena.ts";
import * as blocks from "./block.ts";
import * as cache from "./cache.ts";
import { execute } from "./execute.ts";
import { BY_CALL, CODE_ENTRY, findJumps, firstFrame, jumpBytes, place, setFrameCode } from "./frame.ts";
import { beginJournal, journalMark, revertTo } from "./journal.ts";
import { howEnded, run } from "./interpreter.ts";
import * as message from "./messages.ts";
import { beginOperations } from "./operations.ts";
import { ENDED } from "./calls.ts";
import { writeReceipt } from "./receipt.ts";
import * as rules from "./rules.ts";
import { Transaction } from "./transaction.ts";
import * as words from "./words.ts";
import * as world from "./world.ts";

export const STATE_BYTES: u32 = world.STATE_BYTES;
export const STATE_GENERATION: usize = world.STATE_GENERATION;
export const STATE_BURNED: usize = world.STATE_BURNED;
export const STATE_CREATED_NEXT: usize = world.STATE_CREATED_NEXT;
export const STATE_RECORDS: usize = world.STATE_RECORDS;
export const STATE_RECORDS_STRIDE: u32 = world.STATE_RECORDS_STRIDE;
/** Records as world.ts draws them, for those who look at the state. */
export const STATE_RECORDS_LAYOUT: string = `{
  "used": { "at": 0, "equals": "generation" },
  "kinds": [
    { "name": "account", "when": { "at": 4, "mask": 15, "is": 1 },
      "key": [{ "name": "address", "at": 8, "type": "bytes20", "reversed": true }],
      "fields": [
        { "name": "code", "at": 4, "type": "u32", "shift": 8 },
        { "name": "incarnation", "at": 28, "type": "u32" },
        { "name": "codeHash", "at": 32, "type": "bytes32" },
        { "name": "balance", "at": 64, "type": "u256" },
        { "name": "nonce", "at": 96, "type": "u64" }] },
    { "name": "slot", "when": { "at": 4, "mask": 15, "is": 2 },
      "key": [
        { "name": "account", "at": 4, "type": "element", "shift": 8 },
        { "name": "key", "at": 16, "type": "u256", "hex": true }],
      "fields": [{ "name": "value", "at": 64, "type": "u256", "hex": true }] }]
}`;
export const STATE_CREATED: usize = world.STATE_CREATED;

const SYSTEM_GAS: i64 = 30_000_000;
const GWEI: u64 = 1_000_000_000;
/** EIP-4844. */
const BLOB_FEE_UPDATE_FRACTION: u64 = 3338477;

const buffer = new PageBuffer();
const reader = new Block(0, 0);
const transaction = new Transaction();
/** Accounts of the block: the number of the record of each. */
const recordOf = new PageBuffer();
const codes = new PageBuffer();
/** Jump tables of the codes; apart from these, whose pages stay as they arrived. */
const jumps = new PageBuffer();
let messageBytes: u32 = 0;
let withdrawals: usize = 0;
let withdrawalCount: u32 = 0;
const amount: usize = memory.data(32, 8);
const system: usize = memory.data(32, 8);
/** 0x000F3df6D732807Ef1319fB7B8bB8522d0Beac02, its bytes turned round. */
// prettier-ignore
const beaconRoots: usize = memory.data<u8>([
  0x02, 0xac, 0xbe, 0xd0, 0x22, 0x85, 0xbb, 0xb8, 0xb7, 0x9f, 0x31, 0xf1, 0x7e, 0x80, 0x32, 0xd7, 0xf6, 0x3d,
  0x0f, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);

export function prepare(length: i64): i64 {
  if (length < 0 || length > 0x7fffffff) throw new Error("evm: prepare: length out of range");
  takeArenas();
  return buffer.reserve(<u32>length);
}

export function boxes(argument: i64): i64 {
  takeArenas();
  Secp256k1.prepare();
  return <i64>inbox | ((<i64>outbox) << 32);
}

export function begin(length: i64): i64 {
  if (length < 0 || length > <i64>buffer.capacity)
    throw new Error("evm: begin: longer than what was prepared");
  const header = buffer.address;
  messageBytes = <u32>length;
  reader.reset(header, messageBytes);
  reader.expect(message.METADATA_VERSION, "version");
  reader.bytes(<u32>message.HEADER_BYTES - 4);
  readHeader(header);
  const accounts = load<u32>(header, message.HEADER_ACCOUNTS);
  const slots = load<u32>(header, message.HEADER_SLOTS);
  world.clearWorld(accounts + slots, blocks.block.gasLimit);
  readAccounts(accounts);
  readSlots(slots, accounts);
  blocks.block.hashCount = load<u32>(header, message.HEADER_HASHES);
  blocks.block.hashes = reader.records(blocks.block.hashCount, <u32>message.HASH_BYTES, "block hashes");
  withdrawalCount = load<u32>(header, message.HEADER_WITHDRAWALS);
  withdrawals = reader.records(withdrawalCount, <u32>message.WITHDRAWAL_BYTES, "withdrawals");
  readCodes(load<u32>(header, message.HEADER_CODES));
  reader.end();
  makeMiner();
  if (load<u32>(header, message.HEADER_HAS_BEACON_ROOT)) storeBeaconRoot(header + message.HEADER_BEACON_ROOT);
  return 0;
}

export function transact(length: i64): i64 {
  if (length < 32) return message.MALFORMED;
  const read = transaction.read(inbox + 32, <u32>length - 32);
  if (read != message.VALID) return read;
  const refusal = execute(transaction, inbox);
  if (refusal != message.VALID) return refusal;
  writeReceipt(transaction.type);
  return message.VALID;
}

export function finish(argument: i64): i64 {
  beginTransaction();
  for (let i: u32 = 0; i < withdrawalCount; i++) {
    const at = withdrawals + <usize>i * message.WITHDRAWAL_BYTES;
    words.setU64(amount, load<u64>(at, message.WITHDRAWAL_AMOUNT));
    U256.multiplyU64(amount, amount, GWEI);
    const entry = cache.account(at);
    if (words.isZero(amount)) cache.touch(entry);
    else cache.addBalance(entry, amount);
  }
  cache.flush(true);
  cache.endCache();
  forgetMessage();
  return world.BURNED;
}

/** Leaves zeros where the message and what was made of it lay: such pages are neither kept nor hashed. */
function forgetMessage(): void {
  memory.fill(buffer.address, 0, messageBytes);
  memory.fill(jumps.address, 0, jumpRoom(messageBytes, blocks.block.codeCount));
  memory.fill(codes.address, 0, (<usize>blocks.block.codeCount + 1) * CODE_ENTRY);
  blocks.block.codeCount = 0;
  blocks.block.hashCount = 0;
  withdrawalCount = 0;
}

export function forget(argument: i64): i64 {
  cache.endCache();
  return 0;
}

export function records(argument: i64): i64 {
  listed = 0;
  world.eachRecord(countRecord);
  const list = dump.reserve(4 + listed * RECORD_ENTRY);
  store<u32>(list, listed);
  listed = 0;
  world.eachRecord(listRecord);
  return list;
}

const RECORD_ENTRY: u32 = 132;
const dump = new PageBuffer();
let listed: u32 = 0;

function countRecord(record: usize): void {
  listed++;
}

function listRecord(record: usize): void {
  const at = dump.address + 4 + listed++ * RECORD_ENTRY;
  store<u32>(at, world.numberOf(record));
  memory.copy(at + 4, record, 128);
}

/** What an item finds: outside of items nobody puts the cache back. */
function beginTransaction(): void {
  beginJournal();
  cache.beginCache();
  beginOperations();
}

// ---- reading ----------------------------------------------------------------------------------------------

function readHeader(header: usize): void {
  const fork = load<u32>(header, message.HEADER_FORK);
  if (fork > rules.CANCUN) throw new Error(`evm: begin: unknown fork ${fork}`);
  rules.useRules(fork);
  const block = blocks.block;
  block.number = load<u64>(header, message.HEADER_NUMBER);
  block.timestamp = load<u64>(header, message.HEADER_TIMESTAMP);
  block.gasLimit = load<u64>(header, message.HEADER_GAS_LIMIT);
  words.copyWord(blocks.coinbase, header + message.HEADER_MINER);
  words.copyWord(blocks.baseFee, header + message.HEADER_BASE_FEE);
  words.copyWord(blocks.randao, header + message.HEADER_RANDAO);
  blobFee(load<u64>(header, message.HEADER_EXCESS_BLOB_GAS));
}

/** fake_exponential of EIP-4844. */
function blobFee(excess: u64): void {
  const fee = blocks.blobBaseFee;
  words.clear(fee);
  words.setU64(amount, BLOB_FEE_UPDATE_FRACTION);
  for (let i: u64 = 1; !words.isZero(amount); i++) {
    U256.add(fee, fee, amount);
    if (U256.multiplyU64(amount, amount, excess))
      throw new Error("evm: begin: the excess of blob gas is too large");
    U256.divideU64(amount, amount, BLOB_FEE_UPDATE_FRACTION * i);
  }
  U256.divideU64(fee, fee, BLOB_FEE_UPDATE_FRACTION);
}

function readAccounts(count: u32): void {
  const list = reader.records(count, <u32>message.ACCOUNT_BYTES, "accounts");
  const numbers = recordOf.reserve(count * 4);
  for (let i: u32 = 0; i < count; i++) {
    const account = list + <usize>i * message.ACCOUNT_BYTES;
    const hash = world.hashOfAddress(account);
    if (world.findAccount(account, hash)) throw new Error(`evm: begin: account ${i} is there twice`);
    const record = world.addAccount(account, hash);
    words.copyWord(record + world.RECORD_BALANCE, account + message.ACCOUNT_BALANCE);
    store<u64>(record, load<u64>(account, message.ACCOUNT_NONCE), world.RECORD_NONCE);
    const code = load<u32>(account, message.ACCOUNT_CODE);
    const exists = load<u32>(account, message.ACCOUNT_EXISTS) ? world.EXISTS : 0;
    store<u32>(record, world.KIND_ACCOUNT | exists | (code << 8), world.RECORD_CODE);
    words.copyWord(record + world.RECORD_CODE_HASH, cache.EMPTY_CODE_HASH);
    store<u32>(numbers + i * 4, <u32>record);
  }
}

function readSlots(count: u32, accounts: u32): void {
  const list = reader.records(count, <u32>message.SLOT_BYTES, "slots");
  for (let i: u32 = 0; i < count; i++) {
    const slot = list + <usize>i * message.SLOT_BYTES;
    const owner = load<u32>(slot);
    if (owner >= accounts) throw new Error(`evm: begin: slot ${i} is of no account`);
    const number = world.numberOf(load<u32>(recordOf.address + owner * 4));
    const key = slot + message.SLOT_KEY;
    const hash = world.hashOfSlot(number, key);
    if (world.findSlot(number, 0, key, hash)) throw new Error(`evm: begin: slot ${i} is there twice`);
    const record = world.addSlot(number, 0, key, hash);
    words.copyWord(record + world.RECORD_VALUE, slot + message.SLOT_VALUE);
    if (words.isZero(slot + message.SLOT_VALUE)) continue;
    const account = <usize>load<u32>(recordOf.address + owner * 4);
    store<u32>(account, load<u32>(account, world.RECORD_CODE) | world.HAS_STORAGE, world.RECORD_CODE);
  }
}

/** Maximum size of the jump tables of this number of codes, in a message of that length. */
function jumpRoom(bytes: u32, codes: u32): u32 {
  return (bytes >> 3) + 8 * codes;
}

/** Codes stay where they arrived. */
function readCodes(count: u32): void {
  if (count + 1 >= world.CREATED_CODES) throw new Error(`evm: begin: ${count} codes are more than fit`);
  const table = codes.reserve((count + 1) * <u32>CODE_ENTRY);
  let targets = jumps.reserve(jumpRoom(messageBytes, count));
  blocks.block.codes = table;
  blocks.block.codeCount = count;
  memory.fill(table, 0, CODE_ENTRY);
  for (let number: u32 = 1; number <= count; number++) {
    const head = reader.bytes(<u32>message.CODE_BYTES);
    const length = load<u32>(head, message.CODE_LENGTH);
    if (length > 1 << 24) throw new Error(`evm: begin: code ${number} is longer than fits`);
    const code = reader.bytes(message.codeBytes(length));
    const entry = table + number * CODE_ENTRY;
    store<u32>(entry, <u32>code);
    store<u32>(entry, length, 4);
    store<u32>(entry, <u32>targets, 8);
    findJumps(code, length, targets);
    targets += jumpBytes(length);
  }
  world.eachRecord(setCodeHash);
}

function setCodeHash(record: usize): void {
  if (!world.isAccount(record)) return;
  const code = load<u32>(record, world.RECORD_CODE) >> 8;
  if (code > blocks.block.codeCount) throw new Error(`evm: begin: there is no code ${code}`);
  if (!code) return;
  const bytes = <usize>load<u32>(blocks.block.codes + code * CODE_ENTRY);
  words.copyWord(record + world.RECORD_CODE_HASH, bytes - message.CODE_BYTES);
}

/** A record for the miner: transactions only add to it, and do not meet there. */
function makeMiner(): void {
  const hash = world.hashOfAddress(blocks.coinbase);
  if (world.findAccount(blocks.coinbase, hash)) return;
  const record = world.addAccount(blocks.coinbase, hash);
  words.copyWord(record + world.RECORD_CODE_HASH, cache.EMPTY_CODE_HASH);
}

/** EIP-4788: a call from the system's address, which pays nothing. */
function storeBeaconRoot(root: usize): void {
  beginTransaction();
  words.setU64(system, 0xfffffffffffffffe);
  store<u64>(system, u64.MAX_VALUE, 8);
  store<u32>(system, 0xffffffff, 16);
  const target = cache.account(beaconRoots);
  if (cache.codeOf(target)) {
    const frame = firstFrame();
    frame.depth = 0;
    frame.kind = BY_CALL;
    frame.gas = SYSTEM_GAS;
    frame.mark = journalMark();
    frame.input = root;
    frame.inputLength = 32;
    frame.isStatic = false;
    frame.self = target;
    words.copyWord(frame.caller, system);
    words.clear(frame.value);
    words.copyWord(blocks.origin, system);
    place(frame);
    setFrameCode(frame, cache.codeOf(target));
    run(frame);
    if (howEnded != ENDED) revertTo(frame.mark);
  }
  cache.flush(true);
  cache.endCache();
}
