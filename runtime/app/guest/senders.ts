/**
 * Which transactions of each sender are used up. The table is memory of the root, so it is state: a block
 * that fails or is reverted takes its marks along; a transaction that fails does not, since it is an item
 * of a batch and this is not.
 *
 * A sender has a window, as in RFC 4303, section 3.4.3: the highest nonce so far, and one bit for each of
 * WINDOW nonces up to it. What is above is new, what is below the window counts as used. So nonces may have
 * gaps and come in any order within the window, and each takes effect at most once; a sender takes 64 bytes.
 *
 *   record of Accounts: nonce u64, the highest + 1, or 0 · balance, its first u64 the bits: n for highest - n
 *   log: count × (u32 record · u32 0 · u64 nonce · u64 bits), what each use found
 */

import { Accounts, PageBuffer, RECORD_BALANCE, RECORD_NONCE } from "../../../guest/index.ts";

const WINDOW: u64 = 64;
const LOG_ENTRY: u32 = 24;

const senders = new Accounts();
const log = new PageBuffer();
let logged: u32 = 0;

/** Starts a block of at most `count` uses. */
export function beginUses(count: u32): void {
  log.reserve(count * LOG_ENTRY);
  logged = 0;
}

/** Whether the sender's transaction of that nonce has taken effect, or never can. */
export function isUsed(sender: usize, nonce: u64): bool {
  const record = senders.find(sender);
  if (nonce == u64.MAX_VALUE) return true; // its successor has no number
  if (record == 0) return false;
  const next = load<u64>(record, RECORD_NONCE);
  if (nonce >= next) return false;
  const behind = next - 1 - nonce;
  return behind >= WINDOW || ((load<u64>(record, RECORD_BALANCE) >> behind) & 1) != 0;
}

/** Whether there is room for the sender's first use, if this is it. */
export function hasRoom(sender: usize, sendersMax: u32): bool {
  return senders.count < sendersMax || senders.find(sender) != 0;
}

/** Uses up a nonce that is not used. */
export function use(sender: usize, nonce: u64): void {
  const record = senders.findOrAdd(sender);
  const next = load<u64>(record, RECORD_NONCE);
  const bits = load<u64>(record, RECORD_BALANCE);
  const entry = log.address + logged++ * LOG_ENTRY;
  store<u32>(entry, <u32>record);
  store<u64>(entry, next, 8);
  store<u64>(entry, bits, 16);
  if (nonce < next) {
    store<u64>(record, bits | ((<u64>1) << (next - 1 - nonce)), RECORD_BALANCE);
    return;
  }
  const shift = nonce - next + 1;
  store<u64>(record, (shift >= WINDOW ? 0 : bits << shift) | 1, RECORD_BALANCE);
  store<u64>(record, nonce + 1, RECORD_NONCE);
}

/** Takes back all uses of the block, if it has any, but the first `kept`. */
export function takeBack(kept: u32): void {
  while (logged > kept) {
    const entry = log.address + --logged * LOG_ENTRY;
    const record = <usize>load<u32>(entry);
    store<u64>(record, load<u64>(entry, 8), RECORD_NONCE);
    store<u64>(record, load<u64>(entry, 16), RECORD_BALANCE);
  }
}

/** The lowest nonce above all that the sender has used. */
export function nextNonce(sender: usize): u64 {
  const record = senders.find(sender);
  return record == 0 ? 0 : load<u64>(record, RECORD_NONCE);
}
