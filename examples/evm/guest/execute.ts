/** One transaction from its validation to what it leaves (yellow paper, section 6). */

import { U256, accumulate } from "../../../guest/index.ts";
import { returnArena } from "./arena.ts";
import * as blocks from "./block.ts";
import * as cache from "./cache.ts";
import { ENDED, addressByNonce, beginCreation, deposit, transfer } from "./calls.ts";
import { BY_CALL, Frame, firstFrame, place, setFrameCode } from "./frame.ts";
import { beginJournal, journalMark, revertTo } from "./journal.ts";
import { howEnded, outputLength, outputOffset, run } from "./interpreter.ts";
import * as message from "./messages.ts";
import { beginOperations, refund } from "./operations.ts";
import {
  beginPrecompiles,
  isPrecompile,
  outputLength as outputOfPrecompile,
  precompile,
  wasRefused,
} from "./precompiles.ts";
import * as rules from "./rules.ts";
import * as trace from "./steps.ts";
import { Transaction } from "./transaction.ts";
import * as words from "./words.ts";
import { BURNED } from "./world.ts";

const BLOB_GAS: u64 = 131072;

const price: usize = memory.data(32, 8);
const amount: usize = memory.data(32, 8);
const cost: usize = memory.data(32, 8);

/** What came of the transaction that ran last. */
export let endedWell: bool = false;
export let gasUsed: u64 = 0;
/** Word. */
export const createdAddress: usize = memory.data(32, 8);

/** Lets the transaction of that sender (a word) change the world; VALID, or why it may not. */
export function execute(transaction: Transaction, from: usize): i64 {
  beginJournal();
  beginCache();
  beginOperations();
  beginPrecompiles();
  const sender = cache.account(from);
  const refusal = check(transaction, sender);
  if (refusal != message.VALID) return refusal;
  words.copyWord(blocks.origin, from);
  words.copyWord(blocks.gasPrice, price);
  blocks.block.blobCount = transaction.blobCount;
  const nonce = cache.nonceOf(sender);
  buyGas(transaction, sender);
  cache.setNonce(sender, nonce + 1);
  if (rules.fork >= rules.BERLIN) warm(transaction, sender);
  words.clear(createdAddress);
  const frame = firstFrame();
  frame.depth = 0;
  words.copyWord(frame.caller, from);
  words.copyWord(frame.value, transaction.value);
  const gas = <i64>(transaction.gasLimit - transaction.intrinsicGas());
  if (transaction.isCreation) create(frame, transaction, sender, nonce, gas);
  else call(frame, transaction, sender, gas);
  if (wasRefused()) return message.NOT_SUPPORTED;
  settle(transaction, sender, frame.gas);
  return message.VALID;
}

function beginCache(): void {
  cache.beginCache();
}

// ---- before -----------------------------------------------------------------------------------------------

/** Sets `price`, the price of a unit of gas. */
function check(transaction: Transaction, sender: usize): i64 {
  if (!transaction.isKnown()) return message.UNKNOWN_TYPE;
  if (transaction.type && transaction.chainId != blocks.block.chainId) return message.WRONG_CHAIN;
  const nonce = cache.nonceOf(sender);
  if (nonce != transaction.nonce || nonce == u64.MAX_VALUE) return message.WRONG_NONCE;
  if (rules.fork >= rules.LONDON) {
    if (words.lessThan(transaction.maxFee, blocks.baseFee)) return message.FEE_BELOW_BASE;
    if (words.lessThan(transaction.maxFee, transaction.maxTip)) return message.TIP_ABOVE_FEE;
    if (cache.codeOf(sender)) return message.SENDER_HAS_CODE;
    words.copyWord(price, blocks.baseFee);
    if (U256.add(price, price, transaction.maxTip) || words.lessThan(transaction.maxFee, price))
      words.copyWord(price, transaction.maxFee);
  } else {
    words.copyWord(price, transaction.maxFee);
  }
  if (
    rules.fork >= rules.SHANGHAI &&
    transaction.isCreation &&
    transaction.dataLength > rules.INIT_CODE_LIMIT
  ) {
    return message.INIT_CODE_TOO_LONG;
  }
  if (transaction.type == 3 && !hasGoodBlobs(transaction)) return message.BAD_BLOBS;
  if (!canPay(transaction, sender)) return message.TOO_LITTLE_BALANCE;
  if (transaction.gasLimit < transaction.intrinsicGas() || transaction.gasLimit > <u64>i64.MAX_VALUE)
    return message.TOO_LITTLE_GAS;
  return message.VALID;
}

function hasGoodBlobs(transaction: Transaction): bool {
  if (transaction.isCreation || !transaction.blobCount || transaction.blobCount > 6) return false;
  for (let i: u32 = 0; i < transaction.blobCount; i++)
    if (load<u8>(transaction.blobs + i * 33, 1) != 1) return false;
  return !words.lessThan(transaction.maxBlobFee, blocks.blobBaseFee);
}

