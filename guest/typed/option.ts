/** A value that may be missing, for parameters and results of contracts. */

import { FAILURE_MISSING, fail } from "../fail";

/** `Option.some<u64>(7)`, or `Option.none<u64>()`. */
@unmanaged
@final
export class Option<T> {
  constructor(
    public readonly isSome: bool,
    private readonly content: T,
  ) {}

  static some<T>(value: T): Option<T> {
    return new Option<T>(true, value);
  }

  static none<T>(): Option<T> {
    const none = heap.alloc(offsetof<Option<T>>());
    memory.fill(none, 0, offsetof<Option<T>>());
    return changetype<Option<T>>(none);
  }

  /** What is there. Fails with "no such entry" if nothing is. */
  get value(): T {
    if (!this.isSome) fail("no such entry", 0, FAILURE_MISSING);
    return this.content;
  }
}
