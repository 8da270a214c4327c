/**
 * Opcodes that look beyond the frame: accounts, storage, other codes, logs. Each gets the frame with its gas
 * and the top of the stack, works on the stack's words in place, and returns false if the frame fails.
 */

import { Keccak256 } from "../../../guest/crypto/keccak.ts";
import { LOGS_BYTES, logsArena, returnArena } from "./arena.ts";
import { block, blockHash } from "./block.ts";
import * as cache from "./cache.ts";
import { Frame, charge, codeAddress, codeLength, copyPadded, reach, toU64, wordsOf } from "./frame.ts";
import { saveU64 } from "./journal.ts";
import { isPrecompile } from "./precompiles.ts";
import * as rules from "./rules.ts";
import * as words from "./words.ts";

/** u64: gas to refund, and where the next log goes; both go back when a frame reverts. */
export const refund: usize = memory.data(8, 8);
export const logsEnd: usize = memory.data(8, 8);

/** A log: u32 bytes of data, u32 topics, the address as a word, the topics, the data, padded to 8 bytes. */
export const LOG_HEAD: usize = 40;

export function beginOperations(): void {
  store<i64>(refund, 0);
  store<u64>(logsEnd, <u64>logsArena);
}

export function addRefund(amount: i64): void {
  saveU64(refund);
  store<i64>(refund, load<i64>(refund) + amount);
}

/** Charges for looking at an account, by its warmth from Berlin on. */
export function accessAccount(frame: Frame, entry: usize): bool {
  if (rules.fork < rules.BERLIN) return true;
  return charge(frame, wasCold(entry) ? rules.COLD_ACCOUNT : rules.WARM_ACCESS);
}

/** Makes an account warm; whether it was not. Precompiles always are. */
function wasCold(entry: usize): bool {
  return !isPrecompile(entry + cache.ADDRESS) && cache.warmAccount(entry);
}

/** Opcodes that replace one word by another. */
export function ask(frame: Frame, sp: usize, opcode: u32): bool {
  switch (opcode) {
    case 0x31:
      return balance(frame, sp);
    case 0x3b:
      return externalCodeSize(frame, sp);
    case 0x3f:
      return externalCodeHash(frame, sp);
    case 0x40:
      return hashOfBlock(frame, sp);
    case 0x49:
      return blobHash(frame, sp);
    default:
      return transientLoad(frame, sp);
  }
}

/** Opcodes that take words and leave none. */
export function act(frame: Frame, sp: usize, opcode: u32): bool {
  switch (opcode) {
    case 0x37:
      return copyIn(frame, sp, frame.input, frame.inputLength);
    case 0x39:
      return copyIn(frame, sp, frame.code, frame.codeLength);
    case 0x3c:
      return externalCodeCopy(frame, sp);
    case 0x3e:
      return returnDataCopy(frame, sp);
    case 0x5d:
      return transientStore(frame, sp);
    case 0x5e:
      return memoryCopy(frame, sp);
    default:
      return log(frame, sp, opcode - 0xa0);
  }
}

function balance(frame: Frame, sp: usize): bool {
  const entry = cache.account(sp - 32);
  if (!accessAccount(frame, entry)) return false;
  words.copyWord(sp - 32, cache.balanceOf(entry));
  return true;
}

function externalCodeSize(frame: Frame, sp: usize): bool {
  const entry = cache.account(sp - 32);
  if (!accessAccount(frame, entry)) return false;
  words.setU64(sp - 32, <u64>codeLength(cache.codeOf(entry)));
  return true;
}

function externalCodeHash(frame: Frame, sp: usize): bool {
  const entry = cache.account(sp - 32);
  if (!accessAccount(frame, entry)) return false;
  if (cache.isEmpty(entry)) words.clear(sp - 32);
  else words.reverse(sp - 32, entry + cache.CODE_HASH);
  return true;
}

