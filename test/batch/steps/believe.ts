/** Steps with a planted defect: threads are held up, and every validation says yes. Updates are lost. */

import type { Steps } from "../../../runtime/batch/steps.ts";
import { steps as stall } from "./stall.ts";

export const steps: Steps = { ...stall, verdict: () => 1 };
