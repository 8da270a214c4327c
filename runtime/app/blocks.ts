/**
 * The two sides of a block as the ready-made root sees it: its message, and what its data says. See
 * guest/messages.ts.
 */

import { ITEM_NOT_RUN, ITEM_REFUSED, ITEM_RETURNED } from "../../syscalls/abi.ts";
import { FAULT_NAMES } from "../kernel/faults.ts";
import type { Ending } from "../typed/client.ts";
import * as message from "./guest/messages.ts";

/** What a transaction gives to a block. */
export interface Entry {
  readonly input: Uint8Array;
  readonly gas: number;
}

/** What became of it; null: it was not run, for want of gas. */
export type Result = Ending | null;

export function genesisMessage(program: Uint8Array, stateBytes: number, pages: number): Uint8Array {
  const bytes = Buffer.alloc(message.GENESIS_BYTES);
  bytes.writeUInt32LE(message.MESSAGE_GENESIS, 0);
  bytes.writeUInt32LE(stateBytes, message.GENESIS_STATE);
  bytes.writeUInt32LE(pages, message.GENESIS_PAGES);
  bytes.set(program, message.GENESIS_PROGRAM);
  return bytes;
}

/** Bytes that a transaction takes in the message of a block. */
export function entryBytes({ input }: Entry): number {
  return message.ITEM_BYTES + padded(input.length);
}

export function blockMessage(entries: readonly Entry[], time: number): Uint8Array {
  const length = entries.reduce((sum, entry) => sum + entryBytes(entry), message.BLOCK_BYTES);
  const bytes = Buffer.alloc(length);
  bytes.writeUInt32LE(message.MESSAGE_BLOCK, 0);
  bytes.writeUInt32LE(entries.length, message.BLOCK_COUNT);
  bytes.writeBigUInt64LE(BigInt(time), message.BLOCK_TIME);
  let at = message.BLOCK_BYTES;
  for (const entry of entries) {
    bytes.writeBigUInt64LE(BigInt(entry.gas), at + message.ITEM_GAS);
    bytes.writeUInt32LE(entry.input.length, at + message.ITEM_LENGTH);
    bytes.set(entry.input, at + message.ITEM_BYTES);
    at += entryBytes(entry);
  }
  return bytes;
}

/** The transactions of a block, from its message; none of one that made the app. */
export function readMessage(metadata: Uint8Array): Entry[] {
  const bytes = Buffer.from(metadata.buffer, metadata.byteOffset, metadata.length);
  if (bytes.length < message.BLOCK_BYTES || bytes.readUInt32LE(0) !== message.MESSAGE_BLOCK) return [];
  let at = message.BLOCK_BYTES;
  return Array.from({ length: bytes.readUInt32LE(message.BLOCK_COUNT) }, () => {
    const gas = Number(bytes.readBigUInt64LE(at + message.ITEM_GAS));
    const start = at + message.ITEM_BYTES;
    const input = new Uint8Array(bytes.subarray(start, start + bytes.readUInt32LE(at + message.ITEM_LENGTH)));
    at += entryBytes({ input, gas });
    return { input, gas };
  });
}

/** What the data of a block says of its transactions. */
export function readResults(data: Uint8Array): Result[] {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  const count = bytes.length < message.RESULTS_BYTES ? 0 : bytes.readUInt32LE(0);
  let output = message.RESULTS_BYTES + count * message.RESULT_BYTES;
  return Array.from({ length: count }, (_, i) => {
    const at = message.RESULTS_BYTES + i * message.RESULT_BYTES;
    const status = bytes.readUInt32LE(at + message.RESULT_STATUS);
    const length = bytes.readUInt32LE(at + message.RESULT_LENGTH);
    output += length;
    if (status === ITEM_NOT_RUN) return null;
    return {
      fault:
        status === ITEM_REFUSED ? "refused" : faultOf(status, bytes.readUInt32LE(at + message.RESULT_FAULT)),
      code: bytes.readBigInt64LE(at + message.RESULT_CODE),
      gasUsed: Number(bytes.readBigUInt64LE(at + message.RESULT_GAS_USED)),
      output: new Uint8Array(bytes.subarray(output - length, output)),
    };
  });
}

function faultOf(status: number, fault: number): string {
  return status === ITEM_RETURNED ? "none" : (FAULT_NAMES[fault] as string);
}

function padded(length: number): number {
  return Math.ceil(length / 8) * 8;
}
