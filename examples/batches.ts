/** What the examples say of how their batches ran: a line that may differ from run to run. */

import { grouped } from "../runtime/cli/terminal.ts";
import type { BatchReport, Contended, Ending } from "../runtime/index.ts";

/** One line of counts over all reports, and where items met most often. */
export function formatBatches(reports: readonly BatchReport[]): string {
  const sum = (count: (report: BatchReport) => number): number =>
    reports.reduce((total, report) => total + count(report), 0);
  const items = sum(({ items }) => items);
  const parallel = sum(({ parallel }) => parallel);
  const batches = `${grouped(reports.length)} batches of ${grouped(items)} items`;
  const text = `${batches}, ${grouped(parallel)} in parallel`;
  const loop = formatLoop(reports);
  if (parallel === 0) return `${text}${loop}.`;
  const executions = grouped(sum(({ executions }) => executions));
  const aborts = grouped(sum(({ aborts }) => aborts));
  const place = formatContended(reports);
  return `${text}: ${executions} executions, ${aborts} of them aborted${place}${loop}.`;
}

/** Why a run in parallel gave way to the loop. */
const GAVE_WAY: Readonly<Record<Ending, string | null>> = {
  done: null,
  cut: "their gas ran out",
  sequential: "they do what only the loop can",
  conflicts: "they conflicted too often",
  slow: "the loop was faster",
  memory: "their versions took too much memory",
  died: "threads died",
};

/** How many items ran in the loop, and why: most often to see what they cost, or because it does not pay. */
function formatLoop(reports: readonly BatchReport[]): string {
  const counts = new Map<string, number>();
  for (const { sequential, endings } of reports) {
    if (sequential === 0) continue;
    const ending = endings.find((one) => one !== "done");
    const why =
      (ending && GAVE_WAY[ending]) ?? "to see what they cost, or because more threads would not pay";
    counts.set(why, (counts.get(why) ?? 0) + sequential);
  }
  if (counts.size === 0) return "";
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const [first, ...others] = [...counts].sort(([, a], [, b]) => b - a) as [[string, number]];
  if (others.length === 0) return `; ${grouped(total)} in the loop: ${first[0]}`;
  const parts = [first, ...others].map(([why, count]) => `${grouped(count)} ${why}`);
  return `; ${grouped(total)} in the loop: ${parts.join(", ")}`;
}

function formatContended(reports: readonly BatchReport[]): string {
  const counts = new Map<string, number>();
  for (const place of reports.flatMap(({ contended }) => contended)) {
    const name = formatPlace(place);
    counts.set(name, (counts.get(name) ?? 0) + place.count);
  }
  const most = [...counts].sort(([, a], [, b]) => b - a)[0];
  if (most === undefined) return "";
  const [name, count] = most;
  return `, most often over ${name} (${grouped(count)} times)`;
}

/** "accounts[17] of process 1", "process 2/0". */
function formatPlace(place: Contended): string {
  const process = `process ${place.process.join("/")}`;
  if (place.kind === "child") return process;
  if (place.kind === "quotas") return `the quotas of ${process}`;
  return `${place.name ?? `address ${place.address}`} of ${process}`;
}
