/**
 * The core of Block-STM once more, to be read: what runtime/batch/core does, without shared memory. The
 * contract is runtime/batch/layout.ts; a line holds a number here instead of 64 bytes.
 *
 * Each call is a generator of steps (steps.ts). Drained at once, it is what the core does when no other
 * worker interferes; a model checker takes the steps of several workers in every order.
 */

import {
  STATE_ABORTING,
  STATE_COMMITTED,
  STATE_EXECUTED,
  STATE_EXECUTING,
  STATE_HELD,
  STATE_READY,
  STATE_REFUSED,
  STATE_WAITING,
  STOP_GAS,
  STOP_RERUNS,
  TASK_DONE,
  TASK_EXECUTE,
  TASK_IDLE,
  TASK_ITEM_SHIFT,
  TASK_VALIDATE,
} from "../../runtime/batch/layout.ts";
import { Incarnation } from "./spec-versions.ts";
import { CLOCK_UNIT, finished, type Item, incarnationOf, kindOf, stateOf } from "./spec-window.ts";
import type { Steps } from "./steps.ts";

const task = (item: number, kind: number): number => (item << TASK_ITEM_SHIFT) | kind;

export class Worker extends Incarnation {
  /** The item of the last VALIDATE, and what validate() saw. */
  #validated = -1;
  #seenState: number | null = null;
  #seenClock = 0;
  #holding = false;

  /**
   * What counts of what this worker keeps from one call to the next: an execution, a validation, the lock.
   */
  get kept(): { execution: unknown; validation: unknown; holding: boolean } {
    return {
      execution: [this.item, this.incarnation, this.log, this.met],
      validation: [this.#validated, this.#seenState, this.#seenClock],
      holding: this.#holding,
    };
  }

  #stop(reason: number): void {
    if (this.window.stop === 0) this.window.stop = reason;
  }

  // ---- tasks ----------------------------------------------------------------------------------------------

  *next(): Steps<number> {
    const { items, ready, check, applied } = this.window;
    for (;;) {
      if (this.stopped()) return TASK_DONE;
      // One step: who looks too early takes nothing, or finds nothing and looks again.
      if ((yield* applied.load()) === items.length) return TASK_DONE;
      const toRun = ready.see();
      const toCheck = check.see();
      const item = lowest(toRun | toCheck);
      if (item < 0) return TASK_IDLE;
      const bit = 1n << BigInt(item);
      const { state } = items[item]!;
      if ((toCheck & bit) !== 0n) {
        const had = ((yield* check.change((bits) => bits & ~bit)) & bit) !== 0n;
        if (had && kindOf(yield* state.load()) === STATE_EXECUTED) return this.#validation(item);
      } else if (((yield* ready.change((bits) => bits & ~bit)) & bit) !== 0n) {
        const incarnation = incarnationOf(state.value); // nobody else changes it now
        yield* state.store(stateOf(incarnation, STATE_EXECUTING));
        if (!(yield* this.#waitForHints(item))) return this.#execution(item, incarnation);
      }
    }
  }

  #execution(item: number, incarnation: number): number {
    this.item = item;
    this.incarnation = incarnation;
    this.log = [];
    this.met = -1;
    return task(item, TASK_EXECUTE);
  }

  #validation(item: number): number {
    this.#validated = item;
    return task(item, TASK_VALIDATE);
  }

  // ---- executions -----------------------------------------------------------------------------------------

  *finish(gas: number, outcome: number): Steps<number> {
    const { items, clock, frontier, check } = this.window;
    const item = items[this.item]!;
    const executed = stateOf(this.incarnation, STATE_EXECUTED);
    const old = item.log.value;
    const changes = yield* this.publish(old ?? []);
    item.outcome = outcome;
    item.gas = gas;
    yield* item.log.store(this.log);
    const news = old !== null && changes;
    if (news && !this.defect("a finish does not move the clock")) {
      yield* item.changed.store((yield* clock.change((before) => before + 1)) + 1);
    }
    if (this.defect("waiters are looked for before the state is set")) yield* this.#wakeWaiters(item);
    yield* item.state.store(executed);
    if (!this.defect("waiters are looked for before the state is set")) {
      if ((yield* item.waiters.load()) !== 0) yield* this.#wakeWaiters(item);
    }
    if (old !== null) {
      if (news && !this.defect("a finish does not schedule validations")) {
        const bits = between(this.item + 1, yield* frontier.load());
        if (bits !== 0n) yield* check.change((before) => before | bits);
      }
      return this.#validation(this.item);
    }
    return (yield* this.#advanceFrontier(this.item)) ? this.#validation(this.item) : yield* this.next();
  }

  /** Moves the frontier over all that is executed; true if it passed `mine` here. */
  *#advanceFrontier(mine: number): Steps<boolean> {
    const { items, frontier, check } = this.window;
    let passed = false;
    for (;;) {
      const item = yield* frontier.load();
      if (item === items.length) return passed;
      if (passed && this.defect("the frontier stops at the own item")) return passed;
      const kind = kindOf(yield* items[item]!.state.load());
      if (!finished(kind) && !this.defect("the frontier passes what is not executed")) return passed;
      if (!finished(kind) && item > mine) return passed;
      if (!(yield* frontier.swap(item, item + 1))) continue;
      if (item === mine) passed = true;
      else if (kind !== STATE_REFUSED) yield* check.change((bits) => bits | (1n << BigInt(item)));
    }
  }