function externalCodeCopy(frame: Frame, sp: usize): bool {
  const entry = cache.account(sp - 32);
  if (!accessAccount(frame, entry)) return false;
  const number = cache.codeOf(entry);
  return copyIn(frame, sp - 32, number ? codeAddress(number) : 0, codeLength(number));
}

/** CALLDATACOPY, CODECOPY and the like: target, offset and length are the words below `sp`. */
function copyIn(frame: Frame, sp: usize, source: usize, available: u32): bool {
  const length = toU64(sp - 96);
  if (length >> 32) return false;
  if (!charge(frame, 3 * wordsOf(length)) || !reach(frame, sp - 32, sp - 96)) return false;
  if (length)
    copyPadded(frame.memory + <usize>toU64(sp - 32), source, available, toU64(sp - 64), <u32>length);
  return true;
}

function returnDataCopy(frame: Frame, sp: usize): bool {
  const offset = toU64(sp - 64);
  const length = toU64(sp - 96);
  if ((offset | length) >> 32 || offset + length > <u64>frame.returned) return false;
  return copyIn(frame, sp, returnArena, frame.returned);
}

function memoryCopy(frame: Frame, sp: usize): bool {
  const length = toU64(sp - 96);
  if (length >> 32 || !charge(frame, 3 * wordsOf(length))) return false;
  if (!reach(frame, sp - 32, sp - 96) || !reach(frame, sp - 64, sp - 96)) return false;
  if (length) {
    const target = frame.memory + <usize>toU64(sp - 32);
    memory.copy(target, frame.memory + <usize>toU64(sp - 64), <usize>length);
  }
  return true;
}

export function keccak(frame: Frame, sp: usize): bool {
  const length = toU64(sp - 64);
  if (length >> 32 || !charge(frame, 6 * wordsOf(length)) || !reach(frame, sp - 32, sp - 64)) return false;
  const from = length ? frame.memory + <usize>toU64(sp - 32) : frame.memory;
  Keccak256.hash(from, <u32>length, sp - 64);
  words.reverse(sp - 64, sp - 64);
  return true;
}

function hashOfBlock(frame: Frame, sp: usize): bool {
  const number = toU64(sp - 32);
  blockHash(sp - 32, number);
  words.reverse(sp - 32, sp - 32);
  return true;
}

function blobHash(frame: Frame, sp: usize): bool {
  const index = toU64(sp - 32);
  if (index < <u64>block.blobCount) words.reverse(sp - 32, block.blobHashes + 32 * <usize>index);
  else words.clear(sp - 32);
  return true;
}

// ---- storage ----------------------------------------------------------------------------------------------

export function storageLoad(frame: Frame, sp: usize): bool {
  const entry = cache.slot(frame.self, sp - 32);
  if (rules.fork >= rules.BERLIN) {
    if (!charge(frame, cache.warmSlot(entry) ? rules.COLD_SLOT : rules.WARM_ACCESS)) return false;
  }
  words.copyWord(sp - 32, entry + cache.VALUE);
  return true;
}

export function storageStore(frame: Frame, sp: usize): bool {
  if (frame.isStatic) return false;
  const fork = rules.fork;
  if (fork >= rules.ISTANBUL && frame.gas <= rules.CALL_STIPEND) return false;
  const entry = cache.slot(frame.self, sp - 32);
  const value = sp - 64;
  const net = fork >= rules.ISTANBUL || fork == rules.CONSTANTINOPLE;
  if (!(net ? chargeNet(frame, entry, value) : chargeGross(frame, entry, value))) return false;
  cache.setValue(entry, value);
  return true;
}

/** By the values before and after alone. */
function chargeGross(frame: Frame, entry: usize, value: usize): bool {
  const before = !words.isZero(entry + cache.VALUE);
  const after = !words.isZero(value);
  if (before && !after) addRefund(rules.clearRefund);
  return charge(frame, !before && after ? rules.STORE_SET : rules.STORE_RESET);
}

