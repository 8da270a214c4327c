/**
 * Who decides how the items of a batch run: one after the other in the kernel, or in parallel under a leader.
 * It looks at clocks and conflicts, and cannot change a result.
 *
 * Sequential are: batches of few items, cheap items (a scheduler costs more than they do), programs without a
 * batch variant, batches that find the engine taken. Of an entry whose items are new the first are, to see
 * what they cost; later it is what has paid (experience.ts).
 */

import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import type { Heap } from "../heap/heap.ts";
import { hashOf } from "../image/hash.ts";
import type { Batch, BatchRunner } from "../kernel/items/batch.ts";
import type { Programs } from "../kernel/program.ts";
import { compiledLog } from "../kernel/slots/line-log.ts";
import type { SlotLimits } from "../kernel/slots/slot-pool.ts";
import { SLOT_BYTES_LIMIT, WASM_PAGE_BYTES } from "../limits.ts";
import { readState } from "../program/decode/state.ts";
import { hexOf } from "../text.ts";
import { Accesses, type Touched } from "./accesses.ts";
import { contendedPlaces } from "./contended.ts";
import { wordsOf } from "./entries.ts";
import { countBatch, type Ending, Evidence, type UnplacedReport } from "./evidence.ts";
import { COLD_ITEMS, Experience } from "./experience.ts";
import type { ItemLog } from "./item-log.ts";
import { Leader, type Watch } from "./leader.ts";
import type { Work } from "./lease.ts";
import { Participant } from "./participant.ts";
import { Records } from "./records.ts";
import { BatchControl, type BatchMemory, poison } from "./shared.ts";
import { loadSteps, type Steps } from "./steps.ts";

/** How batches are run. */
export interface BatchOptions {
  /** In parallel whatever it costs, for tests. */
  readonly force: boolean;
  /** Checks every window once more when it is committed. */
  readonly paranoid: boolean;
  /** URL of a module that is called between the steps of windows, for tests (steps.ts). */
  readonly steps: string | null;
  /** What all batches come to (evidence.ts). */
  readonly counters: SharedArrayBuffer;
  /** How many instances a thread keeps for items, and how many for their children. */
  readonly slots: SlotLimits;
  /** Whether they have the items from which each item has read. */
  readonly dependencies: boolean;
  /** Whether they have the threads' time by phase. */
  readonly timing: boolean;
  /** Whether what their items touch goes beside their reports. */
  readonly recording: boolean;
}

/** What a runner asks of the thread it lives on. */
export interface Helpers {
  /** Offers other threads to help with the batch of that number. */
  call(batch: number): void;
  /** Those that have not come need not come any more. */
  dismiss(): void;
  /** The process whose activation runs on the thread: the numbers of children from the root on. */
  process(): readonly number[];
  /** Whether anybody wants reports. */
  wanted(): boolean;
  /** Whether all items are to run one after the other: the heap has no room for incarnations in vain. */
  loops(): boolean;
  /** Hands on how a batch ran, and what its items touched. */
  report(report: UnplacedReport, touched: Touched | null): void;
  /** The activation that runs on the thread, as a record of the timeline (worker/timeline.ts). */
  span(): number;
  /** Records what this thread does in windows; null: nothing is recorded. */
  readonly log: ItemLog | null;
}

/** Items that are run one after the other where the engine cannot continue, or is taken. */
const HOLD_ITEMS = 256;
/** Threads that may die in a batch before it is run one item after the other. */
const DEATHS_LIMIT = 5;
/** The engine holds states up to this size: base and cells must fit into one memory. */
const STATE_LIMIT = 2 ** 32 - 2 ** 27;

/** The engine, as one thread sees it. */
interface Engine {
  readonly memory: BatchMemory;
  readonly control: BatchControl;
  readonly participant: Participant;
  readonly leader: Leader;
}

