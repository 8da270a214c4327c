/**
 * The timeline of a runtime in Chrome's trace event format, which chrome://tracing and ui.perfetto.dev load.
 * A lane for each worker thread, with complete events (ph "X") that nest; arrows lead from the START of a
 * child to where another thread ran it.
 *
 *   name            category
 *   /, /3, /3/1     block, inline, remote, speculative   an activation of the process at that path
 *   wait for /3/1   wait                                 its parent joins it and somebody else has it
 *   batch of /3     batch                                a thread helps with the batch of that process
 *   item 17         item                                 an incarnation of an item, or an item of the loop
 *   validate 17     validate                             what it has read is looked at again
 *   idle            idle                                 a thread that helps has nothing to do
 *   hash            hash                                 the hashes of a new block
 *   collection      collection
 *   trace           trace                                a block runs once more for `trace`
 *   view            view                                 an entry runs for `call`
 */

import { ITEM_ENDS } from "../batch/item-log.ts";
import { FAULT_NAMES, STATUS_NAMES } from "../kernel/faults.ts";
import {
  ABANDONED,
  pathOf,
  SPAN_ACTIVATION,
  SPAN_ASSIST,
  SPAN_COLLECTION,
  SPAN_HASH,
  SPAN_IDLE,
  SPAN_ITEM,
  SPAN_LOOP,
  SPAN_START,
  SPAN_TRACE,
  SPAN_VALIDATION,
  SPAN_VIEW,
  SPAN_WAIT,
  type Span,
  spans,
} from "../worker/timeline.ts";

/** One event of Chrome's format; times in microseconds. `tid` is the worker's number. */
export interface ChromeEvent {
  readonly name: string;
  readonly cat?: string;
  /** X: complete; B: has not ended; s, f: the two ends of an arrow; M: the name of a lane. */
  readonly ph: "X" | "B" | "s" | "f" | "M";
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly id?: number;
  readonly bp?: "e";
  readonly args?: Readonly<Record<string, string | number>>;
}

/** What a trace file holds, but for `JSON.stringify`. */
export interface ChromeTrace {
  readonly displayTimeUnit: "ms";
  readonly otherData: {
    readonly note: string;
    /** Records that found no room: those of the end are missing. */
    readonly dropped: number;
  };
  readonly traceEvents: readonly ChromeEvent[];
}

const NOTE =
  "Times, lanes, and what ran inline, remotely or speculatively differ between runs; roots and gas do not.";
const PID = 1;
const OTHERS = new Map([
  [SPAN_COLLECTION, "collection"],
  [SPAN_HASH, "hash"],
  [SPAN_TRACE, "trace"],
  [SPAN_VIEW, "view"],
]);

export function chromeTrace(memory: SharedArrayBuffer): ChromeTrace {
  const table = spans(memory);
  const byRecord = new Map(table.spans.map((span) => [span.record, span]));
  const zero = table.spans.reduce((first, { beginNs }) => Math.min(first, beginNs), Number.POSITIVE_INFINITY);
  const lanes = [...new Set(table.spans.map((span) => span.lane))].sort((a, b) => a - b);
  const names = lanes.map((lane): ChromeEvent => {
    return { name: "thread_name", ph: "M", pid: PID, tid: lane, args: { name: `worker ${lane}` } };
  });
  return {
    displayTimeUnit: "ms",
    otherData: { note: NOTE, dropped: table.dropped },
    // Items are noted down when they have ended, behind what is inside of them.
    traceEvents: [...names, ...table.spans.sort(byBegin).flatMap((span) => eventsOf(span, byRecord, zero))],
  };
}

/** What contains another comes before it. */
function byBegin(a: Span, b: Span): number {
  const end = ({ ended, endNs }: Span): number => (ended ? endNs : Number.MAX_VALUE);
  return a.beginNs - b.beginNs || end(b) - end(a);
}

function eventsOf(span: Span, byRecord: ReadonlyMap<number, Span>, zero: number): ChromeEvent[] {
  if (span.kind === SPAN_START) return [];
  const parent = byRecord.get(span.parent);
  const place = { pid: PID, tid: span.lane };
  const begin = (span.beginNs - zero) / 1000;
  const time = span.ended
    ? ({ ph: "X", ts: begin, dur: (span.endNs - span.beginNs) / 1000 } as const)
    : ({ ph: "B", ts: begin } as const);
  if (span.kind === SPAN_WAIT) {
    return [{ name: `wait for ${pathText(parent, byRecord)}`, cat: "wait", ...place, ...time }];
  }
  if (span.kind === SPAN_ASSIST) {
    return [{ name: `batch of ${pathText(parent, byRecord)}`, cat: "batch", ...place, ...time }];
  }
  const ofItem = itemEvent(span);
  if (ofItem !== null) return [{ ...ofItem, ...place, ...time }];
  if (span.kind !== SPAN_ACTIVATION) {
    const helps = span.kind === SPAN_HASH && parent !== undefined;
    const name = helps ? "help to hash" : (OTHERS.get(span.kind) as string);
    return [{ name, cat: name, ...place, ...time }];
  }
  const cat = categoryOf(span, parent, byRecord);
  const event = { name: pathText(span, byRecord), cat, ...place, ...time, args: argumentsOf(span) };
  if (parent?.kind !== SPAN_START) return [event];
  const arrow = { name: "START", cat: "start", pid: PID, id: span.record };
  const from = { ...arrow, ph: "s", tid: parent.lane, ts: (parent.beginNs - zero) / 1000 } as const;
  return [from, event, { ...arrow, ph: "f", bp: "e", tid: span.lane, ts: begin }];
}

/** An event about an item of a batch; null: it is not about one. */
function itemEvent({ kind, child: item, status: incarnation, fault, gasUsed }: Span) {
  switch (kind) {
    case SPAN_ITEM:
      return { name: `item ${item}`, cat: "item", args: { incarnation, ended: ITEM_ENDS[fault] as string } };
    case SPAN_LOOP:
      return { name: `item ${item}`, cat: "item", args: { gasUsed, fault: FAULT_NAMES[fault] as string } };
    case SPAN_VALIDATION:
      return { name: `validate ${item}`, cat: "validate", args: { incarnation, valid: String(fault === 0) } };
    case SPAN_IDLE:
      return { name: "idle", cat: "idle" };
    default:
      return null;
  }
}

/** Speculative is what another thread ran on when the parent's activation had already ended. */
function categoryOf(span: Span, parent: Span | undefined, byRecord: ReadonlyMap<number, Span>): string {
  if (parent === undefined) return "block";
  if (parent.kind === SPAN_ACTIVATION) return "inline";
  const caller = byRecord.get(parent.parent);
  const end = span.ended ? span.endNs : Number.POSITIVE_INFINITY;
  return caller?.ended && caller.endNs < end ? "speculative" : "remote";
}

function argumentsOf({ program, gas, gasUsed, status, fault, ended }: Span): Record<string, string | number> {
  if (!ended) return { program, gas };
  if (status === ABANDONED) return { program, gas, status: "abandoned" };
  const names = { status: STATUS_NAMES[status] as string, fault: FAULT_NAMES[fault] as string };
  return { program, gas, gasUsed, ...names };
}

function pathText(span: Span | undefined, byRecord: ReadonlyMap<number, Span>): string {
  return `/${pathOf(span, byRecord).join("/")}`;
}
