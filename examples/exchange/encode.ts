/**
 * The messages between host and root, little-endian; guest/messages.ts names the same places.
 *
 *   head, 16 bytes                  transaction, 2,424 bytes          result, 16 bytes
 *     0  u32  version (1)             0  [20]  from                     0  u32  status
 *     4  u32  kind (0: setup)        20  u32   kind (1: swap)           4  u32  zero
 *     8  u32  count                  24  [20]  to, of a transfer        8  u64  received by a swap
 *    12  u32  zero                   44  u32   token given, 0 or 1
 *                                    48  u64   amount
 *   setup, 144 bytes                 56  u64   minimum, of a swap     account, 40 bytes
 *     0  [32] × 4  programs          64  [2356] signature               0  [20]  address
 *   128  u64 × 2   reserves          2420  u32 zero                    24  u64 × 2  balances
 */

import { UsageError } from "../../runtime/errors.ts";
import { SIGNATURE_BYTES, type Wallet } from "./wallet.ts";

const HEAD_BYTES = 16;
const SETUP_BYTES = 144;
const HOLDER_BYTES = 40;
const SIGNED_BYTES = 64;
const TRANSACTION_BYTES = 2424;
const RESULT_BYTES = 16;

/** Of token 0 and token 1. */
export type Pair = readonly [bigint, bigint];
export type Token = 0 | 1;

export interface Holder {
  readonly address: Uint8Array;
  readonly balances: Pair;
}

export interface Setup {
  /** The hashes of verifier, router, token and pool. */
  readonly programs: readonly Uint8Array[];
  readonly reserves: Pair;
  readonly holders: readonly Holder[];
}

export interface Transfer {
  readonly kind: "transfer";
  readonly token: Token;
  readonly to: Uint8Array;
  readonly amount: bigint;
}

/** Gives `amount` of `token` and takes at least `minimum` of the other. */
export interface Swap {
  readonly kind: "swap";
  readonly token: Token;
  readonly amount: bigint;
  readonly minimum: bigint;
}

export type Wish = Transfer | Swap;

/** What a status in a result means. */
export const STATUSES = ["applied", "bad signature", "replay", "overdraft", "slippage", "malformed"] as const;
export type Status = (typeof STATUSES)[number];

export interface Result {
  readonly status: Status;
  /** By a swap; else 0. */
  readonly received: bigint;
}

export function encodeSetup({ programs, reserves, holders }: Setup): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + SETUP_BYTES + holders.length * HOLDER_BYTES);
  const view = head(bytes, 0, holders.length);
  programs.forEach((program, i) => {
    bytes.set(program, HEAD_BYTES + 32 * i);
  });
  const pair = (at: number, values: Pair): void =>
    values.forEach((value, token) => {
      view.setBigUint64(at + 8 * token, value, true);
    });
  pair(HEAD_BYTES + 128, reserves);
  holders.forEach(({ address, balances }, i) => {
    const at = HEAD_BYTES + SETUP_BYTES + i * HOLDER_BYTES;
    bytes.set(address, at);
    pair(at + 24, balances);
  });
  return bytes;
}

/** A transaction by `wallet`, signed with its key number `key`. */
export function signTransaction(wallet: Wallet, key: number, wish: Wish): Uint8Array {
  const bytes = new Uint8Array(TRANSACTION_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(wallet.address);
  view.setUint32(20, wish.kind === "swap" ? 1 : 0, true);
  if (wish.kind === "transfer") bytes.set(wish.to, 24);
  view.setUint32(44, wish.token, true);
  view.setBigUint64(48, wish.amount, true);
  if (wish.kind === "swap") view.setBigUint64(56, wish.minimum, true);
  const signature = wallet.sign(bytes.subarray(0, SIGNED_BYTES), key);
  bytes.set(signature, SIGNED_BYTES);
  view.setUint32(SIGNED_BYTES + SIGNATURE_BYTES, 0, true);
  return bytes;
}

export function encodeTransactions(transactions: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + transactions.length * TRANSACTION_BYTES);
  head(bytes, 1, transactions.length);
  transactions.forEach((transaction, i) => {
    bytes.set(transaction, HEAD_BYTES + i * TRANSACTION_BYTES);
  });
  return bytes;
}

/**
 * Reads the data of a block of transactions.
 *
 * @throws {UsageError} BAD_BLOCK_DATA when it is not what this root writes
 */
export function decodeResults(data: Uint8Array): Result[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Array.from({ length: Math.ceil(data.length / RESULT_BYTES) }, (_, i) => {
    const whole = (i + 1) * RESULT_BYTES <= data.length;
    const status = whole ? STATUSES[view.getUint32(i * RESULT_BYTES, true)] : undefined;
    if (status === undefined) {
      const message = `block data: ${data.length} bytes are no results; is this the exchange's root?`;
      throw new UsageError("BAD_BLOCK_DATA", message, { bytes: data.length, result: i });
    }
    return { status, received: view.getBigUint64(i * RESULT_BYTES + 8, true) };
  });
}

function head(bytes: Uint8Array, kind: number, count: number): DataView {
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 1, true);
  view.setUint32(4, kind, true);
  view.setUint32(8, count, true);
  return view;
}
