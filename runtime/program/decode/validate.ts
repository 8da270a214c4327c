/**
 * Decodes and validates one function body, by the algorithm of the specification's appendix, and leaves it as
 * a flat list of instructions for the rewriter. Unreachable code is validated and left out of the list; the
 * `else` and `end` of blocks that were entered are always in it.
 *
 * The validator's operand stack also records, for every value, which instruction made it and which one
 * consumes it. The rewriter uses that to find the address of a store and the uses of a NaN.
 */

import * as limits from "../../limits.ts";
import { addRun, Body, EMPTY_BLOCK, NOBODY, type Run } from "./body.ts";
import { heapType } from "./constant.ts";
import {
  type FunctionType,
  functionIndex,
  type Module,
  typeIndex,
  typeOfFunction,
  valueType,
} from "./model.ts";
import * as op from "./opcodes.ts";
import { type Frame, NONE, Operands } from "./operands.ts";
import { Reader } from "./reader.ts";

const SINGLE = new Map(
  [op.I32, op.I64, op.F32, op.F64, op.V128, op.FUNCREF, op.EXTERNREF].map((type) => [
    type,
    Uint8Array.of(type),
  ]),
);

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

class Validator extends Operands {
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

  #blockType(): { code: number; parameters: Uint8Array; results: Uint8Array } {
    const reader = this.reader;
    const at = reader.offset;
    const first = at < reader.end ? (reader.bytes[at] as number) : 0;
    if (first === 0x40) {
      reader.offset++;
      return { code: EMPTY_BLOCK, parameters: NONE, results: NONE };
    }
    if ((first & 0xc0) === 0x40) {
      const type = valueType(reader);
      return { code: type - 0x80, parameters: NONE, results: SINGLE.get(type) as Uint8Array };
    }
    // A type index: a signed number of 33 bits that is not negative.
    const index = reader.s64();
    if (index < 0n || index > 0xffff_ffffn || reader.offset - at > 5)
      reader.fail("malformed", "Not a block type", at);
    const type = this.module.types[Number(index)];
    if (type === undefined) return reader.fail("bad-index", `There is no type ${index}`, at);
    return { code: Number(index), parameters: type.parameters, results: type.results };
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
        return this.#special(opcode);
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
    this.#needMemory(at);
    if (this.here === NOBODY) return;
    this.body.a[this.here] = alignment;
    this.body.b[this.here] = offset | 0;
  }

  #needMemory(at: number): void {
    if (this.module.memories.length === 0) this.fail("bad-index", "There is no memory 0", at);
  }

  /** The memory index of memory.size and the bulk instructions. */
  #memoryIndex(): void {
    const at = this.reader.offset;
    if (this.reader.u8() > 0) this.fail("multiple-memories", "Only one memory is admitted", at);
    this.#needMemory(at);
  }

  #lane(opcode: number): void {
    const at = this.reader.offset;
    const lane = this.reader.u8();
    if (lane >= (op.LANES[opcode] as number)) this.reader.fail("bad-index", `There is no lane ${lane}`, at);
    // A load or store of a lane has its offset in `b`: the lane goes beside the alignment.
    if (this.here !== NOBODY) this.body.a[this.here] = (this.body.a[this.here] as number) | (lane << 8);
  }

  #literal(length: number): number {
    return this.reader.skip(length);
  }

  #isNan(from: number, length: 4 | 8): boolean {
    const view = new DataView(this.reader.bytes.buffer, this.reader.bytes.byteOffset + from, length);
    return Number.isNaN(length === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true));
  }

  #special(opcode: number): void {
    const reader = this.reader;
    const module = this.module;
    const at = reader.offset;
    switch (opcode) {
      case op.UNREACHABLE:
        return this.unreachable();
      case op.NOP:
        return;
      case op.BLOCK:
      case op.LOOP:
      case op.IF: {
        const type = this.#blockType();
        this.set(type.code);
        if (opcode === op.IF) this.pop(op.I32);
        this.popAll(type.parameters, NOBODY);
        return this.enter(opcode, type.parameters, type.results);
      }
      case op.BR: {
        const depth = reader.u32();
        this.set(depth);
        this.popAll(this.label(depth, at), NOBODY);
        return this.unreachable();
      }
      case op.BR_IF: {
        const depth = reader.u32();
        this.set(depth);
        this.pop(op.I32);
        const types = this.label(depth, at);
        this.popAll(types, NOBODY);
        return this.pushAll(types);
      }
      case op.BR_TABLE:
        return this.#branchTable();
      case op.RETURN:
        this.popAll((this.frames[0] as Frame).results, NOBODY);
        return this.unreachable();
      case op.CALL: {
        const index = functionIndex(reader, module);
        this.set(index);
        if (this.here !== NOBODY) this.body.callees.add(index);
        return this.#apply(typeOfFunction(module, index));
      }
      case op.CALL_INDIRECT: {
        const type = typeIndex(reader, module);
        const table = this.#tableIndex();
        if (module.tables[table]?.element !== op.FUNCREF) {
          this.fail("type-mismatch", `Table ${table} holds no functions`);
        }
        this.set(type, table);
        if (this.here !== NOBODY) this.body.indirect.add(type);
        this.pop(op.I32);
        return this.#apply(module.types[type] as FunctionType);
      }
      case op.DROP:
        this.pop(op.ANY);
        return;
      case op.SELECT: {
        this.pop(op.I32);
        const one = this.pop(op.ANY);
        const other = this.pop(op.ANY);
        if (op.isReference(one) || op.isReference(other)) {
          this.fail("type-mismatch", "A select of references must name its type");
        }
        if (one !== other && one !== op.ANY && other !== op.ANY) {
          this.fail("type-mismatch", `A select between ${op.typeName(other)} and ${op.typeName(one)}`);
        }
        return this.push(one === op.ANY ? other : one);
      }
      case op.SELECT_TYPED: {
        if (reader.u32() !== 1) reader.fail("malformed", "A select must have one type", at);
        const type = valueType(reader);
        this.set(type);
        this.pop(op.I32);
        this.pop(type);
        this.pop(type);
        return this.push(type);
      }
      case op.LOCAL_GET:
      case op.LOCAL_SET:
      case op.LOCAL_TEE: {
        const index = reader.u32();
        const type = this.body.locals[index];
        if (type === undefined) return this.fail("bad-index", `There is no local ${index}`, at);
        this.set(index);
        if (opcode !== op.LOCAL_GET) this.pop(type);
        if (opcode !== op.LOCAL_SET) this.push(type);
        return;
      }
      case op.GLOBAL_GET:
      case op.GLOBAL_SET: {
        const index = reader.u32();
        const global = module.globals[index];
        if (global === undefined) return this.fail("bad-index", `There is no global ${index}`, at);
        this.set(index);
        if (opcode === op.GLOBAL_GET) return this.push(global.type);
        if (!global.mutable) this.fail("immutable-global", `Global ${index} is constant`, at);
        this.pop(global.type);
        return;
      }
      case op.TABLE_GET:
      case op.TABLE_SIZE: {
        const table = this.#tableIndex();
        this.set(table);
        if (opcode === op.TABLE_SIZE) return this.push(op.I32);
        this.pop(op.I32);
        return this.push(module.tables[table]?.element as number);
      }
      case op.MEMORY_SIZE:
        this.#memoryIndex();
        return this.push(op.I32);
      case op.MEMORY_GROW:
        this.#memoryIndex();
        this.pop(op.I32);
        return this.push(op.I32);
      case op.I32_CONST:
        this.set(reader.s32());
        return this.push(op.I32);
      case op.I64_CONST: {
        const value = reader.s64();
        if (this.here !== NOBODY) this.set(this.body.wide.push(value) - 1);
        return this.push(op.I64);
      }
      case op.F32_CONST: {
        const from = this.#literal(4);
        this.set(from, this.#isNan(from, 4) ? 1 : 0);
        return this.push(op.F32);
      }
      case op.F64_CONST: {
        const from = this.#literal(8);
        this.set(from, this.#isNan(from, 8) ? 1 : 0);
        return this.push(op.F64);
      }
      case op.V128_CONST: {
        const from = this.#literal(16);
        let nan = this.#isNan(from, 8) || this.#isNan(from + 8, 8);
        for (let lane = 0; lane < 16; lane += 4) nan ||= this.#isNan(from + lane, 4);
        this.set(from, nan ? 1 : 0);
        return this.push(op.V128);
      }
      case op.I8X16_SHUFFLE: {
        const from = this.#literal(16);
        for (let lane = 0; lane < 16; lane++) {
          if ((reader.bytes[from + lane] as number) >= 32)
            reader.fail("bad-index", "A shuffle has lanes 0 to 31", from + lane);
        }
        this.set(from);
        this.pop(op.V128);
        this.pop(op.V128);
        return this.push(op.V128);
      }
      case op.REF_NULL: {
        const type = heapType(reader);
        this.set(type);
        return this.push(type);
      }
      case op.REF_IS_NULL: {
        const type = this.pop(op.ANY);
        if (type !== op.ANY && !op.isReference(type)) {
          this.fail("type-mismatch", `ref.is_null of ${op.typeName(type)}`);
        }
        return this.push(op.I32);
      }
      case op.REF_FUNC: {
        const index = functionIndex(reader, module);
        if (!module.declared.has(index)) {
          this.fail("undeclared-reference", `No export, segment or global names function ${index}`, at);
        }
        this.set(index);
        return this.push(op.FUNCREF);
      }
      case op.MEMORY_INIT: {
        const segment = reader.u32();
        if (module.dataCount === null) this.fail("malformed", "memory.init needs a data count section", at);
        if (segment >= module.dataCount) this.fail("bad-index", `There is no data segment ${segment}`, at);
        this.#memoryIndex();
        this.set(segment);
        return this.#popThree();
      }
      case op.MEMORY_COPY: {
        this.#memoryIndex();
        this.#memoryIndex();
        return this.#popThree();
      }
      case op.MEMORY_FILL:
        this.#memoryIndex();
        return this.#popThree();
      default:
        throw new Error(`no case for ${op.NAMES[opcode]}`);
    }
  }

  #popThree(): void {
    this.pop(op.I32);
    this.pop(op.I32);
    this.pop(op.I32);
  }

  #tableIndex(): number {
    const at = this.reader.offset;
    const index = this.reader.u32();
    if (index >= this.module.tables.length) this.fail("bad-index", `There is no table ${index}`, at);
    return index;
  }

  #apply(type: FunctionType): void {
    this.popAll(type.parameters);
    this.pushAll(type.results, this.here);
  }

  #branchTable(): void {
    const reader = this.reader;
    const at = reader.offset;
    const limit = limits.BR_TABLE_LIMIT;
    const count = reader.u32();
    if (count > limit) reader.fail("branch-table-size", `${count} targets: at most ${limit} are allowed`, at);
    const depths: number[] = [];
    const offsets: number[] = [];
    for (let index = 0; index <= count; index++) {
      offsets.push(reader.offset);
      depths.push(reader.u32());
    }
    this.pop(op.I32);
    const arity = this.label(depths[count] as number, offsets[count] as number).length;
    const checked = new Set<number>();
    depths.forEach((depth, index) => {
      if (checked.has(depth)) return;
      checked.add(depth);
      const types = this.label(depth, offsets[index] as number);
      if (types.length !== arity) {
        this.fail(
          "type-mismatch",
          "The targets of a br_table take different numbers of operands",
          offsets[index],
        );
      }
      this.check(types);
    });
    this.popAll(this.label(depths[count] as number, at), NOBODY);
    if (this.here !== NOBODY) this.set(this.body.labels.push(depths) - 1);
    this.unreachable();
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
