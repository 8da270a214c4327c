/**
 * The exchange's root. A block of transactions is two batches: the verifier (child 1) checks all signatures,
 * each item for itself; what it lets through are the items of the router (child 2), in the same order.
 *
 * The first block sets everything up. What breaks the format aborts: the block fails.
 */

import {
  Batch,
  Block,
  Child,
  FAULT_ABORT,
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

/** Metadata of one block, at most: some 1,700 transactions. */
const REGION_CAPACITY: u32 = 4 << 20;
const ACCOUNTS_MAX: u32 = 800;
const GAS: u64 = 1_000_000_000;
/** A signature takes 2.4 million, at most twice that; an order with all it starts some 120,000. */
const GAS_TO_VERIFY: u64 = 5_500_000;
const GAS_TO_RUN: u64 = 2_000_000;

const VERIFIER: i32 = 1;
const ROUTER: i32 = 2;
/** What each may keep of a block: its batch of orders and what became of them. */
const KEPT_BYTES: u32 = 64 << 20;

const region = new PageBuffer();
const data = new PageBuffer();
/** Orders that the verifier let through, and for each the number of its transaction. */
const orders = new PageBuffer();
const numbers = new PageBuffer();
let verifying: Batch = new Batch(0);
const running = new Batch(message.ROUTER_STATE_BYTES);
const verified = new Outcomes(Child.at(VERIFIER), 80 * 64);
const ran = new Outcomes(Child.at(ROUTER));
let isSetUp: bool = false;

export function main(argument: i64): i64 {
  region.reserve(REGION_CAPACITY);
  let dataLength: u32 = 0;
  while (true) {
    const length = check(snapshot(data.address, dataLength, region.address, region.capacity), "snapshot");
    dataLength = runBlock(<u32>length);
  }
}

/** Runs the block in the region; the length of its data. */
function runBlock(length: u32): u32 {
  const block = new Block(region.address, length);
  block.expect(message.MESSAGE_VERSION, "version");
  const kind = block.u32();
  const count = block.u32();
  block.expect(0, "reserved word");
  if (kind == message.KIND_SETUP) {
    const setup = block.bytes(message.SETUP_BYTES);
    block.records(count, message.HOLDER_BYTES, "accounts");
    block.end();
    if (isSetUp || count > ACCOUNTS_MAX) throw new Error("exchange: set up twice, or too many accounts");
    setUp(setup, count);
    isSetUp = true;
    return 0;
  }
  if (kind != message.KIND_TRANSACTIONS || !isSetUp) throw new Error("exchange: not such a block now");
  const transactions = block.records(count, message.TRANSACTION_BYTES, "transactions");
  block.end();
  data.reserve(count * message.RESULT_BYTES);
  memory.fill(data.address, 0, count * message.RESULT_BYTES);
  runAll(verifyAll(transactions, count));
  return count * message.RESULT_BYTES;
}

function setUp(setup: usize, accounts: u32): void {
  const verifier = Child.at(VERIFIER);
  check(
    verifier.create(setup + message.SETUP_VERIFIER, memoryQuota(16, KEPT_BYTES)).put(),
    "make the verifier",
  );
  const boxes = verifier.call("boxes", 0, GAS);
  verifying = new Batch(0, <usize>(boxes & 0xffffffff), message.TRANSACTION_BYTES, <usize>(boxes >> 32), 80);
  const router = Child.at(ROUTER);
  check(
    router.create(setup + message.SETUP_ROUTER, memoryQuota(512, KEPT_BYTES), 3).put(),
    "make the router",
  );
  const length = message.SETUP_BYTES + accounts * message.HOLDER_BYTES;
  router.copyIn(setup, message.ROUTER_STATE_BYTES, length).call("setup", accounts, GAS);
}

/** The first batch; how many orders it let through. */
function verifyAll(transactions: usize, count: u32): u32 {
  const verifier = Child.at(VERIFIER);
  verifying.clear();
  for (let i: u32 = 0; i < count; i++) {
    const transaction = transactions + i * message.TRANSACTION_BYTES;
    verifying.add(transaction, message.TRANSACTION_BYTES, GAS_TO_VERIFY);
  }
  check(verifying.run(verifier, "verify", <u64>(count + 1) * GAS_TO_VERIFY), "verify");
  orders.reserve(count * message.ORDER_BYTES);
  numbers.reserve(count * 4);
  let passed: u32 = 0;
  verified.rewind();
  while (verified.next()) {
    if (verified.status != ITEM_RETURNED) throw new Error(explain(verified));
    const status = <u32>verified.code;
    if (status == message.STATUS_APPLIED) {
      memory.copy(orders.address + passed * message.ORDER_BYTES, verified.output, message.ORDER_BYTES);
      store<u32>(numbers.address + passed++ * 4, verified.index);
    } else {
      setResult(verified.index, status, 0);
    }
  }
  return passed;
}

/** The second batch, of `count` orders. */
function runAll(count: u32): void {
  const router = Child.at(ROUTER);
  running.clear();
  for (let i: u32 = 0; i < count; i++) {
    running.add(orders.address + i * message.ORDER_BYTES, message.ORDER_BYTES, GAS_TO_RUN);
  }
  check(running.run(router, "run", <u64>(count + 1) * GAS_TO_RUN), "run");
  ran.rewind();
  while (ran.next()) {
    const number = load<u32>(numbers.address + ran.index * 4);
    if (ran.status == ITEM_RETURNED) setResult(number, message.STATUS_APPLIED, ran.code);
    else if (isRefusal(ran)) setResult(number, <u32>ran.code, 0);
    else throw new Error(explain(ran));
  }
}

/** Is it an abort of the router's own? Those have a column of 0, unlike the compiler's. */
function isRefusal(outcomes: Outcomes): bool {
  return outcomes.status == ITEM_FAULTED && outcomes.fault == FAULT_ABORT && outcomes.code >> 32 == 0;
}

function setResult(number: u32, status: u32, received: u64): void {
  const result = data.address + number * message.RESULT_BYTES;
  store<u32>(result, status, message.RESULT_STATUS);
  store<u64>(result, received, message.RESULT_RECEIVED);
}

function explain(outcomes: Outcomes): string {
  if (outcomes.status != ITEM_FAULTED) return `item ${outcomes.index}: not enough gas`;
  return `item ${outcomes.index} faulted: ${faultName(outcomes.fault)} (line ${outcomes.code & 0xffffffff})`;
}
