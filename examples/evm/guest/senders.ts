/**
 * Recovers who signed transactions: items without state, so that a batch of them runs on all threads whatever
 * they are. The same program serves every block.
 *
 * Entries:
 *   boxes(0)         address of the inbox in the low half, of the outbox in the high half
 *   recover(length)  the item: the signed transaction in the inbox; 0, or why it is not valid (messages.ts)
 */

import { KECCAK256_BYTES, Keccak256 } from "../../../guest/crypto/keccak.ts";
import { Secp256k1 } from "../../../guest/crypto/secp256k1.ts";
import { INBOX_BYTES } from "./arena.ts";
import * as message from "./messages.ts";
import { writeListHead, writeNumber } from "./rlp.ts";
import { Transaction } from "./transaction.ts";
import * as words from "./words.ts";

const MAINNET: u64 = 1;

const transaction = new Transaction();
const state: usize = memory.data(KECCAK256_BYTES, 8);
const head: usize = memory.data(16, 8);
const tail: usize = memory.data(16, 8);
const hash: usize = memory.data(32, 8);
const r: usize = memory.data(32, 8);
const s: usize = memory.data(32, 8);
const publicKey: usize = memory.data(64, 8);
const outbox: usize = memory.data(256, 8);
let inbox: usize = 0;

export function boxes(argument: i64): i64 {
  if (!inbox) {
    inbox = (heap.alloc(INBOX_BYTES + 8) + 7) & ~7;
    Secp256k1.prepare();
  }
  return <i64>inbox | ((<i64>outbox) << 32);
}

export function recover(length: i64): i64 {
  const read = transaction.read(inbox, <u32>length);
  if (read != message.VALID) return read;
  const type = transaction.type;
  let parity = transaction.v;
  let chainId: u64 = 0;
  if (type == 0) {
    if (parity >= 35) {
      chainId = (parity - 35) >> 1;
      parity = (parity - 35) & 1;
      if (chainId != MAINNET) return message.WRONG_CHAIN;
    } else {
      parity -= 27;
    }
  }
  if (parity > 1) return message.BAD_SIGNATURE;
  hashUnsigned(chainId);
  words.reverse(r, transaction.r);
  words.reverse(s, transaction.s);
  if (!Secp256k1.recover(publicKey, hash, r, s, parity == 1)) return message.BAD_SIGNATURE;
  writeOutput(<u32>length);
  return message.VALID;
}

/** What was signed: the transaction without its signature, of type 0 with the chain's id (EIP-155). */
function hashUnsigned(chainId: u64): void {
  const from = transaction.payload;
  let tailBytes: u32 = 0;
  if (chainId) {
    const end = writeNumber(tail, chainId);
    store<u16>(end, 0x8080);
    tailBytes = <u32>(end + 2 - tail);
  }
  const length = <u32>(transaction.unsignedEnd - from);
  store<u8>(head, <u8>transaction.type);
  const start = head + (transaction.type ? 1 : 0);
  const end = writeListHead(start, length + tailBytes);
  Keccak256.begin(state);
  Keccak256.update(state, head, <u32>(end - head));
  Keccak256.update(state, from, length);
  Keccak256.update(state, tail, tailBytes);
  Keccak256.end(state, hash);
}

function writeOutput(length: u32): void {
  const output = outbox + 4;
  Keccak256.hash(publicKey, 64, output);
  words.reverse(output, output);
  store<u32>(output, 0, 20);
  store<u64>(output, 0, 24);
  Keccak256.hash(inbox, length, output + message.SENDER_HASH);
  store<u64>(output, transaction.gasLimit, message.SENDER_GAS_LIMIT);
  store<u32>(output, u32(Secp256k1.isLow(s)), message.SENDER_IS_LOW);
  store<u32>(output, transaction.type, message.SENDER_TYPE);
  store<u32>(outbox, message.SENDER_BYTES);
}
