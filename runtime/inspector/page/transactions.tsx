/** Transactions of a block of an App: what was called, with what, and what became of it. */

import type { TransactionRow, TransactionsView } from "../views/transactions.ts";
import { urlOf, useAnswer } from "./api.ts";
import { count, grouped, hashText } from "./format.ts";
import { Pager, Shown, Tag } from "./parts.tsx";
import { blockLink } from "./place.ts";

export function Transactions({ block, query }: { block: string; query: URLSearchParams }) {
  const asked = useAnswer<TransactionsView>(urlOf("transactions", { block, from: query.get("from") }));
  return (
    <Shown asked={asked}>
      {(view) => (
        <>
          <p class="lead">
            {count(view.count, "transaction")}, {grouped(view.failed)} failed; block time {view.time} ms
          </p>
          {view.areRead ? null : (
            <p class="quiet">
              The chain has an authenticator of its own: it alone knows callers and arguments.
            </p>
          )}
          <ol class="transactions" start={view.from}>
            {view.rows.map((row) => (
              <Row key={row.number} row={row} />
            ))}
          </ol>
          <Pager
            back={
              view.from === 0 ? null : blockLink(block, "transactions", { from: Math.max(0, view.from - 40) })
            }
            next={view.next === null ? null : blockLink(block, "transactions", { from: view.next })}
            text={`from ${grouped(view.from)}`}
          />
        </>
      )}
    </Shown>
  );
}

function Row({ row }: { row: TransactionRow }) {
  const { number, call, args, from, ok, result, at, events, gasUsed, gasWanted } = row;
  return (
    <li value={number}>
      <p>
        <strong>{call ?? "an unknown function"}</strong>
        <code class="args">({args ?? "…"})</code>
      </p>
      <p>
        <Tag kind={ok ? "good" : "bad"}>{ok ? "ok" : "failed"}</Tag> <code>{result}</code>
        {at === null ? null : (
          <span>
            {" "}
            at <code>{at}</code>
          </span>
        )}
        <span class="quiet">
          {" "}
          {from === null ? "" : `from ${hashText(from, 12)}, `}
          {grouped(gasUsed)} of {grouped(gasWanted)} gas
        </span>
      </p>
      {events.length === 0 ? null : (
        <p class="events">
          {events.map((event) => (
            <code key={event}>{event}</code>
          ))}
        </p>
      )}
    </li>
  );
}
