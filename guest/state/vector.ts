/**
 * A list in state, of fixed capacity. At `at`, a multiple of 64, lie its length, a u64 on a line of its own,
 * and its elements: integers and bool next to each other, all others on lines of their own. What lies behind
 * the last element is zero.
 *
 * Items of a batch that push wait for each other, since each has to know its index. Those that only use
 * elements do not wait for them, except to read the length.
 */

import { FAILURE_FULL, FAILURE_MISSING, fail } from "../fail";
import { LINE_BYTES, bytesOf, checkPlace, loadValue, roundUp, storeValue } from "./layout";

const ELEMENTS: usize = LINE_BYTES;

@unmanaged
@final
export class StateVector<V> {
  [key: number]: V;

  /** For up to `capacity` elements; as StateMap's. */
  constructor(
    public readonly capacity: u32,
    public readonly at: usize = 0,
  ) {
    checkPlace(at, ELEMENTS + <u64>capacity * <u64>this.stride);
  }

  /** The address behind it, a multiple of 64. */
  get end(): usize {
    return this.at + ELEMENTS + roundUp(this.capacity * this.stride, LINE_BYTES);
  }

  /** Number of elements. */
  get length(): u32 {
    return load<u32>(this.at);
  }

  /** Element `index`; a record is the one in state. Fails with "no such entry" at the length and beyond. */
  @operator("[]")
  get(index: u32): V {
    return loadValue<V>(this.element(index));
  }

  /** Copies `value` over element `index`. Fails with "no such entry" at the length and beyond. */
  @operator("[]=")
  set(index: u32, value: V): void {
    storeValue<V>(this.element(index), value);
  }

  /** Adds a copy of `value`; returns its index. Fails with "full". */
  push(value: V): u32 {
    const index = this.length;
    if (index >= this.capacity) fail("full", 0, FAILURE_FULL);
    store<u64>(this.at, index + 1);
    storeValue<V>(this.address(index), value);
    return index;
  }

  /** Adds an element of zero bytes and returns it: the record in state. Fails with "full". */
  add(): V {
    const index = this.length;
    if (index >= this.capacity) fail("full", 0, FAILURE_FULL);
    store<u64>(this.at, index + 1);
    return loadValue<V>(this.address(index));
  }

  /** Removes the last element. Fails with "no such entry" if there is none. */
  pop(): void {
    const index = this.length - 1;
    memory.fill(this.element(index), 0, this.stride);
    store<u64>(this.at, index);
  }

  // ---- inside ---------------------------------------------------------------------------------------------

  @inline
  private get stride(): u32 {
    return isReference<V>() ? roundUp(bytesOf<V>(), LINE_BYTES) : bytesOf<V>();
  }

  @inline
  private address(index: u32): usize {
    return this.at + ELEMENTS + <usize>index * this.stride;
  }

  private element(index: u32): usize {
    if (index >= this.length) fail("no such entry", 0, FAILURE_MISSING);
    return this.address(index);
  }
}
