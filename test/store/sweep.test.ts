/** Sweeps of a store beside blocks: what waits for them, and that they lose nothing. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { COLLECTION_WAITS } from "../../runtime/heap/stub.ts";
import type { Runtime } from "../../runtime/index.ts";
import { Store } from "../../runtime/store/store.ts";
import { verifyStore } from "../../runtime/store.ts";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";
import { sized } from "../sizes.ts";
import { withDirectory } from "./directory.ts";
import { replacing, sweepingAlways } from "./failing.ts";

const OPTIONS = { workers: 2, runner: "sequential", retainBlocks: 4 } as const;
const reopen = (path: string): Promise<Runtime> =>
  open([], { ...OPTIONS, store: { path, durability: "logged", checkpointMs: 5 } });

test("blocks run while a sweep looks for what it keeps", async () => {
  await withDirectory(async (path) => {
    const runtime = await reopen(path);
    const { engine } = runtime;
    const { markAhead, beginSweep, sweep } = Store.prototype;
    let [steps, begun, beside, swept] = [0, 0, 0, 0];
    const methods = {
      async markAhead(this: Store, isFirst: boolean): Promise<boolean> {
        steps++;
        // As few as possible at once.
        return markAhead.call(this, isFirst, 1);
      },
      async beginSweep(this: Store, refs: readonly number[]): Promise<number> {
        begun++;
        let isRunning = false;
        void engine.inTurn(async () => {
          isRunning = true;
        });
        await new Promise((resolve) => setImmediate(resolve));
        if (isRunning) beside++;
        return beginSweep.call(this, refs);
      },
      async sweep(this: Store, number: number, slice: number): ReturnType<typeof sweep> {
        const step = await sweep.call(this, number, slice);
        if (typeof step === "object" && "objects" in step) swept++;
        return step;
      },
    };
    const produce = async (): Promise<void> => {
      for (let i = 1; swept < 3; i++) {
        assert.ok(i < 2_000, "no sweep has ended");
        await runtime.produce(metadata(i, 0));
      }
    };
    await replacing(Store.prototype, methods, () => sweepingAlways(produce));
    assert.ok(begun >= 3 && steps > begun, `${begun} sweeps, marked in ${steps} steps`);
    assert.equal(beside, begun);
    await runtime.close();
    assert.deepEqual((await verifyStore(path)).damages, []);
  });
});

test("sweeps beside blocks, reverts, candidates and forks lose nothing", async (t) => {
  const next = random(baseSeed(t));
  await withDirectory(async (path) => {
    await sweepingAlways(async () => {
      for (let restart = 0; restart < 3; restart++) {
        const runtime = await reopen(path);
        for (let i = 0; i < sized(40, 200); i++) {
          const { height } = runtime.head;
          const lowest = runtime.blocks()[0]?.height ?? 0;
          const what = next(8);
          if (what === 0) await runtime.revert(Math.max(lowest, height - 1 - next(2)));
          else if (what === 1) {
            const made = await Promise.all(
              [1, 2].map((branch) => runtime.execute(metadata(height + 1, branch))),
            );
            await runtime.commit(made[next(2)] as (typeof made)[0]);
          } else if (what === 2) {
            const fork = await runtime.fork();
            await fork.produce(metadata(height + 1, 3));
            await fork.close();
          } else await runtime.produce(metadata(height + 1, next(3)));
        }
        for (const block of runtime.retained()) {
          await runtime.recompute(block);
          assert.equal(runtime.inspect([], block)?.hash, block.root);
        }
        await runtime.close();
        const { damages, blocks } = await verifyStore(path);
        assert.deepEqual(damages, []);
        assert.ok(blocks.every(({ intact }) => intact));
      }
    });
  });
});

test("a collection that is due comes while a checkpoint reads the heap", async () => {
  await withDirectory(async (path) => {
    const store = { path, durability: "logged", checkpointMs: 3_600_000 } as const;
    const runtime = await open([], { ...OPTIONS, store });
    const { engine } = runtime;
    const { control } = engine.heap;
    let isOver = false;
    // As a commit does, it ends its part when a collection waits.
    const reading = engine.marking(async (hasRead) => {
      while (!isOver && Atomics.load(control, COLLECTION_WAITS) === 0) await sleep(1);
      hasRead();
    });
    await engine.inTurn(async () => {
      assert.ok(engine.heap.tryBlob(new Uint8Array(300 << 20)) !== null);
    });
    const before = runtime.metrics().collections;
    await runtime.produce(metadata(1, 0));
    isOver = true;
    await reading;
    assert.equal(runtime.metrics().collections, before + 1);
    await runtime.close();
  });
});
