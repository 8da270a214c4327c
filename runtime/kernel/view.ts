/**
 * A view: an entry of a process that runs as it would if the parent had started it now, and of which nothing
 * is kept. Gas, faults and output are those of such a child.
 *
 * It begins from the image as it is. A process that is suspended in RET or SNAPSHOT is not resumed, its saved
 * stack is set aside; one that was started and not joined is its START image. Since nobody could resume a
 * view, RET and SNAPSHOT give E_PERMISSION in it; children that it starts may call them.
 *
 * Input and output lie where those of an item do (`Item` of the guest SDK), in a program that declares its
 * state: the input in the usual inbox, its length is the argument, the output in the usual outbox behind its
 * length. A root that waits for a block has its input in the region for metadata. The caller can name others.
 */

import * as abi from "../../syscalls/abi.ts";
import { UsageError } from "../errors.ts";
import type { Heap } from "../heap/heap.ts";
import { MemoryEdit, readMemory } from "../image/memory.ts";
import type { Process } from "../image/process.ts";
import { DATA_BYTES_LIMIT, WASM_PAGE_BYTES } from "../limits.ts";
import type { Place } from "../program/source-map/sources.ts";
import { halvesOf } from "../u64.ts";
import { NO_REASON, type Reason } from "./explain.ts";
import { clearOutcome } from "./images.ts";
import type { Kernel } from "./kernel.ts";
import type { LoadedProgram, Programs } from "./program.ts";
import { placeOf } from "./slots/slot-pool.ts";
import { framesOf, type RawFrame, reasonOf, type Tracer } from "./trace.ts";

/** Half of MAIL_BYTES: what the usual inbox has, and the usual outbox. */
const BOX_BYTES = abi.MAIL_BYTES / 2;
const NO_BYTES = Buffer.alloc(0);

/** What is asked of a process. */
export interface ViewRequest {
  readonly entry: string;
  readonly input: Buffer;
  /** The address of the input; null: the usual one. */
  readonly inbox: number | null;
  /**
   * Where the output is: its address, behind a u32 that is its length; "returned": address and length are the
   * low and the high half of what the entry returns; null: the usual outbox, if there is one.
   */
  readonly outbox: number | "returned" | null;
  /** Null: the length of the input. */
  readonly argument: bigint | null;
  readonly gas: number;
}

/** How a view ended: the image that nobody keeps, and the output; none after a fault. */
export interface ViewResult {
  readonly end: Process;
  readonly output: Buffer;
}

/**
 * Runs a view of `process`, which is at `path`.
 *
 * @throws UsageError (NO_ENTRY, RANGE)
 */
export function runView(
  heap: Heap,
  programs: Programs,
  kernel: Kernel,
  process: Process,
  path: readonly number[],
  request: ViewRequest,
): ViewResult {
  const program = programs.get(process.program);
  const boxes = boxesOf(program, process, request);
  const start = startOf(heap, process, entryNumber(program, request.entry), request, boxes);
  const end = kernel.view(start, path.length, placeOf(path));
  return { end, output: outputOf(heap, end, boxes) };
}

/**
 * The number of an entry.
 *
 * @throws UsageError (NO_ENTRY)
 */
export function entryNumber(program: LoadedProgram, name: string): number {
  const entry = program.entry(Buffer.from(name, "utf8").toString("latin1"));
  if (entry >= 0) return entry;
  const known = program.handle.entries.join(", ") || "none";
  const text = `no entry "${name}": an exported function (i64) -> i64. The program's entries: ${known}`;
  throw new UsageError("NO_ENTRY", text, { entry: name });
}

/** A range of the memory. */
interface Box {
  readonly address: number;
  readonly capacity: number;
}

interface Boxes {
  readonly inbox: Box | null;
  readonly outbox: Box | "returned" | null;
}

