/**
 * Counters that many items of a batch add to. `accumulate` does what a load, a comparison and a store would
 * do, but items that only accumulate into an integer of the state do not disturb each other.
 *
 *   if (!accumulateU64(fees, 21)) throw new Error("fees: more than 2^64");
 */

import * as abi from "../syscalls/abi.ts";
import * as raw from "./stillpoint.ts";
import { errorName } from "./errors.ts";

const request: usize = memory.data(abi.ACCUMULATE_SIZE, 8);

/**
 * Adds the integer at `delta` to the one at `address`, or subtracts it: unsigned, little-endian, `width`
 * bytes (8, 16 or 32), `address` divisible by that. `minimum` and `maximum` are addresses of bounds of the
 * same width, 0: none but 0 and what the width holds. Whether the result lies within the bounds; if not,
 * nothing is added.
 */
export function accumulate(
  address: usize,
  width: u32,
  delta: usize,
  subtract: bool = false,
  minimum: usize = 0,
  maximum: usize = 0,
): bool {
  memory.fill(request, 0, abi.ACCUMULATE_SIZE);
  memory.copy(request + abi.ACCUMULATE_DELTA, delta, width);
  let flags = subtract ? abi.ACCUMULATE_SUBTRACT : 0;
  if (minimum != 0 || maximum != 0) {
    flags |= abi.ACCUMULATE_BOUNDED;
    if (minimum != 0) memory.copy(request + abi.ACCUMULATE_MINIMUM, minimum, width);
    if (maximum != 0) memory.copy(request + abi.ACCUMULATE_MAXIMUM, maximum, width);
    else memory.fill(request + abi.ACCUMULATE_MAXIMUM, 0xff, width);
  }
  return send(address, width, flags);
}

/**
 * Adds `delta` to the u64 at `address`, or subtracts it. Whether the result lies within the bounds; if not,
 * nothing is added.
 */
export function accumulateU64(
  address: usize,
  delta: u64,
  subtract: bool = false,
  minimum: u64 = 0,
  maximum: u64 = u64.MAX_VALUE,
): bool {
  memory.fill(request + abi.ACCUMULATE_DELTA, 0, <usize>abi.ACCUMULATE_SIZE - <usize>abi.ACCUMULATE_DELTA);
  store<u64>(request, delta, abi.ACCUMULATE_DELTA);
  let flags = subtract ? abi.ACCUMULATE_SUBTRACT : 0;
  if (minimum != 0 || maximum != u64.MAX_VALUE) {
    flags |= abi.ACCUMULATE_BOUNDED;
    store<u64>(request, minimum, abi.ACCUMULATE_MINIMUM);
    store<u64>(request, maximum, abi.ACCUMULATE_MAXIMUM);
  }
  return send(address, 8, flags);
}

function send(address: usize, width: u32, flags: u32): bool {
  store<u32>(request, abi.ABI_VERSION, abi.ACCUMULATE_VERSION);
  store<u32>(request, flags, abi.ACCUMULATE_FLAGS);
  store<u32>(request, <u32>address, abi.ACCUMULATE_ADDRESS);
  store<u32>(request, width, abi.ACCUMULATE_WIDTH);
  const code = raw.accumulate(request);
  if (code < 0) throw new Error(`accumulate: ${errorName(code)}`);
  return code == 1;
}
