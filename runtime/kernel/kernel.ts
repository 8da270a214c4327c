/**
 * The kernel: activations and the four calls.
 *
 * An activation runs a process from one return point to the next; as a function it takes an image to an
 * image, and nothing else goes in or comes out: `activate` and `resume` are the two ways to call it.
 * Everything in this file is synchronous and deterministic; which thread runs an activation, and when, is
 * decided outside (Jobs) and cannot be seen from here.
 *
 * The join rule: a started child is its START image until the parent's next PUT or GET on it. `#join` is the
 * only place where a result replaces a START image.
 *
 * Errors: what a guest does wrong is an error code or a fault. Anything else that is thrown here (limits of
 * the host, a broken invariant) leaves through `activate`, spoils the slots it passed, and ends the job
 * without a result.
 */

import * as abi from "../../syscalls/abi.ts";
import { assert } from "../errors.ts";
import type { Heap } from "../heap/heap.ts";
import { tableUpdate } from "../heap/table.ts";
import { loadProcess, type Process, publishProcess } from "../image/process.ts";
import { GAS_LIMIT, PAGES_PER_WASM_PAGE } from "../limits.ts";
import { Activation, Scratch } from "./activation.ts";
import { accumulate } from "./calls/accumulate.ts";
import { answerGet } from "./calls/get.ts";
import { applyPut, checkPut, refusalOf } from "./calls/put.ts";
import { changedLines, costOfChildren } from "./changes.ts";
import type { Child } from "./children.ts";
import { showFault } from "./exit.ts";
import { cannotPay } from "./explain.ts";
import * as gas from "./gas.ts";
import { faulted, keptChild } from "./images.ts";
import { Batch, type BatchRunner, NO_RUNNER } from "./items/batch.ts";
import { type ItemCalls, isGetOutsideItems, isPutOutsideItems, type Within } from "./items/children.ts";
import { beginBatch, ItemLoop } from "./items/loop.ts";
import { type Jobs, NO_TICKET, type Taken, type Ticket } from "./jobs.ts";
import type { LoadedProgram, Programs, Variant } from "./program.ts";
import { AccumulateRequest, type GetRequest, PutRequest, SnapshotRequest } from "./requests/request.ts";
import type { KernelImports, SlotImage } from "./slots/slot.ts";
import { placeBelow, ROOT_PLACE, SLOTS_MOST, SlotPool } from "./slots/slot-pool.ts";
import type { Tracer } from "./trace.ts";

const snapshotRequest = new SnapshotRequest();
const accumulateRequest = new AccumulateRequest();
const CLAIMED: Taken = { state: "claimed" };

/** An activation to be run: of which process, with how much gas, where in the tree. */
interface Run {
  readonly start: Process;
  readonly budget: number;
  readonly depth: number;
  readonly place: number;
  /** Of a block, for a root that is suspended in SNAPSHOT. */
  readonly metadata: Uint8Array | null;
  /** What started it, in an item. */
  readonly within: Within | null;
  /** Nobody resumes it. */
  readonly isView?: boolean;
}

export class Kernel {
  readonly #heap: Heap;
  readonly #programs: Programs;
  readonly #jobs: Jobs;
  readonly #slots: SlotPool;
  readonly #tracer: Tracer | null;
  readonly #itemCalls: ItemCalls;
  readonly #runner: BatchRunner;
  readonly #scratch: Scratch[] = [];
  #current: Activation | null = null;
  #level = 0;

