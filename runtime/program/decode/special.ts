/**
 * Instructions whose types follow from their immediates: each is read, checked, and noted for the rewriter.
 */

import * as limits from "../../limits.ts";
import { EMPTY_BLOCK, NOBODY } from "./body.ts";
import { heapType } from "./constant.ts";
import { type FunctionType, functionIndex, typeIndex, typeOfFunction, valueType } from "./model.ts";
import * as op from "./opcodes.ts";
import { type Frame, NONE, Operands } from "./operands.ts";

const SINGLE = new Map(
  [op.I32, op.I64, op.F32, op.F64, op.V128, op.FUNCREF, op.EXTERNREF].map((type) => [
    type,
    Uint8Array.of(type),
  ]),
);

/** Operands, and the instructions that have no signature of their own. */
export class Specials extends Operands {
  /** Reads the rest of such an instruction, and does to the operands what it does. */
  protected special(opcode: number): void {
    switch (opcode) {
      case op.UNREACHABLE:
      case op.NOP:
      case op.BLOCK:
      case op.LOOP:
      case op.IF:
      case op.BR:
      case op.BR_IF:
      case op.BR_TABLE:
      case op.RETURN:
        return this.#control(opcode);
      case op.CALL:
      case op.CALL_INDIRECT:
        return this.#call(opcode);
      case op.DROP:
      case op.SELECT:
      case op.SELECT_TYPED:
        return this.#parametric(opcode);
      case op.LOCAL_GET:
      case op.LOCAL_SET:
      case op.LOCAL_TEE:
      case op.GLOBAL_GET:
      case op.GLOBAL_SET:
        return this.#variable(opcode);
      case op.MEMORY_SIZE:
      case op.MEMORY_GROW:
      case op.MEMORY_INIT:
      case op.MEMORY_COPY:
      case op.MEMORY_FILL:
        return this.#memory(opcode);
      case op.I32_CONST:
      case op.I64_CONST:
      case op.F32_CONST:
      case op.F64_CONST:
      case op.V128_CONST:
      case op.I8X16_SHUFFLE:
        return this.#constant(opcode);
      case op.TABLE_GET:
      case op.TABLE_SIZE:
      case op.REF_NULL:
      case op.REF_IS_NULL:
      case op.REF_FUNC:
        return this.#reference(opcode);
      default:
        throw new Error(`no case for ${op.NAMES[opcode]}`);
    }
  }

  /** Blocks and branches. */
  #control(opcode: number): void {
    const reader = this.reader;
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
    }
  }

  /** Calls: the operands are those of a type. */
  #call(opcode: number): void {
    const reader = this.reader;
    const module = this.module;
    switch (opcode) {
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
    }
  }

  /** Instructions for operands of any type. */
  #parametric(opcode: number): void {
    const reader = this.reader;
    const at = reader.offset;
    switch (opcode) {
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
    }
  }

  /** Locals and globals. */
  #variable(opcode: number): void {
    const reader = this.reader;
    const module = this.module;
    const at = reader.offset;
    switch (opcode) {
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
    }
  }

  /** The memory as a whole. */
  #memory(opcode: number): void {
    const reader = this.reader;
    const module = this.module;
    const at = reader.offset;
    switch (opcode) {
      case op.MEMORY_SIZE:
        this.#memoryIndex();
        return this.push(op.I32);
      case op.MEMORY_GROW:
        this.#memoryIndex();
        this.pop(op.I32);
        return this.push(op.I32);
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
    }
  }

  /** What the code holds, which is noted by where it lies: constants, and a shuffle with its lanes. */
  #constant(opcode: number): void {
    const reader = this.reader;
    switch (opcode) {
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
    }
  }

  /** References, and tables of them. */
  #reference(opcode: number): void {
    const reader = this.reader;
    const module = this.module;
    const at = reader.offset;
    switch (opcode) {
      case op.TABLE_GET:
      case op.TABLE_SIZE: {
        const table = this.#tableIndex();
        this.set(table);
        if (opcode === op.TABLE_SIZE) return this.push(op.I32);
        this.pop(op.I32);
        return this.push(module.tables[table]?.element as number);
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

  protected needMemory(at: number): void {
    if (this.module.memories.length === 0) this.fail("bad-index", "There is no memory 0", at);
  }

  /** The memory index of memory.size and the bulk instructions. */
  #memoryIndex(): void {
    const at = this.reader.offset;
    if (this.reader.u8() > 0) this.fail("multiple-memories", "Only one memory is admitted", at);
    this.needMemory(at);
  }

  #literal(length: number): number {
    return this.reader.skip(length);
  }

  #isNan(from: number, length: 4 | 8): boolean {
    const view = new DataView(this.reader.bytes.buffer, this.reader.bytes.byteOffset + from, length);
    return Number.isNaN(length === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true));
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
}
