/** A disk that is slow: what continues meanwhile. */

import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { holdMs } from "../../runtime/chain/pace.ts";
import { HEADER_STORED, UNIT_WORDS } from "../../runtime/heap/heap.ts";
import { COLLECTION_WAITS, LOADER_SIGNAL } from "../../runtime/heap/stub.ts";
import { verifyStore } from "../../runtime/store.ts";
import { filled } from "../bench/durable-run.ts";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";
import { withDirectory } from "./directory.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;
const slow = (query: string): string => new URL(`./slow-steps.ts?${query}`, import.meta.url).href;

test("a collection waits until a commit has read the heap; to evict, until it has marked it", async () => {
  await withDirectory(async (path) => {
    const gate = `${path}.gate`;
    writeFileSync(gate, "");
    const store = { path, durability: "block", steps: slow(`step=committed&until=${gate}`) } as const;
    const runtime = await open([], { ...OPTIONS, store });
    rmSync(gate);
    const { engine } = runtime;
    const { words } = engine.heap;
    const made = await runtime.execute(metadata(1, 0));
    const isMarked = (): boolean => words[runtime.refOf(made) * UNIT_WORDS + HEADER_STORED] !== 0;
    const marking = engine.marking.bind(engine);
    const read = Promise.withResolvers<void>();
    engine.marking = (work) =>
      marking((hasRead) =>
        work(() => {
          hasRead();
          read.resolve();
        }),
      );
    const block = runtime.commit(made);
    await read.promise;
    await engine.collect({ force: true });
    assert.ok(!isMarked());
    let isEvicted = false;
    const evicted = engine.collect({ force: true, evict: true }).then(() => {
      isEvicted = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(!isEvicted && !isMarked());
    writeFileSync(gate, "");
    await Promise.all([evicted, block]);
    assert.ok(isMarked());
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

test("a commit ends its slice where a thread asks for an object, but not for each", async () => {
  const slicesOf = (isAsking: boolean): Promise<number> =>
    withDirectory(async (path) => {
      const runtime = await filled({ store: { path, durability: "logged", checkpointMs: 3_600_000 } });
      const { engine } = runtime;
      const marking = engine.marking.bind(engine);
      let slices = 0;
      engine.marking = (work) => {
        slices++;
        return marking(work);
      };
      let isDone = false;
      const done = runtime.checkpoint().finally(() => {
        isDone = true;
      });
      while (!isDone) {
        if (isAsking) Atomics.add(engine.heap.control, LOADER_SIGNAL, 1);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await done;
      await runtime.close();
      assert.deepEqual((await verifyStore(path)).damages, []);
      return slices;
    });
  // The memory of its accounts has 16,384 pages.
  assert.ok((await slicesOf(false)) <= 3);
  const asked = await slicesOf(true);
  assert.ok(asked > 4 && asked <= 20, `${asked} slices`);
});

test("blocks are held back by little, the more the later a checkpoint is; then they wait for it", () => {
  const [checkpointMs, blockMs] = [1_000, 20];
  const hold = (waitedMs: number, elapsedMs: number, lastMs = 800) =>
    holdMs({ checkpointMs, waitedMs, elapsedMs, lastMs, blockMs });
  // It ends in time, as the last one did.
  assert.equal(hold(1_000, 0), 0);
  assert.equal(hold(1_500, 500), 0);
  // The last one took 2,000 ms, and this one has 1,000: as long as a block takes.
  assert.equal(hold(1_000, 0, 2_000), blockMs);
  let before = 0;
  for (let ms = 1_000; ms < 3_000; ms += 10) {
    const held = hold(ms, ms - 1_000) as number;
    assert.ok(held >= before && held <= 1.5 * blockMs, `${ms} ms: ${held}`);
    before = held;
  }
  assert.equal(before, 1.5 * blockMs);
  assert.equal(hold(3_000, 2_000), null);
});
