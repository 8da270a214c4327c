/**
 * The producer of the examples under load: 50,000 payments over HTTP from another process, each signed,
 * checked by a view and answered when its block is on the disk; the server is killed 10 times meanwhile.
 * Fails if anything that was answered is lost or made twice.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { load } from "../producer/load.ts";
import { quantile } from "./measure.ts";
import type { BenchmarkOptions, Report } from "./report.ts";

const PAYMENTS = 50_000;
const CUSTOMERS = 128;
const KILLS = 10;
const SEED = Number(process.env.STILLPOINT_SEED ?? 20_150_730);

export async function run(report: Report, { count = PAYMENTS }: BenchmarkOptions): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-producer-"));
  const tell = (text: string): void => void process.stderr.write(`  ${text}\n`);
  try {
    const store = join(directory, "store");
    const result = await load({
      store,
      payments: count,
      customers: CUSTOMERS,
      kills: KILLS,
      seed: SEED,
      tell,
    });
    const { payments, seconds, latenciesMs, restartsMs, kills, lost, repeated, wrong } = result;
    report.row({ name: "payments while the server is there", value: payments / seconds, unit: "per second" });
    report.row({
      name: "a payment, until it is on the disk, p50",
      value: quantile(latenciesMs, 0.5),
      unit: "ms",
    });
    report.row({
      name: "a payment, until it is on the disk, p99",
      value: quantile(latenciesMs, 0.99),
      unit: "ms",
    });
    report.row({
      name: "from kill -9 to the next answer, p50",
      value: quantile(restartsMs, 0.5),
      unit: "ms",
    });
    report.row({ name: "kills", value: kills, unit: "" });
    report.row({ name: "answered payments lost", value: lost, unit: "" });
    report.note(`${payments} payments, seed ${SEED}; ${repeated} requests were not answered and sent again`);
    if (lost > 0 || wrong.length > 0) throw new Error([`${lost} payments are lost`, ...wrong].join("\n"));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
