/**
 * Who decides how the items of a batch run: one after the other in the kernel, or in parallel under a leader.
 * It looks at clocks and conflicts, and cannot change a result.
 *
 * Sequential are: batches of few items, cheap items (a scheduler costs more than they do), programs without a
 * batch variant, batches that find the engine taken. Of a program whose items are new the first are, to see
 * what they cost. A run that meets too many conflicts, or is no faster than the loop, gives way to the loop
 * for a while, longer each time.
 */

import { performance } from "node:perf_hooks";
import type { Heap } from "../heap/heap.ts";
import { hashOf } from "../image/hash.ts";
import type { LoadedProgram, Programs } from "../kernel/program.ts";
import type { Batch, BatchRunner } from "../kernel/runner.ts";
import { BASE_AT } from "./bridge.ts";
import { type BatchReport, countBatch, type Ending, Evidence } from "./evidence.ts";
import { Leader } from "./leader.ts";
import { Participant } from "./participant.ts";
import { Records } from "./records.ts";
import { BatchControl, type BatchMemory, poison } from "./shared.ts";

/** How batches are run. */
export interface BatchOptions {
  /** In parallel whatever it costs, for tests. */
  readonly force: boolean;
  /** Checks every window once more when it is committed. */
  readonly paranoid: boolean;
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
  /** Hands on how a batch ran. */
  report(report: BatchReport): void;
}

/** Fewer items than this are not worth waking other threads. */
const ITEMS_MINIMUM = 48;
/** Items that are run one after the other to see what they cost. */
const PROBE_ITEMS = 32;
/** Items that cost less are faster in a loop. */
const CHEAP_NS = 4_000;
/** Items that are run one after the other when a parallel run was not worth it, at first. */
const HOLD_ITEMS = 512;
const HOLD_LIMIT = 1 << 16;
/** Threads that may die in a batch before it is run one item after the other. */
const DEATHS_LIMIT = 5;
/** The engine holds states up to this size. */
const STATE_LIMIT = 2 ** 32 - BASE_AT - 65536;

/** What is known of a program's items. */
interface Experience {
  /** Time of one item in the loop. */
  sequentialNs: number;
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
  readonly #engine: Engine | null;
  readonly #experience = new WeakMap<LoadedProgram, Experience>();
  /** The batch that is on its way; what follows is about it. */
  #batch: Batch | null = null;
  #began = 0;
  /** Items to run one after the other before the next parallel run. */
  #hold = 0;
  #deaths = 0;
  #evidence = new Evidence();
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
    this.#engine = memory === null ? null : makeEngine(heap, programs, memory, options);
  }

  /** After a collection: references outside the roots are gone. */
  forget(): void {
    this.#engine?.participant.forget();
  }

  plan(batch: Batch): number {
    const { handle } = batch.program;
    const { rest, next } = batch;
    if (batch !== this.#batch) {
      this.#batch = batch;
      this.#hold = 0;
      this.#deaths = 0;
      this.#from = -1;
      this.#evidence = new Evidence();
      this.#began = performance.now();
    }
    if (this.#engine === null) return rest;
    if (handle.batchModule === null || handle.stateBytes > STATE_LIMIT) return rest;
    if (this.#deaths > DEATHS_LIMIT) return rest;
    const experience = this.#experienceOf(batch.program);
    if (this.#from >= 0 && next > this.#from) {
      experience.sequentialNs = ((performance.now() - this.#since) * 1e6) / (next - this.#from);
    }
    const count = Math.min(rest, this.#count(experience, rest));
    this.#hold -= Math.min(this.#hold, count);
    this.#from = count === 0 ? -1 : next;
    this.#since = performance.now();
    return count;
  }

  /** How many items are run one after the other now. */
  #count(experience: Experience, rest: number): number {
    if (this.#hold > 0) return this.#hold;
    if (this.#options.force) return 0;
    if (rest < ITEMS_MINIMUM) return rest;
    if (experience.sequentialNs === 0) return PROBE_ITEMS;
    return experience.sequentialNs < CHEAP_NS ? HOLD_ITEMS : 0;
  }

  run(batch: Batch): void {
    const { force } = this.#options;
    const { control, leader } = this.#engine as Engine;
    if (!control.acquire(this.#id)) {
      this.#hold = force ? 1 : HOLD_ITEMS;
      return;
    }
    const first = batch.next;
    const began = performance.now();
    let ending: Ending;
    try {
      ending = leader.run(batch, this.#evidence, (number) => this.#helpers.call(number));
    } finally {
      this.#helpers.dismiss();
    }
    if (ending === "died") this.#deaths++;
    if (ending === "production") this.#hold = 1;
    if (ending === "memory" || ending === "conflicts") this.#hold = force ? 1 : HOLD_ITEMS;
    if (force) return;
    const experience = this.#experienceOf(batch.program);
    const ns = ((performance.now() - began) * 1e6) / Math.max(1, batch.next - first);
    if (ending === "conflicts" || ns > experience.sequentialNs) {
      this.#hold = Math.max(this.#hold, experience.hold);
      experience.hold = Math.min(2 * experience.hold, HOLD_LIMIT);
    } else if (ending === "done") {
      experience.hold = HOLD_ITEMS;
    }
  }

  end(batch: Batch): void {
    const { program, start, inputs } = batch;
    const evidence = batch === this.#batch ? this.#evidence : new Evidence();
    countBatch(this.#options.counters, inputs.count, evidence);
    if (!this.#options.reports) return;
    const named = {
      program: program.handle.hashHex,
      entry: program.handle.entries[start.entry] as string,
      inputs: this.#options.dependencies
        ? Buffer.from(hashOf(this.#heap, start.inputs)).toString("hex")
        : null,
      items: inputs.count,
    };
    this.#helpers.report(evidence.report(named, performance.now() - this.#began, this.#options.timing));
  }

  /** Helps with the batch of that number until it ends. */
  assist(number: number): void {
    const { memory, control, participant } = this.#engine as Engine;
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

  #experienceOf(program: LoadedProgram): Experience {
    let experience = this.#experience.get(program);
    if (experience === undefined) {
      experience = { sequentialNs: 0, hold: HOLD_ITEMS };
      this.#experience.set(program, experience);
    }
    return experience;
  }
}

function makeEngine(heap: Heap, programs: Programs, memory: BatchMemory, options: BatchOptions): Engine {
  const control = new BatchControl(memory);
  const records = new Records(memory.records);
  const participant = new Participant(heap, programs, memory, records, options.timing);
  const leader = new Leader(heap, memory, control, records, participant, options);
  return { memory, control, participant, leader };
}
