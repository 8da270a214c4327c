/** CALL and its kin, CREATE and CREATE2: how frames begin, and what becomes of them. */

import { Keccak256 } from "../../../guest/crypto/keccak.ts";
import { RETURN_BYTES, returnArena } from "./arena.ts";
import * as cache from "./cache.ts";
import {
  BY_CALL,
  BY_CREATE,
  Frame,
  charge,
  place,
  reach,
  setFrameCode,
  setOwnCode,
  toU64,
  wordsOf,
} from "./frame.ts";
import { journalMark, revertTo } from "./journal.ts";
import { accessAccount } from "./operations.ts";
import { isPrecompile, outputLength, precompile } from "./precompiles.ts";
import { writeAddress, writeNumber, writeListHead } from "./rlp.ts";
import * as rules from "./rules.ts";
import * as trace from "./steps.ts";
import * as words from "./words.ts";
import { keepCode } from "./world.ts";

export const CALL: u32 = 0xf1;
export const CALLCODE: u32 = 0xf2;
export const DELEGATECALL: u32 = 0xf4;
export const CREATE2: u32 = 0xf5;
export const STATICCALL: u32 = 0xfa;

/** How a frame ended. */
export const ENDED: u32 = 0; //    STOP, RETURN, SELFDESTRUCT
export const REVERTED: u32 = 1;
export const FAILED: u32 = 2; //   all its gas is gone

/** What a call or creation leads to: the frame fails, continues, or waits for the frame above it. */
export const FAILS: u32 = 0;
export const GOES_ON: u32 = 1;
export const WAITS: u32 = 2;

const zero: usize = memory.data(32, 8);
const hashed: usize = memory.data(128, 8);
const address: usize = memory.data(32, 8);
const hash: usize = memory.data(32, 8);

// ---- calls ------------------------------------------------------------------------------------------------

export function call(frame: Frame, sp: usize, opcode: u32): u32 {
  const valued = opcode == CALL || opcode == CALLCODE;
  const value = valued ? sp - 96 : zero;
  const ranges = valued ? sp - 128 : sp - 96;
  const moves = valued && !words.isZero(value);
  if (opcode == CALL && moves && frame.isStatic) return FAILS;
  if (!reach(frame, ranges, ranges - 32) || !reach(frame, ranges - 64, ranges - 96)) return FAILS;
  const target = cache.account(sp - 64);
  if (!accessAccount(frame, target)) return FAILS;
  if (moves && !charge(frame, rules.CALL_VALUE)) return FAILS;
  if (opcode == CALL && (rules.fork < rules.SPURIOUS_DRAGON || moves) && isNew(target)) {
    if (!charge(frame, rules.NEW_ACCOUNT)) return FAILS;
  }
  let gas = toU64(sp - 32);
  if (rules.fork >= rules.TANGERINE_WHISTLE) gas = min<u64>(gas, <u64>(frame.gas - frame.gas / 64));
  if (gas > <u64>frame.gas) return FAILS;
  frame.gas -= <i64>gas;
  if (isDefined(TRACING)) trace.paid(frame.gas, true);
  if (moves) gas += <u64>rules.CALL_STIPEND;

  const result = ranges - 96;
  frame.sp = result + 32;
  frame.returned = 0;
  if (frame.depth >= rules.DEPTH_LIMIT || (moves && words.lessThan(cache.balanceOf(frame.self), value))) {
    frame.gas += <i64>gas;
    words.clear(result);
    return GOES_ON;
  }
  const mark = journalMark();
  if (opcode == CALL) transfer(frame.self, target, value, moves);
  const input = frame.memory + <usize>toU64(ranges);
  const inputLength = <u32>toU64(ranges - 32);
  const outputAt = <usize>toU64(ranges - 64);
  const outputLength = <u32>toU64(ranges - 96);
  if (isPrecompile(sp - 64)) {
    return callPrecompile(frame, sp - 64, input, inputLength, gas, mark, outputAt, outputLength, result);
  }
  const code = cache.codeOf(target);
  if (!code) {
    frame.gas += <i64>gas;
    words.setU64(result, 1);
    return GOES_ON;
  }
  const above = frame.above;
  above.kind = BY_CALL;
  above.gas = <i64>gas;
  above.depth = frame.depth + 1;
  above.mark = mark;
  above.input = input;
  above.inputLength = inputLength;
  above.outputAt = outputAt;
  above.outputLength = outputLength;
  above.isStatic = frame.isStatic || opcode == STATICCALL;
  above.self = opcode == CALL || opcode == STATICCALL ? target : frame.self;
  if (opcode == DELEGATECALL) {
    words.copyWord(above.caller, frame.caller);
    words.copyWord(above.value, frame.value);
  } else {
    words.copyWord(above.caller, frame.self + cache.ADDRESS);
    words.copyWord(above.value, value);
  }
  // The stack above begins where this one ends without the operands.
  frame.sp = result;
  place(above);
  frame.sp = result + 32;
  setFrameCode(above, code);
  return WAITS;
}

