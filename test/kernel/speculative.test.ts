/**
 * Speculative work: children that run while later blocks are produced. It can be used, lost or interrupted,
 * never seen.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Block, Runtime } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota, REGION, Script } from "../driver.ts";
import { DRIVER_HASH, ENDLESS_GAS, play, shrinkHeap, withRuntime } from "../fixture.ts";

const GAS = 2_000_000_000;
/** Of a block. */
const OPTIONS = { gasLimit: GAS * 10 };
const SPIN = 2_000_000;
const BLOCKS = 12;

/**
 * A script whose process starts a child of its own that starts a child …, `levels` deep; the last one works
 * long.
 */
function leaveRunning(script: Script, levels: number): void {
  const inner = new Script({ commands: 16 });
  if (levels > 1) leaveRunning(inner, levels - 1);
  else {
    inner.spin(SPIN);
    inner.store(0x280000, 77n);
  }
  script.put(1, {
    program: DRIVER_HASH,
    memoryQuotaPages: quota(80 * levels),
    processQuota: levels - 1,
    heldGas: levels > 1 ? GAS : 0,
    ranges: [{ source: inner.metadata(), target: REGION }],
    start: { entry: "run", argument: BigInt(REGION), gas: GAS * levels },
  });
  // All but the last level are joined, so that only the last one is still started when the block ends.
  if (levels > 1) script.get(1, { status: true });
}

