/**
 * A caller without a program: makes PUT and GET on a kernel on this thread as an activation does, one by one,
 * and says of each what gas it took and what work it was (runtime/work.ts, where that is counted). So no
 * instruction of a guest hides what a call does not pay.
 *
 * The gas of a call is what is gone afterwards: from the caller, and from children that are started and not
 * joined. What touching a page of the caller's own has cost pays for comparing it, so that belongs to the
 * call that clones the caller, and not to the one that touched it. A call for which the gas does not suffice
 * ends the caller's activation in an error, as it would a guest's: the caller is back at the image it began
 * with, and what its child held is gone as well.
 */

import { loadProgram } from "../../runtime/chain/genesis.ts";
import { createHeap, Heap, type Ref } from "../../runtime/heap/heap.ts";
import { tableUpdate } from "../../runtime/heap/table.ts";
import { type Process, publishProcess } from "../../runtime/image/process.ts";
import { Activation, Scratch } from "../../runtime/kernel/activation.ts";
import { changeOf, PAID } from "../../runtime/kernel/changes.ts";
import { faultThrown } from "../../runtime/kernel/exit.ts";
import { COST_PAGE_TOUCH } from "../../runtime/kernel/gas.ts";
import { freshProcess } from "../../runtime/kernel/images.ts";
import { NOBODY_ELSE } from "../../runtime/kernel/jobs.ts";
import { Kernel } from "../../runtime/kernel/kernel.ts";
import { type LoadedProgram, type ProgramHandle, Programs } from "../../runtime/kernel/program.ts";
import { markPages } from "../../runtime/kernel/slots/page-marks.ts";
import { type KernelImports, Slot } from "../../runtime/kernel/slots/slot.ts";
import type { Tracer } from "../../runtime/kernel/trace.ts";
import { WASM_PAGE_BYTES } from "../../runtime/limits.ts";
import { ProgramCache } from "../../runtime/program/cache.ts";
import { AUX_MARKS } from "../../runtime/program/layout.ts";
import { COUNTING, type Work, work } from "../../runtime/work.ts";
import * as abi from "../../syscalls/abi.ts";
import { type BatchSpec, putBatch } from "../batch/requests.ts";
import { type GetSpec, type PutSpec, Script } from "../driver.ts";
import { build } from "../program/build.ts";

/** The caller's memory: requests from here on, and before it what it copies from and to. */
const REQUESTS = 64 << 20;
const REQUESTS_END = 80 << 20;
const PAGES = REQUESTS_END / WASM_PAGE_BYTES;
/** Of its marks, one for each page of 4096 bytes. */
const MARKS = REQUESTS_END / 4096;
const QUOTA = 1 << 26;
const cache = new ProgramCache();
/** Enough for any call. */
export const PLENTY = 1e14;

const NEVER = (): never => {
  throw new Error("the caller has no program");
};
const IMPORTS: KernelImports = {
  put: NEVER,
  get: NEVER,
  ret: NEVER,
  snapshot: NEVER,
  grow: NEVER,
  abort: NEVER,
  accumulate: NEVER,
};

/** A request in the caller's memory. */
export interface Request {
  readonly what: "put" | "get";
  readonly child: number;
  readonly address: number;
  /** What it returns in `repeat`; default: OK. */
  readonly expected?: number;
}

/** What came of a call. */
export interface Call {
  /** What it returned; null: it ended the activation. */
  readonly code: number | null;
  readonly gas: number;
  readonly work: Work;
}

export class Caller {
  readonly heap: Heap;
  readonly kernel: Kernel;
  /** Of the programs it was opened with. */
  readonly hashes: readonly Uint8Array[];
  readonly #refs: readonly Ref[];
  #start: Process;
  #slot: Slot;
  #activation: Activation;
  #next = REQUESTS;
  /** Gas that children hold which are started: now, and when the activation began. */
  #held = new Map<number, number>();
  #heldAtStart = new Map<number, number>();

