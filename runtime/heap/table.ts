/**
 * Tables: persistent arrays of references, radix 32, always four levels, indexes below 2^20.
 *
 * One structure serves a process's memory (index: page number, leaf: page) and its children (index: child number, leaf:
 * process record). It is the Merkle tree as well: a table's hash is its top node's. A node is an object with 32
 * references; a subtree without leaves is reference 0, so equal contents always have equal shape. Updates copy the path, and
 * walks over two tables skip every subtree that both share: costs follow what changed.
 */

import { type Heap, KIND_NODE, type Ref, UNIT_WORDS } from "./heap.ts";

export const TABLE_LIMIT = 1 << 20;
const TOP_SHIFT = 15;
const FANOUT = 32;
const NODE_BYTES = FANOUT * 4;

/** The leaf at `index`, 0 if there is none. */
export function tableGet(heap: Heap, root: Ref, index: number): Ref {
  const words = heap.words;
  let node = root;
  for (let shift = TOP_SHIFT; shift >= 0; shift -= 5) {
    if (node === 0) return 0;
    node = words[node * UNIT_WORDS + UNIT_WORDS + ((index >>> shift) & 31)] as number;
  }
  return node;
}

/**
 * The table with `leaves[i]` at `indexes[i]` (0 removes), for i below `count`; `indexes` ascend strictly. Returns `root` itself if
 * nothing differs.
 */
export function tableUpdate(
  heap: Heap,
  root: Ref,
  indexes: ArrayLike<number>,
  leaves: ArrayLike<number>,
  count: number,
): Ref {
  return count === 0 ? root : update(heap, root, TOP_SHIFT, indexes, leaves, 0, count);
}

function update(
  heap: Heap,
  node: Ref,
  shift: number,
  indexes: ArrayLike<number>,
  leaves: ArrayLike<number>,
  from: number,
  to: number,
): Ref {
  const words = heap.words;
  const base = node * UNIT_WORDS + UNIT_WORDS;
  let copy = 0;
  let at = from;
  while (at < to) {
    const position = ((indexes[at] as number) >>> shift) & 31;
    let end = at + 1;
    while (end < to && (((indexes[end] as number) >>> shift) & 31) === position) end++;
    const old = node === 0 ? 0 : (words[base + position] as number);
    const next =
      shift === 0 ? (leaves[at] as number) : update(heap, old, shift - 5, indexes, leaves, at, end);
    if (next !== old) {
      if (copy === 0) copy = copyNode(heap, node);
      words[copy * UNIT_WORDS + UNIT_WORDS + position] = next;
    }
    at = end;
  }
  if (copy === 0) return node;
  const start = copy * UNIT_WORDS + UNIT_WORDS;
  for (let i = 0; i < FANOUT; i++) if (words[start + i] !== 0) return copy;
  return 0;
}

function copyNode(heap: Heap, node: Ref): Ref {
  const copy = heap.allocate(KIND_NODE, NODE_BYTES, FANOUT);
  const words = heap.words;
  const to = copy * UNIT_WORDS + UNIT_WORDS;
  if (node === 0) {
    for (let i = 0; i < FANOUT; i++) words[to + i] = 0;
  } else {
    const from = node * UNIT_WORDS + UNIT_WORDS;
    for (let i = 0; i < FANOUT; i++) words[to + i] = words[from + i] as number;
  }
  return copy;
}

/** Calls `visit(index, a, b)` in ascending order for every index whose leaves differ by reference. */
export function tableDiff(
  heap: Heap,
  a: Ref,
  b: Ref,
  visit: (index: number, a: Ref, b: Ref) => void,
  shift = TOP_SHIFT,
  prefix = 0,
): void {
  if (a === b) return;
  const words = heap.words;
  const baseA = a * UNIT_WORDS + UNIT_WORDS;
  const baseB = b * UNIT_WORDS + UNIT_WORDS;
  for (let i = 0; i < FANOUT; i++) {
    const left = a === 0 ? 0 : (words[baseA + i] as number);
    const right = b === 0 ? 0 : (words[baseB + i] as number);
    if (left === right) continue;
    const index = prefix | (i << shift);
    if (shift === 0) visit(index, left, right);
    else tableDiff(heap, left, right, visit, shift - 5, index);
  }
}

/** How many leaves differ by reference. */
export function tableDiffCount(heap: Heap, a: Ref, b: Ref, shift = TOP_SHIFT): number {
  if (a === b) return 0;
  const words = heap.words;
  const baseA = a * UNIT_WORDS + UNIT_WORDS;
  const baseB = b * UNIT_WORDS + UNIT_WORDS;
  let count = 0;
  for (let i = 0; i < FANOUT; i++) {
    const left = a === 0 ? 0 : (words[baseA + i] as number);
    const right = b === 0 ? 0 : (words[baseB + i] as number);
    if (left !== right) count += shift === 0 ? 1 : tableDiffCount(heap, left, right, shift - 5);
  }
  return count;
}
