/**
 * The interpreter: runs the lowest frame, and the frames that it opens, until it ends. One loop over all of
 * them, so that calls of the EVM are no calls of this program, whose depth is bounded otherwise.
 *
 * Program counter, stack pointer and gas of the frame that runs are in locals; what looks beyond the frame
 * (operations.ts, calls.ts) gets them in the frame. Every opcode first pays what the table says and has its
 * operands counted, so that the cases below need not look.
 */

import * as block from "./block.ts";
import * as cache from "./cache.ts";
import { ENDED, FAILED, FAILS, REVERTED, WAITS, call, create, leave } from "./calls.ts";
import { Frame, STACK_LIMIT, copyPadded, isJump, reachTo, toU64 } from "./frame.ts";
import * as operations from "./operations.ts";
import { expByte, opcodes } from "./rules.ts";
import * as trace from "./steps.ts";
import * as words from "./words.ts";

/** How the lowest frame ended, and its output: a range of its memory. */
export let howEnded: u32 = 0;
export let outputOffset: usize = 0;
export let outputLength: u32 = 0;

export function run(lowest: Frame): void {
  let frame = lowest;
  let pc = frame.pc;
  let sp = frame.sp;
  let gas = frame.gas;
  let how: u32 = FAILED;
  let offset: usize = 0;
  let length: u32 = 0;
  while (true) {
    if (isDefined(TRACING)) trace.begins(frame, pc, sp, gas);
    const rule = load<u32>(opcodes + ((<usize>load<u8>(pc)) << 2));
    pc++;
    gas -= <i64>(rule & 0xffff);
    const height = sp - frame.base;
    const opcode = rule >> 24;
    let good: bool =
      gas >= 0 && height >= ((rule >> 11) & 0x3e0) && height + ((rule >> 16) & 0x20) <= STACK_LIMIT;
    let ends: bool = false;
    if (good) {
      switch (opcode) {
        case 0x00: // STOP
          how = ENDED;
          offset = 0;
          length = 0;
          ends = true;
          break;
        case 0x01: // ADD
          words.add(sp - 32, sp - 64);
          sp -= 32;
          break;
        case 0x02: // MUL
          words.multiply(sp - 32, sp - 64);
          sp -= 32;
          break;
        case 0x03: // SUB
          words.subtract(sp - 32, sp - 64);
          sp -= 32;
          break;
        case 0x04: // DIV
          words.divide(sp - 32, sp - 64);
          sp -= 32;
          break;
        case 0x05: // SDIV
          words.divideSigned(sp - 32, sp - 64);
          sp -= 32;
          break;
        case 0x06: // MOD
          words.remainder(sp - 32, sp - 64);
          sp -= 32;
          break;
        case 0x07: // SMOD
          words.remainderSigned(sp - 32, sp - 64);
          sp -= 32;
          break;
        case 0x08: // ADDMOD
          words.addModulo(sp - 32, sp - 64, sp - 96);
          sp -= 64;
          break;
        case 0x09: // MULMOD
          words.multiplyModulo(sp - 32, sp - 64, sp - 96);
          sp -= 64;
          break;
        case 0x0a: // EXP
          gas -= expByte * <i64>words.byteLength(sp - 64);
          good = gas >= 0;
          if (good) words.power(sp - 32, sp - 64);
          sp -= 32;
          break;
        case 0x0b: // SIGNEXTEND
        case 0x1a: // BYTE
          if (opcode == 0x0b) words.signExtend(sp - 32, sp - 64);
          else words.byteOf(sp - 32, sp - 64);
          sp -= 32;
          break;
        case 0x10: // LT
          words.setU64(sp - 64, u64(words.lessThan(sp - 32, sp - 64)));
          sp -= 32;
          break;
        case 0x11: // GT
          words.setU64(sp - 64, u64(words.lessThan(sp - 64, sp - 32)));
          sp -= 32;
          break;
        case 0x12: // SLT
          words.setU64(sp - 64, u64(words.lessThanSigned(sp - 32, sp - 64)));
          sp -= 32;
          break;
        case 0x13: // SGT
          words.setU64(sp - 64, u64(words.lessThanSigned(sp - 64, sp - 32)));
          sp -= 32;
          break;
        case 0x14: // EQ
          words.setU64(sp - 64, u64(words.equals(sp - 32, sp - 64)));
          sp -= 32;
          break;
        case 0x15: // ISZERO
          words.setU64(sp - 32, u64(words.isZero(sp - 32)));
          break;
        case 0x16: // AND
          v128.store(sp - 64, v128.and(v128.load(sp - 64), v128.load(sp - 32)));
          v128.store(sp - 48, v128.and(v128.load(sp - 48), v128.load(sp - 16)));
          sp -= 32;
          break;
        case 0x17: // OR
          v128.store(sp - 64, v128.or(v128.load(sp - 64), v128.load(sp - 32)));
          v128.store(sp - 48, v128.or(v128.load(sp - 48), v128.load(sp - 16)));
          sp -= 32;
          break;
        case 0x18: // XOR
          v128.store(sp - 64, v128.xor(v128.load(sp - 64), v128.load(sp - 32)));
          v128.store(sp - 48, v128.xor(v128.load(sp - 48), v128.load(sp - 16)));
          sp -= 32;
          break;
        case 0x19: // NOT
          words.invert(sp - 32);
          break;
        case 0x1b: // SHL
          words.shiftLeft(sp - 32, sp - 64);
          sp -= 32;
          break;
        case 0x1c: // SHR
        case 0x1d: // SAR
          if (opcode == 0x1c) words.shiftRight(sp - 32, sp - 64);
          else words.shiftRightSigned(sp - 32, sp - 64);
          sp -= 32;
          break;
        case 0x31: // BALANCE
        case 0x3b: // EXTCODESIZE
        case 0x3f: // EXTCODEHASH
        case 0x40: // BLOCKHASH
        case 0x49: // BLOBHASH
        case 0x5c: // TLOAD
          frame.gas = gas;
          good = operations.ask(frame, sp, opcode);
          gas = frame.gas;
          break;
        case 0x37: // CALLDATACOPY
        case 0x39: // CODECOPY
        case 0x3c: // EXTCODECOPY
        case 0x3e: // RETURNDATACOPY
        case 0x5d: // TSTORE
        case 0x5e: // MCOPY
        case 0xa0: // LOG0…
        case 0xa1:
        case 0xa2:
        case 0xa3:
        case 0xa4: // …LOG4
          frame.gas = gas;
          good = operations.act(frame, sp, opcode);
          gas = frame.gas;
          sp -= <usize>((rule >> 11) & 0x3e0);
          break;
        case 0x20: // KECCAK256
          frame.gas = gas;
          good = operations.keccak(frame, sp);
          gas = frame.gas;
          sp -= 32;
          break;
        case 0x30: // ADDRESS
          words.copyWord(sp, frame.self + cache.ADDRESS);
          sp += 32;
          break;
        case 0x32: // ORIGIN
          words.copyWord(sp, block.origin);
          sp += 32;
          break;
        case 0x33: // CALLER
          words.copyWord(sp, frame.caller);
          sp += 32;
          break;
        case 0x34: // CALLVALUE
          words.copyWord(sp, frame.value);
          sp += 32;
          break;
        case 0x35: {
          // CALLDATALOAD
          const at = toU64(sp - 32);
          if (at + 32 <= <u64>frame.inputLength && at < 0xffffffff) {
            words.reverse(sp - 32, frame.input + <usize>at);
          } else {
            copyPadded(sp - 32, frame.input, frame.inputLength, at, 32);
            words.reverse(sp - 32, sp - 32);
          }
          break;
        }
        case 0x36: // CALLDATASIZE
          words.setU64(sp, <u64>frame.inputLength);
          sp += 32;
          break;
        case 0x38: // CODESIZE
          words.setU64(sp, <u64>frame.codeLength);
          sp += 32;
          break;
        case 0x3a: // GASPRICE
          words.copyWord(sp, block.gasPrice);
          sp += 32;
          break;
        case 0x3d: // RETURNDATASIZE
          words.setU64(sp, <u64>frame.returned);
          sp += 32;
          break;
        case 0x41: // COINBASE
          words.copyWord(sp, block.coinbase);
          sp += 32;
          break;
        case 0x42: // TIMESTAMP
          words.setU64(sp, block.block.timestamp);
          sp += 32;
          break;
        case 0x43: // NUMBER
          words.setU64(sp, block.block.number);
          sp += 32;
          break;
        case 0x44: // PREVRANDAO, DIFFICULTY
          words.copyWord(sp, block.randao);
          sp += 32;
          break;
        case 0x45: // GASLIMIT
          words.setU64(sp, block.block.gasLimit);
          sp += 32;
          break;
        case 0x46: // CHAINID
          words.setU64(sp, block.block.chainId);
          sp += 32;
          break;
        case 0x47: // SELFBALANCE
          words.copyWord(sp, cache.balanceOf(frame.self));
          sp += 32;
          break;
        case 0x48: // BASEFEE
          words.copyWord(sp, block.baseFee);
          sp += 32;
          break;
        case 0x4a: // BLOBBASEFEE
          words.copyWord(sp, block.blobBaseFee);
          sp += 32;
          break;
        case 0x50: // POP
          sp -= 32;
          break;
        case 0x51: {
          // MLOAD
          const at = toU64(sp - 32);
          if (at + 32 > <u64>frame.memorySize || at > 0xffffffff) {
            frame.gas = gas;
            good = reachTo(frame, at, 32);
            gas = frame.gas;
          }
          if (good) words.reverse(sp - 32, frame.memory + <usize>at);
          break;
        }
        case 0x52: {
          // MSTORE
          const at = toU64(sp - 32);
          if (at + 32 > <u64>frame.memorySize || at > 0xffffffff) {
            frame.gas = gas;
            good = reachTo(frame, at, 32);
            gas = frame.gas;
          }
          if (good) words.reverse(frame.memory + <usize>at, sp - 64);
          sp -= 64;
          break;
        }
        case 0x53: {
          // MSTORE8
          const at = toU64(sp - 32);
          frame.gas = gas;
          good = reachTo(frame, at, 1);
          gas = frame.gas;
          if (good) store<u8>(frame.memory + <usize>at, load<u8>(sp - 64));
          sp -= 64;
          break;
        }
        case 0x54: // SLOAD
          frame.gas = gas;
          good = operations.storageLoad(frame, sp);
          gas = frame.gas;
          break;
        case 0x55: // SSTORE
          frame.gas = gas;
          good = operations.storageStore(frame, sp);
          gas = frame.gas;
          sp -= 64;
          break;
        case 0x56: {
          // JUMP
          const target = toU64(sp - 32);
          sp -= 32;
          good = target < <u64>frame.codeLength && isJump(frame, <usize>target);
          pc = frame.code + <usize>target;
          break;
        }
        case 0x57: {
          // JUMPI
          sp -= 64;
          if (!words.isZero(sp)) {
            const target = toU64(sp + 32);
            good = target < <u64>frame.codeLength && isJump(frame, <usize>target);
            pc = frame.code + <usize>target;
          }
          break;
        }
        case 0x58: // PC
          words.setU64(sp, <u64>(pc - 1 - frame.code));
          sp += 32;
          break;
        case 0x59: // MSIZE
          words.setU64(sp, <u64>frame.memorySize);
          sp += 32;
          break;
        case 0x5a: // GAS
          words.setU64(sp, <u64>gas);
          sp += 32;
          break;
        case 0x5b: // JUMPDEST
          break;
        case 0x5f: // PUSH0
          words.clear(sp);
          sp += 32;
          break;
        case 0x60: // PUSH1
          words.setU64(sp, <u64>load<u8>(pc));
          pc++;
          sp += 32;
          break;
        case 0x61: // PUSH2
          words.setU64(sp, <u64>bswap<u16>(load<u16>(pc)));
          pc += 2;
          sp += 32;
          break;
        case 0x63: // PUSH4
          words.setU64(sp, <u64>bswap<u32>(load<u32>(pc)));
          pc += 4;
          sp += 32;
          break;
        case 0x7f: // PUSH32
          words.reverse(sp, pc);
          pc += 32;
          sp += 32;
          break;
        case 0x62: // PUSH3
        case 0x64: // PUSH5…
        case 0x65:
        case 0x66:
        case 0x67:
        case 0x68:
        case 0x69:
        case 0x6a:
        case 0x6b:
        case 0x6c:
        case 0x6d:
        case 0x6e:
        case 0x6f:
        case 0x70:
        case 0x71:
        case 0x72:
        case 0x73:
        case 0x74:
        case 0x75:
        case 0x76:
        case 0x77:
        case 0x78:
        case 0x79:
        case 0x7a:
        case 0x7b:
        case 0x7c:
        case 0x7d:
        case 0x7e: {
          // …PUSH31: 32 bytes, shifted to where they belong.
          const count = <usize>opcode - 0x5f;
          words.readBytes(sp, pc, count);
          pc += count;
          sp += 32;
          break;
        }
        case 0x80: // DUP1…
        case 0x81:
        case 0x82:
        case 0x83:
        case 0x84:
        case 0x85:
        case 0x86:
        case 0x87:
        case 0x88:
        case 0x89:
        case 0x8a:
        case 0x8b:
        case 0x8c:
        case 0x8d:
        case 0x8e:
        case 0x8f: // …DUP16
          words.copyWord(sp, sp - ((<usize>opcode - 0x7f) << 5));
          sp += 32;
          break;
        case 0x90: // SWAP1…
        case 0x91:
        case 0x92:
        case 0x93:
        case 0x94:
        case 0x95:
        case 0x96:
        case 0x97:
        case 0x98:
        case 0x99:
        case 0x9a:
        case 0x9b:
        case 0x9c:
        case 0x9d:
        case 0x9e:
        case 0x9f: // …SWAP16
          words.swap(sp - 32, sp - 32 - ((<usize>opcode - 0x8f) << 5));
          break;
        case 0xf0: // CREATE
        case 0xf5: // CREATE2
        case 0xf1: // CALL
        case 0xf2: // CALLCODE
        case 0xf4: // DELEGATECALL
        case 0xfa: {
          // STATICCALL
          frame.gas = gas;
          frame.pc = pc;
          const next = opcode == 0xf0 || opcode == 0xf5 ? create(frame, sp, opcode) : call(frame, sp, opcode);
          if (next == WAITS) {
            frame = frame.above;
            pc = frame.pc;
          }
          good = next != FAILS;
          gas = frame.gas;
          sp = frame.sp;
          break;
        }
        case 0xf3: // RETURN
        case 0xfd: {
          // REVERT
          const size = toU64(sp - 64);
          if (size) {
            frame.gas = gas;
            good = reachTo(frame, toU64(sp - 32), size);
            gas = frame.gas;
          }
          how = opcode == 0xf3 ? ENDED : REVERTED;
          offset = size ? <usize>toU64(sp - 32) : 0;
          length = <u32>size;
          ends = true;
          break;
        }
        case 0xff: // SELFDESTRUCT
          frame.gas = gas;
          good = operations.selfDestruct(frame, sp);
          gas = frame.gas;
          how = ENDED;
          offset = 0;
          length = 0;
          ends = true;
          break;
        default: // INVALID, and what the fork does not have
          good = false;
      }
    }
    if (isDefined(TRACING)) trace.paid(gas, good);
    if (good && !ends) continue;
    if (!good) {
      how = FAILED;
      length = 0;
    }
    frame.gas = good ? gas : 0;
    if (frame.depth == 0) break;
    leave(frame, how, offset, length);
    frame = frame.below;
    pc = frame.pc;
    sp = frame.sp;
    gas = frame.gas;
  }
  if (isDefined(TRACING)) trace.ended(frame.memory + offset, length);
  howEnded = how;
  outputOffset = offset;
  outputLength = length;
}
