/** A batch: lanes by thread, the critical path, the places over which its items met. */

import type { Bar, Kind } from "../batches.ts";
import type { BatchDetail, BatchView, ItemView, Lane, PlaceRow, PlaceView } from "../views/batch.ts";
import { urlOf, useAnswer } from "./api.ts";
import { addressText, count, grouped, hashText, microsText, pathText } from "./format.ts";
import { Graph } from "./graph.tsx";
import { Shown, Table, Tag, Waiting } from "./parts.tsx";
import { blockLink, goTo, type Link } from "./place.ts";

interface Given {
  readonly block: string;
  readonly query: URLSearchParams;
}

function linksOf({ block, query }: Given): Link {
  return (parameters) => {
    const kept = Object.fromEntries(query);
    return blockLink(block, "batch", { ...kept, ...parameters });
  };
}

export function Batch({ block, query }: Given) {
  const again = query.get("again") === "1";
  const number = query.get("batch");
  const range = { from: query.get("from"), to: query.get("to") };
  const asked = useAnswer<BatchView>(urlOf("batch", { block, again, batch: number, ...range }));
  if (asked.value === null && asked.error === null)
    return <Waiting what="Looking for a recording, or executing the block again in memory" />;
  const link = linksOf({ block, query });
  return (
    <Shown asked={asked}>
      {(view) => (
        <>
          <Where view={view} link={link} again={again} />
          <Batches view={view} link={link} />
          {view.batch === null ? null : (
            <Detail block={block} detail={view.batch} query={query} link={link} again={again} />
          )}
        </>
      )}
    </Shown>
  );
}

/** From what the picture is made. */
function Where({ view, link, again }: { view: BatchView; link: Link; again: boolean }) {
  const { source, time, milliseconds, spansLost, batches } = view;
  const took = `${milliseconds.toFixed(1)} ms`;
  return (
    <p class="lead">
      {source === "recorded" ? (
        <>
          <Tag kind="good">recorded</Tag> as it ran on {new Date(time).toLocaleString()}, in {took}.{" "}
          <a href={link({ again: 1 })}>Execute it again instead</a>
        </>
      ) : (
        <>
          <Tag kind="changed">executed again</Tag> after it was made, in {took}: its outcome is the same,
          times and threads are others.{" "}
          {again ? <a href={link({ again: null })}>Show the recording</a> : null}
        </>
      )}
      {source === "recorded" && batches.some(({ sequential }) => sequential > 0)
        ? " Of items that ran in the loop it says no more than when: executed again, all run in parallel."
        : ""}
      {batches.length === 0 ? " The block has no batch." : ""}
      {spansLost > 0 ? ` ${count(spansLost, "span")} of its start are missing.` : ""}
    </p>
  );
}

function Batches({ view, link }: { view: BatchView; link: Link }) {
  const { batches, moreBatches, batch } = view;
  if (batches.length < 2) return null;
  return (
    <nav class="regions" aria-label="Batches">
      {batches.map(({ number, process, items }) => (
        <a
          key={number}
          href={link({ batch: number, from: null, to: null, item: null, line: null })}
          aria-current={batch?.row.number === number ? "page" : undefined}
        >
          {pathText(process)}, {count(items, "item")}
        </a>
      ))}
      {moreBatches > 0 ? <span class="quiet">and {grouped(moreBatches)} more</span> : null}
    </nav>
  );
}

interface Parts extends Given {
  readonly detail: BatchDetail;
  readonly link: Link;
  readonly again: boolean;
}

