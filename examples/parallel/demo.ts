/**
 * Children side by side as a command: the same two jobs with one worker thread and with several. The roots
 * must be equal; the wall time shows how much ran at the same time.
 */

import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import {
  type Command,
  EXIT_FAILED,
  EXIT_OK,
  formatTable,
  grouped,
  integerOption,
  Progress,
  parseOptions,
  print,
  printError,
  writeOutput,
} from "../../runtime/cli/terminal.ts";
import { programHash, Runtime } from "../../runtime/index.ts";
import { loadGuest } from "../guests.ts";
import { timelineRecords, WORKERS_MAX, writeTimeline } from "../running.ts";
import {
  CHILDREN_MAX,
  type DigestJob,
  decodeJobResult,
  encodeJob,
  type Job,
  type PictureJob,
  referenceDigest,
} from "./job.ts";
import { encodePng } from "./png.ts";

/** Of a block: five times what the larger job needs. The children share it, and the root has a share too. */
const GAS_LIMIT = 2 ** 34;
/** Blocks end with all work done; the heap holds what so much gas can make. */
const RULES = { gasLimit: GAS_LIMIT, heldGasQuota: 0, heapBytes: 2 ** 34 } as const;

const DIGEST: DigestJob = { kind: "digest", data: patternBytes(4 << 20), chunkBytes: 16384, rounds: 8 };
const PICTURE: PictureJob = {
  kind: "picture",
  width: 960,
  height: 640,
  iterations: 1000,
  bytesPerPixel: 3,
  left: -2.2,
  top: 1.1,
  step: 3.3 / 960,
};
/** Before the clock runs every thread has the programs compiled. */
const WARM_UP: DigestJob = { kind: "digest", data: patternBytes(4096), chunkBytes: 16, rounds: 1 };

interface Run {
  readonly results: readonly { readonly ms: number; readonly root: string; readonly result: Uint8Array }[];
}

export const parallelCommand: Command = {
  name: "parallel",
  help: `Gives two jobs to children that run side by side, with one worker thread and with several.

  --workers N    worker threads of the second run, 2 to ${WORKERS_MAX};
                 default: one for each core, at least 2, at most 8
  --children N   children that share a job, 1 to ${CHILDREN_MAX}; default 16
  --out FILE     where to write the picture, PNG; default mandelbrot.png
  --timeline F   writes to F when each activation of the second run ran on which thread, for
                 chrome://tracing or ui.perfetto.dev
  --help         this text`,
  run: runParallel,
};

async function runParallel(args: string[]): Promise<number> {
  const { values } = parseOptions(args, {
    workers: { type: "string" },
    children: { type: "string", default: "16" },
    out: { type: "string", default: "mandelbrot.png" },
    timeline: { type: "string" },
  });
  const cores = Math.min(8, Math.max(2, availableParallelism()));
  const workers = integerOption("workers", values.workers ?? String(cores), 2, WORKERS_MAX);
  const children = integerOption("children", values.children, 1, CHILDREN_MAX);

  const one = await runJobs(1, children);
  const several = await runJobs(workers, children, values.timeline);

  const rows = [DIGEST, PICTURE].map((job, i) => {
    const [alone, together] = [one.results[i]!, several.results[i]!];
    const speedup = `${(alone.ms / together.ms).toFixed(2)} ×`;
    return [describe(job), alone.ms.toFixed(0), together.ms.toFixed(0), speedup, together.root];
  });
  print(
    formatTable(["job", "1 worker, ms", `${workers} workers, ms`, "faster", "root"], rows, ["job", "root"]),
  );
  writeOutput(values.out, encodePng({ ...PICTURE, pixels: several.results[1]!.result }));
  print(`${children} children; the picture is in ${values.out}.`);

  const wrong = check(one, several, workers);
  for (const text of wrong) printError(text);
  return wrong.length === 0 ? EXIT_OK : EXIT_FAILED;
}

/** Writes the timeline of all jobs to a file if one is given. */
async function runJobs(workers: number, children: number, timelineFile?: string): Promise<Run> {
  const progress = new Progress();
  const [root, worker] = await Promise.all([loadGuest("parallel/root"), loadGuest("parallel/worker")]);
  const debug = { timelineRecords: timelineRecords(timelineFile) };
  const runtime = await Runtime.open({ root, programs: [worker], workers, debug, ...RULES });
  const gasPerChild = Math.floor(GAS_LIMIT / (children + 1));
  const crew = { children, workerProgram: programHash(worker), gasPerChild };
  const produce = async (job: Job) => {
    const metadata = encodeJob(job, crew);
    const start = performance.now();
    const block = await runtime.produce(metadata);
    return { ms: performance.now() - start, root: block.root, result: decodeJobResult(block.data) };
  };
  try {
    await produce(WARM_UP);
    const results = [];
    for (const job of [DIGEST, PICTURE]) {
      progress.show(`${describe(job)}, ${workers === 1 ? "1 worker" : `${workers} workers`}`);
      results.push(await produce(job));
    }
    writeTimeline(runtime, timelineFile);
    return { results };
  } finally {
    progress.clear();
    await runtime.close();
  }
}

function check(one: Run, several: Run, workers: number): string[] {
  const wrong: string[] = [];
  for (const [i, job] of [DIGEST, PICTURE].entries()) {
    const [alone, together] = [one.results[i]!.root, several.results[i]!.root];
    if (alone !== together)
      wrong.push(`${job.kind}: root ${alone} with 1 worker, ${together} with ${workers}`);
  }
  const found = Buffer.from(several.results[0]!.result).toString("hex");
  const expected = Buffer.from(referenceDigest(DIGEST)).toString("hex");
  if (found !== expected) wrong.push(`digest: the children found ${found}, the host ${expected}`);
  return wrong;
}

function describe(job: Job): string {
  return job.kind === "digest"
    ? `SHA-256 of ${grouped(job.data.length)} bytes, ${job.rounds} rounds`
    : `Mandelbrot set, ${job.width} × ${job.height}`;
}

/** Bytes without a short period, the same everywhere. */
function patternBytes(length: number): Uint8Array {
  const words = new Uint32Array(length / 4);
  let state = 1;
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[i] = state;
  }
  return new Uint8Array(words.buffer);
}
