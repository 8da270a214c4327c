/** The metrics of a runtime for Prometheus. docs/observing.md has them as a table. */

import { badArgument, checkNames } from "../arguments.ts";
import { type BatchCounters, BLOCK_PARTS, type Runtime } from "../index.ts";
import { Exposition, type Labels } from "./exposition.ts";

/** What `metricsText` adds. */
export interface MetricsTextOptions {
  /** Labels of every sample, as { chain: "main" }. Default: none. */
  readonly labels?: Labels;
}

/** What became of items, as the label "outcome", and the counter of it. */
const OUTCOMES = {
  parallel: "parallel",
  sequential: "sequential",
  refused: "refused",
  not_run: "notRun",
} as const satisfies Record<string, keyof BatchCounters>;

/** What incarnations of items came to: the name of the metric, its counter and a sentence. */
const WORK: readonly (readonly [name: string, counter: keyof BatchCounters, help: string])[] = [
  ["executions", "executions", "Incarnations of items that were begun in parallel."],
  ["validations", "validations", "Looks at all that an incarnation has read."],
  ["aborts", "aborts", "Incarnations that had read what turned out wrong."],
  ["given_up", "givenUp", "Incarnations that met a value which was about to change."],
  ["expired", "expired", "Incarnations that had spent their lease of gas."],
  ["renewed", "renewed", "Expired ones whose reads were right."],
  ["waits", "waits", "Values about to change that were waited for."],
];

/**
 * The metrics of a runtime as a page for Prometheus: counters, latencies of blocks by their parts, the queue,
 * heap, outcomes of batches, and how far its store is. Its forks count with it.
 *
 * @throws UsageError BAD_ARGUMENT for labels that Prometheus does not take
 * @example
 * ```ts
 * const page = metricsText(runtime, { labels: { chain: "main" } });
 * console.log(/^stillpoint_height\{chain="main"\} \d+$/m.test(page)); // true
 * ```
 */
export function metricsText(runtime: Runtime, options: MetricsTextOptions = {}): string {
  checkNames(options, ["labels"]);
  const { labels = {} } = options;
  for (const name of Object.keys(labels)) {
    if (!/^[a-z_]\w*$/i.test(name)) throw badArgument("labels", name, "names of letters, digits and _");
  }
  const page = new Exposition("stillpoint", labels);
  const metrics = runtime.metrics();
  const { batches, store } = metrics;
  page.gauge("height", "Height of the latest block.", runtime.head.height);
  page.gauge("candidates", "Candidates that are neither committed nor released.", metrics.candidates);
  page.gauge("waiting", "Calls that wait for those before.", metrics.waiting);
  page.gauge("heap_used_bytes", "Bytes of the heap that are in use, at most.", metrics.heapUsedBytes);
  page.gauge("heap_limit_bytes", "Bytes that the heap has.", metrics.heapLimitBytes);
  page.counter("blocks_total", "Blocks that ran, whether they were kept or not.", metrics.blocks);
  page.counter("views_total", "Views that have ended.", metrics.views);
  page.counter("collections_total", "Collections of the heap.", metrics.collections);
  page.counter("workers_died_total", "Threads that died and were replaced.", metrics.workersDied);
  page.counter(
    "speculative_used_total",
    "Activations run ahead whose result was used.",
    metrics.speculativeUsed,
  );
  page.counter("batches_total", "Batches that have ended.", batches.batches);
  for (const [outcome, counter] of Object.entries(OUTCOMES))
    page.counter("items_total", "Items of batches, by how they ran.", batches[counter], { outcome });
  for (const [name, counter, help] of WORK) page.counter(`${name}_total`, help, batches[counter]);
  for (const part of BLOCK_PARTS) {
    const help = "Times of blocks: waiting for calls before, running, being written.";
    page.histogram("block_seconds", help, metrics.latency[part], { part });
  }
  if (store !== null) {
    const { acknowledgedHeight, checkpointedHeight, logUsedBytes, logLimitBytes } = store;
    page.gauge("store_acknowledged_height", "Height of the head as it is on the disk.", acknowledgedHeight);
    const help = "Height of the head up to which states are in the store.";
    page.gauge("store_checkpointed_height", help, checkpointedHeight);
    page.gauge("store_log_used_bytes", "Bytes of the log of inputs that are in use.", logUsedBytes);
    page.gauge("store_log_limit_bytes", "Bytes that the log of inputs has.", logLimitBytes);
  }
  return page.text();
}
