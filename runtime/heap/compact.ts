/**
 * Compaction: moves live objects to the start of the heap, so that nearly all free space is one piece.
 *
 * Without it the heap may be full although most of it is free: one page that is kept in each mebibyte leaves
 * no room for an object of two. A guest decides which pages are kept, so a heap is compacted before a block
 * fails for want of room (chain/collector.ts).
 *
 * Objects keep their order and move down, past the `pinned` ones, which are named from outside of the heap
 * and stay. It needs no space. It must not be interrupted, so the main thread does it, and no worker, which
 * may be killed. It follows a collection directly, before any object is made; no thread is at work, and each
 * forgets what it remembers of the heap. It takes the time of reading the live objects twice and copying them
 * once.
 */

import { assert } from "../errors.ts";
import {
  CHUNK_UNITS,
  CONTROL_GENERATION,
  CONTROL_TOP,
  HEADER_HASHED,
  HEADER_REFERENCES,
  type Heap,
  KIND_FREE,
  KIND_STUB,
  type Ref,
  referencesOf,
  UNIT_WORDS,
} from "./heap.ts";
import { Holes } from "./holes.ts";
import { pauseLoader, resumeLoader, STUB_FAILED, STUB_TARGET } from "./stub.ts";

/**
 * Moves all objects but the `pinned`. Every reference from outside of the heap to another object is invalid
 * afterwards, even if a root reaches that. All objects must be reachable: `collect` has freed the others.
 */
export function compact(heap: Heap, pinned: ReadonlySet<Ref>): void {
  pauseLoader(heap.control);
  try {
    const places = place(heap, pinned);
    rename(heap);
    move(heap);
    release(heap, places);
    // By two: a thread that takes it for one collection would trust the marks of the last one.
    Atomics.add(heap.control, CONTROL_GENERATION, 2);
    heap.refresh();
  } finally {
    resumeLoader(heap.control);
  }
}

/** Gaps before pinned objects, and where the last object ends. */
interface Places {
  readonly gaps: readonly (readonly [ref: Ref, units: number])[];
  readonly end: Ref;
}

/** Calls `visit` for each object, in the order of addresses. */
function each(heap: Heap, visit: (ref: Ref, units: number, kind: number) => void): void {
  const { words, top } = heap;
  for (let ref = CHUNK_UNITS; ref < top; ) {
    const word = words[ref * UNIT_WORDS] as number;
    const units = word >>> 8;
    assert(units > 0, "compact: the heap cannot be walked");
    if ((word & 255) !== KIND_FREE) visit(ref, units, word & 255);
    ref += units;
  }
}

/**
 * Decides where each object will lie: where it lies now, or below. The place is kept in its header, beside
 * the bit that says whether it is hashed, until it has moved.
 */
function place(heap: Heap, pinned: ReadonlySet<Ref>): Places {
  const { words } = heap;
  const fixed = [...pinned].filter((ref) => ref !== 0).sort((a, b) => a - b);
  const gaps: [Ref, number][] = [];
  let next = CHUNK_UNITS;
  let ahead = 0;
  /** Continues after the next pinned object. */
  const pass = (): void => {
    const ref = fixed[ahead++] as Ref;
    if (ref > next) gaps.push([next, ref - next]);
    setPlace(words, ref, ref);
    next = ref + heap.units(ref);
  };
  each(heap, (ref, units) => {
    if (pinned.has(ref)) {
      while (ahead < fixed.length && (fixed[ahead] as Ref) <= ref) pass();
      return;
    }
    while (ahead < fixed.length && next + units > (fixed[ahead] as Ref)) pass();
    assert(next <= ref, "compact: an object would move up");
    setPlace(words, ref, next);
    next += units;
  });
  assert(ahead === fixed.length, "compact: a root is no object");
  return { gaps, end: next };
}

/** Words of headers are 32 bits, and places are below 2^31 from the first chunk on. */
function setPlace(words: Uint32Array, ref: Ref, to: Ref): void {
  const at = ref * UNIT_WORDS + HEADER_HASHED;
  words[at] = (2 * (to - CHUNK_UNITS) + (words[at] as number)) >>> 0;
}

function placeOf(words: Uint32Array, ref: Ref): Ref {
  return ((words[ref * UNIT_WORDS + HEADER_HASHED] as number) >>> 1) + CHUNK_UNITS;
}

/** Writes the new places into all references. */
function rename(heap: Heap): void {
  const { words } = heap;
  each(heap, (ref, _units, kind) => {
    const at = ref * UNIT_WORDS;
    if (kind === KIND_STUB) {
      const target = words[at + STUB_TARGET] as number;
      if (target !== 0 && target < STUB_FAILED) words[at + STUB_TARGET] = placeOf(words, target);
      return;
    }
    const first = referencesOf(words, ref);
    const end = first + (words[at + HEADER_REFERENCES] as number);
    for (let i = first; i < end; i++) {
      const named = words[i] as number;
      if (named !== 0) words[i] = placeOf(words, named);
    }
  });
}

/** Moves all objects to their places, the lowest first: an object only overwrites what has moved already. */
function move(heap: Heap): void {
  const { words } = heap;
  each(heap, (ref, units) => {
    const to = placeOf(words, ref);
    words[ref * UNIT_WORDS + HEADER_HASHED] = (words[ref * UNIT_WORDS + HEADER_HASHED] as number) & 1;
    if (to !== ref) words.copyWithin(to * UNIT_WORDS, ref * UNIT_WORDS, (ref + units) * UNIT_WORDS);
  });
}

/** Makes a hole of the free space before each pinned object; that behind the last object is unused. */
function release(heap: Heap, { gaps, end }: Places): void {
  const holes = new Holes(heap);
  for (const [gap, length] of gaps) holes.add(gap, gap + length);
  Atomics.store(heap.control, CONTROL_TOP, end | 0);
}