function Detail({ block, detail, query, link, again }: Parts) {
  const { row, graph } = detail;
  const { critical } = graph;
  const bound = critical.micros === 0 ? 0 : critical.totalMicros / critical.micros;
  return (
    <>
      <section class="cards">
        <Fact label={`of ${row.entry} at ${pathText(row.process)}`} value={count(row.items, "item")} />
        <Fact label={`in parallel, ${grouped(row.sequential)} in the loop`} value={grouped(row.parallel)} />
        <Fact label={`aborted, ${grouped(row.givenUp)} gave up`} value={grouped(row.aborts)} />
        <Fact label="waited for another item" value={grouped(graph.dependent)} />
        {critical.count > 1 ? (
          <Fact
            label={`on the critical path: at most ${bound.toFixed(1)} × as fast as one thread`}
            value={count(critical.count, "item")}
          />
        ) : null}
      </section>
      <Lanes detail={detail} query={query} link={link} />
      {query.get("item") === null ? null : (
        <Item block={block} query={query} link={link} again={again} batch={row.number} />
      )}
      <Places detail={detail} query={query} link={link} />
      {query.get("line") === null ? null : (
        <Place block={block} query={query} link={link} again={again} detail={detail} />
      )}
      <Graph graph={graph} link={link} selected={query.get("item")} />
    </>
  );
}

function Fact({ label, value }: { label: string; value: string }) {
  return (
    <div class="card">
      <strong>{value}</strong>
      <span>{label}</span>
    </div>
  );
}

// ---- lanes ------------------------------------------------------------------------------------------------

/** Bytes of an entry, before which nobody looks for its key. */
const ENTRY_BYTES_MAX = 1024;
const WIDTH = 1000;
const LANE = 34;
const KINDS: readonly (readonly [kind: Kind, text: string])[] = [
  ["item", "item"],
  ["aborted", "aborted"],
  ["gave-up", "gave up"],
  ["expired", "out of its lease"],
  ["loop", "in the loop"],
  ["validation", "validation"],
  ["wait", "waiting"],
  ["idle", "nothing to do"],
];

function Lanes({ detail, query, link }: { detail: BatchDetail; query: URLSearchParams; link: Link }) {
  const { lanes, range, whole, moreLanes } = detail;
  const [from, to] = range;
  const x = (micros: number): number => ((micros - from) / (to - from)) * WIDTH;
  const shown = new Set(lanes.flatMap(({ bars }) => bars.map(({ kind }) => kind)));
  const selected = query.get("item");
  if (lanes.length === 0) return <p class="quiet">No thread has noted down what it did.</p>;
  return (
    <section>
      <h2>Threads</h2>
      <Zoom range={range} whole={whole} link={link} />
      <div class="scroll">
        <div class="lanes-picture">
          {lanes.map((lane) => (
            <div class="thread" key={lane.thread}>
              <span class="quiet" title={laneText(lane)}>
                {lane.thread}
              </span>
              <svg
                viewBox={`0 0 ${WIDTH} ${LANE}`}
                preserveAspectRatio="none"
                role="img"
                aria-label={`Thread ${lane.thread}: ${laneText(lane)}`}
              >
                <rect width={WIDTH} height={LANE} class="empty" />
                {lane.bars.map((bar) => (
                  <BarOf
                    key={`${bar.begin} ${bar.kind} ${bar.item}`}
                    bar={bar}
                    x={x}
                    isSelected={selected !== null && String(bar.item) === selected}
                    link={
                      bar.item === null || bar.count > 1 ? zoomed(bar, range, link) : link({ item: bar.item })
                    }
                  />
                ))}
              </svg>
            </div>
          ))}
          <div class="thread axis quiet">
            <span />
            <span>{microsText(from)}</span>
            <span>{microsText(to)}</span>
          </div>
        </div>
      </div>
      <p class="legend">
        {KINDS.filter(([kind]) => shown.has(kind)).map(([kind, text]) => (
          <span key={kind} class={`key kind-${kind}`}>
            {text}
          </span>
        ))}
        {moreLanes > 0 ? <span>and {grouped(moreLanes)} more threads</span> : null}
      </p>
    </section>
  );
}

function laneText({ busy, lost, idle }: Lane): string {
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  return `${percent(busy)} with items, ${percent(lost)} in vain, ${percent(idle)} waiting`;
}

function zoomed({ begin, end }: Bar, [from, to]: BatchDetail["range"], link: Link): string {
  const middle = (begin + end) / 2;
  const half = Math.max(10, Math.max(end - begin, (to - from) / 8));
  return link({ from: Math.max(0, Math.floor(middle - half)), to: Math.ceil(middle + half), item: null });
}

