/**
 * A worker's slots: which one an activation gets.
 *
 * Best is the slot that holds the very image. Else one that holds nearly the same is written over; else one
 * that is out of date: in which this process ran last, whose contents a collection has freed, or whose
 * process has run in another one since. Else a new one is filled, if there is room. So there are hardly more
 * slots than processes, and memory is touched for the first time when a process is met for the first time.
 * What is kept unused is bounded in number and in bytes that were touched, for which large ones go first; a
 * new slot takes the memories of an evicted one.
 *
 * A memory cannot shrink, and making one is what costs most. So a memory grows for its own process, or where
 * there is no room for another one; and what is evicted first has the size that is wanted, or one that there
 * is twice. Processes of different sizes in turn then make no memories as long as each size has a slot.
 */

import { assert } from "../../errors.ts";
import type { Heap, Ref } from "../../heap/heap.ts";
import { tableDiffCount } from "../../heap/table.ts";
import { PAGE_BYTES, SLOT_BYTES_LIMIT, SLOTS_LIMIT, WASM_PAGE_BYTES } from "../../limits.ts";
import { COUNTING, work } from "../../work.ts";
import type { LoadedProgram, Variant } from "../program.ts";
import { type KernelImports, Slot, type SlotImage, UNKNOWN } from "./slot.ts";

const counting = COUNTING;

/**
 * A slot holds nearly the same if at most this share of the image's pages differ: a new memory has to be
 * filled whole, and its untouched pages cost the OS more than copying them, up to 12 µs each.
 */
const REUSE_SHARE = 0.75;
const REUSE_PAGES = 16;
/** Below this size filling another memory costs little: no slot of another program is looked for. */
const REPLACED_BYTES = 16 << 20;
/** Free slots of the variant, the newest, whose difference to the image is looked at. */
const CANDIDATES = 4;

/** What a pool keeps. */
export interface SlotLimits {
  /** Slots, those in use among them. */
  readonly count: number;
  /**
   * Bytes of the host that those which are not in use take, without the last one and the memories of one that
   * was given up; one is kept whatever it takes.
   */
  readonly bytes: number;
}

/** As much as any pool keeps. */
export const SLOTS_MOST: SlotLimits = { count: SLOTS_LIMIT, bytes: SLOT_BYTES_LIMIT };

/** The place in the tree of the root. */
export const ROOT_PLACE = 0;

/**
 * The place of a process in the tree, from that of its parent: a number by which a worker knows which process
 * it met before. Two that share one may take each other's slot, and lose time.
 */
export function placeBelow(parent: number, child: number): number {
  return (Math.imul(parent, 0x9e3779b1) + child + 1) | 0;
}

/** The place of the process that these numbers of children lead to from the root. */
export function placeOf(path: readonly number[]): number {
  return path.reduce(placeBelow, ROOT_PLACE);
}

/** A worker's slots. The free ones are kept in the order of their last use, bounded in number and bytes. */
export class SlotPool {
  readonly #heap: Heap;
  readonly #imports: KernelImports;
  /** The one that was released last; not among the others yet. */
  #last: Slot | null = null;
  /** The others that are free, oldest first. */
  readonly #free = new Set<Slot>();
  readonly #byVariant = new Map<Variant, Map<Ref, Slot[]>>();
  /** Those whose memories can serve another program, by their size in pages of 64 KiB, oldest first. */
  readonly #bySize = new Map<number, Set<Slot>>();
  readonly #limits: SlotLimits;
  #freeBytes = 0;
  #count = 0;
  /** The slot that was given up last; its memories are reused. */
  #old: Slot | null = null;

  constructor(heap: Heap, imports: KernelImports, limits = SLOTS_MOST) {
    this.#heap = heap;
    this.#limits = limits;
    this.#imports = imports;
  }