  /**
   * A `tracer` is called for every activation and call that runs here; a `runner` is asked to run batches
   * before they are run here; `slots`: how many instances are kept.
   */
  constructor(
    heap: Heap,
    programs: Programs,
    jobs: Jobs,
    tracer: Tracer | null = null,
    runner: BatchRunner = NO_RUNNER,
    slots = SLOTS_MOST,
  ) {
    this.#tracer = tracer;
    this.#runner = runner;
    this.#heap = heap;
    this.#programs = programs;
    this.#jobs = jobs;
    const imports: KernelImports = {
      put: (child, request) => this.#traced("put", child, this.#put(child, request)),
      get: (child, request) => this.#traced("get", child, this.#get(child, request)),
      ret: () => this.#ret(),
      snapshot: (request) => this.#snapshot(request),
      grow: (delta) => {
        const before = this.#grow(delta);
        this.#tracer?.grow(before, this.#activation().gas());
        return before;
      },
      abort: (message, file, line, column) => this.#activation().abort(message, file, line, column),
      accumulate: (request) => this.#accumulate(request),
    };
    this.#slots = new SlotPool(heap, imports, slots);
    const { put, get } = imports;
    this.#itemCalls = { put, get, joinStarted: () => this.#joinStarted(this.#activation()) };
  }

  /** After a collection: references outside the roots are gone. */
  forget(): void {
    this.#slots.forget((program) => this.#programs.ofRules(program.handle.hashHex) === program);
    this.#programs.forget();
  }

  /** Gives up the instances that are not in use: something else needs their memory. */
  giveUpSlots(): void {
    this.#slots.giveUp();
  }

  /** Runs a runnable process, at that depth and place in the tree, to its next return point. */
  activate(start: Process, depth: number, place = ROOT_PLACE): Process {
    assert(start.status === abi.STATUS_RUNNABLE, "activate: process is not runnable");
    return this.#run({ start, budget: start.gas, depth, place, metadata: null, within: null });
  }

  /** As `activate`, for a process whose result nobody keeps: it cannot suspend itself. */
  view(start: Process, depth: number, place = ROOT_PLACE): Process {
    assert(start.status === abi.STATUS_RUNNABLE && start.inputs === 0, "view: not a process to run");
    return this.#run({ start, budget: start.gas, depth, place, metadata: null, within: null, isView: true });
  }

  /**
   * Runs the root from its SNAPSHOT: `metadata` appears in the designated region, and SNAPSHOT returns its
   * length.
   */
  resume(root: Process, metadata: Uint8Array, budget: number): Process {
    assert(root.status === abi.STATUS_SNAPSHOT, "resume: root does not stand in SNAPSHOT");
    assert(metadata.length <= root.regionCapacity, "resume: metadata longer than the region");
    return this.#run({ start: root, budget, depth: 0, place: ROOT_PLACE, metadata, within: null });
  }

  #run(run: Run): Process {
    const { start, budget } = run;
    const program = this.#programs.get(start.program);
    this.#tracer?.begin(budget, program.handle, start);
    let result: Process;
    if (budget === 0) result = this.#withoutGas(start, program, run.depth);
    else if (start.inputs !== 0) result = this.#runBatch(run, program);
    else result = this.#inSlot(program.sequential, start, run, (activation) => this.#runEntry(activation));
    // Of a batch each item has its own.
    const end = start.inputs === 0 ? program.handle.stateBytes : 0;
    const changed = (limit: number) => changedLines(this.#heap, start.memory, result.memory, end, limit);
    this.#tracer?.end(result, changed);
    return result;
  }

