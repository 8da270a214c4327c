/**
 * Which worker does what: executions and validations of the window's items.
 *
 *   READY ──next──▶ EXECUTING ──finish──▶ EXECUTED ──commit──▶ COMMITTED
 *     ▲                │  ▲                  │
 *     │      giveUp, expire└─── ABORTING ◀───┘ finishValidation(0)
 *     └─ WAITING, HELD ◀┘   (next incarnation)
 *
 * Every arrow out of a state is taken by one worker: READY and CHECK are taken bit by bit, the others by
 * compare-and-swap or by who executes the item.
 */

import {
  APPLIED,
  CHECK,
  CLOCK,
  COMMITTED,
  CONTENDED,
  CONTENDED_SLOTS,
  CUT,
  ENTRY_LINE,
  FRONTIER,
  GAS_TOTAL,
  GENERATION,
  HINTS,
  HINTS_LIMIT,
  ITEM_CHANGED,
  ITEM_COUNT,
  ITEM_DELTAS,
  ITEM_GAS,
  ITEM_HINTS,
  ITEM_LIMIT,
  ITEM_LOG,
  ITEM_LOG_END,
  ITEM_NEXT_WAITER,
  ITEM_OUTCOME,
  ITEM_RERUNS,
  ITEM_STATE,
  ITEM_VALIDATED,
  ITEM_WAITERS,
  LAST_CHANGE,
  COMMIT_LOCK,
  MEMORY_END,
  READY,
  RERUN_LIMIT,
  STATE_ABORTING,
  STATE_EXECUTED,
  STATE_EXECUTING,
  STATE_HELD,
  STATE_KIND_BITS,
  STATE_READY,
  STATE_REFUSED,
  STATE_WAITING,
  STOP,
  STOP_RERUNS,
  TASK_DONE,
  TASK_EXECUTE,
  TASK_IDLE,
  TASK_ITEM_SHIFT,
  TASK_VALIDATE,
  WINDOW_LIMIT,
  WORKERS_LIMIT,
  WORKER_ABORTS,
  WORKER_COUNT,
  WORKER_EXECUTIONS,
  WORKER_EXPIRED,
  WORKER_GIVEN_UP,
  WORKER_RENEWED,
  WORKER_VALIDATIONS,
  BUCKETS,
  BUCKET_BITS,
} from "../layout.ts";
import {
  ensure,
  checkAll,
  count,
  finished,
  include,
  incarnationOf,
  itemAt,
  kindOf,
  stateAs,
  stateOf,
  stop,
  stopped,
  take,
} from "./state.ts";
import { deltaCount } from "./accumulate.ts";
import { closeLog, logBegin, logEnd, me } from "./arena.ts";
import {
  begin,
  firstChanged,
  makeEstimates,
  metItem,
  PUBLISH_FAILED,
  PUBLISHED_CHANGES,
  publish,
} from "./versions.ts";

// ---- the beginning ----------------------------------------------------------------------------------------

/** Begins a window of `items` items for up to `workers` workers. */
export function reset(items: i32, workers: i32): void {
  ensure(items >= 0 && items <= WINDOW_LIMIT && workers >= 1 && workers <= WORKERS_LIMIT);
  let generation = load<u32>(GENERATION) + 1;
  if (generation === 0) {
    memory.fill(BUCKETS, 0, 8 << BUCKET_BITS);
    generation = 1;
  }
  store<u32>(GENERATION, generation);
  store<u32>(ITEM_COUNT, items);
  store<u32>(WORKER_COUNT, workers);
  store<u32>(MEMORY_END, <u32>min<u64>((<u64>memory.size()) << 16, 0xfffffff0));
  store<u32>(STOP, 0);
  store<i32>(CUT, -1);
  store<u32>(CLOCK, 1);
  store<u32>(LAST_CHANGE, 1);
  store<u32>(COMMIT_LOCK, 0);
  store<u32>(COMMITTED, 0);
  store<u32>(APPLIED, 0);
  memory.fill(READY, 0, 2 * (WINDOW_LIMIT / 8));
  const total = load<u64>(GAS_TOTAL);
  for (let item: u32 = 0; item < <u32>items; item++) {
    const record = itemAt(item);
    const refused = load<u64>(record, ITEM_LIMIT) > total;
    store<u32>(record, refused ? STATE_REFUSED : STATE_READY, ITEM_STATE);
    store<u64>(record, 0, ITEM_LOG);
    store<u64>(record, 0, ITEM_GAS);
    store<u64>(record, 0, ITEM_VALIDATED);
    store<u64>(record, 0, ITEM_CHANGED);
    store<u64>(record, 0, ITEM_WAITERS);
    store<u32>(record, 0, ITEM_HINTS);
    if (refused) continue;
    const word = ((<usize>(item >>> 6)) << 3) + READY;
    store<u64>(word, load<u64>(word) | ((<u64>1) << (item & 63)));
  }
  store<u32>(FRONTIER, 0);
  advanceFrontier(-1);
}

