/**
 * Many blocks with pruning: file, heap and records stay bounded. 10,000 blocks with
 * STILLPOINT_SOAK_BLOCKS=10000 node --test test/store/soak.test.ts
 */

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { test } from "node:test";
import { verifyStore } from "../../runtime/store.ts";
import { SCRATCH, Script } from "../driver.ts";
import { open } from "../fixture.ts";
import { sized } from "../sizes.ts";
import { withDirectory } from "./directory.ts";

const BLOCKS = Number(process.env.STILLPOINT_SOAK_BLOCKS ?? sized(450, 900));
const PAGES = 64;
const RETAIN = 8;
/** What is retained is a few MiB; a sweep comes after 64 MiB, and what it frees is used again. */
const FILE_LIMIT = 200 << 20;
const HEAP_LIMIT = 400 << 20;

test(`${BLOCKS} blocks with pruning: disk and memory are bounded, and all is there in the end`, async (t) => {
  await withDirectory(async (path) => {
    const options = { workers: 1, runner: "sequential", retainBlocks: RETAIN } as const;
    let runtime = await open([], { ...options, store: { path, durability: "logged" } });
    let file = 0;
    let heap = 0;
    for (let i = 1; i <= BLOCKS; i++) {
      const script = new Script();
      script.fill(SCRATCH + 0x80000 + (i % 3) * PAGES * 4096, PAGES * 4096, 1 + (i % 255));
      // No two pages are the same.
      for (let page = 0; page < PAGES; page++) {
        script.store(SCRATCH + 0x80000 + ((i % 3) * PAGES + page) * 4096, BigInt(i * PAGES + page));
      }
      await runtime.produce(script.metadata());
      if (i % 50 !== 0) continue;
      await runtime.checkpoint();
      file = Math.max(file, statSync(`${path}/data.mdb`).size);
      heap = Math.max(heap, runtime.engine.heap.usedBytes);
      assert.equal(runtime.retained().length, RETAIN);
      // A restart in the middle, for what is swept may be loaded only.
      if (i % 300 !== 0) continue;
      await runtime.close();
      runtime = await open([], { ...options, store: { path, durability: "logged" } });
      assert.equal(runtime.head.height, i);
    }
    t.diagnostic(`file at most ${file >> 20} MiB, heap at most ${heap >> 20} MiB`);
    assert.ok(file < FILE_LIMIT, `file of ${file} bytes`);
    assert.ok(heap < HEAP_LIMIT, `heap of ${heap} bytes`);
    const { head } = runtime;
    await runtime.close();
    const found = await verifyStore(path);
    assert.deepEqual([found.damages.length, found.newestIntact, found.blocks.length], [0, head.id, RETAIN]);
  });
});
