/**
 * The batch variant: numbers of values, two of which are equal if they have one number. So accesses share a
 * check although each computes its address again, as those of `a[i] = a[i] + 1` do.
 *
 * A number is that of an instruction and its operands; of a local or global, and who wrote it last in the
 * body's order. Like a base's version, it must not be compared over the head of a loop, behind which the last
 * writer may be one that comes later.
 */

import { type Body, NOBODY } from "../decode/body.ts";
import * as op from "../decode/opcodes.ts";
import type { Bases } from "../instrument/barrier.ts";

/** Follows a body, place by place, as Bases does, which must be ahead of it. */
export class Values {
  readonly #body: Body;
  readonly #bases: Bases;
  readonly #numbers = new Map<string, number>();
  readonly #byPlace: Int32Array;
  /** By place of a write of a local: where no way has led in since. */
  readonly #runs = new Map<number, number>();

  readonly #careless: boolean;

  /** `careless`, for a test: takes it that locals are never written. */
  constructor(body: Body, bases: Bases, careless: boolean) {
    this.#body = body;
    this.#careless = careless;
    this.#bases = bases;
    this.#byPlace = new Int32Array(body.length).fill(NOBODY);
  }

  /** Of what the instruction leaves, or NOBODY. */
  of(place: number): number {
    return place === NOBODY ? NOBODY : (this.#byPlace[place] as number);
  }

  pass(place: number, run: number): void {
    this.#byPlace[place] = this.#number(place, run);
  }

  #number(place: number, run: number): number {
    const body = this.#body;
    const opcode = body.ops[place] as number;
    const a = body.a[place] as number;
    switch (opcode) {
      case op.LOCAL_SET:
      case op.LOCAL_TEE:
        this.#runs.set(place, run);
        if (place > 0 && body.consumer[place - 1] === place && this.of(place - 1) !== NOBODY)
          return this.of(place - 1);
        return this.#named(opcode, a, place);
      case op.LOCAL_GET: {
        if (this.#careless) return this.#named(opcode, a, 0);
        const version = this.#bases.versionOfLocal(a);
        // What was written on this very way.
        if (version !== NOBODY && this.#runs.get(version) === run) return this.of(version);
        return this.#named(opcode, a, version);
      }
      case op.GLOBAL_GET:
        return this.#named(opcode, a, this.#bases.versionOfGlobal(a));
      case op.I32_CONST:
        return this.#named(opcode, a, 0);
      case op.I32_ADD:
      case op.I32_SUB:
      case op.I32_AND:
      case op.I32_SHL:
      case op.I32_SHR_U: {
        const first = this.of(body.first[place] as number);
        const second = this.of(body.second[place] as number);
        return first === NOBODY || second === NOBODY ? NOBODY : this.#named(opcode, first, second);
      }
      default:
        return NOBODY;
    }
  }

  #named(opcode: number, a: number, b: number): number {
    const name = `${opcode} ${a} ${b}`;
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#numbers.set(name, this.#numbers.size);
    return this.#numbers.size - 1;
  }
}
