/**
 * A thread's part in batches that run in parallel: it executes items in a slot of its own, validates,
 * commits.
 *
 * What an item meets on stale data (a trap, a loop that only its gas ends, a wild output) is a result like
 * any other until the core commits it, and is thrown away with it. How long it may run on such data leases
 * bound.
 */

import { FAULT_NONE } from "../../syscalls/abi.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { tableGet } from "../heap/table.ts";
import { readPage } from "../image/memory.ts";
import { loadProcess, type Process } from "../image/process.ts";
import { Inputs } from "../kernel/items/objects.ts";
import type { LoadedProgram, Programs } from "../kernel/program.ts";
import type { SlotLimits } from "../kernel/slots/slot-pool.ts";
import { PAGE_BYTES } from "../limits.ts";
import { FAULT_INTERNAL_SEQUENTIAL } from "../program/layout.ts";
import { highOf, lowOf } from "../u64.ts";
import { BASE_AT, baseModule, FAULT_GIVEN_UP, PAGE_LOADED, PAGE_LOADING } from "./bridge.ts";
import { loadCells } from "./cells.ts";
import { type Core, instantiateCore } from "./core.ts";
import { Clock } from "./evidence.ts";
import { ItemCalls } from "./item-calls.ts";
import { ITEM_ENDED, ITEM_EXPIRED, ITEM_GAVE_UP, type ItemLog } from "./item-log.ts";
import { FAULT_EXPIRED, ItemSlot } from "./item-slot.ts";
import * as layout from "./layout.ts";
import { LEASES, leaseAfter } from "./lease.ts";
import { OUTCOME_SEQUENTIAL, type Records } from "./records.ts";
import { type BatchMemory, type Description, timesOf } from "./shared.ts";
import { loadSteps, type Steps } from "./steps.ts";

/** STOP: the item at COMMITTED - 1 needs the sequential variant, or the loop. */
export const STOP_SEQUENTIAL = 100;

/** Thrown by imports to leave an item. */
const POISONED = Object.freeze({ leave: "poisoned" });

/** Programs whose instances a thread keeps. An instance has three memories; V8 holds 16,000 in a process. */
const SLOTS_KEPT = 16;

/** How often a worker without a task looks again before it sleeps, and for how long it does. */
const IDLE_SPINS = 500;
const NAP_MS = 1;

interface BaseFunctions {
  equals(line: number, address: number): number;
  read(line: number, address: number): void;
  apply(begin: number, end: number): void;
}

export interface ParticipantOptions {
  /** Whether it adds up its time (evidence.ts). */
  readonly timing: boolean;
  /** See steps.ts. */
  readonly steps: string | null;
  /** How many instances it keeps; `bytes` for those of items, and as much for their children. */
  readonly slots: SlotLimits;
  /** Records what this thread does in windows; null: nothing is recorded. */
  readonly log: ItemLog | null;
}

/** What all items of a batch have in common. */
interface Work {
  readonly slot: ItemSlot;
  readonly inputs: Inputs;
  readonly entry: number;
  /** Where the state ends. */
  readonly bound: number;
  readonly memory: Ref;
  readonly start: Process;
}

export class Participant {
  readonly #heap: Heap;
  readonly #programs: Programs;
  readonly #memory: BatchMemory;
  readonly #records: Records;
  readonly #core: Core;
  /** The same, for items. */
  readonly #itemCore: Core;
  readonly #base: BaseFunctions;
  readonly #words: Int32Array;
  readonly #calls: ItemCalls;
  readonly #slots = new Map<LoadedProgram, ItemSlot>();
  readonly #slotBytes: number;
  readonly #timed: boolean;
  readonly #steps: Steps | null;
  readonly #log: ItemLog | null;
  #clock: Clock | null = null;
  #work: Work | null = null;
  #firstItem = 0;
  #firstLease = 0;
  #worker = 0;
  /** How the incarnation that ran last has ended (item-log.ts). */
  #end = ITEM_ENDED;

