/**
 * The contract between an instrumented module (written by rewrite.ts) and the kernel that runs it (slot.ts).
 *
 * An instrumented module imports, from the module "k", in this order:
 *   memory "memory"    index 0: the guest's memory, with minimum 0 and maximum MEMORY_PAGES_LIMIT whatever
 *                      the guest declares: its growth is the kernel's, and memories serve all programs
 *   memory "aux"       index 1: AUX_PAGES pages that no guest instruction can name
 *   put(i32,i32)->i32  get(i32,i32)->i32  ret()->()  snapshot(i32)->i32  grow(i32)->i32
 *   abort(i32,i32,i32,i32)->()  accumulate(i32)->i32
 * and exports:
 *   run(entry, argumentLow, argumentHigh, gasLow, gasHigh)
 *                              runs entry number `entry`; result in AUX_RESULT, gas left in AUX_GAS
 *   start(gasLow, gasHigh)     the original start function, if there is one; gas left in AUX_GAS
 *   load()  save()             all mutable globals of the original module from / to AUX_GLOBALS
 *   scan(from, end) -> count   writes to AUX_LIST the marked pages of [from, end), clears their marks; stops
 *                              at LIST_CAPACITY. `from`: 0, or behind the last page that a scan found which
 *                              stopped; `end`: the end of memory
 *   state                      a mutable global of type i32, only if the program may be suspended: RUNNING,
 *                              UNWINDING or REWINDING
 *
 * While a call is in the kernel, AUX_GAS holds the caller's exact gas; the kernel may change it. A trap
 * leaves AUX_GAS stale. Injected traps write AUX_FAULT before `unreachable`.
 *
 * To suspend the program, ret or snapshot sets the state to UNWINDING: each function that called it saves its
 * frame behind AUX_UNWIND and returns, and run() returns. To resume it in any instance, with memory, globals
 * and the stack put back, the state is REWINDING when run() is called with the same entry: each function
 * takes its frame from the end of the stack and continues at its call, down to the call of ret or snapshot,
 * which is made once more and sets the state to RUNNING. While the state is REWINDING no gas is charged.
 *
 * aux memory:
 *   0x000000  header (the words below)
 *   0x000040  AUX_GLOBALS: mutable globals in index order, 8 bytes each (v128: 16), little-endian
 *   0x010000  AUX_GROUPS: one byte for each 64 pages of the guest's memory, 1: one of them may have a mark.
 *             Who sets a mark of a page sets it, so that finding marks takes what was written, not the memory
 *   0x014000  AUX_SHADOW_GROUPS: the same for bytes of AUX_SHADOW
 *   0x080000  AUX_LIST: u32 page numbers found by scan
 *   0x100000  AUX_MARKS: one byte for each 4096-byte page of the guest's memory, 1: written since the last
 *             scan. Setting it costs PAGE_TOUCH_GAS: instrumented code pays from its counter, the kernel from
 *             AUX_GAS
 *   0x200000  AUX_STACK: frames of the functions that are suspended, to AUX_STACK_END; at least
 *             CALL_DEPTH_BYTES, and a frame saved takes less than its estimate, so it cannot overflow before
 *             the call depth does
 *   0x200000  AUX_SHADOW: while a batch runs, in which no stack is saved, one byte for each 4096-byte page of
 *             the guest's memory (kernel/slots/shadow.ts)
 *   0x300000  AUX_LOG: while items run in the batch variant one after the other, lines of state that the
 *             running one has written (kernel/slots/line-log.ts)
 */

/*
 * The batch variant of a module (lines.ts), for a program whose state lies below `bound`, has the same
 * contract, and:
 *   aux          has batchAuxPages(bound) pages
 *   AUX_FINE     one byte for each 1024 bytes of the guest's memory, 1: written. Nothing is marked below the
 *                bound. The first 64 bytes from the bound on may be written without a mark, by a store that
 *                begins below or shares the mark of one that does: a reader of the marks always compares
 *                them. AUX_MARKS is not written
 *   AUX_PAID     one byte for each 4096-byte page of the guest's memory, 1: paid since the item began. It
 *                is set where the sequential variant marks the page. A page with a byte 1 in AUX_FINE has it,
 *                and a page of state that has it has a line that was touched. Above the bound AUX_GROUPS is
 *                about these, below about AUX_MARKS, which is the kernel's there
 *   AUX_TAGS     one byte for each 64-byte line below the bound: 0, TAG_PRESENT, or both bits. The byte
 *                behind the last is no line's and stays 0
 *   touch(address, length, write)
 *                the last import: called before bytes of [address, address + length) are read (0) or written
 *                (1), if the range begins below the bound and one of its lines lacks TAG_PRESENT (0) or
 *                TAG_WRITTEN (1); and before every bulk instruction that reads or writes below the bound,
 *                whatever the tags. The range may end above the bound; what lies there is not its business.
 *                It brings the lines in, notes them as written, sets their tags; or it leaves by a trap of
 *                its own. Accesses with one base share a call: of the up to 64 bytes some may be never
 *                accessed, or only read though `write` is 1
 *   AUX_FAULT    FAULT_INTERNAL_SEQUENTIAL if a guarded stack pointer met the state (guards.ts): nothing that
 *                the call did counts, and the sequential variant must run it
 * While a call runs tags may only grow. A bulk instruction that will trap touches nothing; other accesses may
 * touch and then trap.
 */

