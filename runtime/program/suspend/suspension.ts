/**
 * Writes the control flow and the calls of a function that can suspend, so that it can be left at a
 * suspension point, with its frame saved, and entered again there.
 *
 *     [restore the frame if the state is REWINDING, else charge for the entry]
 *     block $unwind
 *       block $exit (results)
 *         body, which at a point does:
 *           operands into locals
 *         end $n                          here the function continues at point n
 *           where = n · arguments · call
 *           br_if $unwind if the state is not RUNNING
 *           where = 0
 *       end $exit
 *       counters · return
 *     end $unwind
 *     save the frame · zeros as results
 *
 * `where` is 0 while the function runs, else the point at which it is to continue. What the plan of gas
 * charges lies on the way that is taken while nothing is put back: it is paid once.
 */

import { type Body, EMPTY_BLOCK } from "../decode/body.ts";
import { type FunctionType, type Module, typeOfFunction } from "../decode/model.ts";
import * as op from "../decode/opcodes.ts";
import type { Code } from "../instrument/code.ts";
import { effectOf } from "./effects.ts";
import { restoreFrame, saveFrame, zero } from "./frame.ts";
import { OperandStack, type Slot } from "./operand-stack.ts";
import { FUNCTION, hasArmLabel, type Region, type Sites } from "./sites.ts";

const NOTHING = new Uint8Array(0);

/** A block, loop or `if` of the original that is open. */
interface Open {
  readonly opcode: number;
  readonly place: number;
  /** It contains a point: its labels were opened with the region. */
  readonly split: boolean;
  readonly parameters: Uint8Array;
  readonly results: Uint8Array;
  /** Where its label was opened, counted from the outermost. */
  readonly label: number;
  /** Operands below, and how many of them are on the stack. */
  readonly base: number;
  readonly below: number;
}

export interface SuspensionMeans {
  readonly module: Module;
  readonly stateGlobal: number;
  /** Gives a local by name. */
  readonly temporary: (name: string, type: number) => number;
  /** The index of the type () -> results of a function type. */
  readonly blockType: (type: FunctionType) => number;
  /** Is called with the instruction that made an operand when that is back on the stack. */
  readonly fetched: (maker: number) => void;
  /** Plants a defect, for tests. */
  readonly defect: string | null;
}

export class Suspension {
  readonly #code: Code;
  readonly #body: Body;
  readonly #type: FunctionType;
  readonly #sites: Sites;
  readonly #savedLocals: Uint8Array;
  readonly #means: SuspensionMeans;
  readonly #stack: OperandStack;
  readonly #frames: Open[] = [];
  /** Labels that are open in the written function. */
  #depth = 0;
  /** By place of a block or `if` that contains a point: where its labels were opened. */
  readonly #ends = new Map<number, number>();
  readonly #arms = new Map<number, number>();
  /** The code here cannot be reached. */
  #dead = false;

  constructor(
    code: Code,
    body: Body,
    type: FunctionType,
    sites: Sites,
    savedLocals: Uint8Array,
    means: SuspensionMeans,
  ) {
    this.#code = code;
    this.#body = body;
    this.#type = type;
    this.#sites = sites;
    this.#savedLocals = savedLocals;
    this.#means = means;
    this.#stack = new OperandStack(code, means);
  }

