/**
 * The ready-made root of an App. It makes one process of the program that its first block names, child 1, and
 * gives it the transactions of every block as one batch, so that they run in parallel and in order. Before,
 * it writes the block's height and time into the first line of the process's state.
 *
 * Whatever a transaction is, its outcome is data of the block. A block fails where the message is not as
 * messages.ts says, where time goes back, where outcomes are too long for a block, and where gas or quotas do
 * not suffice for the batch: the host then sends fewer transactions.
 */

import {
  Batch,
  Block,
  Child,
  E_GAS,
  E_QUOTA,
  Outcomes,
  PageBuffer,
  check,
  memoryQuota,
  snapshot,
} from "../../../guest/index.ts";
import * as message from "./messages.ts";

/** For inputs and outcomes of a batch, if the runtime has it. */
const KEPT_BYTES: u32 = 64 << 20;
const KEPT_BYTES_LEAST: u32 = 1 << 20;
/** For the start function, once. */
const GAS_TO_START: u64 = 100_000_000;

const app = Child.at(1);
const region = new PageBuffer();
const data = new PageBuffer();
const block = new Block(0, 0);
const outcomes = new Outcomes(app);
/** u64 height · u64 time */
const context: usize = memory.data(16, 8);
let batch: Batch | null = null;

export function main(argument: i64): i64 {
  region.reserve(message.REGION_BYTES);
  let length: u32 = 0;
  while (true) {
    const received = check(snapshot(data.address, length, region.address, region.capacity), "snapshot");
    store<u64>(context, load<u64>(context) + 1);
    block.reset(region.address, <u32>received);
    length = batch === null ? makeApp() : runBlock(batch!);
  }
}

function makeApp(): u32 {
  block.expect(message.MESSAGE_GENESIS, "message of the first block");
  const stateBytes = block.u32();
  const pages = block.u32();
  block.expect(0, "zero");
  const program = block.bytes(32);
  block.end();
  let kept = KEPT_BYTES;
  let code = app.create(program, memoryQuota(pages, kept)).put();
  while (code == E_QUOTA && kept > KEPT_BYTES_LEAST) {
    kept /= 2;
    code = app.create(program, memoryQuota(pages, kept)).put();
  }
  check(code, "make the process of the app");
  batch = new Batch(stateBytes);
  return 0;
}

/** Runs the block in the region; the length of its data. */
function runBlock(batch: Batch): u32 {
  block.expect(message.MESSAGE_BLOCK, "message of a block");
  const count = block.u32();
  const time = block.u64();
  if (time < load<u64>(context, 8)) throw new Error("the block's time is before that of the block before");
  store<u64>(context, time, 8);
  batch.clear();
  let gas = GAS_TO_START;
  for (let i: u32 = 0; i < count; i++) {
    const limit = block.u64();
    const length = block.u32();
    block.expect(0, "zero");
    batch.add(block.bytes(length), length, limit);
    block.zeros((8 - (length & 7)) & 7, "padding");
    gas += limit;
  }
  block.end();
  if (count == 0) {
    check(app.copyIn(context, 0, 16).put(), "begin the block");
    return writeResults(0);
  }
  start(batch, gas);
  return writeResults(count);
}

/** Gives the batch `gas`, or as much of it as there is. */
function start(batch: Batch, gas: u64): void {
  while (true) {
    app.copyIn(context, 0, 16);
    const code = batch.run(app, "__transaction", gas);
    if (code != E_GAS || gas < GAS_TO_START) {
      check(code, "run the transactions");
      return;
    }
    gas -= gas / 4;
  }
}

function writeResults(count: u32): u32 {
  const begin = message.RESULTS_BYTES + count * message.RESULT_BYTES;
  let length = begin;
  outcomes.rewind();
  for (let i: u32 = 0; i < count && outcomes.next(); i++) length += outcomes.outputLength;
  if (length > message.DATA_BYTES) throw new Error("the outcomes are too long for a block");
  const target = data.reserve(length);
  store<u32>(target, count);
  store<u32>(target, 0, 4);
  let output = target + begin;
  outcomes.rewind();
  for (let i: u32 = 0; i < count && outcomes.next(); i++) {
    const record = target + message.RESULTS_BYTES + i * message.RESULT_BYTES;
    const outputLength = outcomes.outputLength;
    store<u32>(record, outcomes.status, message.RESULT_STATUS);
    store<u32>(record, outcomes.fault, message.RESULT_FAULT);
    store<i64>(record, outcomes.code, message.RESULT_CODE);
    store<u64>(record, outcomes.gasUsed, message.RESULT_GAS_USED);
    store<u32>(record, outputLength, message.RESULT_LENGTH);
    store<u32>(record, 0, message.RESULT_LENGTH + 4);
    memory.copy(output, outcomes.output, outputLength);
    output += outputLength;
  }
  return length;
}
