/**
 * Walking two tables side by side, which may lie in two heaps: equal parts, by object or by hash, are
 * skipped, so the cost follows the difference. Both must be hashed, as those of blocks are, and nothing may
 * be collected meanwhile: the walk is synchronous.
 */

import { HEADER_HASH, type Heap, type Ref, referencesOf, UNIT_WORDS } from "../heap/heap.ts";
import { NODE_BITMAP, TABLE_LIMIT } from "../heap/table.ts";
import { TOP_SHIFT } from "../units.ts";

/** An object of a heap; reference 0: none. */
export interface Side {
  readonly heap: Heap;
  readonly ref: Ref;
}

/** Takes an index and what is there on both sides, 0: nothing. False ends the walk. */
export type Visit = (index: number, a: Ref, b: Ref) => boolean;

/**
 * Calls `visit` for the leaves that differ from the index `from` on and below `end`, ascending. Returns false
 * if `visit` ended the walk.
 */
export function eachDifference(a: Side, b: Side, visit: Visit, from = 0, end = TABLE_LIMIT): boolean {
  return walk(a.heap, a.ref, b.heap, b.ref, visit, { from, end }, TOP_SHIFT, 0);
}

/** Calls `visit` for the leaves of one table, as above. */
export function eachLeaf(
  { heap, ref }: Side,
  visit: (index: number, leaf: Ref) => boolean,
  from = 0,
  end = TABLE_LIMIT,
): boolean {
  return eachDifference({ heap, ref: 0 }, { heap, ref }, (index, _, leaf) => visit(index, leaf), from, end);
}

interface Range {
  readonly from: number;
  readonly end: number;
}

function walk(
  heapA: Heap,
  rootA: Ref,
  heapB: Heap,
  rootB: Ref,
  visit: Visit,
  range: Range,
  shift: number,
  prefix: number,
): boolean {
  if (sameObject(heapA, rootA, heapB, rootB)) return true;
  const a = rootA === 0 ? 0 : heapA.resolve(rootA);
  const b = rootB === 0 ? 0 : heapB.resolve(rootB);
  const bitmapA = a === 0 ? 0 : (heapA.words[a * UNIT_WORDS + NODE_BITMAP] as number);
  const bitmapB = b === 0 ? 0 : (heapB.words[b * UNIT_WORDS + NODE_BITMAP] as number);
  let atA = referencesOf(heapA.words, a);
  let atB = referencesOf(heapB.words, b);
  for (let rest = bitmapA | bitmapB; rest !== 0; rest &= rest - 1) {
    const bit = rest & -rest;
    const left = (bitmapA & bit) === 0 ? 0 : (heapA.words[atA++] as number);
    const right = (bitmapB & bit) === 0 ? 0 : (heapB.words[atB++] as number);
    const index = prefix | ((31 - Math.clz32(bit)) << shift);
    if (index >= range.end) return true;
    if (index + 2 ** shift <= range.from || sameObject(heapA, left, heapB, right)) continue;
    const goesOn =
      shift === 0
        ? visit(index, left, right)
        : walk(heapA, left, heapB, right, visit, range, shift - 5, index);
    if (!goesOn) return false;
  }
  return true;
}

/** Whether two objects are the same one, or have the same hash. */
export function sameObject(heapA: Heap, a: Ref, heapB: Heap, b: Ref): boolean {
  if (a === 0 || b === 0) return a === b;
  if (heapA === heapB && a === b) return true;
  const atA = a * UNIT_WORDS + HEADER_HASH;
  const atB = b * UNIT_WORDS + HEADER_HASH;
  for (let i = 0; i < 8; i++) if (heapA.words[atA + i] !== heapB.words[atB + i]) return false;
  return true;
}
