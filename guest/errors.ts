/**
 * Names of codes, and the way from a code to an abort. An abort ends the activation: the
 * parent sees the fault FAULT_ABORT with the message, file and line; in the root it fails the block.
 */

import * as abi from "../syscalls/abi.ts";

/**
 * Aborts unless `code` is 0 or more; gives `code` back.
 *
 *   check(child.drop().put(), "drop the old worker");
 */
export function check(code: i32, action: string): i32 {
  if (code < 0) throw new Error(`${action}: ${errorName(code)}`);
  return code;
}

/** The name of an error code: "E_GAS". */
export function errorName(code: i32): string {
  switch (code) {
    case abi.E_BAD_REQUEST:
      return "E_BAD_REQUEST";
    case abi.E_RANGE:
      return "E_RANGE";
    case abi.E_NO_CHILD:
      return "E_NO_CHILD";
    case abi.E_NO_ENTRY:
      return "E_NO_ENTRY";
    case abi.E_BAD_PROGRAM:
      return "E_BAD_PROGRAM";
    case abi.E_GAS:
      return "E_GAS";
    case abi.E_QUOTA:
      return "E_QUOTA";
    case abi.E_STATE:
      return "E_STATE";
    case abi.E_CONFLICT:
      return "E_CONFLICT";
    case abi.E_PERMISSION:
      return "E_PERMISSION";
    case abi.E_NOT_IN_BATCH:
      return "E_NOT_IN_BATCH";
  }
  return code < 0 ? `error ${code}` : "OK";
}

/** What a fault is called in messages: "out of gas". */
export function faultName(fault: u32): string {
  switch (fault) {
    case abi.FAULT_NONE:
      return "none";
    case abi.FAULT_UNREACHABLE:
      return "unreachable";
    case abi.FAULT_ABORT:
      return "abort";
    case abi.FAULT_MEMORY_BOUNDS:
      return "memory bounds";
    case abi.FAULT_TABLE_BOUNDS:
      return "table bounds";
    case abi.FAULT_DIVISION_BY_ZERO:
      return "division by zero";
    case abi.FAULT_INTEGER_OVERFLOW:
      return "integer overflow";
    case abi.FAULT_BAD_CONVERSION:
      return "bad conversion";
    case abi.FAULT_BAD_INDIRECT_CALL:
      return "bad indirect call";
    case abi.FAULT_OUT_OF_GAS:
      return "out of gas";
    case abi.FAULT_QUOTA:
      return "quota";
    case abi.FAULT_CALL_DEPTH:
      return "call depth";
  }
  return `fault ${fault}`;
}

/** What a reason for refusing a program is called in messages: "unknown-import". Allocates. */
export function reasonName(reason: u32): string {
  const names: string =
    "unknown-program malformed bad-utf8 bad-index type-mismatch immutable-global bad-alignment " +
    "undeclared-reference duplicate-export constant-expression unknown-opcode threads relaxed-simd " +
    "exceptions gc memory64 tail-calls multiple-memories shared-memory custom-page-size " +
    "extended-constants wide-arithmetic mutable-reference-global table-mutation segment-drop " +
    "unknown-import import-type may-not-suspend not-suspendable suspending-references " +
    "data-out-of-bounds elements-out-of-bounds program-size type-count function-count function-size " +
    "parameter-count result-count local-count nesting-depth operand-height " +
    "branch-table-size import-count export-count table-count table-size memory-size global-count " +
    "segment-count name-length call-depth state-bound";
  const all = names.split(" ");
  return reason < <u32>all.length ? all[reason] : `reason ${reason}`;
}
