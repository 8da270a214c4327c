/**
 * Inputs and outcomes of a batch as objects of the heap. Words are u32, little-endian.
 *
 *   inputs    0   items · inbox · inbox's capacity · outbox · outbox's capacity · zero · zero · zero
 *            32   for each item: where its input begins in this object · length · u64 gas
 *            ..   the inputs, each at an offset divisible by 8, zeros between them
 *
 *   outcomes  0   items · how many returned · bytes of all outputs · zero · zero · zero · zero · zero
 *            32   for each item OUTCOME_SIZE bytes, as GET's part OUTCOMES writes them; OUTCOME_OUTPUT_OFFSET
 *                 counts from where the outputs begin
 *            ..   the outputs in the order of the items, nothing between them
 *
 * Both are hashed, so equal batches have equal bytes: what is not named here is zero.
 */

import * as abi from "../../../syscalls/abi.ts";
import { copyBytes, part } from "../../heap/bytes.ts";
import { type Heap, KIND_BLOB, type Ref, UNIT_WORDS } from "../../heap/heap.ts";
import { highOf, joined, lowOf } from "../../u64.ts";
import { COUNTING, work } from "../../work.ts";

const counting = COUNTING;

const HEADER_BYTES = 32;
const HEADER_WORDS = HEADER_BYTES / 4;
const INPUT_WORDS = abi.INPUT_SIZE / 4;
const OUTCOME_WORDS = abi.OUTCOME_SIZE / 4;

/** Where items find their input and leave their output, in the child's memory. */
export interface InboxAndOutbox {
  readonly inbox: number;
  readonly inboxCapacity: number;
  readonly outbox: number;
  readonly outboxCapacity: number;
}

/** Bytes that an item with an input of `length` takes in the object. */
export function inputBytes(length: number): number {
  return abi.INPUT_SIZE + padded(length);
}

function padded(length: number): number {
  return Math.ceil(length / 8) * 8;
}

/**
 * Bytes that a batch of `count` items keeps, whose inputs take `inputsBytes` by `inputBytes`: its inputs
 * until it is joined, and then its outcomes, whose outputs are limited by what the quota has left.
 */
export function batchBytes(count: number, inputsBytes: number): number {
  return Math.max(HEADER_BYTES + inputsBytes, outcomesBytes(count));
}

/** Bytes of the outcomes of `count` items without outputs. */
export function outcomesBytes(count: number): number {
  return HEADER_BYTES + count * abi.OUTCOME_SIZE;
}

/** Inputs as a request lists them. */
export interface InputList extends InboxAndOutbox {
  readonly count: number;
  /** INPUT_SIZE bytes for each; pointers lead into `source`. */
  readonly list: ArrayLike<number>;
  /** Sum of what the items take, by `inputBytes`. */
  readonly bytes: number;
}

/** The object of inputs whose bytes are in `source`. */
export function writeInputs(heap: Heap, inputs: InputList, source: Uint8Array): Ref {
  const { count, list } = inputs;
  if (counting) work.bytesCopied += inputs.bytes;
  const ref = heap.allocate(KIND_BLOB, HEADER_BYTES + inputs.bytes, 0);
  const { words } = heap;
  const start = ref * UNIT_WORDS + UNIT_WORDS;
  words.fill(0, start, start + HEADER_WORDS);
  words[start] = count;
  words[start + 1] = inputs.inbox;
  words[start + 2] = inputs.inboxCapacity;
  words[start + 3] = inputs.outbox;
  words[start + 4] = inputs.outboxCapacity;
  let offset = HEADER_BYTES + count * abi.INPUT_SIZE;
  // What lies in the source as it will lie here is copied together.
  const run = { from: 0, to: 0, length: 0 };
  const copyRun = (): void => {
    if (run.length > 0) copyBytes(source, run.from, heap.bytes, run.to, run.length);
  };
  for (let i = 0; i < count; i++) {
    const from = i * INPUT_WORDS;
    const to = start + HEADER_WORDS + from;
    const pointer = list[from + abi.INPUT_POINTER / 4] as number;
    const size = list[from + abi.INPUT_LENGTH / 4] as number;
    words[to] = offset;
    words[to + 1] = size;
    words[to + 2] = list[from + abi.INPUT_GAS / 4] as number;
    words[to + 3] = list[from + abi.INPUT_GAS / 4 + 1] as number;
    const space = padded(size);
    if (space > 0) {
      words[start + (offset + space) / 4 - 2] = 0;
      words[start + (offset + space) / 4 - 1] = 0;
      const to = start * 4 + offset;
      if (pointer !== run.from + run.length || to !== run.to + run.length) {
        copyRun();
        run.from = pointer;
        run.to = to;
        run.length = 0;
      }
      run.length += size;
    }
    offset += space;
  }
  copyRun();
  return ref;
}

