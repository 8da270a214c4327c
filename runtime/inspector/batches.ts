/**
 * What a recording tells of a batch: how long its items ran, which of them waited for which, and the critical
 * path, the chain that takes longest of items of which each read what the one before had left. No number of
 * threads could run a batch faster than that.
 */

import type { BatchRecord, BlockRecording, SpanRecord } from "../record/shapes.ts";

/** Something that a thread did for a batch: a span, and what became of it. */
export interface Done {
  readonly thread: number;
  readonly begin: number;
  readonly end: number;
  readonly kind: Kind;
  /** Null of what is of no item. */
  readonly item: number | null;
  readonly incarnation: number | null;
}

/**
 * "item": an incarnation whose outcome counted. "aborted": what it had read was found changed. "gave-up": it
 * met what was about to change. "expired": its lease had ended. "loop": an item, one after the other.
 */
export type Kind =
  | "item"
  | "aborted"
  | "gave-up"
  | "expired"
  | "loop"
  | "validation"
  | "idle"
  | "wait"
  | "other";

/** An item reads what a lower one has left. */
export type Edge = readonly [item: number, lower: number];

export interface Batch {
  readonly record: BatchRecord;
  readonly number: number;
  /** By thread and time. */
  readonly done: readonly Done[];
  /** Microseconds of each item's incarnation that counted; 0: not known. */
  readonly micros: ReadonlyMap<number, number>;
  readonly edges: readonly Edge[];
  readonly critical: Critical;
}

/** The chain of items that takes longest. */
export interface Critical {
  /** From the first to the last. */
  readonly items: readonly number[];
  readonly micros: number;
  /** Time of all items together. */
  readonly totalMicros: number;
  /** For each item how many items are on the longest chain that ends with it, itself included. */
  readonly depths: ReadonlyMap<number, number>;
}

/** A batch of a recording, by its place there. */
export function batchOf(recording: BlockRecording, number: number): Batch | null {
  const record = recording.batches[number];
  if (record === undefined) return null;
  const done = doneIn(recording, number);
  const micros = new Map<number, number>();
  for (const { item, kind, begin, end } of done) {
    if (item !== null && (kind === "item" || kind === "loop")) micros.set(item, end - begin);
  }
  const edges = edgesOf(record);
  return { record, number, done, micros, edges, critical: criticalOf(micros, edges, record.report.items) };
}

/** What threads did for the batch, and what kept them from it. */
function doneIn({ spans }: BlockRecording, number: number): Done[] {
  const key = (item: number, incarnation: number): string => `${item} ${incarnation}`;
  const aborted = new Set<string>();
  for (const span of spans) {
    if (span.what === "validation" && span.batch === number && !span.valid)
      aborted.add(key(span.item, span.incarnation));
  }
  const done = spans.flatMap((span): Done[] => {
    const kind = kindOf(span, number, (item, incarnation) => aborted.has(key(item, incarnation)));
    if (kind === null || span.end === null) return [];
    const item = "item" in span ? span.item : null;
    const incarnation = "incarnation" in span ? span.incarnation : null;
    return [{ thread: span.thread, begin: span.begin, end: span.end, kind, item, incarnation }];
  });
  return done.sort((a, b) => a.thread - b.thread || a.begin - b.begin);
}

/** Null: it is not of this batch, or others lie within it. */
function kindOf(
  span: SpanRecord,
  number: number,
  isAborted: (item: number, incarnation: number) => boolean,
): Kind | null {
  switch (span.what) {
    case "item":
      if (span.batch !== number) return null;
      if (span.ended !== "finished") return span.ended;
      return isAborted(span.item, span.incarnation) ? "aborted" : "item";
    case "loop":
    case "validation":
    case "idle":
      return span.batch === number ? span.what : null;
    case "wait":
    case "hash":
    case "collection":
      return span.what === "wait" ? "wait" : "other";
    default:
      return null;
  }
}

