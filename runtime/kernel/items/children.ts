/**
 * Children in items of a batch. An item may make children of its process, write to them, start them and look
 * at them, and so may the processes that it starts. When it ends, of all these processes only this survives:
 * which there are, their quotas, and the state of each, by its own program's bound. Everything else is as it
 * was when the item began, or as PROGRAM made it: private memory, globals, status. Reference snapshots are
 * gone.
 */

import * as abi from "../../../syscalls/abi.ts";
import type { Heap, Ref } from "../../heap/heap.ts";
import { tableDiff, tableUpdate } from "../../heap/table.ts";
import { loadProcess, type Process, publishProcess } from "../../image/process.ts";
import { PAGE_BYTES } from "../../limits.ts";
import { COUNTING, work } from "../../work.ts";
import { changeOf } from "../changes.ts";
import { costOfItem } from "../gas.ts";
import { freshProcess } from "../images.ts";
import type { Programs } from "../program.ts";
import type { GetRequest, PutRequest } from "../requests/request.ts";
import type { Inputs } from "./objects.ts";

const counting = COUNTING;

/** What one running item shares with the activations below it. */
export class Item {
  /** What the item may still spend, while something that it has started begins (meter.ts). */
  lease = Number.POSITIVE_INFINITY;
  /** That was not enough: whatever runs for the item ends, and nothing of it counts. */
  hasExpired = false;
  /** Paths below the batch's process of processes that the item made, in the order in which that happened. */
  readonly #made = new Set<string>();
  readonly #log: string[] = [];

  make(path: string): void {
    if (this.#made.has(path)) return;
    this.#made.add(path);
    this.#log.push(path);
  }

  isMade(path: string): boolean {
    return this.#made.has(path);
  }

  /** For an activation that may fault: afterwards `restore` takes back what it has made. */
  mark(): number {
    return this.#log.length;
  }

  restore(mark: number): void {
    if (counting) work.setEntries += this.#log.length - mark;
    for (const path of this.#log.splice(mark)) this.#made.delete(path);
  }
}

/** What an item asks of the kernel. */
export interface ItemCalls {
  put(child: number, request: number): number;
  get(child: number, request: number): number;
  /** Runs what the item has started and not joined. */
  joinStarted(): void;
}

/** Where an activation belongs that an item started. */
export interface Within {
  readonly item: Item;
  /** Of its process, below the batch's: "/3" is child 3. */
  readonly path: string;
}

/** Whether a PUT has a part, or a flag, that items have not. */
export function isPutOutsideItems(request: PutRequest): boolean {
  const starts = (request.parts & abi.PART_START) !== 0;
  return (request.parts & (abi.PART_CLONE | abi.PART_BATCH)) !== 0 || (starts && request.keep);
}

/** The same for a GET. */
export function isGetOutsideItems(request: GetRequest): boolean {
  return (request.parts & (abi.PART_GET_MERGE | abi.PART_GET_HASH | abi.PART_GET_OUTCOMES)) !== 0;
}

/** What an item comes to. */
export interface ItemEnd {
  /** FAULT_… */
  readonly fault: number;
  readonly gasUsed: number;
}

/**
 * How item `item` ends whose entry came to `fault` with `left` of its gas. One that returns pays for the
 * pages of state whose bytes it changed, for the children that it changed (`childrenCost`), and for its
 * output, which must fit into the outbox and into `room`.
 */
export function endOfItem(
  inputs: Inputs,
  item: number,
  fault: number,
  left: number,
  statePages: number,
  childrenCost: number,
  output: number,
  room: number,
): ItemEnd {
  const limit = inputs.gas(item);
  if (fault === abi.FAULT_ABORT) return { fault, gasUsed: limit - left };
  if (fault !== abi.FAULT_NONE) return { fault, gasUsed: limit };
  if (output > inputs.outboxCapacity - 4) return { fault: abi.FAULT_MEMORY_BOUNDS, gasUsed: limit };
  const rest = left - childrenCost - costOfItem(statePages, output);
  if (rest < 0 || output > room) return { fault: abi.FAULT_OUT_OF_GAS, gasUsed: limit };
  return { fault, gasUsed: limit - rest };
}

/**
 * What is left of the process at `path` when the item ends: `before` it was that, or there was none, `now` it
 * is this.
 */
export function afterItem(
  heap: Heap,
  programs: Programs,
  item: Item,
  path: string,
  before: Process | null,
  now: Process | null,
): Process | null {
  if (now === null) return null;
  // The result shares pages with it.
  now.seal();
  const program = programs.get(now.program);
  const made = before === null || item.isMade(path);
  const base = made ? freshProcess(program, now.memoryGiven, now.processesGiven, now.heldGasGiven) : before;
  const result = base.copy();
  result.reference = null;
  result.referenceRef = 0;
  result.memory = withState(heap, base.memory, now.memory, program.handle.stateBytes);
  result.presentPages += changeOf(heap, base.memory, result.memory).more;
  result.memoryPassed = now.memoryPassed;
  result.heldGasPassed = now.heldGasPassed;
  // Kept until the next START, also if that was in an item: what they took may have been passed on.
  result.outcomes = now.outcomes;
  result.processQuota = now.processQuota;
  result.childCount = now.childCount;
  const numbers: number[] = [];
  const refs: Ref[] = [];
  tableDiff(heap, base.children, now.children, (number, old, child) => {
    const left = afterItem(heap, programs, item, `${path}/${number}`, load(heap, old), load(heap, child));
    numbers.push(number);
    refs.push(left === null ? 0 : publishProcess(heap, left));
  });
  result.children = tableUpdate(heap, base.children, numbers, refs, numbers.length);
  return result;
}

function load(heap: Heap, ref: Ref): Process | null {
  return ref === 0 ? null : loadProcess(heap, ref);
}

/** The memory `base` with the state of `now`. */
function withState(heap: Heap, base: Ref, now: Ref, stateBytes: number): Ref {
  const indexes: number[] = [];
  const pages: Ref[] = [];
  tableDiff(heap, base, now, (index, _old, page) => {
    if (index * PAGE_BYTES >= stateBytes) return;
    indexes.push(index);
    pages.push(page);
  });
  return tableUpdate(heap, base, indexes, pages, indexes.length);
}
