/**
 * An item slot: the instance of a program's batch variant in which one thread runs items.
 *
 * Below the bound its memory holds what the running item has seen of the state, line by line as the tags say
 * (bridge.ts); above lies private memory, which the shadow puts back after each item
 * (kernel/slots/shadow.ts).
 */

import * as abi from "../../syscalls/abi.ts";
import { part } from "../heap/bytes.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { tableDiff } from "../heap/table.ts";
import { readPage } from "../image/memory.ts";
import { faultThrown } from "../kernel/exit.ts";
import { endOfItem } from "../kernel/items/children.ts";
import { deliver } from "../kernel/items/loop.ts";
import type { Inputs } from "../kernel/items/objects.ts";
import type { LoadedProgram } from "../kernel/program.ts";
import { Meter } from "../kernel/slots/meter.ts";
import { Shadow } from "../kernel/slots/shadow.ts";
import { ROOT_PLACE } from "../kernel/slots/slot-pool.ts";
import { PAGE_BYTES, WASM_PAGE_BYTES } from "../limits.ts";
import * as layout from "../program/layout.ts";
import { bridgeModule, FAULT_GIVEN_UP } from "./bridge.ts";
import type { Core } from "./core.ts";
import type { Clock } from "./evidence.ts";
import { GIVEN_UP, type ItemCalls, SEQUENTIAL } from "./item-calls.ts";
import { OUTCOME_DONE, OUTCOME_SEQUENTIAL, type Records } from "./records.ts";
import type { BatchMemory } from "./shared.ts";

const RESULT = layout.AUX_RESULT / 4;
const ARGUMENT = layout.AUX_ARGUMENT / 4;

/** An item that has spent its lease: it has not ended. */
export const FAULT_EXPIRED = -3;

/** Thrown by imports to leave an item. */
const ABORTED = Object.freeze({ leave: "abort" });

interface Bridge {
  touch(address: number, length: number, write: number): void;
  changed(): number;
  publish(): number;
}

interface ItemExports {
  run(entry: number, argumentLow: number, argumentHigh: number, gasLow: number, gasHigh: number): void;
  load(): void;
}

export class ItemSlot {
  readonly program: LoadedProgram;
  readonly memoryPages: number;
  /** Bytes of the host that it takes at most: what it runs in, what that is put back to, marks and lines. */
  readonly hostBytes: number;
  /** Children of its items are known by their number alone. */
  readonly place = ROOT_PLACE;
  readonly #calls: ItemCalls;
  readonly #core: Core;
  readonly #bound: number;
  readonly memory: Uint8Array;
  readonly words: Uint32Array;
  readonly #aux: Uint8Array;
  readonly auxWords: Int32Array;
  readonly meter: Meter;
  readonly #exports: ItemExports;
  readonly #bridge: Bridge;
  readonly #shadow: Shadow;
  /** Whose private memory and globals the instance has. */
  #root: Ref = 0;
  #globals: Ref = -1;
  #abortLine = 0;
  #abortColumn = 0;
  /** Gas that the last settled item used. */
  gasUsed = 0;

