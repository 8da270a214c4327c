/** Stacks of guests: the functions that were running when a fault came, with names and source lines. */

import { badArgument } from "../arguments.ts";
import { namesBetween } from "../batch/contended.ts";
import { LINE_BYTES } from "../batch/layout.ts";
import type { ByteRange, Frame, Lost, RawEvent, RawFrame, RawLost, TraceEvent } from "../kernel/trace.ts";
import { readState, type Variable } from "../program/decode/state.ts";
import { Positions } from "../program/source-map/positions.ts";
import {
  globalOf,
  isOfLibrary,
  type Place,
  type Scratch,
  scratchOf,
  sourceOf,
} from "../program/source-map/sources.ts";
import type { Trace, View } from "./results.ts";

/** The events with their stacks in terms of the originals; `programs` has their bytes by hash. */
export async function withPlaces(
  events: readonly RawEvent[],
  programs: ReadonlyMap<string, Uint8Array>,
): Promise<readonly TraceEvent[]> {
  const positions = new Map<string, Positions>();
  for (const hash of programsToExplain(events)) {
    const bytes = programs.get(hash);
    if (bytes !== undefined) positions.set(hash, new Positions(bytes));
  }
  const variables = new Map([...programs].map(([hash, bytes]) => [hash, readState(bytes).variables]));
  return placed(events, positions, variables);
}

/** What asc calls the end of the heap of a program that never frees. */
const HEAP_POINTER = "~lib/rt/stub/offset";
/** Ranges of private memory that are named for an item. */
const LOST_LIMIT = 16;

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

/**
 * The same where the positions of programs are known, and what lies in their state, by hash; stacks of others
 * are empty, their globals and lines have no names.
 */
export function placed(
  events: readonly RawEvent[],
  positions: ReadonlyMap<string, Positions>,
  variables: ReadonlyMap<string, readonly Variable[]>,
): readonly TraceEvent[] {
  const names = new Map<string, string>();
  const nameOf = (program: string, word: number): string => {
    const key = `${program} ${word}`;
    const known = positions.get(program);
    if (!names.has(key)) names.set(key, known === undefined ? "global" : globalOf(known.program, word));
    return names.get(key) as string;
  };
  return eachWithProgram(events).map(({ event, program }) => {
    if (!("stack" in event)) return event;
    const known = positions.get(program);
    const stack = known === undefined ? [] : framesOf(known, event.stack);
    const declared = variables.get(program) ?? [];
    const changed =
      event.changed?.map((line) => ({
        ...line,
        name: namesBetween(line.address, line.address + LINE_BYTES, declared),
      })) ?? null;
    if (event.what === "end") return { ...event, changed, stack };
    const scratch = known === undefined ? [] : scratchOf(known.program);
    const lost = lostOf(event.lost, (word) => nameOf(program, word), scratch);
    return { ...event, stack, lost, changed };
  });
}

/**
 * Globals by name, and so many ranges of memory. Left out are globals and scratch of libraries, and what the
 * item has allocated, from the end of the heap as it was on: nobody else can know of it.
 */
function lostOf(lost: readonly RawLost[], nameOf: (word: number) => string, scratch: Scratch): Lost[] {
  const named = lost.flatMap((one) => ("global" in one ? [{ ...one, name: nameOf(one.global) }] : []));
  const heapFrom = named.find(({ name }) => name === HEAP_POINTER)?.before ?? Number.POSITIVE_INFINITY;
  const ranges = lost.flatMap((one) => {
    if (!("address" in one)) return [];
    const length = Math.min(one.length, heapFrom - one.address);
    return length > 0 ? outside(scratch, { address: one.address, length }) : [];
  });
  const isTruncated = ranges.length > LOST_LIMIT || lost.some((one) => "truncated" in one);
  return [
    ...ranges.slice(0, LOST_LIMIT),
    ...named.filter(({ name }) => !name.startsWith("~")).map(({ name }) => ({ global: name })),
    ...(isTruncated ? [{ truncated: true } as const] : []),
  ];
}

