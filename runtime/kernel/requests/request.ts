/**
 * Requests: the one place that reads guest pointers and lengths.
 *
 * A request is read once, and everything about it that does not depend on the child is checked here, before
 * the child is joined and before anything is applied. The calls (kernel.ts) work with what is read here and
 * never touch raw guest addresses.
 */

import * as abi from "../../../syscalls/abi.ts";
import { part } from "../../heap/bytes.ts";
import { BATCH_BYTES_LIMIT, DATA_BYTES_LIMIT, NAME_BYTES_LIMIT, PAGE_BYTES } from "../../limits.ts";
import { joined } from "../../u64.ts";
import { HASH_BYTES } from "../../units.ts";
import {
  COST_CALL,
  COST_CLONE,
  COST_HASH,
  COST_INSTALL,
  COST_ITEM,
  COST_ITEM_BYTE,
  COST_MERGE_RANGE_PAGE,
  COST_PROGRAM,
  COST_PROGRAM_BYTE,
  COST_RANGE,
  COST_RANGE_PAGE,
  COST_START,
  costOfBytes,
} from "../gas.ts";
import { type InputList, inputBytes } from "../items/objects.ts";
import type { Slot } from "../slots/slot.ts";

const PUT_PARTS_KNOWN =
  abi.PART_PROGRAM | abi.PART_CLONE | abi.PART_DROP | abi.PART_RANGES | abi.PART_START | abi.PART_BATCH;
const RANGE_WORDS = abi.RANGE_SIZE / 4;
const GET_PARTS_KNOWN =
  abi.PART_GET_STATUS | abi.PART_GET_COPY | abi.PART_GET_MERGE | abi.PART_GET_HASH | abi.PART_GET_OUTCOMES;
/** Size of what each kind of MERGE works on, by kind. */
export const MERGE_UNIT_BYTES = [1, 4, 8, 4, 4, 8, 8, 4, 4, 8, 8];

/** COPY and ZERO ranges of a request, copied out of guest memory. */
class Ranges {
  count = 0;
  readonly words = new Uint32Array(abi.RANGES_LIMIT * RANGE_WORDS);
  /** Sum of all lengths in bytes. */
  bytes = 0;
  /** Sum over the ranges of the pages of the target that they touch. */
  pages = 0;

  clear(): void {
    this.count = 0;
    this.bytes = 0;
    this.pages = 0;
  }

  kind(i: number): number {
    return this.words[i * RANGE_WORDS + abi.RANGE_KIND / 4] as number;
  }
  source(i: number): number {
    return this.words[i * RANGE_WORDS + abi.RANGE_SOURCE / 4] as number;
  }
  target(i: number): number {
    return this.words[i * RANGE_WORDS + abi.RANGE_TARGET / 4] as number;
  }
  length(i: number): number {
    return this.words[i * RANGE_WORDS + abi.RANGE_LENGTH / 4] as number;
  }

  /** What going over them costs; objects that are made for them cost more. */
  cost(): number {
    return COST_RANGE * this.count + COST_RANGE_PAGE * this.pages + costOfBytes(this.bytes);
  }

  read(slot: Slot, pointer: number, count: number): number {
    if (count > abi.RANGES_LIMIT || pointer % 4 !== 0) return abi.E_BAD_REQUEST;
    if (!inside(slot, pointer, count * abi.RANGE_SIZE)) return abi.E_RANGE;
    const from = pointer / 4;
    for (let i = 0; i < count * RANGE_WORDS; i++) this.words[i] = slot.words[from + i] as number;
    this.count = count;
    this.bytes = 0;
    this.pages = 0;
    for (let i = 0; i < count; i++) {
      const length = this.length(i);
      this.bytes += length;
      if (length > 0) this.pages += Math.ceil(((this.target(i) % PAGE_BYTES) + length) / PAGE_BYTES);
    }
    return abi.OK;
  }
}

