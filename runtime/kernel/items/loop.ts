/**
 * The items of a batch, one after the other in one instance: what a batch means. Code that runs items in
 * parallel must leave the same bytes (batch.ts).
 *
 * The instance is of the program's sequential variant, or of its batch variant if the runner wants that: what
 * items leave is the same, what it costs to put things back after each of them is not (shadow.ts). One that
 * the batch variant cannot run, and those behind it, run in the sequential variant.
 */

import * as abi from "../../../syscalls/abi.ts";
import { copyBytes } from "../../heap/bytes.ts";
import type { Heap } from "../../heap/heap.ts";
import { AUX_RESULT, FAULT_INTERNAL_SEQUENTIAL } from "../../program/layout.ts";
import { COUNTING, work } from "../../work.ts";
import type { Activation } from "../activation.ts";
import { costOfChildren, PAID } from "../changes.ts";
import { Children } from "../children.ts";
import { showFault } from "../exit.ts";
import { beyondOutbox, beyondRoom, cannotPay, type Reason } from "../explain.ts";
import { costOfItem } from "../gas.ts";
import type { Programs } from "../program.ts";
import type { Slot } from "../slots/slot.ts";
import type { RawLost, Tracer } from "../trace.ts";
import { Batch } from "./batch.ts";
import { afterItem, endOfItem, Item } from "./children.ts";
import type { InboxAndOutbox, Inputs } from "./objects.ts";

const counting = COUNTING;

/**
 * Inputs of at most so many bytes are copied word by word: a call takes longer than a few turns of a loop.
 */
const SHORT_BYTES = 256;
const RESULT = AUX_RESULT / 4;
/** Ranges of private memory that are collected for a trace: scratch is among them. */
const RAW_LOST_LIMIT = 512;

/** Runs the start function, if it has not run, and pays for what it changed. The batch, or the fault. */
export function beginBatch(heap: Heap, activation: Activation): Batch | number {
  const { start, slot, depth } = activation;
  const fault = activation.runStart();
  if (fault !== abi.FAULT_NONE) return fault;
  const gas = activation.gas();
  let left = gas - activation.globalsCost;
  if (left >= 0) left -= activation.publishMemory(left);
  if (left < 0) return abi.FAULT_OUT_OF_GAS;
  const batch = new Batch(heap, slot.program, start, slot.root, slot.publishGlobals(heap), left, depth);
  batch.memoryPages = slot.memoryPages;
  return batch;
}

/** The loop, in the slot of an activation. */
export class ItemLoop {
  readonly #heap: Heap;
  readonly #programs: Programs;
  readonly #activation: Activation;
  readonly #batch: Batch;
  readonly #join: () => void;
  readonly #tracer: Tracer | null;
  #item = new Item();
  /** Gas that the items have spent, those that run again among them. */
  #spent = 0;

  /**
   * The activation's slot holds the batch's image, and has nothing marked. `join` runs what children the
   * activation has started.
   */
  constructor(
    heap: Heap,
    programs: Programs,
    activation: Activation,
    batch: Batch,
    join: () => void,
    tracer: Tracer | null,
  ) {
    this.#heap = heap;
    this.#programs = programs;
    this.#activation = activation;
    this.#batch = batch;
    this.#join = join;
    this.#tracer = tracer;
    activation.item = this.#item;
    this.#resetChildren();
    activation.slot.beginItems(heap, batch.memory, batch.program.handle.stateBytes);
  }

  /** Runs the next items, `count` at most, as long as the slot's variant can run them. */
  run(count: number): void {
    const batch = this.#batch;
    const { inputs, outcomes, variant } = batch;
    for (const end = batch.next + count; batch.next < end && batch.variant === variant; ) {
      const limit = inputs.gas(batch.next);
      if (limit > batch.gas) {
        outcomes.add(abi.ITEM_REFUSED, 0, 0, 0, 0);
      } else if (limit > batch.left) {
        batch.cut = true;
        break;
      } else {
        this.#runItem(inputs, batch.next, limit);
      }
    }
  }

