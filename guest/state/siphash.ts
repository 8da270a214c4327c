/**
 * SipHash-1-3 (Aumasson, Bernstein: SipHash, a fast short-input PRF) of a key: an integer, or the bytes of a
 * value. Those who choose keys cannot choose where they fall without searching, and not at all if they choose
 * before the seed is known.
 */

import { bytesOf } from "./layout";

export function sipHash<K>(key: K, seed0: u64, seed1: u64): u64 {
  const length = bytesOf<K>();
  let v0 = seed0 ^ 0x736f6d6570736575;
  let v1 = seed1 ^ 0x646f72616e646f6d;
  let v2 = seed0 ^ 0x6c7967656e657261;
  let v3 = seed1 ^ 0x7465646279746573;
  const words = length >> 3;
  // Whole words, the last word with the length, and three rounds at the end.
  for (let i: u32 = 0; i < words + 4; i++) {
    let word: u64 = 0;
    if (i < words) word = wordOf<K>(key, i);
    else if (i == words) word = lastWordOf<K>(key, length);
    if (i == words + 1) v2 ^= 0xff;
    v3 ^= word;
    v0 += v1;
    v2 += v3;
    v1 = rotl<u64>(v1, 13) ^ v0;
    v3 = rotl<u64>(v3, 16) ^ v2;
    v0 = rotl<u64>(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = rotl<u64>(v1, 17) ^ v2;
    v3 = rotl<u64>(v3, 21) ^ v0;
    v2 = rotl<u64>(v2, 32);
    v0 ^= word;
  }
  return v0 ^ v1 ^ v2 ^ v3;
}

function wordOf<K>(key: K, index: u32): u64 {
  if (isReference<K>()) return load<u64>(changetype<usize>(key) + (index << 3));
  return <u64>key;
}

/** What is left of the bytes, and their number in the highest byte. */
function lastWordOf<K>(key: K, length: u32): u64 {
  let word = (<u64>(length & 0xff)) << 56;
  if (isReference<K>()) {
    const rest = changetype<usize>(key) + (length & ~7);
    for (let i: u32 = 0; i < (length & 7); i++) word |= (<u64>load<u8>(rest + i)) << (i << 3);
  } else if (sizeof<K>() < 8) {
    word |= <u64>key & (((<u64>1) << (length << 3)) - 1);
  }
  return word;
}