  private constructor(heap: Heap, kernel: Kernel, own: LoadedProgram, handles: readonly ProgramHandle[]) {
    this.heap = heap;
    this.kernel = kernel;
    this.hashes = handles.map(({ hashHex }) => new Uint8Array(Buffer.from(hashHex, "hex")));
    this.#refs = handles.map(({ ref }) => ref);
    this.#slot = new Slot(own.sequential, PAGES, IMPORTS);
    this.#start = freshProcess(own, QUOTA, QUOTA, PLENTY);
    this.#activation = this.#begin();
  }

  /** A caller that may make children of these programs. */
  static async open(
    programs: readonly Uint8Array[],
    options: { heapBytes?: number; tracer?: Tracer } = {},
  ): Promise<Caller> {
    const heap = new Heap(createHeap(options.heapBytes ?? 2 ** 32), 1);
    const own = build({ memory: [PAGES, PAGES] });
    const handles = [];
    for (const bytes of [own, ...programs]) handles.push(await loadProgram(heap, await cache.admit(bytes)));
    const loaded = new Programs(heap, handles);
    const kernel = new Kernel(heap, loaded, NOBODY_ELSE, options.tracer ?? null);
    return new Caller(heap, kernel, loaded.get(handles[0]!.ref), handles.slice(1));
  }

  #begin(): Activation {
    const activation = new Activation(this.heap, this.#start, this.#slot, new Scratch(), PLENTY, 1, null);
    this.#slot.enter(this.heap, this.#start);
    this.#slot.meter.set(PLENTY);
    return activation;
  }

  // ---- its memory -----------------------------------------------------------------------------------------

  /** Writes into its memory, as its program would. */
  store(address: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#slot.memory.set(bytes, address);
    const last = Math.floor((address + bytes.length - 1) / 4096);
    markPages(this.#slot.aux, AUX_MARKS, Math.floor(address / 4096), last);
  }

  /** An address with room for `bytes` bytes that no other request uses. */
  #room(bytes: number): number {
    if (this.#next + bytes > REQUESTS_END) this.#next = REQUESTS;
    const address = this.#next;
    this.#next += Math.ceil(bytes / 8) * 8;
    return address;
  }

  #request(what: "put" | "get", child: number, write: (script: Script) => void): Request {
    const bytes = (base: number): Uint8Array => {
      const script = new Script({ base, commands: 8, scratch: 60 << 20 });
      write(script);
      return script.metadata();
    };
    const base = this.#room(bytes(0).length);
    const script = bytes(base);
    this.store(base, script);
    // The first command of the script: where its request lies.
    const address = new DataView(script.buffer).getUint32(32 + 8, true);
    return { what, child, address };
  }

  putRequest(child: number, spec: PutSpec): Request {
    return this.#request("put", child, (script) => script.put(child, spec));
  }

  batchRequest(child: number, batch: BatchSpec, rest: PutSpec = {}): Request {
    return this.#request("put", child, (script) => putBatch(script, child, batch, rest));
  }

  getRequest(child: number, spec: GetSpec): Request {
    return this.#request("get", child, (script) => script.get(child, spec));
  }

  // ---- calls ----------------------------------------------------------------------------------------------

  put(child: number, spec: PutSpec, gas = PLENTY): Call {
    return this.call(this.putRequest(child, spec), gas);
  }

  get(child: number, spec: GetSpec, gas = PLENTY): Call {
    return this.call(this.getRequest(child, spec), gas);
  }

