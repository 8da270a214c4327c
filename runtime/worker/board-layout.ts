/**
 * The memory of a board: how its words and entries lie.
 *
 *   words   those of Signals and of the whole board, up to ENTRIES · the entries, of ENTRY_WORDS each
 *   bytes   from ERROR_AT on: for each entry, the description of an error
 */

import { placeOf } from "../kernel/slots/slot-pool.ts";
import { TREE_DEPTH_LIMIT } from "../limits.ts";

export const FREE = 0;
export const WRITING = 1;
export const POSTED = 2;
export const CLAIMED = 3;
export const DONE = 4;
export const FAILED = 5;
export const ORPHAN = 6;
export const STATE_BITS = 3;
export const STATE_MASK = 7;

const bits = (...states: number[]): number => states.reduce((all, state) => all | (1 << state), 0);

/** By state, as bits, which may come next: what posts and works, what evicts, and what recovers. */
const NEXT: readonly number[] = [
  bits(FREE, WRITING), // withdrawn or forgotten once more
  bits(POSTED, FREE), //  its poster died
  bits(CLAIMED, FREE, WRITING),
  bits(DONE, FAILED, POSTED, FREE, ORPHAN),
  bits(FREE, WRITING),
  bits(FREE, WRITING),
  bits(FREE),
];

/** Whether the state of an entry may become another. */
export function mayFollow(state: number, next: number): boolean {
  return (((NEXT[state & STATE_MASK] as number) >> (next & STATE_MASK)) & 1) === 1;
}

export const ENTRIES_LIMIT = 4096;
/** The first entries are for blocks, which only the main thread posts: children cannot crowd them out. */
export const MAIN_ENTRIES = 64;
export const ENTRY_WORDS = 18 + TREE_DEPTH_LIMIT;

// Words of an entry.
export const STATE = 0;
export const SEQUENCE = 1;
export const KIND = 2;
export const START = 3;
export const RESULT = 4;
export const DEPTH = 5;
export const POSTER = 6;
export const PARENT = 7;
export const PARENT_SEQUENCE = 8;
export const METADATA = 9;
export const GAS_LOW = 10;
export const GAS_HIGH = 11;
export const ERROR_LENGTH = 12;
export const ORIGIN = 13;
export const RUN = 14;
export const RULES = 15;
export const UPGRADE = 16;
/**
 * Not 0: the poster ran the process last, and so others leave it to that for a while; of several, the one
 * with the lowest number.
 */
export const RESERVED = 17;
export const PATH = 18;

// Words before the entries; the first are those of Signals.
/** Entries below this were used at some time: how far a search must look. */
export const HIGH_WATER = 4;
/** 1: no speculative job may begin. */
export const PAUSED = 6;
/** How many results of speculative work were used. */
export const USED = 7;
/** The thread with affinity to the next block: it ran the last job of the main thread, and no other since. */
export const AFFINE = 8;
/** The thread that ran the process at a path last, by the path's hash: as many words as LAST_RAN_WORDS. */
export const LAST_RAN = 16;
export const LAST_RAN_WORDS = 256;
export const ENTRIES = LAST_RAN + LAST_RAN_WORDS;

/** Where the words of an entry begin. */
export const entryAt = (entry: number): number => ENTRIES + entry * ENTRY_WORDS;
/** Which word says who ran the process at this path last. */
export const lastRanAt = (path: readonly number[]): number =>
  LAST_RAN + (placeOf(path) & (LAST_RAN_WORDS - 1));
export const ERROR_BYTES = 2048;
export const ERROR_AT = (ENTRIES + ENTRIES_LIMIT * ENTRY_WORDS) * 4;

export const MAIN_THREAD = 0;
/** Poster of an entry that is speculative work. */
export const KEPT = -1;
