/** The core and its specification in lockstep: every call is made to both, and must be answered alike. */

import assert from "node:assert/strict";
import type { Access, CoreEngine, Engine, SpecEngine } from "./engines.ts";
import type { Entry } from "./spec-window.ts";
import { drain, type Steps } from "./steps.ts";

/** Makes every call to both, and compares the answers. */
export class LockstepEngine implements Engine<[number, Entry]> {
  readonly #core: CoreEngine;
  readonly #spec: SpecEngine;

  constructor(core: CoreEngine, spec: SpecEngine) {
    this.#core = core;
    this.#spec = spec;
  }

  #same<T>(core: Steps<T>, spec: Steps<T>): T {
    const [answer, expected] = [drain(core), drain(spec)];
    assert.deepEqual(answer, expected);
    return answer;
  }

  enter(): void {
    this.#core.enter();
  }

  *next(): Steps<number> {
    yield;
    return this.#same(this.#core.next(), this.#spec.next());
  }

  *lookup(line: number): Steps<Access<[number, Entry]> | null> {
    yield;
    const core = drain(this.#core.lookup(line));
    const spec = drain(this.#spec.lookup(line));
    assert.equal(core?.value, spec?.value);
    assert.equal(core?.shown, spec?.shown);
    return core && spec && { ...core, entry: [core.entry, spec.entry] };
  }

  *accumulate(line: number, delta: number, min: number, max: number): Steps<number> {
    yield;
    const core = this.#core.accumulate(line, delta, min, max);
    return this.#same(core, this.#spec.accumulate(line, delta, min, max));
  }

  withdraw(): void {
    this.#core.withdraw();
    this.#spec.withdraw();
  }

  version([core, spec]: [number, Entry], value: number): void {
    this.#core.version(core, value);
    this.#spec.version(spec, value);
  }

  *finish(gas: number, outcome: number): Steps<number> {
    yield;
    return this.#same(this.#core.finish(gas, outcome), this.#spec.finish(gas, outcome));
  }

  *giveUp(): Steps<number> {
    yield;
    return this.#same(this.#core.giveUp(), this.#spec.giveUp());
  }

  *final(): Steps<number> {
    yield;
    return this.#same(this.#core.final(), this.#spec.final());
  }

  *recheck(): Steps<number> {
    yield;
    return this.#same(this.#core.recheck(), this.#spec.recheck());
  }

  *expire(ok: number, last: number): Steps<number> {
    yield;
    return this.#same(this.#core.expire(ok, last), this.#spec.expire(ok, last));
  }

  *validate(): Steps<number> {
    yield;
    return this.#same(this.#core.validate(), this.#spec.validate());
  }

  *finishValidation(ok: number): Steps<number> {
    yield;
    return this.#same(this.#core.finishValidation(ok), this.#spec.finishValidation(ok));
  }

  *commit(): Steps<number> {
    yield;
    return this.#same(this.#core.commit(), this.#spec.commit());
  }

  writes(item: number): [number, number][] {
    const writes = this.#core.writes(item);
    assert.deepEqual(writes, this.#spec.writes(item));
    return writes;
  }
}
