/**
 * Deltas: those that the incarnation of this instance accumulates, and those of the item that is committed.
 */

import {
  ACCUMULATE_APPLIED,
  ACCUMULATE_GIVE_UP,
  ACCUMULATE_PLAIN,
  ACCUMULATE_REFUSED,
  DELTAS,
  DELTAS_BITS,
  DELTAS_SIZE,
  ENTRY_BYTES,
  ENTRY_FLAGS,
  ENTRY_LINE,
  ENTRY_SIZE,
  ENTRY_SUM,
  ENTRY_UNREAD,
  ENTRY_VERSION,
  ENTRY_WRITTEN,
  LINE_BYTES,
  LINE_NODES,
  NODE_VERSION,
  OPERATION_APPLIED,
  OPERATION_DELTA,
  OPERATION_FLAGS,
  OPERATION_LAST,
  OPERATION_MAX,
  OPERATION_MIN,
  OPERATION_NEXT,
  OPERATION_OFFSET,
  OPERATION_SHAPES,
  OPERATION_SIZE,
  OPERATION_SUBTRACTS,
  OPERATION_WIDTH,
  VERSION_BYTES,
  VERSION_DELTAS,
  VERSION_FULL,
  VERSION_NODE,
  VERSION_OPERATIONS,
} from "../layout.ts";
import {
  allocate,
  appendEntry,
  closeLog,
  hasRoom,
  logBegin,
  logEnd,
  logItem,
  newVersion,
  workspace,
} from "./arena.ts";
import { read } from "./base.ts";
import { clearLine, copyLine } from "./bytes.ts";
import { attempt, change, replay, sum } from "./deltas.ts";
import { findLine } from "./lines.ts";
import { stopped } from "./state.ts";

// ---- the incarnation --------------------------------------------------------------------------------------

/** Entries of the incarnation's log that are deltas. They are found by a hash table. */
let deltas: u32 = 0;
/** The worker's table, and whether it may hold something. */
let table: usize = 0;
let isUsed: bool = false;

/** This instance is `worker` from now on: what it finds in the table is another's. */
export function takeTable(worker: u32): void {
  table = <usize>worker * DELTAS_SIZE + DELTAS;
  isUsed = true;
}

export function forgetDeltas(): void {
  deltas = 0;
  if (isUsed) memory.fill(table, 0, DELTAS_SIZE);
  isUsed = false;
}

function bucketOf(line: u32): usize {
  return table + ((<usize>((line * 0x9e3779b1) >>> (32 - DELTAS_BITS))) << 2);
}

export function deltaCount(): u32 {
  return deltas;
}

/** Where the entry before this one of its bucket is noted: a version has no node until it is published. */
function linkOf(entry: usize): usize {
  return load<u32>(entry, ENTRY_WRITTEN) + VERSION_NODE;
}

/** The entry of a line in which this incarnation has only accumulated; 0 if there is none. */
export function ownDeltas(line: u32): usize {
  if (deltas === 0) return 0;
  let entry: usize = load<u32>(bucketOf(line));
  while (entry !== 0 && load<u32>(entry, ENTRY_LINE) !== line) entry = load<u32>(linkOf(entry));
  return entry;
}

/** The entry is one of deltas no more. */
function unlink(entry: usize): void {
  let link = bucketOf(load<u32>(entry, ENTRY_LINE));
  while (load<u32>(link) !== <u32>entry) link = linkOf(load<u32>(link));
  store<u32>(link, load<u32>(linkOf(entry)));
  deltas--;
}

/**
 * The entry of deltas becomes one that was read, as `version`: what was accumulated is shown on top of
 * that.
 */
export function showDeltas(entry: usize, version: usize): usize {
  const shown = allocate(LINE_BYTES);
  if (shown === 0) return 0;
  // Base is read here, not by the caller.
  if (version === 0) read(load<u32>(entry, ENTRY_LINE), entry + ENTRY_BYTES);
  copyLine(shown, entry + ENTRY_BYTES);
  if (!replay(shown, load<u32>(entry, ENTRY_WRITTEN))) return 0; // it was given another answer
  unlink(entry);
  store<u32>(entry, version === 0 ? ENTRY_SUM : <u32>version, ENTRY_VERSION);
  store<u32>(entry, <u32>shown, ENTRY_FLAGS);
  store<u32>(entry, 0, ENTRY_WRITTEN);
  return entry;
}

