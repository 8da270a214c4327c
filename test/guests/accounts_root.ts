/** Root: every block is a batch of payments (accounts.ts), 8 bytes each; the first names the program. */

import { Batch, Child, check, memoryQuota, snapshot } from "../../guest/index.ts";

const CAPACITY: u32 = 1 << 20;
const PAYMENT_BYTES: u32 = 8;
const region: usize = heap.alloc(CAPACITY);

export function main(argument: i64): i64 {
  check(snapshot(0, 0, region, CAPACITY), "snapshot");
  const accounts = Child.at(1);
  check(
    accounts
      .create(region, memoryQuota(1088, CAPACITY))
      .start("found", 1 << 40, 10_000_000_000)
      .put(),
    "found",
  );
  accounts.join();
  const batch = new Batch(1 << 26);
  while (true) {
    const length = check(snapshot(0, 0, region, CAPACITY), "snapshot");
    batch.clear();
    for (let at: u32 = 0; at < <u32>length; at += PAYMENT_BYTES)
      batch.add(region + at, PAYMENT_BYTES, 50_000);
    check(batch.run(accounts, "pay", <u64>length * 50_000), "pay");
    accounts.join();
  }
}
