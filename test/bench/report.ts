/** What a benchmark reports, and the two ways to print it: an aligned table, or one JSON object per line. */

import { grouped } from "../../runtime/cli/terminal.ts";

export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** Half the distance between the quartiles, as a share of the value. */
  readonly spread?: number;
  /** Name of the row that `ratio` divides by. */
  readonly baseline?: string;
  readonly ratio?: number;
  /** Why the row is what it is, where that needs saying. */
  readonly documented?: string;
}

export interface Report {
  row(row: Row): void;
  /** A remark for readers of the table. */
  note(text: string): void;
}

/** What may be asked of a benchmark. */
export interface BenchmarkOptions {
  /** Only rows whose name has that text, where a benchmark can measure them alone. */
  readonly rows?: string;
  /** How many operations, of a benchmark that is a run of so many. */
  readonly count?: number;
}

/** A benchmark module exports this as `run`. */
export type Benchmark = (report: Report, options: BenchmarkOptions) => Promise<void> | void;

type Print = (line: string) => void;

export function jsonReport(benchmark: string, print: Print): Report {
  return {
    row: (row) => print(JSON.stringify({ benchmark, ...row })),
    note: () => {},
  };
}

export function tableReport(benchmark: string, print: Print): Report {
  print(`\n${benchmark}`);
  return {
    row: ({ name, value, unit, spread, baseline, ratio, documented }) => {
      const cells = [
        `  ${name.padEnd(44)}`,
        `${formatNumber(value).padStart(10)} ${unit.padEnd(12)}`,
        (spread === undefined ? "" : `±${(spread * 100).toFixed(1)} %`).padStart(8),
        ratio === undefined ? "" : `  ${ratio.toFixed(2)} × ${baseline ?? ""}`,
      ];
      print(cells.join(" ").trimEnd());
      if (documented !== undefined) print(`    ${documented}`);
    },
    note: (text) => print(`  ${text}`),
  };
}

/** Three significant digits, whole numbers in full with a thin grouping. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 1000) return grouped(Math.round(value));
  return value === 0 ? "0" : value.toPrecision(3);
}
