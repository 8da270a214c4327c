/**
 * Executing a candidate and committing it, against `produce` of the same block: in memory and with a store,
 * block by block in turns.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Runtime } from "../../runtime/index.ts";
import { quota, SCRATCH, Script } from "../driver.ts";
import { open } from "../fixture.ts";
import { measure, reportTimes } from "./measure.ts";
import type { Report } from "./report.ts";

const PAGES = 16;
const SPIN = 1_000_000;

export async function run(report: Report): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-candidates-"));
  try {
    await compare(report, "in memory", await open([], OPTIONS), 60, {});
    const store = join(directory, "store");
    await compare(report, "durable", await open([], { ...OPTIONS, store }), 40, { count: 4 });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const OPTIONS = { workers: 1, retainBlocks: 4, memoryQuotaPages: quota(200) };

async function compare(
  report: Report,
  where: string,
  runtime: Runtime,
  rounds: number,
  options: { readonly count?: number },
): Promise<void> {
  const script = new Script();
  for (let page = 0; page < PAGES; page++) script.fill(SCRATCH + page * 4096, 8, page + 1);
  script.spin(SPIN);
  const metadata = script.metadata();
  let made = 0;
  const next = (): Uint8Array => {
    made++;
    // Another byte in each page: FILL's word c.
    for (let page = 0; page < PAGES; page++) metadata[32 + page * 32 + 12] = page + made;
    return metadata;
  };
  const times = await measure(
    [
      {
        name: `produce, ${where}`,
        run: async (count) => {
          for (let i = 0; i < count; i++) await runtime.produce(next());
        },
      },
      {
        name: `execute and commit, ${where}`,
        run: async (count) => {
          for (let i = 0; i < count; i++) await runtime.commit(await runtime.execute(next()));
        },
      },
    ],
    { rounds, ...options },
  );
  reportTimes(report, times);
  await runtime.close();
}
