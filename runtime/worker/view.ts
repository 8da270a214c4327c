/**
 * A view on a worker thread: the request as the main thread writes it, the answer as the thread does.
 *
 * Both are BLOBs: u32 length of a header · the header, JSON in UTF-8 · the bytes of the input or the output.
 */

import { FAULT_ABORT, STATUS_FAULTED } from "../../syscalls/abi.ts";
import { UsageError } from "../errors.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { findProcess } from "../image/path.ts";
import type { Process } from "../image/process.ts";
import { withStacks } from "../kernel/exit.ts";
import { NOBODY_ELSE } from "../kernel/jobs.ts";
import { Kernel } from "../kernel/kernel.ts";
import type { Programs } from "../kernel/program.ts";
import type { SlotLimits } from "../kernel/slots/slot-pool.ts";
import type { RawFrame } from "../kernel/trace.ts";
import { LastFault, runView, type ViewRequest } from "../kernel/view.ts";
import type { Job } from "./job.ts";

/** A view of the process at `path`. Its gas is that of the job. */
export interface ViewOf extends Omit<ViewRequest, "gas"> {
  readonly path: readonly number[];
}

/** How a view ended. */
export interface ViewAnswer {
  readonly faulted: boolean;
  readonly fault: number;
  readonly codeLow: number;
  readonly codeHigh: number;
  readonly gasUsed: number;
  /** Of an abort, or the limit that it met. */
  readonly text: string;
  /** After a fault: the functions that were running, and their program. */
  readonly stack: readonly RawFrame[];
  readonly program: Ref;
  readonly programHash: string;
  readonly output: Buffer;
}

/** A request as bytes. */
export function packRequest({ input, argument, ...rest }: ViewOf): Buffer {
  return pack({ ...rest, argument: argument === null ? null : String(argument) }, input);
}

function readRequest(payload: Buffer): Omit<ViewOf, "gas"> {
  const [header, input] = read<Omit<ViewOf, "input" | "argument"> & { argument: string | null }>(payload);
  const { argument } = header;
  return { ...header, argument: argument === null ? null : BigInt(argument), input };
}

/** The answer that lies in these bytes; its output is a copy. */
export function readAnswer(payload: Buffer): ViewAnswer {
  const [header, output] = read<Omit<ViewAnswer, "output">>(payload);
  return { ...header, output: Buffer.from(output) };
}

function pack(header: object, bytes: Uint8Array): Buffer {
  const text = Buffer.from(JSON.stringify(header), "utf8");
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text, bytes]);
}

function read<T>(payload: Buffer): [header: T, bytes: Buffer] {
  const end = 4 + payload.readUInt32LE(0);
  return [JSON.parse(payload.toString("utf8", 4, end)), payload.subarray(end)];
}

/** The text of an abort, or the limit that a view met; "" if it did not fault. */
function textOf(heap: Heap, { status, fault, text, gasUsed }: Process, last: LastFault): string {
  if (status !== STATUS_FAULTED) return "";
  return fault === FAULT_ABORT ? heap.payload(text).toString("utf8") : last.reason(fault, gasUsed).text;
}

/** What a thread that serves views has for them: slots of their own, and nobody to share work with. */
export class ViewServer {
  readonly #heap: Heap;
  readonly #programs: Programs;
  readonly #fault = new LastFault();
  readonly #kernel: Kernel;

  constructor(heap: Heap, programs: Programs, slots: SlotLimits) {
    this.#heap = heap;
    this.#programs = programs;
    this.#kernel = new Kernel(heap, programs, NOBODY_ELSE, this.#fault, undefined, slots);
  }

  /** After a collection: references outside the roots are gone. */
  forget(): void {
    this.#kernel.forget();
  }

  /**
   * Runs the view that a job asks for; the BLOB of its answer.
   *
   * @throws UsageError (NO_PROCESS, NO_ENTRY, RANGE), LimitError, StoreError
   */
  run({ start, metadata, gas }: Job): Ref {
    const heap = this.#heap;
    const request = readRequest(heap.payload(metadata));
    const { path } = request;
    const found = findProcess(heap, start, path);
    if (found === null) {
      const text = `there is no process at path [${path.join(", ")}]`;
      throw new UsageError("NO_PROCESS", text, { path: path.join(",") });
    }
    const fault = this.#fault;
    fault.reset();
    const { end, output } = withStacks(
      (stack, reason, place) => fault.fault(stack, reason, place),
      () => runView(heap, this.#programs, this.#kernel, found.process, path, { ...request, gas }),
    );
    const faulted = end.status === STATUS_FAULTED;
    const answer: Omit<ViewAnswer, "output"> = {
      faulted,
      fault: end.fault,
      codeLow: faulted ? end.line : end.codeLow,
      codeHigh: faulted ? end.column : end.codeHigh,
      gasUsed: end.gasUsed,
      text: textOf(heap, end, fault),
      stack: faulted ? fault.frames : [],
      program: end.program,
      programHash: this.#programs.get(end.program).handle.hashHex,
    };
    return heap.blob(pack(answer, output));
  }
}
