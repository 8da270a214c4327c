/** Timelines: what a trace lists was written down when it ran, lanes nest, and no result depends on it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ChromeEvent, TraceEvent } from "../../runtime/debug.ts";
import type { Block, Runtime } from "../../runtime/index.ts";
import { openBatches, runBatch } from "../batch/batches.ts";
import { quota } from "../driver.ts";
import { guest, withRuntime } from "../fixture.ts";
import { randomTree } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";

const QUOTA = { memoryQuotaPages: quota(60_000), processQuota: 4000, gasLimit: 4e9 };
const BLOCKS = 12;

async function blocks(runtime: Runtime, seed: number): Promise<Block[]> {
  const made: Block[] = [];
  for (let i = 0; i < BLOCKS; i++)
    made.push(await runtime.produce(randomTree(seed + i, { depth: 4, children: 3 }).metadata()));
  return made;
}

const complete = (events: readonly ChromeEvent[]) => events.filter(({ ph }) => ph === "X");
const ns = (microseconds: number | undefined) => Math.round((microseconds as number) * 1000);

/** Every span of a lane lies inside the one that is open when it begins, or begins when none is. */
function checkNesting(events: readonly ChromeEvent[]): void {
  for (const tid of new Set(events.map((event) => event.tid))) {
    const open: number[] = [];
    let last = 0;
    for (const { ts, dur, name } of complete(events).filter((event) => event.tid === tid)) {
      const end = ns(ts) + ns(dur);
      assert.ok(ns(ts) >= last, `${name}: in the order of their begin`);
      last = ns(ts);
      while (open.length > 0 && (open.at(-1) as number) <= ns(ts)) open.pop();
      assert.ok(open.length === 0 || end <= (open.at(-1) as number), `${name}: inside what is around it`);
      open.push(end);
    }
  }
}

/** What identifies an activation in a trace and in a timeline. */
function activations(events: readonly TraceEvent[]): string[] {
  return events.flatMap((event) =>
    event.what === "end" ? [`/${event.path.join("/")} ${event.status} ${event.fault} ${event.gasUsed}`] : [],
  );
}

for (const workers of [1, 2, 4]) {
  test(`every activation of the traces is in the timeline: ${workers} workers`, async (t) => {
    const seed = baseSeed(t) + 6000;
    const plain = await withRuntime([], { ...QUOTA, workers }, (runtime) => blocks(runtime, seed));
    await withRuntime([], { ...QUOTA, workers, debug: { timelineRecords: 100_000 } }, async (runtime) => {
      const made = await blocks(runtime, seed);
      assert.deepEqual(made, plain, "no result depends on the timeline");
      // Speculative work puts it off.
      while (!(await runtime.engine.collect())) await new Promise((resolve) => setTimeout(resolve, 5));
      const { traceEvents, otherData } = JSON.parse(JSON.stringify(runtime.timeline()));
      assert.equal(otherData.dropped, 0);
      assert.match(otherData.note, /differ between runs/);
      checkNesting(traceEvents);

      const spans: ChromeEvent[] = complete(traceEvents);
      const seen = new Map<string, number>();
      for (const { name, args } of spans) {
        const key = `${name} ${args?.status} ${args?.fault} ${args?.gasUsed}`;
        seen.set(key, (seen.get(key) ?? 0) + 1);
      }
      let wanted = 0;
      for (const block of [runtime.blocks()[0] as Block, ...made]) {
        for (const key of activations((await runtime.trace(block)).events)) {
          assert.ok((seen.get(key) ?? 0) > 0, `${key} is missing`);
          seen.set(key, (seen.get(key) as number) - 1);
          wanted++;
        }
      }
      assert.ok(wanted > 30);
      const of = (category: string) => spans.filter(({ cat }) => cat === category).length;
      assert.deepEqual([of("block"), of("hash"), of("collection")], [1 + BLOCKS, 1 + BLOCKS, 1]);
      assert.ok(of("inline") > 0);
      if (workers === 1) assert.equal(of("remote") + of("wait") + of("speculative"), 0);
      const lanes = traceEvents.filter(({ ph }: ChromeEvent) => ph === "M");
      assert.ok(lanes.length >= 1 && lanes.length <= workers);
      const arrows = (ph: string) =>
        traceEvents.filter((event: ChromeEvent) => event.ph === ph).map(({ id }: ChromeEvent) => id);
      assert.deepEqual(arrows("f"), arrows("s"));
      // The traces that were made for this are spans themselves; speculative work may have gone on meanwhile.
      const after = complete(runtime.timeline().traceEvents);
      assert.equal(after.filter(({ cat }) => cat === "trace").length, of("trace") + 1 + BLOCKS);
    });
  });
}

test("threads that help with a batch are in the timeline, and no block depends on that", async () => {
  const payments = await guest("batch/payments");
  const input = (item: number) => new Uint8Array(Uint32Array.of(2000, 2, item % 90, item % 70).buffer);
  const items = Array.from({ length: 1500 }, (_, item) => ({ input: input(item), gas: 1_000_000 }));
  const ids: string[][] = [];
  for (const timeline of [1 << 18, 0]) {
    const runtime = await openBatches(payments, {
      workers: 2,
      debug: { force: true, timelineRecords: timeline },
    });
    try {
      const run = async () => (await runBatch(runtime, { entry: "mix2", items, inbox: 16 << 20 })).block.id;
      ids.push([await run(), await run()]);
      if (timeline === 0) continue;
      const help = () => complete(runtime.timeline().traceEvents).filter(({ cat }) => cat === "batch");
      // The other thread may still be starting.
      for (let tries = 0; tries < 20 && help().length === 0; tries++) await run();
      assert.equal(help()[0]?.name, "batch of /1");
      checkNesting(runtime.timeline().traceEvents);
    } finally {
      await runtime.close();
    }
  }
  assert.deepEqual(ids[1], ids[0]);
});

test("a killed thread leaves a timeline that can be read", async (t) => {
  const seed = baseSeed(t) + 7000;
  await withRuntime([], { ...QUOTA, workers: 3, debug: { timelineRecords: 100_000 } }, async (runtime) => {
    for (let i = 0; i < BLOCKS; i++) {
      const pending = runtime.produce(randomTree(seed + i, { depth: 4, children: 3 }).metadata());
      await new Promise((resolve) => setTimeout(resolve, 2 * i));
      await runtime.engine.pool.kill(i);
      await pending;
    }
    const { traceEvents } = runtime.timeline();
    const lanes = new Set(traceEvents.map(({ tid }) => tid));
    assert.ok(lanes.size > 3, "threads that came later have lanes of their own");
    for (const lane of lanes) checkNesting(traceEvents.filter(({ tid }) => tid === lane));
  });
});

test("a full timeline keeps its start and counts the rest; without the option there is none", async (t) => {
  const seed = baseSeed(t) + 6000;
  await withRuntime([], { ...QUOTA, workers: 2, debug: { timelineRecords: 20 } }, async (runtime) => {
    await blocks(runtime, seed);
    const { traceEvents, otherData } = runtime.timeline();
    assert.ok(complete(traceEvents).length <= 20);
    assert.ok(otherData.dropped > 30);
    assert.equal(complete(traceEvents)[0]?.name, "/");
  });
  await withRuntime([], {}, async (runtime) => {
    assert.throws(() => runtime.timeline(), { code: "NO_TIMELINE" });
  });
});