/** The inputs of a batch, read from their object. */
export class Inputs implements InboxAndOutbox {
  readonly count: number;
  readonly inbox: number;
  readonly inboxCapacity: number;
  readonly outbox: number;
  readonly outboxCapacity: number;
  readonly #words: Uint32Array;
  /** Word where the object's payload begins. */
  readonly #start: number;

  constructor(heap: Heap, ref: Ref) {
    const { words } = heap;
    const start = heap.resolve(ref) * UNIT_WORDS + UNIT_WORDS;
    this.#words = words;
    this.#start = start;
    this.count = words[start] as number;
    this.inbox = words[start + 1] as number;
    this.inboxCapacity = words[start + 2] as number;
    this.outbox = words[start + 3] as number;
    this.outboxCapacity = words[start + 4] as number;
  }

  /** Where the input of item `i` begins, in `heap.bytes`; divisible by 8. */
  address(i: number): number {
    return this.#start * 4 + (this.#words[this.#start + HEADER_WORDS + i * INPUT_WORDS] as number);
  }

  /** Its length in bytes. */
  length(i: number): number {
    return this.#words[this.#start + HEADER_WORDS + i * INPUT_WORDS + 1] as number;
  }

  /** What the item may use. Exact up to 2^53; beyond that it is more than any batch has. */
  gas(i: number): number {
    const at = this.#start + HEADER_WORDS + i * INPUT_WORDS;
    return joined(this.#words[at + 2] as number, this.#words[at + 3] as number);
  }
}

/** What became of one item. */
export interface Outcome {
  /** ITEM_… */
  readonly status: number;
  /** FAULT_…, 0 unless it faulted. */
  readonly fault: number;
  /** Halves of the code: what the entry returned; of an abort line and column. */
  readonly codeLow: number;
  readonly codeHigh: number;
  readonly gasUsed: number;
}

/** How far a writer of outcomes had come. */
export interface OutcomesMark {
  readonly next: number;
  readonly length: number;
  readonly returned: number;
  readonly refused: number;
  readonly gasUsed: number;
  readonly exactGas: number;
}

/** Collects what becomes of the items, in their order, and makes it one object. */
export class OutcomesWriter {
  readonly #count: number;
  readonly #records: Uint32Array;
  #outputs: Buffer = Buffer.alloc(4096);
  #length = 0;
  #next = 0;
  returned = 0;
  refused = 0;
  gasUsed = 0;
  /** The gas of those that returned or aborted: a measure of their work. */
  exactGas = 0;

  constructor(count: number) {
    this.#count = count;
    this.#records = new Uint32Array(count * OUTCOME_WORDS);
  }

  /** How many items were added. */
  get next(): number {
    return this.#next;
  }

