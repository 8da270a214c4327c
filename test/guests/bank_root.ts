/**
 * Root: every block is a batch for a bank (bank.ts). Metadata: u32 number of payments · 4 bytes zero · u64
 * gas of each · the payments, 24 bytes each, of which 20 are the input. Data: u32 items · u32 bytes read,
 * then for each item u32 status · u32 fault · i64 code · u64 sum of the numbers in its output.
 */

import { Batch, Child, Outcomes, check, memoryQuota, snapshot } from "../../guest/index.ts";

const CAPACITY: u32 = 1 << 20;
const STATE_BYTES: usize = 1 << 20;
const region: usize = heap.alloc(CAPACITY);
const data: usize = heap.alloc(CAPACITY);

/** The first block's metadata is the hash of the bank's program. */
export function main(argument: i64): i64 {
  let length = check(snapshot(0, 0, region, CAPACITY), "snapshot");
  const bank = Child.at(1);
  check(bank.create(region, memoryQuota(64)).start("found", 1000, 100_000_000).put(), "found");
  bank.join();
  const batch = new Batch(STATE_BYTES);
  let written: u32 = 0;
  while (true) {
    length = check(snapshot(data, written, region, CAPACITY), "snapshot");
    batch.clear();
    const count = load<u32>(region);
    const gas = load<u64>(region, 8);
    for (let i: u32 = 0; i < count; i++) batch.add(region + 16 + i * 24, 20, gas);
    check(batch.run(bank, "pay", 1_000_000_000), "pay");
    const outcomes = new Outcomes(bank);
    written = 8;
    while (outcomes.next()) {
      let sum: u64 = 0;
      for (let at: u32 = 0; at < outcomes.outputLength; at += 8) sum += load<u64>(outcomes.output + at);
      store<u32>(data + written, outcomes.status);
      store<u32>(data + written, outcomes.fault, 4);
      store<i64>(data + written, outcomes.code, 8);
      store<u64>(data + written, sum, 16);
      written += 24;
    }
    store<u32>(data, outcomes.total);
    store<u32>(data, length, 4);
  }
}