export class Runner implements BatchRunner {
  readonly #heap: Heap;
  readonly #programs: Programs;
  readonly #id: number;
  readonly #options: BatchOptions;
  readonly #helpers: Helpers;
  readonly #memory: BatchMemory | null;
  readonly #steps: Steps | null;
  readonly #makeEngine: (memory: BatchMemory) => Engine;
  #engine: Engine | null = null;
  /** The batch that is on its way; what follows is about it. */
  #batch: Batch | null = null;
  /** With its entry, null: nothing is to be decided. */
  #experience: Experience | null = null;
  #began = 0;
  /** Items to run one after the other before the next parallel run. */
  #hold = 0;
  #deaths = 0;
  #evidence: Evidence;
  /** The loop runs items of it now, the first ones if it is cold. */
  #looping = false;
  #cold = true;
  /** Where and when what is counted now began. */
  #from: Work = { items: 0, gas: 0 };
  #since = 0;

  /** Without `memory` batches run one item after the other. */
  constructor(
    heap: Heap,
    programs: Programs,
    memory: BatchMemory | null,
    id: number,
    options: BatchOptions,
    helpers: Helpers,
  ) {
    this.#heap = heap;
    this.#programs = programs;
    this.#id = id;
    this.#options = options;
    this.#helpers = helpers;
    this.#memory = memory;
    this.#steps = loadSteps(options.steps);
    this.#evidence = this.#newEvidence();
    this.#makeEngine = (shared) => makeEngine(heap, programs, shared, { ...options, log: helpers.log });
  }

  /** After a collection: references outside the roots are gone. */
  forget(): void {
    this.#engine?.participant.forget();
  }

