/**
 * A thread that takes part in windows on real shared memory: what work.ts does, with plain calls, a base
 * that is shared bytes, and sleep when there is nothing to do. Who drives it is crowd.ts.
 */

import { parentPort, workerData } from "node:worker_threads";
import { type Core, instantiateCore } from "../../runtime/batch/core.ts";
import {
  ENTRY_BYTES,
  ENTRY_FLAGS,
  ENTRY_LINE,
  ENTRY_SIZE,
  ENTRY_VERSION,
  ENTRY_WRITTEN,
  ITEM_LOG,
  ITEM_LOG_END,
  ITEM_SIZE,
  ITEMS,
  LINE_BYTES,
  SLEEPERS,
  TASK_DONE,
  TASK_EXECUTE,
  TASK_IDLE,
  TASK_ITEM_SHIFT,
  TASK_KIND_MASK,
  VERSION_BYTES,
  WAKE,
  WORKER_AMOUNTS,
  WORKER_SIZE,
  WORKERS,
} from "../../runtime/batch/layout.ts";
import { Random } from "../program/random.ts";
import { type Description, programsOf } from "./scenario.ts";
import { apply, MAX, type Program, type Step } from "./work.ts";

/**
 * Words of the control block: number of the round, threads that have left it, threads that have come, ever.
 */
export const ROUND = 0;
export const LEFT = 1;
export const CAME = 2;

export interface ThreadData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly base: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
  readonly worker: number;
  readonly threads: number;
  readonly description: Description;
}

/** Goes into round `round` together with all others. */
export function meet(control: Int32Array, threads: number, round: number): void {
  Atomics.add(control, CAME, 1);
  Atomics.notify(control, CAME);
  for (let came = 0, turns = 0; came < threads * round; turns++) {
    came = Atomics.load(control, CAME);
    if (turns > 2000 && came < threads * round) Atomics.wait(control, CAME, came);
  }
}

const LINE_WORDS = LINE_BYTES / 4;

export class Participant {
  readonly core: Core;
  readonly #core: Uint32Array;
  readonly #wake: Int32Array;
  readonly #base: Uint32Array;
  readonly #worker: number;
  readonly #random: Random;
  readonly #delays: number;
  /** Lines hold an integer and zeros, else the same word sixteen times. */
  readonly #integers: boolean;
  readonly #lease: number;
  /** Incarnations that this thread found expired and right, by item. */
  readonly #renewed = new Map<number, number>();

