/** Steps that hold a thread up while it brings a page in, for which others wait then. */

import type { Steps } from "../../../runtime/batch/steps.ts";

const sleep = new Int32Array(new SharedArrayBuffer(4));

export const steps: Steps = {
  pause(point): void {
    if (point === "load") Atomics.wait(sleep, 0, 0, 30);
  },
  input(): void {},
  verdict: (valid) => valid,
};
