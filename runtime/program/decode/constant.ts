/**
 * Constant expressions: initial values of globals, offsets and items of segments. One constant, then `end`.
 */

import { type Constant, functionIndex, type Module } from "./model.ts";
import {
  END,
  EXTERNREF,
  F32,
  F32_CONST,
  F64,
  F64_CONST,
  FUNCREF,
  GLOBAL_GET,
  I32,
  I32_CONST,
  I64,
  I64_CONST,
  PREFIX_FD,
  REF_FUNC,
  REF_NULL,
  typeName,
  V128,
  V128_CONST,
} from "./opcodes.ts";
import type { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

/** add, sub and mul: in initial values of later versions, with the type of operands and result. */
const ARITHMETIC = new Map([
  [0x6a, I32],
  [0x6b, I32],
  [0x6c, I32],
  [0x7c, I64],
  [0x7d, I64],
  [0x7e, I64],
]);

export function constantExpression(reader: Reader, module: Module, wanted: number): Constant {
  const at = reader.offset;
  const constant = one(reader, module);
  if (reader.offset < reader.end && reader.bytes[reader.offset] !== END)
    refuseMore(reader, module, constant, wanted);
  const type = typeOf(constant);
  if (type !== wanted) {
    reader.fail(
      "type-mismatch",
      `An initial value of type ${typeName(type)} where ${typeName(wanted)} is needed`,
      at,
    );
  }
  reader.u8(); // END, or the section is at its end
  return constant;
}

/** Fails at what follows the first constant: whether it is a valid expression of a later version, or none. */
function refuseMore(reader: Reader, module: Module, first: Constant, wanted: number): never {
  const at = reader.offset;
  const stack = [typeOf(first)];
  for (;;) {
    const opcode = reader.u8();
    const type = ARITHMETIC.get(opcode);
    if (opcode === END) break;
    if (type === undefined) {
      reader.offset--;
      stack.push(typeOf(one(reader, module)));
    } else if (stack.pop() !== type || stack.at(-1) !== type) {
      return reader.fail("constant-expression", "Operands of an initial value have other types", at);
    }
  }
  if (stack.length === 1 && stack[0] === wanted) {
    return reader.fail("extended-constants", "An initial value may not be computed", at);
  }
  return reader.fail("constant-expression", "An initial value must be one constant", at);
}

function typeOf(constant: Constant): number {
  return constant.kind === "function" ? FUNCREF : constant.type;
}

function one(reader: Reader, module: Module): Constant {
  const at = reader.offset;
  const op = reader.u8();
  switch (op) {
    case I32_CONST:
      return { kind: "number", type: I32, value: BigInt(reader.s32()) };
    case I64_CONST:
      return { kind: "number", type: I64, value: reader.s64() };
    case F32_CONST:
      return { kind: "number", type: F32, value: bits(reader, 4) };
    case F64_CONST:
      return { kind: "number", type: F64, value: bits(reader, 8) };
    case 0xfd:
      if (reader.u32() + PREFIX_FD === V128_CONST)
        return { kind: "number", type: V128, value: bits(reader, 16) };
      break;
    case REF_NULL:
      return { kind: "null", type: heapType(reader) };
    case REF_FUNC: {
      const index = functionIndex(reader, module);
      return { kind: "function", functionIndex: index };
    }
    case GLOBAL_GET:
      return reader.fail("extended-constants", "An initial value may not be read from another global", at);
  }
  return reader.fail("constant-expression", "An initial value must be one constant", at);
}

function bits(reader: Reader, bytes: number): bigint {
  let value = 0n;
  for (let index = 0; index < bytes; index++) value |= BigInt(reader.u8()) << BigInt(8 * index);
  return value;
}

/** The type of a ref.null. */
export function heapType(reader: Reader): number {
  const at = reader.offset;
  const type = reader.u8();
  if (type !== FUNCREF && type !== EXTERNREF) {
    if (type === 0x69 || type === 0x74)
      reader.fail("exceptions", "Exception references are not admitted", at);
    reader.fail("gc", "Only null references of type funcref and externref are admitted", at);
  }
  return type;
}

/** Writes the expression again. `mapFunction` renumbers functions. */
export function writeConstant(
  writer: Writer,
  constant: Constant,
  mapFunction: (index: number) => number,
): void {
  if (constant.kind === "null") {
    writer.u8(REF_NULL);
    writer.u8(constant.type);
  } else if (constant.kind === "function") {
    writer.u8(REF_FUNC);
    writer.u32(mapFunction(constant.functionIndex));
  } else if (constant.type === I32) {
    writer.u8(I32_CONST);
    writer.s32(Number(BigInt.asIntN(32, constant.value)));
  } else if (constant.type === I64) {
    writer.u8(I64_CONST);
    writer.s64(constant.value);
  } else if (constant.type === F32) {
    writer.u8(F32_CONST);
    writer.bytes(littleEndian(constant.value, 4));
  } else if (constant.type === F64) {
    writer.u8(F64_CONST);
    writer.bytes(littleEndian(constant.value, 8));
  } else {
    writer.u8(0xfd);
    writer.u32(V128_CONST - PREFIX_FD);
    writer.bytes(littleEndian(constant.value, 16));
  }
  writer.u8(END);
}

export function littleEndian(value: bigint, bytes: number): Uint8Array {
  const out = new Uint8Array(bytes);
  for (let index = 0; index < bytes; index++) out[index] = Number((value >> BigInt(8 * index)) & 0xffn);
  return out;
}
