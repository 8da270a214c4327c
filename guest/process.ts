/**
 * Children by number, and suspending. A request has several parts; they are collected in one static
 * struct and sent by `put()` or `get()`, so a call allocates nothing. Between the first part and the sending,
 * no other child may be addressed.
 *
 *   const worker = Child.at(1);
 *   worker.create(hash, memoryQuota(4)).copyIn(input, 0x10000, 64).start("run", 64, 1_000_000);
 *   check(worker.put(), "start the worker");
 *   const sum = worker.join();
 *
 * A started child runs beside the parent until the next put or get on it (the join).
 */

import * as abi from "../syscalls/abi.ts";
import * as raw from "./stillpoint.ts";
import { errorName, faultName, reasonName } from "./errors.ts";

const ENTRY_CAPACITY: i32 = 1000;
const DETAIL_CAPACITY: i32 = 240;

const putRequest: usize = memory.data(abi.PUT_SIZE, 8);
const putRanges: usize = memory.data(abi.RANGES_LIMIT * abi.RANGE_SIZE, 8);
const getRequest: usize = memory.data(abi.GET_SIZE, 8);
const getRanges: usize = memory.data(abi.RANGES_LIMIT * abi.RANGE_SIZE, 8);
const snapshotRequest: usize = memory.data(abi.SNAPSHOT_SIZE, 8);
const statusRecord: usize = memory.data(abi.STATUS_SIZE, 8);
const mergeRecord: usize = memory.data(abi.MERGE_SIZE, 8);
const entryName: usize = memory.data(ENTRY_CAPACITY, 8);
const detailText: usize = memory.data(DETAIL_CAPACITY, 8);

const NOBODY: i32 = i32.MIN_VALUE;

/** The child that the collected parts are for, or NOBODY. */
let putChild: i32 = NOBODY;
let getChild: i32 = NOBODY;

/**
 * The quota, in pages of 4 KiB, for one process whose memory may have `wasmPages` pages of 64 KiB and that
 * keeps `keptBytes` besides: inputs and outcomes of its batches, a saved stack, globals. A small process
 * needs none for those. Processes below it need theirs in addition.
 */
export function memoryQuota(wasmPages: u32, keptBytes: u32 = 0): u32 {
  return abi.PROCESS_PAGES + wasmPages * 16 + (keptBytes + 4095) / 4096;
}

/** A child of this process. The value is the number itself: make as many as you like. */
@unmanaged
export class Child {
  /** The child with that number, 0 to 2^20 - 1, whether it exists or not. */
  @inline
  static at(number: i32): Child {
    return changetype<Child>(<usize>number);
  }

  @inline
  get number(): i32 {
    return <i32>changetype<usize>(this);
  }

  // ---- parts of a PUT -------------------------------------------------------------------------------------

  /**
   * Part PROGRAM: drops what was there and makes a fresh image. `program` is the address of 32 bytes, the
   * hash of the program. `quota` (memory for it and all below it, in pages of 4 KiB, see `memoryQuota`; 0:
   * what a fresh process of it takes, so that it cannot grow), `processes` and `heldGas` come out of the
   * caller's quotas. The last is the gas that children of the child may still hold when it returns or is
   * suspended; a child that joins all of its children needs none.
   */
  create(program: usize, quota: u32 = 0, processes: u32 = 0, heldGas: u64 = 0): Child {
    return this.addProgram(program, 0, quota, processes, heldGas);
  }

  /**
   * Part PROGRAM from the `length` Wasm bytes at `bytes`: the program is checked and installed as part of the
   * call, which is paid by the byte. If it is not admitted, the call gives E_BAD_PROGRAM, and
   * `Rejection.last` has the reason. Such a program may not import `ret` or `snapshot`.
   */
  install(bytes: usize, length: u32, quota: u32 = 0, processes: u32 = 0, heldGas: u64 = 0): Child {
    return this.addProgram(bytes, length, quota, processes, heldGas);
  }

