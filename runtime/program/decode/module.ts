/**
 * Decodes everything of a module but the function bodies, and checks it: strict binary format, valid indices
 * and types, admitted features only, limits. Function bodies are left as ranges; the caller's visitor reads
 * them in their place, so that the first problem in file order is the one reported.
 */

import * as limits from "../../limits.ts";
import { constantExpression } from "./constant.ts";
import { GUEST_IMPORTS } from "./imports.ts";
import {
  type FunctionType,
  functionIndex,
  type Global,
  type ImportName,
  type Module,
  typeIndex,
  typeOfFunction,
  valueType,
} from "./model.ts";
import { I32, isReference, typeName } from "./opcodes.ts";
import type { Reader } from "./reader.ts";
import { dataSection, elementSection, tableSection } from "./segments.ts";

const SECTION_NAMES = [
  "custom",
  "type",
  "import",
  "function",
  "table",
  "memory",
  "global",
  "export",
  "start",
  "element",
  "code",
  "data",
  "data count",
];
/** The export that says where private memory begins. */
export const STATE_BYTES = "STATE_BYTES";
/** Section ids in the order in which they must stand. */
const SECTION_ORDER = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11];

/** Called while a module is decoded, so that what they reject is reported in file order. */
export interface Visitor {
  /** After the import section; the reader may fail at module.importsAt. */
  imports?(module: Module): void;
  /** With the reader at a function's body, and all sections before the code section known. */
  body(module: Module, functionIndex: number): void;
}

/** Decodes a whole module. */
export function decodeModule(reader: Reader, visitor: Visitor): Module {
  const module: Module = {
    types: [],
    imports: [],
    importsAt: 0,
    functions: [],
    tables: [],
    memories: [],
    globals: [],
    exports: [],
    stateBytes: 0,
    start: null,
    elements: [],
    dataCount: null,
    bodies: [],
    data: [],
    declared: new Set(),
  };
  const fileEnd = reader.end;
  if (fileEnd > limits.PROGRAM_BYTES_LIMIT) {
    reader.fail(
      "program-size",
      `The module has ${fileEnd} bytes: at most ${limits.PROGRAM_BYTES_LIMIT} are allowed`,
      0,
    );
  }
  const magic = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  for (const byte of magic) {
    const at = reader.offset;
    if (reader.u8() !== byte) reader.fail("malformed", "Not a WebAssembly module of version 1", at);
  }
  let position = -1;
  let codeSeen = false;
  let dataSeen = false;
  while (reader.offset < fileEnd) {
    const at = reader.offset;
    const id = reader.u8();
    const size = reader.u32();
    const start = reader.skip(size);
    if (id === 13) reader.fail("exceptions", "A section of exception tags is not admitted", at);
    if (id > 13) reader.fail("malformed", `There is no section ${id}`, at);
    reader.offset = start;
    reader.end = start + size;
    if (id === 0) {
      reader.name(reader.end);
      reader.offset = reader.end;
    } else {
      const place = SECTION_ORDER.indexOf(id);
      if (place <= position) {
        reader.fail("malformed", `The ${SECTION_NAMES[id]} section is out of order or there twice`, at);
      }
      position = place;
      if (id === 10) codeSeen = true;
      if (id === 11) dataSeen = true;
      section(reader, module, id, visitor);
    }
    if (reader.offset !== reader.end) {
      reader.fail(
        "malformed",
        `${reader.end - reader.offset} bytes too many in the ${SECTION_NAMES[id]} section`,
      );
    }
    reader.end = fileEnd;
  }
  if (!codeSeen && module.functions.length > module.imports.length) {
    reader.fail("malformed", "Functions are declared, but there is no code section");
  }
  if (!dataSeen && (module.dataCount ?? 0) !== 0) {
    reader.fail("malformed", "Data segments are counted, but there is no data section");
  }
  return module;
}

function section(reader: Reader, module: Module, id: number, visitor: Visitor): void {
  switch (id) {
    case 1:
      return typeSection(reader, module);
    case 2:
      importSection(reader, module);
      visitor.imports?.(module);
      return;
    case 3:
      return functionSection(reader, module);
    case 4:
      return tableSection(reader, module);
    case 5:
      return memorySection(reader, module);
    case 6:
      return globalSection(reader, module);
    case 7:
      return exportSection(reader, module);
    case 8:
      return startSection(reader, module);
    case 9:
      return elementSection(reader, module);
    case 10:
      return codeSection(reader, module, visitor);
    case 11:
      return dataSection(reader, module);
    default: {
      const at = reader.offset;
      module.dataCount = reader.u32();
      if (module.dataCount > limits.SEGMENTS_LIMIT) {
        reader.fail(
          "segment-count",
          `${module.dataCount} data segments: at most ${limits.SEGMENTS_LIMIT}`,
          at,
        );
      }
    }
  }
}

