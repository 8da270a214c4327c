/**
 * Steps that hold threads up, and have the loop and runs in parallel take turns: some items in the loop, then
 * in parallel up to one that can only run in the loop.
 */

import type { Steps } from "../../../runtime/batch/steps.ts";
import { steps as stall } from "./stall.ts";

export const steps: Steps = {
  ...stall,
  plan: () => (Math.random() < 0.6 ? 0 : 1 + Math.floor(Math.random() * 12)),
  sequential: () => Math.random() < 0.1,
};