/** What of a range lies in none of these. */
function outside(scratch: Scratch, { address, length }: ByteRange): ByteRange[] {
  for (const [from, bytes] of scratch) {
    const [end, to] = [address + length, from + bytes];
    if (from >= end || to <= address) continue;
    const before = { address, length: from - address };
    const after = { address: to, length: end - to };
    return [before, after].flatMap((part) => (part.length > 0 ? outside(scratch, part) : []));
  }
  return [{ address, length }];
}

/** The programs whose functions or globals occur in the events. */
function programsToExplain(events: readonly RawEvent[]): Set<string> {
  const named = eachWithProgram(events).filter(
    ({ event }) =>
      ("stack" in event && event.stack.length > 0) || (event.what === "item" && event.lost.length > 0),
  );
  return new Set(named.map(({ program }) => program));
}

/** Each event with the hash of the program that was running. */
function eachWithProgram(events: readonly RawEvent[]) {
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
  const { name, functionIndex, offset, source, callSite } = first;
  const authors = source === null || isOfLibrary(source) ? callSite : source;
  const isTold = authors !== undefined && isOfLibrary(abort);
  frames[0] = { name, functionIndex, offset, source: abort, ...(isTold ? { callSite: authors } : {}) };
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
 * The faults of a trace, or that of a view, as text: for each the process, what happened, programs and quotas
 * that it asked for in vain, and the stack with source lines.
 *
 * @example
 * ```ts
 * console.log(formatFaults(await runtime.trace()));
 * // /1 faulted: memory-bounds: an access beyond its memory of 1245184 bytes
 * //     at guest/bank/pay (guest/bank.ts:17:10)
 * ```
 */
export function formatFaults(of: Trace | readonly TraceEvent[] | View): string {
  /** Lines on unknown programs and on quotas, by process. */
  const refused = new Map<string, string[]>();
  return eventsOf(of)
    .flatMap((event) => {
      const process = `/${event.path.join("/")}`;
      if (event.what === "begin") refused.delete(process);
      const why = event.what === "put" ? formatRefusal(event) : null;
      if (why !== null) refused.set(process, [...(refused.get(process) ?? []), why]);
      if ((event.what !== "end" && event.what !== "item") || event.fault === "none") return [];
      const who = event.what === "item" ? `${process} item ${event.item}` : process;
      const fault = event.text === "" ? event.fault : `${event.fault}: ${event.text}`;
      const asked = folded(refused.get(process) ?? []);
      return [`${who} faulted: ${fault}`, ...asked, ...formatStack(event.stack)];
    })
    .join("\n");
}

/** The functions of a stack, a line each; those that follow their like are counted. */
export function formatStack(stack: readonly Frame[]): string[] {
  return folded(stack.map(formatFrame));
}

function eventsOf(of: Trace | readonly TraceEvent[] | View): readonly TraceEvent[] {
  if (Array.isArray(of)) return of;
  if (typeof of === "object" && of !== null) {
    if ("events" in of) return of.events;
    if ("stack" in of) return [{ what: "end", facts: {}, changed: [], ...of, code: String(of.code) }];
  }
  throw badArgument("of", of, "a trace, its events, or a view");
}

function formatRefusal({ child, unknownProgram, quota }: Extract<TraceEvent, { what: "put" | "get" }>) {
  if (quota !== undefined) return `    child ${child} is E_QUOTA: ${quota.text}`;
  if (unknownProgram === undefined) return null;
  return `    no program has the hash ${unknownProgram}: give its bytes in "programs"`;
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

/** Contracts put the number of a failure in the place of a column, above all columns. */
const COLUMNS_MAX = 2 ** 31;

/** "bank.ts:20:7". */
export function placeText({ file, line, column }: Place): string {
  return column < COLUMNS_MAX ? `${file}:${line}:${column}` : `${file}:${line}`;
}

function formatFrame({ name, source, callSite, offset }: Frame): string {
  const place = source === null ? `0x${offset.toString(16)}` : placeText(source);
  return `    at ${name} (${callSite === undefined ? "" : `${placeText(callSite)}, in `}${place})`;
}
