/**
 * Tables: persistent arrays of references, radix 32, always four levels, indexes below 2^20.
 *
 * One structure serves a process's memory (index: page number, leaf: page) and its children (index: child
 * number, leaf: process record). It is the Merkle tree as well: a table's hash is its top node's. A subtree
 * without leaves is reference 0, so equal contents always have equal shape. Updates copy the path (but see
 * OwnNodes), and walks over two tables skip every subtree that both share: costs follow what changed.
 *
 * A node holds only the children it has, and keeps their hashes beside their references:
 *   header word 5   bitmap of the children that are present
 *   header word 6   bitmap of those whose hash is filled in (image/hash.ts does it; a copied path takes them
 *                   along)
 *   payload         one reference for each present child, ascending · one hash of 32 bytes for each
 * A node with one child has no payload: its reference is in header word 7, and the hash is read where the
 * child has it, in its own header. (The table of a process with one page is four such nodes.)
 * So hashing a node reads one stretch of memory, not 32 objects all over the heap (each of these reads is a
 * cache and a TLB miss: a leaf node cost 6 µs that way, and costs 1.2 µs this way), and a table with few
 * leaves is small; and two nodes that are not the same object can be compared child by child without a look
 * at the children, which may not even be here (stub.ts).
 */

import { assert } from "../errors.ts";
import { TABLE_LIMIT, TOP_SHIFT } from "../units.ts";
import { COUNTING, work } from "../work.ts";
import {
  HEADER_HASH,
  HEADER_HASHED,
  HEADER_REFERENCES,
  type Heap,
  KIND_NODE,
  type Ref,
  referencesOf,
  UNIT_WORDS,
  unitsOf,
} from "./heap.ts";

const counting = COUNTING;

export { TABLE_LIMIT };
export const NODE_BITMAP = 5;
export const NODE_HASHED = 6;
const FANOUT = 32;
const HASH_WORDS = 8;
const CHILD_BYTES = 4 + 4 * HASH_WORDS;

/**
 * What the update in progress puts at each position of the node of each level; one row a level, for update
 * recurses.
 */
const replaced = Array.from({ length: 4 }, () => new Uint32Array(FANOUT));

