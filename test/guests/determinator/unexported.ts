/** Forks without exporting `forked`: the error must say what to do. */

import { parallel } from "../../../guest/index.ts";

function nothing(index: i32, argument: i64): void {}

export function fork(argument: i64): i64 {
  parallel(2, nothing, 0, 0, 0);
  return 0;
}
