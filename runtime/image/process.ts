/**
 * Process: the image of one process, and its record in the heap.
 *
 * A Process is a value. It may be changed while it is private to the activation that made it; once published
 * (`ref` is not 0), or used as a reference snapshot, it never changes: `copy()` first. Publishing is lazy,
 * since most images of short activations are superseded before they are needed elsewhere.
 *
 * Record (payload words; the first nine are references; it ends with the last word that is not zero, so the
 * record of a process that ran once and is idle fits into one unit):
 *   0 program (BLOB of the original bytes)   1 memory (table of pages)      2 children (table of records)
 *   3 globals (BLOB)                         4 continuation (BLOB)          5 text: an abort's, or a block's
 *   data (BLOB) 6 reference snapshot (record)
 *   7 inputs of a batch (BLOB)               8 outcomes of a batch (BLOB), both as
 *   kernel/items/objects.ts draws them
 *   9 status     10 memory size, 64 KiB pages
 *  11 memory quota given by the parent for the whole subtree, pages of 4 KiB
 *  12 gas used (i64: low, high)    14 1: the start function has run         15 code (i64)
 *  17 memory quota passed on to children, pages of 4 KiB (quota.ts)
 *  18 process quota left          19 processes given by the parent
 *  20 number of children                   21 pages of 4 KiB that are present in the memory
 *  22 number of the entry to run (2^32 - 1: continue after RET)            23 argument (i64)
 *  25 gas given to a runnable process (u64)   27 gas held by runnable descendants (u64)
 *  29 number of runnable descendants
 *  30 fault  31 line  32 column  33 region pointer  34 region capacity
 *  35 epoch of the gas that runnable descendants hold (u64)
 *  37 that of the parent when this process was written, if there is gas inside, else zero (u64)
 *  39 pages of the memory quota that the program takes, 0 if it is of the rules
 *  40 held-gas quota given by the parent (u64)   42 passed on to children (u64)
 *  44 gas given to runnable children (u64); void as theirs is
 *
 * Gas never comes back by falling back or copying: the gas of runnable descendants is void then, without a
 * visit to them (`voidGas`). The process begins an epoch, and a child that was written in an earlier one has
 * no gas inside: read a child with `childOf`.
 */

import { FAULT_NONE, STATUS_FRESH, STATUS_RUNNABLE } from "../../syscalls/abi.ts";
import { HEADER_LENGTH, type Heap, KIND_PROCESS, type Ref, UNIT_WORDS } from "../heap/heap.ts";
import { highOf, joined, lowOf } from "../u64.ts";
import { COUNTING, work } from "../work.ts";
import type { MemoryEdit } from "./memory.ts";

const counting = COUNTING;

/** How many leading words of a record are references. */
export const PROCESS_REFERENCES = 9;
/** Entry number of a process that continues after RET. */
export const ENTRY_CONTINUE = 0xffffffff;
/** Words of a record whose last one is not zero. */
export const PROCESS_WORDS = 46;
/**
 * Words of a record that are no fields but sums over the children: gas held (two words), runnable
 * descendants.
 */
export const GAS_HELD_WORD = 27;
export const RUNNABLE_HELD_WORD = 29;

/** The image of a process. Fields named …Low and …High are the halves of an i64. */
export class Process {
  /** The published record, or 0. */
  ref: Ref = 0;
  program: Ref = 0;
  memory: Ref = 0;
  /** Open as long as nobody else has seen the memory: what a parent writes goes in place. */
  edit: MemoryEdit | null = null;
  children: Ref = 0;
  globals: Ref = 0;
  /**
   * The frames of the process that is suspended in RET or SNAPSHOT, else 0; kept while faulted, so that START
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
  /** Pages of 4 KiB in `memory` that are not all zero. */
  presentPages = 0;
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
  /** Of `memoryGiven`; the rest is the process's own share. */
  memoryPassed = 0;
  /** What its program takes of the share. */
  programPages = 0;
  /**
   * Held-gas quota: what it was given, and what of that was passed on to children. The rest covers `gasLent`,
   * which runnable children were given, whenever the process is suspended.
   */
  heldGasGiven = 0;
  heldGasPassed = 0;
  gasLent = 0;
  processQuota = 0;
  childCount = 0;
  started = 0;
  /** What the parent passed on for this process and all below it, and gets back when it is dropped. */
  memoryGiven = 0;
  processesGiven = 0;
  /** Children that hold gas and were written in another epoch than this one hold none. */
  gasEpoch = 0;
  /** The parent's when this was written, 0 if there is no gas inside. */
  parentGasEpoch = 0;

  /** A private copy. Both have the memory from now on. */
  copy(): Process {
    this.seal();
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
    other.presentPages = this.presentPages;
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
    other.memoryPassed = this.memoryPassed;
    other.programPages = this.programPages;
    other.heldGasGiven = this.heldGasGiven;
    other.heldGasPassed = this.heldGasPassed;
    other.gasLent = this.gasLent;
    other.processQuota = this.processQuota;
    other.childCount = this.childCount;
    other.started = this.started;
    other.memoryGiven = this.memoryGiven;
    other.processesGiven = this.processesGiven;
    other.gasEpoch = this.gasEpoch;
    other.parentGasEpoch = this.parentGasEpoch;
    return other;
  }

