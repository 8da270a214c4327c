/**
 * Collection: finds the space of objects that no root reaches and hands it out again as holes.
 *
 * Mark and sweep over the whole heap, by one thread, while no other thread runs a job. Roots are given as a
 * BLOB of references. Every reference that is not under a root is invalid afterwards: the generation grows,
 * and code that remembers references (slots, allocation regions) forgets them when it sees that, except for
 * those that the marks still show. Who names a stub whose object is here by now names the object afterwards.
 *
 * Where memory is short it goes the other way as well: pages that lie in a store become stubs again. A stub
 * takes a unit, a page 65: the first page that goes becomes a stub where it lies, and the rest of it is room
 * for the stubs of the next 64.
 */

import { assert } from "../errors.ts";
import {
  CHUNK_UNITS,
  CONTROL_GENERATION,
  CONTROL_TOP,
  HEADER_REFERENCES,
  HEADER_STORED,
  type Heap,
  KIND_FREE,
  KIND_PAGE,
  KIND_STUB,
  type Ref,
  referencesOf,
  UNIT_WORDS,
} from "./heap.ts";
import { Holes } from "./holes.ts";
import { pauseLoader, resumeLoader, STUB_FAILED, STUB_TARGET } from "./stub.ts";

/** A reference that is worth keeping as long as another one is reachable. */
export interface WeakPair {
  readonly start: Ref;
  readonly result: Ref;
}

/**
 * Frees what is not reachable from `heap.roots`, nor from the `result` of a pair whose `start` is reachable.
 * Returns for each pair whether it is. Pages that lie in one of `stores` (their bits) become stubs.
 */
export function collect(heap: Heap, pairs: readonly WeakPair[] = [], stores = 0): boolean[] {
  pauseLoader(heap.control);
  const { marks } = heap;
  marks.fill(0, 0, Math.ceil(heap.top / 8));
  const eviction = new Eviction(heap, stores);
  mark(heap, marks, [...heap.roots], eviction);
  // A result may hold the start of another pair: until nothing new is reached.
  const alive = pairs.map(() => false);
  for (let grew = true; grew; ) {
    grew = false;
    pairs.forEach(({ start, result }, i) => {
      if (alive[i] || !marked(marks, start)) return;
      alive[i] = true;
      grew = true;
      mark(heap, marks, [result], eviction);
    });
  }
  sweep(heap, marks);
  Atomics.add(heap.control, CONTROL_GENERATION, 1);
  heap.refresh();
  resumeLoader(heap.control);
  return alive;
}

function marked(marks: Uint8Array, ref: Ref): boolean {
  return ((marks[ref >>> 3] as number) & (1 << (ref & 7))) !== 0;
}

function mark(heap: Heap, marks: Uint8Array, stack: Ref[], eviction: Eviction): void {
  const words = heap.words;
  for (let ref = stack.pop(); ref !== undefined; ref = stack.pop()) {
    if (ref === 0) continue;
    const byte = ref >>> 3;
    const bit = 1 << (ref & 7);
    if (((marks[byte] as number) & bit) !== 0) continue;
    marks[byte] = (marks[byte] as number) | bit;
    const at = ref * UNIT_WORDS;
    if (((words[at] as number) & 255) === KIND_STUB) {
      const target = targetOf(words, ref);
      if (target === ref) continue;
      words[at + STUB_TARGET] = target;
      stack.push(target);
      continue;
    }
    const references = words[at + HEADER_REFERENCES] as number;
    const first = referencesOf(words, ref);
    for (let i = first; i < first + references; i++) {
      const next = words[i] as number;
      if (next === 0) continue;
      const target = eviction.of(targetOf(words, next));
      if (target !== next) words[i] = target;
      stack.push(target);
    }
  }
}

/** What a stub leads to, over others if need be, as far as that is here already; else `ref` itself. */
function targetOf(words: Uint32Array, ref: Ref): Ref {
  for (let at = ref; ; ) {
    if (((words[at * UNIT_WORDS] as number) & 255) !== KIND_STUB) return at;
    const target = words[at * UNIT_WORDS + STUB_TARGET] as number;
    if (target === 0 || target >= STUB_FAILED) return at;
    at = target;
  }
}

/** Makes stubs of pages. */
class Eviction {
  readonly #words: Uint32Array;
  readonly #heap: Heap;
  readonly #stores: number;
  /** Room for stubs, in units. */
  #room: Ref = 0;
  #left = 0;

  constructor(heap: Heap, stores: number) {
    this.#heap = heap;
    this.#words = heap.words;
    this.#stores = stores;
  }

  /** What stands for an object from now on: a stub for a page that lies in a store. */
  of(ref: Ref): Ref {
    const words = this.#words;
    const at = ref * UNIT_WORDS;
    if (((words[at + HEADER_STORED] as number) & this.#stores) === 0) return ref;
    if (this.#heap.kind(ref) !== KIND_PAGE) return ref;
    if (this.#left === 0) {
      this.#room = ref + 1;
      this.#left = this.#heap.units(ref) - 1;
      this.#free();
      words[at] = (1 << 8) | KIND_STUB;
      return ref;
    }
    const stub = this.#room++;
    this.#left--;
    this.#free();
    // Its hash, and the stores where it lies.
    words.copyWithin(stub * UNIT_WORDS + 1, at + 1, at + UNIT_WORDS);
    words[stub * UNIT_WORDS] = (1 << 8) | KIND_STUB;
    // Nobody names the page itself any more: who meets it names the stub.
    words[at + STUB_TARGET] = stub;
    words[at] = ((this.#heap.units(ref) << 8) | KIND_STUB) >>> 0;
    return stub;
  }

  /** The room that is left can be walked over. */
  #free(): void {
    if (this.#left === 0) return;
    this.#words[this.#room * UNIT_WORDS + HEADER_REFERENCES] = 0;
    this.#words[this.#room * UNIT_WORDS] = ((this.#left << 8) | KIND_FREE) >>> 0;
  }
}

function sweep(heap: Heap, marks: Uint8Array): void {
  const { words, control } = heap;
  const end = heap.top;
  const holes = new Holes(heap);
  let start = 0;
  for (let ref = CHUNK_UNITS; ref < end; ) {
    const units = (words[ref * UNIT_WORDS] as number) >>> 8;
    const live = marked(marks, ref);
    if (!live) {
      start ||= ref;
    } else if (start !== 0) {
      holes.add(start, ref);
      start = 0;
    }
    assert(units > 0, "collect: the heap cannot be walked");
    ref += units;
  }
  // What is free at the end is nobody's again.
  if (start !== 0) Atomics.store(control, CONTROL_TOP, start | 0);
}
