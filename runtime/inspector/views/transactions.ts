/**
 * Transactions of a block of an App, 40 at a time, with arguments and outcomes as text; of any other root
 * that tells what the data of its blocks is the rows in it.
 */

import { UsageError } from "../../errors.ts";
import type { Block } from "../../index.ts";
import type { Query } from "../query.ts";
import type { Source } from "../source.ts";
import { blockDataOf, isFailed, told, transactionsOf } from "../transactions.ts";
import { argumentsText, textOf } from "./text.ts";

const ROWS = 40;
const EVENTS = 8;

export interface TransactionRow {
  readonly number: number;
  readonly call: string | null;
  /** As "to: 0x…, amount: 5"; null: only the chain's own authenticator knows. */
  readonly args: string | null;
  readonly from: string | null;
  readonly ok: boolean;
  /** What it returned, or why it failed. */
  readonly result: string;
  /** The author's line, as "bank.ts:20". */
  readonly at: string | null;
  readonly events: readonly string[];
  readonly gasUsed: number;
  readonly gasWanted: number;
}

export interface TransactionsView {
  readonly block: string;
  readonly height: number;
  readonly time: string;
  /** Whether callers and arguments of all that ran are known. */
  readonly areRead: boolean;
  readonly count: number;
  readonly failed: number;
  readonly from: number;
  readonly next: number | null;
  readonly rows: readonly TransactionRow[];
}

/** Rows in a block's data. */
export interface DataRowsView {
  readonly block: string;
  readonly height: number;
  /** What a row is called. */
  readonly name: string;
  readonly columns: readonly string[];
  readonly count: number;
  readonly from: number;
  readonly next: number | null;
  readonly rows: readonly (readonly string[])[];
}

export function transactionsView(source: Source, query: Query): TransactionsView | DataRowsView {
  const block = source.block(query.id());
  const from = query.integer("from", 0, 0, 2 ** 32);
  const found = transactionsOf(source, block);
  if (found === null) {
    const rows = dataRows(source, block, from);
    if (rows !== null) return rows;
    const text =
      `block ${block.height} has no transactions that can be read: ` +
      "it is not one of an App, and its root declares no BLOCK_DATA_LAYOUT";
    throw new UsageError("NO_TRANSACTIONS", text, { height: block.height });
  }
  const { results, inputs, time } = found;
  const end = Math.min(results.length, from + ROWS);
  return {
    ...{ block: block.id, height: block.height, time: String(time), from },
    areRead: results.every(
      (result, i) => inputs[i] != null || result === null || result.refusal !== undefined,
    ),
    count: results.length,
    failed: results.filter(isFailed).length,
    next: end < results.length ? end : null,
    rows: Array.from({ length: Math.max(0, end - from) }, (_, i) => rowOf(told(found, from + i))),
  };
}

function dataRows(source: Source, block: Block, from: number): DataRowsView | null {
  const data = blockDataOf(source, block);
  if (data === null || data.rowName === null) return null;
  const { rowCount: count, rowName: name, columns } = data;
  const end = Math.min(count, from + ROWS);
  return {
    ...{ block: block.id, height: block.height, name, columns, count, from },
    next: end < count ? end : null,
    rows: Array.from({ length: Math.max(0, end - from) }, (_, i) => data.row(from + i)),
  };
}

function rowOf({ number, call, args, from, outcome, gasWanted }: ReturnType<typeof told>): TransactionRow {
  const base = { number, call, from, gasWanted, args: args === null ? null : argumentsText(args) };
  if (outcome === null) return { ...base, ok: false, result: "not run", at: null, events: [], gasUsed: 0 };
  const { gasUsed } = outcome;
  if (!outcome.ok) {
    const { error, at = null, reason } = outcome;
    return { ...base, ok: false, result: reason ? `${error}: ${reason}` : error, at, events: [], gasUsed };
  }
  const events = outcome.events
    .slice(0, EVENTS)
    .map(({ name, fields }) => `${name}(${argumentsText(fields)})`);
  const result = outcome.value === undefined ? "done" : textOf(outcome.value);
  return { ...base, ok: true, result, at: null, events, gasUsed };
}
