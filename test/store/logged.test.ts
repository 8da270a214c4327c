/**
 * The mode "logged": a block is durable when what it is made from is, its state follows; whoever opens the
 * store runs again what is in the log alone.
 */

import assert from "node:assert/strict";
import { cpSync, existsSync, rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import type { Runtime, RuntimeOptions, StoreError } from "../../runtime/index.ts";
import { InputLog } from "../../runtime/store/log.ts";
import { Store } from "../../runtime/store/store.ts";
import { openReader, verifyStore } from "../../runtime/store.ts";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";
import { sized } from "../sizes.ts";
import { everyState, withDirectory } from "./directory.ts";
import { AT, replacing, writing } from "./failing.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;
/** Checkpoints come when they are asked for. */
const NEVER = 3_600_000;
const logged = (path: string, more: object = {}) =>
  ({ path, durability: "logged", checkpointMs: NEVER, logBytes: 1 << 20, ...more }) as const;

/** What a runtime keeps: its blocks, which are pinned or not, and a look into each state. */
async function all(runtime: Runtime): Promise<unknown> {
  const blocks = runtime.retained();
  const inputs = blocks.map((block) => runtime.input(block));
  return { head: runtime.head, chain: runtime.blocks(), blocks, inputs };
}

/** What is left of a store if its process dies now. */
function killed(path: string): string {
  const copy = `${path}.killed`;
  cpSync(path, copy, { recursive: true });
  return copy;
}

test("blocks are there after a crash, and after closing, in any mode", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { ...OPTIONS, store: logged(path) });
    for (let i = 1; i <= 6; i++) await runtime.produce(metadata(i, 0));
    const before = await all(runtime);
    const copy = killed(path);
    const reader = await openReader(copy);
    assert.equal(reader.head.height, 0, "nothing is in the store but block 0");
    await reader.close();
    await runtime.close();
    for (const store of [logged(copy), copy, everyState(copy), logged(copy)]) {
      const again = await open([], { ...OPTIONS, store } as RuntimeOptions);
      assert.deepEqual(await all(again), before);
      assert.equal(
        existsSync(`${copy}/inputs.log`),
        typeof store === "string" || store.durability === "logged",
      );
      await again.close();
    }
    const closed = await openReader(path);
    assert.equal(closed.head.height, 6);
    await closed.close();
  });
});

test("after a revert to a block whose state is not stored, and a crash, its state is there", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { ...OPTIONS, store: logged(path) });
    for (let i = 1; i <= 5; i++) await runtime.produce(writing(i));
    await runtime.checkpoint();
    await runtime.revert(3);
    const state = runtime.read([], AT, 4096);
    const copies = [killed(path), `${path}.other`];
    cpSync(path, copies[1] as string, { recursive: true });
    await runtime.close();
    for (const [i, store] of [logged(copies[0] as string), copies[1] as string].entries()) {
      const again = await open([], { ...OPTIONS, store });
      assert.equal(again.head.height, 3);
      assert.deepEqual(again.read([], AT, 4096), state, `${i}`);
      await again.produce(writing(9));
      await again.close();
    }
  });
});

test("a full store whose log is opened by another mode says so, and loses nothing", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { ...OPTIONS, store: logged(path) });
    for (let i = 1; i <= 4; i++) await runtime.produce(writing(i));
    const copy = killed(path);
    const { head } = runtime;
    await runtime.close();
    const full = `${path}.full`;
    const steps = new URL("failing-steps.ts", import.meta.url);
    steps.searchParams.set("switch", full);
    const store = { ...everyState(copy), steps: steps.href };
    writeFileSync(full, "");
    for (let i = 0; i < 2; i++) {
      await assert.rejects(open([], { ...OPTIONS, store }), { code: "STORE_FULL" });
    }
    assert.deepEqual(
      (await verifyStore(copy)).logged.map(({ height, intact }) => [height, intact]),
      [1, 2, 3, 4].map((height) => [height, true]),
    );
    // In its own mode it can be used: the log has room.
    const again = await open([], { ...OPTIONS, store: logged(copy, { steps: steps.href }) });
    assert.equal(again.head.id, head.id);
    await again.close();
    rmSync(full);
    const block = await open([], { ...OPTIONS, store });
    assert.equal(block.head.id, head.id);
    await block.close();
    assert.deepEqual((await verifyStore(copy)).damages, []);
  });
});

test("any history is there again: reverts, reorgs, pins, prunes, candidates", async (t) => {
  const seed = baseSeed(t);
  for (let round = 0; round < sized(1, 2); round++) {
    const next = random(seed + round);
    await withDirectory(async (path) => {
      const options = { ...OPTIONS, retainBlocks: 6, archiveBlocks: 5, store: logged(path) };
      const memory = { ...OPTIONS, retainBlocks: 6, archiveBlocks: 5 };
      const twin = await open([], memory);
      let runtime = await open([], options);
      for (let step = 0; step < 50; step++) {
        const value = next(1 << 20);
        const kind = next(12);
        const retained = runtime.retained();
        const some = retained[next(retained.length)] ?? runtime.head;
        for (const one of [runtime, twin]) {
          if (kind === 0) await one.revert(some);
          else if (kind === 1) await one.pin(some);
          else if (kind === 2) await one.unpin(some);
          else if (kind === 3) await one.prune(1 + next(1) + 3);
          else if (kind === 4) {
            const blocks = [1, 2, 3].map((i) => ({ metadata: writing(value + i) }));
            await one.reorg({ to: some, blocks });
          } else if (kind === 5) {
            const candidate = await one.execute(writing(value));
            await one.commit(candidate);
          } else await one.produce(writing(value));
        }
        if (kind === 6) await runtime.checkpoint();
        if (kind === 7) {
          const copy = killed(path);
          await runtime.close();
          runtime = await open([], { ...options, store: logged(copy) });
          path = copy;
        }
        assert.deepEqual(await all(runtime), await all(twin), `step ${step}`);
      }
      // Reading the archive makes a checkpoint.
      for (let height = 0; height < runtime.head.height; height++) {
        const [a, b] = await Promise.all([runtime.archived(height), twin.archived(height)]);
        assert.deepEqual(a, b, `archived ${height}`);
      }
      await runtime.close();
      await twin.close();
    });
  }
});