/** Who pays for reading a long list, before it is read. */
interface Payer {
  charge(cost: number): void;
}

/** What BATCH reads; the child's side of it is checked against the child. */
export class BatchRequest implements InputList {
  inbox = 0;
  inboxCapacity = 0;
  outbox = 0;
  outboxCapacity = 0;
  count = 0;
  /** The inputs as the request lists them, INPUT_SIZE bytes each. */
  list = new Uint32Array(0);
  /** Bytes that the inputs take, with the list. */
  bytes = 0;

  clear(): void {
    this.count = 0;
    this.bytes = 0;
  }

  read(slot: Slot, pointer: number, payer: Payer): number {
    const at = locate(slot, pointer, abi.BATCH_SIZE);
    if (at < 0) return at;
    const word = (offset: number): number => slot.words[at + offset / 4] as number;
    if (word(abi.BATCH_RESERVED) !== 0 || word(abi.BATCH_RESERVED + 4) !== 0) return abi.E_BAD_REQUEST;
    this.count = word(abi.BATCH_INPUTS_COUNT);
    this.inbox = word(abi.BATCH_INBOX);
    this.inboxCapacity = word(abi.BATCH_INBOX_CAPACITY);
    this.outbox = word(abi.BATCH_OUTBOX);
    this.outboxCapacity = word(abi.BATCH_OUTBOX_CAPACITY);
    const list = word(abi.BATCH_INPUTS_POINTER);
    if (this.count > abi.BATCH_LIMIT || list % 8 !== 0) return abi.E_BAD_REQUEST;
    if (this.inbox % 8 !== 0 || this.outbox % 8 !== 0) return abi.E_BAD_REQUEST;
    if (!inside(slot, list, this.count * abi.INPUT_SIZE) || this.outboxCapacity < 4) return abi.E_RANGE;
    const apart =
      this.inbox + this.inboxCapacity <= this.outbox || this.outbox + this.outboxCapacity <= this.inbox;
    if (!apart) return abi.E_RANGE;
    payer.charge(this.count * COST_ITEM);
    this.list = slot.words.slice(list / 4, list / 4 + this.count * (abi.INPUT_SIZE / 4));
    this.bytes = 0;
    for (let i = 0; i < this.list.length; i += abi.INPUT_SIZE / 4) {
      const length = this.list[i + abi.INPUT_LENGTH / 4] as number;
      if (length > this.inboxCapacity) return abi.E_RANGE;
      if (!inside(slot, this.list[i + abi.INPUT_POINTER / 4] as number, length)) return abi.E_RANGE;
      this.bytes += inputBytes(length);
    }
    return this.bytes > BATCH_BYTES_LIMIT ? abi.E_RANGE : abi.OK;
  }

  /** Whether inbox and outbox lie in the private part of a memory of `end` bytes. */
  fits(stateBytes: number, end: number): boolean {
    const first = Math.min(this.inbox, this.outbox);
    const last = Math.max(this.inbox + this.inboxCapacity, this.outbox + this.outboxCapacity);
    return first >= stateBytes && last <= end;
  }
}

/** One level of the tree has one of these, reused for all its calls. */
export class PutRequest {
  parts = 0;
  pointer = 0;
  programPointer = 0;
  /** 0: 32 bytes of a hash are at the pointer. */
  programLength = 0;
  memoryQuotaPages = 0;
  processQuota = 0;
  heldGas = 0;
  cloneSource = 0;
  entry = "";
  keep = false;
  argumentLow = 0;
  argumentHigh = 0;
  gas = 0;
  ranges = new Ranges();
  batch = new BatchRequest();

