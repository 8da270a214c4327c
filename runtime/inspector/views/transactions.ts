/** Transactions of a block of an App, 40 at a time, with arguments and outcomes as text. */

import { UsageError } from "../../errors.ts";
import type { Query } from "../query.ts";
import type { Source } from "../source.ts";
import { isFailed, told, transactionsOf } from "../transactions.ts";
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

export function transactionsView(source: Source, query: Query): TransactionsView {
  const block = source.block(query.id());
  const from = query.integer("from", 0, 0, 2 ** 32);
  const found = transactionsOf(source, block);
  if (found === null) {
    const text = `block ${block.height} is not one of an App: it has no transactions that can be read`;
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