  /** Makes a call with so much gas left; `child`: instead of the request's. */
  call({ what, child: usual, address }: Request, gas = PLENTY, child = usual): Call {
    const activation = this.#activation;
    this.#slot.meter.set(gas);
    const heldBefore = this.#held.get(child) ?? 0;
    const touchedBefore = this.#touchedPages();
    const before = { ...work };
    let code: number | null;
    try {
      code = this.kernel.asItem(activation, (calls) => calls[what](child, address));
    } catch (error) {
      if (faultThrown(error, activation.slot.auxWords) !== abi.FAULT_OUT_OF_GAS) throw error;
      code = null;
    }
    const done = since(before);
    if (code === null) {
      this.#fall();
      return { code, gas: gas + heldBefore + touchedBefore * COST_PAGE_TOUCH, work: done };
    }
    const gasNow = activation.gas() + this.#noteHeld(child);
    const touches = (touchedBefore - this.#touchedPages()) * COST_PAGE_TOUCH;
    return { code, gas: gas + heldBefore + touches - gasNow, work: done };
  }

  /** Pages of its memory that were touched and not compared since: its program, or a call, paid for each. */
  #touchedPages(): number {
    // Where calls are timed instead, it would count.
    if (!COUNTING) return 0;
    const { auxWords } = this.#slot;
    let touched = 0;
    for (let i = AUX_MARKS / 4; i < (AUX_MARKS + MARKS) / 4; i++) {
      for (let marks = auxWords[i] as number; marks !== 0; marks >>>= 8) touched += marks & 1;
    }
    return touched;
  }

  /** How much gas the child holds now. */
  #noteHeld(child: number): number {
    const held = this.#child(child)?.gasInside ?? 0;
    if (held > 0) this.#held.set(child, held);
    else this.#held.delete(child);
    return held;
  }

  #heldSum(): number {
    let sum = 0;
    for (const held of this.#held.values()) sum += held;
    return sum;
  }

  /** Makes these calls one after the other, so many times, and returns their gas: for what is timed. */
  repeat(requests: readonly Request[], times = 1): number {
    const activation = this.#activation;
    const held = this.#heldSum();
    this.#slot.meter.set(PLENTY);
    this.kernel.asItem(activation, (calls) => {
      for (let i = 0; i < times; i++) {
        for (const { what, child, address, expected = abi.OK } of requests) {
          const code = calls[what](child, address);
          if (code !== expected) throw new Error(`gas: ${what} of child ${child} returned ${code}`);
        }
      }
    });
    for (const { child } of requests) this.#noteHeld(child);
    return PLENTY - activation.gas() + held - this.#heldSum();
  }

  /** Whether the child is started and not joined. */
  isStarted(child: number): boolean {
    return (this.#held.get(child) ?? 0) > 0 && this.#child(child)?.status === abi.STATUS_RUNNABLE;
  }

  /** What the child is, for choosing what to do with it; null: there is none. */
  about(child: number): { program: number; memoryPages: number } | null {
    const process = this.#child(child);
    if (process === null) return null;
    return { program: this.#refs.indexOf(process.program), memoryPages: process.memoryPages };
  }

  #child(child: number): Process | null {
    return this.#activation.children.at(child).process;
  }

  /** The activation ends and the next begins: children that were touched are in the table. */
  settle(): void {
    const { children } = this.#activation;
    const next = this.#start.copy();
    const changed = children.changed();
    const refs = changed.map(({ process }) => (process === null ? 0 : publishProcess(this.heap, process)));
    const numbers = changed.map(({ number }) => number);
    next.children = tableUpdate(this.heap, next.children, numbers, refs, numbers.length);
    for (const { process, before } of changed) {
      next.gasHeld += (process?.gasInside ?? 0) - (before?.gasInside ?? 0);
      next.runnableHeld += (process?.runnableInside ?? 0) - (before?.runnableInside ?? 0);
    }
    next.childCount += children.more;
    this.#slot.publish(this.heap, this.#start.memory, PAID);
    next.memory = this.#slot.root;
    next.presentPages += changeOf(this.heap, this.#start.memory, next.memory).more;
    next.memoryPassed = this.#activation.memoryPassed;
    next.heldGasPassed = this.#activation.heldGasPassed;
    next.gasLent = this.#activation.gasLent;
    next.processQuota = this.#activation.processQuota;
    next.started = 1;
    this.#start = next;
    this.#heldAtStart = new Map(this.#held);
    this.#activation = this.#begin();
  }

  /** As after a fault. */
  #fall(): void {
    this.#slot.discard(this.heap);
    this.#held = new Map(this.#heldAtStart);
    this.#activation = this.#begin();
  }
}

/** What was done since. */
export function since(before: Work): Work {
  const done = { ...work };
  for (const kind of Object.keys(done) as (keyof Work)[]) done[kind] -= before[kind];
  return done;
}
