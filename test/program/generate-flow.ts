/**
 * Random control flow: nested blocks, loops and ifs, with branches of every kind to any label around them,
 * and runs of instructions of random length between. Made to be planned and walked, not to be run: most of
 * its loops have no end.
 */

import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import { entry } from "./build.ts";
import { Random } from "./random.ts";

const DEPTH = 8;

/** One function of about `size` pieces. */
export function generateFlow(seed: number, size = 120): Uint8Array {
  return entry((code) => {
    new Flow(new Random(seed), code, size).statements(0);
    code.get(0);
  });
}

class Flow {
  readonly #random: Random;
  readonly #code: Code;
  #budget: number;

  constructor(random: Random, code: Code, size: number) {
    this.#random = random;
    this.#code = code;
    this.#budget = size;
  }

  statements(depth: number): void {
    for (let count = this.#random.below(6); count >= 0 && this.#budget > 0; count--) this.#statement(depth);
  }

  /** Straight code: mostly a few instructions, now and then a hundred; some of them have no price. */
  #straight(): void {
    const random = this.#random;
    const code = this.#code;
    const length = random.chance(80) ? random.below(8) : random.below(120);
    for (let count = 0; count < length; count++) {
      code.get(0);
      if (random.chance(50)) {
        code.i64(1n);
        code.op(op.I64_ADD);
      }
      code.set(0);
    }
  }

  #condition(): void {
    this.#code.get(0);
    this.#code.op(op.I32_WRAP_I64);
  }

  #statement(depth: number): void {
    const random = this.#random;
    const code = this.#code;
    this.#budget--;
    this.#straight();
    const roll = random.below(100);
    if (roll < 45 && depth < DEPTH) return this.#nested(depth);
    if (roll < 75) {
      // The outermost label is the function's, which takes its result along.
      code.get(0);
      this.#condition();
      code.index(op.BR_IF, random.below(depth + 1));
      return code.op(op.DROP);
    }
    if (roll < 85 && depth > 0) {
      this.#condition();
      code.op(op.BR_TABLE);
      const labels = 1 + random.below(8);
      code.u32(labels - 1);
      for (let count = 0; count < labels; count++) code.u32(random.below(depth));
      return;
    }
    if (roll < 95) {
      code.get(0);
      return code.op(op.RETURN);
    }
    code.op(op.UNREACHABLE);
  }

  #nested(depth: number): void {
    const random = this.#random;
    const code = this.#code;
    const opcode = random.pick([op.BLOCK, op.BLOCK, op.LOOP, op.IF]);
    if (opcode === op.IF) this.#condition();
    code.open(opcode);
    this.statements(depth + 1);
    if (opcode === op.IF && random.chance(50)) {
      code.op(op.ELSE);
      this.statements(depth + 1);
    }
    code.end();
  }
}
