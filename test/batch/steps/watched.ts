/**
 * Steps for a test that counts incarnations: the first item of a batch waits until others have begun, and can
 * only run in the loop, so the window stops while others are on their way. Counts in memory that the test
 * shares by `setEnvironmentData`, see WATCHED.
 */

import { getEnvironmentData } from "node:worker_threads";
import type { Steps } from "../../../runtime/batch/steps.ts";

/** Name of a SharedArrayBuffer with these words. */
export const WATCHED = "watched incarnations";
/** Incarnations that have begun with a lease: the first item that is not committed has none. */
export const BEGUN = 0;
/** For how many the first item waits; 0: for none, and it is one like the others. */
export const STOPS = 1;
/** Each lease; 0: what it would be. */
export const LEASE = 2;

const shared = getEnvironmentData(WATCHED) as unknown as SharedArrayBuffer | undefined;
const words = new Int32Array(shared ?? new SharedArrayBuffer(16));
const POLL_MS = 1;

export const steps: Steps = {
  pause(): void {},
  input(_bytes, item): void {
    if (item > 0 || words[STOPS] === 0) return;
    for (;;) {
      const begun = Atomics.load(words, BEGUN);
      if (begun >= (words[STOPS] as number)) return;
      Atomics.wait(words, BEGUN, begun, POLL_MS);
    }
  },
  verdict: (valid) => valid,
  lease(lease): number {
    Atomics.add(words, BEGUN, 1);
    return words[LEASE] || lease;
  },
  sequential: (item) => item === 0 && words[STOPS] !== 0,
};
