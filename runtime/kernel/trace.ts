/**
 * A trace: every activation and call of a block, in the order of a run on one thread, in which a child runs
 * when it is joined. That order, and every value in it, is a function of the block.
 *
 * A fault comes with the stack of functions that were running, here as numbers of the instrumented module;
 * chain/stack.ts finds their names and places.
 */

import { FAULT_NONE, FAULT_OUT_OF_GAS, STATUS_RUNNABLE } from "../../syscalls/abi.ts";
import type { Facts } from "../errors.ts";
import { ENTRY_CONTINUE, type Process } from "../image/process.ts";
import { TRACE_FRAMES_LIMIT } from "../limits.ts";
import type { Place } from "../program/source-map/sources.ts";
import { NO_REASON, outOfGas, type Reason } from "./explain.ts";
import { FAULT_NAMES, STATUS_NAMES } from "./faults.ts";

/** Bytes of a memory. */
export interface ByteRange {
  readonly address: number;
  readonly length: number;
}

/** What an item has changed where nothing persists. */
export type Lost =
  /** Bytes of private memory, but for inbox, outbox and what the item itself has allocated. */
  | ByteRange
  /** A variable of a module or a static field, as the compiler calls it, or "global" and its number. */
  | { readonly global: string }
  /** There is more memory than the sixteen ranges before. */
  | { readonly truncated: true };

/**
 * A line of state that an item has changed: 64 bytes from `address` on, in hex, as it left them. `name` says
 * what lies there, as far as the program does.
 */
export interface ChangedLine {
  readonly address: number;
  readonly bytes: string;
  readonly name: string | null;
}

/** The same before its names are known. */
export type RawLine = Omit<ChangedLine, "name">;

/** As the kernel knows it: globals by their words of 8 bytes in AUX_GLOBALS, and the low half before. */
export type RawLost =
  | Exclude<Lost, { readonly global: string }>
  | { readonly global: number; readonly before: number };

/** A function that was running when a fault came. */
export interface Frame {
  /** What the compiler calls it, or "function" and its number. */
  readonly name: string;
  /** Its number in the program. */
  readonly functionIndex: number;
  /** Where the instruction stands in the program, in bytes; that of a call, but for the first frame. */
  readonly offset: number;
  /**
   * Its position in the source, if this process has compiled the program or has its files (`addSources`); of
   * an abort the place that it names itself.
   */
  readonly source: Place | null;
  /**
   * Of library code that the optimiser has put into a function of the author's: where that function was, as
   * far as its instructions show.
   */
  readonly callSite?: Place;
}

/** Function number and byte offset in the instrumented module; in the first the place that an abort names. */
export type RawFrame = readonly [functionIndex: number, offset: number, abort?: Place];

/** Why a PUT was refused, if its error code does not say it. */
export interface Refusal {
  /** The hash of a program that it asked for in vain: nobody gave it. */
  readonly unknownProgram?: string;
  /** Of which quota it takes too much. */
  readonly quota?: Reason;
}

