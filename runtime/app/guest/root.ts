/**
 * The ready-made root of an App. It makes one process of the program that its first block names, child 1, and
 * gives it the transactions of every block as one batch, so that they run in parallel and in order. Before,
 * it writes the block's height and time into the first line of the process's state.
 *
 * Where the first block names an authenticator, that is child 2, and it gets all transactions first, as a
 * batch of its own: what it lets in is what runs, in the same order, each nonce of a sender once.
 *
 * The runtime may give child 1 another program (docs/upgrading.md). The message of such a block has the
 * address where that has its inbox, and is all that the root learns of it.
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
  ITEM_NOT_RUN,
  ITEM_RETURNED,
  Outcomes,
  PageBuffer,
  check,
  memoryQuota,
  outputAt,
  snapshot,
} from "../../../guest/index.ts";
import * as message from "./messages.ts";
import { beginUses, hasRoom, isUsed, nextNonce, takeBack, use } from "./senders.ts";

/** Pages of 4 KiB for inputs and outcomes of a batch, if the runtime has them. */
const KEPT_PAGES: u32 = 16384;
const KEPT_PAGES_LEAST: u32 = 256;
/** For the start function, once. */
const GAS_TO_START: u64 = 100_000_000;
/** What a request can name. */
const GAS_MAX: u64 = 0x1fffffffffffff;

const app = Child.at(1);
const authenticator = Child.at(2);
const region = new PageBuffer();
const data = new PageBuffer();
/**
 * For each transaction: u32 ADMITTED, or why it is not in the batch · u32 selector of what it calls · u64 gas
 * that it asks for.
 */
const VERDICT_BYTES: u32 = 16;
const verdicts = new PageBuffer();
/** Inputs that the authenticator has made. */
const inputs = new PageBuffer();
const block = new Block(0, 0);
const outcomes = new Outcomes(app);
const admissions = new Outcomes(authenticator);
/** u64 height · u64 time */
const context: usize = memory.data(16, 8);
let batch: Batch = new Batch(0);
/** What the transactions in `batch` may use, together. */
let batchGas: u64 = 0;
let authentications: Batch | null = null;
/** How many transactions of the block are the network's own and come first: 0 or 1. */
let ownCalls: u32 = 0;
let sendersMax: u32 = 0;
/** First bytes of the name of the app's program; 0 until there is one. */
let programName: u32 = 0;
let isMade: bool = false;

export function main(argument: i64): i64 {
  region.reserve(message.REGION_BYTES);
  let length: u32 = 0;
  while (true) {
    const received = check(snapshot(data.address, length, region.address, region.capacity), "snapshot");
    store<u64>(context, load<u64>(context) + 1);
    block.reset(region.address, <u32>received);
    ownCalls = 0;
    if (!isMade) length = makeApp();
    else length = runMessage(load<u32>(region.address));
  }
}

function runMessage(kind: u32): u32 {
  if (kind == message.MESSAGE_UPGRADE) return upgradeApp();
  return kind == message.MESSAGE_NETWORK ? runNetwork() : runBlock();
}

// ---- the first block --------------------------------------------------------------------------------------

function makeApp(): u32 {
  block.expect(message.MESSAGE_GENESIS, "message of the first block");
  const stateBytes = block.u32();
  const pages = block.u32();
  const room = block.u32();
  const name = block.bytes(32);
  programName = load<u32>(name);
  make(app, name, pages, room);
  batch = new Batch(stateBytes);
  const authenticatorState = block.u32();
  const authenticatorPages = block.u32();
  sendersMax = block.u32();
  block.expect(0, "zero");
  const program = block.bytes(32);
  const chain = block.bytes(32);
  const count = block.u32();
  block.expect(0, "zero");
  readTransactions(count);
  block.end();
  if (authenticatorPages > 0) {
    make(authenticator, program, authenticatorPages, 0);
    check(authenticator.copyIn(chain, 0, 32).put(), "tell the authenticator its chain");
    authentications = new Batch(authenticatorState);
    inputs.reserve(message.REGION_BYTES);
  }
  isMade = true;
  return runBatch(count, "__setup");
}

/** `room`: pages that it gets in addition, as far as there are any: an upgrade may need them. */
function make(child: Child, program: usize, pages: u32, room: u32): void {
  let kept = max(KEPT_PAGES, room);
  let code = child.create(program, memoryQuota(pages) + kept).put();
  while (code == E_QUOTA && kept > KEPT_PAGES_LEAST) {
    kept /= 2;
    code = child.create(program, memoryQuota(pages) + kept).put();
  }
  check(code, "make a process of the app");
}

// ---- blocks -----------------------------------------------------------------------------------------------

