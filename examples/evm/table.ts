/** What the command says of blocks: a row or a line of JSON for each as it comes, and totals. */

import { formatRow, grouped } from "../../runtime/cli/terminal.ts";
import type { BatchReport } from "../../runtime/index.ts";
import type { EvmBlock } from "./block.ts";
import { comparedFields } from "./compare.ts";
import type { ExecutedBlock } from "./decode.ts";

/** A block that ran. */
export interface Line {
  readonly block: EvmBlock;
  readonly executed: ExecutedBlock;
  /** How it differs from its header, in words. */
  readonly wrong: readonly string[];
  /** Root of the runtime's state after the block. */
  readonly root: string;
  readonly runtimeGas: number;
  /** Wall time of producing the block. */
  readonly ms: number;
  /** Of the transactions. */
  readonly batch: BatchReport | undefined;
}

/** Columns with their widths: rows are printed one by one, so nothing can be measured. */
const COLUMNS = {
  block: 8,
  fork: 16,
  transactions: 12,
  calls: 5,
  gas: 10,
  receipts: 19,
  "Mgas/s": 6,
  "runtime root": 13,
  ran: 0,
} as const;
const LEFT: readonly string[] = ["fork", "receipts", "runtime root", "ran"];

function row(cells: readonly string[]): string {
  const left = Object.keys(COLUMNS).map((name) => LEFT.includes(name));
  return formatRow(cells, Object.values(COLUMNS), left);
}

export function formatHeader(): string {
  return row(Object.keys(COLUMNS));
}

export function formatLine({ block, executed, wrong, ms, batch, root }: Line): string {
  return row([
    ...named(block),
    grouped(executed.gasUsed),
    formatAgreement(block, wrong),
    megagas(executed.gasUsed, ms),
    `${root.slice(0, 12)}…`,
    formatRun(batch),
  ]);
}

/** Of a block that did not come to an end. */
export function formatFailure(block: EvmBlock, why: string): string {
  return row([...named(block), "", why, "", "", ""]);
}

function named(block: EvmBlock): string[] {
  const { number, fork, transactions } = block;
  return [String(number), fork, grouped(transactions.length), grouped(callsOf(block))];
}

function formatAgreement(block: EvmBlock, wrong: readonly string[]): string {
  if (wrong.length > 0) return "differ";
  return comparedFields(block).includes("receiptsRoot") ? "agree" : "gas and bloom agree";
}

/** How many transactions go to contracts. */
export function callsOf({ accounts, transactions }: EvmBlock): number {
  const contracts = new Set(
    accounts.filter(({ codeHash }) => codeHash !== null).map(({ address }) => address),
  );
  return transactions.filter(({ to }) => to !== null && contracts.has(to)).length;
}

function megagas(gas: bigint, ms: number): string {
  return (Number(gas) / 1000 / ms).toFixed(0);
}

function formatRun(batch: BatchReport | undefined): string {
  if (batch === undefined || batch.parallel === 0) return "in the loop";
  const { parallel, executions, aborts } = batch;
  return `${grouped(parallel)} in parallel, ${grouped(executions)} executions, ${grouped(aborts)} aborts`;
}

/** The sums of all blocks that ran, and how many agree; `failed`: blocks that are not valid. */
export function formatTotals(lines: readonly Line[], failed: number, unsupported: number): string {
  const agreeing = lines.filter(({ wrong }) => wrong.length === 0).length;
  const sum = (count: (line: Line) => number): number => lines.reduce((all, line) => all + count(line), 0);
  const gas = lines.reduce((all, { executed }) => all + executed.gasUsed, 0n);
  const ms = sum((line) => line.ms);
  const left = unsupported === 0 ? "" : `, ${unsupported} not supported`;
  const agreement = `${agreeing} of ${lines.length + failed} blocks agree with their headers${left}`;
  if (lines.length === 0) return `${agreement}.`;
  const transactions = grouped(sum(({ block }) => block.transactions.length));
  const calls = grouped(sum(({ block }) => callsOf(block)));
  const time = `${(ms / 1000).toFixed(2)} s, ${megagas(gas, ms)} Mgas/s`;
  return `${agreement}: ${transactions} transactions, ${calls} calls, ${grouped(gas)} gas in ${time}.`;
}

export function formatJson({ block, executed, wrong, root, runtimeGas, ms, batch }: Line): string {
  return JSON.stringify({
    number: Number(block.number),
    fork: block.fork,
    transactions: block.transactions.length,
    gasUsed: Number(executed.gasUsed),
    receiptsRoot: executed.receiptsRoot,
    logsBloom: executed.logsBloom,
    agrees: wrong.length === 0,
    compared: comparedFields(block),
    root,
    runtimeGas,
    ms: Number(ms.toFixed(3)),
    parallel: batch?.parallel ?? 0,
    executions: batch?.executions ?? 0,
    aborts: batch?.aborts ?? 0,
  });
}
