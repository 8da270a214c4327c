/** Memory as hex and as values: any range of any process, with what the block changed of it. */

import { useState } from "preact/hooks";
import type { MemoryView, NamedLine, StateView } from "../views/memory.ts";
import { urlOf, useAnswer } from "./api.ts";
import { addressText, bytesOf, bytesText, grouped, pathText } from "./format.ts";
import { Fields, Pager, Problem, Shown, Table } from "./parts.tsx";
import { blockLink, goTo } from "./place.ts";

const LENGTH = 512;
const ROW = 16;

interface Given {
  readonly block: string;
  readonly parent: string | null;
  readonly query: URLSearchParams;
}

export function Memory({ block, parent, query }: Given) {
  const path = query.get("path") ?? "/1";
  const address = query.get("address") ?? "0";
  const name = query.get("name");
  const fields = [
    { name: "path", label: "Process", value: path },
    { name: "address", label: "Address", value: address },
  ];
  const asked = useAnswer<MemoryView>(
    urlOf("memory", { block, path, address, length: LENGTH, base: parent }),
  );
  // A process that the block made is not in the one before.
  const alone = useAnswer<MemoryView>(
    asked.error === null || parent === null
      ? null
      : urlOf("memory", { block, path, address, length: LENGTH }),
  );
  const shown = alone.value === null ? asked : alone;
  return (
    <>
      <Fields fields={fields} button="Show" onSend={(values) => goTo(blockLink(block, "memory", values))} />
      <Shown asked={shown}>
        {(view) => (
          <>
            <Regions block={block} view={view} name={name} />
            {name === null ? (
              <Bytes block={block} view={view} />
            ) : (
              <State block={block} path={path} name={name} from={query.get("from")} />
            )}
          </>
        )}
      </Shown>
    </>
  );
}

/** Collections of the state, as ways to their values or bytes. */
function Regions({ block, view, name }: { block: string; view: MemoryView; name: string | null }) {
  const path = pathText(view.path);
  if (view.regions.length === 0) return null;
  return (
    <nav class="regions" aria-label="State by name">
      <a
        href={blockLink(block, "memory", { path, address: addressText(view.address) })}
        aria-current={name === null ? "page" : undefined}
      >
        bytes
      </a>
      {view.regions.map((region) => (
        <a
          key={region.name}
          href={blockLink(
            block,
            "memory",
            region.type === null
              ? { path, address: addressText(region.address) }
              : { path, name: region.name },
          )}
          aria-current={region.name === name ? "page" : undefined}
          title={`${region.type ?? "state"} at ${addressText(region.address)}`}
        >
          {region.name}
        </a>
      ))}
    </nav>
  );
}

function Bytes({ block, view }: { block: string; view: MemoryView }) {
  const { address, length, memoryBytes, damaged, base } = view;
  const [at, setAt] = useState(address);
  const bytes = bytesOf(view.hex);
  const before = base === null ? null : bytesOf(base.hex);
  const path = pathText(view.path);
  const link = (to: number): string =>
    blockLink(block, "memory", { path, address: addressText(Math.max(0, Math.min(to, memoryBytes - 1))) });
  const rows = Array.from({ length: Math.ceil(length / ROW) }, (_, i) => i * ROW);
  const selected = at >= address && at < address + length ? at : address;
  return (
    <>
      {damaged.map((each) => (
        <Problem
          key={each.address}
          text={`${addressText(each.address)}, ${grouped(each.length)} bytes: ${each.reason}`}
        />
      ))}
      <div class="hex-and-values">
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: keys scroll it */}
        <section class="scroll hex" aria-label="Bytes" tabIndex={0}>
          {rows.map((row) => (
            <HexRow
              key={row}
              address={address + row}
              bytes={bytes.subarray(row, row + ROW)}
              before={before?.subarray(row, row + ROW) ?? null}
              name={nameFor(view, address + row)}
              isSelected={selected >= address + row && selected < address + row + ROW}
              onPick={() => setAt(address + row)}
            />
          ))}
        </section>
        <Values
          at={selected}
          line={view.names.find((each) => each.address === selected - (selected % 64)) ?? null}
          bytes={bytes.subarray(selected - address)}
          block={block}
          path={path}
        />
      </div>
      <Pager
        back={address > 0 ? link(address - LENGTH) : null}
        next={address + length < memoryBytes ? link(address + length) : null}
        text={`${addressText(address)} of ${bytesText(memoryBytes)}`}
      />
      {before === null ? null : (
        <p class="legend">
          <span class="key hot">changed by this block</span>
        </p>
      )}
    </>
  );
}

/** The name of the line of 64 bytes, beside its first row that is shown. */
function nameFor({ names, address: first }: MemoryView, address: number): string {
  const line = address - (address % 64);
  const isFirst = address === line || address === first;
  return isFirst ? (names.find((each) => each.address === line)?.name ?? "") : "";
}

