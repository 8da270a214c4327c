/** The chain: gas over heights, what is durable, pinned or beside the chain, and the blocks as a list. */

import type { Meeting } from "../batches.ts";
import type { BlockRow, ChainView } from "../views/chain.ts";
import { urlOf, useAnswer } from "./api.ts";
import { count, grouped, short } from "./format.ts";
import { type Meetings, useMeetings } from "./meetings.ts";
import { Fields, Hash, Pager, Problem, Shown, Table, Tag } from "./parts.tsx";
import { blockLink, goTo, linkTo } from "./place.ts";
import { Plot } from "./plot.tsx";

export function Chain({ at, version }: { at: string | null; version: string | null }) {
  const asked = useAnswer<ChainView>(urlOf("chain", { at }), version);
  return <Shown asked={asked}>{(view) => <Loaded view={view} />}</Shown>;
}

function Loaded({ view }: { view: ChainView }) {
  const { head, count: blocks, pinned, tips, damaged, rows, older, newer, cells } = view;
  const meetings = useMeetings(view.at, view.head?.id ?? null);
  const at = (height: number | null): string | null => (height === null ? null : linkTo([], { at: height }));
  return (
    <>
      <h1>
        {view.kind === "store" ? "Store" : "Runtime"} {view.name}
      </h1>
      <p class="lead">
        {head === null ? "The record of the head cannot be read. " : null}
        {count(blocks, "block")}, heights {grouped(view.bottom)} to {grouped(view.top)}
        {tips.length > 0 ? `, ${count(tips.length, "side branch").replace(/branchs$/, "branches")}` : ""}
        {pinned > 0 ? `, ${grouped(pinned)} pinned` : ""}
      </p>
      {damaged.count > 0 ? <Problem text={damageText(damaged)} /> : null}
      <Plot cells={cells} onPick={(height) => goTo(linkTo([], { at: height }))} />
      <Overview view={view} />
      <Table
        caption="Blocks"
        head={["", "height", "block", "gas", "data", "waited", ""]}
        numbers={[1, 3, 4, 5]}
      >
        {rows.map((row, i) => (
          <tr key={row.id} class={row.chain ? "" : "side"}>
            <td class="lanes">
              <Lanes rows={rows} at={i} />
            </td>
            <td class="number">
              <a href={blockLink(row.id)}>{grouped(row.height)}</a>
            </td>
            <td>
              <Hash of={row.id} link={blockLink(row.id)} />
            </td>
            <td class="number" title={grouped(row.gasUsed)}>
              {short(row.gasUsed)}
            </td>
            <td class="number" title={`${grouped(row.dataBytes)} bytes`}>
              {short(row.dataBytes)}
            </td>
            <td class="number">
              <Met meeting={meetings.known.get(row.id)} id={row.id} />
            </td>
            <td class="marks">
              <Marks row={row} head={head?.id ?? null} kind={view.kind} />
            </td>
          </tr>
        ))}
      </Table>
      <MeetingsAsked meetings={meetings} />
      <Pager back={at(newer)} next={at(older)} text={rowsText(rows)} />
      <Fields
        fields={[{ name: "height", label: "Show blocks from height", value: String(view.at) }]}
        button="Show"
        onSend={({ height = "" }) => goTo(linkTo([], { at: height }))}
      />
    </>
  );
}

/** How many items read what another one had left, of those that the block had. */
function Met({ meeting, id }: { meeting: Meeting | undefined; id: string }) {
  if (meeting === undefined) return <span class="quiet">–</span>;
  const { items, dependent, chain, source } = meeting;
  return (
    <a
      href={blockLink(id, "batch", source === "again" ? { again: 1 } : {})}
      title={`the longest chain has ${grouped(chain)} items`}
    >
      {grouped(dependent)} of {grouped(items)}
    </a>
  );
}

function MeetingsAsked({ meetings: { unknown, isRunning, problem, run } }: { meetings: Meetings }) {
  if (unknown.length === 0) return null;
  return (
    <p class="quiet">
      Waited: items of batches (of an app its transactions) that read what another one had left.{" "}
      <button type="button" disabled={isRunning} onClick={run}>
        {isRunning
          ? `Executing, ${unknown.length} to go…`
          : `Execute ${count(unknown.length, "block")} again for that`}
      </button>
      {problem === null ? null : <Problem text={problem} />}
    </p>
  );
}