test("a crash in recovery, behind a checkpoint of a part of the log, loses nothing of the rest", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { ...OPTIONS, store: logged(path) });
    for (let i = 1; i <= 12; i++) await runtime.produce(metadata(i, 0));
    const { id } = runtime.head;
    const crashed = killed(path);
    await runtime.close();
    // What is left whenever a checkpoint has been made.
    const copies: string[] = [];
    const { change } = Store.prototype;
    const copying = async function (this: Store, ...args: Parameters<typeof change>) {
      const written = await change.apply(this, args);
      copies.push(`${crashed}-${copies.length}`);
      cpSync(crashed, copies.at(-1) as string, { recursive: true });
      return written;
    };
    await replacing(Store.prototype, { change: copying }, async () => {
      const again = await open([], { ...OPTIONS, store: logged(crashed, { checkpointMs: 1 }) });
      assert.equal(again.head.id, id);
      await again.close();
    });
    const heights: number[] = [];
    for (const copy of copies) {
      const reader = await openReader(copy);
      heights.push(reader.head.height);
      await reader.close();
      const again = await open([], { ...OPTIONS, store: logged(copy) });
      assert.equal(again.head.id, id, `behind a checkpoint of block ${heights.at(-1)}`);
      await again.close();
    }
    assert.ok(
      heights.some((height) => height > 0 && height < 12),
      heights.join(),
    );
  });
});

test("what the log cannot take is written with its states, and the log continues behind it", async () => {
  await withDirectory(async (path) => {
    // This metadata takes 17 KiB: that of three blocks does not fit into a quarter.
    const runtime = await open([], { ...OPTIONS, store: logged(path, { logBytes: 1 << 17 }) });
    await runtime.produce(metadata(1, 0));
    const { append } = InputLog.prototype;
    const failing = [
      async () => {
        throw new Error("the disk says no");
      },
      // As a sync that fails: the frame is there all the same.
      async function (this: InputLog, body: Uint8Array) {
        await append.call(this, body);
        throw new Error("the disk says no");
      },
    ];
    const changes = [
      () => runtime.reorg({ to: 1, blocks: [2, 3, 4].map((i) => ({ metadata: metadata(i, 0) })) }),
      ...failing.map(
        (fails, i) => () =>
          replacing(InputLog.prototype, { append: fails }, () => runtime.produce(writing(10 + i))),
      ),
    ];
    for (const [i, change] of changes.entries()) {
      await change();
      const reader = await openReader(path);
      assert.equal(reader.head.id, runtime.head.id, "a checkpoint of its own");
      await reader.close();
      const { id, height } = await runtime.produce(writing(100 + i));
      const copy = `${path}-${i}`;
      cpSync(path, copy, { recursive: true });
      assert.deepEqual((await verifyStore(copy)).logged, [{ height, id, intact: true }]);
    }
    const ids = runtime.blocks().map(({ id }) => id);
    await runtime.close();
    for (const [i, height] of [5, 7, 9].entries()) {
      const again = await open([], { ...OPTIONS, store: logged(`${path}-${i}`) });
      assert.equal(again.head.id, ids[height]);
      await again.close();
    }
  });
});

test("the log counts for limitBytes, and what is in it is not lost when the store is full", async () => {
  await withDirectory(async (path) => {
    const store = (logBytes: number, limitBytes: number) => logged(path, { logBytes, limitBytes });
    const full = { code: "STORE_FULL", message: /of which its log takes 2097152/ };
    await assert.rejects(open([], { ...OPTIONS, store: store(2 << 20, 1 << 20) }), full);
    assert.ok(!existsSync(`${path}/inputs.log`));

    const runtime = await open([], { ...OPTIONS, store: store(2 << 20, 3 << 20) });
    const produceAll = async (): Promise<void> => {
      for (let i = 1; i < 1000; i++) {
        await runtime.produce(writing(i));
        await runtime.checkpoint();
      }
    };
    await assert.rejects(produceAll(), (error: StoreError) => {
      const { limitBytes, liveBytes, logBytes } = error.facts;
      assert.deepEqual([error.code, limitBytes, logBytes], ["STORE_FULL", 3 << 20, 2 << 20]);
      // Full with objects and log, not before.
      assert.ok((liveBytes as number) > 3 << 18 && (liveBytes as number) <= 1 << 20, `${liveBytes} bytes`);
      return true;
    });
    const { id } = runtime.head;
    await runtime.close();
    const again = await open([], { ...OPTIONS, store: store(2 << 20, 4 << 20) });
    assert.equal(again.head.id, id);
    await again.checkpoint();
    await again.close();
  });
});
