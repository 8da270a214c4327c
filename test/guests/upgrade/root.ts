/**
 * A root of several versions (the constant VERSION). Its state: the number of its blocks at 0, the version
 * that migrated it last at 8. Metadata: operations of 48 bytes, u32 what · u32 child · i64 value · 32 bytes.
 * Data: the version, the blocks so far, and an i64 for each operation.
 */

import { check, Child, memoryQuota, snapshot } from "../../../guest/index.ts";

export const STATE_BYTES: u32 = 0x10000;

const CAPACITY: u32 = 0x4000;
const region: usize = heap.alloc(CAPACITY);
const data: usize = heap.alloc(CAPACITY);

export function main(argument: i64): i64 {
  return run(0);
}

/** Where a later version begins. */
export function migrate(argument: i64): i64 {
  store<u64>(8, VERSION);
  store<i64>(16, argument);
  return run(0);
}

/** Migrations that cannot be. */
export function stop(argument: i64): i64 {
  return 1;
}

export function refuse(argument: i64): i64 {
  throw new Error("not today");
}

function run(written: u32): i64 {
  while (true) {
    const length = check(snapshot(data, written, region, CAPACITY), "snapshot");
    store<u64>(0, load<u64>(0) + 1);
    store<u64>(data, VERSION);
    store<u64>(data, load<u64>(0), 8);
    written = 16;
    for (let at: u32 = 0; at < <u32>length; at += 48) {
      store<i64>(data + written, operate(region + at));
      written += 8;
    }
  }
}

function operate(at: usize): i64 {
  const child = Child.at(load<u32>(at, 4));
  const value = load<i64>(at, 8);
  switch (load<u32>(at)) {
    case 1:
      return child.create(at + 16, memoryQuota(128), 8, 1_000_000_000).put();
    case 2:
      return child.call("add", value, 1_000_000);
    case 3:
      return child.call("version", 0, 1_000_000);
    case 4: // started, and joined by whoever comes next
      return child.start("spin", value, 800_000_000).put();
    case 5:
      return child.join();
    case 6:
      check(child.start("count", value, 1_000_000).put(), "count");
      return child.wait().code;
    case 7:
      check(child.resume(value, 1_000_000).put(), "resume");
      return child.wait().code;
    case 8:
      return child.drop().put();
    default:
      throw new Error("operation");
  }
}
