/** What differs between two blocks, and where two stores part: by process, then down to bytes. */

import type { ChainView } from "../views/chain.ts";
import type { DifferenceView, PartView, RangeDifference } from "../views/compare.ts";
import { urlOf, useAnswer } from "./api.ts";
import { addressText, count, grouped, pathText } from "./format.ts";
import { Fields, Hash, Shown, Table, Tag } from "./parts.tsx";
import { blockLink, goTo, linkTo } from "./place.ts";

export function Compare({
  block,
  parent,
  query,
}: {
  block: string;
  parent: string | null;
  query: URLSearchParams;
}) {
  const with_ = query.get("with") ?? parent;
  const path = query.get("path");
  const asked = useAnswer<DifferenceView>(
    with_ === null ? null : urlOf("diff", { a: with_, b: block, path }),
  );
  return (
    <>
      <Fields
        fields={[{ name: "with", label: "From the block with the id", value: with_ ?? "", wide: true }]}
        button="Compare"
        onSend={(values) => goTo(blockLink(block, "compare", values))}
      />
      {with_ === null ? (
        <p class="quiet">There is no block before: name one to compare with.</p>
      ) : (
        <Shown asked={asked}>
          {(view) => (
            <>
              <p class="lead">
                From block {grouped(view.a.height)} to block {grouped(view.b.height)}:{" "}
                {view.processes.length === 0
                  ? "the states are the same."
                  : count(view.processes.length, "process").replace(/processs$/, "processes")}
              </p>
              <Differences
                view={view}
                link={(of) => blockLink(block, "compare", { with: with_, path: of })}
                only={path}
                at={block}
                sides="before → after"
              />
            </>
          )}
        </Shown>
      )}
    </>
  );
}

function Differences({
  view,
  link,
  only,
  at,
  sides,
}: {
  view: DifferenceView;
  link: (path: string | null) => string;
  only: string | null;
  /** The block whose memory a range leads to; null: it is of another store. */
  at: string | null;
  /** What the bytes of either side are. */
  sides: string;
}) {
  const { processes, ranges, truncated } = view;
  if (processes.length === 0) return null;
  return (
    <>
      <Table
        caption="Processes that differ"
        head={["process", "", "bytes", "ranges", "its record"]}
        numbers={[2, 3]}
      >
        {processes.map(({ path, kind, bytes, ranges: number, fields }) => (
          <tr key={pathText(path)}>
            <td>
              <a href={link(pathText(path))}>
                <code>{pathText(path)}</code>
              </a>
            </td>
            <td>
              <Tag kind={kind}>{kind}</Tag>
            </td>
            <td class="number">{grouped(bytes)}</td>
            <td class="number">{grouped(number)}</td>
            <td class="quiet record">{fields.join(", ")}</td>
          </tr>
        ))}
      </Table>
      <h2>
        Bytes{only === null ? "" : ` of ${only}`} {only === null ? null : <a href={link(null)}>of all</a>}
      </h2>
      <Table caption="Ranges that differ" head={["where", "what", sides]}>
        {ranges.map((range) => (
          <Range key={`${pathText(range.path)} ${range.address}`} range={range} at={at} />
        ))}
      </Table>
      {truncated ? <p class="quiet">There is more than is shown: choose a process above.</p> : null}
    </>
  );
}

function Range({ range, at }: { range: RangeDifference; at: string | null }) {
  const { path, address, length, bytes, name, before, after } = range;
  const where = `${pathText(path)} ${addressText(address)}`;
  return (
    <tr>
      <td class="where">
        {at === null ? (
          <code>{where}</code>
        ) : (
          <a
            href={blockLink(at, "memory", {
              path: pathText(path),
              address: addressText(address - (address % 16)),
            })}
          >
            <code>{where}</code>
          </a>
        )}
        <br />
        <span class="quiet">
          {bytes === length ? count(bytes, "byte") : `${grouped(bytes)} of ${count(length, "byte")}`}
        </span>
      </td>
      <td class="value">{name === null ? <span class="quiet">no name</span> : <code>{name}</code>}</td>
      <td class="bytes-pair">
        <BytesOf hex={before} other={after} more={length * 2 > (before ?? "").length} />
        <BytesOf hex={after} other={before} more={length * 2 > (after ?? "").length} />
      </td>
    </tr>
  );
}

/** Stretches that are marked or not; what is behind the last counts to it, so that a row stays small. */
const RUNS = 7;

function BytesOf({ hex, other, more }: { hex: string | null; other: string | null; more: boolean }) {
  if (hex === null) return <code class="quiet">not there</code>;
  const pairs = hex.match(/../g) ?? [];
  const runs: { text: string; changed: boolean }[] = [];
  for (const [i, pair] of pairs.entries()) {
    const changed = other === null || other.slice(2 * i, 2 * i + 2) !== pair;
    const last = runs.at(-1);
    if (last !== undefined && (last.changed === changed || runs.length === RUNS)) last.text += ` ${pair}`;
    else runs.push({ text: pair, changed });
  }
  return (
    <code>
      {runs.map(({ text, changed }, i) =>
        changed ? <mark key={`${i}`}>{text}</mark> : <span key={`${i}`}> {text} </span>,
      )}
      {more ? "…" : ""}
    </code>
  );
}

/** Two stores: the first block that differs, and what differs there. */
export function Stores({ query }: { query: URLSearchParams }) {
  const chain = useAnswer<ChainView>(urlOf("chain"));
  return (
    <Shown asked={chain}>
      {({ others, name }) => {
        const other = query.get("other") ?? others[0];
        if (other === undefined)
          return (
            <>
              <h1>Other stores</h1>
              <p>Name another store to compare with when the inspector is started:</p>
              <pre>
                <code>stillpoint inspect {name} --web --other DIR</code>
              </pre>
            </>
          );
        return (
          <>
            <h1>Where two stores part</h1>
            {others.length > 1 ? (
              <nav class="regions" aria-label="Other stores">
                {others.map((each) => (
                  <a
                    key={each}
                    href={linkTo(["stores"], { other: each })}
                    aria-current={each === other ? "page" : undefined}
                  >
                    {each}
                  </a>
                ))}
              </nav>
            ) : null}
            <Part other={other} path={query.get("path")} />
          </>
        );
      }}
    </Shown>
  );
}

function Part({ other, path }: { other: string; path: string | null }) {
  const asked = useAnswer<PartView>(urlOf("part", { other, path }));
  return (
    <Shown asked={asked}>
      {(view) => {
        const { height, names, earlier, a, b } = view;
        if (height === null)
          return (
            <p class="lead">
              {names[0]} and {names[1]} are the same, as far as both go: to block {grouped(view.common ?? 0)}.
            </p>
          );
        return (
          <>
            <p class="lead">
              Block {grouped(height)} is the first that differs
              {earlier ? ", or an earlier one that is not retained any more" : ""}.
            </p>
            <dl class="facts">
              <div>
                <dt>{names[0]}</dt>
                <dd>
                  <Hash of={a.id} digits={16} link={blockLink(a.id)} /> root <Hash of={a.root} />
                </dd>
              </div>
              <div>
                <dt>{names[1]}</dt>
                <dd>
                  <Hash of={b.id} digits={16} /> root <Hash of={b.root} />
                </dd>
              </div>
            </dl>
            {view.processes.length === 0 ? (
              <p>Their states are the same: what they were made from is not.</p>
            ) : (
              <Differences
                view={view}
                link={(of) => linkTo(["stores"], { other, path: of })}
                only={path}
                at={a.id}
                sides="this store → the other"
              />
            )}
          </>
        );
      }}
    </Shown>
  );
}
