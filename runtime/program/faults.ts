/**
 * From what an activation threw to a fault code. The texts of engines differ between versions and stay here;
 * what is not recognised (RangeError of the native stack, CompileError, anything new) is no guest-visible
 * result but an error of the host.
 */

import {
  FAULT_BAD_CONVERSION,
  FAULT_BAD_INDIRECT_CALL,
  FAULT_DIVISION_BY_ZERO,
  FAULT_INTEGER_OVERFLOW,
  FAULT_MEMORY_BOUNDS,
  FAULT_NONE,
  FAULT_UNREACHABLE,
} from "../../syscalls/abi.ts";
import { AUX_FAULT } from "./layout.ts";

/**
 * Texts of V8, exact. Those of a bad call_indirect differ: the first is that of Node 26, the second that of
 * Node 24.
 */
const FAULTS: ReadonlyMap<string, number> = new Map([
  ["unreachable", FAULT_UNREACHABLE],
  ["memory access out of bounds", FAULT_MEMORY_BOUNDS],
  ["function signature mismatch", FAULT_BAD_INDIRECT_CALL],
  ["null function or function signature mismatch", FAULT_BAD_INDIRECT_CALL],
  ["table index is out of bounds", FAULT_BAD_INDIRECT_CALL],
  ["divide by zero", FAULT_DIVISION_BY_ZERO],
  ["remainder by zero", FAULT_DIVISION_BY_ZERO],
  ["divide result unrepresentable", FAULT_INTEGER_OVERFLOW],
  ["float unrepresentable in integer range", FAULT_BAD_CONVERSION],
]);

/**
 * The fault of an activation that threw `error`; `aux` is its aux memory. Null: the host's own error, to be
 * thrown on.
 */
export function faultOf(error: unknown, aux: Int32Array): number | null {
  if (!(error instanceof WebAssembly.RuntimeError)) return null;
  const injected = aux[AUX_FAULT >> 2] as number;
  if (injected !== FAULT_NONE) return injected;
  return FAULTS.get(error.message) ?? null;
}
