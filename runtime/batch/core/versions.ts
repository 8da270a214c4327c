/**
 * Lines and their versions, and the log of the incarnation that this instance executes.
 *
 * For each line that was written in the window there is a list of nodes, one for each item that wrote it,
 * highest
 * first. Nodes are added by compare-and-swap and never removed, so a walk needs no lock; an item that no
 * longer writes the line has version 0 there. A version never changes once its node names it, and no
 * address is
 * used twice in a window: equal addresses mean equal versions.
 */

import {
  ARENAS,
  BUCKETS,
  BUCKET_BITS,
  ENTRY_BYTES,
  ENTRY_FLAGS,
  ENTRY_LINE,
  ENTRY_SIZE,
  ENTRY_VERSION,
  ENTRY_WRITTEN,
  ESTIMATE,
  GENERATION,
  LINE_NEXT,
  LINE_NODES,
  LINE_NUMBER,
  LINE_SIZE,
  MEMORY_END,
  NODE_ITEM,
  NODE_NEXT,
  NODE_SIZE,
  NODE_VERSION,
  SPIN_LIMIT,
  STATE_ABORTING,
  STATE_EXECUTING,
  STATE_READY,
  STATE_WAITING,
  STOP_ARENA,
  VERSION_BYTES,
  VERSION_ITEM,
  VERSION_NODE,
  VERSION_SIZE,
  WORKERS,
  WORKER_COUNT,
  WORKER_FLOOR,
  WORKER_GENERATION,
  WORKER_LOG_TOP,
  WORKER_SIZE,
  WORKER_VERSIONS,
  WORKER_WAITS,
} from "../layout.ts";
import { equals } from "./base.ts";
import { count, itemAt, kindOf, stateOf, stop, stopped } from "./state.ts";

// ---- the arena of this worker -----------------------------------------------------------------------------

let worker: usize = 0;
/** The incarnation's log ends here; so does what the arena holds at its low end. */
let logEndAt: usize = 0;
let logBeginAt: usize = 0;
/** What the arena holds at its high end begins here. */
let floor: usize = 0;

/** The item whose incarnation this instance executes. */
let reader: u32 = 0;
/** The item whose estimate ended the incarnation. */
let met: i32 = -1;

export function enter(number: u32): void {
  worker = <usize>number * WORKER_SIZE + WORKERS;
  const generation = load<u32>(GENERATION);
  if (load<u32>(worker, WORKER_GENERATION) !== generation) {
    const size = ((load<u32>(MEMORY_END) - ARENAS) / load<u32>(WORKER_COUNT)) & ~15;
    const begin = ARENAS + number * size;
    store<u32>(worker, generation, WORKER_GENERATION);
    store<u32>(worker, begin, WORKER_LOG_TOP);
    store<u32>(worker, begin + size, WORKER_FLOOR);
  }
  logBeginAt = logEndAt = load<u32>(worker, WORKER_LOG_TOP);
  floor = load<u32>(worker, WORKER_FLOOR);
}

/** The record of this worker. */
export function me(): usize {
  return worker;
}

/** The item whose estimate ended the incarnation, -1: none. */
export function metItem(): i32 {
  return met;
}

/** The log of an incarnation of `item` begins. */
export function openLog(item: u32): void {
  reader = item;
  met = -1;
  logBeginAt = logEndAt;
}

/** What the incarnation left in the arena stays. */
export function closeLog(): void {
  store<u32>(worker, <u32>logEndAt, WORKER_LOG_TOP);
  store<u32>(worker, <u32>floor, WORKER_FLOOR);
}

export function logBegin(): usize {
  return logBeginAt;
}

export function logEnd(): usize {
  return logEndAt;
}

/** `size` bytes, divisible by 16, at the arena's high end; 0 if it is full. */
function allocate(size: usize): usize {
  const at = floor - size;
  if (at < logEndAt) {
    stop(STOP_ARENA);
    return 0;
  }
  floor = at;
  return at;
}

// ---- bytes ------------------------------------------------------------------------------------------------

function copyLine(to: usize, from: usize): void {
  v128.store(to, v128.load(from));
  v128.store(to, v128.load(from, 16), 16);
  v128.store(to, v128.load(from, 32), 32);
  v128.store(to, v128.load(from, 48), 48);
}

