/**
 * How the host leaves a guest before its end: out of gas, or by abort. An import throws, and what called the
 * guest catches; nothing of the guest runs in between, since admitted programs have no exceptions.
 */

import * as abi from "../../syscalls/abi.ts";
import { PAGE_BYTES } from "../limits.ts";
import { faultOf } from "../program/faults.ts";
import type { Place } from "../program/source-map/sources.ts";
import type { Reason } from "./explain.ts";
import { COST_PAGE_TOUCH } from "./gas.ts";
import type { Meter } from "./slots/meter.ts";

/** Thrown by an import to leave the guest; preallocated, since a new Error costs ten times as much. */
const ABORTED = Object.freeze({ exit: "abort" });
const OUT_OF_GAS = Object.freeze({ exit: "out of gas" });

/** Thrown instead while stacks are wanted. */
class GuestExit extends Error {
  readonly fault: number;

  constructor(fault: number) {
    super();
    this.fault = fault;
  }
}

/** How many functions a stack names, the innermost. */
const STACK_FRAMES = 64;
/**
 * Is shown a fault's stack, as V8 writes it; its reason, of an abort its text; and the place that an abort
 * names.
 */
export type FaultObserver = (stack: string, reason: Reason, place: Place | null) => void;

let observer: FaultObserver | null = null;

/** Runs with every fault shown to `see`, before the activation or item ends. */
export function withStacks<T>(see: FaultObserver, run: () => T): T {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = STACK_FRAMES;
  observer = see;
  try {
    return run();
  } finally {
    Error.stackTraceLimit = limit;
    observer = null;
  }
}

/** Leaves the guest that runs on this thread. */
export function exitGuest(fault: typeof abi.FAULT_ABORT | typeof abi.FAULT_OUT_OF_GAS): never {
  if (observer !== null) throw new GuestExit(fault);
  throw fault === abi.FAULT_ABORT ? ABORTED : OUT_OF_GAS;
}

/** Takes gas from what runs with this meter; ends it if there is not enough. */
export function charge(meter: Meter, cost: number): void {
  if (!meter.charge(cost)) exitGuest(abi.FAULT_OUT_OF_GAS);
}

/**
 * Takes the gas of the pages of a range that have yet to be paid: those whose byte in the map at `map` of the
 * aux memory is 0. Ends what runs there, before anything is written, if there is not enough.
 */
export function payPages(meter: Meter, aux: Uint8Array, map: number, address: number, length: number): void {
  const last = Math.floor((address + length - 1) / PAGE_BYTES);
  let pages = 0;
  for (let page = Math.floor(address / PAGE_BYTES); page <= last; page++) if (aux[map + page] === 0) pages++;
  if (pages > 0) charge(meter, pages * COST_PAGE_TOUCH);
}

/** The fault of an activation that threw `error`, which may come from a call; null: an error of the host. */
export function faultThrown(error: unknown, auxWords: Int32Array): number | null {
  if (error === ABORTED) return abi.FAULT_ABORT;
  if (error === OUT_OF_GAS) return abi.FAULT_OUT_OF_GAS;
  if (error instanceof GuestExit) return error.fault;
  return faultOf(error, auxWords);
}

/** Shows a fault to the observer, if there is one; `error` was thrown, null: the guest had ended. */
export function showFault(error: unknown, why: () => Reason, place: Place | null = null): void {
  observer?.((error as Error | null)?.stack ?? "", why(), place);
}

/** Whether faults are shown to somebody. */
export function isObserved(): boolean {
  return observer !== null;
}