/** By what the slot held when the transaction began, too (EIP-1283, EIP-2200, EIP-2929, EIP-3529). */
function chargeNet(frame: Frame, entry: usize, value: usize): bool {
  const byWarmth = rules.fork >= rules.BERLIN;
  const unchanged = byWarmth ? rules.WARM_ACCESS : rules.slotLoad;
  const reset = byWarmth ? rules.STORE_RESET - rules.COLD_SLOT : rules.STORE_RESET;
  const current = entry + cache.VALUE;
  const original = entry + cache.ORIGINAL;
  let cost: i64 = byWarmth && cache.warmSlot(entry) ? rules.COLD_SLOT : 0;
  if (words.equals(current, value)) return charge(frame, cost + unchanged);
  if (words.equals(original, current)) {
    if (words.isZero(original)) return charge(frame, cost + rules.STORE_SET);
    if (words.isZero(value)) addRefund(rules.clearRefund);
    return charge(frame, cost + reset);
  }
  cost += unchanged;
  if (!words.isZero(original)) {
    if (words.isZero(current)) addRefund(-rules.clearRefund);
    else if (words.isZero(value)) addRefund(rules.clearRefund);
  }
  if (words.equals(original, value)) {
    addRefund((words.isZero(original) ? rules.STORE_SET : reset) - unchanged);
  }
  return charge(frame, cost);
}

function transientLoad(frame: Frame, sp: usize): bool {
  words.copyWord(sp - 32, cache.transient(frame.self, sp - 32) + cache.VALUE);
  return true;
}

function transientStore(frame: Frame, sp: usize): bool {
  if (frame.isStatic) return false;
  cache.setValue(cache.transient(frame.self, sp - 32), sp - 64);
  return true;
}

// ---- logs -------------------------------------------------------------------------------------------------

function log(frame: Frame, sp: usize, topics: u32): bool {
  if (frame.isStatic) return false;
  const length = toU64(sp - 64);
  if (length >> 32 || !charge(frame, 8 * <i64>length) || !reach(frame, sp - 32, sp - 64)) return false;
  const at = <usize>load<u64>(logsEnd);
  const data = at + LOG_HEAD + topics * 32;
  const end = (data + <usize>length + 7) & ~7;
  if (end > logsArena + LOGS_BYTES) throw new Error("evm: the transaction logs more than fits");
  store<u32>(at, <u32>length);
  store<u32>(at, topics, 4);
  words.copyWord(at + 8, frame.self + cache.ADDRESS);
  for (let i: usize = 0; i < topics; i++) words.reverse(at + LOG_HEAD + i * 32, sp - 96 - i * 32);
  if (length) memory.copy(data, frame.memory + <usize>toU64(sp - 32), <usize>length);
  saveU64(logsEnd);
  store<u64>(logsEnd, <u64>end);
  return true;
}

// ---- SELFDESTRUCT -----------------------------------------------------------------------------------------

const amount: usize = memory.data(32, 8);
const DESTRUCT_REFUND: i64 = 24000;

export function selfDestruct(frame: Frame, sp: usize): bool {
  if (frame.isStatic) return false;
  const fork = rules.fork;
  const self = frame.self;
  const heir = cache.account(sp - 32);
  if (fork >= rules.BERLIN && wasCold(heir) && !charge(frame, rules.COLD_ACCOUNT)) return false;
  words.copyWord(amount, cache.balanceOf(self));
  const isNew =
    fork >= rules.SPURIOUS_DRAGON ? !words.isZero(amount) && cache.isEmpty(heir) : !cache.exists(heir);
  if (fork >= rules.TANGERINE_WHISTLE && isNew && !charge(frame, rules.NEW_ACCOUNT)) return false;
  const ends = fork < rules.CANCUN || cache.wasCreated(self);
  if (fork < rules.LONDON && !cache.isDestructed(self)) addRefund(DESTRUCT_REFUND);
  if (heir != self) {
    cache.subtractBalance(self, amount);
    cache.addBalance(heir, amount);
  } else if (ends) {
    cache.subtractBalance(self, amount);
  }
  if (ends) cache.destruct(self);
  return true;
}
