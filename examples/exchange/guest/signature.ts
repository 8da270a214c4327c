/**
 * Hash-based signatures after RFC 8554: LM-OTS with SHA-256 and Winternitz parameter 4, 32 one-time keys
 * below a Merkle tree. SHA-256 is all they need, and no quantum computer is known to break them. A key must
 * sign one message only.
 *
 *   0  [16] identifier of the tree    16  u32 number of the key, little-endian    20  [32] randomizer
 *  52  [67][32] ends of the chains    2196  [5][32] path in the tree, from the leaf upwards
 */

import { Sha256, SHA256_BYTES } from "../../../guest/index.ts";

export const KEYS: u32 = 32;
export const SIGNATURE_KEY: usize = 16;

const RANDOMIZER: usize = 20;
const ENDS: usize = 52;
const PATH: usize = 2196;
const HEIGHT: u32 = 5;
const CHAINS: u32 = 67;
const CHAIN_LAST: u32 = 15;
const PUBLIC: u16 = 0x8080;
const MESSAGE: u16 = 0x8181;
const LEAF: u16 = 0x8282;
const INNER: u16 = 0x8383;

/**
 * What is hashed: identifier, a number (u32), a kind or a chain's number (u16), then what it is about. All
 * numbers in hashes are big-endian.
 */
const block: usize = memory.data(96, 8);
const digest: usize = memory.data(40, 8);
const state: usize = memory.data(SHA256_BYTES, 8);

/**
 * Writes the 20-byte address of the signer of the `length` bytes at `message`; the zero address, if it was
 * not signed. The signature's key is below KEYS.
 */
export function recoverSigner(message: usize, length: u32, signature: usize, target: usize): void {
  const key = load<u32>(signature, SIGNATURE_KEY);
  memory.copy(block, signature, 16);
  hashMessage(key, message, length, signature + RANDOMIZER);
  endChains(key, signature + ENDS);
  climb(key, signature + PATH);
  memory.copy(block + 16, digest, 32);
  Sha256.hash(block, 48, digest);
  memory.copy(target, digest, 20);
}

/** Writes to `digest` what the chains sign: the message's hash and a checksum over its digits. */
function hashMessage(key: u32, message: usize, length: u32, randomizer: usize): void {
  Sha256.begin(state);
  Sha256.update(state, name(key, MESSAGE), 22);
  Sha256.update(state, randomizer, 32);
  Sha256.update(state, message, length);
  Sha256.end(state, digest);
  let sum: u32 = 0;
  for (let i: u32 = 0; i < 64; i++) sum += CHAIN_LAST - digit(i);
  store<u16>(digest, bswap<u16>(<u16>(sum << 4)), 32);
}

/** Goes each chain to its end, and writes to `digest` the hash of all ends: the public key. */
function endChains(key: u32, values: usize): void {
  Sha256.begin(state);
  Sha256.update(state, name(key, PUBLIC), 22);
  for (let i: u32 = 0; i < CHAINS; i++) {
    name(key, <u16>i);
    memory.copy(block + 23, values + i * 32, 32);
    for (let j = digit(i); j < CHAIN_LAST; j++) {
      store<u8>(block, <u8>j, 22);
      Sha256.hash(block, 55, block + 23);
    }
    Sha256.update(state, block + 23, 32);
  }
  Sha256.end(state, digest);
}

/** From the public key in `digest` to the root of the tree, which stands there in the end. */
function climb(key: u32, path: usize): void {
  let node = KEYS + key;
  name(node, LEAF);
  memory.copy(block + 22, digest, 32);
  Sha256.hash(block, 54, digest);
  for (let level: u32 = 0; level < HEIGHT; level++) {
    const right = node & 1;
    node >>= 1;
    name(node, INNER);
    memory.copy(block + 22 + (right ? 32 : 0), digest, 32);
    memory.copy(block + 22 + (right ? 0 : 32), path + level * 32, 32);
    Sha256.hash(block, 86, digest);
  }
}

/** Begins `block` behind the identifier. */
function name(number: u32, kind: u16): usize {
  store<u32>(block, bswap<u32>(number), 16);
  store<u16>(block, bswap<u16>(kind), 20);
  return block;
}

/** The `i`-th digit of 4 bits in `digest`. */
function digit(i: u32): u32 {
  return (load<u8>(digest + (i >> 1)) >> (i & 1 ? 0 : 4)) & 15;
}
