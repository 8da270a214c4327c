/**
 * Fork and join: a function runs in copies of this process, and what the copies changed in given ranges of
 * memory is merged back, in the order of their indexes. Each copy sees memory and globals as they were at the
 * fork, whatever the others do, so the result is that of any order of running them; what two copies change
 * differently is a conflict and no result at all. (The model is Determinator's: Aviram, Weng, Hu and Ford,
 * "Efficient system-enforced deterministic parallelism", OSDI 2010.)
 *
 * The entry file must export the entry in which copies start:
 *   export { forked } from "stillpoint/guest";
 *
 * Only the merged ranges come back. They hold plain numbers at addresses that are fixed before the fork:
 * memory.data, allocatePages, the elements of a StaticArray or an Array of numbers. They never hold what the
 * language manages: objects and references, the heap's bookkeeping between blocks, the shadow stack. Globals
 * and what a copy allocates are the copy's own, and go with it.
 */

import * as abi from "../syscalls/abi.ts";
import { errorName } from "./errors.ts";
import { Child, Conflict, memoryQuota } from "./process.ts";

/** Ranges in one fork, at most. */
export const PARALLEL_RANGES: i32 = 16;

/** Gas of all copies together, in equal parts, unless `gas` says otherwise. What is left comes back. */
export const PARALLEL_GAS: u64 = 4_000_000_000;

/** Copies are children from this number on, unless `children` says otherwise. */
export const PARALLEL_CHILDREN: i32 = abi.CHILD_LIMIT / 2;

const RANGE_BYTES: i32 = 12;
const ranges: usize = memory.data(PARALLEL_RANGES * RANGE_BYTES, 4);

// What is collected, and in the copies what they are to do: a copy has the globals of its original.
let count: i32 = 0;
let rangeCount: i32 = 0;
let copyGas: u64 = 0;
let quotaPages: u32 = 0;
let processes: u32 = 0;
let firstChild: i32 = 0;
let task: (index: i32, argument: i64) => void = nothing;
let taskArgument: i64 = 0;
let failure: string = "";

function nothing(index: i32, argument: i64): void {}

/** The entry of a copy; `index` is its number. To be exported by the entry file. */
export function forked(index: i64): i64 {
  task(<i32>index, taskArgument);
  return 0;
}

/**
 * Runs task(index, argument) for index 0 to copies - 1, each in a copy of this process, and merges `length`
 * bytes at `address` back. Aborts if a copy faults or changes what another one changed differently.
 *
 *   parallel(8, shadeRows, frame, pixels, PIXEL_BYTES);
 *
 * For several ranges, quotas, or an answer instead of an abort: Parallel.
 */
export function parallel(
  copies: i32,
  work: (index: i32, argument: i64) => void,
  argument: i64,
  address: usize,
  length: u32,
  kind: u32 = abi.MERGE_BYTES,
): void {
  Parallel.of(copies).merge(address, length, kind).run(work, argument);
}

/**
 * A fork with all its options. They are collected in static memory, one fork at a time; a copy can fork
 * again.
 *
 *   Parallel.of(8).merge(pixels, PIXEL_BYTES).merge(histogram, 256 * 8, MERGE_ADD_64).run(shadeRows, frame);
 */
@unmanaged
export class Parallel {
  /** Begins a fork of `copies` copies. */
  static of(copies: i32): Parallel {
    count = copies;
    rangeCount = 0;
    copyGas = PARALLEL_GAS / max(copies, 1);
    quotaPages = 0;
    processes = 0;
    firstChild = PARALLEL_CHILDREN;
    return changetype<Parallel>(0);
  }

  /** Merges `length` bytes at `address` back; ranges of one copy are merged in the order of these calls. */
  merge(address: usize, length: u32, kind: u32 = abi.MERGE_BYTES): Parallel {
    if (rangeCount >= PARALLEL_RANGES) throw new Error("parallel: too many ranges");
    const range = ranges + rangeCount++ * RANGE_BYTES;
    store<u32>(range, <u32>address);
    store<u32>(range, length, 4);
    store<u32>(range, kind, 8);
    return this;
  }