/** The first incarnation of `item` begins when `lower` has finished one. */
export function hint(item: u32, lower: u32): void {
  if (item >= load<u32>(ITEM_COUNT) || lower >= item) return;
  const record = itemAt(item);
  const hints = load<u32>(record, ITEM_HINTS);
  const list = hintsOf(item);
  for (let i: u32 = 0; i < hints; i++) {
    if (load<u16>(list + 2 * i) === lower) return;
  }
  if (hints === HINTS_LIMIT) return;
  store<u16>(list + 2 * hints, <u16>lower);
  store<u32>(record, hints + 1, ITEM_HINTS);
}

function hintsOf(item: u32): usize {
  return <usize>item * (2 * HINTS_LIMIT) + HINTS;
}

// ---- tasks ------------------------------------------------------------------------------------------------

/** The item of the last EXECUTE. */
let executed: u32 = 0;
/** The item of the last VALIDATE, and what validate() saw; seenState 0: the verdict counts no more. */
let validated: u32 = 0;
let seenState: u32 = 0;
let seenClock: u32 = 0;
/** What validate() or recheck() found changed, 0: nothing. */
let seenEntry: usize = 0;

/** The lowest item that can be executed or validated. */
export function next(): i32 {
  const items = load<u32>(ITEM_COUNT);
  while (true) {
    if (stopped()) return TASK_DONE;
    if (atomic.load<u32>(APPLIED) === items) return TASK_DONE;
    let word = atomic.load<u32>(COMMITTED) >>> 6;
    const words = (items + 63) >>> 6;
    let ready: u64 = 0;
    let check: u64 = 0;
    for (; word < words; word++) {
      ready = atomic.load<u64>(((<usize>word) << 3) + READY);
      check = atomic.load<u64>(((<usize>word) << 3) + CHECK);
      if ((ready | check) !== 0) break;
    }
    if (word >= words) return TASK_IDLE;
    const item = (word << 6) + <u32>ctz(ready | check);
    if (((check >>> (item & 63)) & 1) !== 0) {
      if (take(CHECK, item) && kindOf(stateOf(itemAt(item))) === STATE_EXECUTED) return validation(item);
    } else if (take(READY, item)) {
      const record = itemAt(item);
      const state = stateAs(record, STATE_READY);
      atomic.store<u32>(record, state - STATE_READY + STATE_EXECUTING, ITEM_STATE);
      if (!waitForHints(item, record)) return execution(item);
    }
  }
}

/** An incarnation of `item`, whose state is EXECUTING, begins here. */
function execution(item: u32): i32 {
  executed = item;
  begin(item);
  count(me(), WORKER_EXECUTIONS);
  return (item << TASK_ITEM_SHIFT) | TASK_EXECUTE;
}

function validation(item: u32): i32 {
  validated = item;
  return (item << TASK_ITEM_SHIFT) | TASK_VALIDATE;
}

// ---- executions -------------------------------------------------------------------------------------------

/** The incarnation has ended: publishes what it leaves. Mostly hands back its validation. */
export function finish(gasLow: u32, gasHigh: u32, outcome: u32): i32 {
  const item = executed;
  const record = itemAt(item);
  const state = stateAs(record, STATE_EXECUTING);
  const old = load<u32>(record, ITEM_LOG);
  const published = publish(old, load<u32>(record, ITEM_LOG_END));
  closeLog();
  if (published === PUBLISH_FAILED) return TASK_DONE;
  const gas = ((<u64>gasHigh) << 32) | gasLow;
  ensure(gas <= load<u64>(record, ITEM_LIMIT));
  store<u32>(record, outcome, ITEM_OUTCOME);
  store<u64>(record, gas, ITEM_GAS);
  store<u32>(record, deltaCount(), ITEM_DELTAS);
  store<u32>(record, <u32>logBegin(), ITEM_LOG);
  store<u32>(record, <u32>logEnd(), ITEM_LOG_END);
  const again = old !== 0;
  const news = again && published === PUBLISHED_CHANGES;
  // The clock moves when everything is published: a thread that reads it afterwards sees all.
  if (news) atomic.store<u32>(record, atomic.add<u32>(CLOCK, 1) + 1, ITEM_CHANGED);
  atomic.store<u32>(record, state - STATE_EXECUTING + STATE_EXECUTED, ITEM_STATE);
  if (atomic.load<u32>(record, ITEM_WAITERS) !== 0) wakeWaiters(record);
  if (again) {
    if (news) checkAll(item + 1, atomic.load<u32>(FRONTIER));
    return validation(item);
  }
  return advanceFrontier(item) ? validation(item) : next();
}

