/**
 * Free space of the heap that threads may take: holes, in lists by size.
 *
 * A list holds the holes of an eighth of a power of two, the newest first. Each names the next in the word
 * behind its first, so the lists take no room. Whoever wants space looks at a few holes of its own size, of
 * which some may be too small, and then takes the first of the next larger size that there is. So the work
 * does not grow with the number of holes; the price is that a hole that fits may be passed over, where a
 * collection or a compaction follows before a block fails.
 *
 * What a thread that was killed has half moved is lost to the lists until the next collection: the heap can
 * be walked all the same. All of it under the heap's lock, or while nobody else allocates.
 */

import { COUNTING, work } from "../work.ts";

const counting = COUNTING;

export const KIND_FREE = 0;
export const UNIT_WORDS = 16;
/** Smaller holes, in which no page fits, are not handed out. */
export const HOLE_UNITS_MINIMUM = 65;

/** Word of the control memory: units of all holes. */
export const CONTROL_HOLE_UNITS = 5;
/** Words of the control memory: the newest hole of each size, 0: there is none. */
export const CONTROL_HOLES = 16;
/** Word of a hole's header: the next of its size. */
const NEXT = 1;
/** Sizes in a power of two, as a power of two. */
const STEPS_SHIFT = 3;
const LEAST_SHIFT = 6;
const MOST_SHIFT = 24;
/** Lists, one for each size. */
export const HOLE_SIZES = (MOST_SHIFT - LEAST_SHIFT) << STEPS_SHIFT;
/** Holes of its own size at which a request looks. */
const TRIES = 4;

/** What holes are in: the control words and the words of a heap. */
interface Space {
  readonly control: Int32Array;
  readonly words: Uint32Array;
}

/** The list for holes of so many units, below 2^24. */
function sizeOf(units: number): number {
  const shift = 31 - Math.clz32(units);
  const step = (units >>> (shift - STEPS_SHIFT)) & ((1 << STEPS_SHIFT) - 1);
  return ((shift - LEAST_SHIFT) << STEPS_SHIFT) + step;
}

/** Lists free space, whose header says so, as a hole, if it is large enough for one. */
export function giveHole({ control, words }: Space, ref: number, units: number): void {
  if (units < HOLE_UNITS_MINIMUM) return;
  const head = CONTROL_HOLES + sizeOf(units);
  words[ref * UNIT_WORDS + NEXT] = control[head] as number;
  control[head] = ref | 0;
  control[CONTROL_HOLE_UNITS] = (control[CONTROL_HOLE_UNITS] as number) + units;
}

/** Takes a hole of at least so many units out of its list; 0: none was found. */
export function takeHole(space: Space, units: number): number {
  const { control, words } = space;
  const own = sizeOf(Math.max(units, HOLE_UNITS_MINIMUM));
  // Where the reference of the hole that is looked at stands.
  let at: { list: Int32Array | Uint32Array; index: number } = { list: control, index: CONTROL_HOLES + own };
  for (let tries = 0; tries < TRIES; tries++) {
    const hole = (at.list[at.index] as number) >>> 0;
    if (hole === 0) break;
    if (counting) work.holesVisited++;
    if ((words[hole * UNIT_WORDS] as number) >>> 8 >= units) return unlink(space, at, hole);
    at = { list: words, index: hole * UNIT_WORDS + NEXT };
  }
  for (let size = own + 1; size < HOLE_SIZES; size++) {
    const index = CONTROL_HOLES + size;
    const hole = (control[index] as number) >>> 0;
    if (hole === 0) continue;
    if (counting) work.holesVisited++;
    return unlink(space, { list: control, index }, hole);
  }
  return 0;
}

function unlink(
  { control, words }: Space,
  { list, index }: { list: Int32Array | Uint32Array; index: number },
  hole: number,
): number {
  list[index] = words[hole * UNIT_WORDS + NEXT] as number;
  control[CONTROL_HOLE_UNITS] =
    (control[CONTROL_HOLE_UNITS] as number) - ((words[hole * UNIT_WORDS] as number) >>> 8);
  return hole;
}

/** There are no holes. */
export function clearHoles({ control }: Pick<Space, "control">): void {
  control.fill(0, CONTROL_HOLES, CONTROL_HOLES + HOLE_SIZES);
  control[CONTROL_HOLE_UNITS] = 0;
}