function sameLine(a: usize, b: usize): bool {
  const low = v128.or(v128.xor(v128.load(a), v128.load(b)), v128.xor(v128.load(a, 16), v128.load(b, 16)));
  const high = v128.or(
    v128.xor(v128.load(a, 32), v128.load(b, 32)),
    v128.xor(v128.load(a, 48), v128.load(b, 48)),
  );
  return !v128.any_true(v128.or(low, high));
}

// ---- lines and nodes --------------------------------------------------------------------------------------

function bucketOf(line: u32): usize {
  return ((<usize>((line * 0x9e3779b1) >>> (32 - BUCKET_BITS))) << 3) + BUCKETS;
}

/** The first line of a bucket, given its word. */
function firstOf(word: u64): usize {
  return <u32>(word >>> 32) === load<u32>(GENERATION) ? <usize>(<u32>word) : 0;
}

function search(first: usize, line: u32): usize {
  let at = first;
  while (at !== 0 && load<u32>(at, LINE_NUMBER) !== line) at = load<u32>(at, LINE_NEXT);
  return at;
}

/** The line's record; 0 if nobody wrote it. */
function findLine(line: u32): usize {
  return search(firstOf(atomic.load<u64>(bucketOf(line))), line);
}

/** The line's record, made if need be; 0: the arena is full. */
function needLine(line: u32): usize {
  const bucket = bucketOf(line);
  let made: usize = 0;
  while (true) {
    const word = atomic.load<u64>(bucket);
    const first = firstOf(word);
    const found = search(first, line);
    if (found !== 0) return found;
    if (made === 0) {
      made = allocate(LINE_SIZE);
      if (made === 0) return 0;
      store<u32>(made, line, LINE_NUMBER);
      atomic.store<u32>(made, 0, LINE_NODES);
    }
    store<u32>(made, <u32>first, LINE_NEXT);
    const replacement = ((<u64>load<u32>(GENERATION)) << 32) | <u64>made;
    if (atomic.cmpxchg<u64>(bucket, word, replacement) === word) return made;
  }
}

/** The node of the highest item below `item` that writes the line; 0 if there is none. */
function nodeBelow(line: usize, item: u32): usize {
  let node: usize = atomic.load<u32>(line, LINE_NODES);
  while (node !== 0 && (load<u32>(node, NODE_ITEM) >= item || atomic.load<u32>(node, NODE_VERSION) === 0)) {
    node = atomic.load<u32>(node, NODE_NEXT);
  }
  return node;
}

/** Makes `version` what `item` leaves in the line. False: the arena is full. */
function insert(line: u32, item: u32, version: usize): bool {
  const record = needLine(line);
  if (record === 0) return false;
  let link = record + LINE_NODES;
  let made: usize = 0;
  while (true) {
    let next: usize = atomic.load<u32>(link);
    while (next !== 0 && load<u32>(next, NODE_ITEM) > item) {
      link = next + NODE_NEXT;
      next = atomic.load<u32>(link);
    }
    if (next !== 0 && load<u32>(next, NODE_ITEM) === item) {
      store<u32>(version, <u32>next, VERSION_NODE);
      atomic.store<u32>(next, <u32>version, NODE_VERSION);
      return true;
    }
    if (made === 0) {
      made = allocate(NODE_SIZE);
      if (made === 0) return false;
      store<u32>(made, item, NODE_ITEM);
      atomic.store<u32>(made, <u32>version, NODE_VERSION);
      store<u32>(version, <u32>made, VERSION_NODE);
    }
    atomic.store<u32>(made, <u32>next, NODE_NEXT);
    if (atomic.cmpxchg<u32>(link, <u32>next, <u32>made) === <u32>next) return true;
  }
}

// ---- what an incarnation does -----------------------------------------------------------------------------

/** A new log entry for `line`, or 0: give up. */
export function lookup(line: u32): usize {
  if (stopped()) return 0;
  const entry = logEndAt;
  if (entry + ENTRY_SIZE > floor) {
    stop(STOP_ARENA);
    return 0;
  }
  const record = findLine(line);
  let version: usize = 0;
  if (record !== 0) {
    const word = settled(record);
    if (met >= 0) return 0;
    version = word;
  }
  logEndAt = entry + ENTRY_SIZE;
  store<u32>(entry, line, ENTRY_LINE);
  store<u32>(entry, <u32>version, ENTRY_VERSION);
  store<u64>(entry, 0, ENTRY_FLAGS); // and ENTRY_WRITTEN
  if (version !== 0) copyLine(entry + ENTRY_BYTES, version + VERSION_BYTES);
  return entry;
}

