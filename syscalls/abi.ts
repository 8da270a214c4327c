/**
 * The four system calls: numbers, request layouts, status and fault codes. The one definition of them.
 *
 * This file is compiled by two compilers, tsc (the kernel) and asc (guests), so it holds plain literals only:
 * no types, no enums, no number above 2^31-1. README.md beside it is the reference page; a test checks that
 * the two agree.
 *
 * Rules of every request:
 * - it is a struct in the caller's memory, little-endian, at an address divisible by 8;
 * - it is read once and checked whole before anything is applied: an invalid one changes nothing;
 * - parts that are not named in `parts` are not read; reserved words must be zero;
 * - pointers and lengths are unsigned 32-bit and must lie inside the memory they point into.
 *
 * An entry is an exported function of type (i64) -> i64.
 */

// ---- what a guest may import: module, name and type -------------------------------------------------------

/** 0 or an error code. */
export const IMPORT_PUT = "stillpoint.put(child: i32, request: i32): i32";
/** 0 or an error code. */
export const IMPORT_GET = "stillpoint.get(child: i32, request: i32): i32";
/** Suspends; the result is the argument of the next START. */
export const IMPORT_RET = "stillpoint.ret(code: i64): i64";
/** Root only: suspends; the length of the next block's metadata, or an error code. */
export const IMPORT_SNAPSHOT = "stillpoint.snapshot(request: i32): i32";
/** 1: added; 0: the result would be out of bounds; or an error code. */
export const IMPORT_ACCUMULATE = "stillpoint.accumulate(request: i32): i32";
/** As AssemblyScript emits it. */
export const IMPORT_ABORT = "env.abort(message: i32, file: i32, line: i32, column: i32)";

export const ABI_VERSION = 2;

/** Child numbers are 0 to CHILD_LIMIT - 1. */
export const CHILD_LIMIT = 1048576;

// ---- memory quotas, in pages of 4096 bytes ----------------------------------------------------------------

/** What a process takes besides memory, program and what it keeps beyond KEPT_BYTES. */
export const PROCESS_PAGES = 4;
/** Bytes of globals, saved stack, inputs, outcomes and a block's data that PROCESS_PAGES pays for. */
export const KEPT_BYTES = 12288;

/**
 * What a program that was installed takes, of each process of it: a page for so many bytes, and so many
 * more.
 */
export const PROGRAM_BYTES = 32;
export const PROGRAM_PAGES = 4;

// ---- PUT request, PUT_SIZE bytes --------------------------------------------------------------------------

export const PUT_VERSION = 0; //           u32  ABI_VERSION
export const PUT_PARTS = 4; //             u32  bits PART_…
export const PUT_PROGRAM_POINTER = 8; //   u32  32 bytes, the SHA-256 of a program; or Wasm bytes
export const PUT_MEMORY_QUOTA = 12; //     u32  pages of 4096 bytes passed on; 0: what a fresh child takes
export const PUT_PROCESS_QUOTA = 16; //    u32  descendants the child may have
export const PUT_RANGES_POINTER = 20; //   u32  ranges of RANGE_SIZE bytes, address divisible by 4
export const PUT_RANGES_COUNT = 24; //     u32  at most RANGES_LIMIT
export const PUT_ENTRY_POINTER = 28; //    u32  UTF-8 name of an exported function
export const PUT_ENTRY_LENGTH = 32; //     u32  0: continue after RET
export const PUT_FLAGS = 36; //            u32  bits FLAG_…
export const PUT_ARGUMENT = 40; //         i64  argument of the entry, or result of the child's RET
export const PUT_GAS = 48; //              u64  gas taken from the caller, at most 2^53 - 1
export const PUT_CLONE_SOURCE = 56; //     u32  the child to copy, or CLONE_SELF
export const PUT_PROGRAM_LENGTH = 60; //   u32  length of the Wasm bytes; 0: a hash is at the pointer
export const PUT_REASON = 64; //           u32  written on E_BAD_PROGRAM: REASON_…, 0 for an unknown hash
export const PUT_REASON_OFFSET = 68; //    u32  written on E_BAD_PROGRAM: where in the Wasm bytes
export const PUT_BATCH_POINTER = 72; //    u32  BATCH_SIZE bytes, address divisible by 8
export const PUT_RESERVED = 76; //         u32  zero
export const PUT_HELD_GAS = 80; //         u64  gas that may stay with processes that it started
export const PUT_SIZE = 88;

