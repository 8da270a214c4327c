/**
 * The root: takes a block (messages.ts), has its senders recovered by child 2 and its transactions executed
 * by child 1, each as a batch, makes the receipts, and commits what the chain's header says of a block.
 *
 * The children are made at the first block, from the programs that it names. Child 1 reads the state while
 * child 2 recovers; that is started first because it is joined first. A transaction that is not valid, a
 * message that breaks the format, or an item that faults aborts: the block fails, and nothing of it is left.
 */

import {
  Batch,
  Block,
  Child,
  E_GAS,
  ITEM_FAULTED,
  ITEM_RETURNED,
  Outcomes,
  PageBuffer,
  check,
  faultName,
  memoryQuota,
  snapshot,
} from "../../../guest/index.ts";
import { INBOX_BYTES, OUTBOX_BYTES } from "./arena.ts";
import * as message from "./messages.ts";
import { headBytes, stringBytes, writeListHead, writeNumber, writeStringHead } from "./rlp.ts";
import { rootOfList } from "./trie.ts";
import { STATE_BYTES } from "./world.ts";

/** Metadata of one block, at most. */
const REGION_BYTES: u32 = 32 << 20;
/** What each child may keep of a block: its batch of transactions and what became of them. */
const KEPT_BYTES: u32 = 64 << 20;
/** Quota of the EVM: state, arenas, and the message of a large block. */
const EVM_QUOTA: u32 = memoryQuota(4096, KEPT_BYTES);
const SENDERS_QUOTA: u32 = memoryQuota(32, KEPT_BYTES);

const GAS_TO_PREPARE: u64 = 3_000_000_000;
const GAS_PER_BYTE: u64 = 400;
/** To recover a sender. */
const GAS_OF_SENDER: u64 = 20_000_000;
/** What an item may use: some, and so much for each unit of the transaction's own gas. */
const GAS_OF_ITEM: u64 = 20_000_000;
const GAS_PER_GAS: u64 = 400;
/** A batch has at least what it needs; the rest comes back. */
const GAS_OF_BATCH: u64 = 1_000_000_000;

/** The data of a block as messages.ts draws it, for those who look at it. */
export const BLOCK_DATA_LAYOUT: string = `{
  "fields": [
    { "name": "number", "at": 0, "type": "u64" },
    { "name": "gasUsed", "at": 8, "type": "u64" },
    { "name": "transactions", "at": 16, "type": "u32" },
    { "name": "receiptsRoot", "at": 24, "type": "bytes32" },
    { "name": "transactionsRoot", "at": 56, "type": "bytes32" },
    { "name": "burned", "at": 120, "type": "u256" }],
  "rows": { "name": "transaction", "at": 408, "stride": 112, "fields": [
    { "name": "hash", "at": 80, "type": "bytes32" },
    { "name": "sender", "at": 16, "type": "bytes20", "reversed": true },
    { "name": "ok", "at": 0, "type": "bool" },
    { "name": "logs", "at": 4, "type": "u32" },
    { "name": "gasUsed", "at": 8, "type": "u64" },
    { "name": "created", "at": 48, "type": "bytes20", "reversed": true }] }
}`;

const region = new PageBuffer();
const data = new PageBuffer();
const receipts = new PageBuffer();
const lists = new PageBuffer();
const room = new PageBuffer();
const evm = Child.at(1);
const senders = Child.at(2);
let started: bool = false;
let execution: Batch | null = null;
let recovery: Batch | null = null;
/** Of the block: what was written to `receipts`. */
let receiptBytes: u32 = 0;
const executed = new Outcomes(evm, OUTBOX_BYTES);
const recovered = new Outcomes(senders, 65536);

export function main(argument: i64): i64 {
  region.reserve(REGION_BYTES);
  let length: u32 = 0;
  while (true) {
    const arrived = check(snapshot(data.address, length, region.address, region.capacity), "snapshot");
    length = runBlock(<u32>arrived);
  }
}

