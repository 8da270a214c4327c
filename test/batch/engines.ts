/**
 * The core and its specification behind one interface: calls as in runtime/batch/layout.ts, where a line
 * holds a number. The core's lines are filled with bytes that all depend on that number. Both in lockstep:
 * lockstep.ts.
 */

import assert from "node:assert/strict";
import { type Core, coreMemory, coreModule, instantiateCore } from "../../runtime/batch/core.ts";
import {
  APPLIED,
  COMMITTED,
  CUT,
  ENTRY_BYTES,
  ENTRY_FLAGS,
  ENTRY_LINE,
  ENTRY_SIZE,
  ENTRY_VERSION,
  ENTRY_WRITTEN,
  GAS_LEFT,
  GAS_TOTAL,
  ITEM_GAS,
  ITEM_LIMIT,
  ITEM_LOG,
  ITEM_LOG_END,
  ITEM_OUTCOME,
  ITEM_SIZE,
  ITEMS,
  LINE_BYTES,
  POISON,
  RERUN_LIMIT,
  SPIN_LIMIT,
  STOP,
  VERSION_BYTES,
  WORKER_ABORTS,
  WORKER_AMOUNTS,
  WORKER_EXECUTIONS,
  WORKER_EXPIRED,
  WORKER_GIVEN_UP,
  WORKER_RENEWED,
  WORKER_SIZE,
  WORKER_VALIDATIONS,
  WORKERS,
  WORKERS_LIMIT,
} from "../../runtime/batch/layout.ts";
import { Worker } from "./spec.ts";
import { type Defect, type Entry, Window } from "./spec-window.ts";
import type { Steps } from "./steps.ts";

export interface Settings {
  readonly workers: number;
  readonly limits: readonly number[];
  readonly gasTotal: number;
  readonly gasLeft: number;
  readonly spinLimit: number;
  readonly rerunLimit: number;
  readonly hints: readonly (readonly [item: number, lower: number])[];
  readonly base: Map<number, number>;
  /** Steps that an item may take unless what it reads is final; then twice as many. Left out: all. */
  readonly lease?: number;
  readonly defect?: Defect | null;
}

/** What is read of a line, what the item is to see there, and the handle of its log entry. */
export interface Access<E> {
  readonly entry: E;
  readonly value: number;
  readonly shown: number;
}

/** One worker's view. Others may act before each call. */
export interface Engine<E = unknown> {
  enter(): void;
  next(): Steps<number>;
  lookup(line: number): Steps<Access<E> | null>;
  version(entry: E, value: number): void;
  accumulate(line: number, delta: number, min: number, max: number): Steps<number>;
  withdraw(): void;
  finish(gas: number, outcome: number): Steps<number>;
  giveUp(): Steps<number>;
  final(): Steps<number>;
  recheck(): Steps<number>;
  expire(ok: number, last: number): Steps<number>;
  validate(): Steps<number>;
  finishValidation(ok: number): Steps<number>;
  commit(): Steps<number>;
  /** What a committed item left, in the order of its log. */
  writes(item: number): [line: number, value: number][];
}

export interface Totals {
  readonly executions: number;
  readonly validations: number;
  readonly aborts: number;
  readonly givenUp: number;
  readonly expired: number;
  readonly renewed: number;
}

/** A window under test. */
export interface Subject {
  readonly workers: readonly Engine[];
  committed(): number;
  applied(): number;
  stopped(): number;
  cut(): number;
  gasLeft(): number;
  outcome(item: number): { gas: number; outcome: number };
  poison(): void;
}

// ---- the core ---------------------------------------------------------------------------------------------

const module = await coreModule();

/** From here on lines hold one integer of 8, 16 or 32 bytes, and zeros. */
export const INTEGER_LINES = 1 << 16;

/** Where in its line the integer lies, in bytes. */
export function integerOf(line: number): { offset: number; width: number } {
  const width = [8, 16, 32][line % 3]!;
  return { offset: ((line >>> 2) % (LINE_BYTES / width)) * width, width };
}

/** A number as the 64 bytes of a line. */
export function fill(words: Uint32Array, at: number, line: number, value: number): void {
  const integer = line >= INTEGER_LINES;
  for (let i = 0; i < LINE_BYTES / 4; i++) {
    words[at / 4 + i] = integer ? 0 : (value + i * 0x01000193 * value) >>> 0;
  }
  if (integer) words[(at + integerOf(line).offset) / 4] = value;
}

/** The number in the 64 bytes of a line. */
function numberIn(words: Uint32Array, at: number, line: number): number {
  return words[(at + (line >= INTEGER_LINES ? integerOf(line).offset : 0)) / 4]!;
}

export class CoreMemory {
  readonly memory: WebAssembly.Memory;
  readonly words: Uint32Array;
  readonly longs: BigUint64Array;

  constructor(memory: WebAssembly.Memory = coreMemory(8, 1 << 20)) {
    this.memory = memory;
    this.words = new Uint32Array(memory.buffer);
    this.longs = new BigUint64Array(memory.buffer);
  }

