/**
 * What workers do with the core, and items for them: programs that read and write numbers in lines. The
 * loop that one worker runs is a generator, so that a test decides who takes the next step.
 */

import assert from "node:assert/strict";
import {
  TASK_DONE,
  TASK_EXECUTE,
  TASK_IDLE,
  TASK_ITEM_SHIFT,
  TASK_KIND_MASK,
  TASK_VALIDATE,
} from "../../runtime/batch/layout.ts";
import type { Engine } from "./engines.ts";
import type { Steps } from "./steps.ts";

/**
 * Reads a line; the answer is its number. Or writes one. Or adds to one if the result is from `min` to
 * `max`; the answer is 1 if it is, else 0.
 */
export interface Step {
  readonly line: number;
  readonly write?: number;
  readonly add?: number;
  readonly min?: number;
  readonly max?: number;
}

/** What an item returns that faulted: its writes vanish. */
export const FAULT = -1;
export const MAX = 2 ** 31 - 1;

/** The line's number after a step, and the answer. */
export function apply(
  value: number,
  { write, add, min = 0, max = MAX }: Step,
): [value: number, answer: number] {
  if (write !== undefined) return [write, write];
  if (add === undefined) return [value, value];
  return value + add >= min && value + add <= max ? [value + add, 1] : [value, 0];
}

/** An item: a generator of reads and writes that returns the gas it used. */
export type Program = () => Generator<Step, number, number>;

export const LIMIT = 1000;

/** What the items leave when they run one after the other. */
export class Reference {
  /** The lines after each item, those before it first. */
  readonly prefixes: Map<number, number>[];
  readonly gas: number[] = [];
  /** Items that run: from there on the gas does not suffice. */
  readonly end: number;

  constructor(
    programs: readonly Program[],
    base: ReadonlyMap<number, number>,
    limits: readonly number[],
    gasTotal: number,
    gasLeft: number,
  ) {
    const lines = new Map(base);
    this.prefixes = [new Map(lines)];
    let left = gasLeft;
    for (const [item, program] of programs.entries()) {
      if (limits[item]! <= gasTotal) {
        if (limits[item]! > left) break;
        const before = new Map(lines);
        const run = program();
        let result = run.next();
        while (!result.done) {
          const { line } = result.value;
          const [value, answer] = apply(lines.get(line) ?? 0, result.value);
          lines.set(line, value);
          result = run.next(answer);
        }
        if (result.value === FAULT) {
          lines.clear();
          for (const [line, value] of before) lines.set(line, value);
        }
        const gas = result.value === FAULT ? limits[item]! : result.value;
        this.gas.push(gas);
        left -= gas;
      } else this.gas.push(0);
      this.prefixes.push(new Map(lines));
    }
    this.end = this.gas.length;
  }
}

/** What is asserted at each step, and what the commits are applied to. */
export class Observer {
  readonly #reference: Reference;
  readonly #base: Map<number, number>;
  readonly #running = new Set<number>();
  readonly #lease: number;
  /** Incarnations that expired though what they had read was right, by item. */
  readonly #renewed = new Map<number, number>();
  readonly #final = new Set<number>();
  #committed = 0;
  /** Tasks taken, and items applied. */
  events = 0;

  /** An item may take `lease` steps unless what it reads is final, then twice as many. */
  constructor(reference: Reference, base: Map<number, number>, lease = Infinity) {
    this.#reference = reference;
    this.#base = base;
    this.#lease = lease;
  }

