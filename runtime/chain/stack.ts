/** Stacks of guests: the functions that were running when a fault came, with names and source lines. */

import { badArgument } from "../arguments.ts";
import type { Frame, RawFrame, TraceEvent } from "../kernel/trace.ts";
import { Positions } from "../program/source-map/positions.ts";
import { isOfLibrary, type Place, sourceOf } from "../program/source-map/sources.ts";
import type { Trace, View } from "./results.ts";

/** The events with their stacks in terms of the originals; `programs` has their bytes by hash. */
export async function withPlaces(
  events: readonly TraceEvent<RawFrame>[],
  programs: ReadonlyMap<string, Uint8Array>,
): Promise<readonly TraceEvent[]> {
  const positions = new Map<string, Positions>();
  for (const hash of programsThatFaulted(events)) {
    const bytes = programs.get(hash);
    if (bytes !== undefined) positions.set(hash, new Positions(bytes));
  }
  return placed(events, positions);
}

/** How many programs' positions are kept. */
const POSITIONS_LIMIT = 8;

/** Stacks of programs that fault again and again: the positions of the last few are kept. */
export class KnownPositions {
  readonly #known = new Map<string, Positions>();

  /** A stack of the program with that hash and these bytes. */
  frames(hash: string, bytes: Uint8Array, stack: readonly RawFrame[]): readonly Frame[] {
    const known = this.#known.get(hash) ?? new Positions(bytes);
    this.#known.delete(hash);
    this.#known.set(hash, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > POSITIONS_LIMIT) this.#known.delete(oldest as string);
    return framesOf(known, stack);
  }
}

/** The same where the positions of programs are known, by hash; stacks of others are empty. */
export function placed(
  events: readonly TraceEvent<RawFrame>[],
  positions: ReadonlyMap<string, Positions>,
): readonly TraceEvent[] {
  return eachWithProgram(events).map(({ event, program }) => {
    if (!("stack" in event)) return event;
    const known = positions.get(program);
    return { ...event, stack: known === undefined ? [] : framesOf(known, event.stack) };
  });
}

function programsThatFaulted(events: readonly TraceEvent<RawFrame>[]): Set<string> {
  const faulted = eachWithProgram(events).filter(({ event }) => "stack" in event && event.stack.length > 0);
  return new Set(faulted.map(({ program }) => program));
}

/** Each event with the hash of the program that was running. */
function eachWithProgram<F>(events: readonly TraceEvent<F>[]) {
  const running: string[] = [];
  return events.map((event) => {
    if (event.what === "begin") running.push(event.program);
    const program = running.at(-1) as string;
    if (event.what === "end") running.pop();
    return { event, program };
  });
}

function framesOf(positions: Positions, stack: readonly RawFrame[]): Frame[] {
  const frames = stack.flatMap((raw) => frameOf(positions, raw));
  const [first] = frames;
  const abort = stack[0]?.[2];
  // asc gives the call of `abort` no place of its own: the map has that of what made its text.
  if (first === undefined || abort === undefined) return frames;
  const { source } = first;
  const isAuthors = source !== null && isOfLibrary(abort) && !isOfLibrary(source);
  frames[0] = { ...first, source: abort, ...(isAuthors ? { callSite: source } : {}) };
  return frames;
}

/** Nothing for what was injected. */
function frameOf(positions: Positions, [functionIndex, offset]: RawFrame): Frame[] {
  const position = positions.locate(functionIndex, offset);
  if (position === null) return [];
  const start = positions.bodyOf(position.functionIndex);
  const source = sourceOf(positions.program, position.functionIndex, start, position.offset);
  return [{ ...position, ...source }];
}

/**
 * The faults of a trace, or that of a view, as text: for each the process, what happened, and the stack with
 * source lines.
 *
 * @example
 * ```ts
 * console.log(formatFaults(await runtime.trace()));
 * // /1 faulted: memory-bounds
 * //     at guest/bank/pay (guest/bank.ts:17:10)
 * ```
 */
export function formatFaults(of: Trace | readonly TraceEvent[] | View): string {
  return eventsOf(of)
    .flatMap((event) => {
      if ((event.what !== "end" && event.what !== "item") || event.fault === "none") return [];
      const process = `/${event.path.join("/")}`;
      const who = event.what === "item" ? `${process} item ${event.item}` : process;
      const fault = event.text === "" ? event.fault : `${event.fault}: ${event.text}`;
      return [`${who} faulted: ${fault}`, ...folded(event.stack.map(formatFrame))];
    })
    .join("\n");
}

function eventsOf(of: Trace | readonly TraceEvent[] | View): readonly TraceEvent[] {
  if (Array.isArray(of)) return of;
  if (typeof of === "object" && of !== null) {
    if ("events" in of) return of.events;
    if ("stack" in of) return [{ what: "end", ...of }];
  }
  throw badArgument("of", of, "a trace, its events, or a view");
}

/** Lines, those that follow their like counted. */
function folded(lines: readonly string[]): string[] {
  const result: string[] = [];
  for (let i = 0; i < lines.length; ) {
    const line = lines[i] as string;
    const next = lines.findIndex((other, j) => j > i && other !== line);
    const end = next < 0 ? lines.length : next;
    result.push(line);
    if (end - i === 2) result.push(line);
    else if (end - i > 2) result.push(`    … and ${end - i - 1} times more`);
    i = end;
  }
  return result;
}

function formatFrame({ name, source, callSite, offset }: Frame): string {
  const words = ({ file, line, column }: Place): string => `${file}:${line}:${column}`;
  const place = source === null ? `0x${offset.toString(16)}` : words(source);
  return `    at ${name} (${callSite === undefined ? "" : `${words(callSite)}, in `}${place})`;
}
