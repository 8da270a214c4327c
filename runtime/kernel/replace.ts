/**
 * Replacing the program of a process: a fresh image of the new program, into which the old state is shared.
 * A pure function of images; whether the process may be replaced, its caller decides (worker/upgrade.ts).
 *
 *   old memory   [ state, below its bound        ][ private ]
 *   new memory   [ the same pages, shared        ][ the new program's initial pages, from the old bound on ]
 *
 * What is not state goes: compiled programs keep strings and tables at addresses of their build, and a saved
 * stack is one of frames of its build. Children and quotas stay.
 */

import type { Heap } from "../heap/heap.ts";
import { tableDiff, tableJoin } from "../heap/table.ts";
import type { Process } from "../image/process.ts";
import { PAGE_BYTES } from "../limits.ts";
import { freshProcess } from "./images.ts";
import type { LoadedProgram } from "./program.ts";

/** The process with the program `to` in place of `from`; its state's bound does not lie below the old one. */
export function replaceProgram(
  heap: Heap,
  process: Process,
  from: LoadedProgram,
  to: LoadedProgram,
): Process {
  const bound = from.handle.stateBytes / PAGE_BYTES;
  const fresh = freshProcess(to, process.memoryGiven, process.processesGiven, process.heldGasGiven);
  const initial = fresh.memory;
  fresh.memory = tableJoin(heap, process.memory, initial, bound);
  // Only what is private is counted: the state, which may be large, is not looked at.
  const state = process.presentPages - presentFrom(heap, process.memory, bound);
  fresh.presentPages = state + presentFrom(heap, initial, bound);
  fresh.children = process.children;
  fresh.childCount = process.childCount;
  fresh.processQuota = process.processQuota;
  fresh.memoryPassed = process.memoryPassed;
  fresh.heldGasPassed = process.heldGasPassed;
  fresh.gasLent = process.gasLent;
  fresh.gasHeld = process.gasHeld;
  fresh.runnableHeld = process.runnableHeld;
  fresh.gasEpoch = process.gasEpoch;
  fresh.parentGasEpoch = process.parentGasEpoch;
  return fresh;
}

/** How many pages are present from page number `from` on. */
function presentFrom(heap: Heap, memory: number, from: number): number {
  let count = 0;
  tableDiff(heap, 0, memory, () => count++, from);
  return count;
}
