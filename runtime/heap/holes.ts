/** What a collection or a compaction finds free, made walkable and listed as holes for threads to fill. */

import { HEADER_REFERENCES, type Heap, OBJECT_UNITS_LIMIT, type Ref } from "./heap.ts";
import { clearHoles, giveHole, KIND_FREE, UNIT_WORDS } from "./space.ts";

/** All holes again. Nobody else allocates meanwhile. */
export class Holes {
  readonly #heap: Heap;

  constructor(heap: Heap) {
    this.#heap = heap;
    clearHoles(heap);
  }

  /** From `from` to before `to` all is free. */
  add(from: Ref, to: Ref): void {
    const { words } = this.#heap;
    // From the end to the beginning: the heap can be walked at every moment, also if this thread is killed.
    for (let rest = to - from; rest > 0; ) {
      const units = rest % OBJECT_UNITS_LIMIT || OBJECT_UNITS_LIMIT;
      rest -= units;
      const at = from + rest;
      words[at * UNIT_WORDS + HEADER_REFERENCES] = 0;
      words[at * UNIT_WORDS] = ((units << 8) | KIND_FREE) >>> 0;
      giveHole(this.#heap, at, units);
    }
  }
}