function runBlock(length: u32): u32 {
  const header = region.address;
  const block = new Block(header, length);
  block.expect(message.METADATA_VERSION, "version");
  block.bytes(<u32>message.HEADER_BYTES - 4);
  makeChildren(header);
  const count = load<u32>(header, message.HEADER_TRANSACTIONS);
  const stateBytes = lengthOfState(block, header);
  const transactions = listTransactions(block, count);
  block.end();
  startSenders(transactions, count);
  startEvm(header, stateBytes);
  const dataLength = <u32>message.RESULT_BYTES + count * <u32>message.RESULT_LINE_BYTES;
  const result = data.reserve(dataLength);
  memory.fill(result, 0, dataLength);
  const lines = result + message.RESULT_BYTES;
  takeSenders(transactions, lines, load<u32>(header, message.HEADER_FORK));
  evm.join();
  executeAll(transactions, count, lines);
  const gasUsed = makeReceipts(result, lines, count, load<u64>(header, message.HEADER_GAS_LIMIT));
  store<u64>(result, load<u64>(header, message.HEADER_NUMBER));
  store<u64>(result, gasUsed, message.RESULT_GAS_USED);
  store<u32>(result, count, message.RESULT_TRANSACTIONS);
  const longest = longestOf(transactions, count);
  rootOfList(transactions, count, result + message.RESULT_TRANSACTIONS_ROOT, room.reserve(longest + 8192));
  const burned = <usize>startWithin(evm, "finish", 0, GAS_TO_PREPARE);
  evm.copyOut(burned, result + message.RESULT_BURNED, 32).hash(result + message.RESULT_PROCESS);
  check(evm.get(), "get the result");
  forgetMessage(length);
  return dataLength;
}

/** Leaves zeros where the message and copies of it lay: such pages are neither kept nor hashed. */
function forgetMessage(length: u32): void {
  memory.fill(region.address, 0, length);
  memory.fill(receipts.address, 0, receiptBytes);
}

// ---- the children -----------------------------------------------------------------------------------------

function makeChildren(header: usize): void {
  if (started) return;
  check(evm.create(header + message.HEADER_EVM, EVM_QUOTA).put(), "make the EVM");
  check(senders.create(header + message.HEADER_SENDERS, SENDERS_QUOTA).put(), "make the recovery of senders");
  execution = batchFor(evm, STATE_BYTES, INBOX_BYTES, OUTBOX_BYTES);
  recovery = batchFor(senders, 0, INBOX_BYTES, 256);
  started = true;
}

function batchFor(child: Child, stateBytes: usize, inboxBytes: usize, outboxBytes: usize): Batch {
  const boxes = startWithin(child, "boxes", 0, GAS_TO_PREPARE);
  const inbox = <usize>(boxes & 0xffffffff);
  const outbox = <usize>(boxes >> 32);
  return new Batch(stateBytes, inbox, <u32>inboxBytes, outbox, <u32>outboxBytes);
}

/** Where the transactions begin, which the EVM gets one by one. */
function lengthOfState(block: Block, header: usize): u32 {
  block.records(load<u32>(header, message.HEADER_ACCOUNTS), <u32>message.ACCOUNT_BYTES, "accounts");
  block.records(load<u32>(header, message.HEADER_SLOTS), <u32>message.SLOT_BYTES, "slots");
  block.records(load<u32>(header, message.HEADER_HASHES), <u32>message.HASH_BYTES, "block hashes");
  block.records(load<u32>(header, message.HEADER_WITHDRAWALS), <u32>message.WITHDRAWAL_BYTES, "withdrawals");
  const codes = load<u32>(header, message.HEADER_CODES);
  for (let i: u32 = 0; i < codes; i++) {
    const head = block.bytes(<u32>message.CODE_BYTES);
    block.bytes(message.codeBytes(load<u32>(head, message.CODE_LENGTH)));
  }
  return block.offset;
}

/** Lets the EVM read the state of the block; it runs beside us until it is joined. */
function startEvm(header: usize, length: u32): void {
  const buffer = <usize>startWithin(evm, "prepare", length, GAS_TO_PREPARE);
  evm.copyIn(header, buffer, length);
  check(evm.start("begin", length, GAS_TO_PREPARE + GAS_PER_BYTE * <u64>length).put(), "begin");
}

