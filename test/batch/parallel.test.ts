/** Batches in parallel against the loop: the same blocks. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Block, RuntimeOptions } from "../../runtime/index.ts";
import { guest } from "../fixture.ts";
import { openBatches, runBatch } from "./batches.ts";

const payments = await guest("batch/payments");
const BOUND = 16 << 20;

async function play(options: Partial<RuntimeOptions>, accounts: number): Promise<Block[]> {
  const runtime = await openBatches(payments, options);
  const blocks: Block[] = [];
  let seed = 7;
  const random = (limit: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % limit;
  };
  for (let block = 0; block < 3; block++) {
    const items = Array.from({ length: 600 }, () => ({
      input: new Uint8Array(Uint32Array.of(20, 2, random(accounts), random(accounts)).buffer),
      gas: 100_000,
    }));
    const { put, get, block: made } = await runBatch(runtime, { entry: "mix2", items, inbox: BOUND });
    assert.deepEqual([put, get], [0, 0]);
    blocks.push(made);
  }
  await runtime.close();
  return blocks;
}

for (const accounts of [2, 50, 10_000]) {
  test(`payments among ${accounts} accounts are the same in parallel`, async () => {
    const expected = await play({ runner: "sequential", workers: 1 }, accounts);
    for (const workers of [2, 4]) assert.deepEqual(await play({ workers, force: true }, accounts), expected);
    assert.deepEqual(await play({ workers: 2 }, accounts), expected);
  });
}
