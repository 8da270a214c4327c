/**
 * Compaction: moves what is alive to the beginning of the heap, so that all that is free is one piece.
 *
 * Without it the heap may be full although most of it is free: one page that is kept in each mebibyte leaves
 * no room for an object of two. A guest decides which pages are kept, so a heap is compacted before a block
 * fails for want of room (chain/collector.ts).
 *
 * Objects keep their order and slide down, over those that stay: the `pinned`, which are named from outside
 * of the heap. It needs no space. It must not be interrupted, so the main thread does it, which no block
 * outlives, right behind a collection and before anybody makes an object; no thread is at work, and each
 * forgets all that it remembers of the heap. Time is that of reading what is alive twice and copying it once.
 */

import { assert } from "../errors.ts";
import {
  CHUNK_UNITS,
  CONTROL_GENERATION,
  CONTROL_HOLE_LIST,
  CONTROL_HOLE_UNITS,
  CONTROL_HOLES,
  CONTROL_TOP,
  HEADER_HASHED,
  HEADER_REFERENCES,
  type Heap,
  HOLE_UNITS_MINIMUM,
  HOLES_LIMIT,
  KIND_FREE,
  KIND_STUB,
  OBJECT_UNITS_LIMIT,
  type Ref,
  referencesOf,
  UNIT_WORDS,
} from "./heap.ts";
import { pauseLoader, resumeLoader, STUB_FAILED, STUB_TARGET } from "./stub.ts";

/**
 * Moves all objects but the `pinned`. Every reference to another one is invalid afterwards, also where it is
 * under a root. All objects must be reachable: `collect` has freed the others.
 */
export function compact(heap: Heap, pinned: ReadonlySet<Ref>): void {
  pauseLoader(heap.control);
  try {
    const places = place(heap, pinned);
    rename(heap);
    move(heap);
    release(heap, places);
    // Twice: whoever saw the collection before is not misled by its marks.
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

/** Calls `visit` for each object, in the order of places. */
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
 * Decides where each object will lie: no later than where it lies. That stands in its header, beside the bit
 * that says whether it is hashed, until it is there.
 */
function place(heap: Heap, pinned: ReadonlySet<Ref>): Places {
  const { words } = heap;
  const fixed = [...pinned].filter((ref) => ref !== 0).sort((a, b) => a - b);
  const gaps: [Ref, number][] = [];
  let next = CHUNK_UNITS;
  let ahead = 0;
  /** Goes on behind the next pinned object. */
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

/** Brings all objects to their places, the lowest first: each comes to lie where nothing is any more. */
function move(heap: Heap): void {
  const { words } = heap;
  each(heap, (ref, units) => {
    const to = placeOf(words, ref);
    words[ref * UNIT_WORDS + HEADER_HASHED] = (words[ref * UNIT_WORDS + HEADER_HASHED] as number) & 1;
    if (to !== ref) words.copyWithin(to * UNIT_WORDS, ref * UNIT_WORDS, (ref + units) * UNIT_WORDS);
  });
}

/** What is free is a hole where it lies before a pinned object, else nobody's. */
function release({ words, control }: Heap, { gaps, end }: Places): void {
  let holes = 0;
  let holeUnits = 0;
  for (const [gap, length] of gaps) {
    for (let ref = gap; ref < gap + length; ref += OBJECT_UNITS_LIMIT) {
      const units = Math.min(OBJECT_UNITS_LIMIT, gap + length - ref);
      words[ref * UNIT_WORDS + HEADER_REFERENCES] = 0;
      words[ref * UNIT_WORDS] = ((units << 8) | KIND_FREE) >>> 0;
      if (units < HOLE_UNITS_MINIMUM || holes === HOLES_LIMIT) continue;
      control[CONTROL_HOLE_LIST + 2 * holes] = ref;
      control[CONTROL_HOLE_LIST + 2 * holes + 1] = units;
      holes++;
      holeUnits += units;
    }
  }
  control[CONTROL_HOLES] = holes;
  control[CONTROL_HOLE_UNITS] = holeUnits;
  Atomics.store(control, CONTROL_TOP, end | 0);
}