// Parts of PUT, in the order in which they apply.
export const PART_PROGRAM = 1;
export const PART_CLONE = 2; //            not together with PROGRAM
export const PART_DROP = 4; //             not together with another part
export const PART_RANGES = 8; //           COPY and ZERO ranges, in the order of the list
export const PART_START = 16;
export const PART_BATCH = 32; //           not together with START

/** Source of CLONE: the caller's memory and globals, without its children. */
export const CLONE_SELF = -1;

/** START and BATCH keep the earlier reference snapshot instead of making a new one. */
export const FLAG_KEEP = 1;

// ---- a range of COPY or ZERO, RANGE_SIZE bytes ------------------------------------------------------------

export const RANGE_KIND = 0; //            u32  RANGE_COPY or RANGE_ZERO
export const RANGE_SOURCE = 4; //          u32  address in the memory copied from; zero for RANGE_ZERO
export const RANGE_TARGET = 8; //          u32  address in the memory written to
export const RANGE_LENGTH = 12; //         u32  bytes
export const RANGE_SIZE = 16;

export const RANGE_COPY = 1;
export const RANGE_ZERO = 2; //            PUT only

export const RANGES_LIMIT = 1024;

// ---- GET request, GET_SIZE bytes --------------------------------------------------------------------------

export const GET_VERSION = 0; //           u32  ABI_VERSION
export const GET_PARTS = 4; //             u32  bits PART_GET_…
export const GET_STATUS_POINTER = 8; //    u32  receives STATUS_SIZE bytes, address divisible by 8
export const GET_RANGES_POINTER = 12; //   u32  ranges; RANGE_COPY only, from the child to the caller
export const GET_RANGES_COUNT = 16; //     u32
export const GET_HASH_POINTER = 20; //     u32  receives 32 bytes
export const GET_DETAIL_POINTER = 24; //   u32  receives the text of an abort, UTF-8, cut (part STATUS)
export const GET_DETAIL_CAPACITY = 28; //  u32  0: not wanted
export const GET_MERGE_POINTER = 32; //    u32  MERGE_SIZE bytes, address divisible by 8
export const GET_OUTCOMES_POINTER = 36; // u32  OUTCOMES_SIZE bytes, address divisible by 8
export const GET_SIZE = 40;

// Parts of GET, in the order in which they apply.
export const PART_GET_STATUS = 1;
export const PART_GET_COPY = 2;
export const PART_GET_MERGE = 4; //        not together with COPY
export const PART_GET_HASH = 8;
export const PART_GET_OUTCOMES = 16;

// ---- what MERGE reads and reports, MERGE_SIZE bytes -------------------------------------------------------

export const MERGE_KIND = 0; //            u32  MERGE_BYTES …
export const MERGE_ADDRESS = 4; //         u32  start of the range, the same in child and caller
export const MERGE_LENGTH = 8; //          u32  bytes; a typed merge takes whole, aligned integers
export const MERGE_CONFLICTS = 12; //      u32  written: number of conflicting bytes, 0 if merged
export const MERGE_FIRST = 16; //          u32  written on E_CONFLICT: the first of them
export const MERGE_CHILD_BYTE = 20; //     u32  written on E_CONFLICT: the child's byte there
export const MERGE_CALLER_BYTE = 24; //    u32  written on E_CONFLICT: the caller's
export const MERGE_RESERVED = 28; //       u32  zero
export const MERGE_SIZE = 32;

