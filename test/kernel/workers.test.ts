/** The same blocks give the same bytes, whoever computes them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Block, Runtime } from "../../runtime/index.ts";
import { quota } from "../driver.ts";
import { withRuntime } from "../fixture.ts";
import { baseSeed } from "../seed.ts";
import { randomTree, type TreeShape } from "./trees.ts";

const SHAPE: TreeShape = { depth: 4, children: 3 };
const BLOCKS = 6;
/** Below the number of deaths at which a block is given up, however slowly the machine continues. */
const KILLS_PER_BLOCK = 20;
const QUOTA = { memoryQuotaPages: quota(60_000), processQuota: 4000, gasLimit: 4_000_000_000 };

type Facts = Pick<Block, "id" | "root" | "gasUsed"> & { data: string };

async function run(
  runtime: Runtime,
  seed: number,
  between: () => Promise<void> = async () => {},
): Promise<Facts[]> {
  const facts: Facts[] = [];
  for (let i = 0; i < BLOCKS; i++) {
    await between();
    const block = await runtime.produce(randomTree(seed + i, SHAPE).metadata());
    facts.push({
      id: block.id,
      root: block.root,
      gasUsed: block.gasUsed,
      data: Buffer.from(block.data).toString("base64"),
    });
  }
  return facts;
}

test("random trees: the same blocks with 1, 2, 4 and 8 workers", async (t) => {
  const seed = baseSeed(t);
  const expected = await withRuntime([], { ...QUOTA, workers: 1 }, (runtime) => run(runtime, seed));
  assert.equal(new Set(expected.map((block) => block.root)).size, BLOCKS);
  for (const workers of [2, 4, 8]) {
    const seen = await withRuntime([], { ...QUOTA, workers }, (runtime) => run(runtime, seed));
    assert.deepEqual(seen, expected, `${workers} workers`);
  }
});

test("random trees: the same blocks while workers are killed at random", async (t) => {
  const seed = baseSeed(t) + 1000;
  const expected = await withRuntime([], { ...QUOTA, workers: 1 }, (runtime) => run(runtime, seed));
  await withRuntime([], { ...QUOTA, workers: 3 }, async (runtime) => {
    let running = true;
    let kills = 0;
    let left = 0;
    const killer = (async () => {
      while (running) {
        await new Promise((resolve) => setTimeout(resolve, 5 + ((seed + kills * 7) % 60)));
        if (left-- > 0) await runtime.engine.pool.kill(kills++);
      }
    })();
    const seen = await run(runtime, seed, async () => {
      left = KILLS_PER_BLOCK;
    });
    running = false;
    await killer;
    assert.deepEqual(seen, expected);
    assert.ok(kills > 0);
  });
});

test("random trees: reverting and replaying gives the same blocks, and so does a fork", async (t) => {
  const seed = baseSeed(t) + 2000;
  await withRuntime([], { ...QUOTA, workers: 2 }, async (runtime) => {
    const expected = await run(runtime, seed);
    const fork = await runtime.fork();
    await fork.revert(2);
    const metadata = (i: number) => randomTree(seed + i, SHAPE).metadata();
    for (let i = 2; i < BLOCKS; i++) {
      const [one, two] = await Promise.all([fork.produce(metadata(i)), runtime.produce(metadata(i + 100))]);
      assert.equal(one.id, expected[i]?.id);
      assert.notEqual(two.id, one.id);
    }
    await runtime.revert(0);
    assert.deepEqual(await run(runtime, seed), expected);
    await fork.close();
  });
});

test("random trees: collections between blocks change nothing", async (t) => {
  const seed = baseSeed(t) + 3000;
  const expected = await withRuntime([], { ...QUOTA, workers: 1 }, (runtime) => run(runtime, seed));
  for (const workers of [1, 3]) {
    await withRuntime([], { ...QUOTA, workers, retainBlocks: 2 }, async (runtime) => {
      const collecting = async (): Promise<void> => {
        await runtime.engine.collect();
      };
      assert.deepEqual(await run(runtime, seed, collecting), expected, `${workers} workers`);
    });
  }
});
