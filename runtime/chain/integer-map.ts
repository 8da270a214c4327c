/**
 * A map from integers to values that never changes: every operation returns another one, which shares all but
 * the path to what differs. A copy is a reference, so versions of a large map cost what they differ in.
 *
 * A big-endian Patricia tree (Okasaki and Gill, Fast Mergeable Integer Maps, 1998): a branch tests the
 * highest bit in which its keys differ. Its depth is at most 32, and for n keys in a row log2(n). Invariants:
 * a branch has two children; keys below `left` have `bit` clear, those below `right` have it set; all share
 * the bits above it, which are the branch's `key`. Maps with equal keys have equal shapes.
 */

import { assert } from "../errors.ts";

/** Keys are integers from 0 to here. */
export const KEY_MAX = 0xffffffff;

interface Leaf<T> {
  readonly bit: 0;
  readonly key: number;
  readonly value: T;
}

interface Branch<T> {
  /** A power of two, as an unsigned number. */
  readonly bit: number;
  readonly key: number;
  readonly left: Node<T>;
  readonly right: Node<T>;
}

type Node<T> = Leaf<T> | Branch<T>;
type Tree<T> = Node<T> | null;

export class IntegerMap<T> {
  readonly #tree: Tree<T>;

  private constructor(tree: Tree<T>) {
    this.#tree = tree;
  }

  static empty<T>(): IntegerMap<T> {
    return new IntegerMap<T>(null);
  }

  get isEmpty(): boolean {
    return this.#tree === null;
  }

  get(key: number): T | undefined {
    let node = this.#tree;
    while (node !== null && isBranch(node)) node = (key & node.bit) === 0 ? node.left : node.right;
    return node !== null && node.key === key ? node.value : undefined;
  }