/** Starts an entry and waits for its code. */
function startWithin(child: Child, entry: string, argument: i64, gas: u64): i64 {
  check(child.start(entry, argument, gas).put(), entry);
  return child.join();
}

// ---- transactions -----------------------------------------------------------------------------------------

/** Pairs of u32, address and length. The room for a sender lies before each. */
function listTransactions(block: Block, count: u32): usize {
  block.records(0, 0, "transactions");
  const list = lists.reserve(count * 16);
  for (let i: u32 = 0; i < count; i++) {
    const length = block.u32();
    block.expect(0, "reserved word");
    if (length > INBOX_BYTES - 32)
      throw new Error(`evm: transaction ${i} has ${length} bytes, which do not fit`);
    const sender = block.bytes(message.SENDER_ROOM);
    for (let k: u32 = 0; k < message.SENDER_ROOM; k += 8)
      if (load<u64>(sender + k)) throw new Error(`evm: transaction ${i} comes with a sender`);
    store<u32>(list + i * 8, <u32>block.bytes((length + 7) & ~7));
    store<u32>(list + i * 8, length, 4);
  }
  return list;
}

function longestOf(list: usize, count: u32): u32 {
  let longest: u32 = 0;
  for (let i: u32 = 0; i < count; i++) longest = max<u32>(longest, load<u32>(list + i * 8, 4));
  return longest;
}

/** Lets the senders be recovered; that runs beside us until its outcomes are read. */
function startSenders(list: usize, count: u32): void {
  const batch = recovery as Batch;
  batch.clear();
  for (let i: u32 = 0; i < count; i++)
    batch.add(load<u32>(list + i * 8), load<u32>(list + i * 8, 4), GAS_OF_SENDER);
  check(batch.run(senders, "recover", GAS_OF_SENDER + <u64>count * GAS_OF_SENDER), "recover");
}

/** Writes each sender in front of its transaction; sender, hash and gas limit into its line. */
function takeSenders(list: usize, lines: usize, fork: u32): void {
  recovered.rewind();
  while (recovered.next()) {
    const i = recovered.index;
    if (recovered.status != ITEM_RETURNED) throw new Error(explain(recovered, "recover"));
    if (recovered.code != message.VALID) throw new Error(invalid(i, recovered.code));
    const output = recovered.output;
    if (fork > 0 && !load<u32>(output, message.SENDER_IS_LOW))
      throw new Error(invalid(i, message.BAD_SIGNATURE));
    const line = lines + i * <u32>message.RESULT_LINE_BYTES;
    memory.copy(line + message.RESULT_LINE_SENDER, output, 32);
    memory.copy(load<u32>(list + i * 8) - message.SENDER_ROOM, output, message.SENDER_ROOM);
    memory.copy(line + message.RESULT_LINE_HASH, output + message.SENDER_HASH, 32);
    store<u64>(line, load<u64>(output, message.SENDER_GAS_LIMIT), message.RESULT_LINE_GAS_USED);
  }
}

function executeAll(list: usize, count: u32, lines: usize): void {
  const batch = execution as Batch;
  batch.clear();
  let gas: u64 = GAS_OF_BATCH;
  for (let i: u32 = 0; i < count; i++) {
    const limit = load<u64>(lines + i * <u32>message.RESULT_LINE_BYTES, message.RESULT_LINE_GAS_USED);
    const itemGas = GAS_OF_ITEM + GAS_PER_GAS * min<u64>(limit, 1 << 26);
    const at = load<u32>(list + i * 8) - message.SENDER_ROOM;
    batch.add(at, message.SENDER_ROOM + load<u32>(list + i * 8, 4), itemGas);
    gas += itemGas;
  }
  let code = batch.run(evm, "transact", gas);
  while (code == E_GAS && gas > GAS_OF_BATCH) {
    gas -= gas / 8;
    code = batch.run(evm, "transact", gas);
  }
  check(code, "transact");
}

// ---- receipts ---------------------------------------------------------------------------------------------

