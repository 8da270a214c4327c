/** Stands in RET below `depth` calls; the code is what they make of the argument of the next START. */

import { ret } from "../../guest/stillpoint.ts";

export function deep(depth: i64): i64 {
  return depth == 0 ? ret(0) : deep(depth - 1) * 3 + depth;
}
