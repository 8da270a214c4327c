/**
 * Planted faults: a program runs in a process of its own, with changes in the sources of the runtime. A test
 * that is worth something fails there.
 */

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The text `find` stands in a source once; `put` takes its place. */
export interface Fault {
  /** From the project's directory: "runtime/kernel/calls/merge.ts". */
  readonly file: string;
  readonly find: string;
  readonly put: string;
}

/** What became of `program` (a file of test/) with these faults: its exit status, and what it printed. */
export function runWith(
  faults: readonly Fault[],
  program: string,
  args: readonly string[] = [],
): { status: number | null; output: string } {
  const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const env = { ...inherited, STILLPOINT_FAULTS: JSON.stringify(faults), STILLPOINT_COUNT_WORK: "1" };
  const command = ["--import", path("plant-hook.ts"), path(program), ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { env, encoding: "utf8" });
  return { status, output: stdout + stderr };
}
