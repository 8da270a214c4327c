/**
 * A program of several versions (the constants VERSION and BOUND): its state is a sum at 0 and what a
 * migration leaves at 8; how often it was called is private.
 */

import { ret } from "../../../guest/index.ts";

export const STATE_BYTES: u32 = 0x10000 * BOUND;

let calls: u64 = 0;

/** The first version counts double. */
export function add(value: i64): i64 {
  calls++;
  store<i64>(0, load<i64>(0) + (VERSION == 1 ? 2 * value : value));
  return load<i64>(0);
}

/** Which version this is, and how often it was called. */
export function version(argument: i64): i64 {
  return VERSION | ((<i64>calls) << 8);
}

export function migrate(factor: i64): i64 {
  store<i64>(8, load<i64>(0));
  store<i64>(0, load<i64>(0) * factor);
  return factor;
}

export function refuse(argument: i64): i64 {
  throw new Error("not today");
}

/** Work that takes a while, of which the result depends on the version. */
export function spin(rounds: i64): i64 {
  let x: u64 = 1;
  for (let i: i64 = 0; i < rounds; i++) x = x * 6364136223846793005 + VERSION;
  store<u64>(16, x);
  return <i64>(x >>> 32);
}

/** Counts what it is resumed with, for ever; each time a little gas. */
export function count(value: i64): i64 {
  let sum: i64 = 0;
  while (true) {
    sum += value;
    value = ret(sum);
  }
}