  constructor(
    heap: Heap,
    programs: Programs,
    memory: BatchMemory,
    records: Records,
    { timing, steps, slots, log }: ParticipantOptions,
  ) {
    this.#log = log;
    this.#slotBytes = slots.bytes;
    this.#timed = timing;
    this.#steps = loadSteps(steps);
    this.#heap = heap;
    this.#programs = programs;
    this.#memory = memory;
    this.#records = records;
    const load = (page: number): void => this.#load(page);
    const glue = { base: memory.base, core: memory.core, load };
    this.#base = new WebAssembly.Instance(baseModule(), { glue }).exports as unknown as BaseFunctions;
    this.#core = instantiateCore(memory.coreModule, memory.core, this.#base);
    this.#itemCore = this.#steps === null ? this.#core : withSteps(this.#core, this.#steps);
    this.#words = new Int32Array(memory.core.buffer);
    this.#calls = new ItemCalls(
      heap,
      programs,
      this.#itemCore,
      this.#words,
      memory.base,
      records,
      load,
      slots,
    );
  }

  get core(): Core {
    return this.#core;
  }

  /** After a collection: references outside the roots are gone. */
  forget(): void {
    this.#slots.clear();
    this.#calls.forget();
    this.#work = null;
  }

  /** Makes slots for programs of genesis, of the size that a fresh process has. */
  prepare(programs: readonly LoadedProgram[]): void {
    for (const program of programs.slice(0, SLOTS_KEPT)) {
      this.#slotFor(program, program.handle.memory.initialPages, 0);
    }
  }

  /** A slot for items of a process of that size; for `code` see Description. */
  #slotFor(program: LoadedProgram, memoryPages: number, code: Ref): ItemSlot {
    let slot = this.#slots.get(program);
    if (slot === undefined || slot.memoryPages !== memoryPages) {
      const module = program.takeBatch(this.#heap, code);
      const load = (page: number): void => this.#load(page);
      slot = new ItemSlot(program, module, memoryPages, this.#memory, this.#itemCore, this.#calls, load);
    }
    // In the order of their last use.
    this.#slots.delete(program);
    this.#slots.set(program, slot);
    this.#trim();
    return slot;
  }

  /** Gives up the slots that were not used for longest, as far as there are too many. */
  #trim(): void {
    let bytes = 0;
    for (const { hostBytes } of this.#slots.values()) bytes += hostBytes;
    for (const [program, { hostBytes }] of this.#slots) {
      if (this.#slots.size <= SLOTS_KEPT && (bytes <= this.#slotBytes || this.#slots.size === 1)) return;
      this.#slots.delete(program);
      bytes -= hostBytes;
    }
  }

  /** Gets ready for the items of a batch. */
  begin(batch: Description): void {
    const start = loadProcess(this.#heap, batch.start);
    const program = this.#programs.get(start.program);
    const slot = this.#slotFor(program, batch.memoryPages, batch.code);
    slot.enter(this.#heap, batch.memory, batch.globals);
    const bound = program.handle.stateBytes;
    const inputs = new Inputs(this.#heap, start.inputs);
    this.#work = { slot, inputs, entry: start.entry, memory: batch.memory, start, bound };
    const { touch } = slot;
    this.#calls.begin({ start, depth: batch.depth, bound, slot, touch });
  }

  /**
   * Works in the open window until it is finished or poisoned, as `worker`. Items are counted from
   * `firstItem`; `lease` is their first.
   */
  run(worker: number, firstItem: number, lease: number): void {
    this.#worker = worker;
    this.#firstItem = firstItem;
    this.#firstLease = lease;
    this.#core.enter(worker);
    this.#calls.enter(worker);
    if (this.#timed) this.#clock = new Clock(timesOf(this.#memory, worker));
    this.#clock?.start();
    try {
      this.#takeTasks();
    } catch (error) {
      // The slot holds what an item has left in it.
      this.#slots.clear();
      if (error !== POISONED) throw error;
    }
  }

  #takeTasks(): void {
    const core = this.#core;
    const log = this.#log;
    this.#commit();
    let task = core.next();
    for (let idle = 0, idleSince = 0; ; ) {
      const item = task >>> layout.TASK_ITEM_SHIFT;
      if (idle > 0 && (task & layout.TASK_KIND_MASK) !== layout.TASK_IDLE) log?.idle(idleSince);
      switch (task & layout.TASK_KIND_MASK) {
        case layout.TASK_EXECUTE:
          task = this.#execute(item);
          idle = 0;
          break;
        case layout.TASK_VALIDATE:
          task = this.#check(item);
          this.#clock?.lap("validate");
          this.#commit();
          this.#clock?.lap("commit");
          idle = 0;
          break;
        case layout.TASK_DONE:
          return;
        default:
          if (idle === 0) idleSince = log?.now() ?? 0;
          if (++idle > IDLE_SPINS) this.#nap();
          this.#commit();
          task = core.next();
          this.#clock?.lap("wait");
      }
    }
  }

  /** Validates an item; the next task. */
  #check(item: number): number {
    const log = this.#log;
    if (log === null) return this.#core.finishValidation(this.#validate(item));
    const [incarnation, since] = [this.#incarnation(item), log.now()];
    const [validations, aborts] = [this.#count(layout.WORKER_VALIDATIONS), this.#count(layout.WORKER_ABORTS)];
    const task = this.#core.finishValidation(this.#validate(item));
    // Somebody else may have done something to it before.
    const isAborted = this.#count(layout.WORKER_ABORTS) !== aborts;
    if (this.#count(layout.WORKER_VALIDATIONS) !== validations)
      log.validated(this.#firstItem + item, incarnation, !isAborted, since);
    return task;
  }

  #count(counter: number): number {
    return this.#words[(layout.WORKERS + this.#worker * layout.WORKER_SIZE + counter) / 4] as number;
  }

  #validate(item: number): number {
    const steps = this.#steps;
    if (steps === null) return this.#core.validate();
    const incarnation = this.#incarnation(item);
    steps.pause("validate");
    const valid = steps.verdict(this.#core.validate(), this.#firstItem + item, incarnation);
    steps.pause("verdict");
    return valid;
  }

  #incarnation(item: number): number {
    const state = layout.ITEMS + item * layout.ITEM_SIZE + layout.ITEM_STATE;
    return Atomics.load(this.#words, state / 4) >>> layout.STATE_KIND_BITS;
  }

  /** Sleeps until there may be work. */
  #nap(): void {
    const words = this.#words;
    const wake = Atomics.load(words, layout.WAKE / 4);
    Atomics.add(words, layout.SLEEPERS / 4, 1);
    // What came before this thread counted as a sleeper woke nobody: it is seen now, or after the nap.
    Atomics.wait(words, layout.WAKE / 4, wake, NAP_MS);
    Atomics.sub(words, layout.SLEEPERS / 4, 1);
  }

  /** Copies what is final to the base, in the order of the items. */
  #commit(): void {
    const core = this.#core;
    const words = this.#words;
    for (let item = core.commit(); item >= 0; item = core.commit()) {
      const record = (layout.ITEMS + item * layout.ITEM_SIZE) / 4;
      // Where outputs reach beyond what is reserved for them, the loop decides about the item.
      if (words[record + layout.ITEM_OUTCOME / 4] === OUTCOME_SEQUENTIAL || !this.#records.commit(item)) {
        // Nobody else can commit before this thread comes back: so nothing above this item will be.
        words[layout.CUT / 4] = item;
        Atomics.store(words, layout.STOP / 4, STOP_SEQUENTIAL);
        continue;
      }
      this.#steps?.pause("apply");
      this.#base.apply(
        words[record + layout.ITEM_LOG / 4] as number,
        words[record + layout.ITEM_LOG_END / 4] as number,
      );
    }
  }

  #execute(item: number): number {
    const log = this.#log;
    if (log === null) return this.#incarnate(item);
    const [incarnation, since] = [this.#incarnation(item), log.now()];
    this.#end = ITEM_ENDED;
    const task = this.#incarnate(item);
    log.executed(this.#firstItem + item, incarnation, this.#end, since);
    return task;
  }

  #incarnate(item: number): number {
    const core = this.#core;
    const { slot, inputs, entry } = this.#work as Work;
    const index = this.#firstItem + item;
    const delivered = slot.deliver(this.#heap, inputs, index, this.#lease(item));
    const steps = this.#steps;
    if (delivered === FAULT_NONE) steps?.input(slot.input(inputs, index), index, this.#incarnation(item));
    steps?.pause("execute");
    const declined = steps?.sequential?.(index) === true;
    const ran = delivered === FAULT_NONE ? slot.run(inputs, index, entry) : delivered;
    const fault = declined ? FAULT_INTERNAL_SEQUENTIAL : ran;
    this.#clock?.lap("guest");
    steps?.pause("settle");
    if (fault === FAULT_EXPIRED) return this.#expire(slot, item);
    if (fault === FAULT_GIVEN_UP) {
      slot.abandon();
      return this.#giveUp();
    }
    const outcome = slot.settle(inputs, index, fault, this.#records, item, this.#clock);
    if (outcome === FAULT_GIVEN_UP) return this.#giveUp();
    steps?.pause("publish");
    const task = core.finish(lowOf(slot.gasUsed), highOf(slot.gasUsed), outcome);
    this.#clock?.lap("publish");
    return task;
  }

  #giveUp(): number {
    this.#end = ITEM_GAVE_UP;
    return this.#core.giveUp();
  }

  /** Gas that the incarnation of an item which begins may spend. */
  #lease(item: number): number {
    if (this.#core.final() === 1) return Number.POSITIVE_INFINITY;
    const lease = leaseAfter(this.#records.expired(item), this.#firstLease);
    return this.#steps?.lease?.(lease) ?? lease;
  }

  /** The incarnation's lease has expired: the item runs again, or waits for its turn. */
  #expire(slot: ItemSlot, item: number): number {
    const core = this.#core;
    this.#end = ITEM_EXPIRED;
    slot.abandon();
    const found = core.recheck();
    const valid = this.#steps?.recheck?.(found, this.#firstItem + item, this.#incarnation(item)) ?? found;
    if (valid === 1) this.#records.expire(item);
    return core.expire(valid, this.#records.expired(item) >= LEASES ? 1 : 0);
  }

  /** Brings a page of the state before the batch into the base. */
  #load(page: number): void {
    const flags = new Uint8Array(this.#memory.base.buffer, 0, BASE_AT);
    for (;;) {
      const state = Atomics.load(flags, page);
      if ((state & PAGE_LOADED) !== 0) return;
      if (state === 0 && Atomics.compareExchange(flags, page, 0, PAGE_LOADING) === 0) {
        this.#steps?.pause("load");
        const { base } = this.#memory;
        const { bound, memory, start } = this.#work as Work;
        if (page * PAGE_BYTES >= bound) {
          loadCells(this.#heap, base, bound, page, start);
        } else {
          const target = new Uint8Array(base.buffer, BASE_AT + page * PAGE_BYTES, PAGE_BYTES);
          readPage(this.#heap, tableGet(this.#heap, memory, page), target);
        }
        Atomics.store(flags, page, PAGE_LOADED);
        return;
      }
      if (Atomics.load(this.#words, layout.POISON / 4) !== 0) throw POISONED;
    }
  }
}

/** The core that items see, with a step before each lookup. */
function withSteps(core: Core, steps: Steps): Core {
  const lookup = (line: number): number => {
    steps.pause("lookup");
    return core.lookup(line);
  };
  return { ...core, lookup };
}
