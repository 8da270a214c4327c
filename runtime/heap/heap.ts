/**
 * The heap: one shared memory of immutable objects, where all state lives.
 *
 * A reference is one u32 in units of 64 bytes, valid in every thread; 0 means absent. An object is written
 * once by the thread that allocates it, then published by a store that others acquire (the job board), and
 * never changes again: only its header may gain a hash. So sharing needs no locks, and a snapshot is a
 * reference that somebody keeps.
 *
 * Object, at reference × 64:
 *   word 0       size in units of 64 bytes, header included (24 bits) · kind (8 bits)
 *   word 1       length of the payload in bytes
 *   word 2       how many references it holds: the leading words of the payload
 *   word 3       1: the hash in words 8-15 is valid
 *   word 4       one bit for each store that holds the object and all it names, see store/README.md
 *   words 5, 6   bitmaps of a table node, see table.ts; of a stub, see stub.ts; else zero
 *   word 7       the reference of an object that has no payload: a table node with one child; else zero
 *   words 8-15   SHA-256 of the object, see image/hash.ts
 *   word 16…     payload
 *
 * Space is handed to threads in regions (a chunk of 1 MiB, or a hole that a collection found); each thread
 * bumps a pointer in its own. What is left of a region always carries the header of a FREE object, so the
 * heap can be walked at any time, also after a thread was killed. A large object gets space of its own, and
 * what a region has left when a thread takes the next one is a hole again: so of what threads make, no more
 * than a sixteenth is lost to space that is too small for the next object.
 *
 * Chunk 0 is not used, so that no object has reference 0.
 *
 * An object that is in a store and was not needed so far is a stub, which holds only its hash. A read
 * at an object's payload goes through `resolve`, which loads the object (`payload` and `length` do it
 * themselves); code that only passes references on need not care.
 */

import { assert, LimitError, StoreError } from "../errors.ts";
import { COUNTING, work } from "../work.ts";
import { part } from "./bytes.ts";
import {
  CONTROL_HOLE_UNITS,
  CONTROL_HOLES,
  clearHoles,
  giveHole,
  HOLE_SIZES,
  HOLE_UNITS_MINIMUM,
  KIND_FREE,
  takeHole,
  UNIT_WORDS,
} from "./space.ts";

export { KIND_FREE, UNIT_WORDS };

const counting = COUNTING;

export type Ref = number;

/** What loads objects that lie in a store, as the heap sees it. How it is done: stub.ts. */
export interface Loader {
  /**
   * The object that `stub` stands for.
   *
   * @throws StoreError (STORE_CORRUPT, STORE_READ, STORE_CLOSED), LimitError (HEAP_FULL)
   */
  load(stub: Ref): Ref;
  /** Asks for an object that is needed soon, if there is room for the request; does not wait. */
  prefetch(stub: Ref): void;
}

/** What hears of pages as they are captured, many one after the other. */
export interface Captures {
  /** Many pages follow. Returns whether it will hear of them; then `end` must be called. */
  begin(): boolean;
  /** A page was written, and changes no more. */
  add(page: Ref): void;
  end(): void;
}

/** For heaps without a store: no stub can be met. */
export const NO_LOADER: Loader = {
  load() {
    throw new StoreError("STORE_CLOSED", "what is asked for lies in a store, and that is closed");
  },
  prefetch() {},
};

export const KIND_PAGE = 1;
export const KIND_NODE = 2;
export const KIND_BLOB = 3;
export const KIND_PROCESS = 4;
export const KIND_STUB = 5;

export const UNIT_BYTES = 64;
export const CHUNK_BYTES = 1 << 20;
export const CHUNK_UNITS = CHUNK_BYTES / UNIT_BYTES;
export const OBJECT_UNITS_LIMIT = (1 << 24) - 1;
/** Larger objects get space of their own: regions lose no more than this at their ends. */
const REGION_OBJECT_UNITS = CHUNK_UNITS / 16;

export const HEADER_LENGTH = 1;
export const HEADER_REFERENCES = 2;
export const HEADER_HASHED = 3;
export const HEADER_STORED = 4;
export const HEADER_REFERENCE = 7;
export const HEADER_HASH = 8;

