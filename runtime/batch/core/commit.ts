/**
 * The rolling commit: items become final in order, by one worker at a time.
 *
 * COMMIT_LOCK is 0, 1 while somebody commits, and 2 if another worker asked meanwhile: that one has gone,
 * so the holder looks once more before it lets go. Thus no item that can be committed is left behind.
 */

import {
  APPLIED,
  COMMITTED,
  COMMIT_LOCK,
  CUT,
  GAS_LEFT,
  ITEM_CHANGED,
  ITEM_COUNT,
  ITEM_DELTAS,
  ITEM_GAS,
  ITEM_LIMIT,
  ITEM_LOG,
  ITEM_LOG_END,
  ITEM_STATE,
  ITEM_VALIDATED,
  LAST_CHANGE,
  STATE_COMMITTED,
  STATE_EXECUTED,
  STATE_HELD,
  STATE_REFUSED,
  STOP_GAS,
  WORKER_COMMITS,
} from "../layout.ts";
import { count, ensure, incarnationOf, itemAt, kindOf, stateOf, stop, stopped, wake } from "./state.ts";
import { firstMisled, makeFull } from "./accumulate.ts";
import { hasRoomForFull, me } from "./arena.ts";
import { refute, release } from "./scheduler.ts";

/** Whether this instance has the lock: it has committed an item and not come back yet. */
let holding = false;

/** A new window: nobody has the lock. */
export function leaveLock(): void {
  holding = false;
}

/** The next item in order, now final and to be copied to base by the caller; -1: none at the moment. */
export function commit(): i32 {
  if (holding) {
    const applied = atomic.load<u32>(COMMITTED);
    atomic.store<u32>(APPLIED, applied);
    if (applied === load<u32>(ITEM_COUNT)) wake();
  } else if (!lock()) {
    return -1;
  }
  while (true) {
    const item = commitNext();
    holding = item >= 0;
    if (holding) return item;
    if (unlock()) return -1;
  }
}

/** Takes the lock, or asks its holder to look again. */
function lock(): bool {
  while (true) {
    const found = atomic.cmpxchg<u32>(COMMIT_LOCK, 0, 1);
    if (found === 0) return true;
    if (found === 2 || atomic.cmpxchg<u32>(COMMIT_LOCK, 1, 2) !== 0) return false;
  }
}

/** Lets go, unless somebody asked meanwhile. */
function unlock(): bool {
  if (atomic.cmpxchg<u32>(COMMIT_LOCK, 1, 0) === 1) return true;
  atomic.store<u32>(COMMIT_LOCK, 1);
  return false;
}

function commitNext(): i32 {
  if (stopped()) return -1;
  const item = atomic.load<u32>(COMMITTED);
  if (item === load<u32>(ITEM_COUNT)) return -1;
  ensure(atomic.load<u32>(APPLIED) === item);
  const record = itemAt(item);
  const state = stateOf(record);
  const gasLeft = load<u64>(GAS_LEFT);
  if (kindOf(state) !== STATE_REFUSED) {
    if (load<u64>(record, ITEM_LIMIT) > gasLeft) {
      store<i32>(CUT, item);
      stop(STOP_GAS);
      return -1;
    }
    if (kindOf(state) === STATE_HELD) release(item, state);
    if (kindOf(state) !== STATE_EXECUTED) return -1;
    const validated = atomic.load<u64>(record, ITEM_VALIDATED);
    if (<u32>(validated >>> 32) !== incarnationOf(state)) return -1;
    const lastChange = load<u32>(LAST_CHANGE);
    if (<u32>validated < lastChange) return -1;
    const gas = load<u64>(record, ITEM_GAS);
    const deltas = load<u32>(record, ITEM_DELTAS);
    const log = atomic.load<u32>(record, ITEM_LOG);
    const end = atomic.load<u32>(record, ITEM_LOG_END);
    if (deltas !== 0) {
      if (!hasRoomForFull(deltas)) return -1;
      const misled = firstMisled(item, log, end);
      if (misled !== 0) {
        refute(item, state, misled);
        return -1;
      }
    }
    const committed = state - STATE_EXECUTED + STATE_COMMITTED;
    if (atomic.cmpxchg<u32>(record, state, committed, ITEM_STATE) !== state) return -1;
    if (deltas !== 0) makeFull(item, log, end);
    store<u32>(LAST_CHANGE, max(lastChange, atomic.load<u32>(record, ITEM_CHANGED)));
    ensure(gas <= gasLeft);
    store<u64>(GAS_LEFT, gasLeft - gas);
  }
  count(me(), WORKER_COMMITS);
  atomic.store<u32>(COMMITTED, item + 1);
  return item;
}
