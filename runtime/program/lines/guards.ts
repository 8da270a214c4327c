/**
 * The batch variant: stack pointers, whose every use would be compared with the bound for nothing.
 *
 * A global that begins above the bound, serves as a base of accesses, and is only ever set to a sum or a
 * difference with a constant, or put back from a local, is taken for a stack pointer. It is guarded: wherever
 * it is set, a value below the bound (as a signed number) ends the activation with FAULT_INTERNAL_SEQUENTIAL,
 * and the sequential variant runs it. So the guess is never wrong, only dear.
 */

import { type Body, NOBODY } from "../decode/body.ts";
import type { Module } from "../decode/model.ts";
import * as op from "../decode/opcodes.ts";
import type { Code } from "../instrument/code.ts";
import { FAULT_INTERNAL_SEQUENTIAL } from "../layout.ts";
import type { Lines } from "./lines.ts";

/** Collects the globals to be guarded, body by body. */
export class Guards {
  readonly #candidates = new Set<number>();
  readonly #bases = new Set<number>();

  constructor(module: Module, bound: number) {
    module.globals.forEach(({ type, mutable, initial }, index) => {
      if (type !== op.I32 || !mutable || initial.kind !== "number") return;
      const value = Number(BigInt.asIntN(32, initial.value));
      if (value >= bound) this.#candidates.add(index);
    });
  }

  add(body: Body): void {
    if (this.#candidates.size === 0) return;
    for (let place = 0; place < body.length; place++) {
      const opcode = body.ops[place] as number;
      if (opcode === op.GLOBAL_SET) {
        if (place === 0 || !this.#isMove(body, place - 1)) this.#candidates.delete(body.a[place] as number);
      } else if (op.WIDTH[opcode] !== 0 || op.IMMEDIATES[opcode] === op.MEMORY_ARGUMENT) {
        const maker = body.first[place] as number;
        if (maker !== NOBODY && body.ops[maker] === op.GLOBAL_GET) this.#bases.add(body.a[maker] as number);
      }
    }
  }

  /** Whether the instruction that makes a global's new value looks like that of a stack pointer. */
  #isMove(body: Body, place: number): boolean {
    switch (body.ops[place]) {
      case op.LOCAL_GET:
        return true;
      case op.LOCAL_TEE:
        return place > 0 && this.#isMove(body, place - 1);
      case op.I32_ADD:
      case op.I32_SUB: {
        const second = body.second[place] as number;
        return second !== NOBODY && body.ops[second] === op.I32_CONST;
      }
      default:
        return false;
    }
  }

  globals(): Set<number> {
    return new Set([...this.#candidates].filter((index) => this.#bases.has(index)));
  }
}

/** Leaves if a guarded global may lie below the bound. */
export function guard(code: Code, { guarded, bound, defect }: Lines, global: number): void {
  if (!guarded.has(global) || defect === "guard") return;
  code.index(op.GLOBAL_GET, global);
  code.i32(bound);
  code.op(op.I32_LT_S);
  code.open(op.IF);
  code.fault(FAULT_INTERNAL_SEQUENTIAL);
  code.end();
}