  word(address: number): number {
    return this.words[address / 4]!;
  }

  prepare(settings: Omit<Settings, "base" | "hints" | "workers">): void {
    this.longs[GAS_TOTAL / 8] = BigInt(settings.gasTotal);
    this.longs[GAS_LEFT / 8] = BigInt(settings.gasLeft);
    this.words[SPIN_LIMIT / 4] = settings.spinLimit;
    this.words[RERUN_LIMIT / 4] = settings.rerunLimit;
    this.words[POISON / 4] = 0;
    for (const [item, limit] of settings.limits.entries()) {
      this.longs[(ITEMS + item * ITEM_SIZE + ITEM_LIMIT) / 8] = BigInt(limit);
    }
  }

  writes(item: number): [number, number][] {
    const record = ITEMS + item * ITEM_SIZE;
    const writes: [number, number][] = [];
    for (
      let entry = this.word(record + ITEM_LOG);
      entry < this.word(record + ITEM_LOG_END);
      entry += ENTRY_SIZE
    ) {
      const written = this.word(entry + ENTRY_WRITTEN);
      if (written === 0) continue;
      const line = this.word(entry + ENTRY_LINE);
      const value = numberIn(this.words, written + VERSION_BYTES, line);
      fill(scratch, 0, line, value);
      for (let i = 0; i < LINE_BYTES / 4; i++) {
        assert.equal(this.word(written + VERSION_BYTES + 4 * i), scratch[i]);
      }
      writes.push([line, value]);
    }
    return writes;
  }

  /** Counters of all workers together. */
  totals(): Totals {
    const sum = (counter: number): number => {
      let total = 0;
      for (let worker = 0; worker < WORKERS_LIMIT; worker++) {
        total += this.word(WORKERS + worker * WORKER_SIZE + counter);
      }
      return total;
    };
    return {
      executions: sum(WORKER_EXECUTIONS),
      validations: sum(WORKER_VALIDATIONS),
      aborts: sum(WORKER_ABORTS),
      givenUp: sum(WORKER_GIVEN_UP),
      expired: sum(WORKER_EXPIRED),
      renewed: sum(WORKER_RENEWED),
    };
  }
}

const scratch = new Uint32Array(LINE_BYTES / 4);

/** Instances on one memory, one for each virtual worker; kept from window to window. */
export class CoreSubject implements Subject {
  readonly memory = new CoreMemory();
  readonly workers: CoreEngine[] = [];
  base = new Map<number, number>();

  begin(settings: Settings): this {
    const { memory } = this;
    this.base = settings.base;
    while (this.workers.length < settings.workers) {
      this.workers.push(new CoreEngine(this, this.workers.length));
    }
    memory.prepare(settings);
    const { core } = this.workers[0]!;
    core.reset(settings.limits.length, settings.workers);
    for (const [item, lower] of settings.hints) core.hint(item, lower);
    return this;
  }

  /** Addresses of the log entries of an item. */
  log(item: number): number[] {
    const record = ITEMS + item * ITEM_SIZE;
    const [begin, end] = [this.memory.word(record + ITEM_LOG), this.memory.word(record + ITEM_LOG_END)];
    return Array.from({ length: (end - begin) / ENTRY_SIZE }, (_, i) => begin + i * ENTRY_SIZE);
  }

  committed = () => this.memory.word(COMMITTED);
  applied = () => this.memory.word(APPLIED);
  stopped = () => this.memory.word(STOP);
  cut = () => this.memory.word(CUT) | 0;
  gasLeft = () => Number(this.memory.longs[GAS_LEFT / 8]);
  outcome = (item: number) => ({
    gas: Number(this.memory.longs[(ITEMS + item * ITEM_SIZE + ITEM_GAS) / 8]),
    outcome: this.memory.word(ITEMS + item * ITEM_SIZE + ITEM_OUTCOME),
  });
  poison = () => {
    this.memory.words[POISON / 4] = 1;
  };
}

/** What returns a task or another answer. */
export type Call =
  | "next"
  | "lookup"
  | "accumulate"
  | "finish"
  | "giveUp"
  | "final"
  | "recheck"
  | "expire"
  | "validate"
  | "finishValidation"
  | "commit";

export class CoreEngine implements Engine<number> {
  readonly core: Core;
  readonly #subject: CoreSubject;
  readonly #number: number;

  constructor(subject: CoreSubject, number: number, instantiate = instantiateCore) {
    this.#subject = subject;
    this.#number = number;
    this.core = instantiate(module, subject.memory.memory, {
      equals: (line, address) => {
        fill(scratch, 0, line, subject.base.get(line) ?? 0);
        return scratch.every((word, i) => word === subject.memory.word(address + 4 * i)) ? 1 : 0;
      },
      read: (line, address) => fill(subject.memory.words, address, line, subject.base.get(line) ?? 0),
    });
  }

