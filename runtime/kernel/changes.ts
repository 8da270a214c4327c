/**
 * What changed leaves of a table cost. They are added in ascending order, each before the work that it stands
 * for is done, so that a walk stops at the first one that cannot be paid.
 */

import type { Heap, Ref } from "../heap/heap.ts";
import { tableDiff } from "../heap/table.ts";
import { readPage } from "../image/memory.ts";
import { PAGE_BYTES } from "../limits.ts";
import { LINE_BYTES } from "../units.ts";
import { COST_CHILD_CHANGED, COST_NODE, COST_PAGE_CHANGED } from "./gas.ts";
import type { RawLine } from "./trace.ts";

/** Pays for leaves that changed, one by one. */
export interface Payer {
  /** Leaf `index` changed, which lies above those added before; false if it cannot be paid. */
  add(index: number): boolean;
}

/** For leaves that were paid before. */
export const PAID: Payer = { add: () => true };

/** Bits of an index that the three lower levels of a table stand for. */
const LEVELS = [5, 10, 15];

/** Changed leaves of one table: each costs the same, and so does each node above them but the top one. */
export class Changes implements Payer {
  readonly #leafCost: number;
  readonly #limit: number;
  #cost = 0;
  #last = -1;

  /** `limit`: what all of them may cost. */
  constructor(leafCost: number, limit = Number.POSITIVE_INFINITY) {
    this.#leafCost = leafCost;
    this.#limit = limit;
  }

  /** What those added cost, the refused one included. */
  get cost(): number {
    return this.#cost;
  }

  add(index: number): boolean {
    this.#cost += this.#leafCost;
    for (const bits of LEVELS) {
      if (this.#last < 0 || index >>> bits !== this.#last >>> bits) this.#cost += COST_NODE;
    }
    this.#last = index;
    return this.#cost <= this.#limit;
  }
}

/** How a memory has become another one. */
export interface MemoryChange {
  readonly cost: number;
  /** How many pages more are present. */
  readonly more: number;
}

/** The pages in which the memory `after` differs from `before`. */
export function changeOf(heap: Heap, before: Ref, after: Ref): MemoryChange {
  const changes = new Changes(COST_PAGE_CHANGED);
  let more = 0;
  tableDiff(heap, before, after, (index, old, now) => {
    changes.add(index);
    more += (now === 0 ? 0 : 1) - (old === 0 ? 0 : 1);
  });
  return { cost: changes.cost, more };
}

/** Lines below the address `end`, at most `limit`, in which `after` differs from `before`. */
export function changedLines(heap: Heap, before: Ref, after: Ref, end: number, limit: number): RawLine[] {
  const lines: RawLine[] = [];
  const [was, is] = [Buffer.alloc(PAGE_BYTES), Buffer.alloc(PAGE_BYTES)];
  tableDiff(heap, before, after, (index, old, now) => {
    const address = index * PAGE_BYTES;
    if (address >= end || lines.length === limit) return;
    readPage(heap, old, was);
    readPage(heap, now, is);
    addChangedLines(lines, limit, address, was, is);
  });
  return lines;
}

/** Adds to `lines`, up to `limit` of them, those of a page at `address` in which `is` differs from `was`. */
export function addChangedLines(
  lines: RawLine[],
  limit: number,
  address: number,
  was: Buffer,
  is: Buffer,
): void {
  for (let at = 0; at < PAGE_BYTES && lines.length < limit; at += LINE_BYTES) {
    const line = is.subarray(at, at + LINE_BYTES);
    if (line.equals(was.subarray(at, at + LINE_BYTES))) continue;
    lines.push({ address: address + at, bytes: line.toString("hex") });
  }
}

/** What children cost that changed, by number. */
export function costOfChildren(changed: readonly { readonly number: number }[]): number {
  const changes = new Changes(COST_CHILD_CHANGED);
  for (const { number } of changed) changes.add(number);
  return changes.cost;
}
