/**
 * A batch: what each thread did and when, which items waited for which, and the places over which they met.
 * From the recording of the block, or from executing it again; the answer says which.
 */

import { UsageError } from "../../errors.ts";
import type { Block } from "../../index.ts";
import type { AccessRecord, BlockRecording } from "../../record/shapes.ts";
import { LINE_BYTES } from "../../units.ts";
import { type Bar, type Batch, barsOf, batchOf, type Done, type Meeting } from "../batches.ts";
import type { Query } from "../query.ts";
import type { Source } from "../source.ts";
import { blockDataOf, told, transactionsOf } from "../transactions.ts";
import { argumentsText, clipped } from "./text.ts";

const BATCHES = 40;
const BARS = 300;
const THREADS = 32;
const PLACES = 24;
const CHAIN = 60;
const NODES = 100;
const EDGES = 300;
const DEPTHS = 64;
const ITEMS = 40;
const CALL_MAX = 400;

/** A batch in a list. */
export interface BatchRow {
  readonly number: number;
  readonly process: readonly number[];
  readonly entry: string;
  readonly items: number;
  readonly parallel: number;
  readonly sequential: number;
  readonly aborts: number;
  readonly givenUp: number;
  readonly milliseconds: number;
}

/** A line of state that several items touched. */
export interface PlaceRow {
  readonly line: number;
  readonly address: number;
  readonly name: string | null;
  readonly items: number;
  readonly writers: number;
  /** Items that read there what another item had left. */
  readonly waited: number;
}

export interface Lane {
  readonly thread: number;
  readonly bars: readonly Bar[];
  /** Shares of its time in the range: items that counted, those that did not, nothing to do. */
  readonly busy: number;
  readonly lost: number;
  readonly idle: number;
}

export interface BatchView {
  readonly block: string;
  readonly height: number;
  /** As it ran when the block was made, or as it ran again for this. */
  readonly source: "recorded" | "again";
  readonly time: number;
  readonly milliseconds: number;
  readonly spansLost: number;
  readonly batches: readonly BatchRow[];
  readonly moreBatches: number;
  /** Null: the block has no batch. */
  readonly batch: BatchDetail | null;
}

export interface BatchDetail {
  readonly row: BatchRow;
  readonly endings: readonly string[];
  readonly executions: number;
  readonly validations: number;
  readonly expired: number;
  readonly waits: number;
  /** Microseconds since the block began. */
  readonly range: readonly [from: number, to: number];
  /** The whole of the batch. */
  readonly whole: readonly [from: number, to: number];
  readonly lanes: readonly Lane[];
  readonly moreLanes: number;
  readonly places: readonly PlaceRow[];
  readonly accessesCut: boolean;
  readonly graph: Graph;
}

/** Which items read what others left. */
export interface Graph {
  readonly edges: number;
  /** Items that read from another one. */
  readonly dependent: number;
  readonly critical: {
    readonly items: readonly {
      readonly item: number;
      readonly micros: number;
      readonly over: string | null;
    }[];
    readonly count: number;
    readonly micros: number;
    readonly totalMicros: number;
  };
  /** How many items have chains of 1, 2, … items behind them; the last cell has all that are longer. */
  readonly depths: readonly number[];
  /** Those of the chain, then those with most edges. */
  readonly nodes: readonly { readonly item: number; readonly depth: number; readonly isCritical: boolean }[];
  readonly links: readonly (readonly [item: number, lower: number])[];
}

/** The recording of the block, unless it is to be executed again; where there is none, it is. */
export async function recordingFor(
  source: Source,
  block: Block,
  again: boolean,
  signal: AbortSignal | null,
): Promise<BlockRecording> {
  const recorded = again ? null : await source.recorded(block);
  return recorded ?? source.records.of(block, signal);
}

export async function batchView(
  source: Source,
  query: Query,
  signal: AbortSignal | null = null,
): Promise<BatchView> {
  const block = source.block(query.id());
  const recording = await recordingFor(source, block, query.flag("again"), signal);
  const number = query.integer("batch", mostMet(recording), 0, 1 << 20);
  const batch = batchOf(recording, number);
  if (batch === null && number > 0)
    throw new UsageError(
      "BAD_ARGUMENT",
      `the block has no batch ${number}: it has ${recording.batches.length}`,
    );
  const rows = recording.batches.map((_, i) => rowOf(recording, i));
  return {
    ...{ block: block.id, height: block.height, source: recording.source, time: recording.time },
    ...{ milliseconds: recording.milliseconds, spansLost: recording.spansLost },
    batches: rows.slice(0, BATCHES),
    moreBatches: Math.max(0, rows.length - BATCHES),
    batch:
      batch === null ? null : detailOf(batch, namerOf(source, block, batch), rowOf(recording, number), query),
  };
}