function typeSection(reader: Reader, module: Module): void {
  const at = reader.offset;
  const count = reader.u32();
  if (count > limits.TYPES_LIMIT)
    reader.fail("type-count", `${count} types: at most ${limits.TYPES_LIMIT} are allowed`, at);
  for (let index = 0; index < count; index++) {
    const form = reader.u8();
    if (form === 0x4e || form === 0x4f || form === 0x50 || form === 0x5e || form === 0x5f) {
      reader.fail("gc", "Types of garbage-collected objects are not admitted", reader.offset - 1);
    }
    if (form !== 0x60) reader.fail("malformed", "A type that is not a function type", reader.offset - 1);
    const parametersAt = reader.offset;
    const parameters = typeVector(reader);
    if (parameters.length > limits.PARAMETERS_LIMIT) {
      const text = `${parameters.length} parameters: at most ${limits.PARAMETERS_LIMIT} are allowed`;
      reader.fail("parameter-count", text, parametersAt);
    }
    const resultsAt = reader.offset;
    const results = typeVector(reader);
    if (results.length > limits.RESULTS_LIMIT) {
      reader.fail(
        "result-count",
        `${results.length} results: at most ${limits.RESULTS_LIMIT} are allowed`,
        resultsAt,
      );
    }
    module.types.push({ parameters, results });
  }
}

function typeVector(reader: Reader): Uint8Array {
  const count = reader.u32();
  if (count > reader.end - reader.offset)
    reader.fail("malformed", "A list of types is longer than its section");
  const types = new Uint8Array(count);
  for (let index = 0; index < count; index++) types[index] = valueType(reader);
  return types;
}

function importSection(reader: Reader, module: Module): void {
  const count = reader.u32();
  for (let index = 0; index < count; index++) {
    const at = reader.offset;
    if (index >= limits.IMPORTS_LIMIT)
      reader.fail("import-count", `At most ${limits.IMPORTS_LIMIT} imports are allowed`, at);
    const from = reader.name(limits.NAME_BYTES_LIMIT);
    const name = reader.name(limits.NAME_BYTES_LIMIT);
    const kind = reader.u8();
    const wanted = Object.hasOwn(GUEST_IMPORTS, name) ? GUEST_IMPORTS[name as ImportName] : undefined;
    if (kind !== 0 || wanted === undefined || wanted.module !== from) {
      if (kind === 4) reader.fail("exceptions", "Imported exception tags are not admitted", at);
      if (kind > 4) reader.fail("malformed", `There is no kind ${kind} of import`, at);
      const what = ["function", "table", "memory", "global"][kind];
      const there =
        'only put, get, ret, snapshot and accumulate of "stillpoint", and abort of "env", can be. ' +
        "There is no clock, no randomness and no output";
      reader.fail("unknown-import", `The ${what} "${from}"."${name}" cannot be imported: ${there}`, at);
    }
    const typeAt = reader.offset;
    const type = typeIndex(reader, module);
    const { parameters, results } = module.types[type] as FunctionType;
    const fits = same(parameters, wanted.parameters) && same(results, wanted.results);
    if (!fits) {
      const list = (types: Iterable<number>) => `(${[...types].map(typeName).join(", ")})`;
      const text = `"${name}" must have the type ${list(wanted.parameters)} to ${list(wanted.results)}`;
      reader.fail("import-type", text, typeAt);
    }
    module.imports.push(name as ImportName);
    if ((name === "ret" || name === "snapshot") && module.importsAt === 0) module.importsAt = at;
    module.functions.push(type);
  }
}

function same(one: ArrayLike<number>, other: ArrayLike<number>): boolean {
  if (one.length !== other.length) return false;
  for (let index = 0; index < one.length; index++) if (one[index] !== other[index]) return false;
  return true;
}

function functionSection(reader: Reader, module: Module): void {
  const limit = limits.FUNCTIONS_LIMIT;
  const at = reader.offset;
  const count = reader.u32();
  if (count + module.imports.length > limit) {
    reader.fail("function-count", `${count} functions: at most ${limit} are allowed, imports included`, at);
  }
  for (let index = 0; index < count; index++) module.functions.push(typeIndex(reader, module));
}

function memorySection(reader: Reader, module: Module): void {
  const at = reader.offset;
  const count = reader.u32();
  if (count > 1) reader.fail("multiple-memories", "Only one memory is admitted", at);
  for (let index = 0; index < count; index++) {
    const limitsAt = reader.offset;
    const flags = reader.u8();
    if (flags === 2 || flags === 3)
      reader.fail("shared-memory", "Shared memories are not admitted", limitsAt);
    if (flags >= 4 && flags < 8)
      reader.fail("memory64", "Memories with 64-bit addresses are not admitted", limitsAt);
    if (flags >= 8 && flags < 16) reader.fail("custom-page-size", "Memory pages must have 64 KiB", limitsAt);
    if (flags > 1) reader.fail("malformed", "Unknown flags of a memory", limitsAt);
    const minimum = reader.u32();
    const maximum = flags === 1 ? reader.u32() : null;
    if (minimum > 65536 || (maximum ?? 0) > 65536) {
      reader.fail("memory-size", "A memory has at most 65,536 pages of 64 KiB", limitsAt);
    }
    if (maximum !== null && maximum < minimum) {
      reader.fail("malformed", "The memory's maximum is below its minimum", limitsAt);
    }
    module.memories.push({ minimum, maximum });
  }
}