  get #where(): number {
    return this.#means.temporary("where", op.I32);
  }

  // ---- the function as a whole ----------------------------------------------------------------------------

  /** What comes before the body. */
  begin(): void {
    const { parameters, results } = this.#type;
    this.#open(op.BLOCK, NOTHING);
    const label = this.#open(op.BLOCK, results);
    this.#frames.push({
      ...{ opcode: op.BLOCK, place: FUNCTION, split: true, label, base: 0, below: 0 },
      ...{ parameters, results },
    });
    this.#enterRegion(FUNCTION);
  }

  /** What comes behind the body, and behind what puts the counters right. */
  finish(): void {
    const code = this.#code;
    code.op(op.RETURN);
    code.end();
    saveFrame(code, this.#slots(), this.#means.temporary("frame", op.I32));
    for (const type of this.#type.results) zero(code, type);
  }

  /** Before everything, written last: into `head`, with what is done instead where nothing is put back. */
  head(head: Code, otherwise: () => void): void {
    head.index(op.GLOBAL_GET, this.#means.stateGlobal);
    head.openUnlikely();
    restoreFrame(head, this.#slots(), this.#means.temporary("frame", op.I32));
    if (this.#means.defect === "charge") head.end();
    else head.op(op.ELSE);
    otherwise();
    if (this.#means.defect !== "charge") head.end();
  }

  /** What a frame holds. */
  #slots(): Slot[] {
    const { locals } = this.#body;
    const slots: Slot[] = [];
    locals.forEach((type, local) => {
      if (this.#savedLocals[local] === 1) slots.push({ local, type });
    });
    const operands = this.#means.defect === "operand" ? this.#stack.saved.slice(1) : this.#stack.saved;
    return [...slots, ...operands, { local: this.#where, type: op.I32 }];
  }

  // ---- labels ---------------------------------------------------------------------------------------------

  /** Opens a block without parameters. */
  #open(opcode: number, results: Uint8Array): number {
    const code = this.#code;
    if (results.length < 2) code.open(opcode, results[0]);
    else {
      code.u8(opcode);
      code.s32(this.#means.blockType({ parameters: NOTHING, results }));
    }
    return this.#depth++;
  }

  #close(): void {
    this.#code.end();
    this.#depth--;
  }

  /** How a branch names a label. */
  #relative(label: number): number {
    return this.#depth - 1 - label;
  }

  /** How a branch names a label that is `depth` blocks out in the original. */
  #target(depth: number): number {
    return this.#relative((this.#frames.at(-1 - depth) as Open).label);
  }

  /** What a branch to it takes. */
  #arity(depth: number): number {
    const { opcode, parameters, results } = this.#frames.at(-1 - depth) as Open;
    return (opcode === op.LOOP ? parameters : results).length;
  }

  /** Opens the labels of a region, and jumps to the one that leads to the point where to continue. */
  #enterRegion(place: number): void {
    const { labels, first, ways } = this.#sites.regions.get(place) as Region;
    for (const { kind, place: at } of labels.toReversed()) {
      const results = kind === "end" ? this.#typeOfBlock(at).results : NOTHING;
      const label = this.#open(op.BLOCK, results);
      if (kind === "end") this.#ends.set(at, label);
      else if (kind === "else") this.#arms.set(at, label);
    }
    const code = this.#code;
    code.get(this.#where);
    if (ways.every((way) => way === ways[0])) {
      code.unlikely.push(code.length);
      return code.index(op.BR_IF, ways[0] as number);
    }
    code.openUnlikely();
    code.get(this.#where);
    code.i32(first);
    code.op(op.I32_SUB);
    code.index(op.BR_TABLE, ways.length - 1);
    for (const way of ways) code.u32(way + 1);
    code.end();
  }

  // ---- instructions ---------------------------------------------------------------------------------------

  /** The instruction at `place`; `encode` writes it as it is, where that serves. */
  write(place: number, opcode: number, encode: () => void): void {
    const code = this.#code;
    const stack = this.#stack;
    const immediate = this.#body.a[place] as number;
    switch (opcode) {
      case op.BLOCK:
      case op.IF:
      case op.LOOP:
        return this.#begin(place, opcode);
      case op.ELSE:
        return this.#else();
      case op.END:
        return this.#end();
      case op.BR:
        stack.fetch(this.#arity(immediate));
        code.index(op.BR, this.#target(immediate));
        this.#dead = true;
        return;
      case op.BR_IF:
        stack.fetch(this.#arity(immediate) + 1);
        code.index(op.BR_IF, this.#target(immediate));
        return stack.pop(1);
      case op.BR_TABLE: {
        const labels = this.#body.labels[immediate] as number[];
        stack.fetch(this.#arity(labels[0] as number) + 1);
        code.index(op.BR_TABLE, labels.length - 1);
        for (const label of labels) code.u32(this.#target(label));
        this.#dead = true;
        return;
      }
      case op.RETURN:
        stack.fetch(this.#type.results.length);
        code.index(op.BR, this.#target(this.#frames.length - 1));
        this.#dead = true;
        return;
      case op.UNREACHABLE:
        encode();
        this.#dead = true;
        return;
      case op.CALL:
        return this.#call(place, typeOfFunction(this.#means.module, immediate), 0, encode);
      case op.CALL_INDIRECT:
        return this.#call(place, this.#means.module.types[immediate] as FunctionType, 1, encode);
      default: {
        // Only the types below the operands decide what is left, so these may be fetched first.
        const { takes, leaves } = effectOf(this.#body, this.#means.module, place, stack);
        stack.fetch(takes);
        encode();
        stack.pop(takes);
        if (leaves !== null) stack.push(leaves, place);
      }
    }
  }

  /** A call with `indices` operands besides its arguments. */
  #call(place: number, { parameters, results }: FunctionType, indices: number, encode: () => void): void {
    const code = this.#code;
    const stack = this.#stack;
    const takes = parameters.length + indices;
    const number = this.#sites.numbers.get(place);
    if (number === undefined) {
      stack.fetch(takes);
      encode();
      stack.pop(takes);
      return stack.pushAll(results);
    }
    stack.spill();
    stack.keep(stack.height - takes);
    // The arguments are not needed again, but for what says which function it is.
    if (indices > 0 && this.#means.defect !== "index") stack.keepTop();
    this.#close();
    code.i32(number);
    code.set(this.#where);
    stack.fetch(takes);
    encode();
    stack.pop(takes);
    stack.pushAll(results);
    code.index(op.GLOBAL_GET, this.#means.stateGlobal);
    code.unlikely.push(code.length);
    code.index(op.BR_IF, this.#relative(0));
    code.i32(0);
    code.set(this.#where);
  }

  #typeOfBlock(place: number): FunctionType {
    const code = this.#body.a[place] as number;
    if (code >= 0) return this.#means.module.types[code] as FunctionType;
    const results = code === EMPTY_BLOCK ? NOTHING : Uint8Array.of(code + 0x80);
    return { parameters: NOTHING, results };
  }

  #begin(place: number, opcode: number): void {
    const code = this.#code;
    const stack = this.#stack;
    const { parameters, results } = this.#typeOfBlock(place);
    const split = this.#sites.opened.has(place);
    const condition = opcode === op.IF ? 1 : 0;
    const base = stack.height - parameters.length - condition;
    const open = (label: number, below: number) =>
      this.#frames.push({ opcode, place, split, parameters, results, label, base, below });
    if (!split) {
      stack.fetch(parameters.length + condition);
      code.u8(opcode);
      code.s32(this.#body.a[place] as number);
      stack.pop(parameters.length + condition);
      open(this.#depth++, stack.onStack);
      return stack.reset(base, parameters, parameters.length);
    }
    if (opcode === op.LOOP) {
      stack.spill();
      this.#close();
      stack.fetch(parameters.length);
      code.u8(opcode);
      code.s32(this.#body.a[place] as number);
      open(this.#depth++, 0);
      stack.reset(base, parameters, parameters.length);
      stack.spill();
      return this.#enterRegion(place);
    }
    if (opcode === op.IF) {
      if (stack.onStack > 1) stack.spill();
      stack.fetch(1);
      code.op(op.I32_EQZ);
      code.index(op.BR_IF, this.#relative(this.#arms.get(place) ?? (this.#ends.get(place) as number)));
      stack.pop(1);
    }
    stack.spill();
    open(this.#ends.get(place) as number, 0);
  }

  #else(): void {
    const frame = this.#frames.at(-1) as Open;
    this.#endArm(frame);
    if (frame.split) {
      if (!this.#dead) this.#code.index(op.BR, this.#relative(frame.label));
      this.#close();
    } else {
      this.#code.op(op.ELSE);
    }
    this.#dead = false;
    const { base, parameters } = frame;
    this.#stack.reset(base, parameters, frame.split ? 0 : parameters.length);
  }

  /** What an arm, or a block, leaves is on the stack. */
  #endArm({ results }: Open): void {
    if (!this.#dead) this.#stack.fetch(results.length);
  }

  #end(): void {
    const frame = this.#frames.pop() as Open;
    const { opcode, place, base, below, parameters, results, split } = frame;
    const stack = this.#stack;
    this.#endArm(frame);
    if (
      split &&
      opcode === op.IF &&
      this.#sites.opened.get(place) === false &&
      hasArmLabel(this.#body, place, false)
    ) {
      // The arm that is not there hands on what the `if` takes.
      if (!this.#dead) this.#code.index(op.BR, this.#relative(frame.label));
      this.#close();
      stack.reset(base, parameters, 0);
      stack.fetch(parameters.length);
    }
    this.#close();
    this.#dead = false;
    stack.reset(base, results, below + results.length);
  }
}
