/** Items without state: each hashes its input as often as its first word says, and gives the hash. */

import { Sha256 } from "../../../guest/sha256";

const INBOX: usize = memory.data(4096, 8);
const OUTBOX: usize = memory.data(64, 8);

let calls: i64 = 0;

/** Where inbox and outbox are. */
export function mail(argument: i64): i64 {
  return argument == 0 ? INBOX : OUTBOX;
}

export function hash(length: i64): i64 {
  const data = INBOX + 4;
  Sha256.hash(data, <u32>length - 4, OUTBOX + 4);
  for (let i: u32 = 1; i < load<u32>(INBOX); i++) Sha256.hash(OUTBOX + 4, 32, OUTBOX + 4);
  store<u32>(OUTBOX, 32);
  return ++calls;
}