  /** Gas for each copy. All copies take theirs from this process before the first gives its rest back. */
  gas(each: u64): Parallel {
    copyGas = each;
    return this;
  }

  /**
   * Quotas of each copy: its memory, with all that it forks, in pages of 4 KiB (see `memoryQuota`; 0: what
   * this process takes now, so that it cannot grow), and how many processes it may have below it.
   */
  quota(pages: u32, below: u32 = 0): Parallel {
    quotaPages = pages;
    processes = below;
    return this;
  }

  /** The copies are the children `first` to `first` + copies - 1; children of those numbers are dropped. */
  children(first: i32): Parallel {
    firstChild = first;
    return this;
  }

  /** Runs the copies and merges. Aborts with `explain()` if that fails. The copies are dropped. */
  run(work: (index: i32, argument: i64) => void, argument: i64): void {
    if (this.tryRun(work, argument) >= 0) throw new Error(failure);
  }

  /**
   * As `run`, but gives -1, or the index of the first copy that faulted or conflicted: those before it are
   * merged, it and those after it are not (in case of a conflict, its ranges before that one are), all are
   * dropped. Aborts if the copies cannot be made.
   */
  tryRun(work: (index: i32, argument: i64) => void, argument: i64): i32 {
    task = work;
    taskArgument = argument;
    failure = "";
    this.start();
    let failed = -1;
    for (let i = 0; i < count && failed < 0; i++) {
      if (!join(i)) failed = i;
    }
    for (let i = 0; i < count; i++)
      Child.at(firstChild + i)
        .drop()
        .put();
    return failed;
  }

  /** Why the last `tryRun` failed: which copy, and its fault or conflict. */
  explain(): string {
    return failure;
  }

  /**
   * The first copy is made of this process, the others of it: so the changed pages are collected once. The
   * last one is started first: other threads take what was started first, this one joins from the first copy
   * on and runs what nobody took, and so they do not wait for each other before they meet.
   */
  private start(): void {
    if (count <= 0) return;
    const first = Child.at(firstChild);
    const made = first.cloneSelf(quotaPages, processes).put();
    if (made < 0) refuse(0, made);
    for (let i = count - 1; i > 0; i--) {
      const child = Child.at(firstChild + i);
      const code = child.clone(first).start("forked", i, copyGas).put();
      if (code < 0) refuse(i, code);
    }
    const code = first.start("forked", 0, copyGas).put();
    if (code < 0) refuse(0, code);
  }
}

function join(index: i32): bool {
  const child = Child.at(firstChild + index);
  if (child.wait().faulted) {
    failure = `parallel: copy ${index}: ${child.explain()}`;
    return false;
  }
  for (let r = 0; r < rangeCount; r++) {
    const range = ranges + r * RANGE_BYTES;
    const code = child.merge(load<u32>(range), load<u32>(range, 4), load<u32>(range, 8)).get();
    if (code == abi.OK) continue;
    failure = code == abi.E_CONFLICT ? conflict(index) : `parallel: copy ${index}: merge: ${errorName(code)}`;
    return false;
  }
  return true;
}

function conflict(index: i32): string {
  const last = Conflict.last;
  return (
    `parallel: copy ${index}: ${last.count} conflicting bytes, the first at ${last.address}: ` +
    `${last.childByte} in the copy, ${last.callerByte} here`
  );
}

function refuse(index: i32, code: i32): void {
  let advice = "";
  if (code == abi.E_NO_ENTRY)
    advice = ': write export { forked } from "stillpoint/guest" into the entry file';
  if (code == abi.E_GAS) advice = `: ${count} copies with ${copyGas} gas each are more than there is`;
  if (code == abi.E_QUOTA) {
    advice = `: each needs a quota of ${memoryQuota(memory.size())} pages of 4 KiB at least, and a process`;
  }
  throw new Error(`parallel: copy ${index}: ${errorName(code)}${advice}`);
}
