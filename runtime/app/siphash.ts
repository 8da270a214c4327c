/** SipHash-1-3 of bytes, as guest/state/siphash.ts: where a key of a StateMap is looked for first. */

const MASK = 2n ** 64n - 1n;

export function sipHash(bytes: Uint8Array, seed0: bigint, seed1: bigint): bigint {
  let v0 = seed0 ^ 0x736f6d6570736575n;
  let v1 = seed1 ^ 0x646f72616e646f6dn;
  let v2 = seed0 ^ 0x6c7967656e657261n;
  let v3 = seed1 ^ 0x7465646279746573n;
  const words = Math.floor(bytes.length / 8);
  const padded = Buffer.alloc((words + 1) * 8);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length & 255;
  for (let i = 0; i < words + 4; i++) {
    const word = i <= words ? padded.readBigUInt64LE(i * 8) : 0n;
    if (i === words + 1) v2 ^= 0xffn;
    v3 ^= word;
    v0 = (v0 + v1) & MASK;
    v2 = (v2 + v3) & MASK;
    v1 = rotate(v1, 13n) ^ v0;
    v3 = rotate(v3, 16n) ^ v2;
    v0 = rotate(v0, 32n);
    v2 = (v2 + v1) & MASK;
    v0 = (v0 + v3) & MASK;
    v1 = rotate(v1, 17n) ^ v2;
    v3 = rotate(v3, 21n) ^ v0;
    v2 = rotate(v2, 32n);
    v0 ^= word;
  }
  return v0 ^ v1 ^ v2 ^ v3;
}

function rotate(x: bigint, by: bigint): bigint {
  return ((x << by) | (x >> (64n - by))) & MASK;
}
