/**
 * Wallets: 32 one-time keys below a Merkle tree, after RFC 8554 (LM-OTS, SHA-256, w = 4, height 5), made
 * from a seed. guest/signature.ts checks what they sign.
 */

import { hash } from "node:crypto";
import { UsageError } from "../../runtime/errors.ts";

export const KEYS = 32;
export const SIGNATURE_BYTES = 2356;
const CHAINS = 67;
const CHAIN_LAST = 15;
const [PUBLIC, MESSAGE, LEAF, INNER] = [0x8080, 0x8181, 0x8282, 0x8383];

export class Wallet {
  /** 20 bytes: the hash of identifier and root of the tree. */
  readonly address: Uint8Array;
  readonly #seed: Uint8Array;
  readonly #identifier: Uint8Array;
  /** Node 1 is the root, those of n are 2n and 2n + 1, key k is 32 + k. */
  readonly #tree: Uint8Array[] = [];

  /** Equal seeds make equal wallets. */
  constructor(seed: string) {
    this.#seed = sha256(Buffer.from(seed));
    this.#identifier = sha256(this.#seed).subarray(0, 16);
    for (let key = 0; key < KEYS; key++) {
      const ends = Array.from({ length: CHAINS }, (_, i) => this.#chain(key, i, CHAIN_LAST));
      const publicKey = this.#hash(key, PUBLIC, ...ends);
      this.#tree[KEYS + key] = this.#hash(KEYS + key, LEAF, publicKey);
    }
    for (let node = KEYS - 1; node > 0; node--) {
      this.#tree[node] = this.#hash(node, INNER, this.#tree[2 * node]!, this.#tree[2 * node + 1]!);
    }
    this.address = sha256(Buffer.concat([this.#identifier, this.#tree[1]!])).subarray(0, 20);
  }

  /**
   * Signs with key number `key`, which must sign nothing else.
   *
   * @throws {UsageError} BAD_KEY unless `key` is 0 to 31
   */
  sign(message: Uint8Array, key: number): Uint8Array {
    if (!Number.isInteger(key) || key < 0 || key >= KEYS) {
      const text = `a wallet has the keys 0 to ${KEYS - 1}, not ${key}; make another wallet`;
      throw new UsageError("BAD_KEY", text, { key });
    }
    const randomizer = this.#hash(key, 0xffff, this.#seed, message);
    const digits = digitsOf(this.#hash(key, MESSAGE, randomizer, message));
    const values = digits.map((digit, i) => this.#chain(key, i, digit));
    const path: Uint8Array[] = [];
    for (let node = KEYS + key; node > 1; node >>= 1) path.push(this.#tree[node ^ 1]!);
    const number = Uint8Array.of(key, 0, 0, 0);
    return Buffer.concat([this.#identifier, number, randomizer, ...values, ...path]);
  }

  /** Step `length` of chain `i`. */
  #chain(key: number, i: number, length: number): Uint8Array {
    let value = this.#hash(key, i, Uint8Array.of(0xff), this.#seed);
    for (let j = 0; j < length; j++) value = this.#hash(key, i, Uint8Array.of(j), value);
    return value;
  }

  #hash(number: number, kind: number, ...parts: Uint8Array[]): Uint8Array {
    const name = Buffer.alloc(6);
    name.writeUInt32BE(number, 0);
    name.writeUInt16BE(kind, 4);
    return sha256(Buffer.concat([this.#identifier, name, ...parts]));
  }
}

/** 64 digits of 4 bits, and three of their checksum. */
function digitsOf(digest: Uint8Array): number[] {
  const digits = [...digest].flatMap((byte) => [byte >> 4, byte & 15]);
  const sum = digits.reduce((total, digit) => total + CHAIN_LAST - digit, 0);
  return [...digits, sum >> 8, (sum >> 4) & 15, sum & 15];
}

function sha256(bytes: Uint8Array): Uint8Array {
  return hash("sha256", bytes, "buffer");
}
