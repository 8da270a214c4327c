/** A block: what it is, and its views as tabs. */

import { useEffect, useRef } from "preact/hooks";
import type { BlockView, Excerpt } from "../views/block.ts";
import { urlOf, useAnswer } from "./api.ts";
import { Batch } from "./batch.tsx";
import { Marks } from "./chain.tsx";
import { Compare } from "./compare.tsx";
import { bytesText, count, grouped } from "./format.ts";
import { Faults, Gas } from "./gas.tsx";
import { Memory } from "./memory.tsx";
import { Facts, Hash, Problem, Shown, Tag } from "./parts.tsx";
import { blockLink, type Place } from "./place.ts";
import { Processes } from "./processes.tsx";
import { Proof } from "./proof.tsx";
import { Transactions } from "./transactions.tsx";

const TABS = [
  ["", "Overview"],
  ["processes", "Processes"],
  ["transactions", "Transactions"],
  ["gas", "Gas"],
  ["faults", "Faults"],
  ["batch", "Batches"],
  ["memory", "Memory"],
  ["compare", "Compare"],
  ["proof", "Proof"],
] as const;

export function Block({ place, version }: { place: Place; version: string | null }) {
  const [, id = "", tab = ""] = place.parts;
  const asked = useAnswer<BlockView>(urlOf("block", { block: id }), version);
  return (
    <Shown asked={asked}>
      {(view) => (
        <>
          <Title view={view} tab={tab} />
          <Tabs id={id} tab={tab} />
          <MadeFrom view={view} />
          <View view={view} tab={tab} place={place} />
        </>
      )}
    </Shown>
  );
}

function Tabs({ id, tab }: { id: string; tab: string }) {
  const current = useRef<HTMLAnchorElement>(null);
  // In a narrow window it may be one of those that have no room.
  useEffect(() => current.current?.scrollIntoView({ block: "nearest", inline: "center" }), [tab]);
  return (
    <nav class="tabs" aria-label="Views of the block">
      {TABS.map(([name, label]) => (
        <a
          key={name}
          ref={name === tab ? current : null}
          href={blockLink(id, name)}
          aria-current={name === tab ? "page" : undefined}
        >
          {label}
        </a>
      ))}
    </nav>
  );
}

function Title({ view, tab }: { view: BlockView; tab: string }) {
  const { row, height, id, parent, hasParent, above } = view;
  const next = above.find(({ chain }) => chain) ?? above[0];
  return (
    <header class="title">
      <h1>Block {grouped(height)}</h1>
      {row === null ? (
        <Tag kind="soft">not retained any more</Tag>
      ) : (
        <Marks row={row} head={null} kind="store" />
      )}
      <Hash of={id} digits={16} />
      <nav aria-label="Neighbours">
        {hasParent ? (
          <a href={blockLink(parent, tab)} data-key="[" title="key [">
            ← {grouped(height - 1)}
          </a>
        ) : null}
        {next === undefined ? null : (
          <a href={blockLink(next.id, tab)} data-key="]" title="key ]">
            {grouped(next.height)} →
          </a>
        )}
      </nav>
    </header>
  );
}

/** What is shown of the state is not read from the store. */
function MadeFrom({ view: { height, madeFrom } }: { view: BlockView }) {
  if (madeFrom === null) return null;
  const blocks = count(height - madeFrom, "block");
  return (
    <p class="quiet">
      The store does not have the state of this block: it is made again from block {grouped(madeFrom)}, by
      running {blocks}.
    </p>
  );
}

function View({ view, tab, place }: { view: BlockView; tab: string; place: Place }) {
  const { id } = view;
  const { query } = place;
  switch (tab) {
    case "":
      return <Overview view={view} />;
    case "processes":
      return <Processes block={id} query={query} />;
    case "transactions":
      return <Transactions block={id} query={query} />;
    case "gas":
      return <Gas block={id} />;
    case "faults":
      return <Faults block={id} query={query} />;
    case "batch":
      return <Batch block={id} query={query} />;
    case "memory":
      return <Memory block={id} parent={view.hasParent ? view.parent : null} query={query} />;
    case "compare":
      return <Compare block={id} parent={view.hasParent ? view.parent : null} query={query} />;
    case "proof":
      return <Proof block={id} query={query} />;
    default:
      return <Problem text={`There is no view "${tab}" of a block.`} />;
  }
}

