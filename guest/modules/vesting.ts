/**
 * Amounts that become somebody's little by little: nothing until the cliff, then in proportion to the time
 * since the start, all at the end. Times are those of blocks, in milliseconds. State:
 * `vestingGrants`.
 *
 *   @transaction claim(): u256 {
 *     const amount = release(caller());
 *     transfer(vault, caller(), amount); // of the module "fungible", or whatever is vested
 *     return amount;
 *   }
 */

import { Address, StateMap, block, fail, record, u256 } from "stillpoint/guest";

@record
class Grant {
  total: u256;
  released: u256;
  start: u64 = 0;
  cliff: u64 = 0;
  end: u64 = 0;
}

const vestingGrants = new StateMap<Address, Grant>(1 << 14);

/**
 * Grants `total` to somebody who has no grant: else "granted already". Fails with "bad schedule" unless start
 * <= cliff <= end and start < end.
 */
export function grant(to: Address, total: u256, start: u64, cliff: u64, end: u64): void {
  if (vestingGrants.has(to)) fail("granted already");
  if (start > cliff || cliff > end || start >= end) fail("bad schedule");
  const entry = vestingGrants.getOrAdd(to);
  entry.total = total;
  entry.start = start;
  entry.cliff = cliff;
  entry.end = end;
}

/** What of a grant is vested by now, released or not; 0 without a grant. */
export function vested(who: Address): u256 {
  if (!vestingGrants.has(who)) return u256.zero();
  const entry = vestingGrants.get(who);
  const now = block.time;
  if (now < entry.cliff) return u256.zero();
  if (now >= entry.end) return entry.total;
  // Amounts and times are so far below 2^256 and 2^64 that this fails with "overflow" for none that is real.
  return entry.total.multiply(u256.from(now - entry.start)).divideU64(entry.end - entry.start);
}

/** What is vested and was not released before; it is released now. Fails with "nothing to release". */
export function release(who: Address): u256 {
  const all = vested(who);
  if (all.isZero()) fail("nothing to release");
  const entry = vestingGrants.get(who);
  const amount = all.subtract(entry.released);
  if (amount.isZero()) fail("nothing to release");
  entry.released = all;
  return amount;
}

/** Ends a grant; what will not be vested. What is vested can be released. Fails with "no such entry". */
export function revoke(who: Address): u256 {
  const entry = vestingGrants.get(who);
  const left = entry.total.subtract(vested(who));
  entry.total = entry.total.subtract(left);
  entry.end = block.time > entry.start ? block.time : entry.start + 1;
  return left;
}
