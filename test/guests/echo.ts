/**
 * Bytes in, bytes out. `area(0)` is the address of 64 KiB on a page boundary; `run(length)` adds 1 to each of
 * its first `length` bytes and returns their FNV-1a hash; `state(0)` returns how often it ran.
 */

import { allocatePages } from "../../guest/pages.ts";

const bytes: usize = allocatePages(65536);
let runs: i64 = 0;

export function area(argument: i64): i64 {
  return bytes;
}

export function run(length: i64): i64 {
  let hash: u64 = 0xcbf29ce484222325;
  for (let i: usize = 0; i < <usize>length; i++) {
    const byte = load<u8>(bytes + i) + 1;
    store<u8>(bytes + i, byte);
    hash = (hash ^ <u64>byte) * 0x100000001b3;
  }
  runs += 1;
  return hash;
}

export function state(argument: i64): i64 {
  return runs;
}