  private addProgram(pointer: usize, length: u32, quota: u32, processes: u32, heldGas: u64): Child {
    this.addPut(abi.PART_PROGRAM);
    store<u32>(putRequest, <u32>pointer, abi.PUT_PROGRAM_POINTER);
    store<u32>(putRequest, length, abi.PUT_PROGRAM_LENGTH);
    store<u32>(putRequest, quota, abi.PUT_MEMORY_QUOTA);
    store<u32>(putRequest, processes, abi.PUT_PROCESS_QUOTA);
    store<u64>(putRequest, heldGas, abi.PUT_HELD_GAS);
    return this;
  }

  /**
   * Part CLONE: drops what was there and makes a copy of the child `source`, with all its descendants, as it
   * is seen now: it is not joined. The copy takes as much quota as the source was given.
   */
  clone(source: Child): Child {
    return this.addClone(source.number, 0, 0, 0);
  }

  /**
   * Part CLONE of the caller: the child gets this process's memory and globals as they are when the request
   * is put, without its children. Quotas as for `create`; its own memory is as large as the caller's.
   */
  cloneSelf(quota: u32 = 0, processes: u32 = 0, heldGas: u64 = 0): Child {
    return this.addClone(abi.CLONE_SELF, quota, processes, heldGas);
  }

  /** Part DROP: removes the child and its subtree. */
  drop(): Child {
    return this.addPut(abi.PART_DROP);
  }

  /**
   * A COPY range: from `source` here to `target` in the child. Whole aligned pages are shared, not copied.
   */
  copyIn(source: usize, target: usize, length: u32): Child {
    return this.addPutRange(abi.RANGE_COPY, source, target, length);
  }

  /** A ZERO range. */
  zero(target: usize, length: u32): Child {
    return this.addPutRange(abi.RANGE_ZERO, 0, target, length);
  }

  /** Part START: an exported function of the child's program, with gas taken from the caller. */
  start(entry: string, argument: i64, gas: u64, flags: u32 = 0): Child {
    return this.addStart(storeEntry(entry), argument, gas, flags);
  }

  /** Part BATCH, as the struct says (BATCH_SIZE bytes). `Batch` lays it out. */
  batch(struct: usize, entry: string, gas: u64, flags: u32 = 0): Child {
    const length = storeEntry(entry);
    this.addPut(abi.PART_BATCH);
    this.addEntry(length, gas, flags);
    store<u32>(putRequest, <u32>struct, abi.PUT_BATCH_POINTER);
    return this;
  }

  /** Part START on a child standing in RET: its `ret` returns `argument`. */
  resume(argument: i64, gas: u64, flags: u32 = 0): Child {
    return this.addStart(0, argument, gas, flags);
  }

  /** Sends the collected parts. 0, or an error code and nothing happened. */
  @inline
  put(): i32 {
    if (putChild != this.number) throw new Error(`child ${this.number}: nothing collected to put`);
    // Before the call: a copy of this process made by it has nothing collected.
    putChild = NOBODY;
    return raw.put(this.number, putRequest);
  }

  // ---- parts of a GET -------------------------------------------------------------------------------------

  /**
   * A COPY range: from `source` in the child to `target` here. Whole aligned pages are shared, not copied.
   */
  copyOut(source: usize, target: usize, length: u32): Child {
    this.addGet(abi.PART_GET_COPY);
    const count = load<u32>(getRequest, abi.GET_RANGES_COUNT);
    if (count >= <u32>abi.RANGES_LIMIT) throw new Error("copyOut: too many ranges in one request");
    storeRange(getRanges + count * abi.RANGE_SIZE, abi.RANGE_COPY, source, target, length);
    store<u32>(getRequest, count + 1, abi.GET_RANGES_COUNT);
    return this;
  }

  /**
   * Part MERGE: copies what the child changed in `length` bytes at `address` since its START, which must
   * not contradict what this process changed there (E_CONFLICT, see `Conflict.last`; nothing is merged then).
   * `kind` is MERGE_BYTES, or how integers are combined: MERGE_ADD_64 and so on. One in a request.
   */
  merge(address: usize, length: u32, kind: u32 = abi.MERGE_BYTES): Child {
    this.addGet(abi.PART_GET_MERGE);
    memory.fill(mergeRecord, 0, abi.MERGE_SIZE);
    store<u32>(mergeRecord, kind, abi.MERGE_KIND);
    store<u32>(mergeRecord, <u32>address, abi.MERGE_ADDRESS);
    store<u32>(mergeRecord, length, abi.MERGE_LENGTH);
    store<u32>(getRequest, <u32>mergeRecord, abi.GET_MERGE_POINTER);
    return this;
  }

