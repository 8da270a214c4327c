/**
 * The contract of the core: Block-STM's scheduler and versions (core/, AssemblyScript) in one shared memory
 * that every worker instantiates. This file is compiled by tsc and by asc, so it holds plain literals only.
 *
 * The core runs ONE WINDOW of items 0 … n - 1. It knows lines, numbers below 2^26 with 64 bytes each, and
 * nothing of guests. What a line held before the window is the caller's business: the core says "from base".
 *
 * A window:
 *   1  nobody is inside. The caller writes GAS_TOTAL and GAS_LEFT (u64), SPIN_LIMIT, RERUN_LIMIT and each
 *      item's ITEM_LIMIT, and calls reset(items, workers); then perhaps hint(item, lower)
 *   2  each worker calls enter(worker) in its own instance (again after it left; a number has one thread),
 *      then takes tasks until TASK_DONE. It drains commit() before its first next() and after each
 *      finishValidation()
 *   3  the caller waits until all have left, and reads COMMITTED, STOP and CUT
 *
 * A task is item << TASK_ITEM_SHIFT | kind:
 *   TASK_EXECUTE   an incarnation of the item has begun in this instance, with an empty log. Run it: lookup()
 *                  for each line at its first touch; then version() for each line whose bytes differ, and
 *                  finish(); or giveUp() if a lookup or a version was 0; or recheck() and expire() if the
 *                  caller let it do so much and no more
 *   TASK_VALIDATE  call validate(), then finishValidation() with its answer
 *   TASK_IDLE      there is nothing at the moment. To sleep: read WAKE before next(); then add 1 to SLEEPERS,
 *                  wait on WAKE for the value read, take 1 from SLEEPERS
 *   TASK_DONE      all items are committed and applied, or the window stopped
 * finish(), giveUp(), expire() and finishValidation() return the next task, as next() does.
 *
 * Exports (numbers are i32)
 *   reset(items, workers)
 *       Begins a window. Items whose limit exceeds GAS_TOTAL are refused: committed in their turn without
 *       having run. Touches neither POISON nor counters.
 *   hint(item, lower)
 *       The first incarnation of `item` begins when `lower` has finished one. At most HINTS_LIMIT an item;
 *       those that make no sense are ignored. Never changes a result.
 *   enter(worker)
 *       This instance is `worker` from now on.
 *   next() -> task
 *   lookup(line) -> address of a new log entry, or 0: give up
 *       Once for each line an incarnation touches. From a version: ENTRY_BYTES is filled in; from base
 *       (ENTRY_VERSION 0): the caller fills it in.
 *   logBegin() logEnd() -> address
 *       The entries of this incarnation, ENTRY_SIZE bytes each.
 *   version(entry) -> address, or 0: give up
 *       Where the caller puts the 64 bytes that this incarnation leaves in the line of `entry`.
 *   accumulate(line, offset, width, subtracts, delta, min, max) -> ACCUMULATE_…
 *       Adds to (or subtracts from) the unsigned integer of 8, 16 or 32 bytes at `offset`, divisible by the
 *       width, of a line that this incarnation has not looked up. Applied if the result lies between min and
 *       max; these and delta are addresses of integers of that width. The line is not read: the answer is a
 *       guess that commit() checks, and the item runs again if it was wrong. If the line is looked up later,
 *       ENTRY_FLAGS is the address of the bytes to show instead of those read, and the line counts as
 *       written. In the log such an entry has the version ENTRY_UNREAD; the bytes of its ENTRY_WRITTEN are
 *       all 0 if nothing changes.
 *   withdraw()
 *       Right before finish(), and with no version() made: the incarnation faulted, its deltas vanish.
 *   finish(gasLow, gasHigh, outcome) -> task
 *       Publishes the versions.
 *   giveUp() -> task
 *       The item runs again when the item it met is finished.
 *   final() -> 1: all lower items are committed and in base: what the incarnation reads does not change
 *       any more, and answers of accumulate() are exact. To be asked when it begins.
 *   recheck() -> 1: the incarnation would read now what it has read; 0: it would not
 *   expire(ok, last) -> task
 *       Right after recheck(), with its answer: the caller ended the incarnation, which is no outcome. If not
 *       `ok` it is aborted, and the item runs again. Else the item runs again too; with `last` not before
 *       final() will say 1.
 *   validate() -> 1: the item of the task would read now what it has read; 0: it would not
 *   finishValidation(ok) -> task
 *       If not: the versions become estimates and the item runs again. A caller with reasons of its own may
 *       turn 1 into 0.
 *   commit() -> the next item in order, if it is final; else -1
 *       The thread that gets an item copies its versions (entries whose ENTRY_WRITTEN is not 0) to base, then
 *       calls commit() again; nobody else gets one before. Copying may overlap with reading base: torn bytes
 *       are found by validation.
 * Imports, from "base"
 *   equals(line, address) -> whether the line's base bytes equal the 64 bytes at `address`
 *   read(line, address)
 *       Puts the line's base bytes at `address`; for deltas only.
 *
 * Rules the core keeps
 *   - an item is executed by one worker at a time; committed items never change
 *   - commit of i needs a validation of i's last incarnation that began after the last change to a lower item
 *   - the first validation of an item is scheduled when it and all lower ones are executed (FRONTIER has
 *     passed it), later ones when a lower item has changed. An incarnation that leaves the very bytes of the
 *     one before is no change. Without conflicts: validations = executions = items
 *   - an estimate is never valid by value; another version, or base, is if its 64 bytes are those read
 *   - deltas of different items do not conflict; a reader of a line sees the sum over all lower items, and is
 *     validated by value; when an item is committed its deltas become full versions, of the exact sum
 *   - READY and CHECK are sets of items (bits), taken lowest first. No index is ever moved back, and done
 *     means that everything is committed: there is no count of active tasks to be wrong
 *   - waiting is bounded: SPIN_LIMIT looks at an estimate whose item runs, none if it does not. Every spin
 *     looks at POISON and STOP
 *   - the item at COMMITTED reads final versions only, so it always gets through: a window ends
 *
 * The memory: control, items, hints, workers, contended lines, buckets, buckets of deltas, then one arena for
 * each worker.
 */