  /** Calls an export; others may act before. */
  protected *call(name: Call, ...parameters: number[]): Steps<number> {
    yield;
    return (this.core[name] as (...parameters: number[]) => number)(...parameters);
  }

  enter(): void {
    this.core.enter(this.#number);
  }

  *next(): Steps<number> {
    return yield* this.call("next");
  }

  *lookup(line: number): Steps<Access<number> | null> {
    const { memory, base } = this.#subject;
    const entry = yield* this.call("lookup", line);
    if (entry === 0) return null;
    if (memory.word(entry + ENTRY_VERSION) === 0) {
      fill(memory.words, entry + ENTRY_BYTES, line, base.get(line) ?? 0);
    }
    const value = numberIn(memory.words, entry + ENTRY_BYTES, line);
    const flags = memory.word(entry + ENTRY_FLAGS);
    return { entry, value, shown: flags === 0 ? value : numberIn(memory.words, flags, line) };
  }

  version(entry: number, value: number): void {
    const address = this.core.version(entry);
    assert.notEqual(address, 0);
    const { words } = this.#subject.memory;
    fill(words, address, words[(entry + ENTRY_LINE) / 4]!, value);
  }

  *accumulate(line: number, delta: number, min: number, max: number): Steps<number> {
    const { words } = this.#subject.memory;
    const { offset, width } = integerOf(line);
    const at = WORKERS + this.#number * WORKER_SIZE + WORKER_AMOUNTS;
    words.fill(0, at / 4, at / 4 + 24);
    for (const [i, amount] of [Math.abs(delta), min, max].entries()) words[at / 4 + i * 8] = amount;
    const subtracts = delta < 0 ? 1 : 0;
    return yield* this.call("accumulate", line, offset, width, subtracts, at, at + 32, at + 64);
  }

  withdraw(): void {
    this.core.withdraw();
  }

  *finish(gas: number, outcome: number): Steps<number> {
    return yield* this.call("finish", gas, 0, outcome);
  }

  *giveUp(): Steps<number> {
    return yield* this.call("giveUp");
  }

  *final(): Steps<number> {
    return yield* this.call("final");
  }

  *recheck(): Steps<number> {
    return yield* this.call("recheck");
  }

  *expire(ok: number, last: number): Steps<number> {
    return yield* this.call("expire", ok, last);
  }

  *validate(): Steps<number> {
    return yield* this.call("validate");
  }

  *finishValidation(ok: number): Steps<number> {
    return yield* this.call("finishValidation", ok);
  }

  *commit(): Steps<number> {
    return yield* this.call("commit");
  }

  writes(item: number): [number, number][] {
    return this.#subject.memory.writes(item);
  }
}

// ---- the specification ------------------------------------------------------------------------------------

export class SpecSubject implements Subject {
  readonly window: Window;
  readonly workers: SpecEngine[];

  constructor(settings: Settings) {
    this.window = new Window({ ...settings, base: (line) => settings.base.get(line) ?? 0 });
    for (const [item, lower] of settings.hints) this.window.hint(item, lower);
    this.workers = Array.from({ length: settings.workers }, () => new SpecEngine(this.window));
  }

  committed = () => this.window.committed.value;
  applied = () => this.window.applied.value;
  stopped = () => this.window.stop;
  cut = () => this.window.cut;
  gasLeft = () => this.window.gasLeft;
  outcome = (item: number) => this.window.items[item]!;
  poison = () => {
    this.window.poison = 1;
  };
}

export class SpecEngine implements Engine<Entry> {
  readonly worker: Worker;
  readonly #window: Window;

  constructor(window: Window) {
    this.#window = window;
    this.worker = new Worker(window);
  }

  enter(): void {}
  next = () => this.worker.next();
  finish = (gas: number, outcome: number) => this.worker.finish(gas, outcome);
  giveUp = () => this.worker.giveUp();
  final = () => this.worker.final();
  recheck = () => this.worker.recheck();
  expire = (ok: number, last: number) => this.worker.expire(ok, last);
  validate = () => this.worker.validate();
  finishValidation = (ok: number) => this.worker.finishValidation(ok);
  commit = () => this.worker.commit();
  version = (entry: Entry, value: number) => this.worker.version(entry, value);

  withdraw = () => this.worker.withdraw();

  *lookup(line: number): Steps<Access<Entry> | null> {
    const found = yield* this.worker.lookup(line);
    if (found === null) return null;
    const [entry, shown] = found;
    return { entry, value: entry.value >>> 0, shown: shown >>> 0 };
  }

  *accumulate(line: number, delta: number, min: number, max: number): Steps<number> {
    const applied = yield* this.worker.accumulate(line, delta, min, max);
    return applied === null ? -1 : Number(applied);
  }

  writes(item: number): [number, number][] {
    const log = this.#window.items[item]!.log.value ?? [];
    return log.flatMap(({ line, written }) => (written === null ? [] : [[line, written.value]]));
  }
}
