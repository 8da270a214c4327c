/**
 * The two messages between host and root: a block's metadata, and the data of the block that the root
 * commits. All numbers little-endian; guest/messages of the ledger reads and writes the same.
 *
 * Metadata: a header, then the accounts in strictly ascending order of address, then the transactions.
 *
 *   header, 128 bytes             account, 64 bytes             transaction, 128 bytes
 *     0  u32   version (1)          0  [20]  address              0  [20]  from
 *     4  u32   accounts            20  u32   flags (1: contract) 20  [20]  to, zero for a creation
 *     8  u32   transactions        24  u64   nonce               40  u32   flags (1: creation)
 *    12  u32   zero                32  u256  balance             44  u32   input bytes
 *    16  u64   number                                            48  u64   nonce
 *    24  u64   timestamp                                         56  u64   gas limit
 *    32  [32]  hash of the ledger program                        64  u256  value
 *    64  u256  base fee per gas                                  96  u256  gas price
 *    96  [20]  miner
 *   116  zero to 128
 *
 * Data: 128 bytes, then one status byte for each transaction.
 *
 *     0  u64   number             12  u32  applied               24  u64   zero
 *     8  u32   transactions       16  u32  bad nonce             32  u256  burned
 *                                 20  u32  insufficient          64  [32]  state digest
 *                                                                96  [32]  hash of the ledger process
 */

import { UsageError } from "../../runtime/errors.ts";
import type { LedgerBlock } from "./block.ts";
import type { LedgerResult } from "./reference.ts";

export const METADATA_VERSION = 1;
const HEADER_BYTES = 128;
const ACCOUNT_BYTES = 64;
const TRANSACTION_BYTES = 128;
const RESULT_BYTES = 128;

const FLAG_CONTRACT = 1;
const FLAG_CREATION = 1;

/** A result as the root reports it. */
export interface LedgerReport extends LedgerResult {
  /** Root of the ledger process after the block, as hexadecimal digits. */
  readonly ledgerHash: string;
}

/**
 * Metadata for `block`; `ledgerProgram` is the hash of the program that the root makes the ledger process
 * from.
 */
export function encodeBlock(block: LedgerBlock, ledgerProgram: Uint8Array): Uint8Array {
  const { accounts, transactions } = block;
  const bytes = new Uint8Array(
    HEADER_BYTES + accounts.size * ACCOUNT_BYTES + transactions.length * TRANSACTION_BYTES,
  );
  const writer = new Writer(bytes);
  writer.u32(0, METADATA_VERSION);
  writer.u32(4, accounts.size);
  writer.u32(8, transactions.length);
  writer.u64(16, block.number);
  writer.u64(24, block.timestamp);
  bytes.set(ledgerProgram, 32);
  writer.u256(64, block.baseFeePerGas);
  writer.address(96, block.miner);
  let at = HEADER_BYTES;
  for (const [address, account] of accounts) {
    writer.address(at, address);
    writer.u32(at + 20, account.contract ? FLAG_CONTRACT : 0);
    writer.u64(at + 24, account.nonce);
    writer.u256(at + 32, account.balance);
    at += ACCOUNT_BYTES;
  }
  for (const transaction of transactions) {
    writer.address(at, transaction.from);
    if (transaction.to !== null) writer.address(at + 20, transaction.to);
    writer.u32(at + 40, transaction.to === null ? FLAG_CREATION : 0);
    writer.u32(at + 44, transaction.inputBytes);
    writer.u64(at + 48, transaction.nonce);
    writer.u64(at + 56, transaction.gasLimit);
    writer.u256(at + 64, transaction.value);
    writer.u256(at + 96, transaction.gasPrice);
    at += TRANSACTION_BYTES;
  }
  return bytes;
}

/**
 * Reads the data of a block that the root committed.
 *
 * @throws {UsageError} BAD_BLOCK_DATA when it is not what this root writes
 */
export function decodeResult(data: Uint8Array): LedgerReport {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const transactions = data.length >= RESULT_BYTES ? view.getUint32(8, true) : 0;
  if (data.length !== RESULT_BYTES + transactions) {
    const message = `block data: ${data.length} bytes are no result of a block; is this the ledger's root?`;
    throw new UsageError("BAD_BLOCK_DATA", message, { bytes: data.length, transactions });
  }
  return {
    number: Number(view.getBigUint64(0, true)),
    transactions,
    applied: view.getUint32(12, true),
    badNonce: view.getUint32(16, true),
    insufficient: view.getUint32(20, true),
    burned: readU256(view, 32),
    stateDigest: hex(data.subarray(64, 96)),
    ledgerHash: hex(data.subarray(96, 128)),
    statuses: Uint8Array.from(data.subarray(RESULT_BYTES)),
  };
}

class Writer {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  u64(at: number, value: number): void {
    this.#view.setBigUint64(at, BigInt(value), true);
  }

  u256(at: number, value: bigint): void {
    for (let word = 0; word < 4; word++) {
      this.#view.setBigUint64(at + 8 * word, BigInt.asUintN(64, value >> BigInt(64 * word)), true);
    }
  }

  address(at: number, address: string): void {
    this.#bytes.set(Buffer.from(address.slice(2), "hex"), at);
  }
}

function readU256(view: DataView, at: number): bigint {
  let value = 0n;
  for (let word = 3; word >= 0; word--) value = (value << 64n) | view.getBigUint64(at + 8 * word, true);
  return value;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