function BarOf({
  bar,
  x,
  isSelected,
  link,
}: {
  bar: Bar;
  x: (micros: number) => number;
  isSelected: boolean;
  link: string;
}) {
  const { begin, end, kind, count: number, lost, item, incarnation } = bar;
  const [left, width] = [x(begin), Math.max(0.8, x(end) - x(begin) - 0.4)];
  const label = KINDS.find(([each]) => each === kind)?.[1] ?? "other work";
  const what =
    number > 1
      ? `${grouped(number)} short spans, ${grouped(lost)} in vain`
      : `${item === null ? label : `item ${item}, ${label}`}${incarnation ? `, run ${incarnation + 1}` : ""}`;
  return (
    <a href={link} tabIndex={-1}>
      <rect
        x={left}
        y={kind === "idle" || kind === "wait" ? 12 : 3}
        width={width}
        height={kind === "idle" || kind === "wait" ? 10 : LANE - 6}
        class={`kind-${kind} ${isSelected ? "chosen" : ""}`}
      >
        <title>{`${what}: ${microsText(end - begin)} from ${microsText(begin)}`}</title>
      </rect>
    </a>
  );
}

function Zoom({
  range: [from, to],
  whole,
  link,
}: {
  range: BatchDetail["range"];
  whole: BatchDetail["whole"];
  link: Link;
}) {
  const span = to - from;
  const [first, last] = whole;
  const go = (begin: number, end: number) => (): void =>
    goTo(
      link({
        from: Math.max(first, Math.floor(begin)),
        to: Math.min(last, Math.ceil(Math.max(end, begin + 4))),
      }),
    );
  const isWhole = from <= first && to >= last;
  return (
    <p class="zoom">
      <button type="button" onClick={go(from + span / 4, to - span / 4)}>
        zoom in
      </button>
      <button type="button" disabled={isWhole} onClick={go(from - span / 2, to + span / 2)}>
        zoom out
      </button>
      <button type="button" disabled={from <= first} onClick={go(from - span / 2, to - span / 2)}>
        ← earlier
      </button>
      <button type="button" disabled={to >= last} onClick={go(from + span / 2, to + span / 2)}>
        later →
      </button>
      {isWhole ? null : <a href={link({ from: null, to: null })}>all of it</a>}
    </p>
  );
}

// ---- items and places -------------------------------------------------------------------------------------

function Item({ block, query, link, again, batch }: Given & { link: Link; again: boolean; batch: number }) {
  const item = query.get("item");
  const asked = useAnswer<ItemView>(urlOf("item", { block, again, batch, item }));
  return (
    <section class="panel">
      <Shown asked={asked}>
        {(view) => (
          <>
            <h2>
              Item {grouped(view.item)} <a href={link({ item: null })}>close</a>
            </h2>
            {view.call === null ? null : (
              <p>
                <code>{view.call}</code> {view.from === null ? "" : `from ${hashText(view.from, 12)}`}
              </p>
            )}
            <p>
              {view.waitedFor.length === 0
                ? "It read nothing that another item of its window had left."
                : "It read what these had left: "}
              <Items of={view.waitedFor} link={link} />
            </p>
            {view.waitedBy.length === 0 ? null : (
              <p>
                These read what it had left: <Items of={view.waitedBy} link={link} />
              </p>
            )}
            <ul class="plain">
              {view.done.map(({ thread, begin, end, kind, incarnation }) => (
                <li key={`${begin}`}>
                  {KINDS.find(([each]) => each === kind)?.[1]}
                  {incarnation ? ` (run ${incarnation + 1})` : ""} on thread {thread},{" "}
                  {microsText(end - begin)} from {microsText(begin)}
                </li>
              ))}
            </ul>
            {view.touches.length === 0 ? null : (
              <Table caption="Places that others touched too" head={["place", "read", "wrote"]}>
                {view.touches.map((touch) => (
                  <tr key={touch.line}>
                    <td>
                      <a href={link({ line: touch.line })}>
                        <code>{touch.name ?? addressText(touch.line * 64)}</code>
                      </a>
                    </td>
                    <td>{readText(touch.from)}</td>
                    <td>{touch.wrote ? "yes" : ""}</td>
                  </tr>
                ))}
              </Table>
            )}
          </>
        )}
      </Shown>
    </section>
  );
}

