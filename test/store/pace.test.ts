/** A disk that is slow: what goes on meanwhile. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { HEADER_STORED, UNIT_WORDS } from "../../runtime/heap/heap.ts";
import { COLLECTION_WAITS } from "../../runtime/heap/stub.ts";
import { verifyStore } from "../../runtime/store.ts";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";
import { withDirectory } from "./directory.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;
const slow = (step: string, ms: number): string =>
  new URL(`./slow-steps.ts?step=${step}&ms=${ms}`, import.meta.url).href;

test("a collection waits until a commit has read the heap; to evict, until it has marked it", async () => {
  await withDirectory(async (path) => {
    const store = { path, durability: "block", steps: slow("committed", 500) } as const;
    const runtime = await open([], { ...OPTIONS, store });
    const { engine } = runtime;
    const { words } = engine.heap;
    const isMarked = (): boolean => words[runtime.refOf(1) * UNIT_WORDS + HEADER_STORED] !== 0;
    const block = runtime.produce(metadata(1, 0));
    while (runtime.head.height === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await engine.collect({ force: true });
    assert.ok(!isMarked(), "the commit goes on");
    await engine.collect({ force: true, evict: true });
    assert.ok(isMarked());
    await block;
    assert.equal(runtime.inspect([])?.hash, runtime.head.root);
    await runtime.close();
  });
});

test("a commit ends its slice where a collection waits for it", async () => {
  await withDirectory(async (path) => {
    const store = { path, durability: "logged", checkpointMs: 3_600_000 } as const;
    const runtime = await open([], { ...OPTIONS, store });
    await runtime.checkpoint();
    const { engine } = runtime;
    const { control } = engine.heap;
    const marking = engine.marking.bind(engine);
    let slices = 0;
    engine.marking = (work) => {
      slices++;
      return marking(work);
    };
    await runtime.produce(metadata(1, 0));
    Atomics.store(control, COLLECTION_WAITS, 1);
    await runtime.checkpoint();
    assert.ok(slices > 4, `${slices} slices`);
    Atomics.store(control, COLLECTION_WAITS, 0);
    await runtime.produce(metadata(2, 0));
    slices = 0;
    await runtime.checkpoint();
    assert.equal(slices, 1);
    assert.deepEqual((await verifyStore(path)).damages, []);
    await runtime.close();
  });
});

test("blocks are held back while a checkpoint takes long, each for a little", async () => {
  await withDirectory(async (path) => {
    const checkpointMs = 300;
    const store = { path, durability: "logged", checkpointMs, steps: slow("objects", 900) } as const;
    const runtime = await open([], { ...OPTIONS, store });
    const times: number[] = [];
    const until = performance.now() + 6 * checkpointMs;
    while (performance.now() < until) {
      const began = performance.now();
      await runtime.produce(metadata(runtime.head.height + 1, 0));
      times.push(performance.now() - began);
    }
    await runtime.close();
    times.sort((a, b) => a - b);
    const [median, longest] = [times[times.length >> 1] as number, times.at(-1) as number];
    // Whoever waited for the checkpoint from twice "checkpointMs" on would wait for 600 ms and more.
    assert.ok(longest < 500, `median ${median} ms, longest ${longest} ms`);
  });
});
