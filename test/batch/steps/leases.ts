/** Steps by which leases are random: from nothing to what they would be. */

import type { Steps } from "../../../runtime/batch/steps.ts";
import { steps as stall } from "./stall.ts";

export const steps: Steps = {
  ...stall,
  lease: (lease) => Math.floor(Math.min(lease, 2 ** (Math.random() * 20)) - 1),
};
