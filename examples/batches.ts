/** What the examples say of how their batches ran: a line that may differ from run to run. */

import { grouped } from "../runtime/cli/terminal.ts";
import type { BatchReport } from "../runtime/index.ts";

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
  return `${text}: ${executions} executions, ${aborts} of them aborted${formatContended(reports)}.`;
}

function formatContended(reports: readonly BatchReport[]): string {
  const lines = reports.flatMap(({ entry, contended }) => contended.map((line) => ({ entry, ...line })));
  const most = lines.sort((a, b) => b.count - a.count)[0];
  if (most === undefined) return "";
  return `, most often over the line at ${most.address} of "${most.entry}" (${grouped(most.count)} times)`;
}