  /** Bytes that the object will have, without outputs that are still to come. */
  get bytes(): number {
    return outcomesBytes(this.#count) + this.#length;
  }

  /** Bytes of the outputs so far. */
  get outputBytes(): number {
    return this.#length;
  }

  /** The next item. Its output is `length` bytes of `source`, none unless it returned. */
  add(
    status: number,
    fault: number,
    codeLow: number,
    codeHigh: number,
    gasUsed: number,
    source: Uint8Array | null = null,
    from = 0,
    length = 0,
  ): void {
    const records = this.#records;
    const at = this.#next++ * OUTCOME_WORDS;
    records[at + abi.OUTCOME_STATUS / 4] = status;
    records[at + abi.OUTCOME_FAULT / 4] = fault;
    records[at + abi.OUTCOME_CODE / 4] = codeLow;
    records[at + abi.OUTCOME_CODE / 4 + 1] = codeHigh;
    records[at + abi.OUTCOME_GAS_USED / 4] = lowOf(gasUsed);
    records[at + abi.OUTCOME_GAS_USED / 4 + 1] = highOf(gasUsed);
    records[at + abi.OUTCOME_OUTPUT_OFFSET / 4] = this.#length;
    records[at + abi.OUTCOME_OUTPUT_LENGTH / 4] = length;
    this.gasUsed += gasUsed;
    if (status === abi.ITEM_RETURNED || fault === abi.FAULT_ABORT) this.exactGas += gasUsed;
    if (status === abi.ITEM_RETURNED) this.returned++;
    else if (status === abi.ITEM_REFUSED) this.refused++;
    if (source !== null && length > 0) this.#append(source, from, length);
  }

  /** Where `rollback` can come back to. */
  mark(): OutcomesMark {
    const { returned, refused, gasUsed, exactGas } = this;
    return { next: this.#next, length: this.#length, returned, refused, gasUsed, exactGas };
  }

  /** Forgets the items that were added since the mark was made. */
  rollback(mark: OutcomesMark): void {
    this.#next = mark.next;
    this.#length = mark.length;
    this.returned = mark.returned;
    this.refused = mark.refused;
    this.gasUsed = mark.gasUsed;
    this.exactGas = mark.exactGas;
  }

  /** The object; every item was added. */
  finish(heap: Heap): Ref {
    const body = outcomesBytes(this.#count);
    if (counting) work.bytesCopied += body + this.#length;
    const ref = heap.allocate(KIND_BLOB, body + this.#length, 0);
    const start = ref * UNIT_WORDS + UNIT_WORDS;
    heap.words.fill(0, start, start + HEADER_WORDS);
    heap.words[start] = this.#count;
    heap.words[start + 1] = this.returned;
    heap.words[start + 2] = this.#length;
    heap.words.set(this.#records, start + HEADER_WORDS);
    copyBytes(this.#outputs, 0, heap.bytes, start * 4 + body, this.#length);
    return ref;
  }

  #append(source: Uint8Array, from: number, length: number): void {
    const end = this.#length + length;
    if (counting) work.bytesCopied += length;
    if (end > this.#outputs.length) {
      const grown = Buffer.allocUnsafe(Math.max(end, 2 * this.#outputs.length));
      copyBytes(this.#outputs, 0, grown, 0, this.#length);
      this.#outputs = grown;
    }
    const to = this.#outputs;
    // Most outputs are short: a call of copy takes longer than a few turns of a loop.
    if (length <= 32) for (let i = 0; i < length; i++) to[this.#length + i] = source[from + i] as number;
    else to.set(source.subarray(from, from + length), this.#length);
    this.#length = end;
  }
}

/** The outcomes of a batch, read from their object. */
export class Outcomes {
  readonly count: number;
  readonly returned: number;
  readonly #heap: Heap;
  /** Word where the object's payload begins. */
  readonly #start: number;

  constructor(heap: Heap, ref: Ref) {
    const start = heap.resolve(ref) * UNIT_WORDS + UNIT_WORDS;
    this.#heap = heap;
    this.#start = start;
    this.count = heap.words[start] as number;
    this.returned = heap.words[start + 1] as number;
  }

  item(i: number): Outcome {
    const { words } = this.#heap;
    const at = this.#record(i);
    return {
      status: words[at + abi.OUTCOME_STATUS / 4] as number,
      fault: words[at + abi.OUTCOME_FAULT / 4] as number,
      codeLow: (words[at + abi.OUTCOME_CODE / 4] as number) | 0,
      codeHigh: (words[at + abi.OUTCOME_CODE / 4 + 1] as number) | 0,
      gasUsed: joined(
        words[at + abi.OUTCOME_GAS_USED / 4] as number,
        words[at + abi.OUTCOME_GAS_USED / 4 + 1] as number,
      ),
    };
  }

  /** Where the output of item `i` begins among all outputs; where they end, for the item behind the last. */
  outputOffset(i: number): number {
    const { words } = this.#heap;
    if (i === this.count) return words[this.#start + 2] as number;
    return words[this.#record(i) + abi.OUTCOME_OUTPUT_OFFSET / 4] as number;
  }

  /** The outputs of items `first` to `end` - 1, one after the other: a view of the heap. */
  outputs(first: number, end: number): Buffer {
    const base = this.#start * 4 + HEADER_BYTES + this.count * abi.OUTCOME_SIZE;
    const from = this.outputOffset(first);
    return part(this.#heap.bytes, base + from, this.outputOffset(end) - from);
  }

  /** The records of items `first` to `end` - 1, with offsets that count from the output of the first. */
  records(first: number, end: number): Uint32Array {
    const records = this.#heap.words.slice(this.#record(first), this.#record(end));
    const base = this.outputOffset(first);
    const offset = abi.OUTCOME_OUTPUT_OFFSET / 4;
    for (let at = offset; at < records.length; at += OUTCOME_WORDS)
      records[at] = (records[at] as number) - base;
    return records;
  }

  #record(i: number): number {
    return this.#start + HEADER_WORDS + i * OUTCOME_WORDS;
  }
}
