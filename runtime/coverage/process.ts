/**
 * Coverage of all tests of a process, where `stillpoint test --coverage` has asked for it: what ran is
 * written into a directory when the process or thread ends, a file for each.
 */

import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Coverage, type CoverageRecord } from "./coverage.ts";

/** The environment variable that names the directory. */
export const COVERAGE_DIRECTORY = "STILLPOINT_COVERAGE";

let ofProcess: Coverage | null = null;

/** As an option of what tests open. */
export function coverageOfProcess(): { readonly coverage?: Coverage } {
  const directory = process.env[COVERAGE_DIRECTORY] ?? "";
  if (directory === "") return {};
  if (ofProcess === null) {
    const coverage = new Coverage();
    process.on("exit", () => {
      writeFileSync(join(directory, `${randomUUID()}.json`), JSON.stringify(coverage.record()));
    });
    ofProcess = coverage;
  }
  return { coverage: ofProcess };
}

/** What was written there. */
export function readRecords(directory: string): CoverageRecord[] {
  return readdirSync(directory).map((name) => JSON.parse(readFileSync(join(directory, name), "utf8")));
}
