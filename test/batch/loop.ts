/**
 * A kernel without threads or blocks, to give batches to, and the meaning of a batch by plain activations:
 * for each item an image is put together from the state so far and the private memory the batch began with,
 * and started like any other child.
 */

import { createHeap, Heap, type Ref } from "../../runtime/heap/heap.ts";
import { tableDiff, tableUpdate } from "../../runtime/heap/table.ts";
import { hashOf } from "../../runtime/image/hash.ts";
import { MemoryEdit, pageEquals, readMemory, readPage } from "../../runtime/image/memory.ts";
import { Process } from "../../runtime/image/process.ts";
import { changeOf } from "../../runtime/kernel/changes.ts";
import { COST_GLOBAL_BYTE, COST_PAGE_TOUCH, costOfItem } from "../../runtime/kernel/gas.ts";
import { freshProcess } from "../../runtime/kernel/images.ts";
import { type Batch, type BatchRunner, NO_RUNNER } from "../../runtime/kernel/items/batch.ts";
import {
  type InboxAndOutbox,
  inputBytes,
  Outcomes,
  writeInputs,
} from "../../runtime/kernel/items/objects.ts";
import { NOBODY_ELSE } from "../../runtime/kernel/jobs.ts";
import { Kernel } from "../../runtime/kernel/kernel.ts";
import {
  type LoadedProgram,
  makeHandle,
  type ProgramHandle,
  Programs,
} from "../../runtime/kernel/program.ts";
import { markPages } from "../../runtime/kernel/slots/page-marks.ts";
import { Slot } from "../../runtime/kernel/slots/slot.ts";
import type { Tracer } from "../../runtime/kernel/trace.ts";
import { admit, instrumentForBatch, type Program, programHash } from "../../runtime/program/admit.ts";
import { AUX_MARKS } from "../../runtime/program/layout.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota } from "../driver.ts";

/** An item: its input, and what it may use. */
export interface Item {
  readonly input: Uint8Array;
  readonly gas: number | bigint;
}

/** What became of an item. */
export interface ItemResult {
  readonly status: number;
  readonly fault: number;
  readonly code: bigint;
  readonly gasUsed: number;
  readonly output: string;
}

/** What a batch leaves, in a form that can be compared. */
export interface BatchImage {
  readonly status: number;
  readonly fault: number;
  readonly code: number;
  readonly gasUsed: number;
  /** Hashes. */
  readonly memory: string;
  readonly globals: string;
  readonly items: readonly ItemResult[];
}

/** More than any item of a test needs. */
const PLENTY = 2 ** 40;
/** Pages of 4 KiB for inputs and outcomes. */
const BATCH_PAGES = 1 << 16;
const PAGE = 4096;

/** Runs `activate` as an item whose input was delivered: in the first slot entered its pages are touched. */
export function delivered<T>(inbox: number, length: number, activate: () => T): T {
  const { enter } = Slot.prototype;
  Slot.prototype.enter = function (...image) {
    Slot.prototype.enter = enter;
    enter.apply(this, image);
    for (const page of pagesOf(inbox, length)) markPages(this.aux, AUX_MARKS, page, page);
  };
  return activate();
}

/** What an item pays for the delivery of its input. */
export function costOfDelivery(inbox: number, length: number): number {
  return pagesOf(inbox, length).length * COST_PAGE_TOUCH;
}

function pagesOf(address: number, length: number): number[] {
  if (length === 0) return [];
  const first = Math.floor(address / PAGE);
  return Array.from({ length: Math.floor((address + length - 1) / PAGE) - first + 1 }, (_, i) => first + i);
}

export interface LoopOptions {
  readonly runner?: BatchRunner;
  readonly tracer?: Tracer;
  /** The program's batch variant. */
  readonly batchCode?: Uint8Array | null;
}

export class Loop {
  readonly heap = new Heap(createHeap(2 ** 31), 1);
  readonly programs: Programs;
  readonly kernel: Kernel;
  readonly program: LoadedProgram;
  readonly #bound: number;