/** Runs the block in the region; the length of its data. */
function runBlock(): u32 {
  block.expect(message.MESSAGE_BLOCK, "message of a block");
  const count = block.u32();
  setTime(block.u64());
  return runTransactions(count);
}

/** Runs the network's block in the region; the length of its data. */
function runNetwork(): u32 {
  block.expect(message.MESSAGE_NETWORK, "message of a network");
  const count = block.u32();
  setTime(block.u64());
  store<u64>(context, block.u64());
  const stateBytes = block.u32();
  ownCalls = min<u32>(block.u32() & <u32>message.NETWORK_CALL, count);
  const program = block.bytes(32);
  block.bytes(32);
  if (stateBytes != 0) {
    batch.place(stateBytes);
    programName = load<u32>(program);
  }
  return runTransactions(count);
}

function runTransactions(count: u32): u32 {
  readTransactions(count);
  block.end();
  if (authentications !== null) admitAll(count);
  return runBatch(count, "__transaction");
}

/** Begins a block of no transactions, in which the app may have got another program; its data's length. */
function upgradeApp(): u32 {
  block.expect(message.MESSAGE_UPGRADE, "message of an upgrade");
  batch.place(block.u32());
  setTime(block.u64());
  programName = load<u32>(block.bytes(32));
  block.end();
  readTransactions(0);
  beginUses(0);
  return runBatch(0, "__transaction");
}

function setTime(time: u64): void {
  if (time < load<u64>(context, 8)) throw new Error("the block's time is before that of the block before");
  store<u64>(context, time, 8);
}

/** Runs what is in the batch, of `count` transactions; the length of the block's data. */
function runBatch(count: u32, entry: string): u32 {
  const begin = app.copyIn(context, 0, 16);
  if (batch.length == 0) check(begin.put(), "begin the block");
  else runAll(app, batch, entry, batchGas);
  return writeResults(count);
}

function readTransactions(count: u32): void {
  batch.clear();
  batchGas = 0;
  verdicts.reserve(count * VERDICT_BYTES);
  if (authentications !== null) authentications!.clear();
  for (let i: u32 = 0; i < count; i++) readTransaction(i);
}

function readTransaction(index: u32): void {
  const gas = block.u64();
  const length = block.u32();
  block.expect(0, "zero");
  const bytes = block.bytes(length);
  block.zeros((8 - (length & 7)) & 7, "padding");
  const isPossible = length <= <u32>message.TRANSACTION_BYTES_MAX && gas <= GAS_MAX;
  setVerdict(index, isPossible ? message.ADMITTED : message.REASON_INPUT);
  if (!isPossible) return;
  if (authentications === null || index < ownCalls) addItem(index, bytes, length, gas);
  else authentications!.add(bytes, length, message.AUTHENTICATION_GAS);
}

function addItem(index: u32, input: usize, length: u32, gas: u64): void {
  const verdict = verdicts.address + index * VERDICT_BYTES;
  store<u32>(verdict, length < 4 ? 0 : load<u32>(input), 4);
  store<u64>(verdict, gas, 8);
  batch.add(input, length, gas);
  batchGas = min<u64>(batchGas + gas, GAS_MAX);
}

/** Gives the child a batch, with parts of the request that stand, and `gas`, or as much as there is. */
function runAll(child: Child, list: Batch, entry: string, gas: u64): void {
  gas = min<u64>(gas + GAS_TO_START, GAS_MAX);
  while (true) {
    const code = list.run(child, entry, gas);
    if (code != E_GAS || gas < GAS_TO_START) {
      check(code, "run the transactions");
      return;
    }
    gas -= gas / 4;
    if (child == app) app.copyIn(context, 0, 16);
  }
}

// ---- who calls --------------------------------------------------------------------------------------------

/** Authenticates all transactions whose verdict is still open; those let in go into the batch. */
function admitAll(count: u32): void {
  const list = authentications!;
  beginUses(list.length);
  if (list.length == 0) return;
  runAll(authenticator, list, "authenticate", <u64>list.length * message.AUTHENTICATION_GAS);
  let input = inputs.address;
  admissions.rewind();
  for (let i = ownCalls; i < count; i++) {
    if (verdictOf(i) != message.ADMITTED) continue;
    admissions.next();
    const verdict = judge();
    setVerdict(i, verdict);
    if (verdict != message.ADMITTED) continue;
    const admission = admissions.output;
    const length = admissions.outputLength - message.ADMISSION_BYTES;
    memory.copy(input, admission + message.ADMISSION_BYTES, length);
    use(input + message.INPUT_SENDER, load<u64>(admission, message.ADMISSION_NONCE));
    addItem(i, input, length, load<u64>(admission, message.ADMISSION_GAS));
    input += (length + 7) & ~7;
  }
}