  /** Ends writing in place: somebody else sees the memory from now on. */
  seal(): void {
    this.edit?.close();
    this.edit = null;
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

const record = new Uint32Array(PROCESS_WORDS);

/** A record of these words. */
export function putRecord(heap: Heap, words: Uint32Array): Ref {
  let count = PROCESS_WORDS;
  while (count > PROCESS_REFERENCES && words[count - 1] === 0) count--;
  if (counting) work.recordsMade++;
  const ref = heap.allocate(KIND_PROCESS, 4 * count, PROCESS_REFERENCES);
  const at = ref * UNIT_WORDS + UNIT_WORDS;
  for (let i = 0; i < count; i++) heap.words[at + i] = words[i] as number;
  return ref;
}

/** A word of the record at `ref`, which is no stub. */
export function recordWord({ words }: Heap, ref: Ref, position: number): number {
  const at = ref * UNIT_WORDS;
  return 4 * position < (words[at + HEADER_LENGTH] as number)
    ? (words[at + UNIT_WORDS + position] as number)
    : 0;
}

/** Writes the record of `process` (and of its reference snapshot), once; returns its reference. */
export function publishProcess(heap: Heap, process: Process): Ref {
  if (process.ref !== 0) return process.ref;
  process.seal();
  if (process.reference !== null) {
    process.referenceRef = publishProcess(heap, process.reference);
    process.reference = null;
  }
  const words = record;
  words[0] = process.program;
  words[1] = process.memory;
  words[2] = process.children;
  words[3] = process.globals;
  words[4] = process.continuation;
  words[5] = process.text;
  words[6] = process.referenceRef;
  words[7] = process.inputs;
  words[8] = process.outcomes;
  words[9] = process.status;
  words[10] = process.memoryPages;
  words[11] = process.memoryGiven;
  writeU64(words, 12, process.gasUsed);
  words[14] = process.started;
  words[15] = process.codeLow;
  words[16] = process.codeHigh;
  words[17] = process.memoryPassed;
  words[18] = process.processQuota;
  words[19] = process.processesGiven;
  words[20] = process.childCount;
  words[21] = process.presentPages;
  words[22] = process.entry;
  words[23] = process.argumentLow;
  words[24] = process.argumentHigh;
  writeU64(words, 25, process.gas);
  writeU64(words, 27, process.gasHeld);
  words[29] = process.runnableHeld;
  words[30] = process.fault;
  words[31] = process.line;
  words[32] = process.column;
  words[33] = process.regionPointer;
  words[34] = process.regionCapacity;
  writeU64(words, 35, process.gasEpoch);
  writeU64(words, 37, process.parentGasEpoch);
  words[39] = process.programPages;
  writeU64(words, 40, process.heldGasGiven);
  writeU64(words, 42, process.heldGasPassed);
  writeU64(words, 44, process.gasLent);
  const ref = putRecord(heap, words);
  process.ref = ref;
  return ref;
}

/** The published image at `from`. */
export function loadProcess(heap: Heap, from: Ref): Process {
  if (counting) work.recordsRead++;
  const ref = heap.resolve(from);
  const word = (i: number): number => recordWord(heap, ref, i);
  const wide = (i: number): number => joined(word(i), word(i + 1));
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
  process.status = word(9);
  process.memoryPages = word(10);
  process.memoryGiven = word(11);
  process.gasUsed = joined(word(12), word(13) | 0);
  process.started = word(14);
  process.codeLow = word(15) | 0;
  process.codeHigh = word(16) | 0;
  process.memoryPassed = word(17);
  process.processQuota = word(18);
  process.processesGiven = word(19);
  process.childCount = word(20);
  process.presentPages = word(21);
  process.entry = word(22);
  process.argumentLow = word(23) | 0;
  process.argumentHigh = word(24) | 0;
  process.gas = wide(25);
  process.gasHeld = wide(27);
  process.runnableHeld = word(29);
  process.fault = word(30);
  process.line = word(31);
  process.column = word(32);
  process.regionPointer = word(33);
  process.regionCapacity = word(34);
  process.gasEpoch = wide(35);
  process.parentGasEpoch = wide(37);
  process.programPages = word(39);
  process.heldGasGiven = wide(40);
  process.heldGasPassed = wide(42);
  process.gasLent = wide(44);
  return process;
}

/** Takes the gas from all runnable descendants. */
export function voidGas(process: Process): void {
  if (process.gasHeld === 0) return;
  process.gasHeld = 0;
  process.gasLent = 0;
  process.gasEpoch++;
}

/** What a child is to a parent of that epoch: itself, or without the gas that was voided above it. */
export function childOf(gasEpoch: number, child: Process): Process {
  if (child.gasInside === 0 || child.parentGasEpoch === gasEpoch) return child;
  return withoutGas(child);
}

/** A copy without any gas inside. */
export function withoutGas(process: Process): Process {
  const copy = process.copy();
  voidGas(copy);
  copy.gas = 0;
  copy.parentGasEpoch = 0;
  return copy;
}

/** The program of the published image at `ref`. */
export function programOf(heap: Heap, ref: Ref): Ref {
  if (counting) work.recordsRead++;
  return recordWord(heap, heap.resolve(ref), 0);
}

/** The reference snapshot of `process` as a Process, or null. It is shared: copy before changing. */
export function referenceOf(heap: Heap, process: Process): Process | null {
  if (process.reference !== null) return process.reference;
  return process.referenceRef === 0 ? null : loadProcess(heap, process.referenceRef);
}

function writeU64(words: Uint32Array, at: number, value: number): void {
  words[at] = lowOf(value);
  words[at + 1] = highOf(value);
}