  /** A loop in the program's batch variant. */
  static async byLines(bytes: Uint8Array): Promise<Loop> {
    const program = admit(bytes);
    const batchCode = instrumentForBatch(bytes, program.stateBytes);
    if (batchCode === null) throw new Error("byLines: the program has no batch variant");
    const plan = (batch: Batch): number => {
      if (batch.next === 0) batch.variant = batch.program.loop;
      return batch.rest;
    };
    return new Loop(program, { runner: { ...NO_RUNNER, plan }, batchCode });
  }

  /** `program`: its bytes, or one that was admitted. */
  constructor(program: Uint8Array | Program, options: LoopOptions = {}) {
    const { runner, tracer = null, batchCode = null } = options;
    const bytes = program instanceof Uint8Array ? program : program.bytes;
    const genesis: ProgramHandle[] = [];
    if (!(program instanceof Uint8Array)) {
      const module = new WebAssembly.Module(program.code as Uint8Array<ArrayBuffer>);
      const batch = batchCode === null ? null : new WebAssembly.Module(batchCode as BufferSource);
      genesis.push(makeHandle(this.heap, this.heap.blob(bytes), program, module, batch));
    }
    this.programs = new Programs(this.heap, genesis);
    this.kernel =
      runner === undefined
        ? new Kernel(this.heap, this.programs, NOBODY_ELSE, tracer)
        : new Kernel(this.heap, this.programs, NOBODY_ELSE, tracer, runner);
    this.program =
      this.programs.ofRules(Buffer.from(programHash(bytes)).toString("hex")) ??
      this.programs.install(Buffer.from(bytes));
    this.#bound = this.program.handle.stateBytes;
  }

  /** `more`: quota for processes below it, of pages of 64 KiB and of processes. There is room for batches. */
  fresh(more: readonly [pages: number, processes: number] = [0, 0]): Process {
    return freshProcess(this.program, this.program.freshPages + BATCH_PAGES + quota(more[0]), more[1]);
  }

  /** The usual inbox and outbox above the state. */
  get boxes(): InboxAndOutbox {
    const inbox = this.#bound;
    const capacity = abi.MAIL_BYTES / 2;
    return { inbox, inboxCapacity: capacity, outbox: inbox + capacity, outboxCapacity: capacity };
  }

  /** The image of a batch that was given to `process`. */
  started(
    process: Process,
    entry: string,
    items: readonly Item[],
    gas: number,
    boxes: InboxAndOutbox = this.boxes,
  ): Process {
    const start = this.runnable(process, entry, 0, gas);
    const source = Buffer.concat(items.map(({ input }) => input));
    const list = new Uint32Array(items.length * 4);
    let pointer = 0;
    let bytes = 0;
    items.forEach(({ input, gas: limit }, i) => {
      list.set(
        [pointer, input.length, Number(BigInt(limit) % 2n ** 32n), Number(BigInt(limit) >> 32n)],
        i * 4,
      );
      pointer += input.length;
      bytes += inputBytes(input.length);
    });
    start.inputs = writeInputs(this.heap, { ...boxes, count: items.length, list, bytes }, source);
    return start;
  }

  /** The image of a START. */
  runnable(process: Process, entry: string, argument: number, gas: number): Process {
    const start = process.copy();
    start.status = abi.STATUS_RUNNABLE;
    start.codeLow = 0;
    start.codeHigh = 0;
    start.gasUsed = 0;
    start.outcomes = 0;
    start.entry = this.program.entry(entry);
    start.argumentLow = argument;
    start.gas = gas;
    start.reference = new Process();
    Object.assign(start.reference, process, { reference: null, referenceRef: 0, ref: 0 });
    return start;
  }

  /** Runs the batch as the kernel does. */
  run(process: Process, entry: string, items: readonly Item[], gas: number, boxes?: InboxAndOutbox): Process {
    return this.kernel.activate(this.started(process, entry, items, gas, boxes), 1);
  }

