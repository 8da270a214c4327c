/**
 * The operand stack and the open blocks of a function body that is being validated, and the list of
 * instructions that comes of it. For every value it knows which instruction made it, and notes which one
 * consumes it.
 */

import * as limits from "../../limits.ts";
import { type Body, NOBODY } from "./body.ts";
import type { FunctionType, Module } from "./model.ts";
import * as op from "./opcodes.ts";
import type { Reader } from "./reader.ts";

export const NONE = new Uint8Array(0);

export interface Frame {
  readonly opcode: number;
  readonly parameters: Uint8Array;
  readonly results: Uint8Array;
  readonly base: number;
  /** The frame was entered by live code. */
  readonly live: boolean;
  /** The rest of the frame cannot be reached. */
  unreachable: boolean;
}

/** The state of a validation, and what all instructions do with it. */
export class Operands {
  protected readonly reader: Reader;
  protected readonly module: Module;
  protected readonly body: Body;
  protected readonly frames: Frame[] = [];
  #types = new Uint8Array(256);
  protected makers = new Int32Array(256);
  protected top = 0;
  /** Slots of 8 bytes that the operands take. */
  #slots = 0;
  /** Loops that are open. */
  #loops = 0;
  /** Offset of the instruction being read. */
  protected at = 0;
  /** Its place in the list; NOBODY in unreachable code. */
  protected here = NOBODY;

  constructor(reader: Reader, module: Module, type: FunctionType, body: Body) {
    this.reader = reader;
    this.module = module;
    this.body = body;
    this.frames.push({
      opcode: op.BLOCK,
      parameters: NONE,
      results: type.results,
      base: 0,
      live: true,
      unreachable: false,
    });
  }

  // ---- operands -------------------------------------------------------------------------------------------

  protected fail(reason: Parameters<Reader["fail"]>[0], message: string, offset = this.at): never {
    return this.reader.fail(reason, message, offset);
  }

  protected frame(): Frame {
    return this.frames[this.frames.length - 1] as Frame;
  }