// Control words, shared by all threads.
/** Where the space begins that nobody has taken so far, in units. */
export const CONTROL_TOP = 0;
export const CONTROL_CHUNKS = 1;
export const CONTROL_GENERATION = 2;
const CONTROL_LOCK = 3;
/** What a collection starts from; written by the main thread, outside the heap, since that may be full. */
const CONTROL_ROOT_COUNT = 6;
/** How threads ask for what stubs stand for: stub.ts. */
export const CONTROL_LOADER = 7;
export const CONTROL_LOADER_STATE = 8;
const CONTROL_ROOT_LIST = CONTROL_HOLES + HOLE_SIZES;
export const ROOTS_LIMIT = 1 << 20;
export const CONTROL_REQUEST_LIST = CONTROL_ROOT_LIST + ROOTS_LIMIT;
/** Stubs that can be asked for at once. */
export const REQUESTS_LIMIT = 1024;
/** Pages that were captured and may be hashed by another thread: image/captures.ts. */
export const CONTROL_CAPTURES = CONTROL_REQUEST_LIST + REQUESTS_LIMIT;
export const CAPTURES_LIMIT = 1 << 14;
export const CAPTURES_OWNER = CONTROL_CAPTURES;
const CONTROL_WORDS = CONTROL_CAPTURES + 3 + CAPTURES_LIMIT;

/** What a thread needs to open the heap; can be posted to workers. */
export interface HeapHandle {
  readonly memory: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
  /** One bit for each unit: what the last collection reached. */
  readonly marks: SharedArrayBuffer;
}

/** The most that every engine can reserve: JavaScriptCore has no memory above 4 GiB. */
export const HEAP_BYTES_EVERYWHERE = 2 ** 32 - CHUNK_BYTES;

/**
 * Reserves address space for a heap of at most `bytes` (rounded up to 1 MiB); the OS commits what is touched.
 *
 * @throws LimitError HOST_MEMORY
 */
export function createHeap(bytes: number): HeapHandle {
  const chunks = Math.ceil(bytes / CHUNK_BYTES) + 1;
  const capacity = chunks * CHUNK_BYTES;
  const memory = reserve(capacity);
  const marks = reserve(capacity / UNIT_BYTES / 8);
  const control = new SharedArrayBuffer(CONTROL_WORDS * 4);
  const words = new Int32Array(control);
  words[CONTROL_TOP] = CHUNK_UNITS;
  words[CONTROL_CHUNKS] = chunks;
  return { memory, control, marks };
}

function reserve(bytes: number): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(bytes, { maxByteLength: bytes });
  } catch (cause) {
    const text =
      `the host could not reserve ${bytes} bytes of address space for the heap. ` +
      'Open with less "heapBytes" (below 4 GiB on Bun), or raise the limit of the system (ulimit -v)';
    throw new LimitError("HOST_MEMORY", text, { bytes }, { cause });
  }
}

/** Space that one thread fills from its start. */
interface Region {
  next: Ref;
  left: number;
}

/** One thread's view of the heap, with the thread's own allocation region. */
export class Heap {
  /** All words; word i of an object's payload is `words[ref * 16 + 16 + i]`. */
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  readonly control: Int32Array;
  readonly marks: Uint8Array;
  /**
   * Grows with every collection; code that remembers references outside the roots must forget them when it
   * changes.
   */
  generation: number;
  /** Of what this thread remembered before `refresh`, all is gone: there was more than one collection. */
  #allGone = false;
  /** Loads what stubs stand for. */
  loader: Loader = NO_LOADER;
  /** Null: nobody wants to hear of pages. */
  captures: Captures | null = null;
  readonly #owner: number;
  /** Records and nodes fill holes into which no page fits any more; pages have a region of their own. */
  readonly #small: Region = { next: 0, left: 0 };
  readonly #large: Region = { next: 0, left: 0 };
  /** The lock is held over several allocations. */
  #locked = false;

  /** `owner` identifies the thread (not 0), so that its lock can be released when it is killed. */
  constructor(handle: HeapHandle, owner: number) {
    assert(owner > 0, "heap: owner");
    this.#owner = owner;
    const length = handle.memory.byteLength;
    this.words = new Uint32Array(handle.memory, 0, length / 4);
    this.bytes = new Uint8Array(handle.memory, 0, length);
    this.control = new Int32Array(handle.control);
    this.marks = new Uint8Array(handle.marks, 0, handle.marks.byteLength);
    this.generation = Atomics.load(this.control, CONTROL_GENERATION);
  }

  /** A new object with undefined payload, which the caller writes before anybody else sees the reference. */
  allocate(kind: number, length: number, references: number): Ref {
    const units = unitsOf(length);
    if (counting) work.heapBytes += units * UNIT_BYTES;
    const region = units < HOLE_UNITS_MINIMUM ? this.#small : this.#large;
    if (units > region.left) {
      if (units > REGION_OBJECT_UNITS) return this.#allocateLarge(kind, length, references, units);
      this.#refill(region, units);
    }
    const ref = region.next;
    region.next = ref + units;
    region.left -= units;
    // The rest becomes a FREE object before the region's first header shrinks to this object: walkable at
    // every moment.
    if (region.left > 0) this.words[(ref + units) * UNIT_WORDS] = (region.left << 8) | KIND_FREE;
    this.#writeHeader(ref, kind, length, references, units);
    return ref;
  }

