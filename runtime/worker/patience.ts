/** A job that a thread leaves to its poster for a while: which, and since when. */

import { entryAt, POSTED, POSTER, RESERVED, SEQUENCE, STATE } from "./board-layout.ts";
import { NO_ENTRY } from "./job.ts";

/** How long a job is left to a poster that is likely to run it itself. */
const RESERVED_MS = 0.25;

export class Patience {
  #entry = NO_ENTRY;
  #sequence = 0;
  #since = 0;

  /** The job of this entry is left to its poster; NO_ENTRY: none is. */
  leave(entry: number, sequence: number): void {
    if (entry === this.#entry && sequence === this.#sequence) return;
    this.#entry = entry;
    this.#sequence = sequence;
    this.#since = performance.now();
  }

  /**
   * Whether the job is to be left to its poster: of those that are reserved for it, the first, and not for
   * long. `words` are the board's, which has had at most `count` entries.
   */
  isLeft(words: Int32Array, entry: number, count: number): boolean {
    const reserved = (i: number): number => words[entryAt(i) + RESERVED] as number;
    const number = reserved(entry);
    if (number === 0) return false;
    const isSame = entry === this.#entry && words[entryAt(entry) + SEQUENCE] === this.#sequence;
    if (isSame && performance.now() - this.#since >= RESERVED_MS) return false;
    const poster = words[entryAt(entry) + POSTER];
    for (let i = 0; i < count; i++) {
      const isOfPoster = words[entryAt(i) + STATE] === POSTED && words[entryAt(i) + POSTER] === poster;
      if (isOfPoster && reserved(i) !== 0 && ((reserved(i) - number) | 0) < 0) return false;
    }
    return true;
  }

  /** How long to sleep at most until the next look. */
  get milliseconds(): number {
    return this.#entry === NO_ENTRY ? Number.POSITIVE_INFINITY : RESERVED_MS;
  }
}
