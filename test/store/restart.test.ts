/**
 * A runtime that is closed and opened again between blocks computes what one does that was never closed:
 * roots, data, gas, faults. What lies in the store is loaded piece by piece, by several threads, with
 * collections in between, after some of which no page is left; none of that may show.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Runtime } from "../../runtime/index.ts";
import { quota } from "../driver.ts";
import { open, withRuntime } from "../fixture.ts";
import { checkTree } from "../kernel/invariants.ts";
import { random, randomTree } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";
import { sized } from "../sizes.ts";
import { withDirectory } from "./directory.ts";

const OPTIONS = { memoryQuotaPages: quota(60_000), processQuota: 4000, gasLimit: 4_000_000_000 };
const BLOCKS = 6;

/** What a block comes out as, or its fault. */
async function outcome(runtime: Runtime, metadata: Uint8Array): Promise<object> {
  try {
    const { id, gasUsed, data } = await runtime.produce(metadata);
    return { id, gasUsed, data: Buffer.from(data).toString("latin1") };
  } catch (error) {
    const { code, facts } = error as { code?: string; facts?: object };
    if (code !== "BLOCK_FAULT") throw error;
    return { fault: facts };
  }
}

for (const workers of [1, 3]) {
  test(`random trees come out the same with restarts in between, ${workers} workers`, async (t) => {
    const seed = baseSeed(t);
    for (let round = 0; round < sized(1, 3); round++) {
      const next = random(seed + 100 * workers + round);
      const shape = { depth: 2 + next(2), children: 2 + next(2) };
      const chain = Array.from({ length: BLOCKS }, () => randomTree(next(1 << 30), shape).metadata());
      const expected = await withRuntime([], { ...OPTIONS, workers: 1 }, async (runtime) => {
        const seen: object[] = [];
        for (const metadata of chain) seen.push(await outcome(runtime, metadata));
        return seen;
      });
      await withDirectory(async (store) => {
        let runtime = await open([], { ...OPTIONS, workers, store });
        for (const [i, metadata] of chain.entries()) {
          if (next(2) === 0) {
            await runtime.close();
            runtime = await open([], { ...OPTIONS, workers, store });
          }
          if (next(2) === 0) await runtime.engine.collect({ evict: next(2) === 0 });
          assert.deepEqual(await outcome(runtime, metadata), expected[i], `round ${round}, block ${i}`);
          if (next(2) === 0) checkTree(runtime);
        }
        await runtime.close();
      });
    }
  });
}