  set(key: number, value: T): IntegerMap<T> {
    assert(Number.isInteger(key) && key >= 0 && key <= KEY_MAX, "integer map: a key is out of range");
    return new IntegerMap<T>(union(this.#tree, { bit: 0, key, value }, (_, given) => given));
  }

  delete(key: number): IntegerMap<T> {
    return this.#with(join(below(this.#tree, key), above(this.#tree, key + 1)));
  }

  /** The part with keys less than `end`. */
  below(end: number): IntegerMap<T> {
    return this.#with(below(this.#tree, end));
  }

  /** The part with keys of at least `start`. */
  from(start: number): IntegerMap<T> {
    return this.#with(above(this.#tree, start));
  }

  /** Both maps in one; costs what of their key ranges overlaps. */
  union(other: IntegerMap<T>, combine: (own: T, given: T) => T): IntegerMap<T> {
    return this.#with(union(this.#tree, other.#tree, combine));
  }

  /** The lowest key, -1 if there is none. */
  get first(): number {
    let node = this.#tree;
    while (node !== null && isBranch(node)) node = node.left;
    return node === null ? -1 : node.key;
  }

  /** The highest key, -1 if there is none. */
  get last(): number {
    let node = this.#tree;
    while (node !== null && isBranch(node)) node = node.right;
    return node === null ? -1 : node.key;
  }

  /** The values, by ascending keys. */
  *values(): Generator<T> {
    const stack: Tree<T>[] = [this.#tree];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (node === null) continue;
      if (isBranch(node)) stack.push(node.right, node.left);
      else yield node.value;
    }
  }

  /** The values that are not shared with `other`, and perhaps some that are; costs what differs. */
  *valuesNotIn(other: IntegerMap<T>): Generator<T> {
    const stack: [Tree<T>, Tree<T>][] = [[this.#tree, other.#tree]];
    for (let pair = stack.pop(); pair !== undefined; pair = stack.pop()) {
      const [own, before] = pair;
      if (own === null || own === before) continue;
      if (!isBranch(own)) {
        const isSame = before !== null && isBranch(before) && covers(before, own.key);
        if (isSame) stack.push([own, childFor(before, own.key)]);
        else yield own.value;
      } else if (before === null || !isBranch(before) || before.bit < own.bit) {
        // What of the other is below one of the children belongs to that.
        const isLeft = before !== null && (before.key & own.bit) === 0;
        stack.push([own.right, isLeft ? null : before], [own.left, isLeft ? before : null]);
      } else if (before.bit === own.bit && before.key === own.key) {
        stack.push([own.right, before.right], [own.left, before.left]);
      } else stack.push([own, covers(before, own.key) ? childFor(before, own.key) : null]);
    }
  }

  #with(tree: Tree<T>): IntegerMap<T> {
    return tree === this.#tree ? this : new IntegerMap<T>(tree);
  }
}

function isBranch<T>(node: Node<T>): node is Branch<T> {
  return node.bit !== 0;
}

/** What all keys below a branch that tests `bit` share with `key`. */
function prefixOf(key: number, bit: number): number {
  return (key & ~((bit << 1) - 1)) >>> 0;
}

/** Whether `key` may be below the branch. */
function covers<T>(branch: Branch<T>, key: number): boolean {
  return prefixOf(key, branch.bit) === branch.key;
}

function childFor<T>({ bit, left, right }: Branch<T>, key: number): Node<T> {
  return (key & bit) === 0 ? left : right;
}

/** A branch over two trees whose keys are `a` and `b` and differ above both. */
function fork<T>(a: Node<T>, b: Node<T>): Branch<T> {
  const bit = (1 << (31 - Math.clz32(a.key ^ b.key))) >>> 0;
  const key = prefixOf(a.key, bit);
  return (a.key & bit) === 0 ? { bit, key, left: a, right: b } : { bit, key, left: b, right: a };
}

/** The branch with other children, itself where they are the same. */
function withChildren<T>(branch: Branch<T>, left: Tree<T>, right: Tree<T>): Tree<T> {
  if (left === branch.left && right === branch.right) return branch;
  if (left === null) return right;
  return right === null ? left : { ...branch, left, right };
}

function below<T>(tree: Tree<T>, end: number): Tree<T> {
  if (tree === null || end <= tree.key) return null;
  if (!isBranch(tree) || end > tree.key + 2 * tree.bit - 1) return tree;
  return withChildren(tree, below(tree.left, end), below(tree.right, end));
}

function above<T>(tree: Tree<T>, start: number): Tree<T> {
  if (tree === null || start <= tree.key) return tree;
  if (!isBranch(tree) || start > tree.key + 2 * tree.bit - 1) return null;
  return withChildren(tree, above(tree.left, start), above(tree.right, start));
}

/** Two trees in one, of which the first has the lower keys. */
function join<T>(low: Tree<T>, high: Tree<T>): Tree<T> {
  return union(low, high, (own) => own);
}

function union<T>(a: Tree<T>, b: Tree<T>, combine: (a: T, b: T) => T): Tree<T> {
  if (a === null || a === b) return b;
  if (b === null) return a;
  if (!isBranch(a) && !isBranch(b)) {
    return a.key === b.key ? { bit: 0, key: a.key, value: combine(a.value, b.value) } : fork(a, b);
  }
  if (isBranch(a) && isBranch(b) && a.bit === b.bit && a.key === b.key) {
    return withChildren(a, union(a.left, b.left, combine), union(a.right, b.right, combine));
  }
  // The one that tests the higher bit takes the other in, if it may.
  if (isBranch(a) && a.bit > b.bit && covers(a, b.key)) {
    return (b.key & a.bit) === 0
      ? withChildren(a, union(a.left, b, combine), a.right)
      : withChildren(a, a.left, union(a.right, b, combine));
  }
  if (isBranch(b) && b.bit > a.bit && covers(b, a.key)) {
    return (a.key & b.bit) === 0
      ? withChildren(b, union(a, b.left, combine), b.right)
      : withChildren(b, b.left, union(a, b.right, combine));
  }
  return fork(a, b);
}
