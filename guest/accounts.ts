/**
 * A table of accounts by 20-byte address that lives in memory: state that is there again at the next
 * activation.
 *
 * Records are 64 bytes, numbered in the order in which they were added, never moved and never removed, so an
 * address of a record stays good:  0  [20] address   20  u32 flags   24  u64 nonce   32  u256 balance
 * They stand in segments of SEGMENT_RECORDS; an index with open addressing finds them. Index entry, 8 bytes:
 *   0  u32 tag, high half of the hash   4  u32 record number + 1, 0: empty
 * The hash is SipHash-1-3 over the whole address under the table's key: who chooses addresses cannot choose
 * where they fall without searching, and if the key is not known in advance, not at all. Equal operations
 * give equal memory.
 *
 * A table lies on the heap, or with all it has in a region that is given to it: the state of a program that
 * takes batches. Then items that find different accounts do not disturb each other; those that add some do.
 * In a region record n lies n × RECORD_BYTES behind start + RECORDS_OFFSET, so that reports of batches can
 * name it (numbers beyond the count stand for the index, which lies at the region's end):
 *
 *   export const STATE_ACCOUNTS: usize = TABLE + RECORDS_OFFSET;
 *   export const STATE_ACCOUNTS_STRIDE: u32 = RECORD_BYTES;
 */

import { PAGE_BYTES, STUB_RUNTIME, allocatePages } from "./pages.ts";

export const RECORD_FLAGS: usize = 20;
export const RECORD_NONCE: usize = 24;
export const RECORD_BALANCE: usize = 32;
export const RECORD_BYTES: u32 = 64;

const SEGMENT_RECORDS: u32 = 4096;
const SEGMENT_SHIFT: u32 = 12;
const SEGMENTS: u32 = 16384;

/** Lookups that findMany has under way at once. */
const MANY: u32 = 32;
const manyHashes: usize = memory.data(256, 8);
/** Keeps the compiler from leaving out the loads that only warm the cache. */
const manyTouched: usize = memory.data(4, 4);

/** A counter that changes lies in a line of 64 bytes of its own, beside nothing that is only read. */
const LINE_BYTES: usize = 64;
const KEY_0: u64 = 0x736f6d6570736575;
const KEY_1: u64 = 0x646f72616e646f6d;

/** Bytes of the list of segments and of the counter. */
const LIST_BYTES: usize = SEGMENTS * 4 + <u32>LINE_BYTES;
/** Where the records of a table in a region begin, behind the region's begin. */
export const RECORDS_OFFSET: usize = LINE_BYTES + LIST_BYTES;

@unmanaged
export class Accounts {
  private index: usize = 0;
  /** Entries of the index - 1; a power of two - 1. */
  private mask: u32 = 0;
  /** Addresses of the segments, u32 each. Behind them the number of accounts, u32. */
  private segments: usize = 0;
  /**
   * What of the region is not yet used: records fill it from its start, indexes from its end. Both 0: the
   * table lies on the heap.
   */
  private free: usize = 0;
  private end: usize = 0;
  private key0: u64 = 0;
  private key1: u64 = 0;

  /** On the heap. `capacity`: accounts to make room for at once. The key (key0, key1) seeds the hash. */
  constructor(capacity: u32 = 0, key0: u64 = KEY_0, key1: u64 = KEY_1) {
    this.begin(0, 0, capacity, key0, key1);
  }

  /**
   * The table in the `length` bytes at `start`, which is divisible by 64; where all is zero, a new one. Only
   * who adds accounts writes there. Aborts when the region is full.
   */
  static within(start: usize, length: usize, key0: u64 = KEY_0, key1: u64 = KEY_1): Accounts {
    const table = changetype<Accounts>(start);
    if (table.segments == 0) table.begin(start, start + length, 0, key0, key1);
    return table;
  }

  /** Number of accounts. */
  get count(): u32 {
    return load<u32>(this.counter);
  }

  /** The record added as number `number`, 0 to count - 1. */
  at(number: u32): usize {
    if (number >= this.count) throw new Error("accounts: no such record");
    return this.record(number);
  }

  /** The record of the 20-byte address at `address`, or 0. */
  find(address: usize): usize {
    const hash = this.hash(address);
    const entry = this.probe(address, hash);
    const number = load<u32>(entry, 4);
    return number ? this.record(number - 1) : 0;
  }

  /** The record of the 20-byte address at `address`; a new one has flags, nonce and balance zero. */
  findOrAdd(address: usize): usize {
    const hash = this.hash(address);
    const entry = this.probe(address, hash);
    const number = load<u32>(entry, 4);
    return number ? this.record(number - 1) : this.add(entry, address, hash);
  }

  /**
   * Finds the records of `count` addresses, `stride` bytes apart from `addresses`, and writes them to
   * `target`, u32 each, 0 where there is none. The cache misses overlap: a transfer between two of 100,000
   * accounts takes 255 ns instead of 655.
   */
  findMany(addresses: usize, stride: u32, count: u32, target: usize): void {
    for (; count > MANY; count -= MANY) {
      this.findMany(addresses, stride, MANY, target);
      addresses += MANY * stride;
      target += MANY * 4;
    }
    for (let i: u32 = 0; i < count; i++) {
      const hash = this.hash(addresses + i * stride);
      store<u64>(manyHashes + (i << 3), hash);
      store<u32>(target + (i << 2), load<u32>(this.index + ((<u32>hash & this.mask) << 3), 4));
    }
    // The first record on the way is most often the right one.
    let touched: u32 = 0;
    for (let i: u32 = 0; i < count; i++) {
      const number = load<u32>(target + (i << 2));
      if (number) touched += load<u32>(this.record(number - 1));
    }
    store<u32>(manyTouched, touched);
    for (let i: u32 = 0; i < count; i++) {
      const number = load<u32>(this.probe(addresses + i * stride, load<u64>(manyHashes + (i << 3))), 4);
      store<u32>(target + (i << 2), number ? <u32>this.record(number - 1) : 0);
    }
  }

