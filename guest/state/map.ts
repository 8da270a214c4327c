/**
 * A map in state, of fixed capacity. Each entry has lines of its own and stays where it is until it is
 * deleted, so items of a batch that use different keys conflict only where their ways through the table share
 * a line.
 *
 * At `at`, a multiple of 64, lie
 *   line 0   u64 number of entries, which items add to without waiting for each other
 *   line 1   u64 · u64 seed of the hash
 *   slots    half as many again as entries, `stride` bytes each:
 *            u32 1 if it holds an entry · u32 passed · key, padded to 8 · value, padded to a line
 *
 * Open addressing with linear probing. A slot counts in `passed` the entries that lie behind it but belong at
 * it or before it: a search ends where none passed. A deletion takes that back, so there are no tombstones,
 * and deleted slots are zero again but for that count. At most two thirds of the slots are in use.
 */

import { accumulateU64 } from "../accumulate";
import { FAILURE_FULL, FAILURE_MISSING, fail } from "../fail";
import { LINE_BYTES, bytesOf, checkPlace, loadValue, roundUp, sameValue, storeValue } from "./layout";
import { sipHash } from "./siphash";

const PASSED: usize = 4;
const KEY: usize = 8;
const SEED: usize = LINE_BYTES;
const SLOTS: usize = 2 * LINE_BYTES;

@unmanaged
@final
export class StateMap<K, V> {
  private slots: u32;

  /**
   * For up to `capacity` entries, at the address `at` in memory that is zero or holds this map. In a typed
   * program the compiler writes `at`.
   */
  constructor(
    public readonly capacity: u32,
    public readonly at: usize = 0,
  ) {
    this.slots = capacity + (capacity >> 1) + 1;
    checkPlace(at, SLOTS + <u64>this.slots * <u64>this.stride);
  }

  /** The address behind it, a multiple of 64. */
  get end(): usize {
    return this.at + SLOTS + <usize>this.slots * this.stride;
  }

  /** Number of entries. An item that reads it waits for those before that insert or delete. */
  get size(): u32 {
    return load<u32>(this.at);
  }

  /**
   * Seeds the hash, before the first entry is there: with something that those who choose keys do not know.
   */
  seed(seed0: u64, seed1: u64): void {
    if (this.size != 0) throw new Error("seed: the map has entries");
    store<u64>(this.at + SEED, seed0);
    store<u64>(this.at + SEED, seed1, 8);
  }

  has(key: K): bool {
    return this.find(key) != 0;
  }

  /** The value under `key`; a record is the one in state. Fails with "no such entry" where there is none. */
  get(key: K): V {
    const slot = this.find(key);
    if (slot == 0) fail("no such entry", 0, FAILURE_MISSING);
    return this.valueOf(slot);
  }

  /** The value under `key`, after adding one of zero bytes where there is none. Fails with "full". */
  getOrAdd(key: K): V {
    const slot = this.find(key);
    return this.valueOf(slot != 0 ? slot : this.insert(key));
  }

  /** Puts a copy of `value` under `key`. Fails with "full". */
  set(key: K, value: V): void {
    const slot = this.find(key);
    storeValue<V>((slot != 0 ? slot : this.insert(key)) + this.valueOffset, value);
  }

  /**
   * Removes what is under `key`; whether there was anything. A record that was got from there must not be
   * used again.
   */
  delete(key: K): bool {
    const found = this.find(key);
    if (found == 0) return false;
    for (let slot = this.home(key); slot != found; slot = this.after(slot)) {
      store<u32>(slot, load<u32>(slot, PASSED) - 1, PASSED);
    }
    store<u32>(found, 0);
    memory.fill(found + KEY, 0, this.stride - <u32>KEY);
    accumulateU64(this.at, 1, true);
    return true;
  }

  /**
   * The position of the first entry behind `position`, 0 for the beginning; 0 if there is none. The order is
   * that of the table: equal operations give equal orders. Each slot that is passed over costs a few gas.
   *
   *   for (let at = map.next(0); at != 0; at = map.next(at)) total += map.valueAt(at);
   */
  next(position: u32): u32 {
    for (; position < this.slots; position++) {
      if (load<u32>(this.slot(position)) != 0) return position + 1;
    }
    return 0;
  }

  /** The key of the entry at a position that `next` gave. */
  keyAt(position: u32): K {
    return loadValue<K>(this.entry(position) + KEY);
  }

  /** The value of the entry at a position that `next` gave. */
  valueAt(position: u32): V {
    return this.valueOf(this.entry(position));
  }

  // ---- inside ---------------------------------------------------------------------------------------------

  @inline
  private get stride(): u32 {
    return roundUp(<u32>this.valueOffset + bytesOf<V>(), LINE_BYTES);
  }

  @inline
  private get valueOffset(): usize {
    return KEY + roundUp(bytesOf<K>(), 8);
  }

  @inline
  private slot(index: u32): usize {
    return this.at + SLOTS + <usize>index * this.stride;
  }

  @inline
  private valueOf(slot: usize): V {
    return loadValue<V>(slot + this.valueOffset);
  }

  /** The slot where a search for `key` begins. */
  private home(key: K): usize {
    const hash = sipHash<K>(key, load<u64>(this.at + SEED), load<u64>(this.at + SEED, 8));
    return this.slot(<u32>(((hash >> 32) * <u64>this.slots) >> 32));
  }

  @inline
  private after(slot: usize): usize {
    const next = slot + this.stride;
    return next == this.end ? this.at + SLOTS : next;
  }

  private entry(position: u32): usize {
    const slot = this.slot(position - 1);
    if (position > this.slots || position == 0 || load<u32>(slot) == 0)
      fail("no such entry", 0, FAILURE_MISSING);
    return slot;
  }

  private find(key: K): usize {
    for (let slot = this.home(key); ; slot = this.after(slot)) {
      if (load<u32>(slot) != 0 && sameValue<K>(slot + KEY, key)) return slot;
      if (load<u32>(slot, PASSED) == 0) return 0;
    }
    return 0;
  }

  /**
   * Adds `key`, which is not there, in the first slot that is free; there is one, for not all may be in use.
   */
  private insert(key: K): usize {
    if (!accumulateU64(this.at, 1, false, 0, this.capacity)) fail("full", 0, FAILURE_FULL);
    let slot = this.home(key);
    for (; load<u32>(slot) != 0; slot = this.after(slot)) {
      store<u32>(slot, load<u32>(slot, PASSED) + 1, PASSED);
    }
    store<u32>(slot, 1);
    storeValue<K>(slot + KEY, key);
    return slot;
  }
}