  /** Publishes what the items have changed. */
  leave(): void {
    const { slot, start } = this.#activation;
    slot.shadow.markState();
    slot.publish(this.#heap, start.memory, PAID);
    slot.noteItems(this.#spent);
    this.#batch.memory = slot.root;
  }

  #runItem(inputs: Inputs, item: number, limit: number): void {
    const { program, start } = this.#batch;
    const activation = this.#activation;
    const { slot } = activation;
    const { shadow } = slot;
    const length = inputs.length(item);
    if (counting) work.items++;
    this.#tracer?.beginItem();
    const ran = activation.runItem(start.entry, length, limit, () => deliver(this.#heap, inputs, item, slot));
    if (ran === abi.FAULT_NONE && activation.children.isTouched) this.#join();
    shadow.measure();
    const left = activation.gas();
    const output = slot.words[inputs.outbox / 4] as number;
    const room = this.#batch.outputRoom(activation.memoryPassed);
    const { children } = activation;
    const below = children.isTouched ? costOfChildren(children.changed()) : 0;
    const end = endOfItem(inputs, item, ran, left, shadow.statePages, below, output, room);
    const { fault, gasUsed } = end;
    if (ran === abi.FAULT_NONE && fault !== abi.FAULT_NONE) {
      const cost = below + costOfItem(shadow.statePages, output);
      showFault(null, () => whyEnded(inputs, left, cost, output, room));
    }
    if (fault === FAULT_INTERNAL_SEQUENTIAL) {
      // Nothing that it did counts: it runs again.
      this.#batch.variant = program.sequential;
      this.#spent += limit;
    } else {
      this.#spent += gasUsed;
      this.#record(inputs, fault, gasUsed, output);
      this.#tracer?.item(item, fault, gasUsed, {
        lost: () => lostOf(slot, inputs),
        changed: (limit) => shadow.changedLines(limit),
      });
    }
    shadow.settle(fault === abi.FAULT_NONE);
    if (activation.children.isTouched) this.#settleChildren(fault === abi.FAULT_NONE);
    const { globalsLength } = program.handle;
    if (counting) work.globalBytes += globalsLength;
    if (globalsLength > 0) slot.exports.load();
  }

  /** Writes down the outcome of the next item. */
  #record({ outbox }: InboxAndOutbox, fault: number, gasUsed: number, output: number): void {
    const { outcomes } = this.#batch;
    const { slot, abortLine, abortColumn } = this.#activation;
    if (fault === abi.FAULT_NONE) {
      const low = slot.auxWords[RESULT] as number;
      const high = slot.auxWords[RESULT + 1] as number;
      outcomes.add(abi.ITEM_RETURNED, fault, low, high, gasUsed, slot.memory, outbox + 4, output);
    } else if (fault === abi.FAULT_ABORT) {
      outcomes.add(abi.ITEM_FAULTED, fault, abortLine, abortColumn, gasUsed);
    } else {
      outcomes.add(abi.ITEM_FAULTED, fault, 0, 0, gasUsed);
    }
  }

  /** Keeps the part of the children that survives the item, or nothing. */
  #settleChildren(keep: boolean): void {
    const batch = this.#batch;
    const activation = this.#activation;
    if (keep) {
      for (const child of activation.children.changed()) {
        const { number, before, process } = child;
        const path = `/${number}`;
        const left = afterItem(this.#heap, this.#programs, this.#item, path, before, process);
        batch.settle(this.#heap, number, left);
      }
      batch.childCount += activation.children.more;
      batch.memoryPassed = activation.memoryPassed;
      batch.heldGasPassed = activation.heldGasPassed;
      batch.processQuota = activation.processQuota;
    }
    this.#item = new Item();
    activation.item = this.#item;
    this.#resetChildren();
  }

  /** The activation sees the children that the batch has now. */
  #resetChildren(): void {
    const { start, children, childCount, memoryPassed, heldGasPassed, processQuota, kept } = this.#batch;
    const activation = this.#activation;
    const known = start.childCount + childCount;
    activation.children = new Children(this.#heap, start, known, children);
    activation.memoryPassed = memoryPassed;
    activation.heldGasPassed = heldGasPassed;
    activation.gasLent = 0;
    activation.kept = kept;
    activation.processQuota = processQuota;
  }
}

/** Why an item that returned faulted: `endOfItem`. */
function whyEnded(boxes: InboxAndOutbox, left: number, cost: number, output: number, room: number): Reason {
  const capacity = boxes.outboxCapacity - 4;
  if (output > capacity) return beyondOutbox(output, capacity);
  return cost > left ? cannotPay(cost, left) : beyondRoom(output, room);
}

/** What an item has changed in private memory, besides its inbox and outbox, and in globals. */
function lostOf(slot: Slot, boxes: InboxAndOutbox): readonly RawLost[] {
  const inbox = { address: boxes.inbox, length: boxes.inboxCapacity };
  const outbox = { address: boxes.outbox, length: boxes.outboxCapacity };
  const ranges = slot.shadow.privateChanges(RAW_LOST_LIMIT + 1, [inbox, outbox]);
  const globals = slot.changedGlobals();
  if (ranges.length <= RAW_LOST_LIMIT) return [...ranges, ...globals];
  return [...ranges.slice(0, RAW_LOST_LIMIT), ...globals, { truncated: true }];
}

/**
 * Copies the input of an item into the inbox, at the item's expense: marking comes first, and may leave it.
 * Both addresses are divisible by 4.
 */
export function deliver(
  heap: Heap,
  inputs: Inputs,
  item: number,
  slot: Pick<Slot, "memory" | "words" | "mark">,
): void {
  const { inbox } = inputs;
  const address = inputs.address(item);
  const length = inputs.length(item);
  if (counting) work.bytesCopied += length;
  slot.mark(inbox, length);
  if (length > SHORT_BYTES) {
    copyBytes(heap.bytes, address, slot.memory, inbox, length);
  } else {
    const { words } = slot;
    const from = address / 4;
    const to = inbox / 4;
    const whole = length >>> 2;
    for (let i = 0; i < whole; i++) words[to + i] = heap.words[from + i] as number;
    for (let i = whole * 4; i < length; i++) slot.memory[inbox + i] = heap.bytes[address + i] as number;
  }
}
