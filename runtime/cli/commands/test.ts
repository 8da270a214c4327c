/** stillpoint test: starts Node's own test runner, in the same version of Node. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { UPDATE_GAS } from "../../app/gas-snapshot.ts";
import { filesOf, lcovOf } from "../../coverage/coverage.ts";
import type { FileCoverage } from "../../coverage/lines.ts";
import { COVERAGE_DIRECTORY, readRecords } from "../../coverage/process.ts";
import { UsageError } from "../../errors.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import { EXIT_FAILED, EXIT_OK, formatTable, print, printError, toJson, writeOutput } from "../terminal.ts";

const ENDING = import.meta.url.endsWith(".ts") ? "ts" : "js";
const reporter = (name: string): string => new URL(`../${name}.${ENDING}`, import.meta.url).href;

/** A reporter, and where it writes to. */
const reporting = (name: string, to: "stdout" | "stderr"): string[] => [
  `--test-reporter=${name}`,
  `--test-reporter-destination=${to}`,
];

const LCOV = "coverage/lcov.info";

export const test: Handler<Spec<"test">> = async ({ args, options, json }) => {
  const { watch, name, "update-gas": updatesGas, coverage } = options;
  if (watch && coverage)
    throw new UsageError(
      "BAD_OPTION",
      "--coverage is of one run of all tests, --watch of many: give one of them",
    );
  const words = [
    "--test",
    ...(watch ? ["--watch"] : []),
    ...reporting(json ? reporter("reporter") : "spec", "stdout"),
    ...(name === undefined
      ? []
      : [`--test-name-pattern=${name}`, ...reporting(reporter("matching"), "stderr")]),
    ...args.FILE,
  ];
  const gas = updatesGas ? { [UPDATE_GAS]: "1" } : {};
  if (!coverage) return run(words, gas);
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-coverage-"));
  try {
    const code = await run(words, { ...gas, [COVERAGE_DIRECTORY]: directory });
    await report(await filesOf(readRecords(directory)), json);
    return code;
  } finally {
    rmSync(directory, { recursive: true });
  }
};

async function run(words: readonly string[], more: Readonly<Record<string, string>>): Promise<number> {
  const child = spawn(process.execPath, words, { stdio: "inherit", env: { ...process.env, ...more } });
  const ignore = (): void => {}; // the child has the signal as well, and says how it ended
  process.on("SIGINT", ignore);
  const [code] = (await once(child, "exit")) as [number | null];
  process.off("SIGINT", ignore);
  return code === 0 ? EXIT_OK : EXIT_FAILED;
}

/** Writes what ran, and a table of it. */
async function report(files: readonly FileCoverage[], json: boolean): Promise<void> {
  if (files.length === 0)
    return printError("coverage: no guest with sources ran in a TestContract or a TestProcess");
  writeOutput(LCOV, lcovOf(files));
  const rows = files.map(({ file, lines, functions }) => {
    const missed = [...lines].filter(([, count]) => count === 0).map(([line]) => line);
    const called = functions.filter(({ calls }) => calls > 0).length;
    const counts = { lines: lines.size, linesRun: lines.size - missed.length };
    return {
      file: relative(".", file),
      ...counts,
      functions: functions.length,
      functionsRun: called,
      missed,
    };
  });
  if (json) return print(toJson({ coverage: LCOV, files: rows }));
  const share = (part: number, all: number): string =>
    `${part} of ${all}, ${Math.floor((100 * part) / all)}%`;
  const table = rows.map(({ file, lines, linesRun, functions, functionsRun, missed }) => [
    file,
    share(linesRun, lines),
    share(functionsRun, functions),
    ranges(missed),
  ]);
  const header = ["guest", "lines", "functions", "lines that did not run"];
  print(`\n${formatTable(header, table, ["guest", "lines that did not run"])}\n\n${LCOV}`);
}

/** "3-5, 9": of numbers in ascending order. */
function ranges(lines: readonly number[]): string {
  const found: [first: number, last: number][] = [];
  for (const line of lines) {
    const last = found.at(-1);
    if (last !== undefined && last[1] + 1 === line) last[1] = line;
    else found.push([line, line]);
  }
  return found.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(", ");
}