  /**
   * A slot for `image`, entered, of the process at `place`. Give it back with `release`, or drop it if it is
   * in doubt.
   */
  take(variant: Variant, image: SlotImage, place: number): Slot {
    const slot =
      this.#takeLast(variant, image) ??
      this.#choose(variant, image, place) ??
      this.#create(variant, image, place);
    assert(!this.#isFree(slot), "slots: a slot is given out twice");
    slot.place = place;
    try {
      slot.enter(this.#heap, image);
      assert(slot.memoryPages === image.memoryPages, "slots: the memory is not as large as the image's");
      assert(slot.root === image.memory, "slots: the memory holds another image");
    } catch (error) {
      this.drop();
      throw error;
    }
    return slot;
  }

  /**
   * The activation in the slot ended with an image of `memoryPages`; a memory that has grown beyond it is of
   * no use.
   */
  release(slot: Slot, memoryPages: number): void {
    assert(!this.#isFree(slot), "slots: a slot is given back twice");
    if (slot.memoryPages > memoryPages) {
      if (counting) work.memoriesLost++;
      if (counting) work.memoryBytesLost += slot.memoryPages * WASM_PAGE_BYTES;
      this.drop();
      this.#old = slot;
      return;
    }
    this.#shelve();
    this.#last = slot;
    assert(this.#count > this.#free.size, "slots: more are free than there are");
  }

  /**
   * The slot of the last activation, if it holds this very image: a parent often runs one child again and
   * again.
   */
  #takeLast(variant: Variant, image: SlotImage): Slot | null {
    const slot = this.#last;
    if (slot === null) return null;
    if (slot.variant === variant && slot.root === image.memory && slot.memoryPages === image.memoryPages) {
      this.#last = null;
      return slot;
    }
    this.#shelve();
    return null;
  }

  #shelve(): void {
    const slot = this.#last;
    if (slot === null) return;
    this.#last = null;
    assert(!this.#free.has(slot), "slots: a slot is shelved twice");
    this.#add(slot);
    while (this.#free.size > 1 && this.#freeBytes > this.#limits.bytes) this.#evict(this.#large());
  }

  /**
   * The oldest of the free slots that take at least as much as they do on average. Others make little room,
   * and one of them may have a large memory of which nothing was touched.
   */
  #large(): Slot | undefined {
    const average = this.#freeBytes / this.#free.size;
    for (const slot of this.#free) if (slot.hostBytes >= average) return slot;
    return undefined;
  }

  #add(slot: Slot): void {
    this.#free.add(slot);
    this.#freeBytes += slot.hostBytes;
    let byRoot = this.#byVariant.get(slot.variant);
    if (byRoot === undefined) {
      byRoot = new Map();
      this.#byVariant.set(slot.variant, byRoot);
    }
    const same = byRoot.get(slot.root);
    if (same === undefined) byRoot.set(slot.root, [slot]);
    else same.push(slot);
    if (!slot.auxServes(slot.variant)) return;
    const { memoryPages } = slot;
    const ofSize = this.#bySize.get(memoryPages);
    if (ofSize === undefined) this.#bySize.set(memoryPages, new Set([slot]));
    else ofSize.add(slot);
  }

  /** The slot is not used again. */
  drop(): void {
    this.#count--;
    assert(this.#count >= this.#free.size, "slots: more are free than there are");
  }

  /**
   * After a collection, with no slot in use. Slots of programs that do not stay are given up, and those that
   * were not used since the contents of their memory became unknown.
   */
  forget(stays: (program: LoadedProgram) => boolean): void {
    this.#shelve();
    this.#old = null;
    for (const slot of [...this.#free]) {
      this.#remove(slot);
      if (stays(slot.program) && slot.root !== UNKNOWN) {
        slot.forget(this.#heap);
        this.#add(slot);
      } else {
        this.drop();
      }
    }
  }

  /** No slot that is not in use is kept. */
  giveUp(): void {
    this.#shelve();
    while (this.#free.size > 0) this.#evict();
    this.#old = null;
  }

  #choose(variant: Variant, image: SlotImage, place: number): Slot | undefined {
    const byRoot = this.#byVariant.get(variant);
    if (byRoot === undefined) return undefined;
    const exact = byRoot.get(image.memory)?.find((slot) => slot.memoryPages === image.memoryPages);
    if (exact !== undefined) return this.#remove(exact);
    const pages = image.memoryPages * (WASM_PAGE_BYTES / PAGE_BYTES);
    const room = this.#hasRoom(image.memory, pages);
    // What is not known is written whole, zeros too: not into a memory that is mostly untouched.
    const dense = byRoot.has(UNKNOWN) && 2 * tableDiffCount(this.#heap, 0, image.memory) >= pages;
    const fitting = [...byRoot.values()]
      .flat()
      .filter((slot) => fits(slot, image, place, room) && (dense || slot.root !== UNKNOWN));
    const outdated =
      fitting.findLast((slot) => slot.place === place) ??
      fitting.find((slot) => slot.root === UNKNOWN) ??
      superseded(fitting);
    const candidates = fitting.slice(-CANDIDATES);
    if (outdated !== undefined) candidates.push(outdated);
    let worth = room ? Math.max(REUSE_PAGES, pages * REUSE_SHARE) : Number.POSITIVE_INFINITY;
    let chosen = outdated;
    for (const slot of candidates) {
      const known = slot.root !== UNKNOWN;
      const difference = known ? tableDiffCount(this.#heap, slot.root, image.memory) : pages;
      if (difference > worth) continue;
      chosen = slot;
      worth = difference - 1;
    }
    return chosen === undefined ? undefined : this.#remove(chosen);
  }

  /** Whether there may be another slot, with an image of at most so many pages. */
  #hasRoom(memory: Ref, pages: number): boolean {
    if (this.#count >= this.#limits.count) return false;
    const left = this.#limits.bytes - this.#freeBytes;
    return pages * PAGE_BYTES <= left || tableDiffCount(this.#heap, 0, memory) * PAGE_BYTES <= left;
  }

  #create(variant: Variant, image: SlotImage, place: number): Slot {
    const before = this.#replaced(variant, image, place);
    if (before !== undefined) this.#evict(before);
    while (this.#count >= this.#limits.count && this.#free.size > 0) {
      this.#evict(this.#dispensable(variant, image.memoryPages));
    }
    const slot = new Slot(variant, image.memoryPages, this.#imports, this.#old);
    this.#old = null;
    this.#count++;
    return slot;
  }

  /**
   * The slot of a process whose program was replaced: its memory holds the state, which may be large, and
   * with that memory the new slot has it.
   */
  #replaced(variant: Variant, { memory, memoryPages }: SlotImage, place: number): Slot | undefined {
    if (memoryPages * WASM_PAGE_BYTES < REPLACED_BYTES) return undefined;
    return [...this.#free].find((slot) => {
      const serves = slot.place === place && slot.root !== UNKNOWN && slot.memoryServes(variant, memoryPages);
      return (
        serves && 2 * tableDiffCount(this.#heap, slot.root, memory) < tableDiffCount(this.#heap, 0, memory)
      );
    });
  }

  /** A free slot whose memory a new one can have: of a size that is wanted, or there twice, if possible. */
  #dispensable(variant: Variant, memoryPages: number): Slot | undefined {
    if (variant.bound > 0) return undefined;
    const [same] = this.#bySize.get(memoryPages) ?? [];
    if (same !== undefined) return same;
    let oldest: Slot | undefined;
    for (const slot of this.#free) {
      if (!slot.memoryServes(variant, memoryPages)) continue;
      if ((this.#bySize.get(slot.memoryPages) as Set<Slot>).size > 1) return slot;
      oldest ??= slot;
    }
    return oldest;
  }

  /** Gives a free slot up, the oldest unless another one is named. */
  #evict(named?: Slot): void {
    const [oldest] = this.#free;
    this.#old = this.#remove(named ?? (oldest as Slot));
    this.drop();
  }

  #isFree(slot: Slot): boolean {
    return slot === this.#last || this.#free.has(slot);
  }

  #remove(slot: Slot): Slot {
    assert(this.#free.delete(slot), "slots: what is taken is not free");
    this.#freeBytes -= slot.hostBytes;
    assert(this.#freeBytes >= 0, "slots: a slot takes more than when it was shelved");
    const byRoot = this.#byVariant.get(slot.variant) as Map<Ref, Slot[]>;
    const same = byRoot.get(slot.root) as Slot[];
    if (same.length > 1) same.splice(same.indexOf(slot), 1);
    else byRoot.delete(slot.root);
    if (byRoot.size === 0) this.#byVariant.delete(slot.variant);
    const ofSize = this.#bySize.get(slot.memoryPages);
    if (ofSize?.delete(slot) && ofSize.size === 0) this.#bySize.delete(slot.memoryPages);
    return slot;
  }
}

/** Whether a slot can be written over with an image. */
function fits(slot: Slot, { memoryPages }: SlotImage, place: number, room: boolean): boolean {
  if (slot.memoryPages === memoryPages) return true;
  return slot.memoryPages < memoryPages && (!room || slot.place === place);
}

/** Of slots in the order of their use one whose process has run in a later one since. */
function superseded(slots: readonly Slot[]): Slot | undefined {
  const later = new Set<number>();
  return slots.findLast(({ place }) => later.size === later.add(place).size);
}
