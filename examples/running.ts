/** The options of the examples that say how their runtime runs; results do not depend on them. */

import { choiceOption, integerOption, writeOutput } from "../runtime/cli/terminal.ts";
import type { Runtime, RuntimeOptions } from "../runtime/index.ts";

export const WORKERS_MAX = 64;
const TIMELINE_RECORDS = 1 << 20;

/** For `parseOptions`. */
export const RUNNING_OPTIONS = {
  workers: { type: "string" },
  runner: { type: "string", default: "parallel" },
  timeline: { type: "string" },
} as const;

/** Their lines of a help text. */
export const RUNNING_HELP = `\
  --workers N    worker threads, 1 to ${WORKERS_MAX}; default: one for each core, at most 8;
                 results do not depend on it
  --runner NAME  parallel: batches may run on several threads, and do where it pays; the default.
                 sequential: one transaction after the other. Results do not depend on it
  --timeline F   writes to F when each activation ran on which thread, for chrome://tracing or
                 ui.perfetto.dev`;

/**
 * What the options mean to a runtime.
 *
 * @throws {UsageError} BAD_OPTION
 */
export function runningOptions(values: {
  readonly workers?: string;
  readonly runner: string;
  readonly timeline?: string;
}): Pick<RuntimeOptions, "workers" | "runner" | "debug"> {
  const { workers, runner, timeline } = values;
  return {
    ...(workers === undefined ? {} : { workers: integerOption("workers", workers, 1, WORKERS_MAX) }),
    runner: choiceOption("runner", runner, ["parallel", "sequential"]),
    debug: { timelineRecords: timelineRecords(timeline) },
  };
}

/** Records of a timeline that goes to `file`: none without one. */
export function timelineRecords(file: string | undefined): number {
  return file === undefined ? 0 : TIMELINE_RECORDS;
}

/** Writes the timeline to the file that was asked for, if one was. */
export function writeTimeline(runtime: Runtime, file: string | undefined): void {
  if (file !== undefined) writeOutput(file, JSON.stringify(runtime.timeline()));
}