export const MERGE_BYTES = 0; //           take what the child changed; both changed it differently: conflict
export const MERGE_ADD_32 = 1; //          add what the child added, modulo 2^32
export const MERGE_ADD_64 = 2;
export const MERGE_MIN_I32 = 3; //         the smaller of both, where the child changed it
export const MERGE_MIN_U32 = 4;
export const MERGE_MIN_I64 = 5;
export const MERGE_MIN_U64 = 6;
export const MERGE_MAX_I32 = 7;
export const MERGE_MAX_U32 = 8;
export const MERGE_MAX_I64 = 9;
export const MERGE_MAX_U64 = 10;

// ---- what STATUS writes, STATUS_SIZE bytes ----------------------------------------------------------------

export const STATUS_KIND = 0; //           u32  STATUS_FRESH …
export const STATUS_FAULT = 4; //          u32  FAULT_…, 0 unless faulted
export const STATUS_CODE = 8; //           i64  the return code (RETURNED, RET)
export const STATUS_GAS_USED = 16; //      i64  gas used by the last activation, with its descendants
export const STATUS_MEMORY_PAGES = 24; //  u32  memory size in 64 KiB pages
export const STATUS_CHILDREN = 28; //      u32  number of children
export const STATUS_LINE = 32; //          u32  line of an abort, else 0
export const STATUS_COLUMN = 36; //        u32  column of an abort, else 0
export const STATUS_DETAIL_LENGTH = 40; // u32  length of an abort's whole text ("message in file")
export const STATUS_RESERVED = 44; //      u32  zero
export const STATUS_SIZE = 48;

export const STATUS_FRESH = 0;
export const STATUS_RETURNED = 1; //       the entry returned; START runs an entry again
export const STATUS_RET = 2; //            stands in RET; START continues it
export const STATUS_RUNNABLE = 3; //       started, not yet joined: no GET ever sees it, for GET is a join
export const STATUS_FAULTED = 4; //        back at its reference snapshot; START tries again from there
export const STATUS_SNAPSHOT = 5; //       the root, between two blocks
export const STATUS_ENDED = 6; //          the root, after its last block

// ---- BATCH: what PUT_BATCH_POINTER names, BATCH_SIZE bytes ------------------------------------------------

export const BATCH_INPUTS_POINTER = 0; //  u32  inputs of INPUT_SIZE bytes, address divisible by 8
export const BATCH_INPUTS_COUNT = 4; //    u32  items, at most BATCH_LIMIT
export const BATCH_INBOX = 8; //           u32  where an item finds its input, in the child; divisible by 8
export const BATCH_INBOX_CAPACITY = 12; // u32  bytes there
export const BATCH_OUTBOX = 16; //         u32  where an item leaves its output; divisible by 8
export const BATCH_OUTBOX_CAPACITY = 20; // u32  bytes there, at least 4
export const BATCH_RESERVED = 24; //       u64  zero
export const BATCH_SIZE = 32;

export const INPUT_POINTER = 0; //         u32  bytes in the caller's memory
export const INPUT_LENGTH = 4; //          u32  at most the inbox's capacity
export const INPUT_GAS = 8; //             u64  what the item may use
export const INPUT_SIZE = 16;

/** Items of a batch. */
export const BATCH_LIMIT = 1048576;

/**
 * Bytes that compileGuest leaves between a program's state and its static data: the usual inbox is the lower
 * half, the usual outbox the upper.
 */
export const MAIL_BYTES = 65536;

// ---- OUTCOMES: what GET_OUTCOMES_POINTER names, OUTCOMES_SIZE bytes ---------------------------------------

