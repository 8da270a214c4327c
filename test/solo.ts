/** A kernel on the calling thread, without workers: for benchmarks and tests that look inside. */

import { loadProgram } from "../runtime/chain/genesis.ts";
import { collect } from "../runtime/heap/collect.ts";
import { createHeap, Heap } from "../runtime/heap/heap.ts";
import type { Process } from "../runtime/image/process.ts";
import { FAULT_NAMES } from "../runtime/kernel/faults.ts";
import { freshProcess } from "../runtime/kernel/images.ts";
import { NOBODY_ELSE } from "../runtime/kernel/jobs.ts";
import { Kernel } from "../runtime/kernel/kernel.ts";
import { LoadedProgram, type ProgramHandle, Programs } from "../runtime/kernel/program.ts";
import { GAS_LIMIT, PAGE_BYTES } from "../runtime/limits.ts";
import { admit } from "../runtime/program/admit.ts";
import { STATUS_FAULTED, STATUS_RUNNABLE } from "../syscalls/abi.ts";

export interface Solo {
  readonly heap: Heap;
  readonly kernel: Kernel;
  readonly programs: readonly ProgramHandle[];
  /** A fresh process of program number `index`. */
  fresh(index: number): Process;
  /** Runs `process` from the entry to its return point; throws if it faults. */
  start(process: Process, entry: string, argument?: number, gas?: number): Process;
}

export interface SoloOptions {
  readonly heapBytes?: number;
  /**
   * Uses and frees so much of the heap first, as in a runtime that has run for a while: untouched pages cost
   * the OS 2 µs each.
   */
  readonly warmBytes?: number;
}

export async function solo(programs: readonly Uint8Array[], options: SoloOptions = {}): Promise<Solo> {
  const { heapBytes = 2 ** 32, warmBytes = 0 } = options;
  const heap = new Heap(createHeap(heapBytes), 1);
  for (let done = 0; done < warmBytes; done += PAGE_BYTES) heap.blob(new Uint8Array(PAGE_BYTES));
  collect(heap);
  const handles: ProgramHandle[] = [];
  for (const bytes of programs) handles.push(await loadProgram(heap, admit(bytes)));
  const loaded = handles.map((handle) => new LoadedProgram(handle));
  const kernel = new Kernel(heap, new Programs(heap, handles), NOBODY_ELSE);
  return {
    heap,
    kernel,
    programs: handles,
    fresh: (index) => freshProcess(loaded[index] as LoadedProgram, 1 << 22, 1 << 20, GAS_LIMIT),
    start(process, entry, argument = 0, gas = 1e15) {
      const program = loaded.find((one) => one.ref === process.program) as LoadedProgram;
      const start = process.copy();
      start.status = STATUS_RUNNABLE;
      start.entry = program.entry(entry);
      start.argumentLow = argument | 0;
      start.gas = gas;
      const result = kernel.activate(start, 1);
      if (result.status === STATUS_FAULTED)
        throw new Error(`solo: "${entry}" faulted: ${FAULT_NAMES[result.fault]}`);
      return result;
    },
  };
}