/** The batch whose items met most, or else the largest. */
function mostMet({ batches }: BlockRecording): number {
  const met = batches.map(({ places, report }, i) => [places.length, report.items, i] as const);
  met.sort((a, b) => b[0] - a[0] || b[1] - a[1] || a[2] - b[2]);
  return met[0]?.[2] ?? 0;
}

function rowOf({ batches }: BlockRecording, number: number): BatchRow {
  const { report } = batches[number] as BlockRecording["batches"][number];
  const { process, entry, items, parallel, sequential, aborts, givenUp, milliseconds } = report;
  return { number, process, entry, items, parallel, sequential, aborts, givenUp, milliseconds };
}

function detailOf(batch: Batch, nameOf: Namer, row: BatchRow, query: Query): BatchDetail {
  const { record, done } = batch;
  const { endings, executions, validations, expired, waits } = record.report;
  const own = done.filter(({ item }) => item !== null);
  const whole = [
    Math.floor(own.reduce((least, { begin }) => Math.min(least, begin), Number.POSITIVE_INFINITY)),
    Math.ceil(own.reduce((most, { end }) => Math.max(most, end), 0)),
  ] as const;
  const [first, last] = own.length === 0 ? [0, 1] : whole;
  const from = query.integer("from", first, 0, 2 ** 48);
  const to = query.integer("to", Math.max(last, from + 1), from + 1, 2 ** 48);
  const threads = [...new Set(own.map(({ thread }) => thread))].sort((a, b) => a - b);
  const shown = threads.slice(0, THREADS);
  const lanes = shown.map((thread) => laneOf(thread, done, from, to, Math.floor(BARS / shown.length)));
  return {
    ...{ row, endings: [...new Set(endings)], executions, validations, expired, waits, lanes },
    range: [from, to],
    whole: [first, Math.max(last, first + 1)],
    moreLanes: threads.length - shown.length,
    places: placesOf(batch, nameOf).slice(0, PLACES),
    accessesCut: record.accessesCut,
    graph: graphOf(batch, nameOf),
  };
}

function laneOf(thread: number, all: readonly Done[], from: number, to: number, most: number): Lane {
  const done = all.filter((each) => each.thread === thread);
  const share = (...kinds: Done["kind"][]): number => {
    const inside = done.filter(({ kind }) => kinds.includes(kind));
    const micros = inside.reduce(
      (sum, { begin, end }) => sum + Math.max(0, Math.min(to, end) - Math.max(from, begin)),
      0,
    );
    return micros / (to - from);
  };
  return {
    thread,
    bars: barsOf(done, from, to, most),
    busy: share("item", "loop", "validation"),
    lost: share("aborted", "gave-up", "expired"),
    idle: share("idle", "wait"),
  };
}

/** What lies in a line; null: nothing says so. */
type Namer = (line: number) => string | null;

/** By keys and fields where the program tells them, as of the block's end; else as it was recorded. */
function namerOf(source: Source, block: Block, { record }: Batch): Namer {
  const recorded = new Map(record.places.map(({ line, name }) => [line, name]));
  const names = source.programs.namesOf(record.report.process, block);
  return (line) => {
    const own = names?.areTyped ? names.at(line * LINE_BYTES, LINE_BYTES) : null;
    return clipped(own ?? recorded.get(line) ?? null);
  };
}

/** Lines that several items touched, those first on which most items waited for others. */
function placesOf({ record }: Batch, nameOf: Namer): PlaceRow[] {
  const met = new Set(record.places.map(({ line }) => line));
  const byLine = new Map<number, { items: Set<number>; writers: Set<number>; waited: number }>();
  for (const { item, line, from, wrote } of record.accesses) {
    if (!met.has(line)) continue;
    const known = byLine.get(line) ?? { items: new Set(), writers: new Set(), waited: 0 };
    byLine.set(line, known);
    known.items.add(item);
    if (wrote) known.writers.add(item);
    if (from !== null && from >= 0) known.waited++;
  }
  const rows = [...byLine].map(([line, { items, writers, waited }]) => ({
    ...{ line, address: line * LINE_BYTES, name: nameOf(line) },
    ...{ items: items.size, writers: writers.size, waited },
  }));
  return rows.sort((a, b) => b.waited - a.waited || b.items - a.items || a.line - b.line);
}

