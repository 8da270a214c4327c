/** Who notes down what a thread did in a window of items, and when. Nothing of it decides anything. */

/** How an incarnation ended, as it is noted down. */
export const ITEM_ENDED = 0;
export const ITEM_GAVE_UP = 1;
export const ITEM_EXPIRED = 2;
/** Their names. "gave-up": it met what was about to change. "expired": its lease had ended. */
export const ITEM_ENDS = ["finished", "gave-up", "expired"] as const;

/** Called with what has ended; times are those of `now`. Items are counted in their batch. */
export interface ItemLog {
  now(): number;
  /** An incarnation of an item, with ITEM_…. */
  executed(item: number, incarnation: number, end: number, since: number): void;
  /** What an incarnation has read was looked at again. */
  validated(item: number, incarnation: number, valid: boolean, since: number): void;
  /** There was nothing to do. */
  idle(since: number): void;
}
