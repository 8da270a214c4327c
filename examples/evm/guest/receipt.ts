/** What a transaction puts out for the root: its part of a receipt (messages.ts). */

import { Keccak256 } from "../../../guest/crypto/keccak.ts";
import { OUTBOX_BYTES, logsArena, outbox } from "./arena.ts";
import { createdAddress, endedWell, gasUsed } from "./execute.ts";
import { setBit } from "./frame.ts";
import * as message from "./messages.ts";
import { LOG_HEAD, logsEnd } from "./operations.ts";
import { headBytes, stringBytes, writeAddress, writeListHead, writeString } from "./rlp.ts";
import * as words from "./words.ts";

const hash: usize = memory.data(32, 8);
const ADDRESS_BYTES: u32 = 21;
const TOPIC_BYTES: u32 = 33;

/** Writes it into the outbox, with its length in front. */
export function writeReceipt(type: u32): void {
  const receipt = outbox + 4;
  memory.fill(receipt, 0, message.RECEIPT_BYTES);
  store<u32>(receipt, u32(endedWell));
  store<u32>(receipt, type, message.RECEIPT_TYPE);
  store<u64>(receipt, gasUsed, message.RECEIPT_GAS_USED);
  words.copyWord(receipt + message.RECEIPT_CREATED, createdAddress);
  const end = writeLogs(receipt);
  store<u32>(outbox, <u32>(end - receipt));
}

function writeLogs(receipt: usize): usize {
  const last = <usize>load<u64>(logsEnd);
  let count: u32 = 0;
  let payload: u32 = 0;
  for (let log = logsArena; log < last; log = next(log)) {
    const bytes = fields(log);
    payload += headBytes(bytes) + bytes;
    count++;
  }
  const list = receipt + message.RECEIPT_BYTES;
  if (list + payload + 8 > outbox + OUTBOX_BYTES) throw new Error("evm: the transaction logs more than fits");
  let at = writeListHead(list, payload);
  for (let log = logsArena; log < last; log = next(log)) {
    at = writeLog(at, log);
    addToBloom(receipt + message.RECEIPT_BLOOM, log);
  }
  store<u32>(receipt, count, message.RECEIPT_LOGS);
  store<u32>(receipt, <u32>(at - list), message.RECEIPT_LOGS_BYTES);
  return at;
}

function topicsOf(log: usize): u32 {
  return load<u32>(log, 4);
}

function dataOf(log: usize): usize {
  return log + LOG_HEAD + topicsOf(log) * 32;
}

function next(log: usize): usize {
  return (dataOf(log) + load<u32>(log) + 7) & ~7;
}

/** Bytes of address, topics and data in RLP. */
function fields(log: usize): u32 {
  const topics = topicsOf(log) * TOPIC_BYTES;
  return ADDRESS_BYTES + headBytes(topics) + topics + stringBytes(dataOf(log), load<u32>(log));
}

function writeLog(at: usize, log: usize): usize {
  at = writeListHead(at, fields(log));
  at = writeAddress(at, log + 8);
  at = writeListHead(at, topicsOf(log) * TOPIC_BYTES);
  for (let i: u32 = 0; i < topicsOf(log); i++) at = writeString(at, log + LOG_HEAD + i * 32, 32);
  return writeString(at, dataOf(log), load<u32>(log));
}

function addToBloom(bloom: usize, log: usize): void {
  words.reverse(hash, log + 8);
  addHash(bloom, hash + 12, 20);
  for (let i: u32 = 0; i < topicsOf(log); i++) addHash(bloom, log + LOG_HEAD + i * 32, 32);
}

/** Three bits of the hash (yellow paper, section 4.3.1). */
function addHash(bloom: usize, bytes: usize, length: u32): void {
  Keccak256.hash(bytes, length, hash);
  for (let i: usize = 0; i < 6; i += 2) {
    const bit = <u32>bswap<u16>(load<u16>(hash + i)) & 2047;
    setBit(bloom + 255 - (bit >> 3), bit & 7);
  }
}
