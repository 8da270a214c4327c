/**
 * npm run bench -- [NAME…] [--json] [--rows TEXT] [--count N]
 *
 * Runs the benchmarks of this folder, all of them or those named, one after the other. A benchmark is a
 * module beside this one that exports `run(report, options)`. With --rows "gas" measures only the rows whose
 * name has that text; --count says how many payments "producer" makes.
 */

import { readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { UsageError } from "../../runtime/errors.ts";
import { type Benchmark, jsonReport, tableReport } from "./report.ts";

const HELPERS = new Set([
  "by-hand",
  "durable-run",
  "engines-run",
  "first-batch-run",
  "main",
  "measure",
  "report",
  "restart",
  "views-run",
]);

const available = readdirSync(new URL(".", import.meta.url))
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.slice(0, -3))
  .filter((name) => !HELPERS.has(name))
  .sort();

const { names, json, rows, count } = readArguments();
const print = (line: string): void => void process.stdout.write(`${line}\n`);
if (!json)
  print(`Node ${process.versions.node}, V8 ${process.versions.v8}, ${process.platform}-${process.arch}`);
for (const name of names) await measure(name).catch(stop);

async function measure(name: string): Promise<void> {
  const { run } = (await import(new URL(`./${name}.ts`, import.meta.url).href)) as { run: Benchmark };
  await run(json ? jsonReport(name, print) : tableReport(name, print), {
    rows,
    ...(count === null ? {} : { count }),
  });
}

/** Says what was wrong with the arguments; what else a benchmark throws is a defect. */
function stop(error: unknown): never {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`bench: ${error.message}\n`);
  process.exit(2);
}

function readArguments(): { names: string[]; json: boolean; rows: string; count: number | null } {
  try {
    const { values, positionals } = parseArgs({
      options: {
        json: { type: "boolean", default: false },
        rows: { type: "string", default: "" },
        count: { type: "string" },
      },
      allowPositionals: true,
    });
    const unknown = positionals.find((name) => !available.includes(name));
    if (unknown !== undefined) throw new Error(`there is no benchmark "${unknown}"`);
    const { json, rows, count } = values;
    if (count !== undefined && !/^[1-9]\d{0,8}$/.test(count)) throw new Error("--count takes a whole number");
    const names = positionals.length > 0 ? positionals : available;
    return { names, json, rows, count: count === undefined ? null : Number(count) };
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n`);
    process.stderr.write(
      "usage: npm run bench -- [NAME…] [--json] [--rows TEXT] [--count N], " +
        `where NAME is one of: ${available.join(", ")}\n`,
    );
    process.exit(2);
  }
}