function HexRow({
  address,
  bytes,
  before,
  name,
  isSelected,
  onPick,
}: {
  address: number;
  bytes: Uint8Array;
  before: Uint8Array | null;
  name: string;
  isSelected: boolean;
  onPick: () => void;
}) {
  const hex = (from: number, to: number): string =>
    [...bytes.subarray(from, to)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const text = [...bytes]
    .map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·"))
    .join("");
  const isZero = bytes.every((byte) => byte === 0);
  return (
    <div class={`hex-row ${isZero ? "zero" : ""} ${isSelected ? "selected" : ""}`}>
      <button type="button" class="plain-button" onClick={onPick} aria-pressed={isSelected}>
        {addressText(address)}
      </button>
      <code>
        {runs(bytes, before).map(({ from, to, changed }) =>
          changed ? <mark key={from}>{hex(from, to)}</mark> : <span key={from}>{hex(from, to)}</span>,
        )}
      </code>
      <code class="text">{text}</code>
      <span class="name">{name}</span>
    </div>
  );
}

/** Stretches of a row that are changed, and those that are not. */
function runs(
  bytes: Uint8Array,
  before: Uint8Array | null,
): { from: number; to: number; changed: boolean }[] {
  const found: { from: number; to: number; changed: boolean }[] = [];
  for (let i = 0; i < bytes.length; i++) {
    const changed = before !== null && before[i] !== bytes[i];
    const last = found.at(-1);
    if (last?.changed === changed) last.to = i + 1;
    else found.push({ from: i, to: i + 1, changed });
  }
  return found;
}

/** The bytes from one address on, read as each kind of number. */
function Values({
  at,
  line,
  bytes,
  block,
  path,
}: {
  at: number;
  line: NamedLine | null;
  bytes: Uint8Array;
  block: string;
  path: string;
}) {
  const padded = new Uint8Array(32);
  padded.set(bytes.subarray(0, 32));
  const view = new DataView(padded.buffer);
  const wide = (length: number): string =>
    String(padded.subarray(0, length).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n));
  const rows: [string, string][] = [
    ["u8", String(view.getUint8(0))],
    ["u16", String(view.getUint16(0, true))],
    ["u32", String(view.getUint32(0, true))],
    ["i32", String(view.getInt32(0, true))],
    ["u64", String(view.getBigUint64(0, true))],
    ["i64", String(view.getBigInt64(0, true))],
    ["f64", String(view.getFloat64(0, true))],
    ["u128", wide(16)],
    ["u256", wide(32)],
    [
      "20 bytes",
      `0x${[...padded.subarray(0, 20)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`,
    ],
  ];
  return (
    <aside class="values" aria-label="Values">
      <h2>At {addressText(at)}</h2>
      {line === null ? null : (
        <p class="entry">
          <code>{line.name}</code>
          {line.value === null ? null : <code class="quiet">{line.value}</code>}
        </p>
      )}
      <dl>
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <a href={blockLink(block, "proof", { path, address: addressText(at), length: 32 })}>
        prove these 32 bytes
      </a>
    </aside>
  );
}

function countText(count: number | null, capacity: number): string {
  return count === null ? `at most ${grouped(capacity)}` : `${grouped(count)} of ${grouped(capacity)}`;
}

function State({
  block,
  path,
  name,
  from,
}: {
  block: string;
  path: string;
  name: string;
  from: string | null;
}) {
  const asked = useAnswer<StateView>(urlOf("state", { block, path, name, from }));
  return (
    <Shown asked={asked}>
      {({ region, count, entries, next, from: at }) => (
        <>
          <p class="lead">
            <code>{region.name}</code>: {region.type}, {countText(count, region.capacity ?? 0)}
          </p>
          {entries.length === 0 ? (
            <p class="quiet">None here.</p>
          ) : (
            <Table
              caption={`Entries of ${name}`}
              head={region.type?.startsWith("StateCell") ? ["value", "at"] : ["key", "value", "at"]}
            >
              {entries.map(({ key, value, address }) => (
                <tr key={address}>
                  {key === null ? null : (
                    <td class="value">
                      <code>{key}</code>
                    </td>
                  )}
                  <td class="value">
                    <code>{value ?? "present"}</code>
                  </td>
                  <td>
                    <a href={blockLink(block, "memory", { path, address: addressText(address) })}>
                      <code>{addressText(address)}</code>
                    </a>
                  </td>
                </tr>
              ))}
            </Table>
          )}
          <Pager
            back={at === 0 ? null : blockLink(block, "memory", { path, name })}
            next={next === null ? null : blockLink(block, "memory", { path, name, from: next })}
            text={at === 0 ? "from the start" : `from ${grouped(at)}`}
          />
        </>
      )}
    </Shown>
  );
}
