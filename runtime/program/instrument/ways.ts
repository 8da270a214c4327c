/**
 * What is known on every way that leads to a place of a body: followed along its structured control flow,
 * place by place. What is learned inside of a block counts behind it only if no branch leads there.
 */

import type { Body } from "../decode/body.ts";
import * as op from "../decode/opcodes.ts";

interface Frame<T> {
  readonly opcode: number;
  /** What was known where the block was entered. */
  readonly before: T[];
  /** Whether a branch leads to its label. */
  targeted: boolean;
}

export class Ways<T> {
  /** What is known at the place that was passed last. */
  known: T[] = [];
  /** Another number where ways meet or part. */
  run = 0;
  readonly #body: Body;
  readonly #frames: Frame<T>[] = [];
  readonly #inLoop: (known: T[], place: number) => T[];

  /** `inLoop` says what of that which is known before the loop at a place holds on all its rounds. */
  constructor(body: Body, inLoop: (known: T[], place: number) => T[]) {
    this.#body = body;
    this.#inLoop = inLoop;
  }

  /** Passes a place; whether its instruction directs control, and does nothing else. */
  pass(place: number): boolean {
    const body = this.#body;
    const opcode = body.ops[place] as number;
    const a = body.a[place] as number;
    switch (opcode) {
      case op.BLOCK:
      case op.IF:
        if (opcode === op.IF) this.run++;
        this.#frames.push({ opcode, before: this.known.slice(), targeted: false });
        return true;
      case op.LOOP:
        this.run++;
        this.#frames.push({ opcode, before: [], targeted: false });
        this.known = this.#inLoop(this.known, place);
        return true;
      case op.ELSE: {
        const frame = this.#frames[this.#frames.length - 1] as Frame<T>;
        this.run++;
        frame.targeted = true;
        this.known = frame.before.slice();
        return true;
      }
      case op.END: {
        // A loop's label is its header, so its end is no place where ways meet.
        const frame = this.#frames.pop();
        if (frame !== undefined && frame.opcode !== op.LOOP && (frame.targeted || frame.opcode === op.IF)) {
          this.run++;
          this.known = frame.before;
        }
        return true;
      }
      case op.BR:
      case op.BR_IF:
        this.#target(a);
        return true;
      case op.BR_TABLE:
        for (const depth of body.labels[a] as number[]) this.#target(depth);
        return true;
      default:
        return false;
    }
  }

  #target(depth: number): void {
    const frame = this.#frames[this.#frames.length - 1 - depth];
    if (frame !== undefined) frame.targeted = true;
  }
}
