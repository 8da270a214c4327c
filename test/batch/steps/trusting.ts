/** Steps with a planted defect: what an incarnation has read counts as right when its lease expires. */

import type { Steps } from "../../../runtime/batch/steps.ts";
import { steps as moments } from "./moments.ts";

export const steps: Steps = { ...moments, recheck: () => 1 };
