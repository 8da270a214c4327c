/**
 * The first batch of a process, in a process of its own: opens a runtime, makes blocks, and prints how the
 * batch of the last one ran. The runtime is that of the module at a URL, the package: sources take time to be
 * stripped of their types, which V8 continues compiling meanwhile.
 */

import { readFileSync } from "node:fs";
import type { BatchReport, RuntimeOptions } from "../../runtime/index.ts";

/** What it is told, as JSON. */
export interface FirstBatchTask {
  /** URL of the module that exports `Runtime`. */
  readonly runtime: string;
  /** Files of programs; the first is the root's. */
  readonly programs: readonly string[];
  readonly options: Partial<RuntimeOptions>;
  /** Files with the metadata of blocks. */
  readonly blocks: readonly string[];
}

/** What it prints, as JSON. */
export interface FirstBatch {
  readonly milliseconds: number;
  readonly parallel: number;
}

const task: FirstBatchTask = JSON.parse(process.argv[2] as string);
const { Runtime } = (await import(task.runtime)) as typeof import("../../runtime/index.ts");
const [root, ...programs] = task.programs.map((file) => readFileSync(file));
const reports: BatchReport[] = [];
const onBatch = (report: BatchReport): unknown => reports.push(report);
const runtime = await Runtime.open({ root: root as Uint8Array, programs, ...task.options, onBatch });
for (const file of task.blocks) await runtime.produce(readFileSync(file));
const { milliseconds, parallel } = reports.at(-1) as BatchReport;
await runtime.close();
process.stdout.write(JSON.stringify({ milliseconds, parallel } satisfies FirstBatch));