  *giveUp(): Steps<number> {
    if (this.stopped()) return TASK_DONE;
    if (!this.#rerun(this.item)) return TASK_DONE;
    if (this.met >= 0) yield* this.#waitFor(this.item, this.met);
    else yield* this.#makeReady(this.item);
    return yield* this.next();
  }

  // ---- incarnations that the caller ends ------------------------------------------------------------------

  *final(): Steps<number> {
    return (yield* this.window.applied.load()) === this.item && !this.stopped() ? 1 : 0;
  }

  *recheck(): Steps<number> {
    return (yield* this.unchanged(this.item, this.log)) ? 1 : 0;
  }

  *expire(ok: number, last: number): Steps<number> {
    if (this.stopped()) return TASK_DONE;
    const { items, applied } = this.window;
    const { state } = items[this.item]!;
    if (!ok && !this.#rerun(this.item)) return TASK_DONE;
    if (ok && last) {
      const held = stateOf(this.incarnation, STATE_HELD);
      yield* state.store(held);
      const next = (yield* applied.load()) === this.item && !this.defect("who is held does not look again");
      if (next) yield* this.#release(this.item, held);
      return yield* this.next();
    }
    yield* state.store(stateOf(this.incarnation + 1, STATE_EXECUTING));
    return this.#execution(this.item, this.incarnation + 1);
  }

  *#release(number: number, held: number): Steps<void> {
    const { items, ready } = this.window;
    const next = stateOf(incarnationOf(held) + 1, STATE_READY);
    if (yield* items[number]!.state.swap(held, next)) {
      yield* ready.change((bits) => bits | (1n << BigInt(number)));
    }
  }

  #rerun(item: number): boolean {
    const { items, rerunLimit } = this.window;
    const reruns = ++items[item]!.reruns;
    if (rerunLimit === 0 || reruns <= rerunLimit) return true;
    this.#stop(STOP_RERUNS);
    return false;
  }

  // ---- waiting --------------------------------------------------------------------------------------------

