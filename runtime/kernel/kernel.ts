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
import type { Heap, Ref } from "../heap/heap.ts";
import { tableGet, tableUpdate } from "../heap/table.ts";
import { hashOf } from "../image/hash.ts";
import { loadProcess, type Process, publishProcess } from "../image/process.ts";
import { GAS_LIMIT, TREE_DEPTH_LIMIT, WASM_PAGE_BYTES } from "../limits.ts";
import { Activation, type Child, Scratch } from "./activation.ts";
import { writeInputs } from "./batch.ts";
import { copyIn, copyOut } from "./copy.ts";
import * as gas from "./gas.ts";
import { cloneOf, cloneOfCaller, faulted, freshProcess, runnable } from "./images.ts";
import { findProgram, installProgram } from "./install.ts";
import { type Jobs, LOST, NO_TICKET } from "./jobs.ts";
import { applyMerge, planMerge } from "./merge.ts";
import { checkOutcomes, writeOutcomes } from "./outcomes.ts";
import type { LoadedProgram, Programs } from "./program.ts";
import { type GetRequest, type PutRequest, SnapshotRequest } from "./request.ts";
import { Batch, type BatchRunner, NO_RUNNER, type Planned } from "./runner.ts";
import { beginBatch, ItemLoop } from "./sequential.ts";
import type { KernelImports } from "./slot.ts";
import { SlotPool } from "./slot-pool.ts";
import { checkBatch, checkStart } from "./start.ts";
import type { Tracer } from "./trace.ts";

const snapshotRequest = new SnapshotRequest();

export class Kernel {
  readonly #heap: Heap;
  readonly #programs: Programs;
  readonly #jobs: Jobs;
  readonly #slots: SlotPool;
  readonly #tracer: Tracer | null;
  readonly #runner: BatchRunner;
  readonly #scratch: Scratch[] = [];
  #current: Activation | null = null;
  #level = 0;

