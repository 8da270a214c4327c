/**
 * Every limit, with its unit. Those marked "consensus" are part of the rules: two runtimes that differ in one
 * compute different states. The others bound the host and never change a result.
 */

import { assert } from "./errors.ts";
import { AUX_BYTES, AUX_GLOBALS, AUX_GLOBALS_END, AUX_STACK, AUX_STACK_END } from "./program/layout.ts";

export { PAGE_BYTES, PAGES_PER_WASM_PAGE, WASM_PAGE_BYTES } from "./units.ts";

// ---- processes (consensus) --------------------------------------------------------------------------------

/** Levels of the tree below the root. */
export const TREE_DEPTH_LIMIT = 20;
/** Call depth of one activation, in estimated bytes of native frames. */
export const CALL_DEPTH_BYTES = 2 << 20;
/** Data of a block, and the region for its metadata. */
export const DATA_BYTES_LIMIT = 64 << 20;
/** Inputs of a batch together, and outputs likewise. */
export const BATCH_BYTES_LIMIT = 256 << 20;
/** Characters kept of the message of an abort, and of its file name. */
export const ABORT_TEXT_LIMIT = 256;
/** Gas is counted in numbers that JavaScript holds exactly. */
export const GAS_LIMIT = Number.MAX_SAFE_INTEGER;

// ---- programs (consensus) ---------------------------------------------------------------------------------

export const PROGRAM_BYTES_LIMIT = 16 << 20;
export const FUNCTIONS_LIMIT = 50_000;
export const FUNCTION_BYTES_LIMIT = 1 << 20;
export const LOCALS_LIMIT = 5_000;
export const PARAMETERS_LIMIT = 100;
export const RESULTS_LIMIT = 100;
/** A `switch` nests a block for each case. Loops take an engine more: their number times their code. */
export const NESTING_LIMIT = 4_000;
export const LOOP_NESTING_LIMIT = 1_000;
export const OPERANDS_LIMIT = 5_000;
export const BR_TABLE_LIMIT = 50_000;
export const TYPES_LIMIT = 10_000;
export const GLOBALS_LIMIT = 2_000;
export const TABLE_ELEMENTS_LIMIT = 10_000;
export const SEGMENTS_LIMIT = 10_000;
export const NAME_BYTES_LIMIT = 1_000;
/** Imported functions, each of the six as often as wanted. */
export const IMPORTS_LIMIT = 100;
export const EXPORTS_LIMIT = 10_000;
export const TABLES_LIMIT = 100;
/**
 * Calls in a function through which it may be suspended; the same times the locals and operands that the
 * function may have to keep, which is what compiling it takes; and loops around such a call.
 */
export const SUSPENSION_POINTS_LIMIT = 50_000;
export const SUSPENSION_VALUES_LIMIT = 8_000_000;
export const SUSPENSION_LOOPS_LIMIT = 32;
/** An instrumented function: below V8's 7,654,321 bytes. */
export const INSTRUMENTED_FUNCTION_BYTES_LIMIT = 7_000_000;

// ---- host -------------------------------------------------------------------------------------------------

/** Native stack of a worker. */
export const WORKER_STACK_BYTES = 64 << 20;
/** What the kernel's own frames take for each level of inline nesting, at most. */
export const HOST_FRAME_BYTES = 256 << 10;
/**
 * Instances with memories that a pool keeps (kernel/slots/slot-pool.ts), and all pools together; V8 holds
 * about 16,000 memories in a process, and an instance has two. A memory cannot shrink, and making one takes
 * 0.2 ms and more: so there are more than a memory quota of 4 GiB has room for processes of different sizes,
 * which are 361.
 */
export const SLOTS_LIMIT = 384;
export const ALL_SLOTS_LIMIT = 6_528;
/** Bytes of the host that the unused instances of a pool take at most; the oldest are dropped. */
export const SLOT_BYTES_LIMIT = 1 << 30;
/** Functions that the stacks of a trace name in all: later faults of a block have no stack. */
export const TRACE_FRAMES_LIMIT = 65_536;

