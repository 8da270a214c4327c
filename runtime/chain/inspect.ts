/** Looking at processes of a block from the host. Reads the heap only; nothing here can change a state. */

import * as abi from "../../syscalls/abi.ts";
import { UsageError } from "../errors.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { tableDiff } from "../heap/table.ts";
import { hashOf } from "../image/hash.ts";
import { readMemory } from "../image/memory.ts";
import { findProcess } from "../image/path.ts";
import { pagesLeft } from "../image/quota.ts";
import { FAULT_NAMES, STATUS_NAMES } from "../kernel/faults.ts";
import { WASM_PAGE_BYTES } from "../limits.ts";

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
  /** Numbers of the children, ascending. */
  readonly children: readonly number[];
  /** SHA-256 of the program's original bytes, in hex. */
  readonly program: string;
  /** SHA-256 root of the subtree, in hex. */
  readonly hash: string;
  /** Hash of the reference snapshot, to which a fault falls back, in hex; null if there is none. */
  readonly reference: string | null;
}

export function inspectProcess(heap: Heap, root: Ref, path: readonly number[]): ProcessView | null {
  const found = findProcess(heap, root, path);
  if (found === null) return null;
  const { ref, process } = found;
  const children: number[] = [];
  tableDiff(heap, 0, process.children, (number) => children.push(number));
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
    children,
    program: hex(heap, process.program),
    hash: hex(heap, ref),
    reference: process.referenceRef === 0 ? null : hex(heap, process.referenceRef),
  };
}

export function readProcess(
  heap: Heap,
  root: Ref,
  path: readonly number[],
  address: number,
  length: number,
): Uint8Array {
  const process = findProcess(heap, root, path)?.process;
  if (process === undefined) {
    throw new UsageError("NO_PROCESS", `there is no process at path [${path.join(", ")}]`, {
      path: path.join(","),
    });
  }
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
  return Buffer.from(hashOf(heap, ref)).toString("hex");
}
