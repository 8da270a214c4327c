/** stillpoint inspect DIR recording: how blocks ran, as it was recorded, or of one that runs once more. */

import {
  type BatchRecord,
  type BlockRecording,
  type RecordingEntry,
  readRecording,
  recordBlock,
} from "../../debug.ts";
import { UsageError } from "../../errors.ts";
import { openReader } from "../../store.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import { counted, EXIT_OK, formatTable, grouped, print, toJson, withProgress } from "../terminal.ts";
import { blockNamed, pathText } from "./naming.ts";

export const recording: Handler<Spec<"inspect recording">> = async ({ args, options, json }) => {
  const recordings = await readRecording(args.DIR);
  if (args.BLOCK === undefined) {
    const entries = recordings.entries();
    if (json)
      for (const { height, id, parent, time, bytes } of entries)
        print(toJson({ height, id, parent, time, bytes }));
    else print(entries.length === 0 ? NOTHING : tableOf(entries));
    return EXIT_OK;
  }
  const found = options.failed
    ? recordings.read(failedOf(recordings.entries(), args.BLOCK))
    : ((options.again ? null : recordings.read(nameOf(args.BLOCK))) ??
      (await again(args.DIR, args.BLOCK, options)));
  if (json) print(toJson(found));
  else describe(found as BlockRecording);
  return EXIT_OK;
};

const NOTHING = 'nothing was recorded: open the runtime with the option "record"';

/** A height, or an id. */
function nameOf(text: string): number | string {
  return /^\d{1,15}$/.test(text) ? Number(text) : text;
}

async function again(
  store: string,
  text: string,
  { workers }: { readonly workers: number | undefined },
): Promise<BlockRecording> {
  await using reader = await openReader(store);
  const { id } = blockNamed(reader, text);
  return withProgress("running the block again", () =>
    recordBlock(store, id, workers === undefined ? {} : { workers }),
  );
}

/**
 * The latest attempt that failed, at that height if one is given.
 *
 * @throws UsageError NOT_RETAINED
 */
export function failedOf(entries: readonly RecordingEntry[], text: string | undefined): RecordingEntry {
  const isAt = (height: number): boolean => text === undefined || height === Number(text);
  const found = entries.findLast(({ id, height }) => id === null && isAt(height));
  if (found !== undefined) return found;
  if (text === undefined) throw new UsageError("NOT_RETAINED", "no attempt that failed was recorded");
  throw new UsageError("NOT_RETAINED", `no attempt at block ${text} that failed was recorded`, {
    block: text,
  });
}

function tableOf(entries: readonly RecordingEntry[]): string {
  const rows = entries.map(({ height, id, time, bytes }) => [
    grouped(height),
    id ?? "failed",
    new Date(time).toISOString(),
    grouped(bytes),
  ]);
  return formatTable(["height", "id", "began", "bytes"], rows, ["id", "began"]);
}

function describe(recording: BlockRecording): void {
  const { source, height, id, time, milliseconds, gasUsed, gasLimit, failure, spansLost } = recording;
  const how = source === "again" ? "run once more for this" : `recorded ${new Date(time).toISOString()}`;
  print(`block ${grouped(height)} ${id ?? "failed"}, ${how}`);
  if (failure !== null) print(`${failure.code}: ${failure.text}`);
  const gas = gasUsed === null ? "" : `${grouped(gasUsed)} of `;
  print(`${milliseconds.toFixed(1)} ms, ${gas}${grouped(gasLimit)} gas`);
  for (const [i, batch] of recording.batches.entries()) describeBatch(recording, batch, i);
  print(threadsOf(recording));
  if (spansLost > 0) print(`${counted(spansLost, "span")} of the block's begin are missing`);
}

function describeBatch({ spans }: BlockRecording, { report, places }: BatchRecord, batch: number): void {
  const { process, entry, items, parallel, sequential, executions, aborts, givenUp, contended } = report;
  const ran = `${grouped(parallel)} in parallel, ${grouped(sequential)} in the loop`;
  print(`\nbatch of ${pathText(process)}: ${counted(items, "item")} of ${entry}, ${ran}`);
  if (parallel > 0)
    print(`  ${counted(executions, "execution")}: ${grouped(aborts)} aborted, ${grouped(givenUp)} gave up`);
  for (const place of contended) {
    const line = "address" in place ? (place.name ?? `address ${place.address}`) : place.kind;
    print(`  met over ${line} of ${pathText(place.process)}: ${grouped(place.count)} times`);
  }
  const shared = places.length;
  if (shared > 0) print(`  ${counted(shared, "line")} touched by several items`);
  const chain = longestChain(report.dependencies ?? []);
  if (chain > 1) print(`  the longest chain of items that read from each other: ${grouped(chain)}`);
  const longest = spans
    .flatMap((span) => ("item" in span && span.batch === batch && span.what !== "validation" ? [span] : []))
    .sort((a, b) => lengthOf(b) - lengthOf(a))[0];
  if (longest !== undefined) print(`  the longest item: ${longest.item}, ${lengthOf(longest).toFixed(1)} µs`);
}

/** Items of the longest path through pairs (item, lower item that it read from). */
function longestChain(pairs: readonly (readonly [item: number, lower: number])[]): number {
  const lengths = new Map<number, number>();
  for (const [item, lower] of [...pairs].sort((a, b) => a[0] - b[0]))
    lengths.set(item, Math.max(lengths.get(item) ?? 1, (lengths.get(lower) ?? 1) + 1));
  return Math.max(0, ...lengths.values());
}

/** What each thread did for the block. */
function threadsOf({ spans }: BlockRecording): string {
  const threads = [...new Set(spans.map(({ thread }) => thread))].sort((a, b) => a - b);
  const rows = threads.map((thread) => {
    const own = spans.filter((span) => span.thread === thread);
    const count = (...whats: string[]): string =>
      grouped(own.filter(({ what }) => whats.includes(what)).length);
    const ms = (...whats: string[]): string =>
      (own.reduce((sum, span) => sum + (whats.includes(span.what) ? lengthOf(span) : 0), 0) / 1000).toFixed(
        2,
      );
    const aborted = own.filter((span) => span.what === "validation" && !span.valid).length;
    const counts = [count("activation"), count("item", "loop"), count("validation"), grouped(aborted)];
    return [String(thread), ...counts, ms("item", "loop", "validation"), ms("idle", "wait"), ms("hash")];
  });
  const header = [
    "thread",
    "activations",
    "items",
    "validations",
    "aborts",
    "items ms",
    "waits ms",
    "hashes ms",
  ];
  return `\n${formatTable(header, rows, [])}`;
}

function lengthOf({ begin, end }: { readonly begin: number; readonly end: number | null }): number {
  return end === null ? 0 : end - begin;
}