/**
 * Moves the frontier over all that has been executed, and schedules first validations; but for that of
 * `mine`: true if the frontier passed it here.
 */
function advanceFrontier(mine: i32): bool {
  let passed = false;
  while (true) {
    const item = atomic.load<u32>(FRONTIER);
    if (item === load<u32>(ITEM_COUNT)) return passed;
    // What lies beyond the frontier is never validated, hence never aborted.
    const kind = kindOf(stateOf(itemAt(item)));
    if (!finished(kind)) return passed;
    if (atomic.cmpxchg<u32>(FRONTIER, item, item + 1) !== item) continue;
    if (item === mine) passed = true;
    else if (kind !== STATE_REFUSED) include(CHECK, item);
  }
}

/** The incarnation met an estimate, or there is no room: the item runs again later. */
export function giveUp(): i32 {
  closeLog();
  if (stopped()) return TASK_DONE;
  const record = itemAt(executed);
  count(me(), WORKER_GIVEN_UP);
  if (!rerun(record)) return TASK_DONE;
  if (metItem() >= 0) waitFor(executed, metItem());
  else makeReady(executed, STATE_EXECUTING);
  return next();
}

// ---- incarnations that the caller ends --------------------------------------------------------------------

/** Whether the incarnation that begins reads what is final. */
export function final(): i32 {
  return atomic.load<u32>(APPLIED) === executed && !stopped() ? 1 : 0;
}

/** Whether the incarnation would read now what it has read. */
export function recheck(): i32 {
  seenEntry = firstChanged(executed, logBegin(), logEnd());
  return seenEntry === 0 ? 1 : 0;
}

/** The caller has ended the incarnation: the item runs again, with `last` as the next one to be committed. */
export function expire(ok: i32, last: i32): i32 {
  closeLog();
  if (stopped()) return TASK_DONE;
  const record = itemAt(executed);
  const state = stateAs(record, STATE_EXECUTING);
  count(me(), WORKER_EXPIRED);
  if (ok) {
    count(me(), WORKER_RENEWED);
  } else {
    if (seenEntry !== 0) contend(load<u32>(seenEntry, ENTRY_LINE));
    if (!rerun(record)) return TASK_DONE;
  }
  if (ok && last) {
    const held = state - STATE_EXECUTING + STATE_HELD;
    atomic.store<u32>(record, held, ITEM_STATE);
    // The committing thread moves APPLIED and then reads the state; the holding one does the reverse.
    if (atomic.load<u32>(APPLIED) === executed) release(executed, held);
    return next();
  }
  atomic.store<u32>(record, ((incarnationOf(state) + 1) << STATE_KIND_BITS) | STATE_EXECUTING, ITEM_STATE);
  return execution(executed);
}

/** All items below `item` are committed and in base: it can run, if its state is still `held`. */
export function release(item: u32, held: u32): void {
  ensure(kindOf(held) === STATE_HELD);
  const ready = ((incarnationOf(held) + 1) << STATE_KIND_BITS) | STATE_READY;
  if (atomic.cmpxchg<u32>(itemAt(item), held, ready, ITEM_STATE) === held) include(READY, item);
}

/** Counts a rerun; false: it was one too many, and the window stops. */
function rerun(record: usize): bool {
  const reruns = load<u32>(record, ITEM_RERUNS) + 1;
  const limit = load<u32>(RERUN_LIMIT);
  store<u32>(record, reruns, ITEM_RERUNS);
  if (limit === 0 || reruns <= limit) return true;
  stop(STOP_RERUNS);
  return false;
}

// ---- waiting ----------------------------------------------------------------------------------------------

/** The item that this worker executes waits until `lower` is finished. */
function waitFor(item: u32, lower: u32): void {
  const record = itemAt(item);
  const target = itemAt(lower);
  ensure(lower < item);
  const state = stateAs(record, STATE_EXECUTING);
  atomic.store<u32>(record, state - STATE_EXECUTING + STATE_WAITING, ITEM_STATE);
  while (true) {
    const first = atomic.load<u32>(target, ITEM_WAITERS);
    atomic.store<u32>(record, first, ITEM_NEXT_WAITER);
    if (atomic.cmpxchg<u32>(target, first, item + 1, ITEM_WAITERS) === first) break;
  }
  // The finishing thread sets the state and then looks for waiters; a waiting one does the reverse.
  if (finished(kindOf(stateOf(target)))) wakeWaiters(target);
}

