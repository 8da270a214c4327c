/**
 * A root whose block 0 goes through more of the heap than it keeps: it writes 16 pages again and again and
 * each time makes a copy of itself, `ROUNDS` times in all; the last copy runs on into the next blocks.
 */

import { Child, check, snapshot } from "../../guest/index.ts";

const ROUNDS: u32 = 400;
const PAGES: u32 = 16;

const pages: usize = memory.data(65536, 4096);
const region: usize = memory.data(64, 8);

export function main(argument: i64): i64 {
  const child = Child.at(0);
  for (let round: u32 = 0; round < ROUNDS; round++) {
    for (let page: u32 = 0; page < PAGES; page++) store<u32>(pages + page * 4096, round + 1);
    check(child.cloneSelf(0, 0).put(), "copy");
  }
  check(child.start("work", ROUNDS, 1_000_000_000).put(), "start");
  while (true) {
    check(snapshot(0, 0, region, 64), "snapshot");
    store<i64>(region, child.join());
    check(child.start("work", load<i64>(region), 1_000_000_000).put(), "start");
  }
}

export function work(argument: i64): i64 {
  let sum: i64 = argument;
  for (let page: u32 = 0; page < PAGES; page++) sum += load<u32>(pages + page * 4096);
  for (let i: u32 = 0; i < 3_000_000; i++) sum = sum * 31 + 7;
  return sum;
}