function Items({ of, link }: { of: readonly number[]; link: Link }) {
  return (
    <>
      {of.slice(0, 40).map((item) => (
        <span key={item}>
          <a href={link({ item })}>{item}</a>{" "}
        </span>
      ))}
      {of.length > 40 ? `and ${grouped(of.length - 40)} more` : ""}
    </>
  );
}

function readText(from: number | null): string {
  if (from === null) return "only written";
  if (from === -1) return "as before the batch";
  return from === -2 ? "a sum of several" : `what item ${grouped(from)} left`;
}

function Places({ detail, query, link }: { detail: BatchDetail; query: URLSearchParams; link: Link }) {
  const { places, accessesCut } = detail;
  if (places.length === 0) return null;
  const most = Math.max(1, ...places.map(({ items }) => items));
  return (
    <section>
      <h2>Where items met</h2>
      <Table
        caption="Places that several items touched"
        head={["place", "items", "waited", "wrote"]}
        numbers={[2, 3]}
      >
        {places.map((place) => (
          <tr key={place.line} class={query.get("line") === String(place.line) ? "chosen" : ""}>
            <td>
              <a href={link({ line: place.line })}>
                <code>{nameOf(place)}</code>
              </a>
            </td>
            <td class="bar-cell">
              <svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
                <rect width={(place.items / most) * 100} height={8} class="present" />
                <rect width={(place.waited / most) * 100} height={8} class="hot" />
              </svg>
              <span>{grouped(place.items)}</span>
            </td>
            <td class="number">{grouped(place.waited)}</td>
            <td class="number">{grouped(place.writers)}</td>
          </tr>
        ))}
      </Table>
      <p class="quiet">
        Waited: items that read there what another item of their window had left.
        {accessesCut ? " There were more accesses than are kept." : ""}
      </p>
    </section>
  );
}

function nameOf({ name, address }: Pick<PlaceRow, "name" | "address">): string {
  return name ?? addressText(address);
}

/** Where the entry begins, with its key, of which the name tells: "accounts[7] + 64" is 64 bytes behind. */
function startOf(address: number, name: string): number {
  const offset = Number(/ \+ (\d+)$/.exec(name)?.[1] ?? 0);
  return offset <= Math.min(address, ENTRY_BYTES_MAX) ? address - offset : address;
}

function Place({ block, query, link, again, detail }: Parts) {
  const line = query.get("line");
  const { number, process } = detail.row;
  const asked = useAnswer<PlaceView>(urlOf("place", { block, again, batch: number, line }));
  return (
    <section class="panel">
      <Shown asked={asked}>
        {({ row, touches, count: all }) => (
          <>
            <h2>
              <code>{row === null ? `line ${line}` : nameOf(row)}</code>{" "}
              <a href={link({ line: null })}>close</a>
            </h2>
            <p>
              {count(all, "item")} touched these 64 bytes.{" "}
              <a
                href={blockLink(block, "memory", {
                  path: pathText(process),
                  address: addressText(startOf(Number(line) * 64, row?.name ?? "")),
                })}
              >
                Show them
              </a>
            </p>
            <Table caption="Items that touched it" head={["item", "read", "wrote"]}>
              {touches.map(({ item, from, wrote }) => (
                <tr key={item}>
                  <td>
                    <a href={link({ item })}>{grouped(item)}</a>
                  </td>
                  <td>{readText(from)}</td>
                  <td>{wrote ? "yes" : ""}</td>
                </tr>
              ))}
            </Table>
            {all > touches.length ? <p class="quiet">and {grouped(all - touches.length)} more</p> : null}
          </>
        )}
      </Shown>
    </section>
  );
}