/** Adds to an integer of a line that this incarnation has not looked up. */
export function accumulate(
  line: u32,
  offset: u32,
  width: u32,
  subtracts: i32,
  delta: usize,
  minimum: usize,
  maximum: usize,
): i32 {
  if (stopped() || !hasRoom()) return ACCUMULATE_GIVE_UP;
  let entry = ownDeltas(line);
  if (entry !== 0 && overlaps(load<u32>(entry, ENTRY_WRITTEN), offset, width)) return ACCUMULATE_PLAIN;
  const operation = allocate(OPERATION_SIZE);
  if (operation === 0) return ACCUMULATE_GIVE_UP;
  store<u32>(operation, 0, OPERATION_NEXT);
  store<u32>(operation, offset, OPERATION_OFFSET);
  store<u32>(operation, width, OPERATION_WIDTH);
  memory.copy(operation + OPERATION_DELTA, delta, width);
  memory.copy(operation + OPERATION_MIN, minimum, width);
  memory.copy(operation + OPERATION_MAX, maximum, width);
  if (entry === 0) {
    const made = newVersion(logItem(), VERSION_DELTAS);
    if (made === 0) return ACCUMULATE_GIVE_UP;
    clearLine(made + VERSION_BYTES);
    entry = appendEntry();
    deltas++;
    store<u32>(entry, line, ENTRY_LINE);
    store<u32>(entry, ENTRY_UNREAD, ENTRY_VERSION);
    store<u32>(entry, 0, ENTRY_FLAGS);
    store<u32>(entry, <u32>made, ENTRY_WRITTEN);
    const bucket = bucketOf(line);
    store<u32>(made, load<u32>(bucket), VERSION_NODE);
    store<u32>(bucket, <u32>entry);
    isUsed = true;
    // What the line holds as far as one can see: estimates are good enough for a guess.
    const record = findLine(line);
    const nodes: usize = record === 0 ? 0 : record + LINE_NODES;
    sum(line, nodes, logItem(), entry + ENTRY_BYTES, workspace(), true);
  }
  store<u32>(operation, subtracts ? OPERATION_SUBTRACTS : 0, OPERATION_FLAGS);
  const applied = attempt(entry + ENTRY_BYTES, operation);
  const written: usize = load<u32>(entry, ENTRY_WRITTEN);
  if (applied) {
    store<u32>(operation, load<u32>(operation, OPERATION_FLAGS) | OPERATION_APPLIED, OPERATION_FLAGS);
    change(written + VERSION_BYTES, operation);
  }
  append(written, operation, offset, width);
  return applied ? ACCUMULATE_APPLIED : ACCUMULATE_REFUSED;
}

/**
 * The incarnation leaves none of its deltas. Its answers are still validated: ENTRY_FLAGS keeps the
 * operations.
 */
export function withdraw(): void {
  for (let entry = logBegin(); entry < logEnd(); entry += ENTRY_SIZE) {
    if (load<u32>(entry, ENTRY_VERSION) !== ENTRY_UNREAD) continue;
    store<u32>(entry, load<u32>(entry, ENTRY_WRITTEN), ENTRY_FLAGS);
    store<u32>(entry, 0, ENTRY_WRITTEN);
  }
}

/** For each u64 of the line that the integer covers the number `kind`, of 2 bits. */
function shape(offset: u32, width: u32, kind: u32): u32 {
  const bits = width >>> 2;
  return ((kind * 0x55) & ((1 << bits) - 1)) << (offset >>> 2);
}

function shapeOf(offset: u32, width: u32): u32 {
  return shape(offset, width, width === 8 ? 1 : width === 16 ? 2 : 3);
}

/** Whether a version has an operation on another integer that shares bytes with this one. */
function overlaps(version: usize, offset: u32, width: u32): bool {
  const first: usize = load<u32>(version, VERSION_OPERATIONS);
  const found = load<u32>(first, OPERATION_SHAPES) & shape(offset, width, 3);
  return found !== 0 && found !== shapeOf(offset, width);
}

function append(version: usize, operation: usize, offset: u32, width: u32): void {
  let first: usize = load<u32>(version, VERSION_OPERATIONS);
  if (first === 0) {
    first = operation;
    store<u32>(version, <u32>first, VERSION_OPERATIONS);
    store<u32>(first, 0, OPERATION_SHAPES);
  } else {
    store<u32>(load<u32>(first, OPERATION_LAST), <u32>operation, OPERATION_NEXT);
  }
  store<u32>(first, <u32>operation, OPERATION_LAST);
  store<u32>(first, load<u32>(first, OPERATION_SHAPES) | shapeOf(offset, width), OPERATION_SHAPES);
}

// ---- the commit -------------------------------------------------------------------------------------------

/**
 * The first entry with an answer that differs from that of the exact sum; 0 if there is none. All
 * lower items are committed and in base.
 */
export function firstMisled(item: u32, log: usize, end: usize): usize {
  for (let entry = log; entry < end; entry += ENTRY_SIZE) {
    if (load<u32>(entry, ENTRY_VERSION) !== ENTRY_UNREAD) continue;
    const written = load<u32>(entry, ENTRY_WRITTEN);
    const line = workspace();
    sumAt(entry, item, line);
    if (!replay(line, written !== 0 ? written : load<u32>(entry, ENTRY_FLAGS))) return entry;
  }
  return 0;
}

/** Makes full versions of the deltas of an item that is final. */
export function makeFull(item: u32, log: usize, end: usize): void {
  for (let entry = log; entry < end; entry += ENTRY_SIZE) {
    if (load<u32>(entry, ENTRY_VERSION) !== ENTRY_UNREAD) continue;
    const before: usize = load<u32>(entry, ENTRY_WRITTEN);
    if (before === 0) continue; // withdrawn
    const full = newVersion(item, VERSION_FULL);
    sumAt(entry, item, full + VERSION_BYTES);
    replay(full + VERSION_BYTES, before);
    const node = load<u32>(before, VERSION_NODE);
    store<u32>(full, node, VERSION_NODE);
    store<u32>(entry, <u32>full, ENTRY_WRITTEN);
    atomic.store<u32>(node, <u32>full, NODE_VERSION);
  }
  closeLog();
}

function sumAt(entry: usize, item: u32, to: usize): void {
  const line = load<u32>(entry, ENTRY_LINE);
  const record = findLine(line);
  const nodes: usize = record === 0 ? 0 : record + LINE_NODES;
  sum(line, nodes, item, to, workspace() + LINE_BYTES, true);
}
