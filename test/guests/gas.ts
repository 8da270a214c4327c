/**
 * A process that does what costs its host much and its author little, for the benchmark and the fuzzer of
 * gas. Steps of four u32 each, up to one with the number zero, executed by `run` (argument: their address)
 * and by `item` (the input of an item of a batch):
 *
 *  1 PUT    first child, number of children, address of the request, the same for each
 *  2 GET    likewise
 *  3 TOUCH  address, pages, value: a u32 at the same place of each page
 *  4 FILL   address, bytes, value
 *  5 SPIN   turns
 *  6 GROW   pages of 64 KiB
 *  7 RET    depth of calls at which `ret` is called
 *  8 TRAP   depth of calls
 *  9 ABORT
 * 10 DEEP   depth of calls from which it comes back
 *
 * State below STATE_BYTES, private memory above it, steps and requests at SCRIPT.
 */

import { get, put, ret } from "../../guest/stillpoint.ts";

export const STATE_BYTES: u32 = 4 << 20;
const SCRIPT: usize = STATE_BYTES;
const STEP: usize = 16;

let burned: u64 = 0;

export function nothing(argument: i64): i64 {
  return argument;
}

/** The plain loop that operations are compared with. */
export function spin(turns: i64): i64 {
  let state = burned;
  for (let i: i64 = 0; i < turns; i++) state = state * 6364136223846793005 + 1442695040888963407;
  burned = state;
  return 0;
}

/** Loads from all over memory, each of which needs the one before. */
export function chase(loads: i64): i64 {
  const mask = ((<u32>memory.size()) << 16) - 1;
  let place: u32 = 12345;
  for (let i: i64 = 0; i < loads; i++) place = (place * 1664525 + 1013904223) ^ load<u32>(place & mask & ~3);
  return place;
}

export function item(length: i64): i64 {
  return execute(SCRIPT);
}

export function run(argument: i64): i64 {
  return execute(<usize>argument);
}

/** The sum of all results. */
function execute(script: usize): i64 {
  let result: i64 = 0;
  for (let step = script; load<u32>(step) !== 0; step += STEP) {
    const a = load<u32>(step, 4);
    const b = load<u32>(step, 8);
    const c = load<u32>(step, 12);
    switch (load<u32>(step)) {
      case 1:
        for (let i: u32 = 0; i < b; i++) result += put(a + i, c);
        break;
      case 2:
        for (let i: u32 = 0; i < b; i++) result += get(a + i, c);
        break;
      case 3:
        for (let i: u32 = 0; i < b; i++) store<u32>(a + (i << 12), c);
        break;
      case 4:
        memory.fill(a, <u8>c, b);
        break;
      case 5:
        spin(a);
        break;
      case 6:
        result += memory.grow(a);
        break;
      case 7:
        result += standing(a);
        break;
      case 8:
        trapping(a);
        break;
      case 9:
        abort();
        break;
      default:
        result += deep(a);
    }
  }
  return result;
}

function standing(depth: u32): i64 {
  return depth === 0 ? ret(0) : standing(depth - 1) + 1;
}

function trapping(depth: u32): u32 {
  if (depth === 0) unreachable();
  return trapping(depth - 1) + 1;
}

function deep(depth: u32): u32 {
  return depth === 0 ? 0 : deep(depth - 1) + 1;
}
