/**
 * The operands of a function that can suspend, while it is written: which of them lie on WebAssembly's stack
 * and which in locals.
 *
 * A function is entered again where nothing may lie on the stack. So all operands are put into locals there,
 * one for each place and type, and fetched back when something takes them.
 *
 * Invariant: operands in locals lie below all of those on the stack. Inside of a block that contains no
 * suspension point everything is on the stack, down to where the block began.
 */

import { assert } from "../../errors.ts";
import { NOBODY } from "../decode/body.ts";
import type { Code } from "../instrument/code.ts";

/** A local that keeps an operand. */
export interface Slot {
  readonly local: number;
  readonly type: number;
}

export interface OperandMeans {
  /** Gives a local by name. */
  readonly temporary: (name: string, type: number) => number;
  /** Is called with the instruction that made an operand when that is back on the stack. */
  readonly fetched: (maker: number) => void;
}

export class OperandStack {
  /** How many of the topmost are on the stack. */
  onStack = 0;
  /** Those that lie in a local while the function is suspended somewhere. */
  readonly saved: Slot[] = [];
  readonly #code: Code;
  readonly #means: OperandMeans;
  readonly #types: number[] = [];
  readonly #makers: number[] = [];
  /** How many of the lowest are known to be in `saved`. */
  #noted = 0;
  readonly #known = new Set<number>();

  constructor(code: Code, means: OperandMeans) {
    this.#code = code;
    this.#means = means;
  }

  get height(): number {
    return this.#types.length;
  }

  /** The type of one, counted from the top, which is 0. */
  typeAt(depth: number): number {
    return this.#types[this.height - 1 - depth] as number;
  }

  /** One more, on the stack, made by the instruction at `maker`. */
  push(type: number, maker = NOBODY): void {
    this.#types.push(type);
    this.#makers.push(maker);
    this.onStack++;
  }

  pushAll(types: Iterable<number>): void {
    for (const type of types) this.push(type);
  }

  /** Takes the topmost, which must be on the stack. */
  pop(count: number): void {
    assert(count <= this.onStack, "operands: those that are taken are on the stack");
    this.#truncate(this.height - count);
    this.onStack -= count;
  }

  /** Leaves `height` operands, all in locals, and `types` above them, `onStack` of all on the stack. */
  reset(height: number, types: Iterable<number>, onStack: number): void {
    this.#truncate(height);
    for (const type of types) this.push(type);
    this.onStack = onStack;
  }

  #truncate(height: number): void {
    this.#types.length = height;
    this.#makers.length = height;
    this.#noted = Math.min(this.#noted, height);
  }

  #slot(place: number): Slot {
    const type = this.#types[place] as number;
    return { type, local: this.#means.temporary(`operand ${place} ${type}`, type) };
  }

  /** Puts everything that is on the stack into locals. */
  spill(): void {
    const lowest = this.height - this.onStack;
    for (let place = this.height - 1; place >= lowest; place--) this.#code.set(this.#slot(place).local);
    this.onStack = 0;
  }

  /** Has the topmost on the stack. */
  fetch(count: number): void {
    if (count <= this.onStack) return;
    this.spill();
    for (let place = this.height - count; place < this.height; place++) {
      this.#code.get(this.#slot(place).local);
      this.#means.fetched(this.#makers[place] as number);
    }
    this.onStack = count;
  }

  /** The function may be suspended now, with all in locals: the lowest are needed afterwards. */
  keep(count: number): void {
    for (; this.#noted < count; this.#noted++) this.#keep(this.#noted);
  }

  /** The same of the topmost one alone. */
  keepTop(): void {
    this.#keep(this.height - 1);
  }

  #keep(place: number): void {
    const slot = this.#slot(place);
    if (this.#known.has(slot.local)) return;
    this.#known.add(slot.local);
    this.saved.push(slot);
  }
}