export const WINDOW_LIMIT = 512; //        items of a window
export const WORKERS_LIMIT = 64;
export const LINE_BYTES = 64;

// ---- tasks ------------------------------------------------------------------------------------------------

export const TASK_KIND_MASK = 3;
export const TASK_ITEM_SHIFT = 2;
export const TASK_IDLE = 0;
export const TASK_EXECUTE = 1;
export const TASK_VALIDATE = 2;
export const TASK_DONE = 3;

export const ACCUMULATE_GIVE_UP = -1;
export const ACCUMULATE_REFUSED = 0;
export const ACCUMULATE_APPLIED = 1;
export const ACCUMULATE_PLAIN = 2; //      overlaps an earlier integer: look the line up, add there

// ---- control: what is written by different workers lies in different cache lines ------------------------

export const ITEM_COUNT = 0; //            u32  items of the window
export const WORKER_COUNT = 4; //          u32  workers that share the arenas
export const GENERATION = 8; //            u32  number of the window: what carries another is empty
export const SPIN_LIMIT = 12; //           u32  looks at an estimate before giving up; written by the caller
export const RERUN_LIMIT = 16; //          u32  more reruns of an item stop the window, 0: none; by the caller
export const MEMORY_END = 20; //           u32  bytes of the memory, noted by reset

export const POISON = 64; //               u32  not 0: everybody leaves; written and cleared by others only
export const STOP = 68; //                 u32  STOP_…, 0: the window continues
export const CUT = 72; //                  i32  the item at which the gas ended, -1: none

export const FRONTIER = 128; //            u32  items below have been executed at least once

export const CLOCK = 192; //               u32  counts changes to items that others may have validated against

export const COMMIT_LOCK = 256; //         u32  0: free, 1: held, 2: held, and somebody asked meanwhile
export const COMMITTED = 260; //           u32  items committed
export const APPLIED = 264; //             u32  items committed and copied to base
export const LAST_CHANGE = 268; //         u32  clock of the latest change to a committed item
export const GAS_TOTAL = 272; //           u64  of the batch; an item with a higher limit is refused
export const GAS_LEFT = 280; //            u64  falls with each commit

export const WAKE = 320; //                u32  changes when there is work, or the end
export const SLEEPERS = 324; //            u32  how many wait on WAKE

export const READY = 384; //               512 bits: items to execute
export const CHECK = 448; //               512 bits: items to validate

export const STOP_GAS = 1; //              the item at CUT does not fit in what is left
export const STOP_RERUNS = 2; //           an item ran too often
export const STOP_ARENA = 3; //            a worker's arena is full

// ---- items ------------------------------------------------------------------------------------------------

export const ITEMS = 4096;
export const ITEM_SIZE = 64;

export const ITEM_STATE = 0; //            u32  incarnation << STATE_KIND_BITS | STATE_…
export const ITEM_OUTCOME = 4; //          u32  the argument of finish()
export const ITEM_LOG = 8; //              u32  start of the log of the last finished incarnation, 0: none
export const ITEM_LOG_END = 12; //         u32
export const ITEM_LIMIT = 16; //           u64  gas limit; written by the caller before reset
export const ITEM_GAS = 24; //             u64  gas used, the argument of finish()
export const ITEM_VALIDATED = 32; //       u64  incarnation << 32 | clock at which its validation began
export const ITEM_CHANGED = 40; //         u32  clock after its last change, 0: none since its first finish
export const ITEM_RERUNS = 44; //          u32  incarnations that were given up or aborted
export const ITEM_WAITERS = 48; //         u32  1 + the first item that waits for this one
export const ITEM_NEXT_WAITER = 52; //     u32  1 + the next one in the list this item waits in
export const ITEM_HINTS = 56; //           u32  hints left
export const ITEM_DELTAS = 60; //          u32  entries of the log that are deltas

export const STATE_KIND_BITS = 3;
export const STATE_READY = 0;
export const STATE_EXECUTING = 1;
export const STATE_EXECUTED = 2;
export const STATE_ABORTING = 3; //        its versions are being turned into estimates
export const STATE_WAITING = 4; //         for another item
export const STATE_COMMITTED = 5;
export const STATE_REFUSED = 6;
export const STATE_HELD = 7; //            until all lower items are committed

