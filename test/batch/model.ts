/**
 * A model checker for the specification: takes the steps of several workers in every order, as far as the
 * states they lead to differ.
 *
 * A state is what is shared, and for each worker what it has found since it took its task: programs are
 * deterministic, so nothing else can tell two states apart. The generators of the workers cannot be copied;
 * to try another turn at an earlier state, the turns that lead there are taken once more from the
 * beginning.
 *
 * Checked are: all that Observer and runWindow assert, on every path; and that from every state that can be
 * reached the window can still end. So a lost wake-up is found, although nobody waits for ever here.
 */

import assert from "node:assert/strict";
import { TASK_EXECUTE, TASK_KIND_MASK } from "../../runtime/batch/layout.ts";
import { SpecSubject } from "./engines.ts";
import type { Scenario } from "./scenario.ts";
import type { Entry, Version, Window } from "./spec-window.ts";
import { Shared } from "./steps.ts";
import { Observer, Reference, work } from "./work.ts";

export interface Explored {
  readonly states: number;
  readonly transitions: number;
  /** Ways in which the window ended. */
  readonly ends: number;
}

/** The window being run along one path. */
class Path {
  readonly #window: Window;
  readonly #base: Map<number, number>;
  readonly #loops: Generator<unknown, void, void>[];
  /** What each worker has found since it took its task. */
  readonly #found: string[];
  readonly #done: boolean[];
  readonly #subject: SpecSubject;
  readonly #reference: Reference;
  readonly #observer: Observer;
  #turn = -1;
  /** Whether the worker whose turn it was has nothing to do, or is done. */
  #rests = true;
  #interruptions: number;

