/**
 * Decodes and validates one function body, by the algorithm of the specification's appendix, and leaves it as
 * a flat list of instructions for the rewriter. Unreachable code is validated and left out of the list; the
 * `else` and `end` of blocks that were entered are always in it.
 *
 * The validator's operand stack also records, for every value, which instruction made it and which one
 * consumes it. The rewriter uses that to find the address of a store and the uses of a NaN.
 */

import * as limits from "../../limits.ts";
import { addRun, Body, NOBODY, type Run } from "./body.ts";
import { type FunctionType, type Module, typeOfFunction, valueType } from "./model.ts";
import * as op from "./opcodes.ts";
import { Reader } from "./reader.ts";
import { Specials } from "./special.ts";

/**
 * Reads the body between reader.offset and reader.end into `body`. Throws AdmissionError where it is not
 * valid.
 */
export function readBody(reader: Reader, module: Module, index: number, body: Body): void {
  body.reset(reader.end - reader.offset + 1);
  readLocals(reader, typeOfFunction(module, index), body);
  new Validator(reader, module, typeOfFunction(module, index), body).run();
}

/** Reads the bodies of a decoded module in turn; `body` is reused for the next one. */
export function readBodies(
  source: Uint8Array,
  module: Module,
  see: (body: Body, index: number, start: number, position: number) => void,
): void {
  const reader = new Reader(source);
  const body = new Body(4096);
  module.bodies.forEach((range, position) => {
    const index = module.imports.length + position;
    reader.offset = range.start;
    reader.end = range.end;
    readBody(reader, module, index, body);
    see(body, index, range.start, position);
  });
}

function readLocals(reader: Reader, type: FunctionType, body: Body): void {
  const limit = limits.LOCALS_LIMIT;
  const groups = reader.u32();
  const runs: Run[] = [];
  let total = type.parameters.length;
  for (let group = 0; group < groups; group++) {
    const at = reader.offset;
    const count = reader.u32();
    total += count;
    if (total > limit) {
      reader.fail("local-count", `${total} locals: at most ${limit} are allowed, parameters included`, at);
    }
    addRun(runs, valueType(reader), count);
  }
  body.parameters = type.parameters.length;
  body.locals = new Uint8Array(total);
  body.locals.set(type.parameters);
  let next = type.parameters.length;
  body.runs = runs;
  body.usesReferences = type.parameters.some(op.isReference) || runs.some((run) => op.isReference(run.type));
  for (const run of runs) {
    body.locals.fill(run.type, next, next + run.count);
    next += run.count;
  }
}

class Validator extends Specials {
  run(): void {
    const reader = this.reader;
    while (this.frames.length > 0) {
      if (reader.offset >= reader.end) reader.fail("malformed", "The function body has no final end");
      this.#step();
    }
    if (reader.offset !== reader.end) {
      reader.fail("malformed", `${reader.end - reader.offset} bytes after the function's final end`);
    }
  }

  // ---- one instruction ------------------------------------------------------------------------------------

  #opcode(): number {
    const reader = this.reader;
    this.at = reader.offset;
    const first = reader.u8();
    if (first !== 0xfc && first !== 0xfd) {
      if (op.NAMES[first] === undefined) this.#reject(first);
      return first;
    }
    const second = reader.u32();
    if (first === 0xfd && second >= 0x100) {
      // Up to 0x113: the assigned relaxed instructions; V8 has experiments behind them.
      const known = second <= 0x113;
      this.fail(
        known ? "relaxed-simd" : "unknown-opcode",
        known ? "Relaxed SIMD is not admitted" : "No such instruction",
      );
    }
    if (second >= 0x100) this.fail("unknown-opcode", "No such instruction");
    const code = (first === 0xfc ? op.PREFIX_FC : op.PREFIX_FD) + second;
    if (op.NAMES[code] === undefined) this.#reject(code);
    return code;
  }

  #reject(code: number): never {
    const { reason, text } = op.rejectionOf(code);
    return this.fail(reason, text);
  }

  #step(): void {
    const opcode = this.#opcode();
    if (opcode === op.ELSE) return this.#else();
    if (opcode === op.END) return this.#end();
    this.append(opcode);
    switch (op.IMMEDIATES[opcode]) {
      case op.MEMORY_ARGUMENT:
        this.#memoryArgument(opcode);
        break;
      case op.MEMORY_LANE:
        this.#memoryArgument(opcode);
        this.#lane(opcode);
        break;
      case op.LANE:
        this.#lane(opcode);
        break;
      case op.SPECIAL:
        return this.special(opcode);
    }
    const { operands, results } = op.SIGNATURES[opcode] as op.Signature;
    for (let index = operands.length - 1; index >= 0; index--) {
      if (this.here !== NOBODY && this.top > this.frame().base) {
        const makers = index === 0 ? this.body.first : this.body.second;
        if (index < 2) makers[this.here] = this.makers[this.top - 1] as number;
      }
      this.pop(operands[index] as number);
    }
    if (results.length > 0) this.push(results[0] as number);
  }

  #memoryArgument(opcode: number): void {
    const reader = this.reader;
    const at = reader.offset;
    const alignment = reader.u32();
    if (alignment >= 64 && alignment < 128)
      reader.fail("multiple-memories", "Only one memory is admitted", at);
    if (alignment > (op.WIDTH[opcode] as number))
      reader.fail("bad-alignment", "The alignment is above the natural one", at);
    const offset = reader.u32();
    this.needMemory(at);
    if (this.here === NOBODY) return;
    this.body.a[this.here] = alignment;
    this.body.b[this.here] = offset | 0;
  }

  #lane(opcode: number): void {
    const at = this.reader.offset;
    const lane = this.reader.u8();
    if (lane >= (op.LANES[opcode] as number)) this.reader.fail("bad-index", `There is no lane ${lane}`, at);
    // A load or store of a lane has its offset in `b`: the lane goes beside the alignment.
    if (this.here !== NOBODY) this.body.a[this.here] = (this.body.a[this.here] as number) | (lane << 8);
  }

  /** Appends `else` or `end`: reached whenever its block was, however the block's code ended. */
  #appendClosing(opcode: number, live: boolean): void {
    const frame = this.frame();
    const before = frame.unreachable;
    if (live) frame.unreachable = false;
    this.append(opcode);
    frame.unreachable = before;
  }

  #else(): void {
    const open = this.frame();
    if (open.opcode !== op.IF) this.fail("malformed", "An else without an if");
    this.#appendClosing(op.ELSE, open.live);
    const here = this.here;
    const frame = this.finish();
    this.here = here;
    this.frames.push({ ...frame, opcode: op.ELSE, unreachable: false });
    this.pushAll(frame.parameters);
  }

  #end(): void {
    const open = this.frame();
    this.#appendClosing(op.END, open.live);
    const here = this.here;
    const frame = this.finish();
    this.here = here;
    if (frame.opcode === op.IF) {
      const same =
        frame.parameters.length === frame.results.length &&
        frame.parameters.every((type, i) => type === frame.results[i]);
      if (!same) this.fail("type-mismatch", "An if without an else must return what it takes");
    }
    if (this.frames.length > 0) this.pushAll(frame.results, here);
  }
}
