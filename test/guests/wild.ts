/**
 * Calls with whatever words it is told. `run(address)` reads, at that address, u32 call · u32 a · u32 b · u32
 * zero · i64 c:
 *   1 put(a, b)   2 get(a, b)   3 ret(c)   4 snapshot(b)   5 abort(a, b, 0, 0), any words as strings
 * and returns what the call returned. `area(0)` is the address of 64 KiB, on a page boundary, for words and
 * requests.
 */

import { allocatePages } from "../../guest/pages.ts";
import { get, put, ret, snapshot } from "../../guest/stillpoint.ts";

const bytes: usize = allocatePages(65536);

export function area(argument: i64): i64 {
  return bytes;
}

export function run(address: i64): i64 {
  const words = <usize>address;
  const a = load<u32>(words, 4);
  const b = load<u32>(words, 8);
  switch (load<u32>(words)) {
    case 1:
      return put(a, b);
    case 2:
      return get(a, b);
    case 3:
      return ret(load<i64>(words, 16));
    case 4:
      return snapshot(b);
    case 5:
      abort(changetype<string>(<usize>a), changetype<string>(<usize>b));
  }
  return i64.MIN_VALUE;
}
