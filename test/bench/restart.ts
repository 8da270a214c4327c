/**
 * One restart, in a process of its own: opens the store in a directory, makes a block, and prints how long
 * both took from the call of `open`. The runtime is that of the module at a URL: sources, or the package.
 */

import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import type { RuntimeOptions } from "../../runtime/index.ts";

/** What it is told, as JSON. */
export interface RestartTask {
  /** URL of the module that exports `Runtime`. */
  readonly runtime: string;
  /** Files of programs; the first is the root's. */
  readonly programs: readonly string[];
  readonly options: Partial<RuntimeOptions>;
  /** A file with the block's metadata. */
  readonly metadata: string;
}

/** What it prints, as JSON. */
export interface Restart {
  readonly openMs: number;
  readonly answeredMs: number;
  readonly heapBytes: number;
}

const task: RestartTask = JSON.parse(process.argv[2] as string);
const { Runtime } = (await import(task.runtime)) as typeof import("../../runtime/index.ts");
const programs = task.programs.map((file) => readFileSync(file));
const metadata = readFileSync(task.metadata);

const start = performance.now();
const runtime = await Runtime.open({ root: programs[0] as Buffer, programs, ...task.options });
const openMs = performance.now() - start;
await runtime.produce(metadata);
const answeredMs = performance.now() - start;
const heapBytes = runtime.metrics().heapUsedBytes;
await runtime.revert(runtime.head.height - 1);
await runtime.close();
process.stdout.write(JSON.stringify({ openMs, answeredMs, heapBytes } satisfies Restart));