  /** What a process without gas does. Its image is not loaded: a copy of a started one paid for nothing. */
  #withoutGas(start: Process, program: LoadedProgram, depth: number): Process {
    const isReady = start.started === 1 || !program.handle.hasStart;
    if (start.inputs === 0 || !isReady) return faulted(this.#heap, start, abi.FAULT_OUT_OF_GAS, 0);
    const batch = new Batch(this.#heap, program, start, start.memory, start.globals, 0, depth);
    batch.refuse();
    return batch.finish(this.#heap, this.#runner);
  }

  /** Lets `use` have an activation in a slot that holds `image`. */
  #inSlot<T extends { readonly memoryPages: number }>(
    variant: Variant,
    image: SlotImage,
    { start, budget, depth, place, metadata, within, isView = false }: Run,
    use: (activation: Activation) => T,
  ): T {
    const slot = this.#slots.take(variant, image, place);
    const level = this.#level++;
    this.#scratch[level] ??= new Scratch();
    const scratch = this.#scratch[level];
    const activation = new Activation(this.#heap, start, slot, scratch, budget, depth, metadata);
    if (within !== null) activation.within(within);
    activation.isView = isView;
    const outer = this.#current;
    this.#current = activation;
    let result: T;
    try {
      result = use(activation);
    } catch (error) {
      this.#slots.drop();
      for (const child of activation.children.touched()) this.#forgetJob(child);
      throw error;
    } finally {
      this.#current = outer;
      this.#level = level;
    }
    this.#slots.release(slot, result.memoryPages);
    return result;
  }

  #runEntry(activation: Activation): Process {
    const fault = activation.run();
    return fault === abi.FAULT_NONE ? this.#settle(activation) : this.#fail(activation, fault);
  }

  // ---- batches --------------------------------------------------------------------------------------------

  /** What its items make of a process, after its start function, if that has not run. */
  #runBatch(run: Run, program: LoadedProgram): Process {
    const { start, depth } = run;
    const batch =
      start.started === 0 && program.handle.hasStart
        ? this.#inSlot(program.sequential, start, run, (activation) => {
            const begun = beginBatch(this.#heap, activation);
            return typeof begun === "number" ? this.#fail(activation, begun) : begun;
          })
        : new Batch(this.#heap, program, start, start.memory, start.globals, start.gas, depth);
    if (!(batch instanceof Batch)) return batch;
    let count = batch.rest > 0 ? this.#runner.plan(batch) : 0;
    while (batch.rest > 0) {
      if (count > 0) {
        count = this.#runItems(batch, run, count);
      } else {
        this.#runner.run(batch);
        count = this.#runner.plan(batch);
      }
    }
    return batch.finish(this.#heap, this.#runner);
  }

  /** Runs the next `count` items, and more as long as they are planned; how many are planned then. */
  #runItems(batch: Batch, run: Run, count: number): number {
    const { variant } = batch;
    let planned = count;
    this.#inSlot(variant, batch, run, (activation) => {
      const join = (): void => this.#joinStarted(activation);
      const loop = new ItemLoop(this.#heap, this.#programs, activation, batch, join, this.#tracer);
      while (batch.rest > 0 && planned > 0 && batch.variant === variant) {
        loop.run(planned);
        planned = this.#runner.plan(batch);
      }
      loop.leave();
      return batch;
    });
    return planned;
  }

  /** Lets an item that runs outside of this kernel make calls: meanwhile it is what runs here. */
  asItem<T>(item: Activation, call: (calls: ItemCalls) => T): T {
    const outer = this.#current;
    this.#current = item;
    try {
      return call(this.#itemCalls);
    } finally {
      this.#current = outer;
    }
  }

  // ---- return points --------------------------------------------------------------------------------------

  /** The image after a normal end; a fault after all if what stays cannot be paid or exceeds the quota. */
  #settle(activation: Activation): Process {
    if (activation.item !== null) this.#joinStarted(activation);
    if (activation.item?.hasExpired === true) return this.#fail(activation, abi.FAULT_OUT_OF_GAS);
    const fits = activation.canKeep(activation.stackBytes) && activation.canHold;
    if (!fits) {
      showFault(null, () => activation.whyNotKept);
      return this.#fail(activation, abi.FAULT_QUOTA);
    }
    const left = activation.gas();
    const changed = activation.children.changed();
    let cost = activation.stackBytes * gas.COST_STACK_BYTE + activation.globalsCost + costOfChildren(changed);
    if (cost <= left) cost += activation.publishMemory(left - cost);
    if (cost > left) {
      showFault(null, () => cannotPay(cost, left));
      return this.#fail(activation, abi.FAULT_OUT_OF_GAS);
    }
    const result = activation.result();
    result.globals = activation.slot.publishGlobals(this.#heap);
    result.gasUsed = activation.budget - (left - cost);
    this.#keepChildren(activation, changed, result);
    return result;
  }

  /** The image after a fault: the reference snapshot, with the fault as status. */
  #fail(activation: Activation, fault: number): Process {
    activation.slot.discard(this.#heap);
    for (const child of activation.children.touched()) this.#forgetJob(child);
    const { start, budget } = activation;
    if (fault !== abi.FAULT_ABORT) return faulted(this.#heap, start, fault, budget);
    return faulted(this.#heap, start, fault, budget - activation.gas(), activation);
  }

  /** Writes the children that changed into the children table of `result`, as they are kept. */
  #keepChildren(activation: Activation, changed: readonly Child[], result: Process): void {
    const numbers = changed.map((child) => child.number);
    const refs = changed.map((child) => {
      // Another reference snapshot makes another START image.
      if (child.keepsReference) this.#forgetJob(child);
      if (child.ticket !== NO_TICKET) this.#jobs.keep(child.ticket);
      if (child.process === null) return 0;
      return publishProcess(this.#heap, keptChild(child.process, child.keepsReference));
    });
    result.children = tableUpdate(this.#heap, result.children, numbers, refs, numbers.length);
    for (const child of changed) {
      const { process, before } = child;
      assert(
        process === null || process.gasInside === 0 || process.parentGasEpoch === result.gasEpoch,
        "keepChildren: a child with gas of another epoch",
      );
      result.gasHeld += (process?.gasInside ?? 0) - (before?.gasInside ?? 0);
      result.runnableHeld += (process?.runnableInside ?? 0) - (before?.runnableInside ?? 0);
    }
    result.childCount += activation.children.more;
    if (result.gasHeld === 0) result.parentGasEpoch = 0;
  }

  #forgetJob(child: Child): void {
    if (child.ticket === NO_TICKET) return;
    this.#jobs.withdraw(child.ticket);
    child.ticket = NO_TICKET;
  }

  // ---- PUT and GET ----------------------------------------------------------------------------------------

  /**
   * What PUT and GET begin with: the request is read, checked and paid, the child is joined. An error code,
   * or the child.
   */
  #beginCall(
    caller: Activation,
    number: number,
    pointer: number,
    request: PutRequest | GetRequest,
  ): Child | number {
    if (caller.starting) return abi.E_PERMISSION;
    caller.charge(gas.COST_CALL);
    const error = request.read(caller.slot, pointer, caller);
    if (error !== abi.OK) return error;
    caller.charge(request.cost() - gas.COST_CALL);
    if (caller.item !== null) {
      const outside = request instanceof PutRequest ? isPutOutsideItems(request) : isGetOutsideItems(request);
      if (outside) return abi.E_NOT_IN_BATCH;
    }
    if (number < 0 || number >= abi.CHILD_LIMIT) return abi.E_NO_CHILD;
    const child = caller.children.at(number);
    this.#join(caller, child);
    caller.checkLease();
    return child;
  }

  // ---- PUT ------------------------------------------------------------------------------------------------

  #put(number: number, pointer: number): number {
    const caller = this.#activation();
    const child = this.#beginCall(caller, number, pointer, caller.putRequest);
    if (typeof child === "number") return child;
    const plan = checkPut(this.#heap, this.#programs, caller, child);
    if (typeof plan === "number") return plan;
    applyPut(this.#heap, this.#jobs, caller, child, plan);
    return abi.OK;
  }

  // ---- GET ------------------------------------------------------------------------------------------------

  #get(number: number, pointer: number): number {
    const caller = this.#activation();
    const child = this.#beginCall(caller, number, pointer, caller.getRequest);
    if (typeof child === "number") return child;
    return answerGet(this.#heap, this.#jobs, caller, child.process);
  }

  // ---- RET, SNAPSHOT, grow --------------------------------------------------------------------------------

  #ret(): void {
    const current = this.#activation();
    if (current.rewinding) {
      current.continued(current.start.argumentLow, current.start.argumentHigh);
    } else if (!current.canSuspend) {
      current.setArgument(abi.E_PERMISSION, -1);
    } else {
      current.charge(gas.COST_CALL);
      current.stop(abi.STATUS_RET);
    }
  }

  #snapshot(pointer: number): number {
    const current = this.#activation();
    if (current.rewinding) {
      current.continued(0, 0);
      return (current.metadata as Uint8Array).length;
    }
    if (!current.canSuspend || current.depth !== 0) return abi.E_PERMISSION;
    current.charge(gas.COST_SNAPSHOT);
    const error = snapshotRequest.read(current.slot, pointer);
    if (error !== abi.OK) return error;
    current.charge(snapshotRequest.dataLength * gas.COST_DATA_BYTE);
    if (!current.canKeep(snapshotRequest.dataLength) || !current.canHold) return abi.E_QUOTA;
    current.stopWith(snapshotRequest);
    return 0;
  }

  #grow(delta: number): number {
    const current = this.#activation();
    const pages = delta >>> 0;
    const before = current.slot.memoryPages;
    const { maximumPages } = current.slot.program.handle.memory;
    if (current.item !== null || before + pages > maximumPages) return current.refuseGrowth(pages);
    if (pages * PAGES_PER_WASM_PAGE > current.memoryLeft) return current.refuseGrowth(pages);
    current.charge(gas.costOfGrowth(pages, pages > 0 && !current.grown, before));
    if (pages > 0) {
      current.grown = true;
      current.slot.grow(pages);
    }
    return before;
  }

  #accumulate(pointer: number): number {
    const current = this.#activation();
    if (current.starting) return abi.E_PERMISSION;
    current.charge(gas.COST_ACCUMULATE);
    const error = accumulateRequest.read(current.slot, pointer);
    return error === abi.OK ? accumulate(current.slot, accumulateRequest) : error;
  }

  #traced(what: "put" | "get", child: number, result: number): number {
    if (this.#tracer === null) return result;
    const current = this.#activation();
    this.#tracer.call(what, child, result, current.gas(), what === "put" ? refusalOf(current, result) : {});
    return result;
  }

  // ---- children -------------------------------------------------------------------------------------------

  #activation(): Activation {
    assert(this.#current !== null, "call outside of an activation");
    return this.#current;
  }

  /** In an item nothing stays started: what an activation has started runs at the latest when it ends. */
  #joinStarted(activation: Activation): void {
    for (const child of activation.children.changed()) {
      if (activation.item?.hasExpired === true) return;
      this.#join(activation, child);
    }
  }

  /**
   * Replaces a started child by the result of its activation, wherever that is computed, and gives its rest
   * of gas back.
   */
  #join(caller: Activation, child: Child): void {
    const start = child.process;
    if (start === null || start.status !== abi.STATUS_RUNNABLE) return;
    let ticket = child.ticket;
    child.ticket = NO_TICKET;
    if (ticket === NO_TICKET && start.ref !== 0) ticket = this.#jobs.find(start.ref);
    const taken: Taken = ticket === NO_TICKET ? CLAIMED : this.#jobs.take(ticket, start.ref);
    if (taken.state === "lost") ticket = NO_TICKET;
    const result =
      taken.state === "done"
        ? loadProcess(this.#heap, taken.result)
        : this.#runChild(caller, child.number, start, ticket);
    caller.children.replace(child, result);
    caller.gasLent -= start.gas;
    // Gas of many blocks can meet in one counter: what it cannot hold counts as used.
    const rest = Math.min(start.gas - result.gasUsed, GAS_LIMIT - caller.gas());
    caller.slot.meter.transfer(rest, result.gasUsed);
  }

  /** Runs a started child here, as a nested call; its job, if it has one, has ended then. */
  #runChild(caller: Activation, number: number, start: Process, ticket: Ticket): Process {
    const outer = this.#jobs.enter(ticket, number);
    const within = caller.below(number);
    const mark = within?.item.mark();
    if (within !== null) within.item.lease = caller.slot.meter.lease;
    this.#tracer?.descend(number);
    let result: Process;
    try {
      const place = placeBelow(caller.slot.place, number);
      const depth = caller.depth + 1;
      result = this.#run({ start, budget: start.gas, depth, place, metadata: null, within });
    } finally {
      this.#tracer?.ascend();
      this.#jobs.leave(outer);
      if (ticket !== NO_TICKET) this.#jobs.finish(ticket);
    }
    if (mark !== undefined && result.status === abi.STATUS_FAULTED) within?.item.restore(mark);
    return result;
  }
}