  *#waitFor(number: number, lower: number): Steps<void> {
    const { items } = this.window;
    const item = items[number]!;
    const target = items[lower]!;
    yield* item.state.store(stateOf(incarnationOf(item.state.value), STATE_WAITING));
    do item.nextWaiter = yield* target.waiters.load();
    while (!(yield* target.waiters.swap(item.nextWaiter, number + 1)));
    if (this.defect("who waits does not look again")) return;
    if (finished(kindOf(yield* target.state.load()))) yield* this.#wakeWaiters(target);
  }

  *#wakeWaiters(target: Item): Steps<void> {
    let waiter = yield* target.waiters.change(() => 0);
    while (waiter !== 0) {
      const number = waiter - 1;
      waiter = this.window.items[number]!.nextWaiter;
      yield* this.#makeReady(number);
    }
  }

  *#makeReady(number: number): Steps<void> {
    const { items, ready } = this.window;
    const { state } = items[number]!;
    yield* state.store(stateOf(incarnationOf(state.value) + 1, STATE_READY));
    yield* ready.change((bits) => bits | (1n << BigInt(number)));
  }

  *#waitForHints(number: number): Steps<boolean> {
    const { items } = this.window;
    for (const { hints } = items[number]!; hints.length > 0; ) {
      const lower = hints.pop()!;
      if (finished(kindOf(yield* items[lower]!.state.load()))) continue;
      yield* this.#waitFor(number, lower);
      return true;
    }
    return false;
  }

  // ---- validations ----------------------------------------------------------------------------------------

  *validate(): Steps<number> {
    const { items, clock } = this.window;
    const { state, log } = items[this.#validated]!;
    this.#seenClock = yield* clock.load();
    this.#seenState = yield* state.load();
    const entries = yield* log.load();
    const same = this.#seenState === (yield* state.load());
    if (kindOf(this.#seenState) !== STATE_EXECUTED || !same) {
      this.#seenState = null;
      return 1;
    }
    const ok = yield* this.unchanged(this.#validated, entries!);
    if (this.defect("a validation counts from its end")) this.#seenClock = yield* clock.load();
    return ok ? 1 : 0;
  }

  *finishValidation(ok: number): Steps<number> {
    const seen = this.#seenState;
    if (seen === null || this.stopped()) return yield* this.next();
    const { state, validated } = this.window.items[this.#validated]!;
    const incarnation = incarnationOf(seen);
    if (ok) {
      const verdict = incarnation * CLOCK_UNIT + this.#seenClock;
      yield* validated.change((before) => Math.max(before, verdict));
      return yield* this.next();
    }
    if (!(yield* this.#abort(this.#validated, seen))) return yield* this.next();
    if (!this.#rerun(this.#validated)) return TASK_DONE;
    yield* state.store(stateOf(incarnation + 1, STATE_EXECUTING));
    return this.#execution(this.#validated, incarnation + 1);
  }

  /** Ends the incarnation whose state is `seen`; false: somebody else did something to it before. */
  *#abort(number: number, seen: number): Steps<boolean> {
    const { state, log } = this.window.items[number]!;
    const aborting = stateOf(incarnationOf(seen), STATE_ABORTING);
    if (this.defect("every abort of an incarnation counts")) yield* state.store(aborting);
    else if (!(yield* state.swap(seen, aborting))) return false;
    for (const { written } of log.value!) {
      if (written !== null) yield* written.node!.word.store({ version: written, estimate: true });
    }
    return true;
  }

  // ---- commit ---------------------------------------------------------------------------------------------

  *commit(): Steps<number> {
    const { committed, applied, commitLock } = this.window;
    if (this.#holding) yield* applied.store(yield* committed.load());
    else if (!(yield* this.#lock())) return -1;
    for (;;) {
      const item = yield* this.#commitNext();
      this.#holding = item >= 0;
      if (this.#holding) return item;
      if (yield* commitLock.swap(1, 0)) return -1;
      yield* commitLock.store(this.defect("the holder of the lock does not look again") ? 0 : 1);
      if (this.defect("the holder of the lock does not look again")) return -1;
    }
  }

  *#lock(): Steps<boolean> {
    const { commitLock } = this.window;
    for (;;) {
      const found = yield* commitLock.change((lock) => (lock === 0 ? 1 : lock));
      if (found === 0) return true;
      if (found === 2 || (yield* commitLock.change((lock) => (lock === 1 ? 2 : lock))) !== 0) return false;
    }
  }

  *#commitNext(): Steps<number> {
    const window = this.window;
    if (this.stopped()) return -1;
    const number = yield* window.committed.load();
    const item = window.items[number];
    if (item === undefined) return -1;
    const state = yield* item.state.load();
    if (kindOf(state) !== STATE_REFUSED) {
      if (item.limit > window.gasLeft) {
        window.cut = number;
        this.#stop(STOP_GAS);
        return -1;
      }
      if (kindOf(state) === STATE_HELD && !this.defect("a commit does not release the next item")) {
        yield* this.#release(number, state);
      }
      if (kindOf(state) !== STATE_EXECUTED) return -1;
      const validated = yield* item.validated.load();
      const incarnation = Math.floor(validated / CLOCK_UNIT);
      if (incarnation !== incarnationOf(state)) return -1;
      if (validated === 0) return -1;
      if (validated % CLOCK_UNIT < window.lastChange && !this.defect("a commit takes any validation")) {
        return -1;
      }
      const log = item.log.value!;
      if (!(yield* this.toldRight(number, log)) && !this.defect("a commit does not check what was told")) {
        if ((yield* this.#abort(number, state)) && this.#rerun(number)) yield* this.#makeReady(number);
        return -1;
      }
      if (!(yield* item.state.swap(state, stateOf(incarnationOf(state), STATE_COMMITTED)))) return -1;
      yield* this.makeFull(number, log);
      window.lastChange = Math.max(window.lastChange, yield* item.changed.load());
      window.gasLeft -= item.gas;
    }
    yield* window.committed.store(number + 1);
    return number;
  }
}

/** The lowest bit that is set, -1: none. */
function lowest(bits: bigint): number {
  if (bits === 0n) return -1;
  let item = 0;
  for (let rest = bits; (rest & 1n) === 0n; rest >>= 1n) item++;
  return item;
}

/** The bits first … end - 1. */
function between(first: number, end: number): bigint {
  return first >= end ? 0n : ((1n << BigInt(end - first)) - 1n) << BigInt(first);
}
