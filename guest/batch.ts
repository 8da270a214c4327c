/**
 * Batches: many inputs for one child at once (`Batch`, `Outcomes`), and the other side, an item that works on
 * one of them (`Item`). The meaning of a batch is defined in ../syscalls/README.md.
 *
 *   const batch = new Batch(1 << 20); // the child's STATE_BYTES
 *   for (let i = 0; i < count; i++) batch.add(inputs + i * 64, 64, 100_000);
 *   check(batch.run(child, "pay", 1_000_000_000), "pay");
 *   const outcomes = new Outcomes(child);
 *   while (outcomes.next()) if (outcomes.status != ITEM_RETURNED) refused++;
 */

import * as abi from "../syscalls/abi.ts";
import { errorName } from "./errors.ts";
import { Child } from "./process.ts";

/** Half of MAIL_BYTES: what the usual inbox and the usual outbox have. */
const BOX_BYTES: u32 = abi.MAIL_BYTES / 2;
const INPUTS_AT_FIRST: u32 = 64;
/** Outcomes that are fetched at once. */
const WINDOW: u32 = 64;

/** Inputs for one child, in their order. Reuse it: `clear` keeps its memory. */
export class Batch {
  /** Number of items. */
  length: u32 = 0;
  private list: usize = 0;
  private capacity: u32 = 0;
  private struct: usize = heap.alloc(abi.BATCH_SIZE);

  /**
   * For a child whose program has so much state. `inbox` and `outbox` are addresses in its private memory, by
   * default those of `compileGuest`.
   */
  constructor(
    stateBytes: usize,
    inbox: usize = stateBytes,
    inboxCapacity: u32 = BOX_BYTES,
    outbox: usize = stateBytes + BOX_BYTES,
    outboxCapacity: u32 = BOX_BYTES,
  ) {
    memory.fill(this.struct, 0, abi.BATCH_SIZE);
    this.place(stateBytes, inbox, inboxCapacity, outbox, outboxCapacity);
  }

  /** The same for a child of another program, or whose program has been replaced. */
  place(
    stateBytes: usize,
    inbox: usize = stateBytes,
    inboxCapacity: u32 = BOX_BYTES,
    outbox: usize = stateBytes + BOX_BYTES,
    outboxCapacity: u32 = BOX_BYTES,
  ): void {
    store<u32>(this.struct, <u32>inbox, abi.BATCH_INBOX);
    store<u32>(this.struct, inboxCapacity, abi.BATCH_INBOX_CAPACITY);
    store<u32>(this.struct, <u32>outbox, abi.BATCH_OUTBOX);
    store<u32>(this.struct, outboxCapacity, abi.BATCH_OUTBOX_CAPACITY);
  }

  /** One item more: `length` bytes at `input`, which are read when the batch is run, and what it may use. */
  add(input: usize, length: u32, gas: u64): void {
    if (this.length == this.capacity) this.grow();
    const at = this.list + this.length++ * abi.INPUT_SIZE;
    store<u32>(at, <u32>input, abi.INPUT_POINTER);
    store<u32>(at, length, abi.INPUT_LENGTH);
    store<u64>(at, gas, abi.INPUT_GAS);
  }

  clear(): void {
    this.length = 0;
  }

  /**
   * Starts the batch: for each item, in this order, the child runs `entry` with the input's length. All
   * together may use `gas`, which is taken from this process; the rest comes back at the join. 0, or an error
   * code and nothing happened.
   */
  run(child: Child, entry: string, gas: u64, flags: u32 = 0): i32 {
    return this.of(child, entry, gas, flags).put();
  }

  /** The same as a part of a PUT with other parts. */
  of(child: Child, entry: string, gas: u64, flags: u32 = 0): Child {
    store<u32>(this.struct, <u32>this.list, abi.BATCH_INPUTS_POINTER);
    store<u32>(this.struct, this.length, abi.BATCH_INPUTS_COUNT);
    return child.batch(this.struct, entry, gas, flags);
  }

  private grow(): void {
    const capacity = max<u32>(INPUTS_AT_FIRST, this.capacity * 2);
    const list = heap.alloc(capacity * abi.INPUT_SIZE);
    memory.copy(list, this.list, this.length * abi.INPUT_SIZE);
    if (this.list != 0) heap.free(this.list);
    this.list = list;
    this.capacity = capacity;
  }
}

/** What became of the items of a child's last batch, from the first on. Joins the child. */
export class Outcomes {
  /** Items of the batch; known after the first `next`. */
  total: u32 = 0;
  /** The item that the fields below describe. */
  index: u32 = 0;
  private child: Child;
  private struct: usize = heap.alloc(abi.OUTCOMES_SIZE);
  private records: usize = heap.alloc(WINDOW * abi.OUTCOME_SIZE);
  private outputs: usize = 0;
  private capacity: u32 = 0;
  /** Items of the window, and where it begins. */
  private count: u32 = 0;
  private first: u32 = 0;
  private begun: bool = false;

