/**
 * RIPEMD-160 (Dobbertin, Bosselaers, Preneel 1996): `Ripemd160.hash(data, length, target)` writes 20 bytes.
 * About 8,000 gas for each 64 bytes.
 */

const state: usize = memory.data(20, 8);
const last: usize = memory.data(128, 8);

/** Which word each step reads and how far it turns, of the left line and of the right one. */
// prettier-ignore
const words: usize = memory.data<u8>([
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8,
  3, 10, 14, 4, 9, 15, 8, 1, 2, 7, 0, 6, 13, 11, 5, 12, 1, 9, 11, 10, 0, 8, 12, 4, 13, 3, 7, 15, 14, 5, 6, 2,
  4, 0, 5, 9, 7, 12, 2, 10, 14, 1, 3, 8, 11, 6, 15, 13, 5, 14, 7, 0, 9, 2, 11, 4, 13, 6, 15, 8, 1, 10, 3, 12,
  6, 11, 3, 7, 0, 13, 5, 10, 14, 15, 8, 12, 4, 9, 1, 2, 15, 5, 1, 3, 7, 14, 6, 9, 11, 8, 12, 2, 10, 0, 4, 13,
  8, 6, 4, 1, 3, 11, 15, 0, 5, 12, 2, 13, 9, 7, 10, 14, 12, 15, 10, 4, 1, 5, 8, 7, 6, 2, 13, 14, 0, 3, 9, 11,
]);
// prettier-ignore
const turns: usize = memory.data<u8>([
  11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8, 7, 6, 8, 13, 11, 9, 7, 15, 7, 12, 15, 9, 11, 7, 13,
  12, 11, 13, 6, 7, 14, 9, 13, 15, 14, 8, 13, 6, 5, 12, 7, 5, 11, 12, 14, 15, 14, 15, 9, 8, 9, 14, 5, 6, 8, 6,
  5, 12, 9, 15, 5, 11, 6, 8, 13, 12, 5, 12, 13, 14, 11, 8, 5, 6, 8, 9, 9, 11, 13, 15, 15, 5, 7, 7, 8, 11, 14,
  14, 12, 6, 9, 13, 15, 7, 12, 8, 9, 11, 7, 7, 12, 7, 6, 15, 13, 11, 9, 7, 15, 11, 8, 6, 6, 14, 12, 13, 5, 14,
  13, 13, 7, 5, 15, 5, 8, 11, 14, 14, 6, 14, 6, 9, 12, 9, 12, 5, 15, 8, 8, 5, 12, 9, 12, 5, 14, 6, 8, 13, 6,
  5, 15, 13, 11, 11,
]);
// prettier-ignore
const constants: usize = memory.data<u32>([
  0x00000000, 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xa953fd4e, 0x50a28be6, 0x5c4dd124, 0x6d703ef3, 0x7a6d76e9,
  0x00000000,
]);

export class Ripemd160 {
  /** Writes the 20-byte hash of `length` bytes at `data` to `target`, which may lie in the data. */
  static hash(data: usize, length: u32, target: usize): void {
    store<u32>(state, 0x67452301);
    store<u32>(state, 0xefcdab89, 4);
    store<u32>(state, 0x98badcfe, 8);
    store<u32>(state, 0x10325476, 12);
    store<u32>(state, 0xc3d2e1f0, 16);
    const whole = length & ~63;
    for (let at: u32 = 0; at < whole; at += 64) compress(data + at);
    const rest = length - whole;
    const blocks: u32 = rest < 56 ? 64 : 128;
    memory.copy(last, data + whole, rest);
    store<u8>(last + rest, 0x80);
    memory.fill(last + rest + 1, 0, blocks - rest - 1);
    store<u64>(last + blocks - 8, (<u64>length) << 3);
    compress(last);
    if (blocks > 64) compress(last + 64);
    memory.copy(target, state, 20);
  }
}

/** The five functions, by number. */
function mix(number: u32, x: u32, y: u32, z: u32): u32 {
  switch (number) {
    case 0:
      return x ^ y ^ z;
    case 1:
      return (x & y) | (~x & z);
    case 2:
      return (x | ~y) ^ z;
    case 3:
      return (x & z) | (y & ~z);
    default:
      return x ^ (y | ~z);
  }
}

const lines: usize = memory.data(40, 8);

/** One line of 80 steps from the state; `right`: 0 or 1. */
function line(data: usize, right: u32): void {
  let a = load<u32>(state);
  let b = load<u32>(state, 4);
  let c = load<u32>(state, 8);
  let d = load<u32>(state, 12);
  let e = load<u32>(state, 16);
  for (let round: u32 = 0; round < 5; round++) {
    const constant = load<u32>(constants + (right * 5 + round) * 4);
    const number = right ? 4 - round : round;
    const from = right * 80 + round * 16;
    for (let step = from; step < from + 16; step++) {
      const word = load<u32>(data + ((<usize>load<u8>(words + step)) << 2));
      const sum = rotl<u32>(a + mix(number, b, c, d) + word + constant, load<u8>(turns + step)) + e;
      a = e;
      e = d;
      d = rotl<u32>(c, 10);
      c = b;
      b = sum;
    }
  }
  const at = lines + right * 20;
  store<u32>(at, a);
  store<u32>(at, b, 4);
  store<u32>(at, c, 8);
  store<u32>(at, d, 12);
  store<u32>(at, e, 16);
}

function compress(data: usize): void {
  line(data, 0);
  line(data, 1);
  const first = load<u32>(state, 4) + load<u32>(lines, 8) + load<u32>(lines, 32);
  store<u32>(state, load<u32>(state, 8) + load<u32>(lines, 12) + load<u32>(lines, 36), 4);
  store<u32>(state, load<u32>(state, 12) + load<u32>(lines, 16) + load<u32>(lines, 20), 8);
  store<u32>(state, load<u32>(state, 16) + load<u32>(lines) + load<u32>(lines, 24), 12);
  store<u32>(state, load<u32>(state) + load<u32>(lines, 4) + load<u32>(lines, 28), 16);
  store<u32>(state, first);
}