/** One thing that happened. `path` says to which process: child numbers from the root. */
export type TraceEvent<F = Frame, L = Lost, C = ChangedLine> =
  /**
   * An activation of the program with that hash begins, with so much gas: at an entry with an argument, an
   * i64 in decimal; once for each item, if it is of a batch; or, where the entry is "", where it was
   * suspended.
   */
  | {
      readonly what: "begin";
      readonly path: readonly number[];
      readonly program: string;
      readonly gas: number;
      readonly entry: string;
      readonly argument: string;
      readonly isBatch: boolean;
    }
  /**
   * It ended so, with that code (an i64 in decimal), and used so much. After a fault `text` is that of an
   * abort, or says which limit it met, and `facts` has the numbers; `stack` has the functions that were
   * running, the innermost first, at most 64, and 65,536 in all stacks of a block: later ones are empty.
   * `changed` are lines of state as for an item; of a batch its items have them.
   */
  | {
      readonly what: "end";
      readonly path: readonly number[];
      readonly status: string;
      readonly code: string;
      readonly fault: string;
      readonly gasUsed: number;
      readonly text: string;
      readonly facts: Facts;
      readonly changed: readonly C[] | null;
      readonly stack: readonly F[];
    }
  /** A call on a child, what it returned, and the gas that is left to the caller. */
  | ({
      readonly what: "put" | "get";
      readonly path: readonly number[];
      readonly child: number;
      readonly result: number;
      readonly gas: number;
    } & Refusal)
  /**
   * An item of a batch ended so, and used so much; those that were refused or not run have no event. `lost`
   * is what it has changed outside of the state, scratch of the SDK's globals apart: should it have been
   * kept, it belongs in the state. `changed` are the lines of state that it left other than they were, at
   * most 1,024, and 65,536 in a block: null if there are more. `text`, `facts` and `stack` as above.
   */
  | {
      readonly what: "item";
      readonly path: readonly number[];
      readonly item: number;
      readonly fault: string;
      readonly gasUsed: number;
      readonly lost: readonly L[];
      readonly changed: readonly C[] | null;
      readonly text: string;
      readonly facts: Facts;
      readonly stack: readonly F[];
    }
  /** A growth of the memory: its size before in 64 KiB pages, or -1. */
  | {
      readonly what: "grow";
      readonly path: readonly number[];
      readonly result: number;
      readonly gas: number;
    };

/** What an item has changed. */
export interface Effects {
  /** In vain. */
  lost(): readonly RawLost[];
  /** Lines of state, at most `limit`. */
  changed(limit: number): readonly RawLine[];
}

/** A program: SHA-256 of its bytes in hex, and its entries by number. */
export interface TracedProgram {
  readonly hashHex: string;
  readonly entries: readonly string[];
}

/**
 * Receives a kernel's events as they happen: activations nest, and one that an exception ends has no `end`.
 */
export interface Tracer {
  /** The activation that begins next is of a child of the current one, until `ascend`. */
  descend(child: number): void;
  ascend(): void;
  /** An activation of a process that is as `start` begins. */
  begin(gas: number, program: TracedProgram, start: Process): void;
  /** It ended, and the process is as `result`. */
  end(result: Process, changed: Effects["changed"]): void;
  call(what: "put" | "get", child: number, result: number, gas: number, refusal: Refusal): void;
  grow(result: number, gas: number): void;
  /** An item of the running batch begins, in the loop. */
  beginItem(): void;
  /** An item of the running batch has ended; `effects` returns what it changed, if called at once. */
  item(item: number, fault: number, gasUsed: number, effects: Effects): void;
}

/** An event before its stack and globals have names. */
export type RawEvent = TraceEvent<RawFrame, RawLost, RawLine>;

/** Lines of state that are named of an item, and of all of a block. */
const ITEM_LINES_LIMIT = 1024;
const LINES_LIMIT = 65_536;

/** Collects the events of a block, each of which gas has paid for, and a limited number of frames. */
export class BlockTracer implements Tracer {
  readonly events: RawEvent[] = [];
  #framesLeft = TRACE_FRAMES_LIMIT;
  #linesLeft = LINES_LIMIT;
  readonly #path: number[] = [];
  #stack: readonly RawFrame[] = [];
  #reason = NO_REASON;

  /** The events so far; what comes is collected again. */
  take(): readonly RawEvent[] {
    this.#framesLeft = TRACE_FRAMES_LIMIT;
    this.#linesLeft = LINES_LIMIT;
    return this.events.splice(0);
  }