function graphOf(batch: Batch, nameOf: Namer): Graph {
  const { edges, critical, micros } = batch;
  const over = linesBetween(batch, nameOf);
  const degree = new Map<number, number>();
  for (const each of edges.flat()) degree.set(each, (degree.get(each) ?? 0) + 1);
  const onChain = new Set(critical.items);
  const others = [...degree.keys()].filter((item) => !onChain.has(item));
  others.sort((a, b) => (degree.get(b) ?? 0) - (degree.get(a) ?? 0) || a - b);
  const chain = critical.items.length > 1 ? critical.items.slice(-CHAIN) : [];
  const chosen = [...chain, ...others].slice(0, NODES).sort((a, b) => a - b);
  const isChosen = new Set(chosen);
  const links = edges.filter(([item, lower]) => isChosen.has(item) && isChosen.has(lower));
  // Of many edges those of the chain are kept.
  links.sort(
    (a, b) => Number(onChain.has(b[0]) && onChain.has(b[1])) - Number(onChain.has(a[0]) && onChain.has(a[1])),
  );
  const depths: number[] = [];
  for (const depth of critical.depths.values()) {
    const cell = Math.min(DEPTHS, depth) - 1;
    while (depths.length <= cell) depths.push(0);
    depths[cell] = (depths[cell] as number) + 1;
  }
  return {
    edges: edges.length,
    dependent: new Set(edges.map(([item]) => item)).size,
    critical: {
      items: chain.map((item, i) => ({
        item,
        micros: micros.get(item) ?? 0,
        over: i === 0 ? null : (over(item, chain[i - 1] as number) ?? null),
      })),
      count: critical.items.length,
      micros: critical.micros,
      totalMicros: critical.totalMicros,
    },
    depths,
    nodes: chosen.map((item) => ({
      item,
      depth: critical.depths.get(item) ?? 1,
      isCritical: onChain.has(item) && chain.length > 0,
    })),
    links: links.slice(0, EDGES),
  };
}

/** Over what an item read from another. */
function linesBetween({ record }: Batch, nameOf: Namer): (item: number, lower: number) => string | undefined {
  const found = new Map<string, string>();
  for (const { item, line, from } of record.accesses) {
    if (from === null || from < 0) continue;
    const key = `${item} ${from}`;
    if (!found.has(key)) found.set(key, nameOf(line) ?? addressOf(line));
  }
  return (item, lower) => found.get(`${item} ${lower}`);
}

function addressOf(line: number): string {
  return `0x${(line * LINE_BYTES).toString(16)}`;
}

/** An item that touched a place, or that another one waited for. */
export interface Touch {
  readonly item: number;
  readonly line: number;
  readonly name: string | null;
  /** The item whose bytes it read; -1: as before the batch; -2: a sum; null: it only wrote. */
  readonly from: number | null;
  readonly wrote: boolean;
}

export interface PlaceView {
  readonly row: PlaceRow | null;
  readonly touches: readonly Touch[];
  readonly count: number;
}

/** Who touched a line, in the order of items. */
export async function placeView(
  source: Source,
  query: Query,
  signal: AbortSignal | null = null,
): Promise<PlaceView> {
  const { batch, nameOf } = await found(source, query, signal);
  const line = query.integer("line", 0, 0, 2 ** 32);
  const all = batch.record.accesses.filter((access) => access.line === line);
  const sorted = all.toSorted((a, b) => a.item - b.item);
  const row = placesOf(batch, nameOf).find((each) => each.line === line) ?? null;
  return { row, count: all.length, touches: sorted.slice(0, ITEMS).map((each) => touchOf(nameOf, each)) };
}

function touchOf(nameOf: Namer, { item, line, from, wrote }: AccessRecord): Touch {
  return { item, line, name: nameOf(line), from, wrote };
}

export interface ItemView {
  readonly item: number;
  /** "Bank.pay(to: …)" of an App; of another the row of the block's data, or null. */
  readonly call: string | null;
  readonly from: string | null;
  readonly done: readonly Done[];
  /** Lines that others touched as well, those first that it read from another item. */
  readonly touches: readonly Touch[];
  readonly waitedFor: readonly number[];
  readonly waitedBy: readonly number[];
}