  /** Reads the request at `pointer`; returns an error code, and checks nothing that depends on the child. */
  read(slot: Slot, pointer: number, payer: Payer): number {
    const at = locate(slot, pointer, abi.PUT_SIZE);
    if (at < 0) return at;
    const words = slot.words;
    const word = (offset: number): number => words[at + offset / 4] as number;
    if (word(abi.PUT_VERSION) !== abi.ABI_VERSION) return abi.E_BAD_REQUEST;
    const parts = word(abi.PUT_PARTS);
    if (parts === 0 || (parts & ~PUT_PARTS_KNOWN) !== 0) return abi.E_BAD_REQUEST;
    // Nothing is left to work on after DROP.
    if ((parts & abi.PART_DROP) !== 0 && parts !== abi.PART_DROP) return abi.E_BAD_REQUEST;
    const both = abi.PART_PROGRAM | abi.PART_CLONE;
    const runs = abi.PART_START | abi.PART_BATCH;
    if ((parts & both) === both || (parts & runs) === runs) return abi.E_BAD_REQUEST;
    if (word(abi.PUT_RESERVED) !== 0) return abi.E_BAD_REQUEST;
    this.parts = parts;
    this.pointer = pointer >>> 0;

    if ((parts & abi.PART_PROGRAM) !== 0) {
      this.programPointer = word(abi.PUT_PROGRAM_POINTER);
      this.programLength = word(abi.PUT_PROGRAM_LENGTH);
      if (!inside(slot, this.programPointer, this.programLength || HASH_BYTES)) return abi.E_RANGE;
    }
    if ((parts & both) !== 0) {
      this.memoryQuotaPages = word(abi.PUT_MEMORY_QUOTA);
      this.processQuota = word(abi.PUT_PROCESS_QUOTA);
      this.heldGas = joined(word(abi.PUT_HELD_GAS), word(abi.PUT_HELD_GAS + 4));
      this.cloneSource = word(abi.PUT_CLONE_SOURCE) | 0;
    }
    this.ranges.clear();
    if ((parts & abi.PART_RANGES) !== 0) {
      const error = this.ranges.read(slot, word(abi.PUT_RANGES_POINTER), word(abi.PUT_RANGES_COUNT));
      if (error !== abi.OK) return error;
      for (let i = 0; i < this.ranges.count; i++) {
        const kind = this.ranges.kind(i);
        if (kind === abi.RANGE_COPY) {
          if (!inside(slot, this.ranges.source(i), this.ranges.length(i))) return abi.E_RANGE;
        } else if (kind !== abi.RANGE_ZERO || this.ranges.source(i) !== 0) {
          return abi.E_BAD_REQUEST;
        }
      }
    }
    this.batch.clear();
    if ((parts & runs) !== 0) {
      const flags = word(abi.PUT_FLAGS);
      if ((flags & ~abi.FLAG_KEEP) !== 0) return abi.E_BAD_REQUEST;
      this.keep = flags === abi.FLAG_KEEP;
      const name = word(abi.PUT_ENTRY_POINTER);
      const length = word(abi.PUT_ENTRY_LENGTH);
      if (!inside(slot, name, length)) return abi.E_RANGE;
      if (length > NAME_BYTES_LIMIT) return abi.E_NO_ENTRY;
      this.entry = length === 0 ? "" : part(slot.memory, name, length).toString("latin1");
      const starts = (parts & abi.PART_START) !== 0;
      this.argumentLow = starts ? word(abi.PUT_ARGUMENT) | 0 : 0;
      this.argumentHigh = starts ? word(abi.PUT_ARGUMENT + 4) | 0 : 0;
      this.gas = joined(word(abi.PUT_GAS), word(abi.PUT_GAS + 4));
    }
    if ((parts & abi.PART_BATCH) !== 0) return this.batch.read(slot, word(abi.PUT_BATCH_POINTER), payer);
    return abi.OK;
  }