  image(process: Process): BatchImage {
    const { heap } = this;
    const items: ItemResult[] = [];
    if (process.outcomes !== 0) {
      const outcomes = new Outcomes(heap, process.outcomes);
      for (let i = 0; i < outcomes.count; i++) {
        const { status, fault, codeLow, codeHigh, gasUsed } = outcomes.item(i);
        const code = (BigInt(codeHigh) << 32n) | BigInt(codeLow >>> 0);
        items.push({ status, fault, code, gasUsed, output: outcomes.outputs(i, i + 1).toString("hex") });
      }
    }
    return {
      status: process.status,
      fault: process.fault,
      code: process.codeLow,
      gasUsed: process.gasUsed,
      memory: this.#hash(process.memory),
      globals: this.#hash(process.globals),
      items,
    };
  }

  #hash(ref: Ref): string {
    return Buffer.from(hashOf(this.heap, ref)).toString("hex");
  }

  /** What the batch means. `idle` names an entry that does nothing; its cost is taken off. */
  meaning(
    process: Process,
    entry: string,
    items: readonly Item[],
    gas: number,
    boxes: InboxAndOutbox = this.boxes,
    idle = "idle",
  ): BatchImage {
    let base = process;
    let startGas = 0;
    if (process.started === 0 && this.program.handle.hasStart) {
      base = this.kernel.activate(this.runnable(process, idle, 0, PLENTY), 1);
      startGas = base.gasUsed - this.kernel.activate(this.runnable(base, idle, 0, PLENTY), 1).gasUsed;
      startGas += this.#endOf(0, 0);
      if (startGas > gas) {
        const { memory, globals } = this.image(process);
        const fault = abi.FAULT_OUT_OF_GAS;
        return { status: abi.STATUS_FAULTED, fault, code: 0, gasUsed: gas, memory, globals, items: [] };
      }
    }
    const total = gas - startGas;
    let left = total;
    let state = base.memory;
    let cut = false;
    const results = items.map((item): ItemResult => {
      const limit = Number(item.gas);
      const nothing = { fault: 0, code: 0n, gasUsed: 0, output: "" };
      if (!cut && limit > total) return { status: abi.ITEM_REFUSED, ...nothing };
      cut ||= limit > left;
      if (cut) return { status: abi.ITEM_NOT_RUN, ...nothing };
      const [result, memory] = this.#item(base, state, entry, item.input, limit, boxes);
      state = memory;
      left -= result.gasUsed;
      return result;
    });
    const after = base.copy();
    after.memory = state;
    const image = this.image(after);
    const code = results.filter((result) => result.status === abi.ITEM_RETURNED).length;
    const { memory, globals } = image;
    return {
      status: abi.STATUS_RETURNED,
      fault: 0,
      code,
      gasUsed: gas - left,
      memory,
      globals,
      items: results,
    };
  }

  /** One item by itself: what became of it, and the memory afterwards (private memory as in `base`). */
  #item(
    base: Process,
    state: Ref,
    entry: string,
    input: Uint8Array,
    limit: number,
    boxes: InboxAndOutbox,
  ): [ItemResult, Ref] {
    const before = base.copy();
    before.memory = this.write(state, boxes.inbox, Buffer.from(input));
    const delivery = costOfDelivery(boxes.inbox, input.length);
    const once = (gas: number): Process =>
      delivered(boxes.inbox, input.length, () =>
        this.kernel.activate(this.runnable(before, entry, input.length, gas), 1),
      );
    const faulted = (fault: number, gasUsed = limit, code = 0n): [ItemResult, Ref] => [
      { status: abi.ITEM_FAULTED, fault, code, gasUsed, output: "" },
      state,
    ];
    if (delivery > limit) return faulted(abi.FAULT_OUT_OF_GAS);
    const strict = once(limit - delivery);
    if (strict.fault === abi.FAULT_ABORT)
      return faulted(
        strict.fault,
        delivery + strict.gasUsed,
        (BigInt(strict.column | 0) << 32n) | BigInt(strict.line),
      );
    if (strict.fault !== 0 && strict.fault !== abi.FAULT_OUT_OF_GAS) return faulted(strict.fault);
    // Out of gas perhaps only for the pages, which an item pays otherwise.
    const after = strict.fault === 0 ? strict : once(PLENTY);
    if (after.fault !== 0) return faulted(abi.FAULT_OUT_OF_GAS);
    const changed = this.#changed(before.memory, after.memory);
    const instructions = delivery + after.gasUsed - this.#endOf(before.memory, after.memory);
    if (instructions > limit) return faulted(abi.FAULT_OUT_OF_GAS);
    const firstPrivate = this.#bound / PAGE;
    const statePages = changed.filter((page) => page < firstPrivate).length;
    const length = Buffer.from(this.read(after.memory, boxes.outbox, 4)).readUInt32LE(0);
    if (length > boxes.outboxCapacity - 4) return faulted(abi.FAULT_MEMORY_BOUNDS);
    const gasUsed = instructions + costOfItem(statePages, length);
    if (gasUsed > limit) return faulted(abi.FAULT_OUT_OF_GAS);
    const output = Buffer.from(this.read(after.memory, boxes.outbox + 4, length)).toString("hex");
    const code = (BigInt(after.codeHigh) << 32n) | BigInt(after.codeLow >>> 0);
    return [
      { status: abi.ITEM_RETURNED, fault: 0, code, gasUsed, output },
      this.#compose(after.memory, base.memory),
    ];
  }

  /** What the end of an activation costs by itself, which an item does not pay. */
  #endOf(before: Ref, after: Ref): number {
    return endCost(this.heap, this.program, before, after);
  }

  /** A memory with these bytes in it. */
  write(memory: Ref, address: number, bytes: Buffer): Ref {
    const edit = new MemoryEdit(this.heap, memory);
    edit.write(address, bytes, 0, bytes.length);
    return edit.commit();
  }

  read(memory: Ref, address: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    readMemory(this.heap, memory, address, bytes, 0, length);
    return bytes;
  }

  /** Pages in which two memories differ. */
  #changed(a: Ref, b: Ref): number[] {
    const changed: number[] = [];
    const bytes = Buffer.alloc(PAGE);
    tableDiff(this.heap, a, b, (page, left, right) => {
      readPage(this.heap, right, bytes);
      if (!pageEquals(this.heap, left, bytes, 0)) changed.push(page);
    });
    return changed;
  }

  /** State of one memory, private memory of another. */
  #compose(state: Ref, rest: Ref): Ref {
    const pages: number[] = [];
    const refs: Ref[] = [];
    tableDiff(this.heap, state, rest, (page, _state, other) => {
      if (page * PAGE < this.#bound) return;
      pages.push(page);
      refs.push(other);
    });
    return tableUpdate(this.heap, state, pages, refs, pages.length);
  }
}

