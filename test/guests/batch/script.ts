/**
 * Items that are scripts: the input is a list of operations of four u32 each, so a test or a fuzzer can make an
 * item do anything to state and private memory. Returns the accumulator.
 */

export const STATE_BYTES: u32 = 1 << 17;

const INBOX: usize = STATE_BYTES;
const OUTBOX: usize = INBOX + 32768;
const SCRATCH_BYTES: usize = 16384;
const scratch: usize = memory.data(16384, 16);

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
      default:
        accumulator += load<u64>(at(a, 8));
    }
  }
  return <i64>accumulator;
}