  /** What the call costs, the gas given to the child and the items of a batch apart. */
  cost(): number {
    let cost = COST_CALL + this.ranges.cost();
    if ((this.parts & abi.PART_PROGRAM) !== 0) {
      cost += COST_PROGRAM;
      if (this.programLength > 0) cost += COST_INSTALL + this.programLength * COST_PROGRAM_BYTE;
    }
    if ((this.parts & abi.PART_CLONE) !== 0) cost += COST_CLONE;
    if ((this.parts & (abi.PART_START | abi.PART_BATCH)) !== 0) cost += COST_START;
    return cost + this.batch.bytes * COST_ITEM_BYTE;
  }
}

/** As PutRequest, for GET. */
export class GetRequest {
  parts = 0;
  statusPointer = 0;
  hashPointer = 0;
  detailPointer = 0;
  detailCapacity = 0;
  ranges = new Ranges();
  merge = new MergeRequest();
  outcomes = new OutcomesRequest();

  read(slot: Slot, pointer: number): number {
    const at = locate(slot, pointer, abi.GET_SIZE);
    if (at < 0) return at;
    const words = slot.words;
    const word = (offset: number): number => words[at + offset / 4] as number;
    if (word(abi.GET_VERSION) !== abi.ABI_VERSION) return abi.E_BAD_REQUEST;
    const parts = word(abi.GET_PARTS);
    if (parts === 0 || (parts & ~GET_PARTS_KNOWN) !== 0) return abi.E_BAD_REQUEST;
    const both = abi.PART_GET_COPY | abi.PART_GET_MERGE;
    if ((parts & both) === both) return abi.E_BAD_REQUEST;
    this.parts = parts;

    if ((parts & abi.PART_GET_STATUS) !== 0) {
      this.statusPointer = word(abi.GET_STATUS_POINTER);
      if (this.statusPointer % 8 !== 0) return abi.E_BAD_REQUEST;
      if (!inside(slot, this.statusPointer, abi.STATUS_SIZE)) return abi.E_RANGE;
      this.detailPointer = word(abi.GET_DETAIL_POINTER);
      this.detailCapacity = word(abi.GET_DETAIL_CAPACITY);
      if (!inside(slot, this.detailPointer, this.detailCapacity)) return abi.E_RANGE;
    }
    this.ranges.clear();
    if ((parts & abi.PART_GET_COPY) !== 0) {
      const error = this.ranges.read(slot, word(abi.GET_RANGES_POINTER), word(abi.GET_RANGES_COUNT));
      if (error !== abi.OK) return error;
      for (let i = 0; i < this.ranges.count; i++) {
        if (this.ranges.kind(i) !== abi.RANGE_COPY) return abi.E_BAD_REQUEST;
        if (!inside(slot, this.ranges.target(i), this.ranges.length(i))) return abi.E_RANGE;
      }
    }
    if ((parts & abi.PART_GET_MERGE) !== 0) {
      const error = this.merge.read(slot, word(abi.GET_MERGE_POINTER));
      if (error !== abi.OK) return error;
      if ((parts & abi.PART_GET_STATUS) !== 0 && this.#statusMeetsMerge()) return abi.E_BAD_REQUEST;
    }
    if ((parts & abi.PART_GET_HASH) !== 0) {
      this.hashPointer = word(abi.GET_HASH_POINTER);
      if (!inside(slot, this.hashPointer, 32)) return abi.E_RANGE;
    }
    if ((parts & abi.PART_GET_OUTCOMES) !== 0)
      return this.outcomes.read(slot, word(abi.GET_OUTCOMES_POINTER));
    return abi.OK;
  }

  /**
   * STATUS is written before MERGE is applied, but conflicts were sought before: its bytes may not lie in the
   * range.
   */
  #statusMeetsMerge(): boolean {
    const { address, length } = this.merge;
    const meets = (pointer: number, size: number): boolean =>
      size > 0 && pointer < address + length && address < pointer + size;
    return meets(this.statusPointer, abi.STATUS_SIZE) || meets(this.detailPointer, this.detailCapacity);
  }

