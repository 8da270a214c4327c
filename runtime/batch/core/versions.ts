/**
 * What incarnations read and leave: the log of the one that this instance executes, and the versions of
 * lines.
 */

import {
  ENTRY_BYTES,
  ENTRY_FLAGS,
  ENTRY_LINE,
  ENTRY_SIZE,
  ENTRY_SUM,
  ENTRY_UNREAD,
  ENTRY_VERSION,
  ENTRY_WRITTEN,
  ESTIMATE,
  LINE_BYTES,
  LINE_NODES,
  NODE_ITEM,
  NODE_VERSION,
  SPIN_LIMIT,
  STATE_ABORTING,
  STATE_EXECUTING,
  VERSION_BYTES,
  VERSION_FULL,
  VERSION_NODE,
  WORKER_WAITS,
} from "../layout.ts";
import { forgetDeltas, ownDeltas, showDeltas } from "./accumulate.ts";
import {
  appendEntry,
  hasRoom,
  logBegin,
  logEnd,
  logItem,
  me,
  newVersion,
  openLog,
  workspace,
} from "./arena.ts";
import { equals } from "./base.ts";
import { copyLine, sameLine } from "./bytes.ts";
import { isDeltas, sameOperations, sum } from "./deltas.ts";
import { findLine, insert, nodeBelow, versionOf } from "./lines.ts";
import { count, finished, itemAt, kindOf, stateOf, stopped } from "./state.ts";

// ---- what an incarnation does -----------------------------------------------------------------------------

/** The item whose estimate ended the incarnation, -1: none. */
let met: i32 = -1;

/** An incarnation of `item` begins. */
export function begin(item: u32): void {
  met = -1;
  forgetDeltas();
  openLog(item);
}

export function metItem(): i32 {
  return met;
}

/** The log entry for the first touch of `line`, or 0: give up. */
export function lookup(line: u32): usize {
  if (stopped() || !hasRoom()) return 0;
  const own = ownDeltas(line);
  const entry = own !== 0 ? own : logEnd();
  const record = findLine(line);
  const version = record !== 0 ? settled(line, record, entry + ENTRY_BYTES) : 0;
  if (met >= 0) return 0;
  if (version !== 0 && version !== ENTRY_SUM) copyLine(entry + ENTRY_BYTES, version + VERSION_BYTES);
  if (own !== 0) return showDeltas(entry, version);
  appendEntry();
  store<u32>(entry, line, ENTRY_LINE);
  store<u32>(entry, <u32>version, ENTRY_VERSION);
  store<u64>(entry, 0, ENTRY_FLAGS); // and ENTRY_WRITTEN
  return entry;
}

/**
 * The version that the incarnation reads, 0: base; ENTRY_SUM: a sum of deltas, which is put into `to`.
 * Waits for an estimate; `met` says that it was in vain.
 */
function settled(line: u32, record: usize, to: usize): usize {
  let spins: u32 = 0;
  while (true) {
    let node = nodeBelow(record, logItem());
    if (node === 0) return 0;
    const word = atomic.load<u32>(node, NODE_VERSION);
    if (word === 0) continue; // it was withdrawn just now: look again
    if ((word & ESTIMATE) === 0) {
      if (!isDeltas(word)) return word;
      node = sum(line, record + LINE_NODES, logItem(), to, workspace(), false);
      if (node === 0) return ENTRY_SUM;
    }
    const writer = load<u32>(node, NODE_ITEM);
    const kind = kindOf(stateOf(itemAt(writer)));
    if (finished(kind)) continue; // it has finished just now
    const runs = kind === STATE_EXECUTING || kind === STATE_ABORTING;
    if (!runs || spins === load<u32>(SPIN_LIMIT) || stopped()) {
      met = writer;
      return 0;
    }
    if (spins === 0) count(me(), WORKER_WAITS);
    spins++;
  }
}

/** Where the bytes go that this incarnation leaves in the line of `entry`; 0: give up. */
export function version(entry: usize): usize {
  const made = newVersion(logItem(), VERSION_FULL);
  if (made === 0) return 0;
  store<u32>(entry, <u32>made, ENTRY_WRITTEN);
  return made + VERSION_BYTES;
}

