/**
 * Items that keep two counters equal. Who sees them at different moments, which cannot be one item after the
 * other, loops until its gas ends.
 */

import { Child, memoryQuota } from "../../../guest/process.ts";

export const STATE_BYTES: u32 = 1 << 16;

const FIRST: usize = 0;
const SECOND: usize = 64;
const INBOX: usize = STATE_BYTES;
const HASH: usize = INBOX + 4;
const burnt: usize = memory.data(8, 8);

function work(turns: u32): void {
  let x: u64 = 1;
  for (let i: u32 = 0; i < turns; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
  }
  store<u64>(burnt, x);
}

/**
 * Adds 1 to both. The input: how many turns of work lie between the two looks, and if it is longer than that,
 * the hash of this program, of which a child is made then that loops in the item's place.
 */
export function step(length: i64): i64 {
  const first = load<u64>(FIRST);
  work(load<u32>(INBOX));
  const second = load<u64>(SECOND);
  if (first != second) {
    if (length <= 4) endless(0);
    Child.at(7)
      .create(HASH, memoryQuota(64), 2, 1 << 33)
      .copyIn(HASH, HASH, 32)
      .start("below", 0, 1 << 34)
      .put();
    Child.at(7).join();
  }
  store<u64>(FIRST, first + 1);
  store<u64>(SECOND, second + 1);
  return first;
}

/** A child that does nothing itself; what it starts runs when it ends. */
export function below(argument: i64): i64 {
  Child.at(0)
    .create(HASH)
    .start("endless", 0, 1 << 33)
    .put();
  return 0;
}

export function endless(argument: i64): i64 {
  while (true) work(10);
}