function isNew(target: usize): bool {
  return rules.fork >= rules.SPURIOUS_DRAGON ? cache.isEmpty(target) : !cache.exists(target);
}

/** Moves a value, or only touches who would get it. */
export function transfer(from: usize, to: usize, value: usize, moves: bool): void {
  if (moves) {
    cache.subtractBalance(from, value);
    cache.addBalance(to, value);
  } else if (rules.fork < rules.SPURIOUS_DRAGON) {
    if (!cache.exists(to)) cache.makeExist(to);
  } else {
    cache.touch(to);
  }
}

function callPrecompile(
  frame: Frame,
  target: usize,
  input: usize,
  inputLength: u32,
  gas: u64,
  mark: usize,
  outputAt: usize,
  outputCapacity: u32,
  result: usize,
): u32 {
  const left = precompile(target, input, inputLength, <i64>gas);
  if (left < 0) {
    revertTo(mark);
    words.clear(result);
    return GOES_ON;
  }
  frame.gas += left;
  frame.returned = outputLength();
  const length = min<u32>(frame.returned, outputCapacity);
  if (length) memory.copy(frame.memory + outputAt, returnArena, length);
  words.setU64(result, 1);
  return GOES_ON;
}

// ---- creations --------------------------------------------------------------------------------------------

export function create(frame: Frame, sp: usize, opcode: u32): u32 {
  if (frame.isStatic) return FAILS;
  const length = toU64(sp - 96);
  if (!reach(frame, sp - 64, sp - 96)) return FAILS;
  if (rules.fork >= rules.SHANGHAI) {
    if (length > <u64>rules.INIT_CODE_LIMIT) return FAILS;
    if (!charge(frame, rules.INIT_CODE_WORD * wordsOf(length))) return FAILS;
  }
  if (opcode == CREATE2 && !charge(frame, 6 * wordsOf(length))) return FAILS;
  if (isDefined(TRACING)) trace.paid(frame.gas, true);
  const result = opcode == CREATE2 ? sp - 128 : sp - 96;
  const self = frame.self;
  const value = sp - 32;
  frame.sp = result + 32;
  frame.returned = 0;
  const nonce = cache.nonceOf(self);
  const poor = !words.isZero(value) && words.lessThan(cache.balanceOf(self), value);
  if (frame.depth >= rules.DEPTH_LIMIT || poor || nonce == u64.MAX_VALUE) {
    words.clear(result);
    return GOES_ON;
  }
  const gas = rules.fork >= rules.TANGERINE_WHISTLE ? frame.gas - frame.gas / 64 : frame.gas;
  frame.gas -= gas;
  const code = frame.memory + (length ? <usize>toU64(sp - 64) : 0);
  if (opcode == CREATE2) addressBySalt(self + cache.ADDRESS, sp - 128, code, <u32>length);
  else addressByNonce(self + cache.ADDRESS, nonce);
  cache.setNonce(self, nonce + 1);
  const made = cache.account(address);
  if (rules.fork >= rules.BERLIN) cache.warmAccount(made);
  if (cache.isTaken(made)) {
    words.clear(result);
    return GOES_ON;
  }
  const above = frame.above;
  words.copyWord(above.value, value);
  words.copyWord(above.caller, self + cache.ADDRESS);
  above.depth = frame.depth + 1;
  frame.sp = result;
  beginCreation(above, made, self, gas, code, <u32>length);
  frame.sp = result + 32;
  return WAITS;
}

