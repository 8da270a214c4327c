/** The tree of processes: what a block changed of each, sizes to scale, and pages as a heat map. */

import type { Cells, Surveyed } from "../../chain/survey.ts";
import type { PagesView, ProcessesView } from "../views/processes.ts";
import { urlOf, useAnswer } from "./api.ts";
import { addressText, bytesText, count, grouped, pathText, short } from "./format.ts";
import { Facts, Hash, Pager, Problem, Shown, Table, Tag } from "./parts.tsx";
import { blockLink, goTo } from "./place.ts";

const PAGE_BYTES = 4096;

interface Given {
  readonly block: string;
  readonly query: URLSearchParams;
}

export function Processes({ block, query }: Given) {
  const path = query.get("path") ?? "/";
  const changed = query.get("changed") === "1";
  const asked = useAnswer<ProcessesView>(
    urlOf("processes", { block, path, changed, from: query.get("from") }),
  );
  return <Shown asked={asked}>{(view) => <Loaded block={block} view={view} query={query} />}</Shown>;
}

function Loaded({ block, view, query }: Given & { view: ProcessesView }) {
  const { path, self, compared, children, contracts } = view;
  const { view: shown } = self;
  return (
    <>
      <Crumbs block={block} path={path} />
      {compared.with === null ? <p class="quiet">Nothing to compare with: {compared.reason}.</p> : null}
      <section class="split">
        <div>
          <h2>
            Process {pathText(path)} <Changed of={self} />
          </h2>
          {shown === null ? null : <About view={shown} contracts={contracts} />}
        </div>
        <Pages block={block} path={path} query={query} />
      </section>
      <Children block={block} path={path} children={children} />
    </>
  );
}

function Crumbs({ block, path }: { block: string; path: readonly number[] }) {
  const steps = [[], ...path.map((_, i) => path.slice(0, i + 1))];
  return (
    <nav class="crumbs" aria-label="Path">
      {steps.map((step, i) => (
        <a
          key={step.join("/")}
          href={blockLink(block, "processes", { path: pathText(step) })}
          aria-current={i === steps.length - 1 ? "page" : undefined}
        >
          {i === 0 ? "/ root" : step.at(-1)}
        </a>
      ))}
    </nav>
  );
}

function Changed({ of: { change, pagesChanged } }: { of: Pick<Surveyed, "change" | "pagesChanged"> }) {
  if (change === "same") return <Tag kind="soft">unchanged</Tag>;
  if (change === "unknown") return null;
  if (change === "changed")
    return <Tag kind="changed">{pagesChanged > 0 ? count(pagesChanged, "page") : "changed"}</Tag>;
  return <Tag kind={change}>{change}</Tag>;
}

type View = NonNullable<Surveyed["view"]>;

function About({ view, contracts }: { view: View; contracts: readonly string[] }) {
  const { status, fault, text, program, hash, memoryBytes, gasUsed, gas, childCount, quota } = view;
  return (
    <Facts
      rows={[
        [
          "status",
          fault === null ? (
            status
          ) : (
            <>
              <Tag kind="bad">{fault}</Tag> {text}
            </>
          ),
        ],
        [
          "program",
          <>
            <Hash key="p" of={program} /> {contracts.join(", ")}
          </>,
        ],
        ["hash", <Hash key="h" of={hash} digits={16} />],
        [
          "memory",
          `${bytesText(memoryBytes)}; it may have ${bytesText(quota.memoryPages * PAGE_BYTES)} more`,
        ],
        ["gas", `${grouped(gasUsed)} used${gas > 0 ? `, ${grouped(gas)} to run with` : ""}`],
        ["children", `${grouped(childCount)}; it may have ${grouped(quota.processes)} more`],
      ]}
    />
  );
}

const COLUMNS = 32;

/** A heat map: each cell some pages next to each other, by how many of them the block changed. */
function Pages({ block, path, query }: { block: string; path: readonly number[]; query: URLSearchParams }) {
  const from = query.get("pages");
  const asked = useAnswer<PagesView>(urlOf("pages", { block, path: pathText(path), from }));
  return (
    <div class="pages">
      <h2>Pages</h2>
      <Shown asked={asked}>
        {(view) => {
          const { cells, memoryBytes, pages, next } = view;
          const link = (address: number): string =>
            blockLink(block, "memory", { path: pathText(path), address: addressText(address) });
          return (
            <>
              <p class="quiet">
                {grouped(cells.present)} of {count(Math.ceil(memoryBytes / PAGE_BYTES), "page")} hold anything
                {view.compared.with === null ? "" : `, ${grouped(cells.changed)} changed`}
                {cells.span > 1 ? `; a cell is ${cells.span} pages` : ""}
              </p>
              <Heat
                cells={cells}
                count={Math.ceil(memoryBytes / PAGE_BYTES)}
                link={(first) => link(first * PAGE_BYTES)}
              />
              <Legend isCompared={view.compared.with !== null} />
              {pages.length > 0 ? (
                <details>
                  <summary>{from === null ? "First" : "More"} changed pages</summary>
                  <ul class="plain">
                    {pages.map(({ page, address, name }) => (
                      <li key={page}>
                        <a href={link(address)}>
                          <code>{addressText(address)}</code>
                        </a>{" "}
                        <span class="quiet">{name ?? ""}</span>
                      </li>
                    ))}
                  </ul>
                  {next === null ? null : (
                    <a href={blockLink(block, "processes", { path: pathText(path), pages: next })}>more →</a>
                  )}
                </details>
              ) : null}
            </>
          );
        }}
      </Shown>
    </div>
  );
}

