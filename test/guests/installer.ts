/**
 * A root that installs programs: each block's metadata is a module, whose entry `run` gets 20 and the result
 * is the block's data: i64 code, u32 reason, u32 offset. Where the module is not admitted, the code is the
 * error code.
 */

import { Child, memoryQuota, Rejection, snapshot } from "../../guest/index";

const CAPACITY: u32 = 0x10000;
const module: usize = memory.data(0x10000, 4096);
const result: usize = memory.data(16, 8);

export function main(argument: i64): i64 {
  let length = snapshot(0, 0, module, CAPACITY);
  while (length >= 0) {
    memory.fill(result, 0, 16);
    const child = Child.at(1);
    const error = child
      .install(module, length, memoryQuota(4, (4 + length / 32) * 4096))
      .start("run", 20, 1_000_000)
      .put();
    if (error == 0) {
      store<i64>(result, child.join());
    } else {
      store<i64>(result, error);
      store<u32>(result, Rejection.last.reason, 8);
      store<u32>(result, Rejection.last.offset, 12);
    }
    length = snapshot(result, 16, module, CAPACITY);
  }
  return length;
}
