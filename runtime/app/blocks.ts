/**
 * The two sides of a block as the ready-made root sees it: its message, and what its data says. See
 * guest/messages.ts.
 */

import { ITEM_NOT_RUN, ITEM_REFUSED, ITEM_RETURNED } from "../../syscalls/abi.ts";
import { badArgument } from "../arguments.ts";
import { type BlockFault, decodeRulesChange, programHash, type RulesChange } from "../index.ts";
import { FAULT_NAMES } from "../kernel/faults.ts";
import { readState } from "../program/decode/state.ts";
import { hexOf } from "../text.ts";
import type { Ending, Refusal } from "../typed/client.ts";
import * as message from "./guest/messages.ts";

/** What a transaction gives to a block. */
export interface Entry {
  /** An input of the program, or what the authenticator makes one of. */
  readonly bytes: Uint8Array;
  /** Gas that it may use; 0 where its bytes say that. */
  readonly gas: number;
}

/** What became of it, and the selector of what it called; null: it was not run, for want of gas. */
export type Result = (Ending & { readonly selector: number; readonly gasWanted: number }) | null;

/** What the first block makes. */
export interface Genesis {
  readonly program: Uint8Array;
  /** Pages of 4 KiB that its process gets in addition to what it needs, as far as there are any. */
  readonly room: number;
  /** Null: callers are trusted. */
  readonly authenticator: Uint8Array | null;
  readonly chain: Uint8Array;
  /** How many senders there can be. */
  readonly sendersMax: number;
  /** What is run before all transactions. */
  readonly setups: readonly Entry[];
}

const REFUSALS: Readonly<Record<number, Refusal>> = {
  [message.REASON_INPUT]: "input",
  [message.REASON_SIGNATURE]: "bad signature",
  [message.REASON_CHAIN]: "other chain",
  [message.REASON_OTHER]: "not authenticated",
  [message.REASON_EXPIRED]: "expired",
  [message.REASON_USED]: "used",
  [message.REASON_SENDERS]: "too many senders",
};

export function genesisMessage(genesis: Genesis): Uint8Array {
  const { program, room, authenticator, chain, sendersMax, setups } = genesis;
  const bytes = Buffer.alloc(message.GENESIS_BYTES);
  bytes.writeUInt32LE(message.MESSAGE_GENESIS, 0);
  const { stateBytes, memoryPages } = readState(program);
  bytes.writeUInt32LE(stateBytes, message.GENESIS_STATE);
  bytes.writeUInt32LE(memoryPages, message.GENESIS_PAGES);
  bytes.writeUInt32LE(room, message.GENESIS_ROOM);
  bytes.set(programHash(program), message.GENESIS_PROGRAM);
  bytes.set(chain, message.GENESIS_CHAIN);
  if (authenticator !== null) {
    const needs = readState(authenticator);
    bytes.writeUInt32LE(needs.stateBytes, message.GENESIS_AUTHENTICATOR_STATE);
    bytes.writeUInt32LE(needs.memoryPages, message.GENESIS_AUTHENTICATOR_PAGES);
    bytes.writeUInt32LE(sendersMax, message.GENESIS_SENDERS);
    bytes.set(programHash(authenticator), message.GENESIS_AUTHENTICATOR);
  }
  bytes.writeUInt32LE(setups.length, message.GENESIS_COUNT);
  return withEntries(bytes, setups);
}

/** Bytes that a transaction takes in the message of a block. */
export function entryBytes({ bytes }: Entry): number {
  return message.ITEM_BYTES + padded(bytes.length);
}

export function blockMessage(entries: readonly Entry[], time: number): Uint8Array {
  const bytes = Buffer.alloc(message.BLOCK_BYTES);
  bytes.writeUInt32LE(message.MESSAGE_BLOCK, 0);
  bytes.writeUInt32LE(entries.length, message.BLOCK_COUNT);
  bytes.writeBigUInt64LE(BigInt(time), message.BLOCK_TIME);
  return withEntries(bytes, entries);
}

/** Makes a block of these transactions: of the first half, if it fails for all, and so on. */
export async function makeBlock<B>(
  entries: readonly Entry[],
  time: number,
  run: (message: Uint8Array) => Promise<B>,
): Promise<[block: B, message: Uint8Array]> {
  for (let chosen = entries; ; chosen = chosen.slice(0, Math.ceil(chosen.length / 2))) {
    const message = blockMessage(chosen, time);
    try {
      return [await run(message), message];
    } catch (error) {
      if (chosen.length <= 1 || (error as BlockFault).code !== "BLOCK_FAULT") throw error;
    }
  }
}

