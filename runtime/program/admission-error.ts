/**
 * Why a module is not admitted. `reason` is stable and follows from the bytes alone (the first problem in
 * file order), so that it may become part of a result; the message is for people.
 */

import { StillpointError } from "../errors.ts";

/** The module is not a well-formed, valid module of the admitted feature set. */
export const INVALID_REASONS = [
  "malformed", //            not the binary format: truncated, bad numbers, wrong sections, wrong counts
  "bad-utf8", //             a name is not UTF-8
  "bad-index", //            a type, function, table, global, segment, local or label that does not exist
  "type-mismatch", //        operands, results or initial values of the wrong type
  "immutable-global", //     global.set of a constant
  "bad-alignment", //        alignment above the natural one
  "undeclared-reference", // ref.func of a function that no export, segment or global names
  "duplicate-export",
  "constant-expression", //  an initial value that is not one constant
  "unknown-opcode",
] as const;

/** Valid WebAssembly perhaps, but a feature whose results could differ or that an image cannot hold. */
export const FEATURE_REASONS = [
  "threads",
  "relaxed-simd",
  "exceptions",
  "gc",
  "memory64",
  "tail-calls",
  "multiple-memories",
  "shared-memory",
  "custom-page-size",
  "extended-constants",
  "wide-arithmetic",
  "mutable-reference-global",
  "table-mutation",
  "segment-drop",
  "unknown-import",
  "import-type",
  "may-not-suspend", //      a program installed at run time imports ret or snapshot
  "not-suspendable", //      too many calls in a function that may suspend it, or in too many nested loops
  "suspending-references", // a function that may be suspended has references in operands or locals
  "data-out-of-bounds", //   an active segment that would trap when the module is instantiated
  "elements-out-of-bounds",
  "state-bound", //          STATE_BYTES is not a constant, or not a bound of state
] as const;

/** A limit of runtime/limits.ts. */
export const LIMIT_REASONS = [
  "program-size",
  "type-count",
  "function-count",
  "function-size",
  "parameter-count",
  "result-count",
  "local-count",
  "nesting-depth",
  "operand-height",
  "branch-table-size",
  "import-count",
  "export-count",
  "table-count",
  "table-size",
  "memory-size",
  "global-count",
  "segment-count",
  "name-length",
  "call-depth", //           the longest chain of calls without recursion takes more than the call depth limit
] as const;

export type Reason =
  | (typeof INVALID_REASONS)[number]
  | (typeof FEATURE_REASONS)[number]
  | (typeof LIMIT_REASONS)[number];

/**
 * A module that is not admitted: `reason`, the function it is in (or null) and the byte offset in the
 * original module.
 */
export class AdmissionError extends StillpointError {
  readonly reason: Reason;
  readonly functionIndex: number | null;
  readonly offset: number;
  /** The message without reason and place. */
  readonly text: string;

  /** `name`: what the function is called, for the message. */
  constructor(
    reason: Reason,
    message: string,
    offset: number,
    functionIndex: number | null = null,
    name: string | null = null,
  ) {
    const called = name === null ? "" : ` "${name}"`;
    const place =
      functionIndex === null
        ? `at byte ${offset}`
        : `in function ${functionIndex}${called}, at byte ${offset}`;
    super("E_BAD_PROGRAM", `${message} (${reason}, ${place})`, { reason, functionIndex, offset });
    this.text = message;
    this.reason = reason;
    this.functionIndex = functionIndex;
    this.offset = offset;
  }
}