  plan(batch: Batch): number {
    const { program, rest } = batch;
    if (batch !== this.#batch) {
      this.#batch = batch;
      // A slot of its own for items is worth its memory as long as no other slot is evicted for it.
      if (batch.memoryPages * WASM_PAGE_BYTES <= SLOT_BYTES_LIMIT / 4) batch.variant = program.loop;
      this.#hold = 0;
      this.#deaths = 0;
      this.#looping = false;
      this.#evidence = this.#newEvidence();
      this.#began = performance.now();
      this.#experience = this.#recall(batch);
    }
    if (this.#experience === null || this.#deaths > DEATHS_LIMIT || this.#helpers.loops()) return rest;
    this.#learn(batch, this.#experience);
    const count = Math.min(rest, this.#count(this.#experience, rest));
    this.#hold -= Math.min(this.#hold, count);
    this.#cold = !this.#looping;
    this.#looping = count > 0;
    this.#begin(batch);
    return count;
  }

  /** What is known of the batch's entry, null if its items cannot be run in parallel. */
  #recall({ program, start }: Batch): Experience | null {
    const memory = this.#memory;
    if (memory === null || program.batchModule === null) return null;
    if (program.handle.stateBytes > STATE_LIMIT) return null;
    const threads = Math.min(memory.workers, availableParallelism());
    return new Experience(wordsOf(memory.entries, program, start.entry), threads);
  }

  /** What the loop has run since the last plan. */
  #learn(batch: Batch, experience: Experience): void {
    if (!this.#looping) return;
    const { work, ns } = this.#done(batch);
    experience.spending.add(work);
    if (!this.#cold) experience.looped(work, ns);
  }

  /** From here on time and work are counted. */
  #begin(batch: Batch): void {
    this.#from = { items: batch.next, gas: batch.outcomes.exactGas };
    this.#since = performance.now();
  }

  /** What was done since, and in how long. */
  #done(batch: Batch): { readonly work: Work; readonly ns: number } {
    const work = { items: batch.next - this.#from.items, gas: batch.outcomes.exactGas - this.#from.gas };
    return { work, ns: (performance.now() - this.#since) * 1e6 };
  }

  /** How many items are run one after the other now. */
  #count(experience: Experience, rest: number): number {
    const planned = this.#steps?.plan?.();
    if (planned !== undefined) return planned;
    if (this.#options.force || this.#hold > 0) return this.#hold;
    const count = experience.plan(rest);
    return this.#looping ? count : Math.min(count, COLD_ITEMS);
  }

  run(batch: Batch): void {
    const { force } = this.#options;
    batch.program.makeBatch(this.#heap);
    if (batch.program.batchModule === null) return;
    const { control, leader } = this.#needEngine();
    if (!control.acquire(this.#id)) {
      this.#hold = force ? 1 : HOLD_ITEMS;
      return;
    }
    const experience = this.#experience as Experience;
    let ending: Ending;
    try {
      const call = (number: number): void => this.#helpers.call(number);
      const watch = this.#watch(batch, experience);
      ending = leader.run(batch, this.#evidence, experience.spending, watch, call);
    } finally {
      this.#helpers.dismiss();
    }
    experience.ran(this.#done(batch).ns);
    switch (ending) {
      case "died":
        this.#deaths++;
        break;
      case "sequential":
        batch.variant = batch.program.sequential;
        this.#hold = 1;
        break;
      case "memory":
      case "conflicts":
        this.#hold = force ? 1 : HOLD_ITEMS;
    }
  }

  /** Reports the progress of a run to the experience, which decides whether it continues. */
  #watch(batch: Batch, experience: Experience): Watch {
    const done = (): { readonly work: Work; readonly ns: number } => {
      const since = this.#done(batch);
      this.#begin(batch);
      return since;
    };
    return {
      began: () => experience.began(done().ns),
      windowed: () => {
        const { work, ns } = done();
        return experience.windowed(work, ns) || this.#options.force;
      },
    };
  }

  end(batch: Batch): void {
    const { program, start } = batch;
    // One without items, or without gas, was never planned.
    const planned = batch === this.#batch;
    if (planned && this.#experience !== null) this.#learn(batch, this.#experience);
    const evidence = planned ? this.#evidence : this.#newEvidence();
    countBatch(this.#options.counters, batch, evidence);
    if (!this.#helpers.wanted()) return;
    const { dependencies, timing } = this.#options;
    const { accesses } = evidence;
    const process = this.#helpers.process();
    const bytes = this.#heap.payload(program.ref);
    const isNamed = evidence.contended.size > 0 || accesses !== null;
    const variables = isNamed ? readState(bytes).variables : [];
    const { stateBytes } = program.handle;
    const named = {
      process,
      inputs: dependencies ? hexOf(hashOf(this.#heap, start.inputs)) : null,
      contended: contendedPlaces(evidence.contended, process, stateBytes, variables),
    };
    const milliseconds = planned ? performance.now() - this.#began : 0;
    const touched = accesses?.touched(process, stateBytes, variables, this.#helpers.span()) ?? null;
    this.#helpers.report(evidence.report(batch, named, milliseconds, timing), touched);
  }

  #newEvidence(): Evidence {
    return new Evidence(this.#options.recording ? new Accesses() : null);
  }

  /** Helps with the batch of that number until it ends. */
  assist(number: number): void {
    const { memory, control, participant } = this.#needEngine();
    const seat = control.sit(this.#id, number);
    if (seat < 0) return;
    let inside = false;
    try {
      participant.begin(control.description);
      for (let window = control.join(seat, number, 0); window !== 0; ) {
        inside = true;
        participant.run(seat + 1, control.firstItem, control.lease);
        inside = false;
        control.exit(seat);
        window = control.join(seat, number, window);
      }
    } finally {
      // What this thread had taken nobody else will do.
      if (inside) poison(memory.core);
      control.leave(seat);
    }
  }

  /** Makes what the first batch needs, for the programs of genesis that have state. */
  prepare(): void {
    const programs = this.#programs.withState();
    for (const { handle } of programs) compiledLog(handle.stateBytes);
    this.#needEngine().participant.prepare(programs);
  }

  /** Made before the first batch, or when the thread first leads or helps: most threads never do. */
  #needEngine(): Engine {
    this.#engine ??= this.#makeEngine(this.#memory as BatchMemory);
    return this.#engine;
  }
}

function makeEngine(
  heap: Heap,
  programs: Programs,
  memory: BatchMemory,
  options: BatchOptions & Pick<Helpers, "log">,
): Engine {
  const control = new BatchControl(memory);
  const records = new Records(memory.records);
  const participant = new Participant(heap, programs, memory, records, options);
  const leader = new Leader(heap, memory, control, records, participant, options);
  return { memory, control, participant, leader };
}