/** An operation of test/guests/items.ts. */
export function operation(what: number, a: number, b: number | bigint = 0): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(16));
  bytes.setUint32(0, what, true);
  bytes.setUint32(4, a >>> 0, true);
  bytes.setBigUint64(8, BigInt.asUintN(64, BigInt(b)), true);
  return new Uint8Array(bytes.buffer);
}

export const ADD = 1;
export const SET = 2;
export const FILL = 3;
export const COPY = 4;
export const OUT = 5;
export const LENGTH = 6;
export const ABORT = 7;
export const TRAP = 8;
export const SPIN = 9;
export const GROW = 10;
export const COUNT = 11;
export const ALLOCATE = 12;
export const SKIP = 13;
export const DIVIDE = 14;
export const STOP = 15;

/** An input of these operations. */
export function input(...operations: (readonly [number, number, (number | bigint)?])[]): Uint8Array {
  return Buffer.concat(operations.map(([what, a, b]) => operation(what, a, b ?? 0)));
}

/** What the end of an activation costs, but for children: its memory was `before` and is `after`. */
export function endCost(heap: Heap, { handle }: LoadedProgram, before: Ref, after: Ref): number {
  return changeOf(heap, before, after).cost + handle.globalsLength * COST_GLOBAL_BYTE;
}