  cost(): number {
    let cost = COST_CALL + this.ranges.cost();
    if ((this.parts & abi.PART_GET_MERGE) !== 0) cost += COST_MERGE_RANGE_PAGE * this.merge.pages;
    if ((this.parts & abi.PART_GET_HASH) !== 0) cost += COST_HASH;
    return cost;
  }
}

/** What MERGE reads; a range that is checked against the caller's memory. */
export class MergeRequest {
  pointer = 0;
  kind = 0;
  address = 0;
  length = 0;

  get firstPage(): number {
    return Math.floor(this.address / PAGE_BYTES);
  }

  /** Pages that the range touches, 0 if it is empty. */
  get pages(): number {
    return this.length === 0 ? 0 : Math.ceil((this.address + this.length) / PAGE_BYTES) - this.firstPage;
  }

  read(slot: Slot, pointer: number): number {
    const at = locate(slot, pointer, abi.MERGE_SIZE);
    if (at < 0) return at;
    const word = (offset: number): number => slot.words[at + offset / 4] as number;
    this.pointer = pointer;
    this.kind = word(abi.MERGE_KIND);
    this.address = word(abi.MERGE_ADDRESS);
    this.length = word(abi.MERGE_LENGTH);
    if (this.kind > abi.MERGE_MAX_U64 || word(abi.MERGE_RESERVED) !== 0) return abi.E_BAD_REQUEST;
    const size = MERGE_UNIT_BYTES[this.kind] as number;
    if (this.address % size !== 0 || this.length % size !== 0) return abi.E_BAD_REQUEST;
    return inside(slot, this.address, this.length) ? abi.OK : abi.E_RANGE;
  }
}

/** What OUTCOMES reads. */
export class OutcomesRequest {
  pointer = 0;
  first = 0;
  /** How many are wanted. */
  count = 0;
  records = 0;
  outputPointer = 0;
  outputCapacity = 0;

  read(slot: Slot, pointer: number): number {
    const at = locate(slot, pointer, abi.OUTCOMES_SIZE);
    if (at < 0) return at;
    const word = (offset: number): number => slot.words[at + offset / 4] as number;
    this.pointer = pointer;
    this.first = word(abi.OUTCOMES_FIRST);
    this.count = word(abi.OUTCOMES_COUNT);
    this.records = word(abi.OUTCOMES_POINTER);
    this.outputPointer = word(abi.OUTCOMES_OUTPUT_POINTER);
    this.outputCapacity = word(abi.OUTCOMES_OUTPUT_CAPACITY);
    if (this.count > abi.BATCH_LIMIT || this.records % 8 !== 0) return abi.E_BAD_REQUEST;
    if (word(abi.OUTCOMES_RESERVED) !== 0) return abi.E_BAD_REQUEST;
    if (!inside(slot, this.records, this.count * abi.OUTCOME_SIZE)) return abi.E_RANGE;
    return inside(slot, this.outputPointer, this.outputCapacity) ? abi.OK : abi.E_RANGE;
  }
}

export class SnapshotRequest {
  dataPointer = 0;
  dataLength = 0;
  regionPointer = 0;
  regionCapacity = 0;

  read(slot: Slot, pointer: number): number {
    const at = locate(slot, pointer, abi.SNAPSHOT_SIZE);
    if (at < 0) return at;
    const word = (offset: number): number => slot.words[at + offset / 4] as number;
    if (word(abi.SNAPSHOT_VERSION) !== abi.ABI_VERSION || word(abi.SNAPSHOT_RESERVED) !== 0)
      return abi.E_BAD_REQUEST;
    this.dataPointer = word(abi.SNAPSHOT_DATA_POINTER);
    this.dataLength = word(abi.SNAPSHOT_DATA_LENGTH);
    this.regionPointer = word(abi.SNAPSHOT_REGION_POINTER);
    this.regionCapacity = word(abi.SNAPSHOT_REGION_CAPACITY);
    if (this.dataLength > DATA_BYTES_LIMIT || this.regionCapacity > DATA_BYTES_LIMIT) return abi.E_RANGE;
    if (!inside(slot, this.dataPointer, this.dataLength)) return abi.E_RANGE;
    if (!inside(slot, this.regionPointer, this.regionCapacity)) return abi.E_RANGE;
    return abi.OK;
  }
}

