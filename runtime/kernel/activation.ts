/**
 * Activation: one run of a process in a slot, from one return point to the next.
 *
 * It holds what is live only while the process runs: gas in the slot's header, quotas, the children that were
 * touched. Nothing of it survives; `result()` and the kernel make the next image from it.
 */

import * as abi from "../../syscalls/abi.ts";
import { assert } from "../errors.ts";
import { part } from "../heap/bytes.ts";
import type { Heap } from "../heap/heap.ts";
import { ENTRY_CONTINUE, type Process } from "../image/process.ts";
import { pagesTaken } from "../image/quota.ts";
import { ABORT_TEXT_LIMIT, PAGES_PER_WASM_PAGE } from "../limits.ts";
import * as layout from "../program/layout.ts";
import type { Place } from "../program/source-map/sources.ts";
import { COUNTING, work } from "../work.ts";
import { Changes, changeOf } from "./changes.ts";
import { Children } from "./children.ts";
import {
  continuationBytes,
  saveContinuation,
  startRewind,
  startUnwind,
  stopUnwindOrRewind,
} from "./continuation.ts";
import { charge, exitGuest, faultThrown, isObserved, showFault } from "./exit.ts";
import { beyondHeldGas, beyondMemory, beyondQuota, NO_REASON, outOfMemory, type Reason } from "./explain.ts";
import { COST_CALL, COST_GLOBAL_BYTE, COST_PAGE_CHANGED, COST_STACK_BYTE } from "./gas.ts";
import { clearOutcome } from "./images.ts";
import type { Item, Within } from "./items/children.ts";
import { Inputs, outcomesBytes } from "./items/objects.ts";
import { GetRequest, PutRequest, readString, type SnapshotRequest } from "./requests/request.ts";
import type { Slot } from "./slots/slot.ts";

const counting = COUNTING;

/**
 * Buffers for reading and checking the calls of one activation; reused by the activations of one level of a
 * thread's stack.
 */
export class Scratch {
  readonly putRequest = new PutRequest();
  readonly getRequest = new GetRequest();
}

export class Activation {
  readonly start: Process;
  readonly slot: Slot;
  readonly budget: number;
  readonly depth: number;
  readonly metadata: Uint8Array | null;
  children: Children;
  readonly putRequest: PutRequest;
  readonly getRequest: GetRequest;
  /** Memory quota passed on to children. */
  memoryPassed: number;
  /** Held-gas quota passed on to children, and gas given to those that are runnable. */
  heldGasPassed: number;
  gasLent: number;
  /** Bytes that the next image keeps besides memory, as far as that is known before the end. */
  kept: number;
  processQuota: number;
  /** Pages that are present in the memory as it was published last. */
  presentPages: number;
  /** Its memory has grown. */
  grown = false;
  /** In the start function: no calls. */
  starting = false;
  /** Nobody keeps its result, or resumes it. */
  isView = false;
  /** The running item of a batch that this activation is, or is started by; null outside of items. */
  item: Item | null = null;
  /** Where in the tree below the item's process it runs: "" is that process, "/3" its child 3. */
  path = "";
  /** The stack is being put back, up to the call where the process was suspended. */
  rewinding = false;
  abortText = "";
  abortLine = 0;
  abortColumn = 0;
  #abortPlace: Place | null = null;
  /** Why its memory could not grow, the last time; only where faults are observed. */
  #growthRefused = NO_REASON;
  /** Why the last PUT with E_QUOTA was refused, if faults are observed. */
  quotaRefused = NO_REASON;
  readonly #heap: Heap;
  #entry: number;
  #stopped = abi.STATUS_RETURNED;
  #data = 0;
  #regionPointer = 0;
  #regionCapacity = 0;

