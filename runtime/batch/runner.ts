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
import type { LoadedProgram, Programs } from "../kernel/program.ts";
import { SLOT_BYTES_LIMIT, WASM_PAGE_BYTES } from "../limits.ts";
import { readState } from "../program/decode/state.ts";
import { contendedPlaces } from "./contended.ts";
import { countBatch, type Ending, Evidence, type UnplacedReport } from "./evidence.ts";
import { COLD_ITEMS, Experience, type Work } from "./experience.ts";
import { Leader } from "./leader.ts";
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
  /** Whether they tell from which items each has read. */
  readonly dependencies: boolean;
  /** Whether they tell how the threads' time is split. */
  readonly timing: boolean;
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
  /** Hands on how a batch ran. */
  report(report: UnplacedReport): void;
}

/** Items that are run one after the other where the engine cannot go on, or is taken. */
const HOLD_ITEMS = 1024;
/** Of them so many at once. */
const HOLD_CHUNK = 256;
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
  readonly #id: number;
  readonly #options: BatchOptions;
  readonly #helpers: Helpers;
  readonly #memory: BatchMemory | null;
  readonly #steps: Steps | null;
  readonly #makeEngine: (memory: BatchMemory) => Engine;
  #engine: Engine | null = null;
  readonly #experience = new WeakMap<LoadedProgram, Map<number, Experience>>();
  /** The batch that is on its way; what follows is about it. */
  #batch: Batch | null = null;
  #began = 0;
  /** Items to run one after the other before the next parallel run. */
  #hold = 0;
  #deaths = 0;
  #evidence = new Evidence();
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
    this.#id = id;
    this.#options = options;
    this.#helpers = helpers;
    this.#memory = memory;
    this.#steps = loadSteps(options.steps);
    this.#makeEngine = (shared) => makeEngine(heap, programs, shared, options);
  }

  /** After a collection: references outside the roots are gone. */
  forget(): void {
    this.#engine?.participant.forget();
  }

  plan(batch: Batch): number {
    const { program, rest } = batch;
    if (batch !== this.#batch) {
      this.#batch = batch;
      // A slot of its own for items is worth its memory as long as others need not give way to it.
      if (batch.memoryPages * WASM_PAGE_BYTES <= SLOT_BYTES_LIMIT / 4) batch.variant = program.loop;
      this.#hold = 0;
      this.#deaths = 0;
      this.#looping = false;
      this.#evidence = new Evidence();
      this.#began = performance.now();
    }
    if (this.#memory === null) return rest;
    if (program.batchModule === null || program.handle.stateBytes > STATE_LIMIT) return rest;
    if (this.#deaths > DEATHS_LIMIT) return rest;
    const experience = this.#experienceOf(batch);
    this.#learn(batch, experience);
    const count = Math.min(rest, this.#count(experience, rest));
    this.#hold -= Math.min(this.#hold, count);
    this.#cold = !this.#looping;
    this.#looping = count > 0;
    this.#begin(batch);
    return count;
  }

  /** What the loop has run since the last plan. */
  #learn(batch: Batch, experience: Experience): void {
    if (!this.#looping) return;
    const work = this.#work(batch);
    experience.spending.add(work);
    if (!this.#cold) experience.looped(work, this.#elapsedNs());
  }

  /** From here on time and work are counted. */
  #begin(batch: Batch): void {
    this.#from = { items: batch.next, gas: batch.outcomes.exactGas };
    this.#since = performance.now();
  }

  #elapsedNs(): number {
    return (performance.now() - this.#since) * 1e6;
  }

  /** What was done since. */
  #work(batch: Batch): Work {
    return { items: batch.next - this.#from.items, gas: batch.outcomes.exactGas - this.#from.gas };
  }

  /** How many items are run one after the other now. */
  #count(experience: Experience, rest: number): number {
    const planned = this.#steps?.plan?.();
    if (planned !== undefined) return planned;
    if (this.#options.force || this.#hold > 0) return Math.min(this.#hold, HOLD_CHUNK);
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
    const experience = this.#experienceOf(batch);
    this.#begin(batch);
    const goesOn = (): boolean => force || experience.goesOn(this.#work(batch), this.#elapsedNs());
    let ending: Ending;
    try {
      const call = (number: number): void => this.#helpers.call(number);
      ending = leader.run(batch, this.#evidence, experience.spending, goesOn, call);
    } finally {
      this.#helpers.dismiss();
    }
    experience.ran(this.#work(batch), this.#elapsedNs());
    switch (ending) {
      case "died":
        this.#deaths++;
        break;
      case "production":
        batch.variant = batch.program.production;
        this.#hold = 1;
        break;
      case "memory":
      case "conflicts":
        this.#hold = force ? 1 : HOLD_ITEMS;
    }
  }

  end(batch: Batch): void {
    const { program, start } = batch;
    // One without items was never planned.
    const planned = batch === this.#batch;
    if (planned) this.#learn(batch, this.#experienceOf(batch));
    const evidence = planned ? this.#evidence : new Evidence();
    countBatch(this.#options.counters, batch, evidence);
    if (!this.#helpers.wanted()) return;
    const { dependencies, timing } = this.#options;
    const process = this.#helpers.process();
    const bytes = this.#heap.payload(program.ref);
    const variables = evidence.contended.size > 0 ? readState(bytes).variables : [];
    const named = {
      process,
      inputs: dependencies ? Buffer.from(hashOf(this.#heap, start.inputs)).toString("hex") : null,
      contended: contendedPlaces(evidence.contended, process, program.handle.stateBytes, variables),
    };
    const milliseconds = planned ? performance.now() - this.#began : 0;
    this.#helpers.report(evidence.report(batch, named, milliseconds, timing));
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

  /** Made when the thread first leads or helps: most threads of most runtimes never do. */
  #needEngine(): Engine {
    this.#engine ??= this.#makeEngine(this.#memory as BatchMemory);
    return this.#engine;
  }

  #experienceOf({ program, start }: Batch): Experience {
    const entries = this.#experience.get(program) ?? new Map<number, Experience>();
    this.#experience.set(program, entries);
    const known = entries.get(start.entry);
    if (known !== undefined) return known;
    const workers = this.#memory?.workers ?? 1;
    const fresh = new Experience(Math.min(workers, availableParallelism()));
    entries.set(start.entry, fresh);
    return fresh;
  }
}

function makeEngine(heap: Heap, programs: Programs, memory: BatchMemory, options: BatchOptions): Engine {
  const control = new BatchControl(memory);
  const records = new Records(memory.records);
  const participant = new Participant(heap, programs, memory, records, options);
  const leader = new Leader(heap, memory, control, records, participant, options);
  return { memory, control, participant, leader };
}
