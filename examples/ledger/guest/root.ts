/**
 * The ledger's root: takes a block (metadata, see messages.ts), has child 1 apply it, and commits the child's
 * result and hash as the block's data.
 *
 * Child 1 is made at the first block, from the program that the block names, and keeps its accounts from then
 * on. The metadata region begins on a page, as does the child's inbox, so that handing the block on shares
 * pages. A message that breaks the format, or a child that faults, aborts: the block fails and the runtime
 * stays at the one before.
 */

import { Block, check, Child, E_GAS, E_QUOTA, PageBuffer, snapshot } from "../../../guest/index.ts";
import * as message from "./messages.ts";

/** Metadata of one block, at most: about 87,000 transactions with an account each. */
const REGION_CAPACITY: u32 = 16 << 20;

/** Memory for the ledger in 64 KiB pages, if the runtime has it: some two million accounts. */
const LEDGER_PAGES: u32 = 4096;
const LEDGER_PAGES_LEAST: u32 = 64;

/** More than any block takes; the join gives the rest back. */
const GAS_TO_PREPARE: u64 = 100_000_000;
const GAS_PER_RECORD: u64 = 200_000;

const region = new PageBuffer();
const outbox = new PageBuffer();
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
  const accounts = block.u32();
  const transactions = block.u32();
  block.bytes(message.HEADER_BYTES - block.offset);
  block.records(accounts, message.ACCOUNT_BYTES, "accounts");
  block.records(transactions, message.TRANSACTION_BYTES, "transactions");
  block.end();

  const ledger = Child.at(1);
  useProgram(ledger, region.address + message.HEADER_PROGRAM);
  startWithin(ledger, "prepare", 0, length, GAS_TO_PREPARE);
  const inbox = <usize>ledger.join();
  const gas = GAS_TO_PREPARE + (<u64>accounts + transactions) * GAS_PER_RECORD;
  startWithin(ledger, "execute", inbox, length, gas);
  const result = <usize>ledger.join();

  const dataLength = message.RESULT_BYTES + transactions;
  const data = outbox.reserve(dataLength);
  check(
    ledger
      .copyOut(result, data, dataLength)
      .hash(data + message.RESULT_PROCESS)
      .get(),
    "get the result",
  );
  return dataLength;
}

/**
 * Makes the child from that program, if there is none; it cannot be changed later, for the accounts live in
 * it.
 */
function useProgram(ledger: Child, program: usize): void {
  if (started) {
    if (memory.compare(programInUse, program, 32))
      throw new Error("ledger: the block names another program than the one that runs");
    return;
  }
  let pages = LEDGER_PAGES;
  let code = ledger.create(program, pages).put();
  while (code == E_QUOTA && pages > LEDGER_PAGES_LEAST) {
    pages /= 2;
    code = ledger.create(program, pages).put();
  }
  check(code, "make the ledger");
  memory.copy(programInUse, program, 32);
  started = true;
}

/**
 * Starts an entry with `length`, the block copied to `inbox` (unless 0), with `gas` or as much of it as there
 * is.
 */
function startWithin(ledger: Child, entry: string, inbox: usize, length: u32, gas: u64): void {
  while (true) {
    if (inbox) ledger.copyIn(region.address, inbox, length);
    const code = ledger.start(entry, length, gas).put();
    if (code != E_GAS || gas < 1000) {
      check(code, entry);
      return;
    }
    gas -= gas / 4;
  }
}
