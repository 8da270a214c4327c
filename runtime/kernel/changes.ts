/**
 * What changed leaves of a table cost. They are added in ascending order, each before the work that it stands
 * for is done, so that a walk stops at the first one that cannot be paid.
 */

import type { Heap, Ref } from "../heap/heap.ts";
import { tableDiff } from "../heap/table.ts";
import { COST_PAGE_CHANGED } from "./gas.ts";

/** What is told of changed leaves. */
export interface Payer {
  /** Leaf `index` changed, which lies above those added before; false if it cannot be paid. */
  add(index: number): boolean;
}

/** For leaves that were paid before. */
export const PAID: Payer = { add: () => true };

/** Changed pages of a memory. */
export class Changes implements Payer {
  readonly #limit: number;
  #cost = 0;

  /** `limit`: what all of them may cost. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** What those added cost, the refused one included. */
  get cost(): number {
    return this.#cost;
  }

  add(_index: number): boolean {
    this.#cost += COST_PAGE_CHANGED;
    return this.#cost <= this.#limit;
  }
}

/** What it costs that the memory `before` has become `after`. */
export function costOfChanges(heap: Heap, before: Ref, after: Ref): number {
  const changes = new Changes(Number.POSITIVE_INFINITY);
  tableDiff(heap, before, after, (index) => changes.add(index));
  return changes.cost;
}
