/**
 * The ready-made authenticator: lets in what its sender has signed for this chain. Its items only read, so
 * those of a block run side by side. The chain stands in the first 32 bytes of state.
 *
 *   transaction: u8 scheme · public key · [64] signature · body
 *   body: [32] chain · u64 nonce · u64 gas · u64 last height · u32 selector · arguments
 *   signed: TAG · body
 *   SCHEME_SECP256K1: key x · y, signature r · s, 32 bytes each, the most significant first; s at most half
 *     the order; over the SHA-256 of what is signed. The sender is the last 20 bytes of the key's Keccak-256
 *   SCHEME_ED25519: key and signature as RFC 8032 has them. The sender is the last 20 bytes of the key's
 *     SHA-256
 */

import { Ed25519, Keccak256, Secp256k1 } from "../../../guest/crypto/index.ts";
import { Item, Sha256 } from "../../../guest/index.ts";
import * as message from "./messages.ts";
import * as scheme from "./schemes.ts";

export const STATE_BYTES: u32 = 65536;
const CHAIN: usize = 0;
const CHAIN_BYTES: u32 = 32;

const digest: usize = memory.data(32, 8);
/** TAG, and room for a body behind it. */
const signed: usize = memory.data(33024, 8);
const tag = String.UTF8.encode(scheme.TAG);

/** Item: a transaction. Output: see messages.ts. */
export function authenticate(length: i64): i64 {
  const kind = length > 0 ? <i32>load<u8>(Item.input) : 0;
  if (kind != scheme.SECP256K1 && kind != scheme.ED25519) return message.REASON_INPUT;
  const keyBytes: u32 = kind == scheme.SECP256K1 ? 64 : 32;
  const head = 1 + keyBytes + 64;
  if (length < head + scheme.BODY_BYTES) return message.REASON_INPUT;
  const key = Item.input + 1;
  const body = Item.input + head;
  const bodyBytes = <u32>length - head;
  if (memory.compare(body, CHAIN, CHAIN_BYTES) != 0) return message.REASON_CHAIN;
  memory.copy(signed, changetype<usize>(tag), tag.byteLength);
  memory.copy(signed + tag.byteLength, body, bodyBytes);
  const isGood = verify(kind, key, key + keyBytes, signed, tag.byteLength + bodyBytes);
  if (!isGood) return message.REASON_SIGNATURE;
  if (kind == scheme.SECP256K1) Keccak256.hash(key, keyBytes, digest);
  else Sha256.hash(key, keyBytes, digest);
  putAdmission(body, bodyBytes, digest + 12);
  return message.ADMITTED;
}

function verify(kind: i32, key: usize, signature: usize, bytes: usize, length: u32): bool {
  if (kind == scheme.ED25519) return Ed25519.verify(signature, bytes, length, key);
  if (!Secp256k1.isLow(signature + 32)) return false;
  Sha256.hash(bytes, length, digest);
  return Secp256k1.verify(digest, signature, signature + 32, key);
}

function putAdmission(body: usize, bodyBytes: u32, sender: usize): void {
  const call = body + CHAIN_BYTES + message.ADMISSION_BYTES;
  const callBytes = bodyBytes - CHAIN_BYTES - message.ADMISSION_BYTES;
  const output = Item.output;
  memory.copy(output, body + CHAIN_BYTES, message.ADMISSION_BYTES);
  store<u32>(output + message.ADMISSION_BYTES, load<u32>(call));
  memory.copy(output + message.ADMISSION_BYTES + message.INPUT_SENDER, sender, 20);
  memory.copy(output + message.ADMISSION_BYTES + message.INPUT_BYTES, call + 4, callBytes - 4);
  Item.finish(message.ADMISSION_BYTES + message.INPUT_BYTES + callBytes - 4);
}
