/** Looking at processes of a block from the host. Reads the heap only; nothing here can change a state. */

import * as abi from "../../syscalls/abi.ts";
import { checkNames, integer } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { tableDiff } from "../heap/table.ts";
import { hashOf } from "../image/hash.ts";
import { readMemory } from "../image/memory.ts";
import { findProcess } from "../image/path.ts";
import type { Process } from "../image/process.ts";
import { pagesLeft } from "../image/quota.ts";
import { FAULT_NAMES, STATUS_NAMES } from "../kernel/faults.ts";
import { WASM_PAGE_BYTES } from "../limits.ts";
import { hexOf } from "../text.ts";

/** What a process looks like from outside. */
export interface ProcessView {
  readonly status: string;
  /** The fault's name where the status is "faulted", else null. */
  readonly fault: string | null;
  /** The text of an abort, else "". */
  readonly text: string;
  /** The return code (statuses "returned" and "ret"). */
  readonly code: bigint;
  /** Gas used by the last activation. */
  readonly gasUsed: number;
  /** Gas that a runnable process was given, else 0. */
  readonly gas: number;
  readonly memoryBytes: number;
  /**
   * What the process may still use, and pass on to children: memory in pages of 4 KiB, processes, and gas
   * that may stay with those that it starts.
   */
  readonly quota: {
    readonly memoryPages: number;
    readonly processes: number;
    readonly heldGas: number;
  };
  /** Where the next block's metadata goes: the root between two blocks, else null. */
  readonly region: { readonly address: number; readonly capacity: number } | null;
  /** How many children there are. */
  readonly childCount: number;
  /** Numbers of the children, ascending: the first 1,000. `children` lists others. */
  readonly children: readonly number[];
  /** SHA-256 of the program's original bytes, in hex. */
  readonly program: string;
  /** SHA-256 root of the subtree, in hex. */
  readonly hash: string;
  /** Hash of the reference snapshot, to which a fault falls back, in hex; null if there is none. */
  readonly reference: string | null;
}

/** Which children to list. */
export interface ChildRange {
  /** No lower number. Default 0. */
  readonly from?: number;
  /** Maximum number of them. Default 1,000. */
  readonly count?: number;
}

/** Children that are listed unless more are asked for. */
const LISTED = 1000;
/** Numbers that are looked at in one go. */
const NUMBERS = 1024;

/** `listed`: maximum number of children whose numbers are given. */
export function inspectProcess(
  heap: Heap,
  root: Ref,
  path: readonly number[],
  listed = LISTED,
): ProcessView | null {
  const found = findProcess(heap, root, path);
  if (found === null) return null;
  const { ref, process } = found;
  const faulted = process.status === abi.STATUS_FAULTED;
  return {
    status: STATUS_NAMES[process.status] as string,
    fault: faulted ? (FAULT_NAMES[process.fault] as string) : null,
    text: faulted && process.text !== 0 ? heap.payload(process.text).toString("utf8") : "",
    code: (BigInt(process.codeHigh) << 32n) | BigInt(process.codeLow >>> 0),
    gasUsed: process.gasUsed,
    gas: process.gas,
    memoryBytes: process.memoryPages * WASM_PAGE_BYTES,
    quota: {
      memoryPages: pagesLeft(heap, process),
      processes: process.processQuota,
      heldGas: process.heldGasGiven - process.heldGasPassed - process.gasLent,
    },
    region:
      process.status === abi.STATUS_SNAPSHOT
        ? { address: process.regionPointer, capacity: process.regionCapacity }
        : null,
    childCount: process.childCount,
    children: numbersIn(heap, process.children, 0, listed),
    program: hex(heap, process.program),
    hash: hex(heap, ref),
    reference: process.referenceRef === 0 ? null : hex(heap, process.referenceRef),
  };
}

/**
 * Numbers of the children of the process at `path`, ascending.
 *
 * @throws UsageError (NO_PROCESS, BAD_OPTION)
 */
export function listChildren(heap: Heap, root: Ref, path: readonly number[], range: ChildRange): number[] {
  checkNames(range, ["from", "count"]);
  const from = integer(range, "from", 0, 0, abi.CHILD_LIMIT);
  const count = integer(range, "count", LISTED, 0, abi.CHILD_LIMIT);
  return numbersIn(heap, processAt(heap, root, path).children, from, count);
}

/** Costs what is listed, and no more than a part of the range beyond. */
function numbersIn(heap: Heap, table: Ref, from: number, count: number): number[] {
  const numbers: number[] = [];
  for (let next = from; next < abi.CHILD_LIMIT && numbers.length < count; ) {
    const end = next - (next % NUMBERS) + NUMBERS;
    tableDiff(heap, 0, table, (number) => numbers.push(number), next, end);
    next = end;
  }
  return numbers.slice(0, count);
}

function processAt(heap: Heap, root: Ref, path: readonly number[]): Process {
  const found = findProcess(heap, root, path);
  if (found !== null) return found.process;
  const text = `there is no process at path [${path.join(", ")}]`;
  throw new UsageError("NO_PROCESS", text, { path: path.join(",") });
}

export function readProcess(
  heap: Heap,
  root: Ref,
  path: readonly number[],
  address: number,
  length: number,
): Uint8Array {
  const process = processAt(heap, root, path);
  const size = process.memoryPages * WASM_PAGE_BYTES;
  if (
    !(
      Number.isInteger(address) &&
      Number.isInteger(length) &&
      address >= 0 &&
      length >= 0 &&
      address + length <= size
    )
  ) {
    throw new UsageError(
      "RANGE",
      `${String(length)} bytes at ${String(address)} are not inside the memory of ${size} bytes`,
      { address, length, size },
    );
  }
  const bytes = new Uint8Array(length);
  readMemory(heap, process.memory, address, bytes, 0, length);
  return bytes;
}

function hex(heap: Heap, ref: Ref): string {
  return hexOf(hashOf(heap, ref));
}
