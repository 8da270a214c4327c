/**
 * The compression function F of BLAKE2b (RFC 7693, section 3.2), with any number of rounds, as EIP-152 has
 * it. About 700 gas for each round.
 */

const v: usize = memory.data(128, 8);

// prettier-ignore
const initial: usize = memory.data<u64>([
  0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1, 0x510e527fade682d1,
  0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
]);
// prettier-ignore
const order: usize = memory.data<u8>([
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3,
  11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4, 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8,
  9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13, 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9,
  12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11, 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10,
  6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5, 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0,
]);

export class Blake2b {
  /**
   * Changes the eight u64 at `state` by the sixteen at `message`; `low` and `high`: bytes so far; `last`:
   * this is the last block.
   */
  static compress(state: usize, message: usize, low: u64, high: u64, last: bool, rounds: u32): void {
    memory.copy(v, state, 64);
    memory.copy(v + 64, initial, 64);
    store<u64>(v, load<u64>(v, 96) ^ low, 96);
    store<u64>(v, load<u64>(v, 104) ^ high, 104);
    if (last) store<u64>(v, ~load<u64>(v, 112), 112);
    for (let round: u32 = 0; round < rounds; round++) {
      const at = order + (round % 10) * 16;
      mix(0, 32, 64, 96, message, at);
      mix(8, 40, 72, 104, message, at + 2);
      mix(16, 48, 80, 112, message, at + 4);
      mix(24, 56, 88, 120, message, at + 6);
      mix(0, 40, 80, 120, message, at + 8);
      mix(8, 48, 88, 96, message, at + 10);
      mix(16, 56, 64, 104, message, at + 12);
      mix(24, 32, 72, 112, message, at + 14);
    }
    for (let i: usize = 0; i < 64; i += 8) {
      store<u64>(state + i, load<u64>(state + i) ^ load<u64>(v + i) ^ load<u64>(v + i, 64));
    }
  }
}

function mix(a: usize, b: usize, c: usize, d: usize, message: usize, at: usize): void {
  let va = load<u64>(v + a) + load<u64>(v + b) + load<u64>(message + ((<usize>load<u8>(at)) << 3));
  let vd = rotr<u64>(load<u64>(v + d) ^ va, 32);
  let vc = load<u64>(v + c) + vd;
  let vb = rotr<u64>(load<u64>(v + b) ^ vc, 24);
  va += vb + load<u64>(message + ((<usize>load<u8>(at, 1)) << 3));
  vd = rotr<u64>(vd ^ va, 16);
  vc += vd;
  vb = rotr<u64>(vb ^ vc, 63);
  store<u64>(v + a, va);
  store<u64>(v + b, vb);
  store<u64>(v + c, vc);
  store<u64>(v + d, vd);
}
