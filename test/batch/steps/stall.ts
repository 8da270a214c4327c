/**
 * Steps (runtime/batch/steps.ts) that hold threads up at random: mostly some microseconds, now and then as
 * long as if the thread had been preempted. A thread changes its mood often, so that every order of things
 * comes about.
 */

import type { Steps } from "../../../runtime/batch/steps.ts";

const MOODS = [0, 0, 0.01, 0.1, 0.5];
const sleep = new Int32Array(new SharedArrayBuffer(4));
let mood = 0;
let left = 0;

function stall(): void {
  const long = Math.random() < 0.02;
  const ms = long ? Math.random() * 5 : Math.random() * 0.05;
  if (Math.random() < 0.5) {
    Atomics.wait(sleep, 0, 0, ms);
  } else {
    for (const end = performance.now() + ms; performance.now() < end; );
  }
}

export const steps: Steps = {
  pause(): void {
    if (left-- <= 0) {
      left = Math.random() * 500;
      mood = MOODS[Math.floor(Math.random() * MOODS.length)] as number;
    }
    if (Math.random() < mood) stall();
  },
  input(): void {},
  verdict: (valid) => valid,
};
