/**
 * docs/speeds.svg: bars of what was measured. `npm run bench -- evm ledger roundtrip --json` measures, into
 * docs/speeds.jsonl; `node scripts/speeds.ts` draws, and a test compares.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { grouped } from "../runtime/cli/terminal.ts";

const MEASURED = fileURLToPath(new URL("../docs/speeds.jsonl", import.meta.url));
export const SPEEDS = fileURLToPath(new URL("../docs/speeds.svg", import.meta.url));

/** Bars that belong together. */
interface Group {
  readonly title: string;
  readonly unit: string;
  /** By the benchmark's name of the row: what people call it. */
  readonly bars: Readonly<Record<string, string>>;
}

const GROUPS: readonly Group[] = [
  {
    title: "Ethereum blocks with contracts",
    unit: "Mgas/s",
    bars: {
      "all: @ethereumjs/evm": "@ethereumjs/evm, in JavaScript",
      "all: loop of the batch variant": "one thread",
      "all: 2 workers, deciding": "two threads, transactions in parallel",
      "all: plain": "the interpreter alone, without a runtime",
    },
  },
  {
    title: "Transfers of 20,000 to a block",
    unit: "a second",
    bars: {
      "produce, large block": "as items of a batch",
      "inside the guest, large block": "in the guest alone",
      "reference, large block": "in plain JavaScript",
    },
  },
  {
    title: "To start a task, run it and take its result",
    unit: "µs",
    bars: {
      "inline, one page changed": "a child, on the same thread",
      "on another worker beside the parent's work": "a child, on another thread",
      "a piscina task": "a task of piscina",
    },
  },
];

/** A line of the benchmarks' JSON. */
interface Row {
  readonly benchmark: string;
  readonly name: string;
  readonly value: number;
}

const [WIDTH, LABEL_WIDTH, VALUE_WIDTH, BAR, TITLE] = [760, 280, 150, 26, 40];

/** The picture. */
export function speeds(): string {
  const rows = readFileSync(MEASURED, "utf8").trim().split("\n");
  const values = new Map(rows.map((line) => JSON.parse(line) as Row).map(({ name, value }) => [name, value]));
  const parts: string[] = [];
  const words: string[] = [];
  let y = 0;
  for (const { title, unit, bars } of GROUPS) {
    const shown = Object.entries(bars).map(([name, label]) => ({
      label,
      value: measured(values, name),
    }));
    const most = Math.max(...shown.map(({ value }) => value));
    parts.push(`<text class="title" x="0" y="${y + 24}">${title}</text>`);
    y += TITLE;
    for (const { label, value } of shown) {
      const width = ((WIDTH - LABEL_WIDTH - VALUE_WIDTH) * value) / most;
      const text = `${rounded(value)} ${unit}`;
      parts.push(
        `<text class="label" x="${LABEL_WIDTH - 8}" y="${y + 15}">${label}</text>`,
        `<rect x="${LABEL_WIDTH}" y="${y + 2}" width="${width.toFixed(1)}" height="${BAR - 8}" rx="2"/>`,
        `<text x="${(LABEL_WIDTH + width + 8).toFixed(1)}" y="${y + 15}">${text}</text>`,
      );
      y += BAR;
    }
    words.push(
      `${title}: ${shown.map(({ label, value }) => `${label} ${rounded(value)} ${unit}`).join(", ")}`,
    );
  }
  const named = 'role="img" aria-labelledby="title about"';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 8}" ${named}>
<title id="title">Measured speeds</title>
<desc id="about">${words.join(". ")}.</desc>
<style>
  text { font: 13px system-ui, sans-serif; fill: #333 }
  .title { font-weight: 600; fill: #111 }
  .label { text-anchor: end }
  rect { fill: #2f6fc0 }
  @media (prefers-color-scheme: dark) {
    text { fill: #c5ccd3 }
    .title { fill: #f0f3f6 }
    rect { fill: #5b9bea }
  }
</style>
${parts.join("\n")}
</svg>
`;
}

function measured(values: ReadonlyMap<string, number>, name: string): number {
  const value = values.get(name);
  if (value === undefined) throw new Error(`scripts/speeds.ts: docs/speeds.jsonl has no row "${name}"`);
  return value;
}

/** Two figures, as much as such measurements are good for. */
function rounded(value: number): string {
  if (value >= 1000) return grouped(Number(value.toPrecision(2)));
  return String(Number(value.toPrecision(2)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(SPEEDS, speeds());
