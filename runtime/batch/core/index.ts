/** The core of Block-STM: its exports. The contract is ../layout.ts. */

import { commit, leaveLock } from "./commit.ts";
import { finish, finishValidation, giveUp, hint, next, reset, validate } from "./scheduler.ts";
import { logBegin, logEnd, lookup, enter as takeArena, version } from "./versions.ts";

export {
  commit,
  finish,
  finishValidation,
  giveUp,
  hint,
  logBegin,
  logEnd,
  lookup,
  next,
  reset,
  validate,
  version,
};

/** This instance is `worker` from now on. */
export function enter(worker: u32): void {
  leaveLock();
  takeArena(worker);
}
