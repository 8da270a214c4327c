/**
 * Old states in the mode "logged": the store has those of anchors; any other is made again from one, by the
 * blocks between, which stay as long as that takes.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Block, Runtime, RuntimeOptions } from "../../runtime/index.ts";
import { exportBlock, openReader, repairStore, verifyStore } from "../../runtime/store.ts";
import { open, shrinkHeap, withRuntime } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";
import { withDirectory } from "./directory.ts";
import { AT, WINDOW, writing } from "./failing.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;
/** Checkpoints come when they are asked for. */
const logged = (path: string) =>
  ({ path, durability: "logged", checkpointMs: 3_600_000, logBytes: 1 << 20 }) as const;
const reopen = (path: string, more: Partial<RuntimeOptions> = {}): Promise<Runtime> =>
  open([], { ...OPTIONS, store: logged(path), ...more });

/** Blocks 1 to 12, with checkpoints at 4, 8 and 12; their memory by id. */
async function filled(path: string, more: Partial<RuntimeOptions> = {}): Promise<Map<string, Uint8Array>> {
  const runtime = await reopen(path, more);
  const states = new Map<string, Uint8Array>();
  for (let i = 1; i <= 12; i++) {
    const { id } = await runtime.produce(writing(i));
    states.set(id, runtime.read([], AT, WINDOW));
    if (i % 4 === 0) await runtime.checkpoint();
  }
  await runtime.close();
  return states;
}

const heights = (blocks: readonly Block[]): number[] => blocks.map(({ height }) => height);

test("a reader has the states of anchors, and says which they are", async () => {
  await withDirectory(async (path) => {
    const states = await filled(path);
    const reader = await openReader(path);
    assert.deepEqual(heights(reader.anchors()), [0, 4, 8, 12]);
    assert.deepEqual(
      heights(reader.blocks()),
      Array.from({ length: 13 }, (_, i) => i),
    );
    for (const block of reader.blocks()) {
      const look = (): Uint8Array => reader.read([], AT, WINDOW, block);
      if (block.height % 4 === 0) {
        if (block.height > 0) assert.deepEqual(look(), states.get(block.id));
        continue;
      }
      const below = block.height - (block.height % 4);
      const facts = { target: block.id, height: block.height, below, above: below + 4 };
      assert.throws(look, { code: "NO_STATE", facts });
      assert.ok(reader.input(block).metadata.length > 0);
      const chunks = exportBlock(path, { block: block.height });
      await assert.rejects(chunks.next(), { code: "NO_STATE" });
    }
    await reader.close();
    const found = await verifyStore(path);
    assert.deepEqual(found.damages, []);
    assert.ok(
      found.blocks.every(({ intact, stored, height }) => intact && stored === ((height ?? 1) % 4 === 0)),
    );
  });
});

test("a state between anchors is made again, once, reported, and can be cancelled", async () => {
  await withDirectory(async (path) => {
    const states = await filled(path);
    const runtime = await reopen(path);
    const events = runtime.events();
    const block = runtime.blocks()[7] as Block;
    assert.throws(() => runtime.read([], AT, WINDOW, 7), { code: "NO_STATE" });
    await assert.rejects(runtime.recompute(7, { signal: AbortSignal.abort() }), { code: "CANCELLED" });
    // Beside a block.
    const [made] = await Promise.all([
      runtime.produce(writing(13)),
      runtime.recompute(7),
      runtime.recompute(7),
    ]);
    assert.equal(made.height, 13);
    assert.deepEqual(runtime.read([], AT, WINDOW, block), states.get(block.id));
    // What lay on the way is there as well.
    for (const height of [5, 6]) runtime.read([], AT, WINDOW, height);
    await runtime.recompute(7);
    await runtime.close();
    const told = [];
    for await (const event of events) if (event.kind === "recompute") told.push([event.height, event.blocks]);
    assert.ok(told.length >= 1 && told.every(([height]) => height === 7));
    assert.equal(Math.max(...told.map(([, blocks]) => blocks as number)), 3);
  });
});

test("whatever needs a state makes it: revert, reorg, execute, call, fork, trace, pin", async () => {
  await withDirectory(async (path) => {
    const states = await filled(path);
    const uses: ((runtime: Runtime, height: number) => Promise<unknown>)[] = [
      (runtime, height) => runtime.revert(height),
      (runtime, height) => runtime.reorg({ to: height, blocks: [{ metadata: writing(height + 1) }] }),
      (runtime, height) => runtime.execute(writing(height + 1), { on: height }),
      async (runtime, height) => {
        const fork = await runtime.fork({ at: height });
        assert.equal((await fork.produce(writing(height + 1))).id, runtime.blocks()[height + 1]?.id);
        await fork.close();
      },
      (runtime, height) => runtime.trace(height + 1),
      (runtime, height) => runtime.trace({ metadata: writing(1), on: height }),
    ];
    for (const use of uses) {
      const runtime = await reopen(path);
      const block = runtime.blocks()[6] as Block;
      await use(runtime, 6);
      assert.deepEqual(runtime.read([], AT, WINDOW, block), states.get(block.id));
      await runtime.close();
    }
    const runtime = await reopen(path);
    const at = runtime.retained().find(({ height }) => height === 10) as Block;
    await runtime.pin(at);
    await runtime.checkpoint();
    const reader = await openReader(path);
    assert.deepEqual(reader.read([], AT, WINDOW, at), states.get(at.id));
    await reader.close();
    const fork = await runtime.fork({ store: `${path}-fork` });
    await runtime.close();
    await fork.close();
    assert.deepEqual((await verifyStore(`${path}-fork`)).damages, []);
    const branch = await open([], { ...OPTIONS, store: `${path}-fork` });
    for (const block of branch.retained()) {
      await branch.recompute(block);
      assert.equal(branch.inspect([], block)?.hash, block.root);
    }
    await branch.close();
  });
});