/** Makes the receipts, their root and bloom; the gas that all have used. */
function makeReceipts(result: usize, lines: usize, count: u32, gasLimit: u64): u64 {
  const list = lists.address + count * 8;
  let used: u32 = 0;
  let gas: u64 = 0;
  let longest: u32 = 0;
  executed.rewind();
  while (executed.next()) {
    const i = executed.index;
    if (executed.status != ITEM_RETURNED) throw new Error(explain(executed, "transact"));
    if (executed.code != message.VALID) throw new Error(invalid(i, executed.code));
    const output = executed.output;
    const line = lines + i * <u32>message.RESULT_LINE_BYTES;
    if (gas + load<u64>(line, message.RESULT_LINE_GAS_USED) > gasLimit)
      throw new Error(invalid(i, message.ABOVE_BLOCK_LIMIT));
    gas += load<u64>(output, message.RECEIPT_GAS_USED);
    const room = load<u32>(output, message.RECEIPT_LOGS_BYTES) + 512;
    growReceipts(used, room);
    const at = receipts.address + used;
    const length = <u32>(writeReceipt(at, output, gas) - at);
    // By offset until all are written: the buffer may move.
    store<u32>(list + i * 8, used);
    store<u32>(list + i * 8, length, 4);
    used += (length + 7) & ~7;
    longest = max<u32>(longest, length);
    for (let k: usize = 0; k < message.BLOOM_BYTES; k += 8) {
      const bits = result + message.RESULT_BLOOM + k;
      store<u64>(bits, load<u64>(bits) | load<u64>(output + k, message.RECEIPT_BLOOM));
    }
    store<u32>(line, load<u32>(output));
    store<u32>(line, load<u32>(output, message.RECEIPT_LOGS), message.RESULT_LINE_LOGS);
    store<u64>(line, load<u64>(output, message.RECEIPT_GAS_USED), message.RESULT_LINE_GAS_USED);
    memory.copy(line + message.RESULT_LINE_CREATED, output + message.RECEIPT_CREATED, 32);
  }
  receiptBytes = used;
  for (let i: u32 = 0; i < count; i++)
    store<u32>(list + i * 8, load<u32>(list + i * 8) + <u32>receipts.address);
  rootOfList(list, count, result + message.RESULT_RECEIPTS_ROOT, room.reserve(longest + 8192));
  return gas;
}

/** Makes room for `more` bytes behind the first `used`, which are kept. */
function growReceipts(used: u32, more: u32): void {
  if (used + more <= receipts.capacity) return;
  const before = receipts.address;
  const address = receipts.reserve(used + more);
  if (address != before) memory.copy(address, before, used);
}

/** RLP of status, gas used so far, bloom and logs, with the type in front (EIP-658, EIP-2718). */
function writeReceipt(at: usize, output: usize, gas: u64): usize {
  const type = load<u32>(output, message.RECEIPT_TYPE);
  if (type) store<u8>(at++, <u8>type);
  const logs = load<u32>(output, message.RECEIPT_LOGS_BYTES);
  const fields = room.reserve(64);
  let end = writeNumber(fields, <u64>load<u32>(output));
  end = writeNumber(end, gas);
  const short = <u32>(end - fields);
  at = writeListHead(at, short + headBytes(256) + 256 + logs);
  memory.copy(at, fields, short);
  at = writeStringHead(at + short, 256);
  memory.copy(at, output + message.RECEIPT_BLOOM, 256);
  memory.copy(at + 256, output + message.RECEIPT_BYTES, logs);
  return at + 256 + logs;
}

// ---- errors -----------------------------------------------------------------------------------------------

function invalid(index: u32, code: i64): string {
  if (code == message.NOT_SUPPORTED) return `transaction ${index}: not supported: point evaluation`;
  return `transaction ${index} is not valid: ${message.reason(code)}`;
}

function explain(outcomes: Outcomes, entry: string): string {
  if (outcomes.status != ITEM_FAULTED) return `transaction ${outcomes.index}: ${entry}: not enough gas`;
  const line = outcomes.code & 0xffffffff;
  return `transaction ${outcomes.index}: ${entry} faulted: ${faultName(outcomes.fault)} (line ${line})`;
}
