/**
 * Items that are scripts: the input is a list of operations of four u32 each, so a test or a fuzzer can make
 * an item do anything to state and private memory. Returns the accumulator.
 */

import { get } from "../../../guest/stillpoint";

import {
  ABI_VERSION,
  ACCUMULATE_ADDRESS,
  ACCUMULATE_DELTA,
  ACCUMULATE_FLAGS,
  ACCUMULATE_MAXIMUM,
  ACCUMULATE_MINIMUM,
  ACCUMULATE_SIZE,
  ACCUMULATE_VERSION,
  ACCUMULATE_WIDTH,
} from "../../../syscalls/abi";
import { accumulateU64 } from "../../../guest/accumulate";
import { accumulate } from "../../../guest/stillpoint";

export const STATE_BYTES: u32 = 1 << 17;

const INBOX: usize = STATE_BYTES;
const OUTBOX: usize = INBOX + 32768;
const SCRATCH_BYTES: usize = 16384;
const scratch: usize = memory.data(16384, 16);
const request: usize = memory.data(ACCUMULATE_SIZE, 8);

let counter: u64 = 0;
let accumulator: u64 = 0;

/** An address of 16 bytes in the state, or from the bound on in the scratch: `place` is taken modulo both. */
function at(place: u32, length: usize): usize {
  const state = <usize>STATE_BYTES - length;
  const where = <usize>place % (state + SCRATCH_BYTES - length);
  return where <= state ? where : scratch + (where - state);
}

function output(value: u64): void {
  const length = load<u32>(OUTBOX);
  store<u64>(OUTBOX + 4 + length, value);
  store<u32>(OUTBOX, length + 8);
}

function fail(kind: u32): void {
  switch (kind % 5) {
    case 0:
      unreachable();
    case 1:
      throw new Error("the script says so");
    case 2:
      accumulator = 1 / (load<u64>(scratch) & 0);
      break;
    case 3:
      accumulator = load<u64>(0xfffffff0);
      break;
    default:
      fail(4);
      accumulator++;
  }
}

/** Accumulates in one of a few integers that overlap; mostly possible, sometimes not. */
function add(place: u32, delta: u32, how: u32): i32 {
  const width = (<u32>8) << ((how & 3) % 3);
  memory.fill(request, 0, ACCUMULATE_SIZE);
  store<u32>(request, ABI_VERSION, ACCUMULATE_VERSION);
  store<u32>(request, (how >>> 2) & 3, ACCUMULATE_FLAGS);
  store<u32>(request, (place % 256) & ~(width - 1), ACCUMULATE_ADDRESS);
  store<u32>(request, width, ACCUMULATE_WIDTH);
  store<u64>(request, delta, ACCUMULATE_DELTA);
  if ((how & 0xf000) === 0) store<u64>(request, ~0, ACCUMULATE_DELTA + 8);
  store<u64>(request, (how >>> 4) & 15, ACCUMULATE_MINIMUM);
  store<u64>(request, <u64>(how & 0xfff000), ACCUMULATE_MAXIMUM);
  return accumulate(request);
}