  constructor(
    heap: Heap,
    start: Process,
    slot: Slot,
    scratch: Scratch,
    budget: number,
    depth: number,
    metadata: Uint8Array | null,
  ) {
    this.#heap = heap;
    this.putRequest = scratch.putRequest;
    this.getRequest = scratch.getRequest;
    this.children = new Children(heap, start, start.childCount);
    this.start = start;
    this.slot = slot;
    this.budget = budget;
    this.depth = depth;
    this.metadata = metadata;
    this.presentPages = start.presentPages;
    this.memoryPassed = start.memoryPassed;
    this.heldGasPassed = start.heldGasPassed;
    this.gasLent = start.gasLent;
    const { globalsLength } = slot.program.handle;
    this.kept =
      globalsLength + (start.inputs === 0 ? 0 : outcomesBytes(new Inputs(heap, start.inputs).count));
    this.processQuota = start.processQuota;
    this.#entry = start.entry;
  }

  /** It was started by an item, or below one. */
  within({ item, path }: Within): void {
    this.item = item;
    this.path = path;
  }

  /** What activations of its child of that number are within; null outside of items. */
  below(child: number): Within | null {
    return this.item === null ? null : { item: this.item, path: `${this.path}/${child}` };
  }

  /** Whether RET and SNAPSHOT can suspend it. */
  get canSuspend(): boolean {
    return !this.starting && !this.isView && this.item === null;
  }

  /** Whether it is an item itself. */
  get isItem(): boolean {
    return this.item !== null && this.path === "";
  }

