/** Where things are, and what every part of the core asks: the states of items, the sets, the end. */

import {
  CHECK,
  ITEMS,
  ITEM_SIZE,
  ITEM_STATE,
  POISON,
  SLEEPERS,
  STATE_COMMITTED,
  STATE_EXECUTED,
  STATE_KIND_BITS,
  STATE_REFUSED,
  STOP,
  WAKE,
} from "../layout.ts";

export function itemAt(item: u32): usize {
  return <usize>item * ITEM_SIZE + ITEMS;
}

export function stateOf(record: usize): u32 {
  return atomic.load<u32>(record, ITEM_STATE);
}

export function kindOf(state: u32): u32 {
  return state & ((1 << STATE_KIND_BITS) - 1);
}

export function incarnationOf(state: u32): u32 {
  return state >>> STATE_KIND_BITS;
}

/** Whether an item in this state has left what it leaves. */
export function finished(kind: u32): bool {
  return kind === STATE_EXECUTED || kind === STATE_COMMITTED || kind === STATE_REFUSED;
}

/** Traps unless what must hold does: a defect of the core, which ends the runtime. */
export function ensure(holds: bool): void {
  if (!holds) unreachable();
}

/** The state of an item that this worker has to itself, which must be of this kind; else traps. */
export function stateAs(record: usize, kind: u32): u32 {
  const state = stateOf(record);
  ensure(kindOf(state) === kind);
  return state;
}

/** One more in a counter of a worker. */
export function count(worker: usize, counter: usize): void {
  store<u32>(worker + counter, load<u32>(worker + counter) + 1);
}

// ---- the end ----------------------------------------------------------------------------------------------

/** Whether everybody leaves: the window stopped, or it is poisoned. */
export function stopped(): bool {
  return atomic.load<u64>(POISON) !== 0; // and STOP
}

/** Stops the window; the first reason counts. */
export function stop(reason: u32): void {
  atomic.cmpxchg<u32>(STOP, 0, reason);
  wake();
}

// ---- sets of items ----------------------------------------------------------------------------------------

/** Adds an item to READY or CHECK. */
export function include(set: usize, item: u32): void {
  atomic.or<u64>(set + ((<usize>(item >>> 6)) << 3), (<u64>1) << (item & 63));
  wake();
}

/** Adds the items first … end - 1 to CHECK. */
export function checkAll(first: u32, end: u32): void {
  if (first >= end) return;
  for (let word = first >>> 6; word <= (end - 1) >>> 6; word++) {
    let bits = ~(<u64>0);
    if (word === first >>> 6) bits &= ~(<u64>0) << (first & 63);
    if (word === (end - 1) >>> 6) bits &= ~(<u64>0) >>> (63 - ((end - 1) & 63));
    atomic.or<u64>(((<usize>word) << 3) + CHECK, bits);
  }
  wake();
}

/** Takes an item out of a set; whether this worker did. */
export function take(set: usize, item: u32): bool {
  const bit = (<u64>1) << (item & 63);
  return (atomic.and<u64>(set + ((<usize>(item >>> 6)) << 3), ~bit) & bit) !== 0;
}

/** Who looked for work in vain before this call finds WAKE changed. */
export function wake(): void {
  atomic.add<u32>(WAKE, 1);
  if (atomic.load<u32>(SLEEPERS) !== 0) atomic.notify(WAKE);
}