function Heat({
  cells,
  count: pages,
  link,
}: {
  cells: Cells;
  count: number;
  link: (first: number) => string;
}) {
  const total = Math.max(1, Math.ceil(pages / cells.span));
  const columns = Math.min(COLUMNS, total);
  const rows = Math.ceil(total / columns);
  const size = 10;
  const pick = (event: MouseEvent): void => {
    const box = (event.currentTarget as SVGSVGElement).getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
    const cell = row * columns + column;
    if (cell < total) goTo(link(cell * cells.span));
  };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the list of changed pages has the same links
    <svg
      class="heat"
      viewBox={`0 0 ${columns * size} ${rows * size}`}
      style={{ maxWidth: `${columns * 14}px` }}
      role="img"
      aria-label="Pages of the process; the list below has those that changed"
      onClick={pick}
    >
      <rect width={columns * size} height={rows * size} class="empty" />
      {cells.cells.map(({ first, present, changed }) => {
        const at = first / cells.span;
        const share = changed === 0 ? "" : changed / Math.max(1, present) > 0.5 ? "hot" : "warm";
        return (
          <rect
            key={first}
            x={(at % columns) * size + 0.7}
            y={Math.floor(at / columns) * size + 0.7}
            width={size - 1.4}
            height={size - 1.4}
            rx={1.5}
            class={present === 0 ? "gone" : `present ${share}`}
          >
            <title>{cellText(first, present, changed)}</title>
          </rect>
        );
      })}
    </svg>
  );
}

function cellText(first: number, present: number, changed: number): string {
  return `${addressText(first * PAGE_BYTES)}: ${grouped(present)} present, ${grouped(changed)} changed`;
}

function Legend({ isCompared }: { isCompared: boolean }) {
  return (
    <p class="legend">
      <span class="key empty">zero</span>
      <span class="key present">held</span>
      {isCompared ? <span class="key warm">some changed</span> : null}
      {isCompared ? <span class="key hot">most changed</span> : null}
    </p>
  );
}

function Children({
  block,
  path,
  children: { rows, from, changed, next, cells },
}: {
  block: string;
  path: readonly number[];
  children: ProcessesView["children"];
}) {
  const here = (parameters: Record<string, string | number | boolean | null>): string =>
    blockLink(block, "processes", { path: pathText(path), changed, ...parameters });
  if (cells.present === 0 && cells.changed === 0) return <p class="quiet">It has no children.</p>;
  const most = Math.max(1, ...rows.map(({ view }) => view?.memoryBytes ?? 0));
  return (
    <section>
      <h2>
        {count(cells.present, "child").replace(/childs$/, "children")}, {grouped(cells.changed)} changed
      </h2>
      {cells.present > rows.length ? <Strip cells={cells} link={(first) => here({ from: first })} /> : null}
      <p>
        <a href={here({ changed: !changed, from: null })}>
          {changed ? "Show all children" : "Show only those that changed"}
        </a>
      </p>
      <Table
        caption="Children"
        head={["process", "memory, to scale", "state", "gas", "children", ""]}
        numbers={[3, 4]}
      >
        {rows.map((row) => (
          <Child
            key={row.number}
            row={row}
            most={most}
            link={blockLink(block, "processes", { path: pathText([...path, row.number]), changed })}
            name={pathText([...path, row.number])}
          />
        ))}
      </Table>
      <Pager
        back={from > 0 ? here({ from: null }) : null}
        next={next === null ? null : here({ from: next })}
        text={`from number ${grouped(from)}`}
      />
    </section>
  );
}

function Child({ row, most, link, name }: { row: Surveyed; most: number; link: string; name: string }) {
  const { view, damage, change, pagesChanged } = row;
  if (view === null)
    return (
      <tr>
        <td>
          <code>{name}</code>
        </td>
        <td colSpan={5}>
          <Problem text={damage ?? "it cannot be read"} />
        </td>
      </tr>
    );
  const width = Math.max(0.5, (view.memoryBytes / most) * 100);
  const hot = view.memoryBytes === 0 ? 0 : Math.min(width, (pagesChanged * PAGE_BYTES * 100) / most);
  return (
    <tr class={change === "same" ? "quiet" : ""}>
      <td>
        <a href={link}>
          <code>{name}</code>
        </a>
      </td>
      <td class="bar-cell">
        <svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
          <rect width={width} height={8} class="present" />
          {change === "changed" && hot > 0 ? (
            <rect width={Math.max(0.8, hot)} height={8} class="hot" />
          ) : null}
        </svg>
        <span>{bytesText(view.memoryBytes)}</span>
      </td>
      <td>{view.fault === null ? view.status : <Tag kind="bad">{view.fault}</Tag>}</td>
      <td class="number" title={grouped(view.gasUsed)}>
        {short(view.gasUsed)}
      </td>
      <td class="number">{grouped(view.childCount)}</td>
      <td>
        <Changed of={row} />
      </td>
    </tr>
  );
}

/** Where in the numbers of children there are any, and where they changed. */
function Strip({ cells, link }: { cells: Cells; link: (first: number) => string }) {
  const last = cells.cells.at(-1)?.first ?? 0;
  const total = last / cells.span + 1;
  return (
    <svg
      class="strip"
      viewBox={`0 0 ${total} 10`}
      preserveAspectRatio="none"
      role="img"
      aria-label="Children by number"
    >
      {cells.cells.map(({ first, present, changed }) => (
        <a key={first} href={link(first)} tabIndex={-1}>
          <rect
            x={first / cells.span}
            width={0.92}
            height={10}
            class={changed === 0 ? "present" : changed / Math.max(1, present) > 0.5 ? "hot" : "warm"}
          >
            <title>{`from ${grouped(first)}: ${grouped(present)}, ${grouped(changed)} changed`}</title>
          </rect>
        </a>
      ))}
    </svg>
  );
}
