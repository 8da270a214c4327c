/**
 * Process: the image of one process, and its record in the heap.
 *
 * A Process is a value. It may be changed while it is private to the activation that made it; once published
 * (`ref` is not 0), or used as a reference snapshot, it never changes: `copy()` first. Publishing is lazy,
 * since most images of short activations are superseded before anybody else needs them.
 *
 * Record (payload words; the first nine are references):
 *   0 program (BLOB of the original bytes)   1 memory (table of pages)      2 children (table of records)
 *   3 globals (BLOB)                         4 continuation (BLOB)          5 text: an abort's, or a block's
 *   data (BLOB) 6 reference snapshot (record)
 *   7 inputs of a batch (BLOB)               8 outcomes of a batch (BLOB), both as kernel/batch.ts draws them
 *   9 number of the entry to run (2^32 - 1: continue after RET)
 *  10 status     11 memory size, 64 KiB pages
 *  12 code (i64: low, high)    14 argument (i64)    16 gas given to a runnable process (u64)    18 gas used
 *  (i64) 20 gas held by runnable descendants (u64)
 *  22 fault  23 line  24 column  25 region pointer  26 region capacity
 *  27 memory quota left, 64 KiB pages       28 process quota left          29 number of children
 *  30 1: the start function has run
 *  31 memory quota given by the parent for the whole subtree, 64 KiB pages  32 processes likewise
 *  33 number of runnable descendants
 */

import { FAULT_NONE, STATUS_FRESH, STATUS_RUNNABLE } from "../../syscalls/abi.ts";
import { type Heap, KIND_PROCESS, type Ref, UNIT_WORDS } from "../heap/heap.ts";

/** How many leading words of a record are references. */
export const PROCESS_REFERENCES = 9;
/** Entry number of a process that continues after RET. */
export const ENTRY_CONTINUE = 0xffffffff;
/** Length of a record in the heap. */
export const PROCESS_BYTES = 136;
/**
 * Words of a record that are no fields but sums over the children: gas held (two words), runnable
 * descendants.
 */
export const GAS_HELD_WORD = 20;
export const RUNNABLE_HELD_WORD = 33;
const TWO_32 = 4294967296;

/** The image of a process. Fields named …Low and …High are the halves of an i64. */
export class Process {
  /** The published record, or 0. */
  ref: Ref = 0;
  program: Ref = 0;
  memory: Ref = 0;
  children: Ref = 0;
  globals: Ref = 0;
  /**
   * Asyncify's stack where the process stands in RET or SNAPSHOT, else 0; kept while faulted, so that START
   * can try again.
   */
  continuation: Ref = 0;
  entry = 0;
  text: Ref = 0;
  /** What a runnable process is to work on item by item, 0 if it was started for one run. */
  inputs: Ref = 0;
  /** What became of the items of the last batch, until the process is started again. */
  outcomes: Ref = 0;
  /** The image to fall back to after a fault: as a Process while it is private, else by reference. */
  reference: Process | null = null;
  referenceRef: Ref = 0;
  status = STATUS_FRESH;
  memoryPages = 0;
  codeLow = 0;
  codeHigh = 0;
  argumentLow = 0;
  argumentHigh = 0;
  gas = 0;
  gasUsed = 0;
  gasHeld = 0;
  /** How many descendants are runnable, with gas or without. */
  runnableHeld = 0;
  fault = FAULT_NONE;
  line = 0;
  column = 0;
  regionPointer = 0;
  regionCapacity = 0;
  memoryQuota = 0;
  processQuota = 0;
  childCount = 0;
  started = 0;
  /** What the parent passed on for this process and all below it, and gets back when it is dropped. */
  memoryGiven = 0;
  processesGiven = 0;

  /** A private copy. */
  copy(): Process {
    const other = new Process();
    other.program = this.program;
    other.memory = this.memory;
    other.children = this.children;
    other.globals = this.globals;
    other.continuation = this.continuation;
    other.entry = this.entry;
    other.text = this.text;
    other.inputs = this.inputs;
    other.outcomes = this.outcomes;
    other.reference = this.reference;
    other.referenceRef = this.referenceRef;
    other.status = this.status;
    other.memoryPages = this.memoryPages;
    other.codeLow = this.codeLow;
    other.codeHigh = this.codeHigh;
    other.argumentLow = this.argumentLow;
    other.argumentHigh = this.argumentHigh;
    other.gas = this.gas;
    other.gasUsed = this.gasUsed;
    other.gasHeld = this.gasHeld;
    other.runnableHeld = this.runnableHeld;
    other.fault = this.fault;
    other.line = this.line;
    other.column = this.column;
    other.regionPointer = this.regionPointer;
    other.regionCapacity = this.regionCapacity;
    other.memoryQuota = this.memoryQuota;
    other.processQuota = this.processQuota;
    other.childCount = this.childCount;
    other.started = this.started;
    other.memoryGiven = this.memoryGiven;
    other.processesGiven = this.processesGiven;
    return other;
  }