  /** Runs the guest; FAULT_NONE if it suspends by itself. */
  run(): number {
    const { slot, start } = this;
    const { exports, meter } = slot;
    const fault = this.runStart();
    if (fault !== abi.FAULT_NONE) return fault;
    const resumes = this.metadata !== null || start.entry === ENTRY_CONTINUE;
    // Without gas enough for its stack it is not put back.
    if (resumes && this.#resumeCost > this.budget) return abi.FAULT_OUT_OF_GAS;
    try {
      if (resumes) {
        this.#entry = startRewind(this.#heap, slot, start.continuation);
        this.rewinding = true;
        // No gas is charged until the stack is back: what put it there was paid for before.
        exports.run(this.#entry, 0, 0, 0, 0);
        assert(!this.rewinding, "run: the stack was not put back to where the process was suspended");
      } else {
        exports.run(start.entry, start.argumentLow, start.argumentHigh, meter.low, meter.high);
      }
      if (this.#stopped !== abi.STATUS_RETURNED) stopUnwindOrRewind(slot);
      return abi.FAULT_NONE;
    } catch (error) {
      return this.#faultOf(error);
    }
  }

  /** Gives the activation its gas, and runs the start function if it has not run yet. */
  runStart(): number {
    const { slot, start, budget } = this;
    const { exports, auxWords, meter } = slot;
    auxWords[layout.AUX_FAULT / 4] = abi.FAULT_NONE;
    meter.set(budget, this.item?.lease);
    if (start.started === 1 || !slot.program.handle.hasStart) return abi.FAULT_NONE;
    this.starting = true;
    try {
      exports.start(meter.low, meter.high);
    } catch (error) {
      return this.#faultOf(error);
    }
    this.starting = false;
    return abi.FAULT_NONE;
  }

  /** Runs an entry as an item of a batch, after `deliver`, which the item pays for. */
  runItem(entry: number, argument: number, gas: number, deliver: () => void): number {
    const { exports, auxWords, meter } = this.slot;
    auxWords[layout.AUX_FAULT / 4] = abi.FAULT_NONE;
    this.#growthRefused = NO_REASON;
    meter.set(gas);
    try {
      deliver();
      exports.run(entry, argument, 0, meter.low, meter.high);
      return abi.FAULT_NONE;
    } catch (error) {
      return this.#faultOf(error);
    }
  }

  #faultOf(error: unknown): number {
    const fault = faultThrown(error, this.slot.auxWords);
    if (fault === null) throw error;
    if (counting) work[this.isItem ? "itemFaults" : "faults"]++;
    if (fault === abi.FAULT_OUT_OF_GAS && this.slot.meter.withholds) (this.item as Item).hasExpired = true;
    showFault(error, () => this.#why(fault), fault === abi.FAULT_ABORT ? this.#abortPlace : null);
    return fault;
  }

  #why(fault: number): Reason {
    if (fault === abi.FAULT_ABORT) return { text: this.abortText, facts: {} };
    if (fault === abi.FAULT_MEMORY_BOUNDS) return beyondMemory(this.slot.memoryPages);
    // An allocator that gets no memory ends so.
    if (fault === abi.FAULT_UNREACHABLE) return this.#growthRefused;
    return NO_REASON;
  }

  /** The next image but for globals, children and gas used; the memory was published. */
  result(): Process {
    const { auxWords } = this.slot;
    const result = this.start.copy();
    clearOutcome(result);
    result.status = this.#stopped;
    result.started = 1;
    result.memory = this.slot.root;
    result.presentPages = this.presentPages;
    result.memoryPages = this.slot.memoryPages;
    result.memoryPassed = this.memoryPassed;
    result.heldGasPassed = this.heldGasPassed;
    result.gasLent = this.gasLent;
    result.processQuota = this.processQuota;
    result.continuation = 0;
    if (this.#stopped === abi.STATUS_SNAPSHOT) {
      result.text = this.#data;
      result.regionPointer = this.#regionPointer;
      result.regionCapacity = this.#regionCapacity;
    } else {
      result.codeLow = auxWords[layout.AUX_RESULT / 4] as number;
      result.codeHigh = auxWords[layout.AUX_RESULT / 4 + 1] as number;
    }
    if (this.#stopped !== abi.STATUS_RETURNED)
      result.continuation = saveContinuation(this.#heap, this.slot, this.#entry);
    return result;
  }

  /**
   * Publishes the memory. What its changes since the start cost; if that is more than `limit`, what those
   * cost that were found first, and what was not published stays marked.
   */
  publishMemory(limit: number): number {
    const { slot, start } = this;
    const changes = new Changes(COST_PAGE_CHANGED, limit);
    if (!slot.publish(this.#heap, start.memory, changes)) return changes.cost;
    const { cost, more } = changeOf(this.#heap, start.memory, slot.root);
    this.presentPages = start.presentPages + more;
    return cost;
  }

  /** What saving the globals costs. */
  get globalsCost(): number {
    return this.slot.program.handle.globalsLength * COST_GLOBAL_BYTE;
  }

  /** Bytes of the stack that a suspended process keeps. */
  get stackBytes(): number {
    if (this.#stopped === abi.STATUS_RETURNED) return 0;
    return continuationBytes(this.slot);
  }

  // ---- quotas ---------------------------------------------------------------------------------------------

  /** Whether it may be suspended now: runnable children have no more gas than its quota has left for them. */
  get canHold(): boolean {
    return this.gasLent <= this.start.heldGasGiven - this.heldGasPassed;
  }

  /** Pages of 4 KiB that are neither taken nor passed on. */
  get memoryLeft(): number {
    const { start, slot, memoryPassed, kept } = this;
    return start.memoryGiven - memoryPassed - pagesTaken(slot.memoryPages, start.programPages, kept);
  }

  /** Whether the quota allows the next image to keep `bytes` more. */
  canKeep(bytes: number): boolean {
    const { start, slot, memoryPassed, kept } = this;
    const taken = pagesTaken(slot.memoryPages, start.programPages, kept + bytes);
    return taken <= start.memoryGiven - memoryPassed;
  }

  /** A PUT takes more of a quota than there is: what it answers. */
  refuseQuota(why: () => Reason): typeof abi.E_QUOTA {
    if (isObserved()) this.quotaRefused = why();
    return abi.E_QUOTA;
  }

  /** Refuses to grow its memory by this number of pages of 64 KiB; returns what memory.grow answers. */
  refuseGrowth(pages: number): number {
    if (isObserved()) this.#growthRefused = this.#whyNoGrowth(pages);
    return -1;
  }

  #whyNoGrowth(pages: number): Reason {
    const { memoryPages, program } = this.slot;
    const { maximumPages } = program.handle.memory;
    if (this.item !== null) return outOfMemory(memoryPages, pages, memoryPages, "in a batch");
    if (memoryPages + pages > maximumPages)
      return outOfMemory(memoryPages, pages, maximumPages, "of its program");
    const more = Math.floor(this.memoryLeft / PAGES_PER_WASM_PAGE);
    return outOfMemory(memoryPages, pages, memoryPages + more, "of its memory quota");
  }

  /** Why it cannot be suspended, or end, as it is now: `canKeep` of its stack or `canHold` is false. */
  get whyNotKept(): Reason {
    const { start, slot, memoryPassed, heldGasPassed, stackBytes, kept } = this;
    if (!this.canHold) return beyondHeldGas(this.gasLent, start.heldGasGiven - heldGasPassed);
    const needed = pagesTaken(slot.memoryPages, start.programPages, kept + stackBytes);
    return beyondQuota(stackBytes, needed, start.memoryGiven - memoryPassed);
  }

  /** What a fresh copy of it takes. */
  get freshPages(): number {
    const { start, slot } = this;
    return pagesTaken(slot.memoryPages, start.programPages, slot.program.handle.globalsLength);
  }

  // ---- gas ------------------------------------------------------------------------------------------------

  /** Gas left; exact while the guest is in a call or suspended. */
  gas(): number {
    return this.slot.meter.gas;
  }

  /** Takes gas; ends the activation if there is not enough. */
  charge(cost: number): void {
    charge(this.slot.meter, cost);
  }

  /** Ends the activation if what runs below its item has spent the item's lease. */
  checkLease(): void {
    if (this.item?.hasExpired === true) exitGuest(abi.FAULT_OUT_OF_GAS);
  }

  // ---- suspending -------------------------------------------------------------------------------------

  /** RET or SNAPSHOT was called: unwind the stack. */
  stop(status: number): void {
    this.#stopped = status;
    startUnwind(this.slot);
  }

  /** SNAPSHOT with a checked request. */
  stopWith(request: SnapshotRequest): void {
    const { dataPointer, dataLength } = request;
    this.#data = this.#heap.blob(part(this.slot.memory, dataPointer, dataLength));
    this.kept += dataLength;
    this.#regionPointer = request.regionPointer;
    this.#regionCapacity = request.regionCapacity;
    this.stop(abi.STATUS_SNAPSHOT);
  }

  /** What putting the stack back costs. */
  get #resumeCost(): number {
    return COST_CALL + this.#heap.length(this.start.continuation) * COST_STACK_BYTE;
  }

  /** The stack is back where the process was suspended: it continues with real gas and the given argument. */
  continued(argumentLow: number, argumentHigh: number): void {
    stopUnwindOrRewind(this.slot);
    this.rewinding = false;
    this.slot.meter.set(this.budget);
    this.charge(this.#resumeCost);
    this.setArgument(argumentLow, argumentHigh);
    if (this.metadata !== null) this.slot.write(this.start.regionPointer, this.metadata);
  }

  setArgument(low: number, high: number): void {
    const { auxWords } = this.slot;
    auxWords[layout.AUX_ARGUMENT / 4] = low;
    auxWords[layout.AUX_ARGUMENT / 4 + 1] = high;
  }

  /** AssemblyScript's abort: keeps the text for the fault and leaves the guest. */
  abort(message: number, file: number, line: number, column: number): never {
    this.abortLine = line >>> 0;
    this.abortColumn = column >>> 0;
    // Nobody sees the text of an item's, but in a trace.
    if (this.isItem && !isObserved()) exitGuest(abi.FAULT_ABORT);
    const text = readString(this.slot, message, ABORT_TEXT_LIMIT);
    const where = readString(this.slot, file, ABORT_TEXT_LIMIT);
    this.abortText = [text, where === "" ? "" : `in ${where}`].filter((part) => part !== "").join(" ");
    const named = where !== "" && this.abortLine > 0;
    this.#abortPlace = named ? { file: where, line: this.abortLine, column: this.abortColumn } : null;
    exitGuest(abi.FAULT_ABORT);
  }
}