// ---- hints: u16 item numbers, HINTS_LIMIT for each item ---------------------------------------------------

export const HINTS = 36864;
export const HINTS_LIMIT = 8;

// ---- workers ----------------------------------------------------------------------------------------------

export const WORKERS = 45056;
export const WORKER_SIZE = 256;

export const WORKER_GENERATION = 0; //     u32  the window its arena belongs to
export const WORKER_LOG_TOP = 4; //        u32  logs grow up from the arena's start
export const WORKER_FLOOR = 8; //          u32  versions and nodes grow down from its end
export const WORKER_EXECUTIONS = 16; //    u32  counters, which only grow; the caller takes differences
export const WORKER_VALIDATIONS = 20; //   u32
export const WORKER_ABORTS = 24; //        u32  incarnations that a validation ended
export const WORKER_GIVEN_UP = 28; //      u32  incarnations that met an estimate
export const WORKER_WAITS = 32; //         u32  estimates that were waited for
export const WORKER_COMMITS = 36; //       u32
export const WORKER_VERSIONS = 40; //      u32  versions made
export const WORKER_EXPIRED = 44; //       u32  incarnations that expired
export const WORKER_RENEWED = 48; //       u32  of these, those whose reads were still right
export const WORKER_AMOUNTS = 64; //       96 bytes for operands of accumulate(), if the caller likes

// ---- contended lines --------------------------------------------------------------------------------------

/**
 * Lines whose reads were found changed: u64 count << 32 | line. The frequent ones stay; cleared by the
 * caller.
 */
export const CONTENDED = 61440;
export const CONTENDED_SLOTS = 128;

// ---- lines and their versions -----------------------------------------------------------------------------

/** Hash table: u64 generation << 32 | address of the first line record. */
export const BUCKETS = 65536;
export const BUCKET_BITS = 12;

/** A line that was written: in its bucket's list, with its own list of nodes, highest item first. */
export const LINE_NUMBER = 0; //           u32
export const LINE_NEXT = 4; //             u32  next line of the bucket
export const LINE_NODES = 8; //            u32  first node
export const LINE_SIZE = 16;

/** An item that wrote the line. Once there, it stays for the window. */
export const NODE_ITEM = 0; //             u32
export const NODE_NEXT = 4; //             u32  next lower item
export const NODE_VERSION = 8; //          u32  address of the version | ESTIMATE; 0: no longer written
export const NODE_SIZE = 16;
export const ESTIMATE = 1;

/** What an incarnation left in a line. Never changes once published. */
export const VERSION_NODE = 0; //          u32
export const VERSION_ITEM = 4; //          u32
export const VERSION_KIND = 8; //          u32  VERSION_…
export const VERSION_OPERATIONS = 12; //   u32  of deltas: the first operation
export const VERSION_BYTES = 16; //        64 bytes; of deltas: what they add up to, at its place in the line
export const VERSION_SIZE = 80;

export const VERSION_FULL = 0;
export const VERSION_DELTAS = 1; //        becomes a full version when its item is committed

/** One accumulate() of an incarnation, in the order of its calls. */
export const OPERATION_NEXT = 0; //        u32
export const OPERATION_OFFSET = 4; //      u32  of the integer in the line
export const OPERATION_WIDTH = 8; //       u32  8, 16 or 32 bytes
export const OPERATION_FLAGS = 12; //      u32  bits OPERATION_SUBTRACTS, OPERATION_APPLIED
export const OPERATION_DELTA = 16; //      three integers of 32 bytes
export const OPERATION_MIN = 48;
export const OPERATION_MAX = 80;
export const OPERATION_LAST = 112; //      u32  of the first one: the last
export const OPERATION_SHAPES = 116; //    u32  of the first one: the integers, 2 bits for each u64
export const OPERATION_SIZE = 128;
export const OPERATION_SUBTRACTS = 1;
export const OPERATION_APPLIED = 2; //     the answer that the incarnation got

/** A line that an incarnation touched. */
export const ENTRY_LINE = 0; //            u32
export const ENTRY_VERSION = 4; //         u32  address of the version that was read, 0: base; or ENTRY_…
export const ENTRY_FLAGS = 8; //           u32  address of bytes to show, 0: ENTRY_BYTES; then the caller's
export const ENTRY_WRITTEN = 12; //        u32  address of the version this incarnation leaves, 0: none
export const ENTRY_BYTES = 16; //          64 bytes: what was read
export const ENTRY_SIZE = 80;
export const ENTRY_UNREAD = 1; //          the incarnation only accumulates in the line
export const ENTRY_SUM = 2; //             a sum of deltas was read: valid by value only

// ---- deltas of the incarnation that a worker executes -----------------------------------------------------

/** For each worker a hash table of its entries ENTRY_UNREAD: u32 the last entry of the bucket's list. */
export const DELTAS = 98304;
export const DELTAS_BITS = 8;
export const DELTAS_SIZE = 1024;

export const ARENAS = 163840;
