/**
 * SHA-512 (FIPS 180-4) on linear memory. At once: `Sha512.hash(data, length, target)`. In parts: a state of
 * SHA512_BYTES bytes that the caller keeps.
 *
 *   const state = heap.alloc(SHA512_BYTES);
 *   Sha512.begin(state);
 *   Sha512.update(state, data, length);
 *   Sha512.end(state, target);
 *
 * State, at an address divisible by 8:  0  8 × u64 chaining value   64  u64 bytes so far   72  128 bytes not
 * yet compressed
 *
 * About 5,700 gas for each 128 bytes.
 */

export const SHA512_BYTES: usize = 200;

const BLOCK: u32 = 128;
const LENGTH: usize = 64;
const PENDING: usize = 72;

const schedule: usize = memory.data(640, 8);
const ownState: usize = memory.data(200, 8);

/** The first 64 bits of the fractional parts of the cube roots of the first 80 primes. */
// prettier-ignore
const constants: usize = memory.data<u64>([
  0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538,
  0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe,
  0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235,
  0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
  0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab,
  0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
  0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
  0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
  0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218,
  0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8, 0x1e376c085141ab53,
  0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373,
  0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
  0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c,
  0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
  0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc,
  0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
]);

/** Of the square roots of the first eight. */
// prettier-ignore
const initial: usize = memory.data<u64>([
  0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1, 0x510e527fade682d1,
  0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
]);

export class Sha512 {
  /** Writes the 64-byte hash of `length` bytes at `data` to `target`, which may lie in the data. */
  static hash(data: usize, length: u32, target: usize): void {
    Sha512.begin(ownState);
    Sha512.update(ownState, data, length);
    Sha512.end(ownState, target);
  }

  static begin(state: usize): void {
    memory.copy(state, initial, LENGTH);
    store<u64>(state, 0, LENGTH);
  }

  static update(state: usize, data: usize, length: u32): void {
    const before = load<u64>(state, LENGTH);
    store<u64>(state, before + length, LENGTH);
    const filled: u32 = <u32>before & (BLOCK - 1);
    if (filled) {
      const missing: u32 = BLOCK - filled;
      const part = min<u32>(missing, length);
      memory.copy(state + PENDING + filled, data, part);
      if (part < missing) return;
      compress(state, state + PENDING);
      data += part;
      length -= part;
    }
    for (; length >= BLOCK; length -= BLOCK) {
      compress(state, data);
      data += BLOCK;
    }
    if (length) memory.copy(state + PENDING, data, length);
  }

  /** Writes the hash to `target`. The state must begin again before it is used again. */
  static end(state: usize, target: usize): void {
    const length = load<u64>(state, LENGTH);
    const pending = state + PENDING;
    let filled: u32 = <u32>length & (BLOCK - 1);
    store<u8>(pending + filled++, 0x80);
    if (filled > BLOCK - 16) {
      memory.fill(pending + filled, 0, BLOCK - filled);
      compress(state, pending);
      filled = 0;
    }
    memory.fill(pending + filled, 0, BLOCK - filled);
    store<u64>(pending, bswap<u64>(length << 3), BLOCK - 8);
    compress(state, pending);
    for (let i: usize = 0; i < LENGTH; i += 8) store<u64>(target + i, bswap<u64>(load<u64>(state + i)));
  }
}

function compress(state: usize, block: usize): void {
  for (let i: usize = 0; i < 128; i += 8) store<u64>(schedule + i, bswap<u64>(load<u64>(block + i)));
  for (let i: usize = schedule + 128; i < schedule + 640; i += 8) {
    const x = load<u64>(i - 120);
    const y = load<u64>(i - 16);
    const s0 = rotr<u64>(x, 1) ^ rotr<u64>(x, 8) ^ (x >> 7);
    const s1 = rotr<u64>(y, 19) ^ rotr<u64>(y, 61) ^ (y >> 6);
    store<u64>(i, load<u64>(i - 128) + s0 + load<u64>(i - 56) + s1);
  }
  let a = load<u64>(state);
  let b = load<u64>(state, 8);
  let c = load<u64>(state, 16);
  let d = load<u64>(state, 24);
  let e = load<u64>(state, 32);
  let f = load<u64>(state, 40);
  let g = load<u64>(state, 48);
  let h = load<u64>(state, 56);
  for (let i: usize = 0; i < 640; i += 8) {
    const s1 = rotr<u64>(e, 14) ^ rotr<u64>(e, 18) ^ rotr<u64>(e, 41);
    const choice = (e & f) ^ (~e & g);
    const first = h + s1 + choice + load<u64>(constants + i) + load<u64>(schedule + i);
    const s0 = rotr<u64>(a, 28) ^ rotr<u64>(a, 34) ^ rotr<u64>(a, 39);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    h = g;
    g = f;
    f = e;
    e = d + first;
    d = c;
    c = b;
    b = a;
    a = first + s0 + majority;
  }
  store<u64>(state, load<u64>(state) + a);
  store<u64>(state, load<u64>(state, 8) + b, 8);
  store<u64>(state, load<u64>(state, 16) + c, 16);
  store<u64>(state, load<u64>(state, 24) + d, 24);
  store<u64>(state, load<u64>(state, 32) + e, 32);
  store<u64>(state, load<u64>(state, 40) + f, 40);
  store<u64>(state, load<u64>(state, 48) + g, 48);
  store<u64>(state, load<u64>(state, 56) + h, 56);
}
