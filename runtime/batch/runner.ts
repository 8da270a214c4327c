/**
 * Who decides how the items of a batch run: one after the other in the kernel, or in parallel under a leader.
 * It looks at clocks and conflicts, and cannot change a result.
 *
 * Sequential are: batches of few items, cheap items (a scheduler costs more than they do), programs without a
 * batch variant, batches that find the engine taken. Of a program whose items are new the first are, to see
 * what they cost. A run that meets too many conflicts, or is no faster than the loop, gives way to the loop
 * for a while, longer each time.
 */

import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import type { Heap } from "../heap/heap.ts";
import { hashOf } from "../image/hash.ts";
import type { LoadedProgram, Programs } from "../kernel/program.ts";
import type { Batch, BatchRunner } from "../kernel/runner.ts";
import { readState } from "../program/state.ts";
import { contendedPlaces } from "./contended.ts";
import { type BatchReport, countBatch, type Ending, Evidence } from "./evidence.ts";
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
  /** Whether anybody wants the reports. */
  readonly reports: boolean;
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
  /** Hands on how a batch ran. */
  report(report: BatchReport): void;
}

/** Fewer items than this are not worth waking other threads. */
const ITEMS_MINIMUM = 64;
/**
 * To see what items cost so many are run one after the other, so many times. The first of a batch, which
 * bring pages in, do not count; of the others the least does: a thread that is held up takes long for
 * anything.
 */
const PROBE_ITEMS = 32;
const PROBES = 3;
/** Items that cost less are faster in a loop. */
const CHEAP_NS = 4_000;
/** Cheap items that are run before their cost is looked at again. */
const CHEAP_ITEMS = 256;
/** Items that are run one after the other when a parallel run was not worth it, at first. */
const HOLD_ITEMS = 1024;
const HOLD_LIMIT = 1 << 16;
/** A run is worth it if an item takes at most this share of its time in the loop. */
const WORTH = 0.95;
/** Windows in a row that may be slower than the loop. */
const SLOW_WINDOWS = 2;
/** Threads that may die in a batch before it is run one item after the other. */
const DEATHS_LIMIT = 5;
/** The engine holds states up to this size: base and cells must fit into one memory. */
const STATE_LIMIT = 2 ** 32 - 2 ** 27;

/** What is known of the items of a program's entry. */
interface Experience {
  /** Time of one item in the loop, in nanoseconds; 0: not known. */
  sequentialNs: number;
  /** Chunks that were measured since, and the least time of an item in one. */
  probes: number;
  least: number;
  /** How long the next hold is, in items. */
  hold: number;
}

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
  /** The loop has not run a chunk of it yet. */
  #cold = true;
  /** When the loop began with the items that it runs now, and with which. */
  #since = 0;
  #from = -1;

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
    const { program, rest, next } = batch;
    if (batch !== this.#batch) {
      this.#batch = batch;
      batch.variant = program.loop;
      this.#hold = 0;
      this.#deaths = 0;
      this.#from = -1;
      this.#cold = true;
      this.#evidence = new Evidence();
      this.#began = performance.now();
    }
    if (this.#memory === null) return rest;
    if (program.batchModule === null || program.handle.stateBytes > STATE_LIMIT) return rest;
    if (this.#deaths > DEATHS_LIMIT) return rest;
    const experience = this.#experienceOf(batch);
    if (this.#from >= 0 && next > this.#from) {
      const items = next - this.#from;
      this.#learn(experience, items, ((performance.now() - this.#since) * 1e6) / items);
    }
    const count = Math.min(rest, this.#count(experience, rest));
    this.#hold -= Math.min(this.#hold, count);
    this.#from = count === 0 ? -1 : next;
    this.#since = performance.now();
    return count;
  }

  /** `items` items in the loop took `ns` each. */
  #learn(experience: Experience, items: number, ns: number): void {
    if (items < PROBE_ITEMS) return;
    const cold = this.#cold;
    this.#cold = false;
    if (cold) return;
    experience.least = Math.min(experience.least, ns);
    if (++experience.probes < PROBES) return;
    experience.sequentialNs = experience.least;
    experience.least = Number.POSITIVE_INFINITY;
    experience.probes = 0;
  }

  /** How many items are run one after the other now. */
  #count(experience: Experience, rest: number): number {
    const { force } = this.#options;
    const planned = this.#steps?.plan?.();
    if (planned !== undefined) return planned;
    if (force || this.#hold > 0) return Math.min(this.#hold, CHEAP_ITEMS);
    if (rest < ITEMS_MINIMUM) return rest;
    if (experience.sequentialNs === 0) return PROBE_ITEMS;
    return experience.sequentialNs < CHEAP_NS ? CHEAP_ITEMS : 0;
  }

  run(batch: Batch): void {
    const { force } = this.#options;
    batch.program.makeBatch(this.#heap);
    if (batch.program.batchModule === null) return;
    const { control, leader, memory } = this.#needEngine();
    if (!control.acquire(this.#id)) {
      this.#hold = force ? 1 : HOLD_ITEMS;
      return;
    }
    const experience = this.#experienceOf(batch);
    const threads = Math.min(memory.workers, availableParallelism());
    let slow = 0;
    const goesOn = (items: number, milliseconds: number): boolean => {
      const ns = (milliseconds * 1e6) / items;
      // Items that are this fast have become cheap.
      const worth = ns < WORTH * experience.sequentialNs && threads * ns > CHEAP_NS;
      slow = worth || force ? 0 : slow + 1;
      return slow <= SLOW_WINDOWS;
    };
    let ending: Ending;
    try {
      ending = leader.run(batch, this.#evidence, goesOn, (number) => this.#helpers.call(number));
    } finally {
      this.#helpers.dismiss();
    }
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
      case "slow":
        this.#hold = force ? 1 : experience.hold;
        experience.hold = Math.min(2 * experience.hold, HOLD_LIMIT);
        break;
      default:
        experience.hold = Math.max(HOLD_ITEMS, experience.hold / 2);
    }
  }

  end(batch: Batch): void {
    const { program, start } = batch;
    // One without items was never planned.
    const planned = batch === this.#batch;
    const evidence = planned ? this.#evidence : new Evidence();
    countBatch(this.#options.counters, batch, evidence);
    const { reports, dependencies, timing } = this.#options;
    if (!reports) return;
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
        participant.run(seat + 1, control.firstItem);
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
    const fresh = { sequentialNs: 0, probes: 0, least: Number.POSITIVE_INFINITY, hold: HOLD_ITEMS };
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
