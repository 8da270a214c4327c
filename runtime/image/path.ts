/** Finding a process in the tree by its path: the numbers of children from the root on; empty: the root. */

import { CHILD_LIMIT } from "../../syscalls/abi.ts";
import { badArgument } from "../arguments.ts";

import type { Heap, Ref } from "../heap/heap.ts";
import { tableGet } from "../heap/table.ts";
import { childOf, loadProcess, type Process } from "./process.ts";

/** A process, and the record that it was read from. */
export interface Found {
  readonly ref: Ref;
  readonly process: Process;
}

/** Throws unless `path` is an array. */
export function checkPath(path: readonly number[]): void {
  if (!Array.isArray(path)) throw badArgument("path", path, "an array of child numbers");
}

/** The process at `path`, as it is to the process above; null if there is none. */
export function findProcess(heap: Heap, root: Ref, path: readonly number[]): Found | null {
  checkPath(path);
  let ref = root;
  let process = loadProcess(heap, root);
  for (const number of path) {
    if (!Number.isInteger(number) || number < 0 || number >= CHILD_LIMIT) return null;
    ref = tableGet(heap, process.children, number);
    if (ref === 0) return null;
    process = childOf(process.gasEpoch, loadProcess(heap, ref));
  }
  return { ref, process };
}