import { LINE_BYTES } from "../units.ts";

/** Of the guest's memory, in pages of 64 KiB. */
export const MEMORY_PAGES_LIMIT = 65536;

export const AUX_FAULT = 0; //        u32  FAULT_… of an injected trap, else 0
export const AUX_GAS = 8; //          i64  gas left
export const AUX_RESULT = 16; //      i64  what the entry returned, or the code given to RET
export const AUX_ARGUMENT = 24; //    i64  what RET returns
export const AUX_UNWIND = 32; //      u32 address behind the last frame of the stack

/** While a batch runs (kernel/slots/shadow.ts): u32 pages of state that an item changed, and of the list. */
export const AUX_STATE_PAGES = 40;
export const AUX_LISTED = 44;
/** And bytes of the log of lines (kernel/slots/line-log.ts). */
export const AUX_LOGGED = 48;

/** In the global `state`. */
export const RUNNING = 0;
export const UNWINDING = 1;
export const REWINDING = 2;

export const AUX_GLOBALS = 0x40;
export const AUX_GLOBALS_END = 0x8000;
/** While items run in the batch variant one after the other: an integer of 32 bytes. */
export const AUX_SUM = 0x8000;
export const AUX_GROUPS = 0x10000;
export const AUX_SHADOW_GROUPS = 0x14000;
export const AUX_LIST = 0x80000;
export const LIST_CAPACITY = 0x20000;
export const AUX_MARKS = 0x100000;
export const AUX_STACK = 0x200000;
export const AUX_STACK_END = 0x400000;
export const AUX_SHADOW = AUX_STACK;
export const AUX_LOG = 0x300000;
export const AUX_LOG_END = AUX_STACK_END;
export const AUX_BYTES = 0x400000;
export const AUX_PAGES = AUX_BYTES / 0x10000;

export const AUX_FINE = AUX_BYTES;
export const AUX_FINE_BYTES = 0x400000;

export const AUX_PAID = AUX_FINE + AUX_FINE_BYTES;
export const AUX_PAID_BYTES = 0x100000;

/** Where stores mark what they write, and log2 of the bytes that a mark stands for. */
export interface Marks {
  readonly at: number;
  readonly shift: number;
}

const PAGE_SHIFT = 12;

/** log2 of the pages of a group. */
export const GROUP_SHIFT = 6;
export const GROUP_PAGES = 1 << GROUP_SHIFT;
/** Where groups are marked. */
export const GROUPS: Marks = { at: AUX_GROUPS, shift: PAGE_SHIFT + GROUP_SHIFT };

/** Of the sequential variant, for `bound` 0, or of the batch variant. */
export function marksOf(bound: number): Marks {
  return bound === 0 ? paidOf(0) : { at: AUX_FINE, shift: 10 };
}

/** The same for the pages that are paid. */
export function paidOf(bound: number): Marks {
  return { at: bound === 0 ? AUX_MARKS : AUX_PAID, shift: PAGE_SHIFT };
}

export { LINE_BYTES };
export const AUX_TAGS = AUX_PAID + AUX_PAID_BYTES;
export const TAG_PRESENT = 1;
export const TAG_WRITTEN = 2;

/** Pages of the aux memory of the batch variant; `bound` is in bytes, a multiple of 65536. */
export function batchAuxPages(bound: number): number {
  if (bound === 0) return AUX_PAGES;
  return AUX_TAGS / 0x10000 + Math.floor(bound / LINE_BYTES / 0x10000) + 1;
}

/** In AUX_FAULT: the batch variant cannot run this activation; the sequential variant must. */
export const FAULT_INTERNAL_SEQUENTIAL = -1;