  constructor({ module, memory, base, worker, description }: Omit<ThreadData, "control" | "threads">) {
    this.#core = new Uint32Array(memory.buffer);
    this.#wake = new Int32Array(memory.buffer);
    this.#base = new Uint32Array(base);
    this.#worker = worker;
    this.#random = new Random(description.seed + worker);
    this.#delays = description.delays;
    this.#integers = description.kind === "fees";
    this.#lease = description.lease ?? Infinity;
    this.core = instantiateCore(module, memory, {
      equals: (line, address) => {
        for (let i = 0; i < LINE_WORDS; i++) {
          if (this.#base[line * LINE_WORDS + i] !== this.#core[(address >>> 2) + i]) return 0;
        }
        return 1;
      },
      read: (line, address) => {
        for (let i = 0; i < LINE_WORDS; i++) {
          this.#core[(address >>> 2) + i] = this.#base[line * LINE_WORDS + i]!;
        }
      },
    });
  }

  /** Works until the window is done. */
  run(programs: readonly Program[]): void {
    const { core } = this;
    core.enter(this.#worker);
    this.#renewed.clear();
    this.#commit();
    let seen = Atomics.load(this.#wake, WAKE / 4);
    let task = core.next();
    for (;;) {
      this.#delay();
      const item = task >>> TASK_ITEM_SHIFT;
      const kind = task & TASK_KIND_MASK;
      if (kind === TASK_DONE) return;
      if (kind === TASK_IDLE) {
        Atomics.add(this.#wake, SLEEPERS / 4, 1);
        Atomics.wait(this.#wake, WAKE / 4, seen); // for ever, if nobody wakes it
        Atomics.sub(this.#wake, SLEEPERS / 4, 1);
        seen = Atomics.load(this.#wake, WAKE / 4);
        task = core.next();
        continue;
      }
      seen = Atomics.load(this.#wake, WAKE / 4);
      if (kind === TASK_EXECUTE) {
        task = this.#execute(item, programs[item]!);
      } else {
        const ok = core.validate();
        this.#delay();
        task = core.finishValidation(ok);
        this.#commit();
      }
    }
  }

  #execute(item: number, program: Program): number {
    const { core } = this;
    const memory = this.#core;
    const lines = new Map<number, { entry: number; value: number }>();
    const run = program();
    const final = core.final() === 1;
    const renewed = this.#renewed.get(item) ?? 0;
    let steps = final ? Infinity : this.#lease * (renewed + 1);
    let result = run.next();
    while (!result.done) {
      if (steps-- <= 0) {
        const ok = core.recheck();
        this.#renewed.set(item, renewed + ok);
        this.#delay();
        return core.expire(ok, renewed > 0 ? 1 : 0);
      }
      const { line, add } = result.value;
      let known = lines.get(line);
      if (known === undefined && add !== undefined) {
        this.#delay();
        const applied = this.#accumulate(result.value, add);
        if (applied < 0) return core.giveUp();
        result = run.next(applied);
        continue;
      }
      if (known === undefined) {
        this.#delay();
        const entry = core.lookup(line);
        if (entry === 0) return core.giveUp();
        if (memory[(entry + ENTRY_VERSION) >>> 2] === 0) {
          for (let i = 0; i < LINE_WORDS; i++) {
            memory[((entry + ENTRY_BYTES) >>> 2) + i] = this.#base[line * LINE_WORDS + i]!;
          }
        }
        // Torn bytes are a value like any other, until they are validated.
        const shown = memory[(entry + ENTRY_FLAGS) >>> 2]! || entry + ENTRY_BYTES;
        known = { entry, value: memory[shown >>> 2]! };
        lines.set(line, known);
      }
      const [value, answer] = apply(known.value, result.value);
      known.value = value >>> 0;
      result = run.next(answer);
    }
    for (const { entry, value } of lines.values()) {
      if (value === memory[(entry + ENTRY_BYTES) >>> 2]) continue;
      const to = core.version(entry);
      if (to === 0) return core.giveUp();
      for (let i = 0; i < LINE_WORDS; i++) memory[(to >>> 2) + i] = this.#integers && i > 0 ? 0 : value;
    }
    this.#delay();
    return core.finish(result.value, 0, item + 1);
  }

  #accumulate({ line, min = 0, max = MAX }: Step, add: number): number {
    const at = WORKERS + this.#worker * WORKER_SIZE + WORKER_AMOUNTS;
    this.#core.fill(0, at >>> 2, (at >>> 2) + 24);
    for (const [i, amount] of [Math.abs(add), min, max].entries()) this.#core[(at >>> 2) + i * 8] = amount;
    return this.core.accumulate(line, 0, 8, add < 0 ? 1 : 0, at, at + 32, at + 64);
  }

  #commit(): void {
    const memory = this.#core;
    for (let item = this.core.commit(); item >= 0; item = this.core.commit()) {
      const record = (ITEMS + item * ITEM_SIZE) >>> 2;
      const end = memory[record + ITEM_LOG_END / 4]!;
      for (let entry = memory[record + ITEM_LOG / 4]!; entry < end; entry += ENTRY_SIZE) {
        const written = memory[(entry + ENTRY_WRITTEN) >>> 2]!;
        if (written === 0) continue;
        const line = memory[(entry + ENTRY_LINE) >>> 2]!;
        for (let i = 0; i < LINE_WORDS; i++) {
          this.#base[line * LINE_WORDS + i] = memory[((written + VERSION_BYTES) >>> 2) + i]!;
        }
      }
    }
  }

  /** Now and then some microseconds, or the rest of the time slice. */
  #delay(): void {
    if (this.#delays === 0 || !this.#random.chance(this.#delays)) return;
    if (this.#random.chance(2)) Atomics.wait(idle, 0, 0, 0.05);
    else for (let turns = this.#random.below(4000); turns > 0; turns--) Atomics.load(idle, 0);
  }
}

const idle = new Int32Array(new SharedArrayBuffer(4));

if (parentPort !== null && workerData?.control !== undefined) {
  const data = workerData as ThreadData;
  const control = new Int32Array(data.control);
  const participant = new Participant(data);
  const programs = programsOf(data.description);
  for (let round = 0; ; ) {
    for (let turns = 0; Atomics.load(control, ROUND) === round; turns++) {
      if (turns > 2000) Atomics.wait(control, ROUND, round);
    }
    round = Atomics.load(control, ROUND);
    if (round < 0) break;
    meet(control, data.threads, round);
    participant.run(programs);
    Atomics.add(control, LEFT, 1);
    Atomics.notify(control, LEFT);
  }
}