/** Makes a frame that runs init code; its value, caller and depth are set. */
export function beginCreation(
  frame: Frame,
  made: usize,
  creator: usize,
  gas: i64,
  code: usize,
  length: u32,
): void {
  frame.kind = BY_CREATE;
  frame.gas = gas;
  frame.mark = journalMark();
  frame.input = 0;
  frame.inputLength = 0;
  frame.outputAt = 0;
  frame.outputLength = 0;
  frame.isStatic = false;
  frame.self = made;
  cache.create(made);
  if (rules.fork >= rules.SPURIOUS_DRAGON) cache.setNonce(made, 1);
  transfer(creator, made, frame.value, !words.isZero(frame.value));
  place(frame);
  setOwnCode(frame, code, length);
}

/** The last 20 bytes of the hash of RLP(creator, nonce), into `address`. */
export function addressByNonce(creator: usize, nonce: u64): usize {
  let at = writeAddress(hashed + 1, creator);
  at = writeNumber(at, nonce);
  writeListHead(hashed, <u32>(at - hashed - 1));
  Keccak256.hash(hashed, <u32>(at - hashed), hash);
  return addressOfHash();
}

/** EIP-1014. */
function addressBySalt(creator: usize, salt: usize, code: usize, length: u32): usize {
  store<u8>(hashed, 0xff);
  words.reverse(hash, creator);
  memory.copy(hashed + 1, hash + 12, 20);
  words.reverse(hashed + 21, salt);
  Keccak256.hash(code, length, hashed + 53);
  Keccak256.hash(hashed, 85, hash);
  return addressOfHash();
}

function addressOfHash(): usize {
  words.reverse(address, hash);
  store<u32>(address, 0, 20);
  store<u64>(address, 0, 24);
  return address;
}

// ---- the end of a frame -----------------------------------------------------------------------------------

/** Ends a frame whose output, if any, is a range of its memory; the frame below it has the result then. */
export function leave(frame: Frame, how: u32, offset: usize, length: u32): void {
  const below = frame.below;
  const result = below.sp - 32;
  const created = frame.kind == BY_CREATE;
  let ended = how;
  if (ended == ENDED && created && !deposit(frame, frame.memory + offset, length)) ended = FAILED;
  if (ended != ENDED) revertTo(frame.mark);
  if (ended == FAILED) {
    below.returned = 0;
    words.clear(result);
    return;
  }
  below.gas += frame.gas;
  keepOutput(below, frame, offset, created && ended == ENDED ? 0 : length);
  if (ended == REVERTED) words.clear(result);
  else if (created) words.copyWord(result, frame.self + cache.ADDRESS);
  else words.setU64(result, 1);
}

function keepOutput(below: Frame, frame: Frame, offset: usize, length: u32): void {
  if (<usize>length > RETURN_BYTES) throw new Error("evm: a call returns more than fits");
  below.returned = length;
  if (!length) return;
  memory.copy(returnArena, frame.memory + offset, length);
  const wanted = min<u32>(length, frame.outputLength);
  if (wanted) memory.copy(below.memory + frame.outputAt, returnArena, wanted);
}

/** Makes the output of init code the code of the account; false if the creation fails. */
export function deposit(frame: Frame, code: usize, length: u32): bool {
  if (rules.fork >= rules.SPURIOUS_DRAGON && length > rules.CODE_LIMIT) return false;
  if (rules.fork >= rules.LONDON && length && load<u8>(code) == 0xef) return false;
  const cost = rules.DEPOSIT_BYTE * <i64>length;
  if (cost > frame.gas) return rules.fork == rules.FRONTIER;
  frame.gas -= cost;
  if (!length) return true;
  Keccak256.hash(code, length, hash);
  cache.setCode(frame.self, keepCode(code, length), hash);
  return true;
}
