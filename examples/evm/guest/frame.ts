/**
 * Frames: the calls and creations that are under way, one above the other, each with its stack and memory.
 */

import { MEMORY_BYTES, STACK_BYTES, framesArena, memoryArena, stackArena } from "./arena.ts";
import { block } from "./block.ts";
import { codeBytes } from "./messages.ts";
import { CREATED_CODES, createdCode } from "./world.ts";

export const STACK_LIMIT: usize = 1024 * 32;
const WORDS_PER_QUADRATIC: u64 = 512;

/** What made a frame. */
export const BY_CALL: u32 = 0;
export const BY_CREATE: u32 = 1;

@unmanaged
export class Frame {
  /** What is left; only right while the frame does not run. */
  gas: i64 = 0;
  code: usize = 0;
  codeLength: u32 = 0;
  /** One bit for each byte of the code: a jump may go there. */
  jumps: usize = 0;
  pc: usize = 0;
  /** One word beyond the top of the operand stack, and its bottom. */
  sp: usize = 0;
  base: usize = 0;
  memory: usize = 0;
  /** In bytes, whole words. */
  memorySize: u32 = 0;
  input: usize = 0;
  inputLength: u32 = 0;
  /** Entry of the account whose storage it works on. */
  self: usize = 0;
  kind: u32 = 0;
  isStatic: bool = false;
  depth: u32 = 0;
  /** Where the caller wants the output, in its memory. */
  outputAt: usize = 0;
  outputLength: u32 = 0;
  /** Bytes in the return buffer from the last call. */
  returned: u32 = 0;
  /** To go back to, should it revert. */
  mark: usize = 0;
  caller0: u64 = 0;
  caller1: u64 = 0;
  caller2: u64 = 0;
  caller3: u64 = 0;
  value0: u64 = 0;
  value1: u64 = 0;
  value2: u64 = 0;
  value3: u64 = 0;

  /** The caller's address, a word. */
  @inline
  get caller(): usize {
    return changetype<usize>(this) + offsetof<Frame>("caller0");
  }

  /** The value that came with the call, a word. */
  @inline
  get value(): usize {
    return changetype<usize>(this) + offsetof<Frame>("value0");
  }

  @inline
  get above(): Frame {
    return changetype<Frame>(changetype<usize>(this) + offsetof<Frame>());
  }

  @inline
  get below(): Frame {
    return changetype<Frame>(changetype<usize>(this) - offsetof<Frame>());
  }
}

/** The lowest frame, of the transaction itself. */
export function firstFrame(): Frame {
  return changetype<Frame>(framesArena);
}

/** Gives the frame its stack and memory: above those of the frame below, if there is one. */
export function place(frame: Frame): void {
  const lowest = frame.depth == 0;
  frame.base = lowest ? stackArena : frame.below.sp;
  frame.sp = frame.base;
  frame.memory = lowest ? memoryArena : (frame.below.memory + frame.below.memorySize + 63) & ~63;
  frame.memorySize = 0;
  frame.returned = 0;
  if (frame.base + STACK_LIMIT > stackArena + STACK_BYTES)
    throw new Error("evm: the operand stacks of all calls take more than fits");
}

export function charge(frame: Frame, amount: i64): bool {
  frame.gas -= amount;
  return frame.gas >= 0;
}

/**
 * Makes the memory reach to the end of a range given by two words, and charges for it; false if it is out of
 * gas. A range of length 0 reaches nowhere.
 */
export function reach(frame: Frame, offset: usize, length: usize): bool {
  const size = toU64(length);
  if (!size) return true;
  return reachTo(frame, toU64(offset), size);
}

export function reachTo(frame: Frame, offset: u64, size: u64): bool {
  if ((offset | size) >> 32) return false;
  const end = offset + size;
  const before = <u64>frame.memorySize;
  if (end <= before) return true;
  const words = (end + 31) >> 5;
  const wordsBefore = before >> 5;
  const cost =
    3 * (words - wordsBefore) +
    (words * words) / WORDS_PER_QUADRATIC -
    (wordsBefore * wordsBefore) / WORDS_PER_QUADRATIC;
  if (!charge(frame, <i64>cost)) return false;
  const bytes = <usize>(words << 5);
  if (frame.memory + bytes > memoryArena + MEMORY_BYTES)
    throw new Error("evm: the memories of all calls take more than fits");
  memory.fill(frame.memory + <usize>before, 0, bytes - <usize>before);
  frame.memorySize = <u32>bytes;
  return true;
}