  // ---- inside ---------------------------------------------------------------------------------------------

  private begin(start: usize, end: usize, capacity: u32, key0: u64, key1: u64): void {
    this.index = 0;
    this.free = end == 0 ? 0 : start + RECORDS_OFFSET;
    this.end = end;
    this.key0 = key0;
    this.key1 = key1;
    this.segments = end == 0 ? heap.alloc(LIST_BYTES) : start + LINE_BYTES;
    store<u32>(this.counter, 0);
    let entries: u32 = 1024;
    while ((entries / 4) * 3 < capacity && entries < 0x4000000) entries *= 2;
    this.rebuild(entries);
  }

  /** Whole lines at the region's end; they are zero. */
  private takeFromEnd(length: usize): usize {
    this.need(length);
    this.end = (this.end - length) & ~(LINE_BYTES - 1);
    return this.end;
  }

  /** A segment where the last one ends. */
  private takeSegment(length: usize): usize {
    this.need(length);
    this.free += length;
    return this.free - length;
  }

  private need(length: usize): void {
    if (this.free > this.end || length > this.end - this.free)
      throw new Error("accounts: the region is full");
  }

  @inline
  private get counter(): usize {
    return this.segments + SEGMENTS * sizeof<u32>();
  }

  @inline
  private record(number: u32): usize {
    const segment = load<u32>(this.segments + ((number >> SEGMENT_SHIFT) << 2));
    return segment + (number & (SEGMENT_RECORDS - 1)) * RECORD_BYTES;
  }

  /**
   * The index entry of that address, or the empty one where it belongs. At least a quarter of the index is
   * empty.
   */
  private probe(address: usize, hash: u64): usize {
    const tag = <u32>(hash >> 32);
    for (let slot = <u32>hash & this.mask; ; slot = (slot + 1) & this.mask) {
      const entry = this.index + (slot << 3);
      const number = load<u32>(entry, 4);
      if (number == 0) return entry;
      if (load<u32>(entry) == tag && sameAddress(this.record(number - 1), address)) return entry;
    }
    return 0;
  }

  private add(entry: usize, address: usize, hash: u64): usize {
    const number = this.count;
    if ((number & (SEGMENT_RECORDS - 1)) == 0) this.addSegment(number >> SEGMENT_SHIFT);
    const record = this.record(number);
    memory.copy(record, address, RECORD_FLAGS);
    store<u32>(entry, <u32>(hash >> 32));
    store<u32>(entry, number + 1, 4);
    store<u32>(this.counter, number + 1);
    if (number >= ((this.mask + 1) >> 2) * 3) this.rebuild((this.mask + 1) << 1);
    return record;
  }

  private addSegment(number: u32): void {
    if (number >= SEGMENTS) throw new Error("accounts: table is full");
    const length = SEGMENT_RECORDS * RECORD_BYTES;
    const segment = this.end ? this.takeSegment(length) : allocatePages(length);
    store<u32>(this.segments + (number << 2), <u32>segment);
  }

  private rebuild(entries: u32): void {
    const old = this.index;
    this.index = this.end ? this.takeFromEnd(entries * 8) : heap.alloc(entries * 8);
    this.mask = entries - 1;
    if (this.end == 0) memory.fill(this.index, 0, entries * 8);
    const count = this.count;
    for (let number: u32 = 0; number < count; number++) {
      const hash = this.hash(this.record(number));
      let slot = <u32>hash & this.mask;
      while (load<u32>(this.index + (slot << 3), 4)) slot = (slot + 1) & this.mask;
      store<u32>(this.index + (slot << 3), <u32>(hash >> 32));
      store<u32>(this.index + (slot << 3), number + 1, 4);
    }
    if (old && this.end == 0 && ASC_RUNTIME != STUB_RUNTIME) heap.free(old);
  }

  /** SipHash-1-3 of the 20 bytes (the last word carries the length, as the algorithm asks). */
  private hash(address: usize): u64 {
    let v0 = this.key0;
    let v1 = this.key1;
    let v2 = this.key0 ^ 0x6c7967656e657261;
    let v3 = this.key1 ^ 0x7465646279746573;
    for (let i: u32 = 0; i < 6; i++) {
      let word: u64 = 0;
      if (i < 2) word = load<u64>(address + (i << 3));
      else if (i == 2) word = <u64>load<u32>(address, 16) | ((<u64>20) << 56);
      if (i == 3) v2 ^= 0xff;
      v3 ^= word;
      v0 += v1;
      v2 += v3;
      v1 = rotl<u64>(v1, 13) ^ v0;
      v3 = rotl<u64>(v3, 16) ^ v2;
      v0 = rotl<u64>(v0, 32);
      v2 += v1;
      v0 += v3;
      v1 = rotl<u64>(v1, 17) ^ v2;
      v3 = rotl<u64>(v3, 21) ^ v0;
      v2 = rotl<u64>(v2, 32);
      v0 ^= word;
    }
    return v0 ^ v1 ^ v2 ^ v3;
  }
}

function sameAddress(a: usize, b: usize): bool {
  const low = (load<u64>(a) ^ load<u64>(b)) | (load<u64>(a, 8) ^ load<u64>(b, 8));
  return (low | <u64>(load<u32>(a, 16) ^ load<u32>(b, 16))) == 0;
}
