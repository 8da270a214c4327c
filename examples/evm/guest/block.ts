/**
 * The block that runs, and the transaction: what opcodes ask of their surroundings. Set before a batch, or
 * when an item begins; nothing here changes while code runs.
 */

import { copyWord, setU64 } from "./words.ts";

/** Words. */
export const coinbase: usize = memory.data(32, 8);
export const baseFee: usize = memory.data(32, 8);
export const randao: usize = memory.data(32, 8);
export const blobBaseFee: usize = memory.data(32, 8);
export const origin: usize = memory.data(32, 8);
export const gasPrice: usize = memory.data(32, 8);

export class Surroundings {
  number: u64 = 0;
  timestamp: u64 = 0;
  gasLimit: u64 = 0;
  chainId: u64 = 1;
  /** Pairs of u64 number and 32 bytes, and how many. */
  hashes: usize = 0;
  hashCount: u32 = 0;
  /** Versioned hashes of the transaction's blobs, 32 bytes each. */
  blobHashes: usize = 0;
  blobCount: u32 = 0;
  /** Codes that came with the block, by number: u32 address, u32 length, u32 address of its jumps, u32 0. */
  codes: usize = 0;
  codeCount: u32 = 0;
}

export const block: Surroundings = new Surroundings();

/** BLOCKHASH of a block, into a word; zero if it is not one of the last 256. */
export function blockHash(target: usize, number: u64): void {
  setU64(target, 0);
  if (number >= block.number || block.number - number > 256) return;
  for (let i: u32 = 0; i < block.hashCount; i++) {
    const at = block.hashes + i * 40;
    if (load<u64>(at) == number) return copyWord(target, at + 8);
  }
  throw new Error("evm: BLOCKHASH asks for a block whose hash is not in the data");
}