/**
 * The option "gasLimit" by default, small enough for the worst block that is known to be over in half a
 * minute, with all the gas that may be held and all pages loaded from a store (docs/untrusted.md).
 */
export const DEFAULT_GAS_LIMIT = 300_000_000;
/** The option "memoryQuotaPages" by default: 2 GiB, for which the default heap has room (chain/bounds.ts). */
export const DEFAULT_MEMORY_QUOTA_PAGES = 1 << 19;

/** Pools of instances that a worker has: for its activations, and for children of the items of batches. */
const WORKER_POOLS = 2;

/** Instances that each pool keeps, with this number of workers and of threads for views. */
export function slotsOfPool(workers: number, views: number): number {
  return Math.min(SLOTS_LIMIT, Math.floor(ALL_SLOTS_LIMIT / (WORKER_POOLS * workers + views)));
}

/** The limits above that are no consensus rules; all others are part of the rules. */
export const HOST_LIMITS: readonly string[] = [
  "WORKER_STACK_BYTES",
  "HOST_FRAME_BYTES",
  "SLOTS_LIMIT",
  "ALL_SLOTS_LIMIT",
  "SLOT_BYTES_LIMIT",
  "DEFAULT_GAS_LIMIT",
  "DEFAULT_MEMORY_QUOTA_PAGES",
  "TRACE_FRAMES_LIMIT",
  "slotsOfPool",
  "HOST_LIMITS",
];

// ---- relations --------------------------------------------------------------------------------------------

/** V8 compiles no function with more bytes. */
const ENGINE_FUNCTION_BYTES = 7_654_321;
/** WebAssembly memories that V8 has address space for. */
const ENGINE_MEMORIES = 16_000;
const MEMORIES_PER_SLOT = 2;

const RELATIONS: Readonly<Record<string, boolean>> = {
  "a program holds its largest function": FUNCTION_BYTES_LIMIT < PROGRAM_BYTES_LIMIT,
  "instrumentation may enlarge a function": FUNCTION_BYTES_LIMIT < INSTRUMENTED_FUNCTION_BYTES_LIMIT,
  "the engine takes an instrumented function": INSTRUMENTED_FUNCTION_BYTES_LIMIT < ENGINE_FUNCTION_BYTES,
  "parameters are locals": PARAMETERS_LIMIT <= LOCALS_LIMIT,
  "loops are blocks": LOOP_NESTING_LIMIT <= NESTING_LIMIT,
  "loops around a call are loops": SUSPENSION_LOOPS_LIMIT <= LOOP_NESTING_LIMIT,
  "a function can be suspended with all its values": LOCALS_LIMIT + OPERANDS_LIMIT <= SUSPENSION_VALUES_LIMIT,
  "what a block carries fits into a batch": DATA_BYTES_LIMIT <= BATCH_BYTES_LIMIT,
  "a default block pays no more than gas can count": DEFAULT_GAS_LIMIT <= GAS_LIMIT,
  "the stack of a worker has room for the deepest tree":
    (TREE_DEPTH_LIMIT + 1) * (CALL_DEPTH_BYTES + HOST_FRAME_BYTES) <= WORKER_STACK_BYTES,
  "a suspended process has room for its frames": AUX_STACK_END - AUX_STACK >= CALL_DEPTH_BYTES,
  "globals fit where they are kept": GLOBALS_LIMIT * 16 <= AUX_GLOBALS_END - AUX_GLOBALS,
  "areas for globals and stacks do not overlap": AUX_GLOBALS_END <= AUX_STACK && AUX_STACK_END <= AUX_BYTES,
  "a pool keeps no more than all may": SLOTS_LIMIT <= ALL_SLOTS_LIMIT,
  "the engine has memories for all pools": ALL_SLOTS_LIMIT * MEMORIES_PER_SLOT <= ENGINE_MEMORIES,
};

for (const [relation, holds] of Object.entries(RELATIONS)) assert(holds, `limits: ${relation}`);
