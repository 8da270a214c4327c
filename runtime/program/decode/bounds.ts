/**
 * The limits that a decoder enforces, by dialect: those of runtime/limits.ts on originals, V8's on what
 * Asyncify made of them.
 */

import * as limits from "../../limits.ts";

export interface Bounds {
  readonly programBytes: number;
  readonly types: number;
  readonly functions: number;
  readonly functionBytes: number;
  readonly parameters: number;
  readonly results: number;
  readonly locals: number;
  readonly nesting: number;
  readonly operands: number;
  readonly branchTable: number;
  readonly imports: number;
  readonly exports: number;
  readonly tables: number;
  readonly tableElements: number;
  readonly globals: number;
  readonly segments: number;
  readonly nameBytes: number;
}

const original: Bounds = {
  programBytes: limits.PROGRAM_BYTES_LIMIT,
  types: limits.TYPES_LIMIT,
  functions: limits.FUNCTIONS_LIMIT,
  functionBytes: limits.FUNCTION_BYTES_LIMIT,
  parameters: limits.PARAMETERS_LIMIT,
  results: limits.RESULTS_LIMIT,
  locals: limits.LOCALS_LIMIT,
  nesting: limits.NESTING_LIMIT,
  operands: limits.OPERANDS_LIMIT,
  branchTable: limits.BR_TABLE_LIMIT,
  imports: limits.IMPORTS_LIMIT,
  exports: limits.EXPORTS_LIMIT,
  tables: limits.TABLES_LIMIT,
  tableElements: limits.TABLE_ELEMENTS_LIMIT,
  globals: limits.GLOBALS_LIMIT,
  segments: limits.SEGMENTS_LIMIT,
  nameBytes: limits.NAME_BYTES_LIMIT,
};

// What Asyncify adds is bounded by what it was given, but for locals and size of a function: those have V8's
// own limits here, less the room that the rewriter needs.
const asyncified: Bounds = {
  ...original,
  programBytes: limits.ASYNCIFIED_BYTES_LIMIT,
  types: original.types + 16,
  functions: original.functions + 16,
  functionBytes: limits.ASYNCIFIED_FUNCTION_BYTES_LIMIT,
  locals: limits.ASYNCIFIED_LOCALS_LIMIT,
  nesting: original.nesting * 8,
  operands: original.operands * 8,
  exports: original.exports + 16,
  globals: original.globals + 2,
};

export const LIMITS: Readonly<Record<"original" | "asyncified", Bounds>> = { original, asyncified };