function Overview({ view }: { view: BlockView }) {
  const { id, parent, hasParent, root, gasUsed, ended, data, above, input, transactions } = view;
  const { dataFields, dataRows } = view;
  const parentText = hasParent ? (
    <Hash of={parent} digits={16} link={blockLink(parent)} />
  ) : (
    <Hash of={parent} digits={16} />
  );
  return (
    <>
      <section class="cards">
        <Card label="gas used" value={grouped(gasUsed)} link={blockLink(id, "gas")} />
        {transactions === null ? null : (
          <Card
            label={
              transactions.failed > 0
                ? `transactions, ${grouped(transactions.failed)} failed`
                : "transactions"
            }
            value={grouped(transactions.count)}
            link={blockLink(id, "transactions")}
          />
        )}
        {dataRows === null ? null : (
          <Card
            label={dataRows.count === 1 ? dataRows.name : `${dataRows.name}s`}
            value={grouped(dataRows.count)}
            link={blockLink(id, "transactions")}
          />
        )}
        <Card label="and what it changed" value="Processes" link={blockLink(id, "processes")} />
        <Card label="that differ from the block before" value="Bytes" link={blockLink(id, "compare")} />
      </section>
      <Facts
        rows={[
          [
            "parent",
            hasParent ? (
              parentText
            ) : (
              <>
                {parentText} <span class="quiet">{view.height === 0 ? "the genesis" : "not retained"}</span>
              </>
            ),
          ],
          ["root of the state", <Hash key="root" of={root} digits={16} />],
          ["data", <Bytes key="data" of={data} />],
          ...dataFields.map(([name, text]) => [name, <code key={name}>{text}</code>] as const),
          ...(input === null
            ? ([["made from", <Problem key="input" text={view.inputReason ?? ""} />]] as const)
            : ([
                ["metadata", <Bytes key="metadata" of={input.metadata} />],
                ["gas limit", grouped(input.gasLimit)],
                ["rules", <RulesText key="rules" input={input} />],
                ["programs", <Programs key="programs" input={input} />],
              ] as const)),
          ...(above.length === 0
            ? []
            : ([
                [
                  "blocks on it",
                  <span key="above">
                    {above.map((row) => (
                      <span key={row.id}>
                        <Hash of={row.id} link={blockLink(row.id)} />{" "}
                        {row.chain ? null : <Tag kind="side">side</Tag>}
                      </span>
                    ))}
                  </span>,
                ],
              ] as const)),
          ...(ended ? ([["end", "the root has returned: no block can follow"]] as const) : []),
        ]}
      />
    </>
  );
}

function Card({ label, value, link }: { label: string; value: string; link: string }) {
  return (
    <a class="card" href={link}>
      <strong>{value}</strong>
      <span>{label}</span>
    </a>
  );
}

function Bytes({ of: { bytes, hex } }: { of: Excerpt }) {
  if (bytes === 0) return <span class="quiet">none</span>;
  return (
    <>
      {count(bytes, "byte")}{" "}
      <code class="bytes">
        {hex.replace(/(.{8})/g, "$1 ").trim()}
        {bytes * 2 > hex.length ? "…" : ""}
      </code>
    </>
  );
}

type Input = NonNullable<BlockView["input"]>;

function RulesText({ input: { changes, rules } }: { input: Input }) {
  const changed = changes === null ? "" : ` This block changed: ${changes.join(", ")}.`;
  return (
    <>
      {bytesText(rules.memoryQuotaPages * 4096)} of memory,{" "}
      {count(rules.processQuota, "process").replace(/processs$/, "processes")}, at most{" "}
      {grouped(rules.gasLimit)} gas.{changed}
    </>
  );
}

function Programs({ input: { programs } }: { input: Input }) {
  return (
    <>
      {programs.map(({ hash, contracts }) => (
        <span key={hash}>
          <Hash of={hash} /> {contracts.length > 0 ? `${contracts.join(", ")} ` : ""}
        </span>
      ))}
    </>
  );
}