/** The version that the incarnation reads, 0: base. Waits for an estimate; `met` says that it was in vain. */
function settled(record: usize): usize {
  let spins: u32 = 0;
  while (true) {
    const node = nodeBelow(record, reader);
    if (node === 0) return 0;
    const word = atomic.load<u32>(node, NODE_VERSION);
    if (word !== 0 && (word & ESTIMATE) === 0) return word;
    if (word === 0) continue; // it was withdrawn just now: look again
    const writer = load<u32>(node, NODE_ITEM);
    const kind = kindOf(stateOf(itemAt(writer)));
    const runs = kind === STATE_EXECUTING || kind === STATE_ABORTING;
    if (!runs && kind !== STATE_READY && kind !== STATE_WAITING) continue; // it has finished just now
    if (!runs || spins === load<u32>(SPIN_LIMIT) || stopped()) {
      met = writer;
      return 0;
    }
    if (spins === 0) count(worker, WORKER_WAITS);
    spins++;
  }
}

/** Where the bytes go that this incarnation leaves in the line of `entry`; 0: give up. */
export function version(entry: usize): usize {
  const made = allocate(VERSION_SIZE);
  if (made === 0) return 0;
  store<u32>(made, reader, VERSION_ITEM);
  store<u32>(entry, <u32>made, ENTRY_WRITTEN);
  count(worker, WORKER_VERSIONS);
  return made + VERSION_BYTES;
}

// ---- what becomes of it -----------------------------------------------------------------------------------

export const PUBLISHED_NOTHING_NEW = 0;
export const PUBLISHED_CHANGES = 1;
export const PUBLISH_FAILED = 2;

/**
 * Makes the log's versions those of its item, in place of the versions in the log [old, oldEnd), which are
 * estimates.
 * A version with the bytes of the one before gives way to it.
 */
export function publish(old: usize, oldEnd: usize): i32 {
  let left = 0; // old versions that have not been left as they were
  for (let entry = old; entry < oldEnd; entry += ENTRY_SIZE) {
    if (load<u32>(entry, ENTRY_WRITTEN) !== 0) left++;
  }
  let changes = false;
  for (let entry = logBeginAt; entry < logEndAt; entry += ENTRY_SIZE) {
    const written: usize = load<u32>(entry, ENTRY_WRITTEN);
    if (written === 0) continue;
    const line = load<u32>(entry, ENTRY_LINE);
    const before = left > 0 ? versionOf(line, reader) : 0;
    if (before !== 0 && sameLine(before + VERSION_BYTES, written + VERSION_BYTES)) {
      store<u32>(entry, <u32>before, ENTRY_WRITTEN);
      atomic.store<u32>(load<u32>(before, VERSION_NODE), <u32>before, NODE_VERSION);
      left--;
    } else {
      changes = true;
      if (!insert(line, reader, written)) return PUBLISH_FAILED;
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

/** The version that `item` left in the line, an estimate; 0 if it did not. */
function versionOf(line: u32, item: u32): usize {
  const record = findLine(line);
  if (record === 0) return 0;
  let node: usize = atomic.load<u32>(record, LINE_NODES);
  while (node !== 0 && load<u32>(node, NODE_ITEM) > item) node = atomic.load<u32>(node, NODE_NEXT);
  if (node === 0 || load<u32>(node, NODE_ITEM) !== item) return 0;
  return atomic.load<u32>(node, NODE_VERSION) & ~ESTIMATE;
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
  const record = findLine(line);
  const read: usize = load<u32>(entry, ENTRY_VERSION);
  while (record !== 0) {
    const node = nodeBelow(record, item);
    if (node === 0) break;
    const word = atomic.load<u32>(node, NODE_VERSION);
    if (word === 0) continue; // it was withdrawn just now: look again
    if (word === <u32>read) return false;
    if ((word & ESTIMATE) !== 0) return true;
    return !sameLine(word + VERSION_BYTES, entry + ENTRY_BYTES);
  }
  return read !== 0 && !equals(line, entry + ENTRY_BYTES);
}