  /** Whether stubs can be met. */
  get lazy(): boolean {
    return this.control[CONTROL_LOADER_STATE] !== 0;
  }

  /** The object itself, also where `ref` is a stub for it. */
  resolve(ref: Ref): Ref {
    return ((this.words[ref * UNIT_WORDS] as number) & 255) === KIND_STUB ? this.loader.load(ref) : ref;
  }

  kind(ref: Ref): number {
    return (this.words[ref * UNIT_WORDS] as number) & 255;
  }

  units(ref: Ref): number {
    return (this.words[ref * UNIT_WORDS] as number) >>> 8;
  }

  /** Length of the payload in bytes. */
  length(ref: Ref): number {
    return this.words[this.resolve(ref) * UNIT_WORDS + HEADER_LENGTH] as number;
  }

  /** A view of the payload; valid as long as the object is reachable. */
  payload(ref: Ref): Buffer {
    const object = this.resolve(ref);
    const start = object * UNIT_BYTES + UNIT_BYTES;
    return part(this.bytes, start, this.length(object));
  }

  /** A copy of `bytes` as a BLOB. */
  blob(bytes: Uint8Array): Ref {
    if (counting) work.bytesCopied += bytes.length;
    const ref = this.allocate(KIND_BLOB, bytes.length, 0);
    this.bytes.set(bytes, ref * UNIT_BYTES + UNIT_BYTES);
    return ref;
  }

  /**
   * Makes objects on the main thread, which may not wait for another thread: null if one is at the heap's
   * lock just now (it may have died there, and only the main thread can find that out).
   */
  attempt<T>(make: () => T): { readonly value: T } | null {
    if (Atomics.compareExchange(this.control, CONTROL_LOCK, 0, this.#owner) !== 0) return null;
    this.#locked = true;
    try {
      return { value: make() };
    } finally {
      this.#locked = false;
      Atomics.store(this.control, CONTROL_LOCK, 0);
    }
  }

  /** As `blob`, by `attempt`. */
  tryBlob(bytes: Uint8Array): Ref | null {
    return this.attempt(() => this.blob(bytes))?.value ?? null;
  }

  /** The references that the next collection keeps, with all they reach. */
  set roots(refs: ReadonlySet<Ref>) {
    assert(refs.size <= ROOTS_LIMIT, "heap: too many roots");
    let at = CONTROL_ROOT_LIST;
    for (const ref of refs) this.control[at++] = ref;
    Atomics.store(this.control, CONTROL_ROOT_COUNT, refs.size);
  }

  get roots(): Set<Ref> {
    const count = Atomics.load(this.control, CONTROL_ROOT_COUNT);
    const refs = this.control.subarray(CONTROL_ROOT_LIST, CONTROL_ROOT_LIST + count);
    return new Set(Array.from(refs, (ref) => ref >>> 0));
  }

  /** Call when a thread begins a job: after a collection its old region belongs to others. */
  refresh(): void {
    const generation = Atomics.load(this.control, CONTROL_GENERATION);
    if (generation === this.generation) return;
    this.#allGone = generation !== ((this.generation + 1) | 0);
    this.generation = generation;
    this.#small.left = 0;
    this.#large.left = 0;
  }

  /**
   * After `refresh` brought a new generation: whether the object at `ref`, which this thread remembers from
   * before, is still that object, with all it reaches. No is always safe.
   */
  outlived(ref: Ref): boolean {
    return !this.#allGone && ((this.marks[ref >>> 3] as number) & (1 << (ref & 7))) !== 0;
  }

  /** Calls `visit` for every object, also those that nobody reaches. No thread gets new space meanwhile. */
  walk(visit: (ref: Ref) => void): void {
    this.#lock();
    try {
      const end = this.top;
      for (let ref = CHUNK_UNITS; ref < end; ) {
        const units = this.units(ref);
        assert(units > 0, "heap: it cannot be walked");
        if (this.kind(ref) !== KIND_FREE) visit(ref);
        ref += units;
      }
    } finally {
      this.#unlock();
    }
  }

  /** Where the space begins that nobody has taken so far. */
  get top(): Ref {
    return Atomics.load(this.control, CONTROL_TOP) >>> 0;
  }

  /** Bytes handed out to threads and not found free again: an upper bound of what is in use. */
  get usedBytes(): number {
    const taken = (this.top - CHUNK_UNITS) * UNIT_BYTES;
    return taken - (Atomics.load(this.control, CONTROL_HOLE_UNITS) >>> 0) * UNIT_BYTES;
  }

  get limitBytes(): number {
    return ((this.control[CONTROL_CHUNKS] as number) - 1) * CHUNK_BYTES;
  }

  #writeHeader(ref: Ref, kind: number, length: number, references: number, units: number): void {
    const at = ref * UNIT_WORDS;
    const words = this.words;
    words[at + HEADER_LENGTH] = length;
    words[at + HEADER_REFERENCES] = references;
    words[at + HEADER_HASHED] = 0;
    for (let i = 4; i < HEADER_HASH; i++) words[at + i] = 0;
    words[at] = (units << 8) | kind;
  }

  #refill(region: Region, units: number): void {
    this.#lock();
    try {
      if (region.left > 0) giveHole(this, region.next, region.left);
      region.left = 0;
      const hole = takeHole(this, units);
      region.next = hole === 0 ? this.#takeTop(units, CHUNK_UNITS) : hole;
      region.left = this.#split(region.next, CHUNK_UNITS);
    } finally {
      this.#unlock();
    }
  }