  protected push(type: number, maker = this.here): void {
    if (this.top === this.#types.length) this.#grow();
    this.#types[this.top] = type;
    this.makers[this.top] = maker;
    this.top++;
    if (this.top > limits.OPERANDS_LIMIT) {
      this.fail("operand-height", `More than ${limits.OPERANDS_LIMIT} operands on the stack`);
    }
    this.#slots += type === op.V128 ? 2 : 1;
    this.#note(this.top - 1, type);
    if (this.#slots > this.body.height) this.body.height = this.#slots;
  }

  /** Notes what is at that place on the stack. */
  #note(place: number, type: number): void {
    const { body } = this;
    if (type === op.FUNCREF || type === op.EXTERNREF) body.usesReferences = true;
    else body.kinds[place] = (body.kinds[place] as number) | (1 << (op.I32 - type));
  }

  #grow(): void {
    const types = new Uint8Array(this.#types.length * 2);
    types.set(this.#types);
    this.#types = types;
    const makers = new Int32Array(this.makers.length * 2);
    makers.set(this.makers);
    this.makers = makers;
  }

  /** Pops one operand; `wanted` ANY takes every type. Returns its type and notes who consumed it. */
  protected pop(wanted: number, consumer = this.here): number {
    const frame = this.frame();
    if (this.top === frame.base) {
      if (frame.unreachable) return op.ANY;
      return this.fail("type-mismatch", `${this.name()} needs an operand more than there is on the stack`);
    }
    this.top--;
    const type = this.#types[this.top] as number;
    this.#slots -= type === op.V128 ? 2 : 1;
    if (type !== wanted && type !== op.ANY && wanted !== op.ANY) {
      this.fail(
        "type-mismatch",
        `${this.name()} needs ${op.typeName(wanted)} and finds ${op.typeName(type)}`,
      );
    }
    const maker = this.makers[this.top] as number;
    if (maker !== NOBODY) this.body.consumer[maker] = consumer;
    return type;
  }

  protected name(): string {
    const code = this.reader.bytes[this.at] as number;
    return op.NAMES[code] ?? "The instruction";
  }

  protected popAll(wanted: Uint8Array, consumer = this.here): void {
    let index = wanted.length - 1;
    // The usual case at once, for blocks may have many parameters: what is there is what is wanted.
    const types = this.#types;
    const makers = this.makers;
    const { base } = this.frame();
    let top = this.top;
    let slots = this.#slots;
    for (; index >= 0 && top > base; index--) {
      const type = wanted[index] as number;
      if (types[top - 1] !== type) break;
      top--;
      slots -= type === op.V128 ? 2 : 1;
      const maker = makers[top] as number;
      if (maker !== NOBODY) this.body.consumer[maker] = consumer;
    }
    this.top = top;
    this.#slots = slots;
    for (; index >= 0; index--) this.pop(wanted[index] as number, consumer);
  }

  /** Pushes several results; only the last can be named by its maker. */
  protected pushAll(results: Uint8Array, maker = NOBODY): void {
    const last = results.length - 1;
    while (this.top + last > this.#types.length) this.#grow();
    const types = this.#types;
    const makers = this.makers;
    let top = this.top;
    let slots = this.#slots;
    for (let index = 0; index < last; index++) {
      const type = results[index] as number;
      types[top] = type;
      makers[top] = NOBODY;
      top++;
      slots += type === op.V128 ? 2 : 1;
      this.#note(top - 1, type);
    }
    this.top = top;
    this.#slots = slots;
    if (last >= 0) this.push(results[last] as number, maker); // looks at the heights, too
  }

  // ---- control --------------------------------------------------------------------------------------------

  protected enter(opcode: number, parameters: Uint8Array, results: Uint8Array): void {
    if (this.frames.length > limits.NESTING_LIMIT) {
      const way =
        "a switch nests one for each case: split it by ranges, or call through a table of functions";
      this.fail("nesting-depth", `Blocks nested deeper than ${limits.NESTING_LIMIT}; ${way}`);
    }
    if (opcode === op.LOOP && ++this.#loops > limits.LOOP_NESTING_LIMIT) {
      this.fail("nesting-depth", `Loops nested deeper than ${limits.LOOP_NESTING_LIMIT}`);
    }
    const live = this.here !== NOBODY;
    this.frames.push({ opcode, parameters, results, base: this.top, live, unreachable: false });
    this.pushAll(parameters);
  }

  protected unreachable(): void {
    const frame = this.frame();
    while (this.top > frame.base) {
      this.top--;
      this.#slots -= this.#types[this.top] === op.V128 ? 2 : 1;
    }
    frame.unreachable = true;
  }

  protected label(depth: number, offset: number): Uint8Array {
    const frame = this.frames[this.frames.length - 1 - depth];
    if (frame === undefined) return this.fail("bad-index", `There is no label ${depth} here`, offset);
    return frame.opcode === op.LOOP ? frame.parameters : frame.results;
  }

  /** Appends the instruction being read to the list, if it can be reached. */
  protected append(opcode: number): void {
    const frame = this.frame();
    const body = this.body;
    if (!frame.live || frame.unreachable) {
      this.here = NOBODY;
      return;
    }
    const here = body.length++;
    this.here = here;
    body.ops[here] = opcode;
    body.a[here] = 0;
    body.b[here] = 0;
    body.at[here] = this.at;
    body.consumer[here] = NOBODY;
    body.first[here] = NOBODY;
    body.second[here] = NOBODY;
  }

  protected set(a: number, b = 0): void {
    if (this.here === NOBODY) return;
    this.body.a[this.here] = a;
    this.body.b[this.here] = b;
  }

  /** Checks the topmost operands against `types` and leaves them there, unknown ones unknown. */
  protected check(types: Uint8Array): void {
    const frame = this.frame();
    for (let index = types.length - 1, place = this.top - 1; index >= 0; index--, place--) {
      if (place < frame.base) {
        if (frame.unreachable) return;
        this.fail("type-mismatch", "br_table needs an operand more than there is on the stack");
      }
      const found = this.#types[place] as number;
      if (found !== types[index] && found !== op.ANY) {
        const text = `br_table needs ${op.typeName(types[index] as number)} and finds ${op.typeName(found)}`;
        this.fail("type-mismatch", text);
      }
    }
  }

  /** Takes the results of the current frame, which must be all that is left in it. */
  protected finish(): Frame {
    const frame = this.frame();
    this.popAll(frame.results, NOBODY);
    if (this.top !== frame.base) {
      this.fail("type-mismatch", `${this.top - frame.base} operands too many at the end of a block`);
    }
    this.frames.pop();
    if (frame.opcode === op.LOOP) this.#loops--;
    return frame;
  }
}