  /** A fault came, with this stack, reason and place; its activation or item ends next. */
  fault(stack: string, reason: Reason, place: Place | null): void {
    const frames = framesOf(stack).slice(0, this.#framesLeft);
    this.#framesLeft -= frames.length;
    const [first] = frames;
    if (first !== undefined && place !== null) frames[0] = [first[0], first[1], place];
    this.#stack = frames;
    this.#reason = reason;
  }

  descend(child: number): void {
    this.#path.push(child);
  }

  ascend(): void {
    this.#path.pop();
  }

  begin(gas: number, { hashHex: program, entries }: TracedProgram, start: Process): void {
    const isStarted = start.status === STATUS_RUNNABLE && start.entry !== ENTRY_CONTINUE;
    const entry = isStarted ? (entries[start.entry] as string) : "";
    const argument = String(i64(start.argumentLow, start.argumentHigh));
    const started = { entry, argument, isBatch: start.inputs !== 0 };
    this.events.push({ what: "begin", path: [...this.#path], program, gas, ...started });
  }

  end({ status, fault, gasUsed, codeLow, codeHigh }: Process, linesOf: Effects["changed"]): void {
    const names = { status: STATUS_NAMES[status] as string, fault: FAULT_NAMES[fault] as string };
    const code = String(i64(codeLow, codeHigh));
    const changed = fault === FAULT_NONE ? this.#changed(linesOf) : [];
    const ended = { ...names, code, gasUsed, changed, ...this.#takeFault(fault, gasUsed) };
    this.events.push({ what: "end", path: [...this.#path], ...ended });
  }

  call(what: "put" | "get", child: number, result: number, gas: number, refusal: Refusal): void {
    this.events.push({ what, path: [...this.#path], child, result, gas, ...refusal });
  }

  grow(result: number, gas: number): void {
    this.events.push({ what: "grow", path: [...this.#path], result, gas });
  }

  beginItem(): void {}

  item(item: number, fault: number, gasUsed: number, effects: Effects): void {
    const name = FAULT_NAMES[fault] as string;
    const changed = fault === FAULT_NONE ? this.#changed((limit) => effects.changed(limit)) : [];
    const did = { lost: effects.lost(), changed };
    const ended = { item, fault: name, gasUsed, ...did, ...this.#takeFault(fault, gasUsed) };
    this.events.push({ what: "item", path: [...this.#path], ...ended });
  }

  #changed(linesOf: Effects["changed"]): readonly RawLine[] | null {
    const limit = Math.min(ITEM_LINES_LIMIT, this.#linesLeft);
    const lines = linesOf(limit + 1);
    if (lines.length > limit) return null;
    this.#linesLeft -= lines.length;
    return lines;
  }

  /** What was shown of the fault. An item that ran twice, the first time in vain, may have none any more. */
  #takeFault(fault: number, gasUsed: number): Reason & { readonly stack: readonly RawFrame[] } {
    const [reason, stack] = [this.#reason, this.#stack];
    this.#reason = NO_REASON;
    this.#stack = [];
    if (fault === FAULT_NONE) return { ...NO_REASON, stack: [] };
    return { ...reasonOf(fault, gasUsed, reason), stack };
  }
}

/** Why it faulted, if `shown` is what was known then: what is out of gas has used all that it had. */
export function reasonOf(fault: number, gasUsed: number, shown: Reason): Reason {
  return fault === FAULT_OUT_OF_GAS && shown.text === "" ? outOfGas(gasUsed) : shown;
}

function i64(low: number, high: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low >>> 0);
}

const WASM_FRAME = /wasm-function\[(\d+)\]:0x([0-9a-f]+)/;

/**
 * The guest's functions in a stack as V8 writes it: those between the call that left the guest, if it was
 * one, and the host that runs it. What lies below is of other activations.
 */
export function framesOf(stack: string): RawFrame[] {
  const lines = stack.split("\n").map((line) => WASM_FRAME.exec(line));
  const first = lines.findIndex((match) => match !== null);
  if (first < 0) return [];
  const end = lines.indexOf(null, first);
  const guest = lines.slice(first, end < 0 ? undefined : end) as RegExpExecArray[];
  return guest.map((match) => [Number(match[1]), Number.parseInt(match[2] as string, 16)]);
}