/** Whether the balance covers value and the most that gas can cost. */
function canPay(transaction: Transaction, sender: usize): bool {
  if (U256.multiplyU64(cost, transaction.maxFee, transaction.gasLimit)) return false;
  if (U256.add(cost, cost, transaction.value)) return false;
  if (transaction.type == 3) {
    if (U256.multiplyU64(amount, transaction.maxBlobFee, BLOB_GAS * <u64>transaction.blobCount)) return false;
    if (U256.add(cost, cost, amount)) return false;
  }
  return !words.lessThan(cache.balanceOf(sender), cost);
}

function buyGas(transaction: Transaction, sender: usize): void {
  U256.multiplyU64(cost, price, transaction.gasLimit);
  if (transaction.type == 3) {
    U256.multiplyU64(amount, blocks.blobBaseFee, BLOB_GAS * <u64>transaction.blobCount);
    U256.add(cost, cost, amount);
    blocks.block.blobHashes = blobHashes;
    for (let i: u32 = 0; i < transaction.blobCount; i++)
      memory.copy(blobHashes + i * 32, transaction.blobs + i * 33 + 1, 32);
  }
  cache.subtractBalance(sender, cost);
}

const blobHashes: usize = memory.data(192, 8);

/** EIP-2929, EIP-2930, EIP-3651. Precompiles are warm by their addresses. */
function warm(transaction: Transaction, sender: usize): void {
  cache.warmAccount(sender);
  if (!transaction.isCreation) cache.warmAccount(cache.account(transaction.to));
  if (rules.fork >= rules.SHANGHAI) cache.warmAccount(cache.account(blocks.coinbase));
  const access = transaction.access();
  let owner: usize = 0;
  while (access.next()) {
    if (access.isKey) cache.warmSlot(cache.slot(owner, access.key));
    else {
      owner = cache.account(access.address);
      cache.warmAccount(owner);
    }
  }
}

// ---- what runs --------------------------------------------------------------------------------------------

function call(frame: Frame, transaction: Transaction, sender: usize, gas: i64): void {
  const target = cache.account(transaction.to);
  const mark = journalMark();
  transfer(sender, target, transaction.value, !words.isZero(transaction.value));
  frame.kind = BY_CALL;
  frame.gas = gas;
  frame.mark = mark;
  frame.input = transaction.data;
  frame.inputLength = transaction.dataLength;
  frame.isStatic = false;
  frame.self = target;
  endedWell = true;
  if (isPrecompile(transaction.to)) {
    const left = precompile(transaction.to, transaction.data, transaction.dataLength, gas);
    endedWell = left >= 0;
    if (isDefined(TRACING)) trace.ended(returnArena, endedWell ? outputOfPrecompile() : 0);
    frame.gas = max<i64>(left, 0);
  } else if (cache.codeOf(target)) {
    place(frame);
    setFrameCode(frame, cache.codeOf(target));
    run(frame);
    endedWell = howEnded == ENDED;
  }
  if (!endedWell) revertTo(mark);
}

function create(frame: Frame, transaction: Transaction, sender: usize, nonce: u64, gas: i64): void {
  const made = cache.account(addressByNonce(sender + cache.ADDRESS, nonce));
  if (rules.fork >= rules.BERLIN) cache.warmAccount(made);
  endedWell = !cache.isTaken(made);
  frame.gas = 0;
  if (!endedWell) return;
  beginCreation(frame, made, sender, gas, transaction.data, transaction.dataLength);
  run(frame);
  endedWell = howEnded == ENDED;
  if (endedWell && !deposit(frame, frame.memory + outputOffset, outputLength)) {
    endedWell = false;
    frame.gas = 0;
    if (isDefined(TRACING)) trace.ended(0, 0);
  }
  if (endedWell) words.copyWord(createdAddress, made + cache.ADDRESS);
  else revertTo(frame.mark);
}

// ---- after ------------------------------------------------------------------------------------------------

/** Gives back what gas is left, pays the miner, and writes the world. */
function settle(transaction: Transaction, sender: usize, left: i64): void {
  const used = transaction.gasLimit - <u64>left;
  const most = used / (rules.fork >= rules.LONDON ? 5 : 2);
  gasUsed = used - min<u64>(<u64>load<i64>(refund), most);
  U256.multiplyU64(amount, price, transaction.gasLimit - gasUsed);
  cache.addBalance(sender, amount);
  words.copyWord(cost, price);
  if (rules.fork >= rules.LONDON) U256.subtract(cost, price, blocks.baseFee);
  U256.multiplyU64(amount, cost, gasUsed);
  const miner = cache.account(blocks.coinbase);
  if (words.isZero(amount) && rules.fork >= rules.SPURIOUS_DRAGON) cache.touch(miner);
  else cache.addBalance(miner, amount);
  cache.flush(rules.fork >= rules.SPURIOUS_DRAGON);
  if (rules.fork < rules.LONDON) return;
  U256.multiplyU64(amount, blocks.baseFee, gasUsed);
  if (!words.isZero(amount) && !accumulate(BURNED, 32, amount))
    throw new Error("evm: the fees that are burned exceed 2^256 - 1");
}
