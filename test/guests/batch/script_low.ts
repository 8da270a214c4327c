/**
 * The guest of scripts, with its state under another name: the compiler puts static data where it is told to
 * only if it does not know of state there. test/batch/lives.ts gives the export its name back.
 */

import { prepare, run } from "./script.ts";

export { prepare, run };

export const STATE_OTHER: u32 = 1 << 17;