  /** Part HASH: writes the 32-byte root of the child's subtree to `target`. */
  hash(target: usize): Child {
    this.addGet(abi.PART_GET_HASH);
    store<u32>(getRequest, <u32>target, abi.GET_HASH_POINTER);
    return this;
  }

  /** Part OUTCOMES, as the struct says (OUTCOMES_SIZE bytes). `Outcomes` lays it out. */
  outcomes(struct: usize): Child {
    this.addGet(abi.PART_GET_OUTCOMES);
    store<u32>(getRequest, <u32>struct, abi.GET_OUTCOMES_POINTER);
    return this;
  }

  /** Part STATUS: to be read from `Status.last` afterwards. */
  status(): Child {
    return this.addGet(abi.PART_GET_STATUS);
  }

  /** Sends the collected parts, joining the child. 0, or an error code and nothing happened. */
  @inline
  get(): i32 {
    if (getChild != this.number) throw new Error(`child ${this.number}: nothing collected to get`);
    getChild = NOBODY;
    return raw.get(this.number, getRequest);
  }

  // ---- in one step ----------------------------------------------------------------------------------------

  /**
   * Joins the child: its status, valid until the next status of any child. Aborts if there is no such child.
   */
  wait(): Status {
    const code = this.status().get();
    if (code < 0) throw new Error(`child ${this.number}: wait: ${errorName(code)}`);
    return Status.last;
  }

  /** Joins the child and gives its code. Aborts with the fault unless it returned or stands in RET. */
  join(): i64 {
    const status = this.wait();
    if (status.kind != abi.STATUS_RETURNED && status.kind != abi.STATUS_RET) throw new Error(this.explain());
    return status.code;
  }

  /** Starts an entry and joins it: its code. Aborts on an error code and on a fault. */
  call(entry: string, argument: i64, gas: u64): i64 {
    const code = this.start(entry, argument, gas).put();
    if (code < 0) throw new Error(`child ${this.number}: start ${entry}: ${errorName(code)}`);
    return this.join();
  }

  /**
   * A sentence about the child's status, with the fault and the text of an abort. Allocates; for messages.
   */
  explain(): string {
    this.addGet(abi.PART_GET_STATUS);
    store<u32>(getRequest, <u32>detailText, abi.GET_DETAIL_POINTER);
    store<u32>(getRequest, DETAIL_CAPACITY, abi.GET_DETAIL_CAPACITY);
    const code = this.get();
    if (code < 0) return `child ${this.number}: ${errorName(code)}`;
    const status = Status.last;
    if (status.kind != abi.STATUS_FAULTED) return `child ${this.number}: ${status.name}, code ${status.code}`;
    const length = min<u32>(load<u32>(statusRecord, abi.STATUS_DETAIL_LENGTH), DETAIL_CAPACITY);
    const detail = length ? `: ${String.UTF8.decodeUnsafe(detailText, length)} (line ${status.line})` : "";
    return `child ${this.number} faulted: ${faultName(status.fault)}${detail}`;
  }

  // ---- inside ---------------------------------------------------------------------------------------------

  private addPut(part: u32): Child {
    if (putChild != this.number) {
      if (putChild != NOBODY)
        throw new Error(`child ${this.number}: the request for child ${putChild} was not put`);
      putChild = this.number;
      memory.fill(putRequest, 0, abi.PUT_SIZE);
      store<u32>(putRequest, abi.ABI_VERSION, abi.PUT_VERSION);
    }
    store<u32>(putRequest, load<u32>(putRequest, abi.PUT_PARTS) | part, abi.PUT_PARTS);
    return this;
  }

