/** Gas by process and by function, and faults with stacks: of a block that is executed again for it. */

import type { FaultsView, FaultView, GasView } from "../views/gas.ts";
import { urlOf, useAnswer } from "./api.ts";
import { count, grouped, hashText, pathText, short } from "./format.ts";
import { Pager, Problem, Shown, Table, Tag } from "./parts.tsx";
import { blockLink } from "./place.ts";

export function Gas({ block }: { block: string }) {
  const asked = useAnswer<GasView>(urlOf("gas", { block }));
  if (asked.value === null && asked.error === null) return <Executing />;
  return (
    <Shown asked={asked}>
      {(view) => {
        const { processes, others, functions, total } = view;
        const most = processes[0]?.gas ?? 1;
        return (
          <>
            <Again sameRoot={view.sameRoot} />
            <Table
              caption="Gas by process"
              head={["process", "its own gas", "share", "runs", "items"]}
              numbers={[2, 3, 4]}
            >
              {processes.map(({ path, program, activations, items, gas }) => (
                <tr key={pathText(path)}>
                  <td>
                    <a
                      href={blockLink(block, "processes", { path: pathText(path) })}
                      title={`program ${hashText(program)}`}
                    >
                      <code>{pathText(path)}</code>
                    </a>
                  </td>
                  <td class="bar-cell">
                    <Bar share={gas / most} />
                    <span title={grouped(gas)}>{short(gas)}</span>
                  </td>
                  <td class="number">{total === 0 ? "" : `${((gas / total) * 100).toFixed(1)} %`}</td>
                  <td class="number">{grouped(activations)}</td>
                  <td class="number">{items === 0 ? "" : grouped(items)}</td>
                </tr>
              ))}
            </Table>
            {others.count > 0 ? (
              <p class="quiet">
                and {grouped(others.count)} more processes with {grouped(others.gas)} gas
              </p>
            ) : null}
            {functions.length > 0 ? (
              <>
                <h2>By function</h2>
                <Table
                  caption="Gas by function"
                  head={["function", "gas", "calls", "failed", "mean", "most"]}
                  numbers={[2, 3, 4, 5]}
                >
                  {functions.map(({ call, count: calls, failed, gas, most: worst }) => (
                    <tr key={call}>
                      <td>
                        <code>{call}</code>
                      </td>
                      <td class="bar-cell">
                        <Bar share={gas / (functions[0]?.gas || 1)} />
                        <span title={grouped(gas)}>{short(gas)}</span>
                      </td>
                      <td class="number">{grouped(calls)}</td>
                      <td class="number">{grouped(failed)}</td>
                      <td class="number">{grouped(Math.round(gas / calls))}</td>
                      <td class="number">{grouped(worst)}</td>
                    </tr>
                  ))}
                </Table>
              </>
            ) : null}
          </>
        );
      }}
    </Shown>
  );
}

function Executing() {
  return (
    <p class="quiet" role="status">
      Executing the block again, in memory…
    </p>
  );
}

const OTHER_ROOT =
  "Executed again, the block has another root: this build, or the store, is not the one that made it.";

function Again({ sameRoot }: { sameRoot: boolean }) {
  if (!sameRoot) return <Problem text={OTHER_ROOT} />;
  return <p class="quiet">Executed again in memory on one thread, with the same root.</p>;
}

export function Bar({ share }: { share: number }) {
  return (
    <svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect width={Math.max(0.5, Math.min(1, share) * 100)} height={8} class="blue" />
    </svg>
  );
}

export function Faults({ block, query }: { block: string; query: URLSearchParams }) {
  const asked = useAnswer<FaultsView>(urlOf("faults", { block, from: query.get("from") }));
  if (asked.value === null && asked.error === null) return <Executing />;
  return (
    <Shown asked={asked}>
      {(view) => (
        <>
          <p class="lead">{view.count === 0 ? "Nothing faulted." : count(view.count, "fault")}</p>
          <ol class="faults" start={view.from + 1}>
            {view.faults.map((fault, i) => (
              <Fault key={`${view.from + i}`} fault={fault} />
            ))}
          </ol>
          <Pager
            back={view.from === 0 ? null : blockLink(block, "faults", { from: Math.max(0, view.from - 40) })}
            next={view.next === null ? null : blockLink(block, "faults", { from: view.next })}
            text={`from ${grouped(view.from)}`}
          />
        </>
      )}
    </Shown>
  );
}

function Fault({
  fault: { path, item, fault, text, gasUsed, stack, moreFrames, call },
}: {
  fault: FaultView;
}) {
  return (
    <li>
      <p>
        <code>{pathText(path)}</code>
        {item === null ? "" : ` item ${grouped(item)}`} <Tag kind="bad">{fault}</Tag> {text}{" "}
        <span class="quiet">after {grouped(gasUsed)} gas</span>
      </p>
      {call === null ? null : (
        <p>
          <code>{call}</code>
        </p>
      )}
      <ol class="stack">
        {stack.map(({ name, place, from }, i) => (
          <li key={`${i}`}>
            <code>{name}</code> <span class="quiet">{from === null ? place : `${from}, in ${place}`}</span>
          </li>
        ))}
        {moreFrames > 0 ? <li class="quiet">and {grouped(moreFrames)} more</li> : null}
      </ol>
    </li>
  );
}