export function run(length: i64): i64 {
  accumulator = 0;
  store<u32>(OUTBOX, 0);
  for (let place: usize = INBOX; place < INBOX + <usize>length; place += 16) {
    const a = load<u32>(place, 4);
    const b = load<u32>(place, 8);
    const c = load<u32>(place, 12);
    switch (load<u32>(place)) {
      case 1: {
        const to = at(a, 8);
        store<u64>(to, load<u64>(to) + b);
        break;
      }
      case 2:
        store<u64>(at(b, 8), load<u64>(at(a, 8)) + c);
        break;
      case 3: {
        const bytes = <usize>b % 4096;
        const from = at(a, bytes);
        for (let i: usize = 0; i + 8 <= bytes; i += 8) accumulator += load<u64>(from + i);
        break;
      }
      case 4: {
        const bytes = <usize>b % 8192;
        memory.fill(at(a, bytes), <u8>c, bytes);
        break;
      }
      case 5: {
        const bytes = <usize>c % 8192;
        memory.copy(at(a, bytes), at(b, bytes), bytes);
        break;
      }
      case 6: {
        const to = at(a, 16);
        v128.store(to, v128.xor(v128.load(at(b, 16)), i32x4.splat(c)));
        break;
      }
      case 7:
        if ((load<u64>(at(a, 8)) & b) === 0) place += <usize>(c % 8) * 16;
        break;
      case 8:
        fail(a);
        break;
      case 9:
        for (let i: u32 = 0; i < a % 100000; i++) accumulator = accumulator * 31 + i;
        break;
      case 10:
        accumulator += ++counter;
        break;
      case 11:
        accumulator += <u64>heap.alloc(a % 1024);
        break;
      case 12:
        accumulator += <u64>memory.grow(a % 3);
        break;
      case 13:
        output(accumulator);
        break;
      case 14: {
        const to = at(<u32>load<u64>(at(a, 8)), 8);
        store<u64>(to, load<u64>(to) ^ b);
        break;
      }
      case 15: {
        const to = scratch + (<usize>a % (SCRATCH_BYTES - 8));
        accumulator += load<u64>(to);
        store<u64>(to, b);
        break;
      }
      case 16:
        while (load<u64>(at(a, 8)) < <u64>(b % 1000)) accumulator++;
        break;
      case 17: {
        const to = at(a, 2);
        store<u16>(to, load<u16>(to) + <u16>b);
        break;
      }
      case 18: {
        // Across the bound.
        const to = <usize>STATE_BYTES - 1 - <usize>(a % 15);
        v128.store(to, v128.add<u8>(v128.load(to), i8x16.splat(<i8>b)));
        break;
      }
      case 19: {
        const to = <usize>STATE_BYTES - <usize>(a % 5000);
        memory.fill(to, <u8>c, <usize>b % 9000);
        break;
      }
      case 20: {
        const from = <usize>STATE_BYTES - <usize>(a % 5000);
        const bytes = <usize>b % 9000;
        memory.copy((c & 1) !== 0 ? scratch : at(c, bytes), from, bytes);
        break;
      }
      case 21: {
        // A walk whose every step depends on the last.
        let where = a;
        for (let i: u32 = 0; i < b % 64; i++) where = <u32>load<u64>(at(where, 8)) * 2654435761 + c + i;
        accumulator ^= where;
        break;
      }
      case 22:
        for (let i: u32 = 0; i < b % 256; i++) {
          const to = at(a + i * 64, 8);
          store<u64>(to, load<u64>(to) + 1);
        }
        break;
      case 23:
        // Nothing, where something might be.
        memory.fill((c & 1) !== 0 ? <usize>STATE_BYTES : at(a, 1), 1, 0);
        memory.copy((c & 2) !== 0 ? <usize>STATE_BYTES : at(a, 1), at(b, 1), 0);
        break;
      case 24:
        // Beyond the memory, from within the state.
        if ((c & 1) !== 0) memory.fill(at(a, 8), <u8>b, 0xfff00000);
        else memory.copy(at(a, 8), at(b, 8), 0xfff00000);
        break;
      case 25: {
        const to = at(a, 1);
        store<u8>(to, load<u8>(to) + <u8>b);
        break;
      }
      case 26:
        // All of a line, whatever it held.
        for (let i: usize = 0; i < 64; i += 16) v128.store((at(a, 64) & ~63) + i, i32x4.splat(b));
        break;
      case 27:
        store<u32>(OUTBOX, a % 40000);
        break;
      case 28:
        store<u64>(at(a, 8), 0);
        break;
      case 29:
        output(load<u64>(at(a, 8)));
        break;
      case 30: {
        const from = at(a, 8);
        const to = at(b, 8);
        if (load<u64>(from) < c) break;
        store<u64>(from, load<u64>(from) - c);
        store<u64>(to, load<u64>(to) + c);
        accumulator++;
        break;
      }
      case 31:
        accumulator += <u64>get(<i32>a, <i32>(scratch & ~7));
        break;
      case 33:
        accumulator = accumulator * 3 + <u64>(add(a, b, c) + 2);
        break;
      case 35: {
        // A request in the state: laid down there, or whatever lies there.
        const to = at(a & ~7, ACCUMULATE_SIZE) & ~7;
        if ((c & 1) !== 0) {
          accumulator += add(b, c, c >>> 1);
          memory.copy(to, request, ACCUMULATE_SIZE);
        } else {
          accumulator = accumulator * 5 + <u64>accumulate(to);
        }
        break;
      }
      case 34:
        // One after the other in as many lines, or as often in one: `c` bytes apart.
        for (let i: u32 = 0; i < b % 4096; i++) {
          const to = <u32>at(a + i * c, 8) & ~7;
          accumulator += <u64>accumulateU64(<usize>to, 1 + i);
        }
        break;
      default:
        accumulator += load<u64>(at(a, 8));
    }
  }
  return <i64>accumulator;
}

/** Not in a batch: leaves other private memory, another global and more memory for batches to begin with. */
export function prepare(argument: i64): i64 {
  counter = <u64>argument;
  memory.fill(scratch, <u8>argument, SCRATCH_BYTES);
  const at = <usize>argument;
  store<u64>(at, load<u64>(at) + 1);
  const end = (<usize>memory.size()) << 16;
  if (memory.grow(<i32>(argument % 3)) >= 0 && argument % 3 > 0) store<u64>(end + 8, <u64>argument);
  return memory.size();
}