/** ADMITTED for what the authenticator's present item lets in and is not used, or why not. */
function judge(): u32 {
  if (admissions.status == ITEM_NOT_RUN) return message.REASON_NOT_RUN;
  if (admissions.status != ITEM_RETURNED) return message.REASON_OTHER;
  if (admissions.code != message.ADMITTED) {
    const isKnown = admissions.code > 0 && admissions.code < message.REASON_OTHER;
    return isKnown ? <u32>admissions.code : message.REASON_OTHER;
  }
  const length = admissions.outputLength;
  const admission = admissions.output;
  const isWhole = length >= <u32>(message.ADMISSION_BYTES + message.INPUT_BYTES);
  if (!isWhole || load<u64>(admission, message.ADMISSION_GAS) > GAS_MAX) return message.REASON_INPUT;
  if (load<u64>(admission, message.ADMISSION_LAST_HEIGHT) < load<u64>(context)) return message.REASON_EXPIRED;
  const sender = admission + message.ADMISSION_BYTES + message.INPUT_SENDER;
  if (isUsed(sender, load<u64>(admission, message.ADMISSION_NONCE))) return message.REASON_USED;
  return hasRoom(sender, sendersMax) ? message.ADMITTED : message.REASON_SENDERS;
}

/** View: what the next block would say of the transaction in the region, and what the authenticator made. */
export function admit(length: i64): i64 {
  const list = authentications!;
  list.clear();
  list.add(region.address, <u32>length, message.AUTHENTICATION_GAS);
  store<u64>(context, load<u64>(context) + 1);
  runAll(authenticator, list, "authenticate", message.AUTHENTICATION_GAS);
  admissions.rewind();
  admissions.next();
  const target = data.reserve(8 + message.TRANSACTION_BYTES_MAX);
  store<u64>(target, judge());
  memory.copy(target + 8, admissions.output, admissions.outputLength);
  return outputAt(target, 8 + admissions.outputLength);
}

/** View: the lowest nonce above all that the sender in the region has used. */
export function nonceOf(length: i64): i64 {
  return nextNonce(region.address);
}

// ---- what became of them ----------------------------------------------------------------------------------

function writeResults(count: u32): u32 {
  const begin = message.RESULTS_BYTES + count * message.RESULT_BYTES;
  let length = begin;
  let ran: u32 = 0;
  outcomes.rewind();
  for (let i: u32 = 0; i < batch.length && outcomes.next(); i++) {
    length += outcomes.outputLength;
    if (outcomes.status != ITEM_NOT_RUN) ran++;
  }
  takeBack(ran > ownCalls ? ran - ownCalls : 0); // those that did not run come last
  if (length > message.DATA_BYTES) throw new Error("the outcomes are too long for a block");
  const target = data.reserve(length);
  store<u32>(target, count);
  store<u32>(target, programName, message.RESULTS_PROGRAM);
  let output = target + begin;
  outcomes.rewind();
  for (let i: u32 = 0; i < count; i++) {
    const record = target + message.RESULTS_BYTES + i * message.RESULT_BYTES;
    const verdict = verdictOf(i);
    if (verdict != message.ADMITTED) {
      writeRefusal(record, verdict);
      continue;
    }
    outcomes.next();
    const outputLength = outcomes.outputLength;
    store<u32>(record, outcomes.status, message.RESULT_STATUS);
    store<u32>(record, outcomes.fault, message.RESULT_FAULT);
    store<i64>(record, outcomes.code, message.RESULT_CODE);
    store<u64>(record, outcomes.gasUsed, message.RESULT_GAS_USED);
    store<u32>(record, outputLength, message.RESULT_LENGTH);
    store<u32>(record, selectorOf(i), message.RESULT_SELECTOR);
    store<u64>(record, gasWantedOf(i), message.RESULT_GAS_WANTED);
    memory.copy(output, outcomes.output, outputLength);
    output += outputLength;
  }
  return length;
}

function writeRefusal(record: usize, reason: u32): void {
  memory.fill(record, 0, message.RESULT_BYTES);
  const isNotRun = reason == message.REASON_NOT_RUN;
  store<u32>(record, isNotRun ? ITEM_NOT_RUN : message.STATUS_NOT_ADMITTED, message.RESULT_STATUS);
  store<u64>(record, reason, message.RESULT_CODE);
}

function verdictOf(index: u32): u32 {
  return load<u32>(verdicts.address + index * VERDICT_BYTES);
}

function selectorOf(index: u32): u32 {
  return load<u32>(verdicts.address + index * VERDICT_BYTES, 4);
}

function gasWantedOf(index: u32): u64 {
  return load<u64>(verdicts.address + index * VERDICT_BYTES, 8);
}

function setVerdict(index: u32, verdict: u32): void {
  store<u32>(verdicts.address + index * VERDICT_BYTES, verdict);
}
