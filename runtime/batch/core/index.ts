/** The core of Block-STM: its exports. The contract is ../layout.ts. */

import { accumulate, takeTable, withdraw } from "./accumulate.ts";
import { logBegin, logEnd, enter as takeArena } from "./arena.ts";
import { commit, leaveLock } from "./commit.ts";
import {
  expire,
  final,
  finish,
  finishValidation,
  giveUp,
  hint,
  next,
  recheck,
  reset,
  validate,
} from "./scheduler.ts";
import { lookup, version } from "./versions.ts";

export {
  accumulate,
  commit,
  expire,
  final,
  finish,
  finishValidation,
  giveUp,
  hint,
  logBegin,
  logEnd,
  lookup,
  next,
  recheck,
  reset,
  validate,
  version,
  withdraw,
};

/** This instance is `worker` from now on. */
export function enter(worker: u32): void {
  leaveLock();
  takeArena(worker);
  takeTable(worker);
}
