/**
 * The arena of this worker: logs grow up from its start, versions and what else is needed grow down from
 * its end. What an incarnation left stays for the window, so no address is used twice.
 */

import {
  ARENAS,
  ENTRY_SIZE,
  GENERATION,
  LINE_BYTES,
  OPERATION_SIZE,
  MEMORY_END,
  STOP_ARENA,
  VERSION_ITEM,
  VERSION_KIND,
  VERSION_OPERATIONS,
  VERSION_SIZE,
  WORKERS,
  WORKER_COUNT,
  WORKER_FLOOR,
  WORKER_GENERATION,
  WORKER_LOG_TOP,
  WORKER_SIZE,
  WORKER_VERSIONS,
} from "../layout.ts";
import { SUM_SCRATCH } from "./deltas.ts";
import { count, stop } from "./state.ts";

let worker: usize = 0;
/** The incarnation's log ends here; so does what the arena holds at its low end. */
let logEndAt: usize = 0;
let logBeginAt: usize = 0;
let logItemNumber: u32 = 0;
/** What the arena holds at its high end begins here. */
let floor: usize = 0;

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

/** The log of an incarnation of `item` begins. */
export function openLog(item: u32): void {
  logItemNumber = item;
  logBeginAt = logEndAt;
}

/** The item whose incarnation this instance executes. */
export function logItem(): u32 {
  return logItemNumber;
}

/** One more entry, for which there must be room (hasRoom); the caller fills it. */
export function appendEntry(): usize {
  const entry = logEndAt;
  logEndAt = entry + ENTRY_SIZE;
  return entry;
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
export function allocate(size: usize): usize {
  const at = floor - size;
  if (at < logEndAt) {
    stop(STOP_ARENA);
    return 0;
  }
  floor = at;
  return at;
}

/** Room that a call may need beside an entry: what it leaves, a line to work in, and what sum() needs. */
const ROOM = LINE_BYTES + SUM_SCRATCH + ENTRY_SIZE + VERSION_SIZE + OPERATION_SIZE + LINE_BYTES;

/** Whether there is room for one more entry, and to work in. */
export function hasRoom(): bool {
  if (logEndAt + ENTRY_SIZE + ROOM <= floor) return true;
  stop(STOP_ARENA);
  return false;
}

/** Bytes to work in that belong to nobody: a line, then what sum() needs. Ask hasRoom() before. */
export function workspace(): usize {
  return logEndAt + ENTRY_SIZE;
}

/** Whether there is room for full versions instead of `count` versions made of deltas. */
export function hasRoomForFull(count: u32): bool {
  if (logEndAt + ENTRY_SIZE + ROOM + count * VERSION_SIZE <= floor) return true;
  stop(STOP_ARENA);
  return false;
}

/** A new version by `item`; 0: no room. */
export function newVersion(item: u32, kind: u32): usize {
  const made = allocate(VERSION_SIZE);
  if (made === 0) return 0;
  store<u32>(made, item, VERSION_ITEM);
  store<u32>(made, kind, VERSION_KIND);
  store<u32>(made, 0, VERSION_OPERATIONS);
  count(worker, WORKER_VERSIONS);
  return made;
}
