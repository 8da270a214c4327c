/** Who holds a store, and who has let go of it: after failures, and after threads that were ended. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { StoreError } from "../../runtime/index.ts";
import { verifyStore } from "../../runtime/store.ts";
import { SCRATCH, Script } from "../driver.ts";
import { open } from "../fixture.ts";
import { withDirectory } from "./directory.ts";
import { replacing } from "./failing.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;

for (const busy of [false, true]) {
  test(`a thread that was ended has let go of its store, ${busy ? "while it wrote" : "idle"}`, async () => {
    await withDirectory(async (store) => {
      const file = new URL("holder.ts", import.meta.url);
      const thread = new Worker(file, { workerData: { store, busy } });
      let height = 0;
      await new Promise<void>((resolve, reject) => {
        thread.on("error", reject);
        thread.on("message", (said: number) => {
          height = said;
          if (height >= (busy ? 5 : 1)) resolve();
        });
      });
      await assert.rejects(open([], { ...OPTIONS, store }), { code: "STORE_LOCKED" });
      await thread.terminate();
      const runtime = await open([], { ...OPTIONS, store });
      assert.ok(runtime.head.height >= height);
      await runtime.close();
      assert.deepEqual((await verifyStore(store)).damages, []);
    });
  });
}

test("an open that fails before block 0 leaves the directory to others", async () => {
  await withDirectory(async (store) => {
    // The gas of a block is part of the genesis: with so little there is no block 0.
    await assert.rejects(open([], { ...OPTIONS, store, gasLimit: 10 }), { code: "BLOCK_FAULT" });
    await assert.rejects(verifyStore(store), { code: "STORE_EMPTY" });
    const runtime = await open([], { ...OPTIONS, store });
    await runtime.close();
    await assert.rejects(open([], { ...OPTIONS, store, gasLimit: 10 }), { code: "STORE_GENESIS" });
  });
});

test("threads that cannot be started let go of the store", async () => {
  await withDirectory(async (store) => {
    const { SharedArrayBuffer: Memory } = globalThis;
    const records = 12_345;
    /** There is none for the timeline. */
    class Refused extends Memory {
      constructor(bytes: number, options?: { maxByteLength?: number }) {
        if (bytes % (1 + records) === 0) throw new RangeError("Array buffer allocation failed");
        super(bytes, options);
      }
    }
    const failing = () => open([], { ...OPTIONS, store, debug: { timelineRecords: records } });
    await replacing(globalThis, { SharedArrayBuffer: Refused }, () =>
      assert.rejects(failing(), { message: /allocation failed/ }),
    );
    await (await open([], { ...OPTIONS, store })).close();
  });
});

test("a store that is full of garbage is swept before a block is refused", async () => {
  await withDirectory(async (path) => {
    const store = { path, limitBytes: 4 << 20 };
    for (const durability of ["block", "logged"] as const) {
      const place = { ...store, path: `${path}-${durability}`, durability, logBytes: 1 << 16 };
      const runtime = await open([], { ...OPTIONS, retainBlocks: 2, store: place });
      // 20 times what fits.
      for (let value = 1; value <= 80; value++) {
        const script = new Script();
        for (let page = 0; page < 250; page++) {
          script.fill(SCRATCH + 0x80000 + page * 4096, 4096, 1 + ((value + page) % 255));
        }
        script.store(SCRATCH + 0x80000, BigInt(value));
        await runtime.produce(script.metadata());
      }
      assert.equal(runtime.head.height, 80);
      // What is retained is not garbage.
      const full = async (): Promise<void> => {
        for (let value = 100; value < 200; value++) {
          const script = new Script();
          for (let page = 0; page < 250; page++) {
            script.store(SCRATCH + 0x80000 + page * 4096 + 8 * (value % 500), BigInt(value * 251 + page));
          }
          await runtime.pin(await runtime.produce(script.metadata()));
        }
      };
      await assert.rejects(full(), (error) => error instanceof StoreError && error.code === "STORE_FULL");
      await runtime.close().catch(() => {});
      assert.deepEqual((await verifyStore(place.path)).damages, []);
    }
  });
});