  #allocateLarge(kind: number, length: number, references: number, units: number): Ref {
    assert(units <= OBJECT_UNITS_LIMIT - CHUNK_UNITS, "heap: object too large");
    this.#lock();
    try {
      const hole = takeHole(this, units);
      const ref = hole === 0 ? this.#takeTop(units, units) : hole;
      this.#split(ref, units);
      this.#writeHeader(ref, kind, length, references, units);
      return ref;
    } finally {
      this.#unlock();
    }
  }

  /** Hands what free space has over `units` out again as a hole; returns how much is left. */
  #split(ref: Ref, units: number): number {
    const rest = this.units(ref) - units;
    if (rest <= 0) return this.units(ref);
    this.words[(ref + units) * UNIT_WORDS] = (rest << 8) | KIND_FREE;
    this.words[ref * UNIT_WORDS] = (units << 8) | KIND_FREE;
    giveHole(this, ref + units, rest);
    return units;
  }

  /** Space that nobody has taken so far: `wanted` units, or what is left if that is at least `units`. */
  #takeTop(units: number, wanted: number): Ref {
    const ref = this.top;
    const left = (this.control[CONTROL_CHUNKS] as number) * CHUNK_UNITS - ref;
    if (left < units) throw heapFull(this);
    const taken = Math.min(wanted, left);
    this.words[ref * UNIT_WORDS] = ((taken << 8) | KIND_FREE) >>> 0;
    Atomics.store(this.control, CONTROL_TOP, (ref + taken) | 0);
    return ref;
  }

  #lock(): void {
    if (this.#locked) return;
    for (let spins = 0; Atomics.compareExchange(this.control, CONTROL_LOCK, 0, this.#owner) !== 0; spins++) {
      if (spins > 1000) Atomics.wait(this.control, CONTROL_LOCK, this.control[CONTROL_LOCK] as number, 1);
    }
  }

  #unlock(): void {
    if (!this.#locked) Atomics.store(this.control, CONTROL_LOCK, 0);
  }

  /**
   * Frees what a thread that no longer exists held: the lock, and the ring of captured pages. Holes, of which
   * it may have half moved one, wait for the next collection.
   */
  releaseLockOf(owner: number): void {
    Atomics.compareExchange(this.control, CAPTURES_OWNER, owner, 0);
    if (Atomics.load(this.control, CONTROL_LOCK) !== owner) return;
    clearHoles(this);
    Atomics.store(this.control, CONTROL_LOCK, 0);
  }
}

/** Units of an object with so many bytes of payload. */
export function unitsOf(length: number): number {
  return Math.ceil(length / UNIT_BYTES) + 1;
}

/** Word where the references of the object at `ref` begin. */
export function referencesOf(words: Uint32Array, ref: Ref): number {
  const at = ref * UNIT_WORDS;
  return (words[at] as number) >>> 8 === 1 ? at + HEADER_REFERENCE : at + UNIT_WORDS;
}

/** The heap has no room left. */
export function heapFull(heap: Heap): LimitError {
  return new LimitError(
    "HEAP_FULL",
    `the heap is full: all of its ${Math.floor(heap.limitBytes / 2 ** 20)} MiB are in use. ` +
      'Keep fewer blocks (pins, "retainBlocks", "retainBlocksMin") or give the runtime more memory ' +
      '(option "heapBytes")',
    { limitBytes: heap.limitBytes },
  );
}