function boxesOf(program: LoadedProgram, process: Process, { inbox, outbox, input }: ViewRequest): Boxes {
  const size = process.memoryPages * WASM_PAGE_BYTES;
  const { stateBytes } = program.handle;
  const hasMail = stateBytes > 0 && stateBytes + abi.MAIL_BYTES <= size;
  const named = (name: string, address: number): Box => {
    if (address + 4 > size) {
      const text = `the ${name} at ${address} is not inside the memory of ${size} bytes`;
      throw new UsageError("RANGE", text, { address, size });
    }
    return { address, capacity: Math.min(size - address, DATA_BYTES_LIMIT) };
  };
  const usual = (at: number): Box | null => (hasMail ? { address: at, capacity: BOX_BYTES } : null);
  const region =
    process.status === abi.STATUS_SNAPSHOT
      ? { address: process.regionPointer, capacity: process.regionCapacity }
      : null;
  const to = inbox === null ? (usual(stateBytes) ?? region) : named("inbox", inbox);
  if (input.length > (to?.capacity ?? 0)) {
    const { length } = input;
    const room = to === null ? "the process has no usual inbox" : `the inbox has ${to.capacity} bytes`;
    const text = `an input of ${length} bytes: ${room}. Name another place with the option "inbox"`;
    throw new UsageError("RANGE", text, { length, capacity: to?.capacity ?? 0 });
  }
  const from = typeof outbox === "number" ? named("outbox", outbox) : outbox;
  return { inbox: to, outbox: from ?? usual(stateBytes + BOX_BYTES) };
}

/** What START makes of the process, once the parent has copied the input and emptied the outbox. */
function startOf(
  heap: Heap,
  process: Process,
  entry: number,
  { input, argument, gas }: ViewRequest,
  { inbox, outbox }: Boxes,
): Process {
  const start = process.copy();
  clearOutcome(start);
  start.status = abi.STATUS_RUNNABLE;
  start.entry = entry;
  start.gas = gas;
  const { low, high } = halvesOf(argument ?? BigInt(input.length));
  start.argumentLow = low;
  start.argumentHigh = high;
  const isFull = outbox !== null && outbox !== "returned" && lengthAt(heap, process, outbox) !== 0;
  if (input.length === 0 && !isFull) return start;
  const edit = new MemoryEdit(heap, process.memory);
  if (isFull) edit.zero(outbox.address, 4);
  if (inbox !== null) edit.write(inbox.address, input, 0, input.length);
  start.memory = edit.commit();
  start.presentPages += edit.morePresent;
  edit.close();
  return start;
}

function outputOf(heap: Heap, end: Process, { outbox }: Boxes): Buffer {
  if (outbox === null || end.status === abi.STATUS_FAULTED) return NO_BYTES;
  const packed = outbox === "returned";
  const address = packed ? end.codeLow >>> 0 : outbox.address + 4;
  const length = packed ? end.codeHigh >>> 0 : lengthAt(heap, end, outbox);
  const limit = packed
    ? Math.min(end.memoryPages * WASM_PAGE_BYTES, address + DATA_BYTES_LIMIT)
    : outbox.address + outbox.capacity;
  if (address + length > limit) {
    const text = `the entry left an output of ${length} bytes at ${address}, which reaches beyond ${limit}`;
    throw new UsageError("RANGE", text, { address, length, limit });
  }
  const output = Buffer.alloc(length);
  readMemory(heap, end.memory, address, output, 0, length);
  return output;
}

const word = Buffer.alloc(4);

function lengthAt(heap: Heap, process: Process, { address }: Box): number {
  readMemory(heap, process.memory, address, word, 0, 4);
  return word.readUInt32LE(0);
}

/** Keeps stack and reason of the fault that a view ended with, and nothing of what it did: it may do much. */
export class LastFault implements Tracer {
  #frames: RawFrame[] = [];
  #reason = NO_REASON;
  #depth = 0;

  /** Another view begins; the one before may have ended with an exception. */
  reset(): void {
    this.#forget();
    this.#depth = 0;
  }

  #forget(): void {
    this.#frames = [];
    this.#reason = NO_REASON;
  }

  /** The functions that were running, none if it did not fault. */
  get frames(): readonly RawFrame[] {
    return this.#frames;
  }

  /** Why it faulted with `fault` after this much gas. */
  reason(fault: number, gasUsed: number): Reason {
    return reasonOf(fault, gasUsed, this.#reason);
  }

  /** A fault came, in whatever activation or item runs now. */
  fault(stack: string, reason: Reason, place: Place | null): void {
    this.#frames = framesOf(stack);
    this.#reason = reason;
    const [first] = this.#frames;
    if (first !== undefined && place !== null) this.#frames[0] = [first[0], first[1], place];
  }

  begin(): void {
    this.#depth++;
    this.#forget();
  }

  end(): void {
    if (--this.#depth > 0) this.#forget();
  }

  beginItem(): void {}

  item(): void {
    this.#forget();
  }

  descend(): void {}
  ascend(): void {}
  call(): void {}
  grow(): void {}
}