function globalSection(reader: Reader, module: Module): void {
  const limit = limits.GLOBALS_LIMIT;
  const at = reader.offset;
  const count = reader.u32();
  if (count > limit) reader.fail("global-count", `${count} globals: at most ${limit} are allowed`, at);
  for (let index = 0; index < count; index++) {
    const start = reader.offset;
    const type = valueType(reader);
    const mutability = reader.u8();
    if (mutability > 1)
      reader.fail("malformed", "A global is neither constant nor mutable", reader.offset - 1);
    const mutable = mutability === 1;
    if (mutable && isReference(type)) {
      const text = `A mutable global of type ${typeName(type)}: references are not part of an image`;
      reader.fail("mutable-reference-global", text, start);
    }
    const initial = constantExpression(reader, module, type);
    if (initial.kind === "function") module.declared.add(initial.functionIndex);
    module.globals.push({ type, mutable, initial });
  }
}

function exportSection(reader: Reader, module: Module): void {
  const at = reader.offset;
  const count = reader.u32();
  if (count > limits.EXPORTS_LIMIT)
    reader.fail("export-count", `${count} exports: at most ${limits.EXPORTS_LIMIT} are allowed`, at);
  const names = new Set<string>();
  for (let index = 0; index < count; index++) {
    const start = reader.offset;
    const name = reader.name(limits.NAME_BYTES_LIMIT);
    if (names.has(name)) reader.fail("duplicate-export", `"${name}" is exported twice`, start);
    names.add(name);
    const kindAt = reader.offset;
    const kind = reader.u8();
    if (kind === 4) reader.fail("exceptions", "Exported exception tags are not admitted", kindAt);
    if (kind > 4) reader.fail("malformed", `There is no kind ${kind} of export`, kindAt);
    const item = reader.u32();
    const space = [module.functions, module.tables, module.memories, module.globals][kind] as unknown[];
    if (item >= space.length)
      reader.fail("bad-index", `The export "${name}" names item ${item}, which is not there`, kindAt);
    if (kind === 0) {
      module.exports.push({ name, functionIndex: item });
      module.declared.add(item);
    }
    if (name === STATE_BYTES)
      module.stateBytes = stateBound(reader, module, kind === 3 ? module.globals[item] : undefined, kindAt);
  }
}

/** What the exported constant STATE_BYTES says. */
function stateBound(reader: Reader, module: Module, global: Global | undefined, at: number): number {
  if (global?.mutable !== false || global.initial.kind !== "number" || global.type !== I32)
    return reader.fail("state-bound", `${STATE_BYTES} must be an immutable global of type i32`, at);
  const bytes = Number(BigInt.asUintN(32, global.initial.value));
  const limit = (module.memories[0]?.minimum ?? 0) * limits.WASM_PAGE_BYTES;
  if (bytes % limits.WASM_PAGE_BYTES !== 0 || bytes > limit) {
    const text = `${STATE_BYTES} is ${bytes}: a multiple of 65536 is needed, at most the memory of ${limit}`;
    return reader.fail("state-bound", text, at);
  }
  return bytes;
}

function startSection(reader: Reader, module: Module): void {
  const at = reader.offset;
  const index = functionIndex(reader, module);
  const { parameters, results } = typeOfFunction(module, index);
  if (parameters.length + results.length > 0) {
    reader.fail("type-mismatch", "The start function must take nothing and return nothing", at);
  }
  module.start = index;
}

function codeSection(reader: Reader, module: Module, visitor: Visitor): void {
  const limit = limits.FUNCTION_BYTES_LIMIT;
  const at = reader.offset;
  const count = reader.u32();
  if (count !== module.functions.length - module.imports.length) {
    reader.fail(
      "malformed",
      "The code section has another number of functions than the function section",
      at,
    );
  }
  const sectionEnd = reader.end;
  for (let index = 0; index < count; index++) {
    reader.functionIndex = module.imports.length + index;
    const sizeAt = reader.offset;
    const size = reader.u32();
    const start = reader.skip(size);
    if (size > limit)
      reader.fail("function-size", `A function of ${size} bytes: at most ${limit} are allowed`, sizeAt);
    reader.offset = start;
    reader.end = start + size;
    const body = { start, end: start + size };
    module.bodies.push(body);
    visitor.body(module, reader.functionIndex);
    reader.functionIndex = null;
    reader.offset = body.end;
    reader.end = sectionEnd;
  }
}
