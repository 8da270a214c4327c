/**
 * The ledger's rules in plain sequential TypeScript: what the guest is compared with.
 *
 * Contract code is not run. A call or a creation moves its value and pays the base cost, as a transfer does.
 */

import { createHash } from "node:crypto";
import type { LedgerBlock } from "./block.ts";

export const APPLIED = 0;
export const BAD_NONCE = 1;
export const INSUFFICIENT = 2;

/** Gas of a plain transfer, the base cost of every transaction. */
export const TRANSFER_GAS = 21_000n;

/** The results of a block, of the guest or of this reference. */
export interface LedgerResult {
  readonly number: number;
  readonly transactions: number;
  readonly applied: number;
  readonly badNonce: number;
  readonly insufficient: number;
  readonly burned: bigint; // wei
  /** SHA-256 over accounts, burned and statuses, as hexadecimal digits; see README.md. */
  readonly stateDigest: string;
  /** One of APPLIED, BAD_NONCE, INSUFFICIENT for each transaction. */
  readonly statuses: Uint8Array;
}

/** Applies `block` to its own accounts. */
export function applyBlock(block: LedgerBlock): LedgerResult {
  const accounts = new Map(
    [...block.accounts].map(([address, { balance, nonce }]) => [address, { balance, nonce }]),
  );
  const statuses = new Uint8Array(block.transactions.length);
  const miner = accounts.get(block.miner)!;
  let burned = 0n;
  for (const [i, transaction] of block.transactions.entries()) {
    const sender = accounts.get(transaction.from)!;
    const cost = transaction.value + TRANSFER_GAS * transaction.gasPrice;
    if (sender.nonce !== transaction.nonce) {
      statuses[i] = BAD_NONCE;
    } else if (sender.balance < cost) {
      statuses[i] = INSUFFICIENT;
    } else {
      sender.balance -= cost;
      sender.nonce += 1;
      if (transaction.to === null) burned += transaction.value;
      else accounts.get(transaction.to)!.balance += transaction.value;
      miner.balance += TRANSFER_GAS * (transaction.gasPrice - block.baseFeePerGas);
      burned += TRANSFER_GAS * block.baseFeePerGas;
    }
  }
  const digest = createHash("sha256");
  for (const [address, { balance, nonce }] of accounts) {
    digest
      .update(bigEndian(BigInt(address), 20))
      .update(bigEndian(BigInt(nonce), 8))
      .update(bigEndian(balance, 32));
  }
  digest.update(bigEndian(burned, 32)).update(statuses);
  const count = (status: number): number => statuses.filter((each) => each === status).length;
  return {
    number: block.number,
    transactions: statuses.length,
    applied: count(APPLIED),
    badNonce: count(BAD_NONCE),
    insufficient: count(INSUFFICIENT),
    burned,
    stateDigest: digest.digest("hex"),
    statuses,
  };
}

function bigEndian(value: bigint, bytes: number): Uint8Array {
  return Buffer.from(value.toString(16).padStart(2 * bytes, "0"), "hex");
}