/** Makes the items ready that wait for an item. The thread that takes the list owns it. */
function wakeWaiters(record: usize): void {
  let waiter = atomic.xchg<u32>(record, 0, ITEM_WAITERS);
  while (waiter !== 0) {
    const item = waiter - 1;
    waiter = atomic.load<u32>(itemAt(item), ITEM_NEXT_WAITER);
    makeReady(item, STATE_WAITING);
  }
}

/** The next incarnation of `item` can begin; its state is of the kind `from`. */
function makeReady(item: u32, from: u32): void {
  const record = itemAt(item);
  const incarnation = incarnationOf(stateAs(record, from)) + 1;
  atomic.store<u32>(record, (incarnation << STATE_KIND_BITS) | STATE_READY, ITEM_STATE);
  include(READY, item);
}

/** Whether the item, which this worker was about to execute, waits for an item it was hinted at. */
function waitForHints(item: u32, record: usize): bool {
  let hints = load<u32>(record, ITEM_HINTS);
  while (hints !== 0) {
    hints--;
    store<u32>(record, hints, ITEM_HINTS);
    const lower = <u32>load<u16>(hintsOf(item) + 2 * hints);
    if (finished(kindOf(stateOf(itemAt(lower))))) continue;
    waitFor(item, lower);
    return true;
  }
  return false;
}

// ---- validations ------------------------------------------------------------------------------------------

/** Whether the item of the task would read now what it has read. */
export function validate(): i32 {
  const record = itemAt(validated);
  // The clock is read before anything else: what changes from here on needs another validation.
  seenClock = atomic.load<u32>(CLOCK);
  seenState = stateOf(record);
  const log = atomic.load<u32>(record, ITEM_LOG);
  const end = atomic.load<u32>(record, ITEM_LOG_END);
  seenEntry = 0;
  // The log belongs to this incarnation only if the state is still the same.
  if (kindOf(seenState) !== STATE_EXECUTED || stateOf(record) !== seenState) {
    seenState = 0;
    return 1;
  }
  count(me(), WORKER_VALIDATIONS);
  seenEntry = firstChanged(validated, log, end);
  return seenEntry === 0 ? 1 : 0;
}

/** What follows from the answer of validate(). */
export function finishValidation(ok: i32): i32 {
  if (seenState === 0 || stopped()) return next();
  const record = itemAt(validated);
  const incarnation = incarnationOf(seenState);
  if (ok) {
    const verdict = ((<u64>incarnation) << 32) | seenClock;
    let before = atomic.load<u64>(record, ITEM_VALIDATED);
    while (before < verdict) {
      const found = atomic.cmpxchg<u64>(record, before, verdict, ITEM_VALIDATED);
      if (found === before) break;
      before = found;
    }
    return next();
  }
  if (!abort(record, seenState, seenEntry)) return next();
  if (!rerun(record)) return TASK_DONE;
  ensure(incarnationOf(stateAs(record, STATE_ABORTING)) === incarnation);
  atomic.store<u32>(record, ((incarnation + 1) << STATE_KIND_BITS) | STATE_EXECUTING, ITEM_STATE);
  return execution(validated);
}

/**
 * Ends the incarnation whose state is `state`, because of `entry`; false: somebody else did something to it
 * before.
 */
function abort(record: usize, state: u32, entry: usize): bool {
  ensure(kindOf(state) === STATE_EXECUTED);
  const aborting = state - STATE_EXECUTED + STATE_ABORTING;
  if (atomic.cmpxchg<u32>(record, state, aborting, ITEM_STATE) !== state) return false;
  // The first abort of this incarnation: from here on the item is this worker's.
  count(me(), WORKER_ABORTS);
  if (entry !== 0) contend(load<u32>(entry, ENTRY_LINE));
  makeEstimates(load<u32>(record, ITEM_LOG), load<u32>(record, ITEM_LOG_END));
  return true;
}

/**
 * The item that would be committed was given a wrong answer: it runs again, and now nothing below it
 * changes.
 */
export function refute(item: u32, state: u32, entry: usize): void {
  const record = itemAt(item);
  if (abort(record, state, entry) && rerun(record)) makeReady(item, STATE_ABORTING);
}

/** Counts a line among the contended ones: each slot keeps the line that comes most often. */
function contend(line: u32): void {
  const slot = <usize>(((line * 0x9e3779b1) >>> 16) % CONTENDED_SLOTS) * 8 + CONTENDED;
  const before = atomic.load<u64>(slot);
  const times = before >>> 32;
  let after = ((times + 1) << 32) | line;
  if (times !== 0 && <u32>before !== line) after = times === 1 ? 0 : before - (1 << 32);
  atomic.cmpxchg<u64>(slot, before, after);
}