/** Integers of 32 bytes are read as eight words, the lowest first. */
export const INTEGER_WORDS = 8;

/** What ACCUMULATE reads. */
export class AccumulateRequest {
  address = 0;
  width = 0;
  subtract = false;
  bounded = false;
  readonly delta = new Uint32Array(INTEGER_WORDS);
  /** If it is bounded. */
  readonly minimum = new Uint32Array(INTEGER_WORDS);
  readonly maximum = new Uint32Array(INTEGER_WORDS);

  read(slot: { readonly memory: Uint8Array; readonly words: Uint32Array }, pointer: number): number {
    const at = locate(slot, pointer, abi.ACCUMULATE_SIZE);
    if (at < 0) return at;
    const { words } = slot;
    const flags = words[at + abi.ACCUMULATE_FLAGS / 4] as number;
    this.address = words[at + abi.ACCUMULATE_ADDRESS / 4] as number;
    this.width = words[at + abi.ACCUMULATE_WIDTH / 4] as number;
    if (words[at + abi.ACCUMULATE_VERSION / 4] !== abi.ABI_VERSION) return abi.E_BAD_REQUEST;
    if ((flags & ~(abi.ACCUMULATE_SUBTRACT | abi.ACCUMULATE_BOUNDED)) !== 0) return abi.E_BAD_REQUEST;
    if (this.width !== 8 && this.width !== 16 && this.width !== 32) return abi.E_BAD_REQUEST;
    if (this.address % this.width !== 0) return abi.E_BAD_REQUEST;
    if (!inside(slot, this.address, this.width)) return abi.E_RANGE;
    this.subtract = (flags & abi.ACCUMULATE_SUBTRACT) !== 0;
    this.bounded = (flags & abi.ACCUMULATE_BOUNDED) !== 0;
    const { delta, minimum, maximum } = this;
    for (let i = 0; i < INTEGER_WORDS; i++) delta[i] = words[at + abi.ACCUMULATE_DELTA / 4 + i] as number;
    if (!this.bounded) return abi.OK;
    for (let i = 0; i < INTEGER_WORDS; i++) {
      minimum[i] = words[at + abi.ACCUMULATE_MINIMUM / 4 + i] as number;
      maximum[i] = words[at + abi.ACCUMULATE_MAXIMUM / 4 + i] as number;
    }
    return abi.OK;
  }
}

/**
 * The text of an AssemblyScript string at `pointer`; its length stands in the four bytes before. At most
 * `limit` characters.
 */
export function readString(slot: Slot, pointer: number, limit: number): string {
  const address = pointer >>> 0;
  if (address < 4 || address % 2 !== 0 || !inside(slot, address - 4, 4)) return "";
  const length = part(slot.memory, address - 4, 4).readUInt32LE();
  const bytes = Math.min(length - (length % 2), limit * 2);
  if (!inside(slot, address, bytes)) return "";
  return part(slot.memory, address, bytes).toString("utf16le");
}

/** Whether `length` bytes at `pointer` lie in the memory; both unsigned. */
function inside(slot: Pick<Slot, "memory">, pointer: number, length: number): boolean {
  return pointer + length <= slot.memory.length;
}

/**
 * The word index of a request of `size` bytes at `pointer` (as the guest passed it: signed), or an error
 * code.
 */
function locate(slot: Pick<Slot, "memory">, pointer: number, size: number): number {
  const address = pointer >>> 0;
  if (address % 8 !== 0) return abi.E_BAD_REQUEST;
  if (!inside(slot, address, size)) return abi.E_RANGE;
  return address / 4;
}
