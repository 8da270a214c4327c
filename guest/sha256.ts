/**
 * SHA-256 (FIPS 180-4) on linear memory. One shot: `Sha256.hash(data, length, target)`. In parts: a state of
 * SHA256_BYTES bytes that the caller keeps, so any number of hashes can be under way, across activations too.
 *
 *   const state = heap.alloc(SHA256_BYTES);
 *   Sha256.begin(state);
 *   Sha256.update(state, data, length);
 *   Sha256.end(state, target);
 *
 * State, at an address divisible by 8:  0  8 × u32 chaining value   32  u64 bytes so far   40  64 bytes not
 * yet compressed
 */

export const SHA256_BYTES: usize = 104;

const LENGTH: usize = 32;
const PENDING: usize = 40;

const schedule: usize = memory.data(256, 8);
const ownState: usize = memory.data(104, 8);

// prettier-ignore
const constants: usize = memory.data<u32>([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
  0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
  0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
  0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
  0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
  0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
  0xc67178f2,
]);

export class Sha256 {
  /** Writes the 32-byte hash of `length` bytes at `data` to `target`, which may lie in the data. */
  static hash(data: usize, length: u32, target: usize): void {
    Sha256.begin(ownState);
    Sha256.update(ownState, data, length);
    Sha256.end(ownState, target);
  }

  static begin(state: usize): void {
    store<u32>(state, 0x6a09e667);
    store<u32>(state, 0xbb67ae85, 4);
    store<u32>(state, 0x3c6ef372, 8);
    store<u32>(state, 0xa54ff53a, 12);
    store<u32>(state, 0x510e527f, 16);
    store<u32>(state, 0x9b05688c, 20);
    store<u32>(state, 0x1f83d9ab, 24);
    store<u32>(state, 0x5be0cd19, 28);
    store<u64>(state, 0, LENGTH);
  }

  static update(state: usize, data: usize, length: u32): void {
    const before = load<u64>(state, LENGTH);
    store<u64>(state, before + length, LENGTH);
    const filled: u32 = <u32>before & 63;
    if (filled) {
      const missing: u32 = 64 - filled;
      const part = min<u32>(missing, length);
      memory.copy(state + PENDING + filled, data, part);
      if (part < missing) return;
      compress(state, state + PENDING);
      data += part;
      length -= part;
    }
    for (; length >= 64; length -= 64) {
      compress(state, data);
      data += 64;
    }
    if (length) memory.copy(state + PENDING, data, length);
  }

  /** Writes the hash to `target`. The state must begin again before it is used again. */
  static end(state: usize, target: usize): void {
    const length = load<u64>(state, LENGTH);
    const pending = state + PENDING;
    let filled: u32 = <u32>length & 63;
    store<u8>(pending + filled, 0x80);
    filled++;
    if (filled > 56) {
      memory.fill(pending + filled, 0, 64 - filled);
      compress(state, pending);
      filled = 0;
    }
    memory.fill(pending + filled, 0, 56 - filled);
    store<u64>(pending, bswap<u64>(length << 3), 56);
    compress(state, pending);
    for (let i: usize = 0; i < 32; i += 4) store<u32>(target + i, bswap<u32>(load<u32>(state + i)));
  }
}

function compress(state: usize, data: usize): void {
  for (let i: usize = 0; i < 64; i += 4) store<u32>(schedule + i, bswap<u32>(load<u32>(data + i)));
  for (let at = schedule; at < schedule + 192; at += 4) {
    const x = load<u32>(at, 4);
    const y = load<u32>(at, 56);
    const small = rotr<u32>(x, 7) ^ rotr<u32>(x, 18) ^ (x >> 3);
    const large = rotr<u32>(y, 17) ^ rotr<u32>(y, 19) ^ (y >> 10);
    store<u32>(at, load<u32>(at) + small + load<u32>(at, 36) + large, 64);
  }
  let a = load<u32>(state);
  let b = load<u32>(state, 4);
  let c = load<u32>(state, 8);
  let d = load<u32>(state, 12);
  let e = load<u32>(state, 16);
  let f = load<u32>(state, 20);
  let g = load<u32>(state, 24);
  let h = load<u32>(state, 28);
  for (let i: usize = 0; i < 256; i += 4) {
    const choose = g ^ (e & (f ^ g));
    const majority = (a & b) | (c & (a | b));
    const first =
      h +
      (rotr<u32>(e, 6) ^ rotr<u32>(e, 11) ^ rotr<u32>(e, 25)) +
      choose +
      load<u32>(constants + i) +
      load<u32>(schedule + i);
    const second = (rotr<u32>(a, 2) ^ rotr<u32>(a, 13) ^ rotr<u32>(a, 22)) + majority;
    h = g;
    g = f;
    f = e;
    e = d + first;
    d = c;
    c = b;
    b = a;
    a = first + second;
  }
  store<u32>(state, load<u32>(state) + a);
  store<u32>(state, load<u32>(state, 4) + b, 4);
  store<u32>(state, load<u32>(state, 8) + c, 8);
  store<u32>(state, load<u32>(state, 12) + d, 12);
  store<u32>(state, load<u32>(state, 16) + e, 16);
  store<u32>(state, load<u32>(state, 20) + f, 20);
  store<u32>(state, load<u32>(state, 24) + g, 24);
  store<u32>(state, load<u32>(state, 28) + h, 28);
}