function damageText({ count: all, ids }: ChainView["damaged"]): string {
  const names = ids.map((id) => id.slice(0, 16)).join(", ");
  const more = all > ids.length ? ", …" : "";
  const advice = 'What is whole is shown; "stillpoint inspect DIR verify" says more.';
  return `${count(all, "record")} of blocks cannot be read: ${names}${more}. ${advice}`;
}

function rowsText(rows: readonly BlockRow[]): string {
  const [first, last] = [rows[0], rows.at(-1)];
  return first === undefined || last === undefined
    ? "no blocks"
    : `${grouped(first.height)} to ${grouped(last.height)}`;
}

export function Marks({
  row,
  head,
  kind,
}: {
  row: BlockRow;
  head: string | null;
  kind: "store" | "runtime";
}) {
  return (
    <>
      {row.id === head ? <Tag kind="head">head</Tag> : null}
      {row.pinned ? <Tag kind="pin">pinned</Tag> : null}
      {row.chain ? null : <Tag kind="side">side branch</Tag>}
      {row.durable ? null : <Tag kind="soft">{kind === "store" ? "state not stored" : "in memory"}</Tag>}
    </>
  );
}

const LANE = 12;
const ROW = 34;

/** The row's part of the picture of branches: its point, and each line from a block to the one before. */
function Lanes({ rows, at }: { rows: readonly BlockRow[]; at: number }) {
  const row = rows[at] as BlockRow;
  const x = (lane: number): number => 8 + lane * LANE;
  const lanes = 1 + Math.max(...rows.map(({ lane }) => lane));
  const lines = rows.slice(0, at + 1).flatMap((child, i) => {
    const found = rows.findIndex(({ id }) => id === child.parent);
    const end = found < 0 ? rows.length : found;
    if (at > end || child.height === 0) return [];
    const from = { x: x(child.lane), y: i === at ? ROW / 2 : 0 };
    const to = at === end ? { x: x(row.lane), y: ROW / 2 } : { x: x(child.lane), y: ROW };
    return [{ key: child.id, from, to, kind: child.chain ? "chain" : "side" }];
  });
  return (
    <svg width={16 + (lanes - 1) * LANE} height={ROW} aria-hidden="true" class="lane-picture">
      {lines.map(({ key, from, to, kind }) => (
        <line key={key} x1={from.x} y1={from.y} x2={to.x} y2={to.y} class={`lane ${kind}`} />
      ))}
      <circle
        cx={x(row.lane)}
        cy={ROW / 2}
        r={row.pinned ? 5.5 : 4}
        class={`point ${row.chain ? "chain" : "side"} ${row.durable ? "durable" : ""}`}
      />
    </svg>
  );
}

/** Where there are pins and side branches, and up to where states are stored. */
function Overview({ view }: { view: ChainView }) {
  const { cells, bottom, top } = view;
  const width = 1000 / Math.max(1, top - bottom + 1);
  const x = (height: number): number => (height - bottom) * width;
  const isSoft = cells.some(({ durable, blocks }) => durable < blocks);
  if (!isSoft && view.pinned === 0 && view.tips.length === 0) return null;
  return (
    <figure class="map">
      <svg
        viewBox="0 0 1000 26"
        preserveAspectRatio="none"
        role="img"
        aria-label="Durable blocks, pins and side branches by height"
      >
        {cells.map(({ first, last, durable, blocks, side, pinned }) => (
          <g key={first}>
            <rect
              x={x(first)}
              width={Math.max(1, (last - first + 1) * width - 0.6)}
              y={9}
              height={8}
              class={durable === blocks ? "durable" : durable > 0 ? "partly" : "soft"}
            />
            {side > 0 ? (
              <rect
                x={x(first)}
                width={Math.max(2, (last - first + 1) * width - 0.6)}
                y={19}
                height={6}
                class="side"
              />
            ) : null}
            {pinned > 0 ? (
              <rect
                x={x(first)}
                width={Math.max(2, (last - first + 1) * width - 0.6)}
                y={1}
                height={6}
                class="pin"
              />
            ) : null}
          </g>
        ))}
      </svg>
      <figcaption>
        <span class="key pin">pinned</span>
        <span class="key durable">state stored</span>
        {isSoft ? <span class="key soft">not stored</span> : null}
        <span class="key side">side branch</span>
      </figcaption>
    </figure>
  );
}
