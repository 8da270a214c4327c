/** A job that a thread leaves to its poster for a while: which, and since when. */

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

  /** Whether the job was left to its poster for long enough. */
  isOver(entry: number, sequence: number): boolean {
    const isSame = entry === this.#entry && sequence === this.#sequence;
    return isSame && performance.now() - this.#since >= RESERVED_MS;
  }

  /** How long to sleep at most until the next look. */
  get milliseconds(): number {
    return this.#entry === NO_ENTRY ? Number.POSITIVE_INFINITY : RESERVED_MS;
  }
}
