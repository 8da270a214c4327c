/**
 * MERGE: brings into the caller what a child changed since its reference snapshot.
 *
 * Three memories are compared page by page: the reference snapshot (base), the child, the caller. Only pages
 * in which the child differs from the base are looked at, and the walk over both tables skips what they
 * share, so the cost follows what changed. A page that the caller did not change is taken whole, by
 * reference. Conflicts are counted before anything is written.
 */

import * as abi from "../../syscalls/abi.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { tableDiff } from "../heap/table.ts";
import { readPage } from "../image/memory.ts";
import { type Process, referenceOf } from "../image/process.ts";
import { PAGE_BYTES, WASM_PAGE_BYTES } from "../limits.ts";
import { COUNTING, work } from "../work.ts";
import type { Activation } from "./activation.ts";
import { COST_MERGE_PAGE } from "./gas.ts";
import { MERGE_UNIT_BYTES, type MergeRequest } from "./request.ts";

const counting = COUNTING;

/** A page-sized buffer in all the widths that merging works with. */
class PageBuffer {
  readonly bytes = Buffer.alloc(PAGE_BYTES);
  readonly u32 = new Uint32Array(this.bytes.buffer, this.bytes.byteOffset, PAGE_BYTES / 4);
  readonly u64 = new BigUint64Array(this.bytes.buffer, this.bytes.byteOffset, PAGE_BYTES / 8);
}

const base = new PageBuffer();
const theirs = new PageBuffer();
const mine = new PageBuffer();

/** A page that the child changed, and the part of it that is to be merged. */
interface Change {
  readonly index: number;
  readonly before: Ref;
  readonly after: Ref;
  readonly from: number;
  readonly to: number;
}

interface Conflicts {
  count: number;
  first: number;
  theirs: number;
  mine: number;
}

/** A checked merge, to be applied once nothing else can be refused. */
export interface Merge {
  readonly changes: readonly Change[];
}

/**
 * Checks and plans the MERGE of `caller.getRequest`: an error code, or what `applyMerge` is to do. On
 * E_CONFLICT the report is written, and nothing else.
 */
export function planMerge(heap: Heap, caller: Activation, child: Process): Merge | number {
  const request = caller.getRequest.merge;
  const reference = referenceOf(heap, child);
  if (reference === null) return abi.E_STATE;
  if (request.address + request.length > child.memoryPages * WASM_PAGE_BYTES) return abi.E_RANGE;
  const changes = changesOf(heap, reference.memory, child.memory, request);
  caller.charge(changes.length * COST_MERGE_PAGE);
  if (request.kind !== abi.MERGE_BYTES) return { changes };

  const conflicts: Conflicts = { count: 0, first: 0, theirs: 0, mine: 0 };
  for (const change of changes) {
    load(heap, caller, change);
    if (counting) work.bytesCompared += PAGE_BYTES;
    if (base.bytes.compare(mine.bytes) === 0) continue;
    findConflicts(change, conflicts);
  }
  if (conflicts.count === 0) return { changes };
  report(caller, request, conflicts);
  return abi.E_CONFLICT;
}

/** Writes the merged bytes into the caller's memory. */
export function applyMerge(heap: Heap, caller: Activation, merge: Merge): void {
  const request = caller.getRequest.merge;
  const { slot } = caller;
  const wholeAt: number[] = [];
  const wholePages: Ref[] = [];
  for (const change of merge.changes) {
    const { index, from, to } = change;
    load(heap, caller, change);
    const whole = from === 0 && to === PAGE_BYTES;
    if (counting) work.bytesCompared += PAGE_BYTES;
    if (request.kind === abi.MERGE_BYTES && whole && base.bytes.compare(mine.bytes) === 0) {
      wholeAt.push(index);
      wholePages.push(change.after);
      continue;
    }
    combine(request.kind, from, to);
    slot.write(index * PAGE_BYTES + from, mine.bytes.subarray(from, to));
  }
  slot.share(heap, caller.start.memory, wholeAt, wholePages);
  report(caller, request, { count: 0, first: 0, theirs: 0, mine: 0 });
}

