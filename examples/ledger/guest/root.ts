/**
 * The ledger's root: takes a block (metadata, see messages.ts), has child 1 apply it, and commits the child's
 * result and hash as the block's data.
 *
 * Child 1 is made at the first block, from the program that the block names, and keeps its accounts from then
 * on. It is given header and accounts first; the metadata region begins on a page, as does the child's buffer
 * for them, so handing them on shares pages. Then it is given the transactions as the items of a batch; the
 * inputs are where they arrived, in the region. A message that breaks the format, or a child or an item that
 * faults, aborts: the block fails and the runtime stays at the one before.
 */

import {
  Batch,
  Block,
  Child,
  E_GAS,
  E_QUOTA,
  ITEM_FAULTED,
  ITEM_RETURNED,
  Outcomes,
  PageBuffer,
  check,
  memoryQuota,
  faultName,
  snapshot,
} from "../../../guest/index.ts";
import * as message from "./messages.ts";

/** Metadata of one block, at most: about 87,000 transactions with an account each. */
const REGION_CAPACITY: u32 = 16 << 20;

/** Memory quota of the ledger, if the runtime has it: its state, and the accounts and batch of a block. */
const LEDGER_QUOTA: u32 = memoryQuota(2048, 32 << 20);
const LEDGER_QUOTA_LEAST: u32 = memoryQuota(512, 8 << 20);

/** More than any block takes; the join gives the rest back. */
const GAS_TO_PREPARE: u64 = 100_000_000;
const GAS_PER_RECORD: u64 = 200_000;
/** One item may use as much: a new account now and then makes the table grow. */
const GAS_OF_ITEM: u64 = 100_000_000;

const region = new PageBuffer();
const outbox = new PageBuffer();
const batch = new Batch(message.LEDGER_STATE_BYTES);
const outcomes = new Outcomes(Child.at(1), 0);
const programInUse: usize = memory.data(32, 8);
let started: bool = false;

export function main(argument: i64): i64 {
  region.reserve(REGION_CAPACITY);
  let dataLength: u32 = 0;
  while (true) {
    const length = check(snapshot(outbox.address, dataLength, region.address, region.capacity), "snapshot");
    dataLength = runBlock(<u32>length);
  }
}

/** Applies the block in the region; the length of its data in the outbox. */
function runBlock(length: u32): u32 {
  const block = new Block(region.address, length);
  block.expect(message.METADATA_VERSION, "version");
  const accountCount = block.u32();
  const count = block.u32();
  block.bytes(message.HEADER_BYTES - block.offset);
  block.records(accountCount, message.ACCOUNT_BYTES, "accounts");
  const accountsEnd = block.offset;
  const transactions = block.records(count, message.TRANSACTION_BYTES, "transactions");
  block.end();

  const ledger = Child.at(1);
  useProgram(ledger, region.address + message.HEADER_PROGRAM);
  startWithin(ledger, "prepare", accountsEnd, GAS_TO_PREPARE);
  const inbox = <usize>ledger.join();
  const gasForAccounts = GAS_TO_PREPARE + <u64>accountCount * GAS_PER_RECORD;
  startWithin(ledger, "begin", accountsEnd, gasForAccounts, region.address, inbox, accountsEnd);
  const statuses = <usize>ledger.join();

  const dataLength = message.RESULT_BYTES + count;
  const data = outbox.reserve(dataLength);
  payAll(ledger, transactions, count, data + message.RESULT_BYTES);
  startWithin(ledger, "finish", 0, gasForAccounts, data + message.RESULT_BYTES, statuses, count);
  const result = <usize>ledger.join();
  check(
    ledger
      .copyOut(result, data, message.RESULT_BYTES)
      .hash(data + message.RESULT_PROCESS)
      .get(),
    "get the result",
  );
  return dataLength;
}

/** Gives the ledger the transactions as a batch; writes their statuses to `target`, a byte each. */
function payAll(ledger: Child, transactions: usize, count: u32, target: usize): void {
  batch.clear();
  for (let i: u32 = 0; i < count; i++)
    batch.add(transactions + i * message.TRANSACTION_BYTES, message.TRANSACTION_BYTES, GAS_OF_ITEM);
  let gas = GAS_OF_ITEM + <u64>count * GAS_PER_RECORD;
  let code = batch.run(ledger, "pay", gas);
  while (code == E_GAS && gas > GAS_OF_ITEM) {
    gas -= gas / 4;
    code = batch.run(ledger, "pay", gas);
  }
  check(code, "pay");
  outcomes.rewind();
  while (outcomes.next()) {
    if (outcomes.status != ITEM_RETURNED) throw new Error(explain());
    store<u8>(target + outcomes.index, <u8>outcomes.code);
  }
}

function explain(): string {
  if (outcomes.status != ITEM_FAULTED) return `transaction ${outcomes.index}: not enough gas`;
  const line = outcomes.code & 0xffffffff;
  return `transaction ${outcomes.index} faulted: ${faultName(outcomes.fault)} (line ${line} of the ledger)`;
}

/**
 * Makes the child from that program, if there is none; it cannot be changed later, since the accounts live in
 * it.
 */
function useProgram(ledger: Child, program: usize): void {
  if (started) {
    if (memory.compare(programInUse, program, 32))
      throw new Error("ledger: the block names another program than the one that runs");
    return;
  }
  let quota = LEDGER_QUOTA;
  let code = ledger.create(program, quota).put();
  while (code == E_QUOTA && quota > LEDGER_QUOTA_LEAST) {
    quota /= 2;
    code = ledger.create(program, quota).put();
  }
  check(code, "make the ledger");
  memory.copy(programInUse, program, 32);
  started = true;
}

/**
 * Starts an entry with `gas` or as much of it as there is, after copying `length` bytes at `source` to
 * `target` in the child.
 */
function startWithin(
  ledger: Child,
  entry: string,
  argument: u32,
  gas: u64,
  source: usize = 0,
  target: usize = 0,
  length: u32 = 0,
): void {
  while (true) {
    if (length) ledger.copyIn(source, target, length);
    const code = ledger.start(entry, argument, gas).put();
    if (code != E_GAS || gas < 1000) {
      check(code, entry);
      return;
    }
    gas -= gas / 4;
  }
}