  constructor({ programs, settings }: Scenario, interruptions: number) {
    this.#interruptions = interruptions;
    const base = new Map(settings.base);
    const { limits, gasTotal, gasLeft } = settings;
    this.#reference = new Reference(programs, base, limits, gasTotal, gasLeft);
    this.#subject = new SpecSubject({ ...settings, base });
    this.#window = this.#subject.window;
    this.#base = base;
    const observer = new Observer(this.#reference, base, settings.lease);
    this.#observer = observer;
    observer.stands = (place, holds) => {
      const worker = this.#turn;
      const { execution, validation, holding } = this.#subject.workers[worker]!.worker.kept;
      const kind = holds & TASK_KIND_MASK;
      const counts = place === "validated" ? validation : kind === TASK_EXECUTE ? execution : null;
      this.#found[worker] = `${place} ${holds} ${holding} ${describe(counts)}`;
    };
    this.#loops = this.#subject.workers.map((engine) => work(engine, programs, observer));
    this.#found = this.#loops.map(() => "");
    this.#done = this.#loops.map(() => false);
  }

  /** The workers whose turn it may be. */
  get turns(): number[] {
    if (this.#interruptions === 0 && !this.#rests) return [this.#turn];
    return this.#done.flatMap((done, worker) => (done ? [] : [worker]));
  }

  take(worker: number): void {
    if (worker !== this.#turn && !this.#rests) this.#interruptions--;
    this.#turn = worker;
    Shared.observe = (found) => {
      this.#found[worker] += ` ${describe(found)}`;
    };
    const { done, value } = this.#loops[worker]!.next();
    this.#rests = done === true || value === null;
    this.#found[worker] += ".";
    if (done) {
      this.#done[worker] = true;
      this.#found[worker] = "done";
    }
    Shared.observe = null;
  }

  /** All that decides what can still happen. */
  key(): string {
    const { items, lines, frontier, clock, ready, check, commitLock, committed, applied } = this.#window;
    const words = [frontier, clock, ready, check, commitLock, committed, applied].map(({ value }) => value);
    return [
      ...this.#found.map((found, worker) => `${this.#isInside(worker) ? ">" : ""}${found}`).sort(), // alike
      this.#interruptions,
      this.#observer.leases,
      words.join(),
      this.#window.lastChange,
      this.#window.stop,
      items.map((item) =>
        [
          ...[item.state.value, item.validated.value, item.changed.value, item.waiters.value],
          ...[item.nextWaiter, item.reruns, item.hints.length, item.gas],
          describe(item.log.value),
        ].join(),
      ),
      [...lines]
        .filter(([, nodes]) => nodes.value !== null)
        .sort(([a], [b]) => a - b)
        .map(([line, nodes]) => `${line}:${describe(nodes.value)}`),
      [...this.#base].sort(([a], [b]) => a - b).join(),
    ].join("|");
  }

  /** Whether it would be an interruption if another worker continued. */
  #isInside(worker: number): boolean {
    return this.#interruptions < Infinity && worker === this.#turn && !this.#rests;
  }

  end(): void {
    assert.equal(this.#subject.applied(), this.#reference.end);
  }
}

function name(version: Version | null): string {
  if (version === null) return "-";
  const { item, incarnation, value, operations } = version;
  return `${item}.${incarnation}=${operations === null ? value : JSON.stringify(operations)}`;
}

/** A value that a worker can find, in words that are equal if it would do the same with it. */
function describe(found: unknown): string {
  if (found === null || typeof found !== "object") return String(found);
  if (Array.isArray(found)) return found.map(describe).join();
  if ("written" in found) {
    const { line, version, value, written } = found as Entry;
    const read = typeof version === "string" ? version : name(version);
    return `${line}:${read}:${value}:${name(written)}`;
  }
  if ("version" in found) {
    const { version, estimate } = found as { version: Version; estimate: boolean };
    return name(version) + (estimate ? "?" : "");
  }
  const { item, word, next } = found as {
    item: number;
    word: { value: unknown };
    next: { value: unknown };
  };
  return `${item}(${describe(word.value)})${describe(next.value)}`;
}

/** 53 bits of a text. */
function hash(text: string): number {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x9e3779b1);
    b = Math.imul(b ^ unit, 0x5f356495);
  }
  a = Math.imul(a ^ (a >>> 16), 0x85ebca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2ae35);
  b = Math.imul(b ^ (b >>> 16), 0x85ebca6b) ^ Math.imul(a ^ (a >>> 13), 0xc2b2ae35);
  return (b >>> 0) * 2 ** 21 + (a >>> 11);
}

/**
 * Explores everything that can happen in a window; throws at the first thing that must not. With
 * `interruptions`: only where at most so often a worker that could continue has to let another one do so.
 */
export function explore(scenario: Scenario, statesLimit: number, interruptions = Infinity): Explored {
  const known = new Map<number, number>(); // by hash
  const from: number[] = []; // the transitions: from[i] to to[i]
  const to: number[] = [];
  const ended: number[] = [];
  const turns: number[] = []; // the path to where we are
  const untried: number[][] = [];
  const visited: number[] = [];
  let path = new Path(scenario, interruptions);
  let live = true; // whether `path` stands where `turns` leads

  const arrive = (): void => {
    const key = hash(path.key());
    let state = known.get(key);
    const fresh = state === undefined;
    if (state === undefined) {
      state = known.size;
      assert.ok(state < statesLimit, `more than ${statesLimit} states`);
      known.set(key, state);
    }
    if (visited.length > 0) {
      from.push(visited.at(-1)!);
      to.push(state);
    }
    const possible = fresh ? path.turns : [];
    if (fresh && possible.length === 0) {
      path.end();
      ended.push(state);
    }
    visited.push(state);
    untried.push(possible);
  };

  try {
    arrive();
    while (untried.length > 0) {
      const turn = untried.at(-1)!.pop();
      if (turn === undefined) {
        untried.pop();
        visited.pop();
        turns.pop();
        live = false;
        continue;
      }
      if (!live) {
        path = new Path(scenario, interruptions);
        for (const earlier of turns) path.take(earlier);
        live = true;
      }
      turns.push(turn);
      path.take(turn);
      arrive();
    }
  } catch (error) {
    throw new Error(`after the turns ${turns.join("")}`, { cause: error });
  } finally {
    Shared.observe = null;
  }
  const stuck = known.size - reaching(ended, from, to, known.size);
  assert.equal(stuck, 0, `from ${stuck} of ${known.size} states the window cannot end`);
  return { states: known.size, transitions: to.length, ends: ended.length };
}

/** How many states there are from which one of `ends` can be reached. */
function reaching(
  ends: readonly number[],
  from: readonly number[],
  to: readonly number[],
  states: number,
): number {
  const before = Array.from({ length: states }, (): number[] => []);
  for (let i = 0; i < to.length; i++) before[to[i]!]!.push(from[i]!);
  const reached = new Uint8Array(states);
  const open = [...ends];
  for (const state of ends) reached[state] = 1;
  let count = ends.length;
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    for (const earlier of before[state]!) {
      if (reached[earlier] === 1) continue;
      reached[earlier] = 1;
      count++;
      open.push(earlier);
    }
  }
  return count;
}