/** Joins what `leaveRunning` left, through the same levels. */
function joinAll(script: Script, levels: number): { status: number; copy: number } {
  if (levels > 1) {
    const inner = new Script({ commands: 16 });
    joinAll(inner, levels - 1);
    script.put(1, {
      ranges: [{ source: inner.metadata(), target: REGION }],
      start: { entry: "run", argument: BigInt(REGION), gas: 100_000_000 * levels },
    });
  }
  return {
    status: script.get(1, { status: true }),
    copy: script.get(1, { copy: [{ source: 0x280000, length: 8 }] }),
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** A child is started in block 1 and joined in block `BLOCKS`; `between` happens after block 1. */
async function run(
  runtime: Runtime,
  levels: number,
  between: (runtime: Runtime, height: number) => Promise<unknown> = async () => {},
): Promise<Block[]> {
  const blocks = [(await play(runtime, (s) => leaveRunning(s, levels))).block];
  for (let height = 2; height < BLOCKS; height++) {
    await between(runtime, height);
    blocks.push((await play(runtime, (s) => s.store(0x200000, BigInt(height)))).block);
  }
  const { block, results, handles } = await play(runtime, (s) => joinAll(s, levels));
  assert.equal(results.status(handles.status).kind, abi.STATUS_RETURNED);
  if (levels === 1) assert.equal(results.bytes(handles.copy)[0], 77);
  return [...blocks, block];
}

const facts = (blocks: readonly Block[]) => blocks.map(({ id, root, gasUsed }) => ({ id, root, gasUsed }));

for (const levels of [1, 2, 4]) {
  test(`a child ${levels} levels down runs over ten blocks, and the results do not show when`, async () => {
    const alone = await withRuntime([], { ...OPTIONS, workers: 1 }, (runtime) => run(runtime, levels));
    await withRuntime([], { ...OPTIONS, workers: 3 }, async (runtime) => {
      const early = await run(runtime, levels, (r) => until(() => r.engine.pool.speculativeReady === 1));
      assert.equal(runtime.engine.pool.speculativeUsed, 1, "the speculative result was used");
      assert.deepEqual(facts(early), facts(alone));
      await runtime.revert(0);
      assert.deepEqual(facts(await run(runtime, levels)), facts(alone), "joined while it runs, or before");
    });
  });
}

test("until its join a child that is done looks like one that has not begun", async () => {
  await withRuntime([], { ...OPTIONS, workers: 2 }, async (runtime) => {
    await play(runtime, (s) => leaveRunning(s, 1));
    const before = runtime.inspect([1]);
    assert.equal(before?.status, "runnable");
    await until(() => runtime.engine.pool.speculativeReady === 1);
    assert.deepEqual(runtime.inspect([1]), before);
    const { results, handles } = await play(runtime, (s) => s.load(0x200000));
    assert.equal(results.value(handles), 0n);
    assert.deepEqual(runtime.inspect([1]), before);
  });
});

test("reverts in the middle: the child is joined on several branches, with one result", async () => {
  await withRuntime([], { ...OPTIONS, workers: 3 }, async (runtime) => {
    const start = (await play(runtime, (s) => leaveRunning(s, 1))).block;
    const join = async () => (await play(runtime, (s) => joinAll(s, 1))).block;
    const first = await join();
    await runtime.revert(start);
    await play(runtime, (s) => s.put(1, { drop: true }));
    await runtime.revert(0);
    await play(runtime, (s) => leaveRunning(s, 1));
    await runtime.revert(start);
    assert.equal((await join()).id, first.id);
    const fork = await runtime.fork();
    await Promise.all([fork.revert(start), runtime.revert(start)]);
    const [one, two] = await Promise.all([
      play(fork, (s) => joinAll(s, 1)),
      play(runtime, (s) => joinAll(s, 1)),
    ]);
    assert.deepEqual([one.block.id, two.block.id], [first.id, first.id]);
    await fork.close();
  });
});

test("killed workers and collections in the middle change nothing", async () => {
  const alone = await withRuntime([], { ...OPTIONS, workers: 1 }, (runtime) => run(runtime, 2));
  await withRuntime([], { ...OPTIONS, workers: 3 }, async (runtime) => {
    const disturbed = await run(runtime, 2, async ({ engine }, height) => {
      if (height % 3 === 0) await engine.pool.kill(height);
      else await engine.collect();
    });
    assert.deepEqual(facts(disturbed), facts(alone));
    await runtime.revert(0);
    const collected = await run(runtime, 2, async ({ engine }, height) => {
      await until(() => engine.pool.speculativeReady === 1);
      if (height === 5) await engine.collect();
    });
    assert.deepEqual(facts(collected), facts(alone), "a result survives a collection");
    assert.ok(runtime.engine.pool.speculativeUsed > 0);
  });
});

test("a collection forgets results that no retained block can want", async () => {
  await withRuntime([], { ...OPTIONS, workers: 2, retainBlocks: 1 }, async (runtime) => {
    await play(runtime, (s) => leaveRunning(s, 1));
    await until(() => runtime.engine.pool.speculativeReady === 1);
    await play(runtime, (s) => joinAll(s, 1));
    await play(runtime, (s) => leaveRunning(s, 1));
    await until(() => runtime.engine.pool.speculativeReady === 1);
    await runtime.engine.collect();
    assert.equal(runtime.engine.pool.speculativeReady, 1);
    await play(runtime, (s) => s.put(1, { program: DRIVER_HASH }));
    await runtime.engine.collect();
    assert.equal(runtime.engine.pool.speculativeReady, 0);
  });
});

for (const [name, levels] of [
  ["endless speculative work", 1],
  ["endless speculative work below speculative work", 2],
] as const) {
  test(`${name} does not keep the heap from being collected`, async () => {
    const small = {
      workers: 3,
      memoryQuotaPages: quota(400),
      gasLimit: ENDLESS_GAS,
      retainBlocks: 1,
    };
    await withRuntime([], small, async (runtime) => {
      shrinkHeap(runtime, 96 << 20);
      await play(runtime, (s) => leaveSpinning(s, levels));
      await until(() => runtime.engine.pool.threadsAtWork > 0);
      const { generation } = runtime.engine.heap;
      for (let round = 1; runtime.engine.heap.generation < generation + 3; round++) {
        await play(runtime, (s) => s.fill(0x280000, 100 * 4096, round & 255));
        assert.ok(round < 1000, "it was never collected");
      }
      assert.equal(runtime.inspect([1])?.status, "runnable");
    });
  });
}

/** Starts a child that starts a child …; the last one never ends, and nobody joins the first one. */
function leaveSpinning(script: Script, levels: number): void {
  const inner = new Script({ commands: 4 });
  if (levels > 1) {
    leaveSpinning(inner, levels - 1);
    inner.get(1, { words: { [abi.GET_PARTS]: abi.PART_GET_STATUS, [abi.GET_STATUS_POINTER]: 0x200000 } });
  } else {
    inner.spin(0);
  }
  script.put(1, {
    program: DRIVER_HASH,
    memoryQuotaPages: quota(80 * levels),
    processQuota: levels - 1,
    heldGas: levels > 1 ? 3e10 : 0,
    ranges: [{ source: inner.metadata(), target: REGION }],
    start: { entry: "run", argument: BigInt(REGION), gas: 3e10 * levels },
  });
}

test("a fork in a long block does not fill the heap for another one", async () => {
  const small = {
    workers: 3,
    memoryQuotaPages: quota(200),
    retainBlocks: 1,
  };
  await withRuntime([], small, async (runtime) => {
    shrinkHeap(runtime, 64 << 20);
    const fork = await runtime.fork();
    let done = false;
    const long = play(fork, (s) => s.spin(40_000_000)).then(() => {
      done = true;
    });
    for (let round = 1; !done || round < 150; round++) {
      await play(runtime, (s) => s.fill(0x280000, 100 * 4096, round & 255));
    }
    await long;
    await fork.close();
  });
});
