/** A root that runs its child with each byte of the metadata as the argument; 255: it faults itself. */

import { Block, Child, check, memoryQuota, snapshot } from "../../../guest/index.ts";

const region: usize = memory.data(4096, 8);
const child = Child.at(1);
const table: usize = memory.data(256, 8);

function look(index: u32): u64 {
  return load<u64>(table + ((<usize>index) << 24)); // look
}

function serve(length: u32): u64 {
  const block = new Block(region, length);
  let sum: u64 = 0;
  while (block.remaining > 0) {
    const which = block.u8();
    if (which == 255)
      sum += look(which); // serve
    else if (child.start("go", which, 1_000_000).put() == 0) child.wait();
  }
  return sum;
}

export function main(program: i64): i64 {
  let length = snapshot(0, 0, region, 4096);
  memory.copy(table, region, length);
  check(child.create(table, memoryQuota(64)).put(), "make the child");
  while (true) {
    length = snapshot(0, 0, region, 4096);
    serve(length); // main
  }
}
