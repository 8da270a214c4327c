/**
 * MERGE: brings into the caller what a child changed since its reference snapshot.
 *
 * Three memories are compared page by page: the reference snapshot (base), the child, the caller. The walk
 * stays inside the range and skips what base and child share, so its time follows what changed. Its gas
 * follows the request and the bytes, never what is shared: each page of the range is paid before the walk, as
 * if it had to be compared, and each page that the child changed before it is merged. A page that the caller
 * did not change is taken whole, by reference. Conflicts are counted before anything is written.
 */

import * as abi from "../../../syscalls/abi.ts";
import { copyBytes } from "../../heap/bytes.ts";
import type { Heap, Ref } from "../../heap/heap.ts";
import { tableDiff } from "../../heap/table.ts";
import { pagesEqual, readPage } from "../../image/memory.ts";
import { type Process, referenceOf } from "../../image/process.ts";
import { PAGE_BYTES, WASM_PAGE_BYTES } from "../../limits.ts";
import { COUNTING, work } from "../../work.ts";
import type { Activation } from "../activation.ts";
import { COST_MERGE_PAGE } from "../gas.ts";
import type { MergeRequest } from "../requests/request.ts";
import { base, type Conflicts, combine, findConflicts, mine, theirs } from "./merge-page.ts";

const counting = COUNTING;

/** A page that the child changed in the part of it that is to be merged. */
interface Change {
  readonly index: number;
  readonly before: Ref;
  readonly after: Ref;
  readonly from: number;
  readonly to: number;
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
  const changes = changesOf(heap, caller, reference.memory, child.memory);
  if (request.kind !== abi.MERGE_BYTES) return { changes };

  const conflicts: Conflicts = { count: 0, first: 0, theirs: 0, mine: 0 };
  for (const change of changes) {
    load(heap, caller, change);
    if (counting) work.bytesCompared += PAGE_BYTES;
    if (base.compare(mine) === 0) continue;
    findConflicts(conflicts, change.index * PAGE_BYTES, change.from, change.to);
  }
  if (conflicts.count === 0) return { changes };
  report(caller, request, conflicts);
  return abi.E_CONFLICT;
}

/** Writes the merged bytes into the caller's memory. */
export function applyMerge(heap: Heap, caller: Activation, child: Process, merge: Merge): void {
  const request = caller.getRequest.merge;
  const { slot } = caller;
  for (const change of merge.changes) {
    const { index, from, to, after } = change;
    load(heap, caller, change);
    const whole = from === 0 && to === PAGE_BYTES;
    if (counting) work.bytesCompared += PAGE_BYTES;
    if (request.kind === abi.MERGE_BYTES && whole && base.compare(mine) === 0) {
      slot.putPage(heap, index, after, !(child.edit?.owns(index, after) ?? false));
      continue;
    }
    combine(request.kind, from, to);
    slot.write(index * PAGE_BYTES + from, mine.subarray(from, to));
  }
  report(caller, request, { count: 0, first: 0, theirs: 0, mine: 0 });
}

/**
 * The pages of the range whose bytes the child changed there; each is paid. The range was paid with the
 * request.
 */
function changesOf(heap: Heap, caller: Activation, before: Ref, after: Ref): Change[] {
  const { address, length, firstPage, pages } = caller.getRequest.merge;
  const changes: Change[] = [];
  const look = (index: number, old: Ref, now: Ref): void => {
    const start = index * PAGE_BYTES;
    const from = Math.max(address - start, 0);
    const to = Math.min(address + length - start, PAGE_BYTES);
    if (pagesEqual(heap, old, now, from, to)) return;
    caller.charge(COST_MERGE_PAGE);
    changes.push({ index, before: old, after: now, from, to });
  };
  tableDiff(heap, before, after, look, firstPage, firstPage + pages);
  return changes;
}

function load(heap: Heap, caller: Activation, change: Change): void {
  readPage(heap, change.before, base);
  readPage(heap, change.after, theirs);
  if (counting) work.bytesCopied += PAGE_BYTES;
  const start = change.index * PAGE_BYTES;
  copyBytes(caller.slot.memory, start, mine, 0, PAGE_BYTES);
}

function report({ slot }: Activation, { pointer }: MergeRequest, conflicts: Conflicts): void {
  const at = pointer / 4;
  slot.mark(pointer, abi.MERGE_SIZE);
  slot.words[at + abi.MERGE_CONFLICTS / 4] = conflicts.count;
  slot.words[at + abi.MERGE_FIRST / 4] = conflicts.first;
  slot.words[at + abi.MERGE_CHILD_BYTE / 4] = conflicts.theirs;
  slot.words[at + abi.MERGE_CALLER_BYTE / 4] = conflicts.mine;
}