/** The pages in the range whose bytes differ, whatever their references. */
function changesOf(heap: Heap, before: Ref, after: Ref, request: MergeRequest): Change[] {
  const changes: Change[] = [];
  const end = request.address + request.length;
  tableDiff(heap, before, after, (index, old, now) => {
    const start = index * PAGE_BYTES;
    const from = Math.max(request.address - start, 0);
    const to = Math.min(end - start, PAGE_BYTES);
    if (from >= to) return;
    readPage(heap, old, base.bytes);
    readPage(heap, now, theirs.bytes);
    if (counting) work.bytesCompared += PAGE_BYTES;
    if (base.bytes.compare(theirs.bytes) === 0) return;
    changes.push({ index, before: old, after: now, from, to });
  });
  return changes;
}

function load(heap: Heap, caller: Activation, change: Change): void {
  readPage(heap, change.before, base.bytes);
  readPage(heap, change.after, theirs.bytes);
  if (counting) work.bytesCopied += PAGE_BYTES;
  const start = change.index * PAGE_BYTES;
  caller.slot.memory.copy(mine.bytes, 0, start, start + PAGE_BYTES);
}

function findConflicts({ index, from, to }: Change, conflicts: Conflicts): void {
  if (counting) work.bytesMerged += to - from;
  for (let i = from; i < to; i++) {
    const old = base.bytes[i];
    const now = theirs.bytes[i] as number;
    const own = mine.bytes[i] as number;
    if (now === old || own === old || now === own) continue;
    if (conflicts.count++ > 0) continue;
    conflicts.first = index * PAGE_BYTES + i;
    conflicts.theirs = now;
    conflicts.mine = own;
  }
}

/** Merges `theirs` into `mine` from byte `from` to byte `to`, by kind. */
function combine(kind: number, from: number, to: number): void {
  if (counting) work.bytesMerged += to - from;
  const size = MERGE_UNIT_BYTES[kind] as number;
  if (size === 1) {
    for (let i = from; i < to; i++) {
      if (theirs.bytes[i] !== base.bytes[i]) mine.bytes[i] = theirs.bytes[i] as number;
    }
  } else if (size === 4) {
    for (let i = from / 4; i < to / 4; i++) {
      const now = theirs.u32[i] as number;
      const old = base.u32[i] as number;
      if (now !== old) mine.u32[i] = combine32(kind, old, now, mine.u32[i] as number);
    }
  } else {
    for (let i = from / 8; i < to / 8; i++) {
      const now = theirs.u64[i] as bigint;
      const old = base.u64[i] as bigint;
      if (now !== old) mine.u64[i] = combine64(kind, old, now, mine.u64[i] as bigint);
    }
  }
}

function combine32(kind: number, old: number, now: number, own: number): number {
  switch (kind) {
    case abi.MERGE_ADD_32:
      return own + (now - old);
    case abi.MERGE_MIN_I32:
      return Math.min(now | 0, own | 0);
    case abi.MERGE_MAX_I32:
      return Math.max(now | 0, own | 0);
    case abi.MERGE_MIN_U32:
      return Math.min(now, own);
    default:
      return Math.max(now, own);
  }
}

function combine64(kind: number, old: bigint, now: bigint, own: bigint): bigint {
  const signed = kind === abi.MERGE_MIN_I64 || kind === abi.MERGE_MAX_I64;
  const less = signed ? BigInt.asIntN(64, now) < BigInt.asIntN(64, own) : now < own;
  switch (kind) {
    case abi.MERGE_ADD_64:
      return own + (now - old);
    case abi.MERGE_MIN_I64:
    case abi.MERGE_MIN_U64:
      return less ? now : own;
    default:
      return less ? own : now;
  }
}

function report({ slot }: Activation, { pointer }: MergeRequest, conflicts: Conflicts): void {
  const at = pointer / 4;
  slot.mark(pointer, abi.MERGE_SIZE);
  slot.words[at + abi.MERGE_CONFLICTS / 4] = conflicts.count;
  slot.words[at + abi.MERGE_FIRST / 4] = conflicts.first;
  slot.words[at + abi.MERGE_CHILD_BYTE / 4] = conflicts.theirs;
  slot.words[at + abi.MERGE_CALLER_BYTE / 4] = conflicts.mine;
}
