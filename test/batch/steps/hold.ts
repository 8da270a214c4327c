/** Steps that hold a thread up for 10 to 50 ms now and then, as if it had been preempted. */

import type { Steps } from "../../../runtime/batch/steps.ts";

const sleep = new Int32Array(new SharedArrayBuffer(4));

export const steps: Steps = {
  pause(): void {
    if (Math.random() < 0.002) Atomics.wait(sleep, 0, 0, 10 + Math.random() * 40);
  },
  input(): void {},
  verdict: (valid) => valid,
};