  /** What is kept of leases, for the model checker. */
  get leases(): string {
    return [...this.#renewed].sort(([a], [b]) => a - b).join(";");
  }

  /** Steps that an incarnation may take. */
  lease(item: number): number {
    return this.#lease * ((this.#renewed.get(item) ?? 0) + 1);
  }

  /** An incarnation reads what is final: it is the item's last. */
  isFinal(item: number): void {
    this.#final.add(item);
  }

  /** An incarnation expires; whether the item is to wait for what is final. */
  expires(item: number, ok: number): number {
    const renewed = (this.#renewed.get(item) ?? 0) + ok;
    if (ok === 1) this.#renewed.set(item, renewed);
    return renewed > 1 ? 1 : 0;
  }

  /** A worker stands between two calls: the place in its loop, and what it holds there. */
  stands(_place: string, _holds: number): void {}

  /** A worker has a task. */
  receives(task: number): void {
    if (task !== TASK_IDLE) this.events++;
    if ((task & TASK_KIND_MASK) !== TASK_EXECUTE) return;
    const item = task >>> TASK_ITEM_SHIFT;
    assert.ok(!this.#running.has(item), `item ${item} runs twice at once`);
    assert.ok(item >= this.#committed, `item ${item} runs again after its commit`);
    assert.ok(!this.#final.has(item), `item ${item} runs again, although what it read was final`);
    this.#running.add(item);
  }

  /** It is about to be over. */
  ends(task: number): void {
    if ((task & TASK_KIND_MASK) === TASK_EXECUTE) this.#running.delete(task >>> TASK_ITEM_SHIFT);
  }

  *apply(item: number, writes: readonly (readonly [number, number])[]): Steps<void> {
    assert.equal(item, this.#committed, "commits are in order");
    this.#committed++;
    this.events++;
    const expected = this.#reference.prefixes[item + 1];
    assert.ok(expected !== undefined, `item ${item} is committed beyond the gas`);
    for (const [line, value] of writes) {
      yield;
      this.#base.set(line, value);
    }
    for (const [line, value] of expected) {
      assert.equal(this.#base.get(line) ?? 0, value, `line ${line} after item ${item}`);
    }
  }
}

/** One worker's loop. Yields null when there is nothing to do, else wherever the engine yields. */
export function* work<E>(
  engine: Engine<E>,
  programs: readonly Program[],
  observer: Observer,
): Generator<undefined | null, void, void> {
  engine.enter();
  yield* drainCommits(engine, observer, TASK_IDLE);
  let task = yield* engine.next();
  for (;;) {
    observer.receives(task);
    observer.stands("task", task);
    const kind = task & TASK_KIND_MASK;
    if (kind === TASK_DONE) return;
    if (kind === TASK_IDLE) {
      yield null; // where a thread would sleep
      task = yield* engine.next();
    } else if (kind === TASK_EXECUTE) {
      task = yield* execute(engine, task, programs[task >>> TASK_ITEM_SHIFT]!, observer);
    } else {
      assert.equal(kind, TASK_VALIDATE);
      const ok = yield* engine.validate();
      observer.stands("validated", ok);
      task = yield* engine.finishValidation(ok);
      observer.receives(task);
      yield* drainCommits(engine, observer, task);
      observer.ends(task);
    }
  }
}

function* drainCommits<E>(engine: Engine<E>, observer: Observer, task: number): Steps<void> {
  for (;;) {
    observer.stands("commit", task);
    const item = yield* engine.commit();
    if (item < 0) return;
    observer.stands("apply", task);
    yield* observer.apply(item, engine.writes(item));
  }
}

function* execute<E>(engine: Engine<E>, task: number, program: Program, observer: Observer): Steps<number> {
  const lines = new Map<number, { entry: E; read: number; value: number }>();
  const run = program();
  const item = task >>> TASK_ITEM_SHIFT;
  const lease = observer.lease(item);
  const final = lease < Infinity && (yield* engine.final()) === 1;
  if (final) observer.isFinal(item);
  const place = final ? "final" : "lookup";
  let result = run.next();
  for (let step = 0; !result.done; step++) {
    if (step >= lease && !final) {
      const ok = yield* engine.recheck();
      observer.stands(`rechecked ${ok}`, task);
      const last = observer.expires(item, ok);
      observer.ends(task);
      return yield* engine.expire(ok, last);
    }
    const { line, add, min = 0, max = MAX } = result.value;
    let known = lines.get(line);
    if (known === undefined && add !== undefined) {
      const applied = yield* engine.accumulate(line, add, min, max);
      observer.stands(place, task);
      if (applied < 0) {
        observer.ends(task);
        return yield* engine.giveUp();
      }
      result = run.next(applied);
      continue;
    }
    if (known === undefined) {
      const access = yield* engine.lookup(line);
      observer.stands(place, task);
      if (access === null) {
        observer.ends(task);
        return yield* engine.giveUp();
      }
      known = { entry: access.entry, read: access.value, value: access.shown };
      lines.set(line, known);
    }
    const [value, answer] = apply(known.value, result.value);
    known.value = value;
    result = run.next(answer);
  }
  observer.ends(task);
  const outcome = item + 1;
  if (result.value === FAULT) {
    engine.withdraw();
    return yield* engine.finish(LIMIT, outcome);
  }
  for (const { entry, read, value } of lines.values()) if (value !== read) engine.version(entry, value);
  return yield* engine.finish(result.value, outcome);
}
