/**
 * Transactions of a block of an App: what was called, with what, and what became of it; of another root the
 * rows of its blocks' data.
 */

import type { DataRowsView, TransactionRow, TransactionsView } from "../views/transactions.ts";
import { urlOf, useAnswer } from "./api.ts";
import { count, grouped, hashText } from "./format.ts";
import { Pager, Shown, Table, Tag } from "./parts.tsx";
import { blockLink } from "./place.ts";

export function Transactions({ block, query }: { block: string; query: URLSearchParams }) {
  const asked = useAnswer<TransactionsView | DataRowsView>(
    urlOf("transactions", { block, from: query.get("from") }),
  );
  return (
    <Shown asked={asked}>
      {(view) =>
        "columns" in view ? <DataRows block={block} view={view} /> : <Calls block={block} view={view} />
      }
    </Shown>
  );
}

const ADDRESS_DIGITS = 42;

/** Rows by number, which leads to the item. */
function DataRows({ block, view }: { block: string; view: DataRowsView }) {
  const { name, columns, count: number, from, next, rows } = view;
  return (
    <>
      <p class="lead">{count(number, name)}, as the data of the block has them</p>
      <Table caption={`From ${name} ${grouped(from)}`} head={["item", ...columns]} numbers={[0]}>
        {rows.map((row, i) => (
          <tr key={from + i}>
            <td class="number">
              <a href={blockLink(block, "batch", { item: from + i })}>{grouped(from + i)}</a>
            </td>
            {columns.map((column, at) => (
              <td key={column} title={row[at]}>
                <code>{shortened(row[at] ?? "")}</code>
              </td>
            ))}
          </tr>
        ))}
      </Table>
      <Parts block={block} from={from} next={next} />
    </>
  );
}

/** A hash is told apart by its first digits; an address has all of them. */
function shortened(text: string): string {
  if (/^0x0+$/.test(text)) return "0x0";
  return text.length > ADDRESS_DIGITS ? hashText(text, 18) : text;
}

function Parts({ block, from, next }: { block: string; from: number; next: number | null }) {
  return (
    <Pager
      back={from === 0 ? null : blockLink(block, "transactions", { from: Math.max(0, from - 40) })}
      next={next === null ? null : blockLink(block, "transactions", { from: next })}
      text={`from ${grouped(from)}`}
    />
  );
}

function Calls({ block, view }: { block: string; view: TransactionsView }) {
  return (
    <>
      <p class="lead">
        {count(view.count, "transaction")}, {grouped(view.failed)} failed; block time {view.time} ms
      </p>
      {view.areRead ? null : (
        <p class="quiet">The chain has an authenticator of its own: it alone knows callers and arguments.</p>
      )}
      <ol class="transactions" start={view.from}>
        {view.rows.map((row) => (
          <Row key={row.number} row={row} />
        ))}
      </ol>
      <Parts block={block} from={view.from} next={view.next} />
    </>
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
