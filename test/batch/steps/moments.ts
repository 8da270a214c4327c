/** Steps that hold an incarnation up between two looks, so that it sees the state at two moments. */

import type { Steps } from "../../../runtime/batch/steps.ts";

const sleep = new Int32Array(new SharedArrayBuffer(4));

export const steps: Steps = {
  pause(point): void {
    if (point === "lookup" && Math.random() < 0.25) Atomics.wait(sleep, 0, 0, 1);
  },
  input(): void {},
  verdict: (valid) => valid,
};
