/**
 * The first batch of a process that has just started: 3,000 items, whose code no thread has run before. The
 * runtime must find out by itself whether they pay, while V8 still compiles. Each measurement is a process of
 * its own, of the package (built again); the variants take turns.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RuntimeOptions } from "../../runtime/index.ts";
import { BATCH_ROOT, batchMetadata, childMetadata } from "../batch/batches.ts";
import { ENDLESS_GAS, fitted, guest } from "../fixture.ts";
import type { FirstBatch, FirstBatchTask } from "./first-batch-run.ts";
import { quantile, spreadOf, timesAsFast } from "./measure.ts";
import type { Report } from "./report.ts";

const ROUNDS = 9;
const ITEMS = 3_000;
const ACCOUNTS = 10_000;
const INBOX = 16 << 20;
const WORK_US = [20, 100];
/** Turns of arithmetic with which the loop is looked at. */
const TURNS = 20_000;

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

interface Variant {
  readonly name: string;
  readonly options: Partial<RuntimeOptions>;
}

const SEQUENTIAL: Variant = { name: "sequential", options: { workers: 1, runner: "sequential" } };
const VARIANTS: readonly Variant[] = [
  SEQUENTIAL,
  { name: "2 workers", options: { workers: 2 } },
  { name: "forced", options: { workers: 2, debug: { force: true } } },
];

export async function run(report: Report): Promise<void> {
  execFileSync(process.execPath, [file("../../scripts/build.ts")], { stdio: "ignore" });
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-first-batch-"));
  try {
    await measure(report, directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function measure(report: Report, directory: string): Promise<void> {
  const put = (name: string, bytes: Uint8Array): string => {
    writeFileSync(join(directory, name), bytes);
    return join(directory, name);
  };
  const payments = await guest("batch/payments");
  const programs = [put("root.wasm", BATCH_ROOT), put("payments.wasm", payments)];
  const child = put("child", childMetadata(payments, 1024, ENDLESS_GAS));
  const runtime = new URL("../../dist/runtime/index.js", import.meta.url).href;
  /** The first batch of a new process. */
  const first = ({ options }: Variant, turns: number): FirstBatch => {
    const batch = put("batch", batchMetadata({ entry: "mix2", items: transfers(turns), inbox: INBOX }));
    const task: FirstBatchTask = {
      runtime,
      programs,
      options: fitted({ ...options, gasLimit: ENDLESS_GAS }),
      blocks: [child, batch],
    };
    const args = [file("first-batch-run.ts"), JSON.stringify(task)];
    return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" }));
  };

  const turnsPerMicrosecond = (TURNS * ITEMS) / (first(SEQUENTIAL, TURNS).milliseconds * 1e3);
  for (const us of WORK_US) {
    const turns = Math.round(us * turnsPerMicrosecond);
    const seen = VARIANTS.map((): FirstBatch[] => []);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [i, variant] of VARIANTS.entries()) seen[i]?.push(first(variant, turns));
    }
    const times = seen.map((list) => list.map((one) => one.milliseconds));
    const loop = times[0] as number[];
    for (const [i, { name }] of VARIANTS.entries()) {
      const list = times[i] as number[];
      const median = quantile(list, 0.5);
      const spread = spreadOf(list);
      const title = `${ITEMS} items of ${us} µs, ${name}`;
      const row = { name: title, value: (median * 1e3) / ITEMS, unit: "µs/item", spread };
      const compared = { baseline: "as fast as sequential", ratio: timesAsFast(list, loop) };
      report.row(i === 0 ? row : { ...row, ...compared });
      const parallel = (seen[i] as FirstBatch[]).map((one) => one.parallel);
      if (i > 0) report.row({ name: `${title}: in parallel`, value: quantile(parallel, 0.5), unit: "items" });
    }
  }
}

/** Transfers between accounts far apart. */
function transfers(turns: number): { readonly input: Uint8Array; readonly gas: number }[] {
  return Array.from({ length: ITEMS }, (_, i) => {
    const accounts = [i * 7919, i * 7919 * 3 + 1].map((place) => place % ACCOUNTS);
    return { input: new Uint8Array(Uint32Array.of(turns, 2, ...accounts).buffer), gas: 2 ** 24 };
  });
}