  private addClone(source: i32, quota: u32, processes: u32, heldGas: u64): Child {
    this.addPut(abi.PART_CLONE);
    store<i32>(putRequest, source, abi.PUT_CLONE_SOURCE);
    store<u32>(putRequest, quota, abi.PUT_MEMORY_QUOTA);
    store<u32>(putRequest, processes, abi.PUT_PROCESS_QUOTA);
    store<u64>(putRequest, heldGas, abi.PUT_HELD_GAS);
    return this;
  }

  private addPutRange(kind: u32, source: usize, target: usize, length: u32): Child {
    this.addPut(abi.PART_RANGES);
    const count = load<u32>(putRequest, abi.PUT_RANGES_COUNT);
    if (count >= <u32>abi.RANGES_LIMIT) throw new Error("copyIn, zero: too many ranges in one request");
    storeRange(putRanges + count * abi.RANGE_SIZE, kind, source, target, length);
    store<u32>(putRequest, <u32>putRanges, abi.PUT_RANGES_POINTER);
    store<u32>(putRequest, count + 1, abi.PUT_RANGES_COUNT);
    return this;
  }

  private addStart(nameLength: u32, argument: i64, gas: u64, flags: u32): Child {
    this.addPut(abi.PART_START);
    this.addEntry(nameLength, gas, flags);
    store<i64>(putRequest, argument, abi.PUT_ARGUMENT);
    return this;
  }

  private addEntry(nameLength: u32, gas: u64, flags: u32): void {
    store<u32>(putRequest, nameLength ? <u32>entryName : 0, abi.PUT_ENTRY_POINTER);
    store<u32>(putRequest, nameLength, abi.PUT_ENTRY_LENGTH);
    store<u32>(putRequest, flags, abi.PUT_FLAGS);
    store<u64>(putRequest, gas, abi.PUT_GAS);
  }

  private addGet(part: u32): Child {
    if (getChild != this.number) {
      if (getChild != NOBODY)
        throw new Error(`child ${this.number}: the request for child ${getChild} was not sent by get`);
      getChild = this.number;
      memory.fill(getRequest, 0, abi.GET_SIZE);
      store<u32>(getRequest, abi.ABI_VERSION, abi.GET_VERSION);
      store<u32>(getRequest, <u32>statusRecord, abi.GET_STATUS_POINTER);
      store<u32>(getRequest, <u32>getRanges, abi.GET_RANGES_POINTER);
    }
    store<u32>(getRequest, load<u32>(getRequest, abi.GET_PARTS) | part, abi.GET_PARTS);
    return this;
  }
}

/** Writes the name of an entry for the next request; returns its length. */
function storeEntry(entry: string): u32 {
  // A UTF-16 unit takes at most three bytes of UTF-8; longer names are measured.
  if (entry.length > ENTRY_CAPACITY / 3 && String.UTF8.byteLength(entry) > ENTRY_CAPACITY)
    throw new Error("start: name too long");
  return <u32>String.UTF8.encodeUnsafe(changetype<usize>(entry), entry.length, entryName);
}

function storeRange(range: usize, kind: u32, source: usize, target: usize, length: u32): void {
  store<u32>(range, kind, abi.RANGE_KIND);
  store<u32>(range, <u32>source, abi.RANGE_SOURCE);
  store<u32>(range, <u32>target, abi.RANGE_TARGET);
  store<u32>(range, length, abi.RANGE_LENGTH);
}

/** What STATUS wrote last: a view of one static record. */
@unmanaged
export class Status {
  @inline
  static get last(): Status {
    return changetype<Status>(statusRecord);
  }

  /** STATUS_FRESH, STATUS_RETURNED, STATUS_RET or STATUS_FAULTED. */
  @inline
  get kind(): u32 {
    return load<u32>(statusRecord, abi.STATUS_KIND);
  }

  /** FAULT_…; FAULT_NONE unless faulted. */
  @inline
  get fault(): u32 {
    return load<u32>(statusRecord, abi.STATUS_FAULT);
  }

  /** What the entry returned or RET gave. */
  @inline
  get code(): i64 {
    return load<i64>(statusRecord, abi.STATUS_CODE);
  }

