/**
 * One side of the benchmark of views: makes blocks in rounds as its parent asks, with or without views of
 * maximum gas beside them. Message in: blocks to make. Message out: the milliseconds that each took.
 */

import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import { quota, REGION, SCRATCH, Script } from "../driver.ts";
import { open } from "../fixture.ts";

/** What `call` gives a view unless it is told otherwise. */
const VIEW_GAS = 100_000_000;
const PAGES = 64;
const SPIN = 1_000_000;

const withViews = process.argv[2] === "views";
// Without views one core less: the parent sees to that.
const workers = Math.max(1, withViews ? availableParallelism() - 1 : availableParallelism());
const runtime = await open([], {
  workers,
  retainBlocks: 4,
  memoryQuotaPages: quota(200),
  views: withViews ? 1 : 0,
});

const block = new Script();
for (let page = 0; page < PAGES; page++) block.fill(SCRATCH + page * 4096, 8, page + 1);
block.spin(SPIN);
const metadata = block.metadata();

const endless = new Script({ commands: 1 });
endless.spin(0);
const view = { input: endless.metadata(), inbox: REGION, argument: REGION, gas: VIEW_GAS };

let made = 0;
let views = 0;
async function keepViewing(): Promise<void> {
  for (;;) {
    await runtime.call([], "run", view);
    views++;
  }
}

if (withViews) for (let i = 0; i < 2; i++) void keepViewing();

process.on("message", async (count: number) => {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    made++;
    // Another byte in each page: FILL's word c.
    for (let page = 0; page < PAGES; page++) metadata[32 + page * 32 + 12] = page + made;
    const start = performance.now();
    await runtime.produce(metadata);
    times.push(performance.now() - start);
  }
  process.send?.({ times, views });
});
process.on("disconnect", () => process.exit(0));
process.send?.("ready");