/** From accesses, which are of all windows; or from the report, where there are none. */
function edgesOf({ accesses, report }: BatchRecord): Edge[] {
  const known = new Set<string>();
  const edges: Edge[] = [];
  const add = (item: number, lower: number): void => {
    const key = `${item} ${lower}`;
    if (lower < 0 || lower >= item || known.has(key)) return;
    known.add(key);
    edges.push([item, lower]);
  };
  for (const { item, from } of accesses) if (from !== null) add(item, from);
  for (const [item, lower] of report.dependencies ?? []) add(item, lower);
  return edges.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

/** Items only read from lower ones: one pass in their order. */
function criticalOf(micros: ReadonlyMap<number, number>, edges: readonly Edge[], items: number): Critical {
  const lowers = new Map<number, number[]>();
  for (const [item, lower] of edges) {
    const known = lowers.get(item);
    if (known === undefined) lowers.set(item, [lower]);
    else known.push(lower);
  }
  const best = new Map<number, { readonly sum: number; readonly before: number | null }>();
  const depths = new Map<number, number>();
  let last: number | null = null;
  let totalMicros = 0;
  for (let item = 0; item < items; item++) {
    const own = micros.get(item) ?? 0;
    totalMicros += own;
    let [sum, before, depth] = [own, null as number | null, 1];
    for (const lower of lowers.get(item) ?? []) {
      const through = own + (best.get(lower)?.sum ?? 0);
      if (through >= sum) [sum, before] = [through, lower];
      depth = Math.max(depth, 1 + (depths.get(lower) ?? 0));
    }
    best.set(item, { sum, before });
    depths.set(item, depth);
    if (last === null || sum > (best.get(last)?.sum ?? 0)) last = item;
  }
  const chain: number[] = [];
  for (let item = last; item !== null; item = best.get(item)?.before ?? null) chain.push(item);
  return {
    items: chain.reverse(),
    micros: last === null ? 0 : (best.get(last)?.sum ?? 0),
    totalMicros,
    depths,
  };
}

/** A stretch of a lane: one span, or many that are too short to be seen. */
export interface Bar {
  readonly begin: number;
  readonly end: number;
  readonly kind: Kind;
  /** How many spans it stands for, and how many of them came to nothing. */
  readonly count: number;
  readonly lost: number;
  /** Of one span. */
  readonly item: number | null;
  readonly incarnation: number | null;
}

const LOST: ReadonlySet<Kind> = new Set(["aborted", "gave-up", "expired"]);
/** Of several in one bar the kind that is shown: what came to nothing before what did not. */
const RANK: readonly Kind[] = [
  "aborted",
  "gave-up",
  "expired",
  "item",
  "loop",
  "validation",
  "wait",
  "other",
  "idle",
];

/** What one thread did from `from` to `to`, in at most `most` bars or so. */
export function barsOf(done: readonly Done[], from: number, to: number, most: number): Bar[] {
  const width = (to - from) / most;
  const bars: Bar[] = [];
  let open: { begin: number; end: number; of: Done[] } | null = null;
  const close = (): void => {
    if (open !== null) bars.push(barOf(open.begin, open.end, open.of));
    open = null;
  };
  for (const each of done) {
    if (each.end < from || each.begin > to) continue;
    const [begin, end] = [Math.max(from, each.begin), Math.min(to, each.end)];
    if (end - begin >= width) {
      close();
      bars.push(barOf(begin, end, [each]));
      continue;
    }
    if (open !== null && (begin - open.end > width || end - open.begin > width)) close();
    open ??= { begin, end, of: [] };
    open.end = end;
    open.of.push(each);
  }
  close();
  return bars;
}

function barOf(begin: number, end: number, of: readonly Done[]): Bar {
  const kinds = new Set(of.map(({ kind }) => kind));
  const kind = RANK.find((each) => kinds.has(each)) ?? "other";
  const lost = of.filter((each) => LOST.has(each.kind)).length;
  const single = of.length === 1 ? of[0] : undefined;
  const { item = null, incarnation = null } = single ?? {};
  return { begin, end, kind, count: of.length, lost, item, incarnation };
}

/** How much the items of a block met. */
export interface Meeting {
  readonly id: string;
  readonly source: "recorded" | "again";
  readonly items: number;
  /** Items that read what another one had left. */
  readonly dependent: number;
  readonly aborts: number;
  /** Items on the longest chain. */
  readonly chain: number;
}
