/** A set in state, of fixed capacity: a StateMap without values. */

import { StateMap } from "./map";

@unmanaged
@final
export class StateSet<K> {
  private map: StateMap<K, bool>;

  /** For up to `capacity` keys; as StateMap's. */
  constructor(capacity: u32, at: usize = 0) {
    this.map = new StateMap<K, bool>(capacity, at);
  }

  get capacity(): u32 {
    return this.map.capacity;
  }

  /** Where it lies. */
  get at(): usize {
    return this.map.at;
  }

  /** The address behind it, a multiple of 64. */
  get end(): usize {
    return this.map.end;
  }

  /** Number of keys. An item that reads it waits for those before that add or delete. */
  get size(): u32 {
    return this.map.size;
  }

  /** As StateMap's. */
  seed(seed0: u64, seed1: u64): void {
    this.map.seed(seed0, seed1);
  }

  has(key: K): bool {
    return this.map.has(key);
  }

  /** Adds `key`; whether it was not there. Fails with "full". */
  add(key: K): bool {
    if (this.map.has(key)) return false;
    this.map.set(key, true);
    return true;
  }

  /** Removes `key`; whether it was there. */
  delete(key: K): bool {
    return this.map.delete(key);
  }

  /** The position of the first key behind `position`, as StateMap's. */
  next(position: u32): u32 {
    return this.map.next(position);
  }

  /** The key at a position that `next` gave. */
  keyAt(position: u32): K {
    return this.map.keyAt(position);
  }
}
