/** Spans of a recording, of what the threads have noted down while a block ran. */

import { ITEM_ENDS } from "../batch/item-log.ts";
import { FAULT_NAMES, STATUS_NAMES } from "../kernel/faults.ts";
import {
  ABANDONED,
  NO_RECORD,
  pathOf,
  SPAN_ACTIVATION,
  SPAN_ASSIST,
  SPAN_COLLECTION,
  SPAN_HASH,
  SPAN_IDLE,
  SPAN_ITEM,
  SPAN_LOOP,
  SPAN_TRACE,
  SPAN_VALIDATION,
  SPAN_WAIT,
  type Span,
} from "../worker/timeline.ts";
import type { ItemEnd, SpanPart, SpanRecord } from "./shapes.ts";

interface Records {
  readonly spans: readonly SpanRecord[];
  /** The activation of each batch, a span; -1: it is not there. */
  readonly batchSpans: readonly number[];
}

const NOT_THERE = -1;

/** Those of the block that ran as number `run` and began at `beginNs`; its batches are of `activations`. */
export function spanRecords(
  all: readonly Span[],
  run: number,
  activations: readonly (number | null)[],
  beginNs: number,
): Records {
  const own = all.filter(({ run: of, kind }) => of === run || kind === SPAN_COLLECTION);
  const byRecord = new Map(own.map((span) => [span.record, span]));
  const shown = own.filter(({ kind }) => SHOWN.has(kind));
  const places = new Map(shown.map(({ record }, i) => [record, i]));
  const batchOf = batchFinder(activations, byRecord);
  const spans = shown.map((span): SpanRecord => {
    const times = {
      thread: span.lane,
      parent: places.get(shownAround(span, byRecord)) ?? NOT_THERE,
      begin: micros(span.beginNs - beginNs),
      end: span.ended ? micros(span.endNs - beginNs) : null,
    };
    return { ...times, ...partOf(span, byRecord, batchOf) };
  });
  const batchSpans = activations.map((record) => places.get(record ?? NO_RECORD) ?? NOT_THERE);
  return { spans, batchSpans };
}

const SHOWN: ReadonlySet<number> = new Set([
  ...[SPAN_ACTIVATION, SPAN_ITEM, SPAN_VALIDATION, SPAN_LOOP, SPAN_IDLE],
  ...[SPAN_WAIT, SPAN_ASSIST, SPAN_HASH, SPAN_COLLECTION, SPAN_TRACE],
]);

function partOf(span: Span, byRecord: ReadonlyMap<number, Span>, batchOf: (span: Span) => number): SpanPart {
  const { child: item, status, fault, gasUsed } = span;
  switch (span.kind) {
    case SPAN_ITEM:
      return {
        what: "item",
        batch: batchOf(span),
        item,
        incarnation: status,
        ended: ITEM_ENDS[fault] as ItemEnd,
      };
    case SPAN_VALIDATION:
      return { what: "validation", batch: batchOf(span), item, incarnation: status, valid: fault === 0 };
    case SPAN_LOOP:
      return { what: "loop", batch: batchOf(span), item, fault: FAULT_NAMES[fault] as string, gasUsed };
    case SPAN_IDLE:
      return { what: "idle", batch: batchOf(span) };
    case SPAN_ASSIST:
      return { what: "help", batch: batchOf(span) };
    case SPAN_WAIT:
      return { what: "wait", path: pathOf(byRecord.get(span.parent), byRecord) };
    case SPAN_HASH:
      return { what: "hash" };
    case SPAN_COLLECTION:
      return { what: "collection" };
    case SPAN_TRACE:
      return { what: "trace" };
    default:
      return activation(span, byRecord);
  }
}

function activation(span: Span, byRecord: ReadonlyMap<number, Span>): SpanPart {
  const { program, gas, gasUsed, status, fault, ended } = span;
  const isDone = ended && status !== ABANDONED;
  return {
    what: "activation",
    path: pathOf(span, byRecord),
    program,
    gas,
    gasUsed,
    status: isDone ? (STATUS_NAMES[status] as string) : ended ? "abandoned" : "running",
    fault: isDone ? (FAULT_NAMES[fault] as string) : "none",
  };
}

/** The nearest span around or before it that is shown, by its record. */
function shownAround({ parent }: Span, byRecord: ReadonlyMap<number, Span>): number {
  for (let at = byRecord.get(parent); at !== undefined; at = byRecord.get(at.parent))
    if (SHOWN.has(at.kind)) return at.record;
  return NO_RECORD;
}

/** Finds the batch that a span belongs to, by the activation around it. */
function batchFinder(
  activations: readonly (number | null)[],
  byRecord: ReadonlyMap<number, Span>,
): (span: Span) => number {
  const byActivation = new Map(activations.map((record, i) => [record ?? NO_RECORD, i]));
  return ({ parent }) => {
    const around = byRecord.get(parent);
    const leading = around?.kind === SPAN_ASSIST ? around.parent : parent;
    return byActivation.get(leading) ?? NOT_THERE;
  };
}

function micros(nanoseconds: number): number {
  return Math.round(nanoseconds) / 1000;
}