  /** `load` brings a page of state into the base. */
  constructor(
    program: LoadedProgram,
    module: WebAssembly.Module,
    memoryPages: number,
    shared: BatchMemory,
    core: Core,
    calls: ItemCalls,
    load: (page: number) => void,
  ) {
    const { stateBytes, memory } = program.handle;
    this.program = program;
    this.#calls = calls;
    this.#core = core;
    this.memoryPages = memoryPages;
    this.#bound = stateBytes;
    const guest = new WebAssembly.Memory({ initial: memoryPages, maximum: memory.maximumPages });
    const auxPages = layout.batchAuxPages(stateBytes);
    const aux = new WebAssembly.Memory({ initial: auxPages, maximum: auxPages });
    this.hostBytes = (2 * memoryPages + auxPages) * WASM_PAGE_BYTES + program.handle.instanceBytes;
    const { lookup, version, logBegin, logEnd } = core;
    this.#bridge = new WebAssembly.Instance(bridgeModule(stateBytes), {
      glue: { guest, aux, base: shared.base, core: shared.core, lookup, version, logBegin, logEnd, load },
    }).exports as unknown as Bridge;
    const instance = new WebAssembly.Instance(module, {
      k: {
        memory: guest,
        aux,
        touch: this.#bridge.touch,
        put: (child: number, request: number) => calls.put(child, request),
        get: (child: number, request: number) => calls.get(child, request),
        ret: () => {
          this.auxWords[ARGUMENT] = abi.E_PERMISSION;
          this.auxWords[ARGUMENT + 1] = -1;
        },
        snapshot: () => abi.E_PERMISSION,
        grow: () => -1,
        accumulate: (request: number) => calls.accumulate(request),
        abort: (_message: number, _file: number, line: number, column: number) => {
          this.#abortLine = line;
          this.#abortColumn = column;
          throw ABORTED;
        },
      },
    });
    this.#exports = instance.exports as unknown as ItemExports;
    this.memory = new Uint8Array(guest.buffer);
    this.words = new Uint32Array(guest.buffer);
    this.#aux = new Uint8Array(aux.buffer);
    this.auxWords = new Int32Array(aux.buffer);
    this.meter = new Meter(this.auxWords);
    this.#shadow = new Shadow(guest, aux, this.meter, memory.maximumPages, stateBytes, null);
  }

  /** Loads private memory and globals, as they are when the batch begins. */
  enter(heap: Heap, root: Ref, globals: Ref): void {
    const firstPrivate = this.#bound / PAGE_BYTES;
    if (root !== this.#root) {
      tableDiff(heap, this.#root, root, (index, _held, page) => {
        if (index >= firstPrivate) readPage(heap, page, this.memory, index * PAGE_BYTES);
      });
      this.#root = root;
    }
    if (globals !== 0 && globals !== this.#globals) this.#aux.set(heap.payload(globals), layout.AUX_GLOBALS);
    this.#globals = globals;
    this.#shadow.begin(heap, root, this.#bound);
  }

  isTouched(address: number): boolean {
    return this.#aux[layout.AUX_TAGS + Math.floor(address / layout.LINE_BYTES)] !== 0;
  }

  /** Loads lines that the kernel is to read or write. */
  get touch(): (address: number, length: number, write: number) => void {
    return this.#bridge.touch;
  }

  /**
   * Gives an item its gas, of which it may spend `lease`, and copies its input into the inbox, which it pays
   * for. FAULT_NONE, FAULT_OUT_OF_GAS or FAULT_EXPIRED.
   */
  deliver(heap: Heap, inputs: Inputs, item: number, lease: number): number {
    this.auxWords[layout.AUX_FAULT / 4] = abi.FAULT_NONE;
    this.meter.set(inputs.gas(item), lease);
    try {
      deliver(heap, inputs, item, this);
      return abi.FAULT_NONE;
    } catch (error) {
      const fault = faultThrown(error, this.auxWords);
      if (fault === null) throw error;
      return this.#unlessExpired(fault);
    }
  }

  /** The input of an item, in the inbox. */
  input(inputs: Inputs, item: number): Buffer {
    return part(this.memory, inputs.inbox, inputs.length(item));
  }

  /**
   * Runs an item whose input was delivered. FAULT_…, FAULT_GIVEN_UP, FAULT_EXPIRED, or
   * FAULT_INTERNAL_SEQUENTIAL if it has to run on the sequential variant.
   */
  run(inputs: Inputs, item: number, entry: number): number {
    return this.#unlessExpired(this.#run(inputs.length(item), entry));
  }

  /** FAULT_EXPIRED if only the lease has ended. */
  #unlessExpired(fault: number): number {
    const expired = this.#calls.hasExpired || (fault === abi.FAULT_OUT_OF_GAS && this.meter.withholds);
    return expired ? FAULT_EXPIRED : fault;
  }

  #run(length: number, entry: number): number {
    const { auxWords, meter } = this;
    if (this.#globals !== 0) this.#exports.load();
    try {
      this.#exports.run(entry, length, 0, meter.low, meter.high);
      this.#calls.join();
      return abi.FAULT_NONE;
    } catch (error) {
      if (error === ABORTED) return abi.FAULT_ABORT;
      if (error === SEQUENTIAL) return layout.FAULT_INTERNAL_SEQUENTIAL;
      if (error === GIVEN_UP) return FAULT_GIVEN_UP;
      const fault = faultThrown(error, auxWords);
      if (fault === null) throw error;
      return fault;
    }
  }

  /** The item's execution is worth nothing: forgets what it did. */
  abandon(): void {
    this.#putBack();
    this.#bridge.changed();
    this.#calls.end();
  }

  /**
   * The item ended with `fault`: makes versions of what it wrote, writes its record, and puts everything
   * back. Returns the value for the core, or FAULT_GIVEN_UP.
   */
  settle(
    inputs: Inputs,
    item: number,
    fault: number,
    records: Records,
    place: number,
    clock: Clock | null,
  ): number {
    const { outbox, outboxCapacity } = inputs;
    const length = this.words[outbox / 4] as number;
    const left = this.meter.gas;
    // Taken before it is put back; where it is longer than the outbox the item faults.
    const to = outbox + 4 + Math.min(length, outboxCapacity - 4);
    const leaves = fault === abi.FAULT_NONE && length > 0;
    const output = leaves ? Buffer.from(part(this.memory, outbox + 4, to - outbox - 4)) : null;
    this.#putBack();
    clock?.lap("reset");
    const statePages = this.#bridge.changed();
    // Whether the outputs have room is seen when they are committed.
    const room = Number.POSITIVE_INFINITY;
    const below = this.#calls.childrenCost;
    const settled = endOfItem(inputs, item, fault, left, statePages, below, length, room);
    const end = settled.fault;
    this.gasUsed = settled.gasUsed;
    if (end !== abi.FAULT_NONE) this.#core.withdraw();
    if (end === layout.FAULT_INTERNAL_SEQUENTIAL) {
      this.#calls.end();
      return OUTCOME_SEQUENTIAL;
    }
    const published = end !== abi.FAULT_NONE || (this.#bridge.publish() === 1 && this.#calls.publish());
    this.#calls.end();
    if (!published) return FAULT_GIVEN_UP;
    const aborted = end === abi.FAULT_ABORT;
    const code = end === abi.FAULT_NONE;
    const low = code ? (this.auxWords[RESULT] as number) : aborted ? this.#abortLine : 0;
    const high = code ? (this.auxWords[RESULT + 1] as number) : aborted ? this.#abortColumn : 0;
    return records.write(place, end, low, high, code ? output : null) ? OUTCOME_DONE : OUTCOME_SEQUENTIAL;
  }

  /** Private memory as it was. */
  #putBack(): void {
    this.#shadow.measure();
    this.#shadow.settle(false);
  }

  /** The kernel's own write. */
  write(address: number, bytes: Uint8Array): void {
    this.mark(address, bytes.length);
    this.memory.set(bytes, address);
  }

  /**
   * The kernel is about to write `length` bytes at `address`: the item pays their pages, and what is private
   * of them is marked. A page of state that is paid has a line in the item's log.
   */
  mark(address: number, length: number): void {
    this.#shadow.mark(address, length);
  }
}