test("an anchor stays as long as a state is made from it, and goes then", async () => {
  await withDirectory(async (path) => {
    const states = await filled(path);
    const runtime = await reopen(path, { retainBlocks: 6 });
    await runtime.prune(6);
    assert.deepEqual(heights(runtime.retained()), [7, 8, 9, 10, 11, 12]);
    await runtime.close();
    const again = await reopen(path, { retainBlocks: 6 });
    await again.recompute(7);
    const seven = again.blocks()[0] as Block;
    assert.deepEqual(again.read([], AT, WINDOW, seven), states.get(seven.id));
    assert.deepEqual((await verifyStore(path)).damages, []);
    const before = (await verifyStore(path)).objects;
    await again.prune(5);
    await again.close();
    assert.ok((await verifyStore(path)).objects < before, "block 4 has gone, and what led to 7");
    const last = await reopen(path, { retainBlocks: 6 });
    for (const height of [9, 10, 11]) await last.recompute(height);
    await last.close();
    // A repair that goes back keeps what is whole.
    assert.deepEqual((await repairStore(path)).damages, []);
  });
});

test("states that can be made again make room in a small heap", async () => {
  await withDirectory(async (path) => {
    const runtime = await reopen(path, { retainBlocks: 100 });
    shrinkHeap(runtime, 40 << 20);
    const ids: string[] = [];
    const block = (i: number): Uint8Array => writing(i);
    for (let i = 1; i <= 100; i++) {
      ids.push((await runtime.produce(block(i))).id);
      if (i % 10 === 0) await runtime.checkpoint();
    }
    await runtime.engine.collect({ evict: true });
    assert.throws(() => runtime.read([], AT, 8, 55), { code: "NO_STATE" });
    await runtime.revert(55);
    assert.equal(runtime.head.id, ids[54]);
    assert.equal((await runtime.produce(block(56))).id, ids[55]);
    await runtime.close();
  });
});

test("any order of what can happen, with checkpoints, restarts, dropped states and forks", async (t) => {
  const seed = baseSeed(t);
  for (let round = 0; round < (process.env.STILLPOINT_FULL === "1" ? 3 : 1); round++) {
    const next = random(seed + round);
    await withDirectory(async (path) => {
      const options = { ...OPTIONS, retainBlocks: 7, archiveBlocks: 5 } as const;
      await withRuntime([], options, async (twin) => {
        let runtime = await reopen(path, options);
        for (let step = 0; step < 80; step++) {
          const kind = next(16);
          const retained = twin.retained();
          const some = retained[next(retained.length)] as Block;
          const value = next(1 << 20);
          for (const one of [runtime, twin]) {
            if (kind < 2) await one.revert(some);
            else if (kind === 2) await one.pin(some);
            else if (kind === 3) await one.unpin(some);
            else if (kind === 4) await one.prune(1 + (value % 6));
            else if (kind === 5) {
              const blocks = [1, 2, 3].map((i) => ({ metadata: writing(value + i) }));
              await one.reorg({ to: some, blocks });
            } else if (kind === 6) await one.commit(await one.execute(writing(value % 3)));
            else if (kind < 12) await one.produce(writing(value % 5));
          }
          if (kind === 12) await runtime.checkpoint();
          if (kind === 13) await runtime.engine.collect({ evict: true });
          if (kind === 14) {
            await runtime.close();
            assert.deepEqual((await verifyStore(path)).damages, []);
            const store = next(3) === 0 ? path : logged(path);
            runtime = await open([], { ...options, store });
          }
          if (kind === 15 && next(2) === 0) {
            const fork = await runtime.fork({ store: logged(`${path}-${round}-${step}`), at: some });
            await runtime.close();
            runtime = fork;
            path = `${path}-${round}-${step}`;
            await twin.revert(some);
          }
          assert.deepEqual(runtime.head, twin.head, `step ${step}`);
          assert.deepEqual(runtime.blocks(), twin.blocks(), `step ${step}`);
          assert.deepEqual(runtime.retained(), twin.retained(), `step ${step}`);
          const block = retained.find(
            ({ id }) => id === some.id && twin.retained().some((one) => one.id === id),
          );
          if (block === undefined) continue;
          await runtime.recompute(block);
          assert.deepEqual(
            runtime.read([], AT, WINDOW, block),
            twin.read([], AT, WINDOW, block),
            `step ${step}`,
          );
        }
        await runtime.close();
        const found = await verifyStore(path);
        assert.ok(found.damages.length === 0 && found.blocks.every(({ intact }) => intact));
      });
    });
  }
});
