/**
 * An item that accumulates as its input says: the request stands at the start of the input, operands in it.
 * Returns what the call gave; the output is the integer's 32 bytes afterwards.
 */

import { accumulate, put } from "../../guest/stillpoint.ts";
import { accumulate as add, accumulateU64 } from "../../guest/index.ts";
import { ACCUMULATE_ADDRESS } from "../../syscalls/abi.ts";

export const STATE_BYTES: u32 = 65536;

const INBOX: usize = 0x10000;
const OUTBOX: usize = 0x18000;

/** Calls are no business of a start function. */
const early: i32 = accumulate(0x10000);

export function run(length: i64): i64 {
  const address = load<u32>(INBOX, ACCUMULATE_ADDRESS);
  const result = accumulate(INBOX);
  if (address <= 0xffe0) memory.copy(OUTBOX + 4, address, 32);
  store<u32>(OUTBOX, 32);
  return result;
}

export function started(argument: i64): i64 {
  return early;
}

/**
 * By the SDK: input u32 address · u32 width · u32 subtract · u32 bounded · 32 bytes each delta, least, most.
 */
export function sdk(length: i64): i64 {
  const address = <usize>load<u32>(INBOX);
  const width = load<u32>(INBOX, 4);
  const subtract = load<u32>(INBOX, 8) != 0;
  const bounded = load<u32>(INBOX, 12) != 0;
  store<u32>(OUTBOX, 32);
  const done = bounded
    ? add(address, width, INBOX + 16, subtract, INBOX + 48, INBOX + 80)
    : width == 8
      ? accumulateU64(address, load<u64>(INBOX, 16), subtract)
      : add(address, width, INBOX + 16, subtract);
  memory.copy(OUTBOX + 4, address, 32);
  return done ? 1 : 0;
}

/** Is a program that has all kinds of calls. */
export function refuse(length: i64): i64 {
  return put(0, 4);
}

export function idle(argument: i64): i64 {
  return argument;
}