// ---- what becomes of it -----------------------------------------------------------------------------------

export const PUBLISHED_NOTHING_NEW = 0;
export const PUBLISHED_CHANGES = 1;
export const PUBLISH_FAILED = 2;

/**
 * Makes the log's versions those of its item, in place of the versions in the log [old, oldEnd), which are
 * estimates. A version with the bytes of the one before is dropped in its favour.
 */
export function publish(old: usize, oldEnd: usize): i32 {
  const item = logItem();
  let left = 0; // old versions that have not been left as they were
  for (let entry = old; entry < oldEnd; entry += ENTRY_SIZE) {
    if (load<u32>(entry, ENTRY_WRITTEN) !== 0) left++;
  }
  let changes = false;
  for (let entry = logBegin(); entry < logEnd(); entry += ENTRY_SIZE) {
    const written: usize = load<u32>(entry, ENTRY_WRITTEN);
    if (written === 0) continue;
    const line = load<u32>(entry, ENTRY_LINE);
    const before = left > 0 ? versionOf(line, item) : 0;
    if (before !== 0 && sameVersion(before, written)) {
      store<u32>(entry, <u32>before, ENTRY_WRITTEN);
      atomic.store<u32>(load<u32>(before, VERSION_NODE), <u32>before, NODE_VERSION);
      left--;
    } else {
      changes = true;
      if (!insert(line, item, written)) return PUBLISH_FAILED;
    }
  }
  if (left > 0) {
    changes = true;
    for (let entry = old; entry < oldEnd; entry += ENTRY_SIZE) {
      const written: usize = load<u32>(entry, ENTRY_WRITTEN);
      if (written === 0) continue;
      const node: usize = load<u32>(written, VERSION_NODE);
      if (atomic.load<u32>(node, NODE_VERSION) === (<u32>written | ESTIMATE)) {
        atomic.store<u32>(node, 0, NODE_VERSION);
      }
    }
  }
  return changes ? PUBLISHED_CHANGES : PUBLISHED_NOTHING_NEW;
}

function sameVersion(a: usize, b: usize): bool {
  if (isDeltas(a) || isDeltas(b)) return isDeltas(a) && isDeltas(b) && sameOperations(a, b);
  return sameLine(a + VERSION_BYTES, b + VERSION_BYTES);
}

/** Turns the versions of a log into estimates. */
export function makeEstimates(log: usize, end: usize): void {
  for (let entry = log; entry < end; entry += ENTRY_SIZE) {
    const written: usize = load<u32>(entry, ENTRY_WRITTEN);
    if (written === 0) continue;
    atomic.store<u32>(load<u32>(written, VERSION_NODE), <u32>written | ESTIMATE, NODE_VERSION);
  }
}

/** The first entry of a log of `item` that would be read differently now; 0 if there is none. */
export function firstChanged(item: u32, log: usize, end: usize): usize {
  for (let entry = log; entry < end; entry += ENTRY_SIZE) {
    if (changed(entry, item)) return entry;
  }
  return 0;
}

function changed(entry: usize, item: u32): bool {
  const line = load<u32>(entry, ENTRY_LINE);
  const seen = load<u32>(entry, ENTRY_VERSION);
  if (seen === ENTRY_UNREAD) return false;
  const record = findLine(line);
  while (record !== 0) {
    const node = nodeBelow(record, item);
    if (node === 0) break;
    const word = atomic.load<u32>(node, NODE_VERSION);
    if (word === 0) continue; // it was withdrawn just now: look again
    if (word === seen) return false;
    if ((word & ESTIMATE) !== 0) return true;
    if (!isDeltas(word)) return !sameLine(word + VERSION_BYTES, entry + ENTRY_BYTES);
    if (!hasRoom()) return true;
    const now = workspace();
    if (sum(line, record + LINE_NODES, item, now, now + LINE_BYTES, false) !== 0) return true;
    return !sameLine(now, entry + ENTRY_BYTES);
  }
  return seen !== 0 && !equals(line, entry + ENTRY_BYTES);
}