/** A message that begins with `head`. */
export function withEntries(head: Uint8Array, entries: readonly Entry[]): Uint8Array {
  const bytes = Buffer.alloc(entries.reduce((sum, entry) => sum + entryBytes(entry), head.length));
  bytes.set(head);
  let at = head.length;
  for (const entry of entries) {
    bytes.writeBigUInt64LE(BigInt(entry.gas), at + message.ITEM_GAS);
    bytes.writeUInt32LE(entry.bytes.length, at + message.ITEM_LENGTH);
    bytes.set(entry.bytes, at + message.ITEM_BYTES);
    at += entryBytes(entry);
  }
  return bytes;
}

/** What the runtime makes a block of. */
export interface Input {
  readonly metadata: Uint8Array;
  readonly rules?: RulesChange;
}

/**
 * What the runtime makes a block of, from its message: that itself, or, of an upgrade, two parts of it
 * (upgrade.ts). A copy.
 *
 * @throws UsageError BAD_ARGUMENT if it is not the message of a block
 */
export function blockInput(bytes: Uint8Array): Input {
  if (readKind(bytes) !== message.MESSAGE_UPGRADE || bytes.length < message.UPGRADE_BYTES) {
    readMessage(bytes);
    return { metadata: bytes.slice() };
  }
  const rules = decodeRulesChange(bytes.slice(message.UPGRADE_BYTES));
  return { metadata: bytes.slice(0, message.UPGRADE_BYTES), rules };
}

function readKind(bytes: Uint8Array): number {
  return bytes.length < 4 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

/** What the message of a block with transactions says; null of another. */
export function readBlock(bytes: Uint8Array): { readonly time: bigint; readonly entries: Entry[] } | null {
  if (readKind(bytes) !== message.MESSAGE_BLOCK) return null;
  const entries = readMessage(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return { time: view.getBigUint64(message.BLOCK_TIME, true), entries };
}

/**
 * The transactions of a block, from its message.
 *
 * @throws UsageError BAD_ARGUMENT if it is not the message of a block
 */
export function readMessage(metadata: Uint8Array): Entry[] {
  if (readKind(metadata) === message.MESSAGE_UPGRADE) return [];
  const bytes = Buffer.from(metadata.buffer, metadata.byteOffset, metadata.length);
  const refused = badArgument("metadata", metadata, "the message of a block that an App has made");
  if (bytes.length < message.BLOCK_BYTES || bytes.readUInt32LE(0) !== message.MESSAGE_BLOCK) throw refused;
  let at = message.BLOCK_BYTES;
  const entries: Entry[] = [];
  for (let left = bytes.readUInt32LE(message.BLOCK_COUNT); left > 0; left--) {
    if (at + message.ITEM_BYTES > bytes.length) throw refused;
    const gas = Number(bytes.readBigUInt64LE(at + message.ITEM_GAS));
    const length = bytes.readUInt32LE(at + message.ITEM_LENGTH);
    at += message.ITEM_BYTES;
    if (at + length > bytes.length) throw refused;
    entries.push({ bytes: new Uint8Array(bytes.subarray(at, at + length)), gas });
    at += padded(length);
  }
  return entries;
}

/** First bytes of the name of the program that a block ran, in hex, from its data; null in block 0. */
export function programIn(data: Uint8Array): string | null {
  if (data.length < message.RESULTS_BYTES) return null;
  return hexOf(data.subarray(message.RESULTS_PROGRAM, message.RESULTS_BYTES));
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
    const code = bytes.readBigInt64LE(at + message.RESULT_CODE);
    output += length;
    if (status === ITEM_NOT_RUN) return null;
    return {
      fault: status === ITEM_RETURNED ? "none" : faultName(bytes.readUInt32LE(at + message.RESULT_FAULT)),
      code,
      gasUsed: Number(bytes.readBigUInt64LE(at + message.RESULT_GAS_USED)),
      output: new Uint8Array(bytes.subarray(output - length, output)),
      selector: bytes.readUInt32LE(at + message.RESULT_SELECTOR),
      gasWanted: Number(bytes.readBigUInt64LE(at + message.RESULT_GAS_WANTED)),
      ...(status === ITEM_REFUSED ? { refusal: "refused" } : {}),
      ...(status === message.STATUS_NOT_ADMITTED ? { refusal: refusalOf(Number(code)) } : {}),
    };
  });
}

/** What an authenticator's reason is called. */
export function refusalOf(reason: number): Refusal {
  return REFUSALS[reason] ?? "not authenticated";
}

/** Result of a call, without its events, as the program encodes it. */
export function resultIn({ output }: { readonly output: Uint8Array }): Uint8Array {
  return output.subarray(4 + new DataView(output.buffer, output.byteOffset).getUint32(0, true));
}

function faultName(fault: number): string {
  return FAULT_NAMES[fault] as string;
}

function padded(length: number): number {
  return Math.ceil(length / 8) * 8;
}