  /** `outputCapacity`: at least the capacity of the outbox, so that the output of one item always fits. */
  constructor(child: Child, outputCapacity: u32 = BOX_BYTES) {
    this.child = child;
    this.capacity = outputCapacity;
    this.outputs = heap.alloc(outputCapacity);
  }

  /** Goes to the next item; false if there is none. Aborts if the child's last activation was no batch. */
  next(): bool {
    const item = this.begun ? this.index + 1 : 0;
    this.begun = true;
    if (item >= this.first + this.count) {
      if (item > 0 && item >= this.total) return false;
      this.fetch(item);
      if (item >= this.total) return false;
    }
    this.index = item;
    return true;
  }

  /** Goes back to before the first item, of the child's next batch as well. */
  rewind(): void {
    this.begun = false;
    this.first = 0;
    this.count = 0;
  }

  /** ITEM_RETURNED, ITEM_FAULTED, ITEM_REFUSED or ITEM_NOT_RUN. */
  get status(): u32 {
    return load<u32>(this.record, abi.OUTCOME_STATUS);
  }

  /** FAULT_…; FAULT_NONE unless it faulted. */
  get fault(): u32 {
    return load<u32>(this.record, abi.OUTCOME_FAULT);
  }

  /** What the entry returned; of an abort line and column, low and high half. */
  get code(): i64 {
    return load<i64>(this.record, abi.OUTCOME_CODE);
  }

  get gasUsed(): u64 {
    return load<u64>(this.record, abi.OUTCOME_GAS_USED);
  }

  /** Where its output lies until the next `next`. */
  get output(): usize {
    return this.outputs + load<u32>(this.record, abi.OUTCOME_OUTPUT_OFFSET);
  }

  get outputLength(): u32 {
    return load<u32>(this.record, abi.OUTCOME_OUTPUT_LENGTH);
  }

  private get record(): usize {
    return this.records + (this.index - this.first) * abi.OUTCOME_SIZE;
  }

  /** Brings a window that begins with item `first`, a smaller one if the outputs have no room. */
  private fetch(first: u32): void {
    const struct = this.struct;
    for (let wanted = WINDOW; ; wanted >>= 1) {
      memory.fill(struct, 0, abi.OUTCOMES_SIZE);
      store<u32>(struct, first, abi.OUTCOMES_FIRST);
      store<u32>(struct, wanted, abi.OUTCOMES_COUNT);
      store<u32>(struct, <u32>this.records, abi.OUTCOMES_POINTER);
      store<u32>(struct, <u32>this.outputs, abi.OUTCOMES_OUTPUT_POINTER);
      store<u32>(struct, this.capacity, abi.OUTCOMES_OUTPUT_CAPACITY);
      const code = this.child.outcomes(struct).get();
      if (code == abi.OK) break;
      if (code != abi.E_RANGE || wanted == 1)
        throw new Error(`child ${this.child.number}: outcomes: ${errorName(code)}`);
    }
    this.first = first;
    this.count = load<u32>(struct, abi.OUTCOMES_COUNT);
    this.total = load<u32>(struct, abi.OUTCOMES_TOTAL);
  }
}

/**
 * The item that runs, in a program that exports STATE_BYTES and was compiled by `compileGuest`: the usual
 * inbox and outbox.
 */
export class Item {
  /** Where the input lies; its length is the entry's argument. */
  @inline
  static get input(): usize {
    return ASC_MEMORY_BASE - abi.MAIL_BYTES;
  }

  /** Where the output is written, at most OUTPUT_LIMIT bytes. `Item.finish` says how many they are. */
  @inline
  static get output(): usize {
    return ASC_MEMORY_BASE - BOX_BYTES + 4;
  }

  /** Sets the length of the output, in bytes; without a call there is none. */
  @inline
  static finish(length: u32): void {
    store<u32>(ASC_MEMORY_BASE - BOX_BYTES, length);
  }

  /** Appends `length` bytes to the output. */
  static write(bytes: usize, length: u32): void {
    const before = load<u32>(ASC_MEMORY_BASE - BOX_BYTES);
    if (length > OUTPUT_LIMIT - before) throw new Error("write: the output is too long");
    memory.copy(Item.output + before, bytes, length);
    Item.finish(before + length);
  }
}

/** Bytes that fit into the usual outbox. */
export const OUTPUT_LIMIT: u32 = BOX_BYTES - 4;
