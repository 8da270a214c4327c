/**
 * Memory that workers share, in steps. Every access is a generator that yields first: between two yields
 * nobody else acts, at a yield anybody may.
 */

/** Something done in steps, between which others may act. */
export type Steps<T> = Generator<undefined, T, void>;

/** Takes all steps at once. */
export function drain<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** A word that workers share. */
export class Shared<T> {
  /** Sees every value that a worker finds; for the model checker. */
  static observe: ((found: unknown) => void) | null = null;

  value: T;

  constructor(value: T) {
    this.value = value;
  }

  *load(): Steps<T> {
    yield;
    return this.see();
  }

  /** A load in the step of the access before it. */
  see(): T {
    Shared.observe?.(this.value);
    return this.value;
  }

  *store(value: T): Steps<void> {
    yield;
    this.value = value;
  }

  /** Stores `value` if `expected` is there; whether it was. */
  *swap(expected: T, value: T): Steps<boolean> {
    yield;
    const same = this.value === expected;
    if (same) this.value = value;
    Shared.observe?.(same);
    return same;
  }

  /** Replaces the value by a function of it; what was there. */
  *change(next: (before: T) => T): Steps<T> {
    yield;
    const before = this.value;
    this.value = next(before);
    Shared.observe?.(before);
    return before;
  }
}