export const OUTCOMES_FIRST = 0; //           u32  the first item wanted
export const OUTCOMES_COUNT = 4; //           u32  how many are wanted; written: how many there were
export const OUTCOMES_POINTER = 8; //         u32  receives OUTCOME_SIZE bytes for each, divisible by 8
export const OUTCOMES_OUTPUT_POINTER = 12; // u32  receives their outputs, one after the other
export const OUTCOMES_OUTPUT_CAPACITY = 16; // u32  bytes there
export const OUTCOMES_OUTPUT_LENGTH = 20; //  u32  written: bytes of these outputs
export const OUTCOMES_TOTAL = 24; //          u32  written: items of the batch
export const OUTCOMES_RESERVED = 28; //       u32  zero
export const OUTCOMES_SIZE = 32;

export const OUTCOME_STATUS = 0; //        u32  ITEM_…
export const OUTCOME_FAULT = 4; //         u32  FAULT_…, 0 unless faulted
export const OUTCOME_CODE = 8; //          i64  what the entry returned; of an abort: line low, column high
export const OUTCOME_GAS_USED = 16; //     u64  gas used by the item
export const OUTCOME_OUTPUT_OFFSET = 24; // u32  where its output begins in the output area
export const OUTCOME_OUTPUT_LENGTH = 28; // u32
export const OUTCOME_SIZE = 32;

export const ITEM_RETURNED = 1;
export const ITEM_FAULTED = 2; //          what it wrote is gone
export const ITEM_REFUSED = 3; //          wants more gas than the whole batch has
export const ITEM_NOT_RUN = 4; //          the batch's gas did not reach so far

// ---- SNAPSHOT request, SNAPSHOT_SIZE bytes ----------------------------------------------------------------

export const SNAPSHOT_VERSION = 0; //         u32  ABI_VERSION
export const SNAPSHOT_DATA_POINTER = 4; //    u32  the bytes that the block carries
export const SNAPSHOT_DATA_LENGTH = 8; //     u32
export const SNAPSHOT_REGION_POINTER = 12; // u32  where the next block's metadata is written
export const SNAPSHOT_REGION_CAPACITY = 16; // u32
export const SNAPSHOT_RESERVED = 20; //       u32  zero
export const SNAPSHOT_SIZE = 24;

// ---- ACCUMULATE request, ACCUMULATE_SIZE bytes ------------------------------------------------------------

export const ACCUMULATE_VERSION = 0; //    u32  ABI_VERSION
export const ACCUMULATE_FLAGS = 4; //      u32  bits ACCUMULATE_SUBTRACT, ACCUMULATE_BOUNDED
export const ACCUMULATE_ADDRESS = 8; //    u32  an unsigned integer, little-endian; divisible by its width
export const ACCUMULATE_WIDTH = 12; //     u32  its bytes: 8, 16 or 32
export const ACCUMULATE_DELTA = 16; //     u256 what is added
export const ACCUMULATE_MINIMUM = 48; //   u256 read with ACCUMULATE_BOUNDED: the least result
export const ACCUMULATE_MAXIMUM = 80; //   u256 read with ACCUMULATE_BOUNDED: the greatest result
export const ACCUMULATE_SIZE = 112;

/** The delta is subtracted. */
export const ACCUMULATE_SUBTRACT = 1;
/** The result has bounds of its own, besides 0 and what the width holds. */
export const ACCUMULATE_BOUNDED = 2;

// ---- error codes: what a call returns when it did nothing -------------------------------------------------

export const OK = 0;
export const E_BAD_REQUEST = -1; //  version, parts, flags, reserved words, alignment, counts
export const E_RANGE = -2; //        a pointer and length outside the memory they point into
export const E_NO_CHILD = -3; //     no child of that number, or the number is out of range
export const E_NO_ENTRY = -4; //     no exported function of that name and of type (i64) -> i64
export const E_BAD_PROGRAM = -5; //  no program of that hash for the caller, or bytes that are not admitted
export const E_GAS = -6; //          the caller has less gas than START wants to give
export const E_QUOTA = -7; //        a quota of memory, processes or held gas does not allow it
export const E_STATE = -8; //        the child's status does not allow it
export const E_CONFLICT = -9; //     MERGE found bytes that both sides changed
export const E_PERMISSION = -10; //  not from here: SNAPSHOT below the root, calls in a start function
export const E_NOT_IN_BATCH = -11; // not in an item of a batch

