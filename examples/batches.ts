/** What the examples say of how their batches ran: a line that may differ from run to run. */

import { grouped } from "../runtime/cli/terminal.ts";
import type { BatchReport, Contended } from "../runtime/index.ts";

/** One line of counts over all reports, and where items met most often. */
export function formatBatches(reports: readonly BatchReport[]): string {
  const sum = (count: (report: BatchReport) => number): number =>
    reports.reduce((total, report) => total + count(report), 0);
  const items = sum(({ items }) => items);
  const parallel = sum(({ parallel }) => parallel);
  const batches = `${grouped(reports.length)} batches of ${grouped(items)} items`;
  const text = `${batches}, ${grouped(parallel)} in parallel`;
  if (parallel === 0) return `${text}.`;
  const executions = grouped(sum(({ executions }) => executions));
  const aborts = grouped(sum(({ aborts }) => aborts));
  const place = formatContended(reports);
  return `${text}: ${executions} executions, ${aborts} of them aborted${place}.`;
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
