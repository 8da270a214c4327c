/** What the examples say of how their batches ran: a line that may differ from run to run. */

import { grouped } from "../runtime/cli/terminal.ts";
import type { BatchReport } from "../runtime/index.ts";

const LINE_BYTES = 64;

/**
 * One line of counts over all reports, and where items met most often. Lines from `stateBytes` on stand for
 * the children of the process.
 */
export function formatBatches(reports: readonly BatchReport[], stateBytes: number): string {
  const sum = (count: (report: BatchReport) => number): number =>
    reports.reduce((total, report) => total + count(report), 0);
  const items = sum(({ items }) => items);
  const parallel = sum(({ parallel }) => parallel);
  const batches = `${grouped(reports.length)} batches of ${grouped(items)} items`;
  const text = `${batches}, ${grouped(parallel)} in parallel`;
  if (parallel === 0) return `${text}.`;
  const executions = grouped(sum(({ executions }) => executions));
  const aborts = grouped(sum(({ aborts }) => aborts));
  const place = formatContended(reports, stateBytes);
  return `${text}: ${executions} executions, ${aborts} of them aborted${place}.`;
}

function formatContended(reports: readonly BatchReport[], stateBytes: number): string {
  const counts = new Map<number, number>();
  for (const { address, count } of reports.flatMap(({ contended }) => contended)) {
    counts.set(address, (counts.get(address) ?? 0) + count);
  }
  const most = [...counts].sort(([, a], [, b]) => b - a)[0];
  if (most === undefined) return "";
  const [address, count] = most;
  const place = address < stateBytes ? `address ${address}` : `child ${(address - stateBytes) / LINE_BYTES}`;
  return `, most often over ${place} (${grouped(count)} times)`;
}
