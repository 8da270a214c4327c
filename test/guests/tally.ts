/**
 * A root for CometBFT: a transaction is one byte, and the state is their sum. A byte 0 has the code 1 and
 * adds nothing; 255 faults the block. Its data is the sum and a code for each transaction.
 */

import { Block } from "../../guest/block.ts";
import { snapshot } from "../../guest/process.ts";

const CAPACITY = 65536;
const region = memory.data(CAPACITY, 8);
const out = memory.data(8192, 8);
const block = new Block(0, 0);

export function main(argument: i64): i64 {
  let length = snapshot(0, 0, region, CAPACITY);
  while (length >= 0) length = snapshot(out, 8 + 4 * apply(<u32>length), region, CAPACITY);
  return length;
}

/** Returns how many transactions there were. */
function apply(length: u32): u32 {
  block.reset(region, length);
  if (block.u32() == 0) return 0;
  const count = block.u32();
  block.i64();
  block.i64();
  block.bytes(20);
  block.u32();
  const votes = block.u32();
  const misbehaviours = block.u32();
  block.records(votes, 32, "votes");
  block.records(misbehaviours, 56, "misbehaviours");
  for (let i: u32 = 0; i < count; i++) {
    const bytes = block.u32();
    block.u32();
    const tx = block.bytes((bytes + 7) & ~7);
    const amount: u32 = bytes == 1 ? load<u8>(tx) : 0;
    if (amount == 255) throw new Error("tally: a byte of 255");
    store<u64>(out, load<u64>(out) + amount);
    store<u32>(out + 8 + 4 * i, amount == 0 ? 1 : 0);
  }
  block.end();
  return count;
}

/** The sum. */
export function sum(argument: i64): i64 {
  return load<u64>(out);
}
