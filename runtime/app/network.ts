/**
 * Blocks of an app whose order a network decides: heights are the network's, and what else it says of a block
 * is named by a hash. The message is drawn in guest/messages.ts.
 */

import { programHash } from "../index.ts";
import { readState } from "../program/decode/state.ts";
import type { Entry } from "./blocks.ts";
import { withEntries } from "./blocks.ts";
import * as message from "./guest/messages.ts";

/** A block that a network has decided, or may. */
export interface NetworkBlock {
  readonly height: bigint;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Whether it is the one before the network's first. */
  readonly isFirst: boolean;
  /** Input of a call that nobody has signed, and its gas; null: there is none. It comes first. */
  readonly call: Entry | null;
  readonly transactions: readonly Uint8Array[];
  /** The program that the app gets; null: it keeps the one that it has. */
  readonly program: Uint8Array | null;
  /** Hash of all else that the network says of the block. */
  readonly hash: Uint8Array;
}

/** What a message says of its block, without the transactions. */
export interface NetworkHead {
  readonly height: bigint;
  readonly time: number;
  readonly isFirst: boolean;
  readonly hasCall: boolean;
}

/** The metadata of a block. */
export function networkMessage(block: NetworkBlock): Uint8Array {
  const { height, time, isFirst, call, transactions, program, hash } = block;
  const entries = transactions.map((bytes): Entry => ({ bytes, gas: 0 }));
  if (call !== null) entries.unshift(call);
  const head = Buffer.alloc(message.NETWORK_BYTES);
  head.writeUInt32LE(message.MESSAGE_NETWORK, 0);
  head.writeUInt32LE(entries.length, message.NETWORK_COUNT);
  head.writeBigUInt64LE(BigInt(time), message.NETWORK_TIME);
  head.writeBigUInt64LE(height, message.NETWORK_HEIGHT);
  const flags = (call === null ? 0 : message.NETWORK_CALL) | (isFirst ? message.NETWORK_FIRST : 0);
  head.writeUInt32LE(flags, message.NETWORK_FLAGS);
  if (program !== null) {
    head.writeUInt32LE(readState(program).stateBytes, message.NETWORK_STATE);
    head.set(programHash(program), message.NETWORK_PROGRAM);
  }
  head.set(hash, message.NETWORK_HASH);
  return withEntries(head, entries);
}

/** What the metadata of a network's block says; null if it is of another kind. */
export function readNetworkHead(metadata: Uint8Array): NetworkHead | null {
  if (metadata.length < message.NETWORK_BYTES) return null;
  const bytes = Buffer.from(metadata.buffer, metadata.byteOffset, metadata.length);
  if (bytes.readUInt32LE(0) !== message.MESSAGE_NETWORK) return null;
  const flags = bytes.readUInt32LE(message.NETWORK_FLAGS);
  return {
    height: bytes.readBigUInt64LE(message.NETWORK_HEIGHT),
    time: Number(bytes.readBigUInt64LE(message.NETWORK_TIME)),
    isFirst: (flags & message.NETWORK_FIRST) !== 0,
    hasCall: (flags & message.NETWORK_CALL) !== 0,
  };
}