  /**
   * A `tracer` is told of every activation and call that runs here; a `runner` is asked to run batches before
   * they are run here.
   */
  constructor(
    heap: Heap,
    programs: Programs,
    jobs: Jobs,
    tracer: Tracer | null = null,
    runner: BatchRunner = NO_RUNNER,
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
    };
    this.#slots = new SlotPool(heap, imports);
  }

  /** After a collection: references outside the roots are gone. */
  forget(): void {
    this.#slots.clear();
    this.#programs.forget();
  }

  /** Runs a runnable process to its next return point. */
  activate(start: Process, depth: number): Process {
    assert(start.status === abi.STATUS_RUNNABLE, "activate: process is not runnable");
    return this.#run(start, start.gas, depth, null);
  }

  /**
   * Runs the root from its SNAPSHOT: `metadata` appears in the designated region, and SNAPSHOT returns its
   * length.
   */
  resume(root: Process, metadata: Uint8Array, budget: number): Process {
    assert(root.status === abi.STATUS_SNAPSHOT, "resume: root does not stand in SNAPSHOT");
    assert(metadata.length <= root.regionCapacity, "resume: metadata longer than the region");
    return this.#run(root, budget, 0, metadata);
  }

  #run(start: Process, budget: number, depth: number, metadata: Uint8Array | null): Process {
    const program = this.#programs.get(start.program);
    this.#tracer?.begin(budget, program.handle.hashHex);
    const result =
      start.inputs === 0
        ? this.#runHere(start, program, budget, depth, metadata)
        : this.#runBatch(start, program, depth);
    this.#tracer?.end(result.status, result.fault, result.gasUsed);
    return result;
  }

  #runHere(
    start: Process,
    program: LoadedProgram,
    budget: number,
    depth: number,
    metadata: Uint8Array | null,
    planned: Planned | null = null,
  ): Process {
    const slot = this.#slots.take(program, start);
    const level = this.#level++;
    this.#scratch[level] ??= new Scratch();
    const scratch = this.#scratch[level];
    const activation = new Activation(this.#heap, start, slot, scratch, budget, depth, metadata);
    const outer = this.#current;
    this.#current = activation;
    let result: Process;
    try {
      result = start.inputs === 0 ? this.#runEntry(activation) : this.#runItems(activation, planned);
    } catch (error) {
      this.#slots.drop();
      for (const child of activation.children.values()) this.#forgetJob(child);
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
  #runBatch(start: Process, program: LoadedProgram, depth: number): Process {
    if (start.started === 0 && program.handle.hasStart)
      return this.#runHere(start, program, start.gas, depth, null);
    const { memory, globals, gas } = start;
    const batch = new Batch(this.#heap, program, start, memory, globals, gas, depth);
    // As long as they run in parallel, no instance is needed here.
    while (batch.rest > 0) {
      const count = this.#runner.plan(batch);
      if (count > 0) return this.#runHere(start, program, start.gas, depth, null, { batch, count });
      this.#runner.run(batch);
    }
    return batch.finish(this.#heap, this.#runner);
  }

  /** Runs a batch of which `planned` items come next, or which has not begun. */
  #runItems(activation: Activation, planned: Planned | null): Process {
    const batch = planned?.batch ?? beginBatch(this.#heap, activation);
    if (typeof batch === "number") return this.#fail(activation, batch);
    const loop = new ItemLoop(this.#heap, activation, batch, this.#tracer);
    let count = planned?.count ?? this.#runner.plan(batch);
    for (; batch.rest > 0; count = this.#runner.plan(batch)) {
      if (count > 0) {
        loop.run(count);
      } else {
        loop.leave();
        this.#runner.run(batch);
      }
    }
    loop.leave();
    return batch.finish(this.#heap, this.#runner);
  }

  // ---- return points --------------------------------------------------------------------------------------

  /** The image after a normal end; a fault after all if the changed pages cannot be paid. */
  #settle(activation: Activation): Process {
    const memory = activation.slot.publish(this.#heap, activation.start.memory);
    const result = activation.result();
    const continuation = result.continuation === 0 ? 0 : this.#heap.length(result.continuation);
    const cost = activation.changedPages() * gas.COST_PAGE_CHANGED + continuation * gas.COST_STACK_BYTE;
    const left = activation.gas();
    if (cost > left) return this.#fail(activation, abi.FAULT_OUT_OF_GAS);
    result.memory = memory;
    result.globals = activation.slot.publishGlobals(this.#heap);
    result.gasUsed = activation.budget - (left - cost);
    this.#keepChildren(activation, result);
    return result;
  }

  /** The image after a fault: the reference snapshot, with the fault as status. */
  #fail(activation: Activation, fault: number): Process {
    activation.slot.discard(this.#heap);
    for (const child of activation.children.values()) this.#forgetJob(child);
    const left = fault === abi.FAULT_ABORT ? activation.gas() : 0;
    return faulted(this.#heap, activation, fault, activation.budget - left);
  }

  /** Writes the children that changed into the children table of `result`. */
  #keepChildren(activation: Activation, result: Process): void {
    const numbers: number[] = [];
    for (const child of activation.children.values()) if (child.changed) numbers.push(child.number);
    numbers.sort((a, b) => a - b);
    const refs = numbers.map((number) => {
      const child = activation.children.get(number) as Child;
      if (child.ticket !== NO_TICKET) this.#jobs.keep(child.ticket);
      return child.process === null ? 0 : publishProcess(this.#heap, child.process);
    });
    result.children = tableUpdate(this.#heap, result.children, numbers, refs, numbers.length);
    for (const number of numbers) {
      const child = activation.children.get(number) as Child;
      result.gasHeld += (child.process?.gasInside ?? 0) - child.gasBefore;
      result.runnableHeld += (child.process?.runnableInside ?? 0) - child.runnableBefore;
      result.childCount += (child.process === null ? 0 : 1) - (child.existed ? 1 : 0);
    }
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
    if (caller.inItem) return abi.E_NOT_IN_BATCH;
    caller.charge(gas.COST_CALL);
    const error = request.read(caller.slot, pointer, caller);
    if (error !== abi.OK) return error;
    caller.charge(request.cost() - gas.COST_CALL);
    if (number < 0 || number >= abi.CHILD_LIMIT) return abi.E_NO_CHILD;
    const child = this.#child(caller, number);
    this.#join(caller, child);
    return child;
  }

  // ---- PUT ------------------------------------------------------------------------------------------------

  #put(number: number, pointer: number): number {
    const caller = this.#activation();
    const child = this.#beginCall(caller, number, pointer, caller.putRequest);
    if (typeof child === "number") return child;
    const refusal = this.#checkPut(caller, child);
    if (refusal !== abi.OK) return refusal;
    this.#applyPut(caller, child);
    return abi.OK;
  }

  /** Everything about a PUT that can be refused; leaves in `caller.plan` what applying it needs. */
  #checkPut(caller: Activation, child: Child): number {
    const request = caller.putRequest;
    const plan = caller.plan;
    const parts = request.parts;
    plan.process = child.process;
    if ((parts & (abi.PART_PROGRAM | abi.PART_CLONE)) !== 0) {
      const refusal = this.#checkNew(caller, child);
      if (refusal !== abi.OK) return refusal;
    }
    const process = plan.process;
    if (process === null) return abi.E_NO_CHILD;

    const bytes = process.memoryPages * WASM_PAGE_BYTES;
    for (let i = 0; i < request.ranges.count; i++) {
      if (request.ranges.target(i) + request.ranges.length(i) > bytes) return abi.E_RANGE;
    }

    if ((parts & (abi.PART_START | abi.PART_BATCH)) !== 0) {
      const { program } = process;
      const refusal =
        (parts & abi.PART_START) !== 0
          ? checkStart(caller, process, this.#programs.get(program))
          : checkBatch(caller, process, this.#programs.get(program));
      if (refusal !== abi.OK) return refusal;
      caller.charge(process.memoryPages * gas.COST_START_MEMORY);
      if (request.gas > GAS_LIMIT || request.gas > caller.gas()) return abi.E_GAS;
    }
    return abi.OK;
  }

  /**
   * PROGRAM and CLONE: makes the new child in `caller.plan`, if the caller's quotas, with those of the old
   * one, allow it.
   */
  #checkNew(caller: Activation, child: Child): number {
    const request = caller.putRequest;
    if (caller.depth + 1 > TREE_DEPTH_LIMIT) return abi.E_QUOTA;
    let program: LoadedProgram | undefined;
    let source: Process | null = null;
    let pages = caller.slot.memoryPages;
    if ((request.parts & abi.PART_PROGRAM) !== 0) {
      program =
        request.programLength === 0
          ? findProgram(this.#heap, this.#programs, caller)
          : installProgram(this.#programs, caller);
      if (program === undefined) return abi.E_BAD_PROGRAM;
      pages = program.handle.memory.initialPages;
    } else if (request.cloneSource !== abi.CLONE_SELF) {
      if (request.cloneSource < 0 || request.cloneSource >= abi.CHILD_LIMIT) return abi.E_NO_CHILD;
      source = this.#child(caller, request.cloneSource).process;
      if (source === null) return abi.E_NO_CHILD;
    }
    const memory = source?.memoryGiven ?? (request.memoryQuota === 0 ? pages : request.memoryQuota);
    const processes = source?.processesGiven ?? request.processQuota;
    const old = child.process;
    if (source === null && memory < pages) return abi.E_QUOTA;
    if (memory > caller.memoryQuota + (old?.memoryGiven ?? 0)) return abi.E_QUOTA;
    if (processes + 1 > caller.processQuota + (old === null ? 0 : old.processesGiven + 1)) return abi.E_QUOTA;

    if (program !== undefined) {
      caller.plan.process = freshProcess(program, memory, processes);
    } else if (source !== null) {
      caller.plan.process = cloneOf(this.#heap, source);
    } else {
      caller.plan.process = cloneOfCaller(this.#heap, caller, memory, processes);
      caller.charge(caller.changedPages() * gas.COST_CLONE_PAGE);
    }
    return abi.OK;
  }

  /** Applies a checked PUT; nothing here can be refused. */
  #applyPut(caller: Activation, child: Child): void {
    const request = caller.putRequest;
    const plan = caller.plan;
    const parts = request.parts;
    child.changed = true;
    const made = (parts & (abi.PART_PROGRAM | abi.PART_CLONE)) !== 0;
    if (made || (parts & abi.PART_DROP) !== 0) {
      const old = child.process;
      caller.memoryQuota += old?.memoryGiven ?? 0;
      caller.processQuota += old === null ? 0 : old.processesGiven + 1;
      child.process = null;
    }
    if (made) {
      const process = plan.process as Process;
      caller.memoryQuota -= process.memoryGiven;
      caller.processQuota -= process.processesGiven + 1;
      child.process = process;
    }
    if (request.ranges.count > 0) copyIn(this.#heap, caller, child);
    if ((parts & (abi.PART_START | abi.PART_BATCH)) !== 0) {
      caller.setGas(caller.gas() - request.gas);
      const start = runnable(child.process as Process, plan.entry, request);
      if ((parts & abi.PART_BATCH) !== 0)
        start.inputs = writeInputs(this.#heap, request.batch, caller.slot.memory);
      child.process = start;
      const publish = (): Ref => publishProcess(this.#heap, start);
      child.ticket = this.#jobs.post(publish, caller.depth + 1, child.number);
    }
  }

  // ---- GET ------------------------------------------------------------------------------------------------

  #get(number: number, pointer: number): number {
    const caller = this.#activation();
    const request = caller.getRequest;
    const child = this.#beginCall(caller, number, pointer, request);
    if (typeof child === "number") return child;
    const process = child.process;
    if (process === null) return abi.E_NO_CHILD;
    const bytes = process.memoryPages * WASM_PAGE_BYTES;
    for (let i = 0; i < request.ranges.count; i++) {
      if (request.ranges.source(i) + request.ranges.length(i) > bytes) return abi.E_RANGE;
    }

    const outcomes = (request.parts & abi.PART_GET_OUTCOMES) !== 0;
    const refusal = outcomes ? checkOutcomes(this.#heap, caller, process) : abi.OK;
    if (refusal !== abi.OK) return refusal;
    const merge = (request.parts & abi.PART_GET_MERGE) === 0 ? null : planMerge(this.#heap, caller, process);
    if (typeof merge === "number") return merge;
    if ((request.parts & abi.PART_GET_STATUS) !== 0) {
      caller.writeStatus(process);
    }
    for (let i = 0; i < request.ranges.count; i++) copyOut(this.#heap, caller, process, i);
    if (merge !== null) applyMerge(this.#heap, caller, merge);
    if ((request.parts & abi.PART_GET_HASH) !== 0) {
      caller.slot.write(request.hashPointer, hashOf(this.#heap, publishProcess(this.#heap, process)));
    }
    if (outcomes) writeOutcomes(this.#heap, caller, process);
    return abi.OK;
  }

  // ---- RET, SNAPSHOT, grow --------------------------------------------------------------------------------

  #ret(): void {
    const current = this.#activation();
    if (current.rewinding) {
      current.continued(current.start.argumentLow, current.start.argumentHigh);
    } else if (current.starting || current.inItem) {
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
    if (current.starting || current.inItem || current.depth !== 0) return abi.E_PERMISSION;
    current.charge(gas.COST_SNAPSHOT);
    const error = snapshotRequest.read(current.slot, pointer);
    if (error !== abi.OK) return error;
    current.charge(gas.costOfBytes(snapshotRequest.dataLength));
    current.stopWith(snapshotRequest);
    return 0;
  }

  #grow(delta: number): number {
    const current = this.#activation();
    const pages = delta >>> 0;
    const before = current.slot.memoryPages;
    const { maximumPages } = current.slot.program.handle.memory;
    if (current.inItem || pages > current.memoryQuota || before + pages > maximumPages) return -1;
    current.charge(pages * gas.COST_GROW);
    if (pages > 0) current.slot.grow(pages);
    current.memoryQuota -= pages;
    return before;
  }

  #traced(what: "put" | "get", child: number, result: number): number {
    this.#tracer?.call(what, child, result, this.#activation().gas());
    return result;
  }

  // ---- children -------------------------------------------------------------------------------------------

  #activation(): Activation {
    assert(this.#current !== null, "call outside of an activation");
    return this.#current;
  }

  #child(caller: Activation, number: number): Child {
    const known = caller.children.get(number);
    if (known !== undefined) return known;
    const ref = tableGet(this.#heap, caller.start.children, number);
    return caller.addChild(number, ref === 0 ? null : loadProcess(this.#heap, ref));
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
    const ready = ticket === NO_TICKET ? 0 : this.#jobs.take(ticket, start.ref);
    if (ready === LOST) ticket = NO_TICKET;
    let result: Process;
    if (ready > 0) {
      result = loadProcess(this.#heap, ready);
    } else {
      const outer = this.#jobs.enter(ticket);
      this.#tracer?.descend(child.number);
      try {
        result = this.activate(start, caller.depth + 1);
      } finally {
        this.#tracer?.ascend();
        this.#jobs.enter(outer);
        if (ticket !== NO_TICKET) this.#jobs.finish(ticket);
      }
    }
    child.process = result;
    child.changed = true;
    // Gas of many blocks can meet in one counter: what it cannot hold counts as used.
    caller.setGas(Math.min(caller.gas() + (start.gas - result.gasUsed), GAS_LIMIT));
  }
}
