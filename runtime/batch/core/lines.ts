/**
 * Lines that were written in the window, and the nodes of the items that wrote them, highest item first.
 *
 * Nodes are added by compare-and-swap and never removed, so a walk needs no lock; an item that no longer
 * writes the line has version 0 there. A version never changes once its node names it: equal addresses mean
 * equal versions.
 */

import {
  BUCKETS,
  BUCKET_BITS,
  ESTIMATE,
  GENERATION,
  LINE_NEXT,
  LINE_NODES,
  LINE_NUMBER,
  LINE_SIZE,
  NODE_ITEM,
  NODE_NEXT,
  NODE_SIZE,
  NODE_VERSION,
  VERSION_NODE,
} from "../layout.ts";
import { allocate } from "./arena.ts";

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
export function findLine(line: u32): usize {
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
      store<u32>(made, 0, LINE_NODES);
    }
    store<u32>(made, <u32>first, LINE_NEXT);
    const replacement = ((<u64>load<u32>(GENERATION)) << 32) | <u64>made;
    if (atomic.cmpxchg<u64>(bucket, word, replacement) === word) return made;
  }
}

/** The node of the highest item below `item` that writes the line; 0 if there is none. */
export function nodeBelow(line: usize, item: u32): usize {
  let node: usize = atomic.load<u32>(line, LINE_NODES);
  while (node !== 0 && (load<u32>(node, NODE_ITEM) >= item || atomic.load<u32>(node, NODE_VERSION) === 0)) {
    node = atomic.load<u32>(node, NODE_NEXT);
  }
  return node;
}

/** Makes `version` what `item` leaves in the line. False: the arena is full. */
export function insert(line: u32, item: u32, version: usize): bool {
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
      store<u32>(made, <u32>version, NODE_VERSION);
      store<u32>(version, <u32>made, VERSION_NODE);
    }
    store<u32>(made, <u32>next, NODE_NEXT); // the swap publishes it, and what was written before
    if (atomic.cmpxchg<u32>(link, <u32>next, <u32>made) === <u32>next) return true;
  }
}

/** The version that `item` left in the line, an estimate; 0 if it did not. */
export function versionOf(line: u32, item: u32): usize {
  const record = findLine(line);
  if (record === 0) return 0;
  let node: usize = atomic.load<u32>(record, LINE_NODES);
  while (node !== 0 && load<u32>(node, NODE_ITEM) > item) node = atomic.load<u32>(node, NODE_NEXT);
  if (node === 0 || load<u32>(node, NODE_ITEM) !== item) return 0;
  return atomic.load<u32>(node, NODE_VERSION) & ~ESTIMATE;
}