// ---- fault codes: why an activation ended abnormally ------------------------------------------------------

export const FAULT_NONE = 0;
export const FAULT_UNREACHABLE = 1;
export const FAULT_ABORT = 2;
export const FAULT_MEMORY_BOUNDS = 3;
export const FAULT_TABLE_BOUNDS = 4;
export const FAULT_DIVISION_BY_ZERO = 5;
export const FAULT_INTEGER_OVERFLOW = 6;
export const FAULT_BAD_CONVERSION = 7;
export const FAULT_BAD_INDIRECT_CALL = 8;
export const FAULT_OUT_OF_GAS = 9;
export const FAULT_CALL_DEPTH = 10;
export const FAULT_QUOTA = 11; //          it ends with more than its quotas of memory and held gas allow

// ---- why Wasm bytes are not admitted: PUT_REASON ----------------------------------------------------------

export const REASON_MALFORMED = 1;
export const REASON_BAD_UTF8 = 2;
export const REASON_BAD_INDEX = 3;
export const REASON_TYPE_MISMATCH = 4;
export const REASON_IMMUTABLE_GLOBAL = 5;
export const REASON_BAD_ALIGNMENT = 6;
export const REASON_UNDECLARED_REFERENCE = 7;
export const REASON_DUPLICATE_EXPORT = 8;
export const REASON_CONSTANT_EXPRESSION = 9;
export const REASON_UNKNOWN_OPCODE = 10;
export const REASON_THREADS = 11;
export const REASON_RELAXED_SIMD = 12;
export const REASON_EXCEPTIONS = 13;
export const REASON_GC = 14;
export const REASON_MEMORY64 = 15;
export const REASON_TAIL_CALLS = 16;
export const REASON_MULTIPLE_MEMORIES = 17;
export const REASON_SHARED_MEMORY = 18;
export const REASON_CUSTOM_PAGE_SIZE = 19;
export const REASON_EXTENDED_CONSTANTS = 20;
export const REASON_WIDE_ARITHMETIC = 21;
export const REASON_MUTABLE_REFERENCE_GLOBAL = 22;
export const REASON_TABLE_MUTATION = 23;
export const REASON_SEGMENT_DROP = 24;
export const REASON_UNKNOWN_IMPORT = 25;
export const REASON_IMPORT_TYPE = 26;
export const REASON_MAY_NOT_SUSPEND = 27;
export const REASON_NOT_SUSPENDABLE = 28;
export const REASON_SUSPENDING_REFERENCES = 29;
export const REASON_DATA_OUT_OF_BOUNDS = 30;
export const REASON_ELEMENTS_OUT_OF_BOUNDS = 31;
export const REASON_PROGRAM_SIZE = 32;
export const REASON_TYPE_COUNT = 33;
export const REASON_FUNCTION_COUNT = 34;
export const REASON_FUNCTION_SIZE = 35;
export const REASON_PARAMETER_COUNT = 36;
export const REASON_RESULT_COUNT = 37;
export const REASON_LOCAL_COUNT = 38;
export const REASON_NESTING_DEPTH = 39;
export const REASON_OPERAND_HEIGHT = 40;
export const REASON_BRANCH_TABLE_SIZE = 41;
export const REASON_IMPORT_COUNT = 42;
export const REASON_EXPORT_COUNT = 43;
export const REASON_TABLE_COUNT = 44;
export const REASON_TABLE_SIZE = 45;
export const REASON_MEMORY_SIZE = 46;
export const REASON_GLOBAL_COUNT = 47;
export const REASON_SEGMENT_COUNT = 48;
export const REASON_NAME_LENGTH = 49;
export const REASON_CALL_DEPTH = 50;
export const REASON_STATE_BOUND = 51;
