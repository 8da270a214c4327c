/** Views as callers see them: what `Runtime.call` takes, what it gives, and the way between. */

import { badArgument, badOption, checkNames, integer } from "../arguments.ts";
import { type StillpointError, UsageError } from "../errors.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { checkPath } from "../image/path.ts";
import { FAULT_NAMES } from "../kernel/faults.ts";
import { GAS_LIMIT } from "../limits.ts";
import { packRequest, readAnswer, type ViewAnswer, type ViewOf } from "../worker/view.ts";
import type { Block, Retained } from "./block.ts";
import type { Engine } from "./engine.ts";
import type { EventFields } from "./events.ts";
import type { Journal } from "./journal.ts";
import type { View } from "./results.ts";
import { KnownPositions } from "./stack.ts";

/** Options of a view. */
export interface CallOptions {
  /**
   * The block at whose end it begins: of this chain by height, or any retained block or candidate. Default:
   * the latest.
   */
  readonly block?: number | Block;
  /** Bytes that are copied into the inbox before the entry runs. Default: none. */
  readonly input?: Uint8Array;
  /**
   * Address of the inbox. Default: that of `Item.input` in a program that exports STATE_BYTES; of another
   * root that waits for a block, its region for metadata.
   */
  readonly inbox?: number;
  /**
   * Where the output is when the entry has returned: the address of a u32, its length, behind which its bytes
   * are; or "returned" if the entry returns where it is, as `outputAt` of the guest SDK makes it. Default:
   * where `Item.write` leaves it, in a program that exports STATE_BYTES; of others there is none.
   */
  readonly outbox?: number | "returned";
  /** The entry's argument. Default: the length of the input. */
  readonly argument?: bigint | number;
  /** What it may use. Default 10^8, some 30 ms of work. */
  readonly gas?: number;
  /** Gives the view up when it is aborted: the promise is rejected with CANCELLED. */
  readonly signal?: AbortSignal;
}

/** A view to run. */
export interface Call {
  readonly block: number | Block | undefined;
  readonly request: ViewOf;
  readonly gas: number;
  readonly signal: AbortSignal | null;
}

const GAS = 100_000_000;
const ADDRESS_LIMIT = 2 ** 32 - 1;
const KNOWN = ["block", "input", "inbox", "outbox", "argument", "gas", "signal"];

/** Checks and copies what `call` is given. */
export function checkCall(path: readonly number[], entry: string, options: CallOptions): Call {
  checkPath(path);
  if (typeof entry !== "string") throw badArgument("entry", entry, "the name of an exported function");
  checkNames(options, KNOWN);
  const { block, input = new Uint8Array(), inbox, outbox, argument, signal = null } = options;
  if (!(input instanceof Uint8Array)) throw badOption("input", input, "a Uint8Array");
  if (signal !== null && !(signal instanceof AbortSignal))
    throw badOption("signal", signal, "an AbortSignal");
  if (argument !== undefined && typeof argument !== "bigint" && !Number.isSafeInteger(argument)) {
    throw badOption("argument", argument, "a bigint or an integer");
  }
  const address = (name: "inbox" | "outbox", value: number): number =>
    integer({ [name]: value }, name, value, 0, ADDRESS_LIMIT);
  return {
    block,
    request: {
      path: [...path],
      entry,
      input: Buffer.from(input),
      inbox: inbox === undefined ? null : address("inbox", inbox),
      outbox: outbox === undefined || outbox === "returned" ? (outbox ?? null) : address("outbox", outbox),
      argument: argument === undefined ? null : BigInt(argument),
    },
    gas: integer(options, "gas", GAS, 0, GAS_LIMIT),
    signal,
  };
}

/** The views of one runtime. */
export class Views {
  readonly #engine: Engine;
  readonly #journal: Journal;
  readonly #positions = new KnownPositions();

  constructor(engine: Engine, journal: Journal) {
    this.#engine = engine;
    this.#journal = journal;
  }

  /** Runs a view of a block, by its rules, keeps its state for that time, and emits the event "view". */
  async run(block: Retained, { request, gas, signal }: Call): Promise<View> {
    const { path, entry } = request;
    const start = performance.now();
    const emit = (end: Pick<EventFields["view"], "status" | "gasUsed" | "error">): void =>
      this.#journal.events.emit("view", block.block, {
        ...{ path, entry, ...end },
        milliseconds: performance.now() - start,
      });
    try {
      const run = (): Promise<View> => this.#run(block, request, gas, signal);
      const view = await this.#journal.withState(block, signal, run);
      emit({ status: view.status, gasUsed: view.gasUsed, error: null });
      return view;
    } catch (error) {
      emit({ status: "rejected", gasUsed: 0, error: (error as StillpointError).code ?? "UNKNOWN" });
      throw error;
    }
  }

  async #run(block: Retained, request: ViewOf, gas: number, signal: AbortSignal | null): Promise<View> {
    const engine = this.#engine;
    const rules = await engine.inTurn(() => engine.rulebook.kit(block.rules));
    const job = { state: block.ref, request: packRequest(request), gas, rules };
    const { answer, program } = await engine.view(job, (ref) => readEnd(engine.heap, ref), signal, cancelled);
    const { fault, codeLow, codeHigh, gasUsed, text, output, stack, programHash } = answer;
    const { path } = request;
    return {
      path,
      status: answer.faulted ? "faulted" : "returned",
      code: (BigInt(codeHigh) << 32n) | BigInt(codeLow >>> 0),
      output: new Uint8Array(output),
      gasUsed,
      fault: FAULT_NAMES[fault] as string,
      text,
      stack: program === null ? [] : this.#positions.frames(programHash, program, stack),
    };
  }
}

/** The answer, and the program of a stack, before a collection can free them. */
function readEnd(heap: Heap, ref: Ref): { answer: ViewAnswer; program: Uint8Array | null } {
  const answer = readAnswer(heap.payload(ref));
  const program = answer.stack.length === 0 ? null : Buffer.from(heap.payload(answer.program));
  return { answer, program };
}

function cancelled({ reason }: AbortSignal): UsageError {
  return new UsageError("CANCELLED", "the view was cancelled", {}, { cause: reason });
}