  get hasReference(): boolean {
    return this.reference !== null || this.referenceRef !== 0;
  }

  /** Gas that leaves with the process when it is dropped: its own if it is runnable, and its descendants'. */
  get gasInside(): number {
    return this.gasHeld + (this.status === STATUS_RUNNABLE ? this.gas : 0);
  }

  /** How many processes are runnable in the subtree, this one included. */
  get runnableInside(): number {
    return this.runnableHeld + (this.status === STATUS_RUNNABLE ? 1 : 0);
  }
}

/** Writes the record of `process` (and of its reference snapshot), once; returns its reference. */
export function publishProcess(heap: Heap, process: Process): Ref {
  if (process.ref !== 0) return process.ref;
  if (process.reference !== null) {
    process.referenceRef = publishProcess(heap, process.reference);
    process.reference = null;
  }
  const ref = heap.allocate(KIND_PROCESS, PROCESS_BYTES, PROCESS_REFERENCES);
  const words = heap.words;
  const at = ref * UNIT_WORDS + UNIT_WORDS;
  words[at] = process.program;
  words[at + 1] = process.memory;
  words[at + 2] = process.children;
  words[at + 3] = process.globals;
  words[at + 4] = process.continuation;
  words[at + 5] = process.text;
  words[at + 6] = process.referenceRef;
  words[at + 7] = process.inputs;
  words[at + 8] = process.outcomes;
  words[at + 9] = process.entry;
  words[at + 10] = process.status;
  words[at + 11] = process.memoryPages;
  words[at + 12] = process.codeLow;
  words[at + 13] = process.codeHigh;
  words[at + 14] = process.argumentLow;
  words[at + 15] = process.argumentHigh;
  writeU64(words, at + 16, process.gas);
  writeU64(words, at + 18, process.gasUsed);
  writeU64(words, at + 20, process.gasHeld);
  words[at + 22] = process.fault;
  words[at + 23] = process.line;
  words[at + 24] = process.column;
  words[at + 25] = process.regionPointer;
  words[at + 26] = process.regionCapacity;
  words[at + 27] = process.memoryQuota;
  words[at + 28] = process.processQuota;
  words[at + 29] = process.childCount;
  words[at + 30] = process.started;
  words[at + 31] = process.memoryGiven;
  words[at + 32] = process.processesGiven;
  words[at + 33] = process.runnableHeld;
  process.ref = ref;
  return ref;
}

/** The published image at `from`. */
export function loadProcess(heap: Heap, from: Ref): Process {
  const ref = heap.resolve(from);
  const words = heap.words;
  const at = ref * UNIT_WORDS + UNIT_WORDS;
  const word = (i: number): number => words[at + i] as number;
  const process = new Process();
  process.ref = ref;
  process.program = word(0);
  process.memory = word(1);
  process.children = word(2);
  process.globals = word(3);
  process.continuation = word(4);
  process.text = word(5);
  process.referenceRef = word(6);
  process.inputs = word(7);
  process.outcomes = word(8);
  process.entry = word(9);
  process.status = word(10);
  process.memoryPages = word(11);
  process.codeLow = word(12) | 0;
  process.codeHigh = word(13) | 0;
  process.argumentLow = word(14) | 0;
  process.argumentHigh = word(15) | 0;
  process.gas = word(16) + word(17) * TWO_32;
  process.gasUsed = word(18) + (word(19) | 0) * TWO_32;
  process.gasHeld = word(20) + word(21) * TWO_32;
  process.fault = word(22);
  process.line = word(23);
  process.column = word(24);
  process.regionPointer = word(25);
  process.regionCapacity = word(26);
  process.memoryQuota = word(27);
  process.processQuota = word(28);
  process.childCount = word(29);
  process.started = word(30);
  process.memoryGiven = word(31);
  process.processesGiven = word(32);
  process.runnableHeld = word(33);
  return process;
}

/** The reference snapshot of `process` as a Process, or null. It is shared: copy before changing. */
export function referenceOf(heap: Heap, process: Process): Process | null {
  if (process.reference !== null) return process.reference;
  return process.referenceRef === 0 ? null : loadProcess(heap, process.referenceRef);
}

function writeU64(words: Uint32Array, at: number, value: number): void {
  const high = Math.floor(value / TWO_32);
  words[at] = value - high * TWO_32;
  words[at + 1] = high;
}