  /**
   * Gas used by the last activation, its descendants' included; negative if more came back from children it
   * had started earlier.
   */
  @inline
  get gasUsed(): i64 {
    return load<i64>(statusRecord, abi.STATUS_GAS_USED);
  }

  /** Size of the memory in 64 KiB pages. */
  @inline
  get memoryPages(): u32 {
    return load<u32>(statusRecord, abi.STATUS_MEMORY_PAGES);
  }

  @inline
  get children(): u32 {
    return load<u32>(statusRecord, abi.STATUS_CHILDREN);
  }

  /** Line of an abort, else 0. */
  @inline
  get line(): u32 {
    return load<u32>(statusRecord, abi.STATUS_LINE);
  }

  @inline
  get column(): u32 {
    return load<u32>(statusRecord, abi.STATUS_COLUMN);
  }

  @inline
  get faulted(): bool {
    return this.kind == abi.STATUS_FAULTED;
  }

  get name(): string {
    switch (this.kind) {
      case abi.STATUS_FRESH:
        return "fresh";
      case abi.STATUS_RETURNED:
        return "returned";
      case abi.STATUS_RET:
        return "stands in RET";
      case abi.STATUS_RUNNABLE:
        return "runnable";
      case abi.STATUS_FAULTED:
        return "faulted";
    }
    return `status ${this.kind}`;
  }
}

/** Why the last `install` was not admitted: a view of the static request. */
@unmanaged
export class Rejection {
  @inline
  static get last(): Rejection {
    return changetype<Rejection>(putRequest);
  }

  /** REASON_…; 0: no program of that hash. */
  @inline
  get reason(): u32 {
    return load<u32>(putRequest, abi.PUT_REASON);
  }

  /** The reason's name, "unknown-import". Allocates; for messages. */
  get name(): string {
    return reasonName(this.reason);
  }

  /** The byte of the module where the problem is. */
  @inline
  get offset(): u32 {
    return load<u32>(putRequest, abi.PUT_REASON_OFFSET);
  }
}

/** What MERGE reported last: a view of one static record. */
@unmanaged
export class Conflict {
  @inline
  static get last(): Conflict {
    return changetype<Conflict>(mergeRecord);
  }

  /** Number of bytes that both sides changed, to different values; 0: the merge was done. */
  @inline
  get count(): u32 {
    return load<u32>(mergeRecord, abi.MERGE_CONFLICTS);
  }

  /** Where the first of them is. */
  @inline
  get address(): usize {
    return load<u32>(mergeRecord, abi.MERGE_FIRST);
  }

  /** What the child has there. */
  @inline
  get childByte(): u32 {
    return load<u32>(mergeRecord, abi.MERGE_CHILD_BYTE);
  }

  /** What this process has there. */
  @inline
  get callerByte(): u32 {
    return load<u32>(mergeRecord, abi.MERGE_CALLER_BYTE);
  }
}

// ---- suspending ---------------------------------------------------------------------------------------

/** Suspends until the parent starts this process again; returns the argument it gave. */
export function ret(code: i64): i64 {
  return raw.ret(code);
}

/**
 * Root only: commits a block that carries `length` bytes at `data`, and suspends. The next block's
 * metadata is written to `region`; returns its length, or an error code and there is no block.
 */
export function snapshot(data: usize, length: u32, region: usize, capacity: u32): i32 {
  memory.fill(snapshotRequest, 0, abi.SNAPSHOT_SIZE);
  store<u32>(snapshotRequest, abi.ABI_VERSION, abi.SNAPSHOT_VERSION);
  store<u32>(snapshotRequest, <u32>data, abi.SNAPSHOT_DATA_POINTER);
  store<u32>(snapshotRequest, length, abi.SNAPSHOT_DATA_LENGTH);
  store<u32>(snapshotRequest, <u32>region, abi.SNAPSHOT_REGION_POINTER);
  store<u32>(snapshotRequest, capacity, abi.SNAPSHOT_REGION_CAPACITY);
  return raw.snapshot(snapshotRequest);
}