/** How many bits are set. */
export function popcount(bits: number): number {
  let n = bits - ((bits >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** The leaf at `index`, 0 if there is none. */
export function tableGet(heap: Heap, root: Ref, index: number): Ref {
  let node = root;
  for (let shift = TOP_SHIFT; shift >= 0; shift -= 5) {
    if (node === 0) return 0;
    if (counting) work.nodesVisited++;
    node = childOf(heap.words, heap.resolve(node), (index >>> shift) & 31);
  }
  return node;
}

function childOf(words: Uint32Array, node: Ref, position: number): Ref {
  const at = node * UNIT_WORDS;
  const bitmap = words[at + NODE_BITMAP] as number;
  const bit = 1 << position;
  return (bitmap & bit) === 0
    ? 0
    : (words[referencesOf(words, node) + popcount(bitmap & (bit - 1))] as number);
}

/** Word where the hashes of the children of a node begin, one after the other. */
export function childHashes(words: Uint32Array, node: Ref): number {
  const count = words[node * UNIT_WORDS + HEADER_REFERENCES] as number;
  const children = referencesOf(words, node);
  return count === 1 ? (words[children] as number) * UNIT_WORDS + HEADER_HASH : children + count;
}

/** Nodes of a table that nobody else can reach: an update writes them in place. */
export interface OwnNodes {
  readonly nodes: Set<Ref>;
  /** Is called before a node is made, with its size in units. */
  readonly pay: (units: number) => void;
}

/** A node with the children of `bitmap`; the caller writes them, and the hashes of those in `hashed`. */
export function allocateNode(heap: Heap, bitmap: number, hashed: number): Ref {
  const count = popcount(bitmap);
  const node = heap.allocate(KIND_NODE, nodeBytes(count), count);
  heap.words[node * UNIT_WORDS + NODE_BITMAP] = bitmap;
  heap.words[node * UNIT_WORDS + NODE_HASHED] = hashed;
  return node;
}

/** Bytes of the payload of a node with so many children. */
function nodeBytes(count: number): number {
  return count === 1 ? 0 : count * CHILD_BYTES;
}

/**
 * The table with `leaves[i]` at `indexes[i]` (0 removes), for i below `count`; `indexes` ascend strictly.
 * Returns `root` itself if nothing differs.
 *
 * With `own`, nodes of it are written in place where they keep their shape, and others on the way to
 * `indexes` become own ones, also where a leaf is the same as before: which nodes are made then depends on
 * contents and on earlier updates, not on what is shared.
 */
export function tableUpdate(
  heap: Heap,
  root: Ref,
  indexes: ArrayLike<number>,
  leaves: ArrayLike<number>,
  count: number,
  own: OwnNodes | null = null,
): Ref {
  return count === 0 ? root : update(heap, root, TOP_SHIFT, indexes, leaves, 0, count, own);
}

function update(
  heap: Heap,
  root: Ref,
  shift: number,
  indexes: ArrayLike<number>,
  leaves: ArrayLike<number>,
  from: number,
  to: number,
  own: OwnNodes | null,
): Ref {
  if (counting) work.nodesVisited++;
  const words = heap.words;
  const node = root === 0 ? 0 : heap.resolve(root);
  const row = replaced[shift / 5] as Uint32Array;
  let changed = 0;
  let present = node === 0 ? 0 : (words[node * UNIT_WORDS + NODE_BITMAP] as number);
  for (let at = from; at < to; ) {
    const position = ((indexes[at] as number) >>> shift) & 31;
    let end = at + 1;
    while (end < to && (((indexes[end] as number) >>> shift) & 31) === position) end++;
    const old = node === 0 ? 0 : childOf(words, node, position);
    const next =
      shift === 0 ? (leaves[at] as number) : update(heap, old, shift - 5, indexes, leaves, at, end, own);
    if (next !== old || (own !== null && next !== 0)) {
      const bit = 1 << position;
      row[position] = next;
      changed |= bit;
      if (next === 0) present &= ~bit;
      else present |= bit;
    }
    at = end;
  }
  if (changed === 0) return root;
  if (own === null) return present === 0 ? 0 : rebuild(heap, node, present, changed, row);
  if (own.nodes.has(node)) {
    if (present >>> 0 === words[node * UNIT_WORDS + NODE_BITMAP]) return rewrite(heap, node, changed, row);
    own.nodes.delete(node);
  }
  if (present === 0) return 0;
  own.pay(unitsOf(nodeBytes(popcount(present))));
  const made = rebuild(heap, node, present, changed, row);
  own.nodes.add(made);
  return made;
}

/** Puts the children of `row` in at the positions `changed` of a node that has these positions, in place. */
function rewrite(heap: Heap, node: Ref, changed: number, row: Uint32Array): Ref {
  const words = heap.words;
  const at = node * UNIT_WORDS;
  assert(words[at + HEADER_HASHED] === 0, "table: a node that was published is not written in place");
  const bitmap = words[at + NODE_BITMAP] as number;
  const to = referencesOf(words, node);
  for (let rest = changed; rest !== 0; rest &= rest - 1) {
    const position = 31 - Math.clz32(rest & -rest);
    words[to + popcount(bitmap & ((1 << position) - 1))] = row[position] as number;
  }
  words[at + NODE_HASHED] = (words[at + NODE_HASHED] as number) & ~changed;
  return node;
}

/** A node like `node` with the children of `row` at the positions `changed`. */
function rebuild(heap: Heap, node: Ref, present: number, changed: number, row: Uint32Array): Ref {
  if (counting) work.nodesMade++;
  const words = heap.words;
  const count = popcount(present);
  const before = node === 0 ? 0 : (words[node * UNIT_WORDS + NODE_BITMAP] as number);
  // Another thread may be filling hashes in: those it has announced are there.
  const hashed = node === 0 ? 0 : Atomics.load(words, node * UNIT_WORDS + NODE_HASHED) & ~changed & present;
  const copy = allocateNode(heap, present, hashed);
  const to = referencesOf(words, copy);
  const from = referencesOf(words, node);
  if (present >>> 0 === before && count > 1) {
    words.copyWithin(to, from, from + count * (1 + HASH_WORDS));
    for (let rest = changed; rest !== 0; rest &= rest - 1) {
      const position = 31 - Math.clz32(rest & -rest);
      words[to + popcount(present & ((1 << position) - 1))] = row[position] as number;
    }
    return copy;
  }
  const hashes = node === 0 ? 0 : childHashes(words, node);
  let i = 0;
  for (let rest = present; rest !== 0; rest &= rest - 1, i++) {
    const bit = rest & -rest;
    const position = 31 - Math.clz32(bit);
    if ((changed & bit) !== 0) {
      words[to + i] = row[position] as number;
      continue;
    }
    const old = popcount(before & (bit - 1));
    words[to + i] = words[from + old] as number;
    if ((hashed & bit) === 0 || count === 1) continue;
    const hashTo = to + count + i * HASH_WORDS;
    const hashFrom = hashes + old * HASH_WORDS;
    for (let j = 0; j < HASH_WORDS; j++) words[hashTo + j] = words[hashFrom + j] as number;
  }
  return copy;
}

/**
 * The table with the leaves of `low` below `index` and those of `high` from there on. Everything is shared
 * but the path to `index`: at most a node a level is made, whatever the tables hold.
 */
export function tableJoin(heap: Heap, low: Ref, high: Ref, index: number): Ref {
  assert(index >= 0 && index <= TABLE_LIMIT, "table: joined beyond its end");
  return index === TABLE_LIMIT ? low : join(heap, low, high, index, TOP_SHIFT);
}

function join(heap: Heap, low: Ref, high: Ref, index: number, shift: number): Ref {
  if (low === high || (index & ((1 << (shift + 5)) - 1)) === 0) return high;
  const { words } = heap;
  const [a, b] = [low, high].map((ref) => (ref === 0 ? 0 : heap.resolve(ref))) as [Ref, Ref];
  const middle = (index >>> shift) & 31;
  const children: Ref[] = [];
  let bitmap = 0;
  for (let position = 0; position < FANOUT; position++) {
    const [left, right] = [a, b].map((node) => (node === 0 ? 0 : childOf(words, node, position))) as [
      Ref,
      Ref,
    ];
    const isMiddle = position === middle && shift > 0;
    const child = isMiddle ? join(heap, left, right, index, shift - 5) : position < middle ? left : right;
    if (child === 0) continue;
    children.push(child);
    bitmap |= 1 << position;
  }
  if (bitmap === 0) return 0;
  const node = allocateNode(heap, bitmap, 0);
  words.set(children, referencesOf(words, node));
  return node;
}

/**
 * Calls `visit(index, a, b)` in ascending order for every index from `from` to `end` - 1 whose leaves differ:
 * by reference, and by hash where both are hashed. Subtrees outside of that range are not looked at.
 */
export function tableDiff(
  heap: Heap,
  rootA: Ref,
  rootB: Ref,
  visit: (index: number, a: Ref, b: Ref) => void,
  from = 0,
  end = TABLE_LIMIT,
  shift = TOP_SHIFT,
  prefix = 0,
): void {
  if (from >= end || rootA === rootB || (shift === TOP_SHIFT && sameHash(heap, rootA, rootB))) return;
  if (counting) work.nodesVisited++;
  const words = heap.words;
  const a = rootA === 0 ? 0 : heap.resolve(rootA);
  const b = rootB === 0 ? 0 : heap.resolve(rootB);
  const bitmapA = a === 0 ? 0 : (words[a * UNIT_WORDS + NODE_BITMAP] as number);
  const bitmapB = b === 0 ? 0 : (words[b * UNIT_WORDS + NODE_BITMAP] as number);
  let atA = referencesOf(words, a);
  let atB = referencesOf(words, b);
  for (let rest = bitmapA | bitmapB; rest !== 0; rest &= rest - 1) {
    const bit = rest & -rest;
    const left = (bitmapA & bit) === 0 ? 0 : (words[atA++] as number);
    const right = (bitmapB & bit) === 0 ? 0 : (words[atB++] as number);
    const index = prefix | ((31 - Math.clz32(bit)) << shift);
    if (index >= end) break;
    if (left === right || index + (1 << shift) <= from) continue;
    if (left !== 0 && right !== 0 && sameChild(words, a, atA - 1, b, atB - 1, bit)) continue;
    if (shift === 0) visit(index, left, right);
    else tableDiff(heap, left, right, visit, from, end, shift - 5, index);
  }
}

/** How many leaves differ, as tableDiff finds them. */
export function tableDiffCount(heap: Heap, rootA: Ref, rootB: Ref, shift = TOP_SHIFT): number {
  if (rootA === rootB || (shift === TOP_SHIFT && sameHash(heap, rootA, rootB))) return 0;
  if (counting) work.nodesVisited++;
  const words = heap.words;
  const a = rootA === 0 ? 0 : heap.resolve(rootA);
  const b = rootB === 0 ? 0 : heap.resolve(rootB);
  const bitmapA = a === 0 ? 0 : (words[a * UNIT_WORDS + NODE_BITMAP] as number);
  const bitmapB = b === 0 ? 0 : (words[b * UNIT_WORDS + NODE_BITMAP] as number);
  let atA = referencesOf(words, a);
  let atB = referencesOf(words, b);
  let count = 0;
  for (let rest = bitmapA | bitmapB; rest !== 0; rest &= rest - 1) {
    const bit = rest & -rest;
    const left = (bitmapA & bit) === 0 ? 0 : (words[atA++] as number);
    const right = (bitmapB & bit) === 0 ? 0 : (words[atB++] as number);
    if (left === right) continue;
    if (left !== 0 && right !== 0 && sameChild(words, a, atA - 1, b, atB - 1, bit)) continue;
    count += shift === 0 ? 1 : tableDiffCount(heap, left, right, shift - 5);
  }
  return count;
}

/** Whether both objects are hashed, and alike. */
function sameHash({ words }: Heap, a: Ref, b: Ref): boolean {
  if (a === 0 || b === 0) return false;
  const atA = a * UNIT_WORDS;
  const atB = b * UNIT_WORDS;
  if (words[atA + HEADER_HASHED] !== 1 || words[atB + HEADER_HASHED] !== 1) return false;
  // They may be being hashed just now: what was announced is there.
  if (Atomics.load(words, atA + HEADER_HASHED) !== Atomics.load(words, atB + HEADER_HASHED)) return false;
  return equalHashes(words, atA + HEADER_HASH, atB + HEADER_HASH);
}

/** The same for two children of nodes `a` and `b`, whose references are at words `atA` and `atB`. */
function sameChild(words: Uint32Array, a: Ref, atA: number, b: Ref, atB: number, bit: number): boolean {
  const nodeA = a * UNIT_WORDS;
  const nodeB = b * UNIT_WORDS;
  if (((words[nodeA + NODE_HASHED] as number) & (words[nodeB + NODE_HASHED] as number) & bit) === 0)
    return false;
  if ((Atomics.load(words, nodeA + NODE_HASHED) & Atomics.load(words, nodeB + NODE_HASHED) & bit) === 0) {
    return false;
  }
  const hashA = childHashes(words, a) + (atA - referencesOf(words, a)) * HASH_WORDS;
  const hashB = childHashes(words, b) + (atB - referencesOf(words, b)) * HASH_WORDS;
  return equalHashes(words, hashA, hashB);
}

function equalHashes(words: Uint32Array, a: number, b: number): boolean {
  for (let i = 0; i < HASH_WORDS; i++) if (words[a + i] !== words[b + i]) return false;
  return true;
}