/** A word as an integer of 64 bits; the largest where it does not fit. */
export function toU64(word: usize): u64 {
  const high = load<u64>(word, 8) | load<u64>(word, 16) | load<u64>(word, 24);
  return high ? u64.MAX_VALUE : load<u64>(word);
}

export function wordsOf(bytes: u64): i64 {
  return <i64>((bytes + 31) >> 5);
}

/**
 * Copies `length` bytes from `offset` of a source that has `available` bytes, zeros beyond them, into memory
 * that was reached.
 */
export function copyPadded(target: usize, source: usize, available: u32, offset: u64, length: u32): void {
  const there: u32 = offset < <u64>available ? <u32>min<u64>(<u64>available - offset, <u64>length) : 0;
  if (there) memory.copy(target, source + <usize>offset, there);
  if (there < length) memory.fill(target + there, 0, length - there);
}

// ---- code -------------------------------------------------------------------------------------------------

/** What a code has in `block.codes`. */
export const CODE_ENTRY: usize = 16;

/** Bytes of the jump table of a code: a bit for each of its bytes, in whole u64. */
export function jumpBytes(length: u32): u32 {
  return ((length + 63) >> 6) << 3;
}

/** Writes the jump table of a code: its JUMPDESTs that are no operands of a PUSH, 64 bytes at once. */
export function findJumps(code: usize, length: u32, jumps: usize): void {
  // How many of the next bytes are operands of the last PUSH.
  let operands: u32 = 0;
  for (let at: usize = 0; at < length; at += 64) {
    const first = u64.MAX_VALUE << operands;
    operands = 0;
    let targets = bytesLike(code + at, 0xff, 0x5b) & first;
    let pushes = bytesLike(code + at, 0xe0, 0x60) & first;
    while (pushes) {
      const place = <u32>ctz<u64>(pushes);
      const next: u32 = place + 1 + (load<u8>(code + at + place) - 0x5f);
      const behind: u64 = next < 64 ? u64.MAX_VALUE << next : 0;
      targets &= behind | (((<u64>2) << place) - 1);
      pushes &= behind;
      if (next > 64) operands = next - 64;
    }
    store<u64>(jumps + (at >> 3), targets);
  }
}

/** A bit for each of 64 bytes: whether it has `value` in the bits of the mask. */
function bytesLike(address: usize, mask: u8, value: u8): u64 {
  let bits: u64 = 0;
  for (let at: usize = 0; at < 64; at += 16) {
    const masked = v128.and(v128.load(address + at), i8x16.splat(mask));
    bits |= (<u64>i8x16.bitmask(i8x16.eq(masked, i8x16.splat(value)))) << at;
  }
  return bits;
}

/** Sets a bit of a byte. */
export function setBit(address: usize, bit: u32): void {
  const byte: u32 = load<u8>(address);
  store<u8>(address, <u8>(byte | (1 << bit)));
}

export function isJump(frame: Frame, target: usize): bool {
  return (load<u8>(frame.jumps + (target >> 3)) & (1 << (<u32>target & 7))) != 0;
}

export function codeLength(number: u32): u32 {
  if (!number) return 0;
  if (number >= CREATED_CODES) return load<u32>(createdCode(number));
  return load<u32>(block.codes + number * CODE_ENTRY, 4);
}

/** Where the bytes of a code lie. */
export function codeAddress(number: u32): usize {
  if (number >= CREATED_CODES) return createdCode(number) + 4;
  return load<u32>(block.codes + number * CODE_ENTRY);
}

/** Lets the frame run the code of that number. */
export function setFrameCode(frame: Frame, number: u32): void {
  const length = codeLength(number);
  const code = codeAddress(number);
  if (number >= CREATED_CODES) return setOwnCode(frame, code, length);
  frame.code = code;
  frame.codeLength = length;
  frame.jumps = load<u32>(block.codes + number * CODE_ENTRY, 8);
  frame.pc = code;
}

/** Copies code that is only there for a while below the frame's memory, and prepares it. */
export function setOwnCode(frame: Frame, code: usize, length: u32): void {
  const own = frame.memory;
  const jumps = own + codeBytes(length);
  frame.memory = (jumps + jumpBytes(length) + 63) & ~63;
  if (frame.memory > memoryArena + MEMORY_BYTES)
    throw new Error("evm: the memories of all calls take more than fits");
  memory.copy(own, code, length);
  memory.fill(own + length, 0, jumps - own - length);
  frame.code = own;
  frame.codeLength = length;
  frame.jumps = jumps;
  frame.pc = own;
  findJumps(own, length, jumps);
}