export async function itemView(
  source: Source,
  query: Query,
  signal: AbortSignal | null = null,
): Promise<ItemView> {
  const { batch, block, nameOf } = await found(source, query, signal);
  const item = query.integer("item", 0, 0, 2 ** 32);
  const names = new Set(batch.record.places.map(({ line }) => line));
  const own = batch.record.accesses.filter((access) => access.item === item && names.has(access.line));
  const sorted = own.toSorted(
    (a, b) => Number((b.from ?? -1) >= 0) - Number((a.from ?? -1) >= 0) || a.line - b.line,
  );
  const of = (edges: readonly (readonly [number, number])[], side: 0 | 1): number[] =>
    edges.filter((edge) => edge[1 - side] === item).map((edge) => edge[side]);
  const ran = batch.record.report.process.join() === "1" ? transactionAt(source, block, item) : null;
  const call = ran === null ? null : `${ran.call}(${ran.args === null ? "…" : argumentsText(ran.args)})`;
  return {
    item,
    call: call ?? rowAt(source, block, item, batch.record.report.items),
    from: ran?.from ?? null,
    done: batch.done.filter((each) => each.item === item).slice(0, ITEMS),
    touches: sorted.slice(0, ITEMS).map((access) => touchOf(nameOf, access)),
    waitedFor: of(batch.edges, 1).slice(0, ITEMS),
    waitedBy: of(batch.edges, 0).slice(0, ITEMS),
  };
}

/** Items of the app's process are the transactions that were let in, in their order. */
function transactionAt(source: Source, block: Block, item: number) {
  const ran = transactionsOf(source, block);
  if (ran === null) return null;
  const numbers = ran.results.flatMap((result, i) => (isLetIn(result) ? [i] : []));
  const number = numbers[item];
  return number === undefined ? null : told(ran, number);
}

/** The row of the block's data that is this item's, if there is one for each item. */
function rowAt(source: Source, block: Block, item: number, items: number): string | null {
  const data = blockDataOf(source, block);
  if (data === null || data.rowCount !== items) return null;
  const row = data.row(item);
  const fields = data.columns.map((column, i) => `${column}: ${row[i]}`);
  return clipped(`${data.rowName} ${item}: ${fields.join(", ")}`, CALL_MAX);
}

function isLetIn(result: { readonly refusal?: string } | null): boolean {
  return result === null || result.refusal === undefined || result.refusal === "refused";
}

async function found(
  source: Source,
  query: Query,
  signal: AbortSignal | null,
): Promise<{ batch: Batch; block: Block; nameOf: Namer }> {
  const block = source.block(query.id());
  const recording = await recordingFor(source, block, query.flag("again"), signal);
  const number = query.integer("batch", mostMet(recording), 0, 1 << 20);
  const batch = batchOf(recording, number);
  if (batch !== null) return { batch, block, nameOf: namerOf(source, block, batch) };
  throw new UsageError(
    "BAD_ARGUMENT",
    `the block has no batch ${number}: it has ${recording.batches.length}`,
  );
}

export interface MeetingsView {
  /** Of those that were recorded, or were executed again before. */
  readonly meetings: readonly Meeting[];
  /** Ids of those of which nothing is known. */
  readonly unknown: readonly string[];
}

const ROWS = 40;

/** What is known of the blocks from a height downwards, as the list of the chain has them. */
export async function meetingsView(source: Source, query: Query): Promise<MeetingsView> {
  const at = query.integer("at", source.index.blocks[0]?.height ?? 0, 0, Number.MAX_SAFE_INTEGER);
  const meetings: Meeting[] = [];
  const unknown: string[] = [];
  for (const { id } of source.index.below(at, ROWS)) {
    const known = source.meetings.get(id) ?? (await recordedMeeting(source, id));
    if (known === null) unknown.push(id);
    else meetings.push(known);
  }
  return { meetings, unknown };
}

async function recordedMeeting(source: Source, id: string): Promise<Meeting | null> {
  const recording = await source.recorded({ id });
  return recording === null || !isTold(recording) ? null : remembered(source, id, recording);
}

/** Whether it says what items read: those that ran in the loop, one after the other, do not. */
function isTold({ batches }: BlockRecording): boolean {
  return batches.every(({ report }) => report.sequential === 0);
}

/** Executes one block again for that, unless its recording says it. */
export async function meetingView(
  source: Source,
  query: Query,
  signal: AbortSignal | null = null,
): Promise<Meeting> {
  const block = source.block(query.id());
  const known = source.meetings.get(block.id) ?? (await recordedMeeting(source, block.id));
  return known ?? remembered(source, block.id, await source.records.of(block, signal));
}

function remembered(source: Source, id: string, recording: BlockRecording): Meeting {
  const batches = recording.batches.map((_, i) => batchOf(recording, i) as Batch);
  const sum = (of: (batch: Batch) => number): number =>
    batches.reduce((total, batch) => total + of(batch), 0);
  const meeting: Meeting = {
    id,
    source: recording.source,
    items: sum(({ record }) => record.report.items),
    dependent: sum(({ edges }) => new Set(edges.map(([item]) => item)).size),
    aborts: sum(({ record }) => record.report.aborts + record.report.givenUp),
    chain: batches.reduce((most, { critical }) => Math.max(most, ...critical.depths.values()), 0),
  };
  source.meetings.set(id, meeting);
  return meeting;
}
