/**
 * npm run conformance -- DIR [--json]
 *
 * Runs every WebAssembly test script (.wast) below DIR against admitted and instrumented modules, and prints
 * how many checks passed, failed and were skipped, and why. With --json the last line is an object with these
 * numbers.
 */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { isMainThread, Worker } from "node:worker_threads";
import { WORKER_STACK_BYTES } from "../../runtime/limits.ts";
import { runScript, type Totals } from "./run.ts";

/** Failures printed of one script. */
const FAILURES_SHOWN = 10;

if (isMainThread) {
  readArguments();
  // Calls go as deep as in a worker thread of the runtime.
  const resourceLimits = { stackSizeMb: WORKER_STACK_BYTES >> 20 };
  const worker = new Worker(new URL(import.meta.url), { argv: process.argv.slice(2), resourceLimits });
  worker.on("exit", (code) => {
    process.exitCode = code;
  });
} else {
  process.exitCode = await main(readArguments());
}
async function main({ directory, json }: { directory: string; json: boolean }): Promise<number> {
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const scripts = readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".wast"))
    .sort();
  const all: Totals = { passed: 0, failed: 0, skipped: 0, reasons: {} };

  for (const name of scripts) {
    const failures: string[] = [];
    const totals = await runScript(join(directory, name), (line, text) =>
      failures.push(`  line ${line}: ${text}`),
    );
    all.passed += totals.passed;
    all.failed += totals.failed;
    all.skipped += totals.skipped;
    for (const [reason, count] of Object.entries(totals.reasons)) {
      all.reasons[reason] = (all.reasons[reason] ?? 0) + count;
    }
    print(`${name}: ${summary(totals)}`);
    for (const failure of failures.slice(0, FAILURES_SHOWN)) print(failure);
    if (failures.length > FAILURES_SHOWN) print(`  and ${failures.length - FAILURES_SHOWN} more`);
  }

  const reasons = Object.fromEntries(Object.entries(all.reasons).sort(([, one], [, other]) => other - one));
  print(`\n${scripts.length} scripts: ${summary(all)}`);
  for (const [reason, count] of Object.entries(reasons))
    print(`${String(count).padStart(8)} skipped: ${reason}`);
  if (json) print(JSON.stringify({ ...all, reasons }));
  if (scripts.length === 0) process.stderr.write(`conformance: there is no .wast file below ${directory}\n`);
  return scripts.length === 0 || all.failed > 0 ? 1 : 0;
}

function summary({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

function readArguments(): { directory: string; json: boolean } {
  try {
    const { values, positionals } = parseArgs({
      options: { json: { type: "boolean", default: false } },
      allowPositionals: true,
    });
    if (positionals.length !== 1) throw new Error("one directory is needed");
    return { directory: positionals[0] as string, json: values.json };
  } catch (error) {
    process.stderr.write(`conformance: ${(error as Error).message}\n`);
    process.stderr.write("usage: npm run conformance -- DIR [--json]\n");
    process.exit(2);
  }
}
