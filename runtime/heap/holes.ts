/** What a collection or a compaction finds free, made walkable and listed as holes for threads to fill. */

import {
  CONTROL_HOLE_LIST,
  CONTROL_HOLE_UNITS,
  CONTROL_HOLES,
  HEADER_REFERENCES,
  type Heap,
  HOLE_UNITS_MINIMUM,
  HOLES_LIMIT,
  KIND_FREE,
  OBJECT_UNITS_LIMIT,
  type Ref,
  UNIT_WORDS,
} from "./heap.ts";

/** A new list of holes. Nobody else allocates meanwhile. */
export class Holes {
  readonly #heap: Heap;
  #count = 0;
  #units = 0;

  constructor(heap: Heap) {
    this.#heap = heap;
  }

  /** From `from` to before `to` all is free. */
  add(from: Ref, to: Ref): void {
    const { words, control } = this.#heap;
    // From the end to the beginning: the heap can be walked at every moment, also if this thread is killed.
    for (let rest = to - from; rest > 0; ) {
      const units = rest % OBJECT_UNITS_LIMIT || OBJECT_UNITS_LIMIT;
      rest -= units;
      const at = from + rest;
      words[at * UNIT_WORDS + HEADER_REFERENCES] = 0;
      words[at * UNIT_WORDS] = ((units << 8) | KIND_FREE) >>> 0;
      if (units < HOLE_UNITS_MINIMUM || this.#count === HOLES_LIMIT) continue;
      control[CONTROL_HOLE_LIST + 2 * this.#count] = at;
      control[CONTROL_HOLE_LIST + 2 * this.#count + 1] = units;
      this.#count++;
      this.#units += units;
    }
  }

  /** The list is complete. */
  publish(): void {
    const { control } = this.#heap;
    control[CONTROL_HOLES] = this.#count;
    control[CONTROL_HOLE_UNITS] = this.#units;
  }
}
