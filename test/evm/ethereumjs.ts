/**
 * @ethereumjs/vm on the blocks of the example: another machine, to compare traces, precompiles and speed
 * with.
 */

import { performance } from "node:perf_hooks";
import { type Block, createBlock } from "@ethereumjs/block";
import { Common, Mainnet } from "@ethereumjs/common";
import { Caches, MerkleStateManager } from "@ethereumjs/statemanager";
import { createTxFromRLP, type TypedTransaction } from "@ethereumjs/tx";
import { Account, createAddressFromBigInt } from "@ethereumjs/util";
import { createVM, runTx, type VM } from "@ethereumjs/vm";
import { type EvmBlock, FORKS } from "../../examples/evm/block.ts";

/** A machine that has the state of a block, and the block's transactions. */
export interface Reference {
  readonly vm: VM;
  readonly header: Block;
  readonly transactions: readonly TypedTransaction[];
}

/** How it calls a set of rules. */
function hardfork(fork: string): string {
  return fork === "frontier" ? "chainstart" : fork;
}

/** The rules of a fork. */
export function commonOf(fork: string): Common {
  return new Common({ chain: Mainnet, hardfork: hardfork(fork) });
}

export async function referenceOf(
  block: EvmBlock,
  codes: ReadonlyMap<string, Uint8Array>,
): Promise<Reference> {
  const common = commonOf(block.fork);
  const stateManager = new MerkleStateManager({ common, caches: new Caches() });
  for (const { address, balance, nonce, codeHash, storage } of block.accounts) {
    const at = createAddressFromBigInt(address);
    await stateManager.putAccount(at, new Account(nonce, balance));
    if (codeHash !== null) await stateManager.putCode(at, codes.get(codeHash) as Uint8Array);
    for (const [key, value] of storage) {
      if (value !== 0n) await stateManager.putStorage(at, bytesOf(key, 32), minimal(value));
    }
  }
  await stateManager.flush();
  const hashes = new Map(block.blockHashes);
  const blockchain = {
    getBlock: async (number: number) => ({ hash: () => hashes.get(BigInt(number)) ?? new Uint8Array(32) }),
    putBlock: async () => undefined,
    shallowCopy: () => blockchain,
  };
  const vm = await createVM({ common, stateManager, blockchain: blockchain as never });
  const transactions = block.transactions.map(({ bytes }) =>
    createTxFromRLP(bytes, { common, freeze: false }),
  );
  return { vm, header: headerOf(block, common), transactions };
}

function headerOf(block: EvmBlock, common: Common): Block {
  const rules = FORKS.get(block.fork) as number;
  const header = {
    number: block.number,
    timestamp: block.timestamp,
    gasLimit: block.gasLimit,
    coinbase: createAddressFromBigInt(block.miner),
    ...(rules >= 10 ? { mixHash: bytesOf(block.randao, 32), difficulty: 0n } : { difficulty: block.randao }),
    ...(rules >= 9 ? { baseFeePerGas: block.baseFee } : {}),
    ...(rules >= 12 ? { excessBlobGas: block.excessBlobGas } : {}),
  };
  return createBlock({ header }, { common, skipConsensusFormatValidation: true });
}

/** What it says of a transaction of the block, after those before it. */
export async function runReference({ vm, header }: Reference, tx: TypedTransaction) {
  return runTx(vm, { tx, block: header, skipHardForkValidation: true, skipBlockGasLimitValidation: true });
}

/** Executes a block; how long its transactions take, senders included, and the gas that they use. */
export async function timeReference(
  block: EvmBlock,
  codes: ReadonlyMap<string, Uint8Array>,
): Promise<{ readonly ms: number; readonly gasUsed: bigint }> {
  const reference = await referenceOf(block, codes);
  const start = performance.now();
  let gasUsed = 0n;
  for (const tx of reference.transactions) gasUsed += (await runReference(reference, tx)).totalGasSpent;
  return { ms: performance.now() - start, gasUsed };
}

export function bytesOf(value: bigint, length: number): Uint8Array {
  return Buffer.from(value.toString(16).padStart(2 * length, "0"), "hex");
}

function minimal(value: bigint): Uint8Array {
  const digits = value.toString(16);
  return Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex");
}
