/** Which items wait for which: columns by how long the chain before them is, the critical path marked. */

import type { Graph as GraphOf } from "../views/batch.ts";
import { count, grouped, microsText } from "./format.ts";
import { Table } from "./parts.tsx";
import type { Link } from "./place.ts";

const COLUMN = 74;
const ROW = 26;
const NODE = 42;

export function Graph({ graph, link, selected }: { graph: GraphOf; link: Link; selected: string | null }) {
  const { edges, critical, depths } = graph;
  if (edges === 0) return <p class="quiet">No item read what another one of its window had left.</p>;
  return (
    <section>
      <h2>Which items waited for which</h2>
      <p>
        The critical path has {count(critical.count, "item")} and takes {microsText(critical.micros)} of{" "}
        {microsText(critical.totalMicros)} that all items take together: no number of threads is faster.
      </p>
      <Picture graph={graph} link={link} selected={selected} />
      <Depths depths={depths} />
      {critical.items.length === 0 ? null : (
        <details open={critical.items.length <= 12}>
          <summary>The critical path{critical.count > critical.items.length ? ", its end" : ""}</summary>
          <Table caption="The critical path" head={["item", "over", "took"]} numbers={[2]}>
            {critical.items.map(({ item, micros, over }) => (
              <tr key={item}>
                <td>
                  <a href={link({ item })}>{grouped(item)}</a>
                </td>
                <td>
                  <code>{over ?? ""}</code>
                </td>
                <td class="number">{microsText(micros)}</td>
              </tr>
            ))}
          </Table>
        </details>
      )}
    </section>
  );
}

function Picture({
  graph: { nodes, links },
  link,
  selected,
}: {
  graph: GraphOf;
  link: Link;
  selected: string | null;
}) {
  const columns = [...new Set(nodes.map(({ depth }) => depth))].sort((a, b) => a - b);
  const rows = new Map<number, number>();
  const places = new Map(
    // The critical path is the first row.
    nodes
      .toSorted((a, b) => Number(b.isCritical) - Number(a.isCritical) || a.item - b.item)
      .map((node) => {
        const column = columns.indexOf(node.depth);
        const row = rows.get(column) ?? 0;
        rows.set(column, row + 1);
        return [node.item, { x: 8 + column * COLUMN, y: 8 + row * ROW, node }] as const;
      }),
  );
  const height = 16 + Math.max(1, ...rows.values()) * ROW;
  const width = 16 + columns.length * COLUMN;
  /** All links in one path: a picture has few nodes. */
  const curves = (critical: boolean): string =>
    links
      .map(([item, lower]) => {
        const [to, from] = [places.get(item), places.get(lower)];
        if (to === undefined || from === undefined) return "";
        if ((from.node.isCritical && to.node.isCritical) !== critical) return "";
        const [x1, y1, x2, y2] = [from.x + NODE, from.y + 9, to.x, to.y + 9];
        const middle = (x1 + x2) / 2;
        return `M${x1} ${y1} C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
      })
      .join("");
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: keys scroll it
    <section class="scroll graph" aria-label="Items and those that they waited for" tabIndex={0}>
      <svg
        width={width}
        height={height}
        role="img"
        aria-label="Items, from left to right those that waited longer"
      >
        <path d={curves(false)} class="link" />
        <path d={curves(true)} class="link critical" />
        {[...places.values()].map(({ x, y, node }) => (
          <a key={node.item} href={link({ item: node.item })} aria-label={`item ${node.item}`}>
            <rect
              x={x}
              y={y}
              width={NODE}
              height={18}
              rx={4}
              class={nodeClass(node.isCritical, selected === String(node.item))}
            />
            <text x={x + NODE / 2} y={y + 13}>
              {node.item}
            </text>
          </a>
        ))}
      </svg>
    </section>
  );
}

function nodeClass(isCritical: boolean, isChosen: boolean): string {
  return `node ${isCritical ? "critical" : ""} ${isChosen ? "chosen" : ""}`;
}

/** Number of items by the number of items before them. */
function Depths({ depths }: { depths: readonly number[] }) {
  const most = Math.max(1, ...depths);
  if (depths.length < 3) return null;
  return (
    <figure>
      <figcaption class="quiet">
        Items by the number of items on the chain that ends with them, 1 to {depths.length}
      </figcaption>
      <svg
        class="depths"
        viewBox={`0 0 ${depths.length} 40`}
        preserveAspectRatio="none"
        role="img"
        aria-label="Items by depth"
      >
        {depths.map((items, i) => (
          <rect
            key={`${i + 1}`}
            x={i + 0.05}
            width={0.9}
            y={40 - Math.max(items > 0 ? 1 : 0, (items / most) * 40)}
            height={40}
            class="blue"
          >
            <title>{`${grouped(items)} of depth ${i + 1}`}</title>
          </rect>
        ))}
      </svg>
    </figure>
  );
}
