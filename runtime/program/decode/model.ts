/**
 * A decoded module, as module.ts builds it, and how its indices and types are read.
 */

import { EXTERNREF, F32, F64, FUNCREF, I32, I64, isReference, typeName, V128 } from "./opcodes.ts";
import type { Reader } from "./reader.ts";

export interface FunctionType {
  readonly parameters: Uint8Array;
  readonly results: Uint8Array;
}

export interface FunctionBody {
  readonly start: number;
  readonly end: number;
}

export interface Table {
  readonly element: number;
  readonly minimum: number;
  readonly maximum: number | null;
}

export interface Memory {
  readonly minimum: number;
  readonly maximum: number | null;
}

/** An initial value. */
export type Constant =
  /** A number by its bits; floating-point numbers too, so that the bits of a NaN are kept. */
  | { readonly kind: "number"; readonly type: number; readonly value: bigint }
  | { readonly kind: "null"; readonly type: number }
  | { readonly kind: "function"; readonly functionIndex: number };

export interface Global {
  readonly type: number;
  readonly mutable: boolean;
  readonly initial: Constant;
}

export interface ElementSegment {
  readonly mode: "active" | "passive" | "declared";
  readonly table: number;
  readonly offset: number;
  readonly element: number;
  /** Function indices; null for a null reference. */
  readonly items: readonly (number | null)[];
}

export interface DataSegment {
  /** Where an active segment goes; null for a passive one. */
  readonly offset: number | null;
  readonly bytes: Uint8Array;
}

export type ImportName = "put" | "get" | "ret" | "snapshot" | "accumulate" | "abort";

export interface Module {
  readonly types: FunctionType[];
  /** What each imported function is; functions 0 to imports.length - 1. */
  readonly imports: ImportName[];
  /** Offset of the import that first lets the program suspend, else of the import section. */
  importsAt: number;
  /** Type index by function, imports first. */
  readonly functions: number[];
  readonly tables: Table[];
  readonly memories: Memory[];
  readonly globals: Global[];
  /** Exported functions, in file order. */
  readonly exports: { name: string; functionIndex: number }[];
  /** Memory below this address is state: the exported constant STATE_BYTES, 0 without one. */
  stateBytes: number;
  start: number | null;
  readonly elements: ElementSegment[];
  dataCount: number | null;
  readonly bodies: FunctionBody[];
  readonly data: DataSegment[];
  /** Functions that ref.func may name. */
  readonly declared: Set<number>;
}

/** Whether it imports ret or snapshot. */
export function canSuspend(module: Module): boolean {
  return module.imports.includes("ret") || module.imports.includes("snapshot");
}

export function typeOfFunction(module: Module, functionIndex: number): FunctionType {
  return module.types[module.functions[functionIndex] as number] as FunctionType;
}

/** One value type; the reason for those that belong to other features. */
export function valueType(reader: Reader): number {
  const at = reader.offset;
  const code = reader.u8();
  switch (code) {
    case I32:
    case I64:
    case F32:
    case F64:
    case V128:
    case FUNCREF:
    case EXTERNREF:
      return code;
    case 0x69:
    case 0x74:
      return reader.fail("exceptions", "Exception references are not admitted", at);
    case 0x63:
    case 0x64:
    case 0x6a:
    case 0x6b:
    case 0x6c:
    case 0x6d:
    case 0x6e:
    case 0x71:
    case 0x72:
    case 0x73:
      return reader.fail("gc", "Types of garbage-collected objects are not admitted", at);
    default:
      return reader.fail("malformed", `0x${code.toString(16)} is not a value type`, at);
  }
}

export function referenceType(reader: Reader): number {
  const at = reader.offset;
  const type = valueType(reader);
  if (!isReference(type)) reader.fail("malformed", `${typeName(type)} is not a reference type`, at);
  return type;
}

export function typeIndex(reader: Reader, module: Module): number {
  const at = reader.offset;
  const index = reader.u32();
  if (index >= module.types.length) reader.fail("bad-index", `There is no type ${index}`, at);
  return index;
}

export function functionIndex(reader: Reader, module: Module): number {
  const at = reader.offset;
  const index = reader.u32();
  if (index >= module.functions.length) reader.fail("bad-index", `There is no function ${index}`, at);
  return index;
}
