/**
 * Batches among other things: several at once, of several programs, between activations that change private
 * memory, with collections, killed threads and signals in between. The blocks are those of one worker.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { DebugOptions, Runtime } from "../../runtime/index.ts";
import type { Script } from "../driver.ts";
import { blocksOf, open } from "../fixture.ts";
import { sized } from "../sizes.ts";
import { type BatchInput, batchMetadata } from "./batches.ts";
import { chain, engine, steps, WORKERS } from "./everywhere.ts";
import { batch, item, type Operation, op, randomBatch, SCRATCH, SCRIPT } from "./scripts.ts";
import { give, giveSeveral, makeSeveral, SEVERAL, scriptOf } from "./several.ts";

const line = (number: number): number => number * 64;
const many = (count: number, operations: (i: number) => Operation[]): BatchInput =>
  batch(Array.from({ length: count }, (_, i) => item(operations(i))));

/** Compares one worker with several, in parallel by force. */
async function same(
  scripts: readonly Script[],
  debug: DebugOptions = {},
  during: (runtime: Runtime, turn: number) => Promise<void> = async () => {},
): Promise<void> {
  await using loop = await open([SCRIPT], { ...SEVERAL, workers: 1, runner: "sequential" });
  const expected = await blocksOf(loop, scripts);
  for (const workers of WORKERS.slice(1)) {
    await using runtime = await open([SCRIPT], { ...SEVERAL, workers, debug: { force: true, ...debug } });
    for (let run = 0; run < sized(1, 2); run++) {
      let turn = 0;
      const found = blocksOf(runtime, scripts);
      const busy = setInterval(() => void during(runtime, turn++), 20);
      try {
        assert.deepEqual(await found, expected, `${workers} workers, run ${run}`);
      } finally {
        clearInterval(busy);
      }
    }
  }
}

/** All children have batches at once, in several blocks. */
function crowd(seed: number, count: number): Script[] {
  return [makeSeveral(), ...Array.from({ length: count }, (_, i) => giveSeveral(seed * 1000 + i))];
}

test("several batches at once: one has the engine, the others continue by themselves", async () => {
  await same(crowd(1, 8));
});

test("several batches at once, and threads are held up", async () => {
  await same(crowd(2, 5), { steps: steps("stall") });
});

test("several batches at once, and threads are killed", async () => {
  const kill = async (runtime: Runtime, turn: number): Promise<void> => {
    if (turn < 6) await runtime.engine.pool.kill(turn);
  };
  await same(crowd(3, 5), { steps: steps("stall") }, kill);
});

test("between batches private memory, globals and the size of memory change", async () => {
  const private_ = (count: number) =>
    many(count, (i) => [
      op.counter(),
      op.read(SCRATCH + 8 * i),
      op.output(),
      op.add(SCRATCH + 8 * i, 3),
      op.add(line(i % 7), i),
      op.outputAt(line(i % 7)),
    ]);
  const scripts = [makeSeveral()];
  for (let round = 0; round < 6; round++) {
    scripts.push(
      scriptOf((script) => {
        for (let child = 1; child <= 2; child++) {
          give(script, child, private_(40 + round));
          script.get(child, { status: true, hash: true });
          const argument = BigInt(round * 8 + child);
          script.put(child, { start: { entry: "prepare", argument, gas: 10_000_000 } });
          script.get(child, { status: true, hash: true });
          give(script, child, private_(30));
          script.get(child, { status: true, hash: true });
        }
      }),
    );
  }
  await same(scripts);
});

test("a collection between batches", async () => {
  const batches = Array.from({ length: sized(21, 30) }, (_, i) => randomBatch(4000 + i));
  const expected = await chain(await engine({ workers: 1, runner: "sequential" }), batches);
  for (const workers of WORKERS.slice(1)) {
    const { runtime, reports } = await engine({ workers });
    for (const at of sized([10], [0, 10, 20])) {
      const head = await chain({ runtime, reports }, batches.slice(0, at));
      assert.deepEqual(head, expected.slice(0, at));
      await runtime.engine.collect({ force: true });
      for (const [i, input] of batches.slice(at).entries()) {
        const block = await runtime.produce(batchMetadata(input));
        assert.deepEqual(block, expected[at + i]?.block);
        if (i % 7 === 0) await runtime.engine.collect({ force: true });
      }
    }
  }
});

test("34, 35: a batch that a signal gives up leaves nothing; then it runs as ever", async () => {
  const input = many(600, (i) => [op.work(3000), op.copyAdd(line(i % 3), line((i + 1) % 3), 1)]);
  const metadata = batchMetadata(input);
  const [expected] = await chain(await engine({ workers: 1, runner: "sequential" }), [input]);
  for (const workers of WORKERS.slice(1)) {
    const { runtime } = await engine({ workers, debug: { steps: steps("stall") } });
    for (const delay of sized([0, 3, 20], [0, 1, 3, 8, 20])) {
      await runtime.revert(2);
      const before = runtime.head;
      const cancel = new AbortController();
      const running = runtime.produce(metadata, { signal: cancel.signal }).then(
        (block) => block,
        () => null,
      );
      await new Promise((resolve) => setTimeout(resolve, delay));
      cancel.abort();
      const block = await running;
      if (block === null) assert.deepEqual(runtime.head, before);
      else assert.deepEqual(block, expected?.block);
      await runtime.revert(2);
      assert.deepEqual(await runtime.produce(metadata), expected?.block);
    }
  }
});
