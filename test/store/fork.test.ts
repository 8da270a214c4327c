/** Forks into a directory: what they copy, and what that takes. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Runtime } from "../../runtime/index.ts";
import { Store } from "../../runtime/store/store.ts";
import { openReader, verifyStore } from "../../runtime/store.ts";
import { open, withRuntime } from "../fixture.ts";
import { withDirectory } from "./directory.ts";
import { AT, replacing, WINDOW, writing } from "./failing.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;
const BLOCKS = 40;
const logged = (path: string) =>
  ({ path, durability: "logged", checkpointMs: 3_600_000, logBytes: 1 << 20 }) as const;

/** How many transactions `use` takes in all stores together. */
async function transactions(use: () => Promise<void>): Promise<number> {
  const { change, stage } = Store.prototype;
  let count = 0;
  const counted = (method: typeof change | typeof stage) =>
    function (this: Store, ...args: never[]): unknown {
      count++;
      return (method as (...all: never[]) => unknown).apply(this, args);
    };
  await replacing(Store.prototype, { change: counted(change), stage: counted(stage) }, use);
  return count;
}

async function filled(runtime: Runtime): Promise<void> {
  for (let i = 1; i <= BLOCKS; i++) await runtime.produce(writing(i));
}

test("a fork of all blocks writes many of them at once, and one of the newest has no others", async () => {
  await withDirectory(async (path) => {
    await withRuntime([], OPTIONS, async (runtime) => {
      await filled(runtime);
      await runtime.pin(3);
      const copied = await transactions(async () => {
        await (await runtime.fork({ store: `${path}-all` })).close();
      });
      assert.ok(copied < BLOCKS / 4, `${copied} transactions for ${BLOCKS} blocks`);
      const forks = [`${path}-all`];
      for (const blocks of [1, 3]) {
        const store = `${path}-${blocks}`;
        forks.push(store);
        const fork = await runtime.fork({ at: BLOCKS - 10, store, blocks });
        const heights = Array.from({ length: blocks }, (_, i) => BLOCKS - 10 - blocks + 1 + i);
        assert.deepEqual(
          fork.retained().map(({ height }) => height),
          heights,
        );
        assert.equal((await fork.produce(writing(BLOCKS - 9))).id, runtime.blocks()[BLOCKS - 9]?.id);
        await fork.close();
        const again = await open([], { ...OPTIONS, store });
        assert.deepEqual(again.read([], AT, WINDOW), runtime.read([], AT, WINDOW, BLOCKS - 9));
        await again.close();
        const reader = await openReader(store);
        assert.deepEqual(reader.pinned(), []);
        await reader.close();
      }
      const found = await Promise.all(forks.map((fork) => verifyStore(fork)));
      for (const { damages } of found) assert.deepEqual(damages, []);
      const [all, one] = found.map(({ objects }) => objects) as [number, number];
      assert.ok(one < all / 2, `${one} of ${all} objects`);
      await assert.rejects(runtime.fork({ blocks: 0 }), { code: "BAD_OPTION" });
      const passing = await runtime.fork({ blocks: 2 });
      assert.deepEqual([passing.retained().length, passing.head.id], [2, runtime.head.id]);
      await passing.close();
    });
  });
});

test("a fork of the newest blocks has what their states are made from", async () => {
  await withDirectory(async (path) => {
    const first = await open([], { ...OPTIONS, store: logged(path) });
    for (let i = 1; i <= 12; i++) {
      await first.produce(writing(i));
      if (i % 4 === 0) await first.checkpoint();
    }
    await first.close();
    const runtime = await open([], { ...OPTIONS, store: logged(path) });
    const fork = await runtime.fork({ store: logged(`${path}-fork`), at: 11, blocks: 2 });
    await runtime.close();
    await fork.close();
    const again = await open([], { ...OPTIONS, store: logged(`${path}-fork`) });
    assert.deepEqual(
      again.retained().map(({ height }) => height),
      [10, 11],
    );
    for (const block of again.retained()) {
      await again.recompute(block);
      assert.equal(again.inspect([], block)?.hash, block.root);
    }
    await again.close();
    assert.deepEqual((await verifyStore(`${path}-fork`)).damages, []);
  });
});
