/**
 * Operations on unsigned little-endian integers of 8, 16 or 32 bytes: what accumulate() adds, and lines
 * that are sums of such deltas.
 */

import {
  ESTIMATE,
  NODE_ITEM,
  NODE_NEXT,
  NODE_VERSION,
  OPERATION_APPLIED,
  OPERATION_DELTA,
  OPERATION_FLAGS,
  OPERATION_MAX,
  OPERATION_MIN,
  OPERATION_NEXT,
  OPERATION_OFFSET,
  OPERATION_SUBTRACTS,
  OPERATION_WIDTH,
  VERSION_BYTES,
  VERSION_DELTAS,
  VERSION_KIND,
  VERSION_OPERATIONS,
} from "../layout.ts";
import { read } from "./base.ts";
import { copyLine } from "./bytes.ts";

// ---- integers ---------------------------------------------------------------------------------------------

/** to += delta; whether it overflowed. */
function add(to: usize, delta: usize, width: u32): bool {
  let carry: u64 = 0;
  for (let at: u32 = 0; at < width; at += 8) {
    const a = load<u64>(to + at);
    const partial = a + load<u64>(delta + at);
    const sum = partial + carry;
    carry = u64(partial < a) | u64(sum < partial);
    store<u64>(to + at, sum);
  }
  return carry !== 0;
}

/** to -= delta; whether it went below zero. */
function subtract(to: usize, delta: usize, width: u32): bool {
  let borrow: u64 = 0;
  for (let at: u32 = 0; at < width; at += 8) {
    const a = load<u64>(to + at);
    const b = load<u64>(delta + at);
    const partial = a - b;
    store<u64>(to + at, partial - borrow);
    borrow = u64(a < b) | u64(partial < borrow);
  }
  return borrow !== 0;
}

function less(a: usize, b: usize, width: u32): bool {
  for (let at = width; at > 0; at -= 8) {
    const x = load<u64>(a + at - 8);
    const y = load<u64>(b + at - 8);
    if (x !== y) return x < y;
  }
  return false;
}

// ---- operations -------------------------------------------------------------------------------------------

/** Changes the line by what the operation adds, without a look at its bounds; whether the integer wrapped. */
export function change(line: usize, operation: usize): bool {
  const at = line + load<u32>(operation, OPERATION_OFFSET);
  const width = load<u32>(operation, OPERATION_WIDTH);
  if ((load<u32>(operation, OPERATION_FLAGS) & OPERATION_SUBTRACTS) !== 0) {
    return subtract(at, operation + OPERATION_DELTA, width);
  }
  return add(at, operation + OPERATION_DELTA, width);
}

/** Takes back what change() did. */
function undo(line: usize, operation: usize): void {
  const at = line + load<u32>(operation, OPERATION_OFFSET);
  const width = load<u32>(operation, OPERATION_WIDTH);
  if ((load<u32>(operation, OPERATION_FLAGS) & OPERATION_SUBTRACTS) !== 0) {
    add(at, operation + OPERATION_DELTA, width);
  } else {
    subtract(at, operation + OPERATION_DELTA, width);
  }
}

/** Changes the line if the result lies within the operation's bounds; whether it does. */
export function attempt(line: usize, operation: usize): bool {
  const at = line + load<u32>(operation, OPERATION_OFFSET);
  const width = load<u32>(operation, OPERATION_WIDTH);
  const wrapped = change(line, operation);
  if (wrapped || less(at, operation + OPERATION_MIN, width) || less(operation + OPERATION_MAX, at, width)) {
    undo(line, operation);
    return false;
  }
  return true;
}

/** Changes the line by all operations of a version; whether each agrees with the incarnation's answer. */
export function replay(line: usize, version: usize): bool {
  let operation: usize = load<u32>(version, VERSION_OPERATIONS);
  while (operation !== 0) {
    const answered = (load<u32>(operation, OPERATION_FLAGS) & OPERATION_APPLIED) !== 0;
    if (attempt(line, operation) !== answered) return false;
    operation = load<u32>(operation, OPERATION_NEXT);
  }
  return true;
}

/** Changes the line by the operations of a version that were applied. */
function accumulateAll(line: usize, version: usize): void {
  let operation: usize = load<u32>(version, VERSION_OPERATIONS);
  while (operation !== 0) {
    if ((load<u32>(operation, OPERATION_FLAGS) & OPERATION_APPLIED) !== 0) change(line, operation);
    operation = load<u32>(operation, OPERATION_NEXT);
  }
}

export function isDeltas(version: usize): bool {
  return load<u32>(version, VERSION_KIND) === VERSION_DELTAS;
}

/** Whether two versions made of deltas are the same list of operations with the same answers. */
export function sameOperations(a: usize, b: usize): bool {
  let x: usize = load<u32>(a, VERSION_OPERATIONS);
  let y: usize = load<u32>(b, VERSION_OPERATIONS);
  while (x !== 0 && y !== 0) {
    if (
      memory.compare(x + OPERATION_OFFSET, y + OPERATION_OFFSET, OPERATION_DELTA - OPERATION_OFFSET) !== 0
    ) {
      return false;
    }
    const width = load<u32>(x, OPERATION_WIDTH);
    if (memory.compare(x + OPERATION_DELTA, y + OPERATION_DELTA, width) !== 0) return false;
    if (memory.compare(x + OPERATION_MIN, y + OPERATION_MIN, width) !== 0) return false;
    if (memory.compare(x + OPERATION_MAX, y + OPERATION_MAX, width) !== 0) return false;
    x = load<u32>(x, OPERATION_NEXT);
    y = load<u32>(y, OPERATION_NEXT);
  }
  return x === y;
}

// ---- sums -------------------------------------------------------------------------------------------------

/** What sum() needs at `scratch`: an address for each item of a window. */
export const SUM_SCRATCH = 2048;

/**
 * Puts into `to` what the line holds before `item`: the highest full version below it, or base, and the
 * deltas above that. Returns 0, or, unless `lenient`, the node of an estimate that it met.
 */
export function sum(line: u32, nodes: usize, item: u32, to: usize, scratch: usize, lenient: bool): usize {
  while (true) {
    let deltas: usize = scratch;
    let lowest: usize = 0;
    let lowestWord: u32 = 0;
    let full: usize = 0;
    let node: usize = nodes === 0 ? 0 : atomic.load<u32>(nodes);
    for (; node !== 0; node = atomic.load<u32>(node, NODE_NEXT)) {
      if (load<u32>(node, NODE_ITEM) >= item) continue;
      const word = atomic.load<u32>(node, NODE_VERSION);
      if (word === 0) continue;
      if ((word & ESTIMATE) !== 0 && !lenient) return node;
      const version: usize = word & ~ESTIMATE;
      if (!isDeltas(version)) {
        full = version;
        break;
      }
      store<u32>(deltas, <u32>version);
      deltas += 4;
      lowest = node;
      lowestWord = word;
    }
    if (full !== 0) {
      copyLine(to, full + VERSION_BYTES);
    } else {
      read(line, to);
      // A commit makes a full version of the lowest deltas before it changes base: so base was without them.
      if (lowest !== 0 && atomic.load<u32>(lowest, NODE_VERSION) !== lowestWord) continue;
    }
    while (deltas !== scratch) {
      deltas -= 4;
      accumulateAll(to, load<u32>(deltas));
    }
    return 0;
  }
}
