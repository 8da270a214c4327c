/** Nothing is lost when something fails: transactions, blocks, copies; beside collections and sweeps. */

import assert from "node:assert/strict";
import { cpSync, existsSync } from "node:fs";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Journal } from "../../runtime/chain/journal.ts";
import { type Block, type Runtime, verify } from "../../runtime/index.ts";
import { Store } from "../../runtime/store/store.ts";
import { openReader, verifyStore } from "../../runtime/store.ts";
import { Script } from "../driver.ts";
import { open } from "../fixture.ts";
import { baseSeed } from "../seed.ts";
import { withDirectory } from "./directory.ts";
import { AT, FailingStore, faulting, replacing, WINDOW } from "./failing.ts";
import { withFailures } from "./failures.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;
const OPERATIONS = 70;

test("any operations in any order on a store that fails now and then", async (t) => {
  const seed = baseSeed(t);
  await withDirectory(async (path) => {
    const { failures, collections } = await withFailures(path, seed, OPERATIONS);
    t.diagnostic(`${failures} failures, ${collections} collections`);
    assert.ok(failures > 1 && collections > 5);
  });
});

// ---- one fault each, and a defect that brings it back -----------------------------------------------------

/** Checks that `scenario` goes through, and that it does not with the defect. */
async function finds(
  scenario: () => Promise<void>,
  target: object,
  defect: Readonly<Record<string, unknown>>,
): Promise<void> {
  await scenario();
  await assert.rejects(replacing(target, defect, scenario), "the planted defect is not found");
}

const read = (runtime: Runtime, block: Block): Buffer => Buffer.from(runtime.read([], AT, WINDOW, block));

/** A block with so many pages that nothing else has. */
function filling(pages: number, value: number): Uint8Array {
  const script = new Script();
  for (let page = 0; page < pages; page++) script.store(AT + page * 4096, BigInt(value * 1000 + page));
  return script.metadata();
}

/** A reorg makes a retained block again, is collected behind it, and fails in the end. */
async function reorgOfKnown(): Promise<void> {
  const runtime = await open([], OPTIONS);
  try {
    const block = await runtime.produce(filling(60, 1));
    const before = read(runtime, block);
    await runtime.revert(0);
    const blocks = [filling(60, 1), filling(60, 2), filling(60, 3), filling(60, 4), faulting()];
    const reorg = runtime.reorg({ to: 0, blocks: blocks.map((metadata) => ({ metadata })) });
    let isRunning = true;
    const ended = reorg.finally(() => {
      isRunning = false;
    });
    const collecting = (async () => {
      while (isRunning) {
        await runtime.engine.collect({ force: true });
        await setImmediate();
      }
    })();
    await assert.rejects(ended, { code: "BLOCK_FAULT" });
    await collecting;
    assert.deepEqual(
      runtime.retained().map(({ id }) => id),
      [runtime.head.id, block.id],
    );
    // What was freed wrongly is written over.
    for (let i = 0; i < 3; i++) {
      await runtime.produce(filling(60, 100 + i));
      await runtime.revert(0);
    }
    assert.ok(before.equals(read(runtime, block)));
    await runtime.revert(block);
    await runtime.produce(filling(1, 7));
  } finally {
    await runtime.close();
  }
}

test("a reorg that fails leaves a block as it was that it had made again", async () => {
  await finds(reorgOfKnown, Journal.prototype, {
    roots(this: Journal) {
      return (this.draft ?? this.history).roots();
    },
  });
});

/** A store with one block that is full of pages; the block. */
async function filled(path: string): Promise<Block> {
  const runtime = await open([], { ...OPTIONS, store: path });
  const block = await runtime.produce(filling(60, 1));
  await runtime.close();
  return block;
}

/** In a copy of the store `from` a commit fails before step `at` of a sweep; whether it has so many. */
async function failureInSweep(from: string, kept: Block, at: number): Promise<boolean> {
  return withDirectory(async (path) => {
    cpSync(from, path, { recursive: true });
    const store = new FailingStore(path);
    const runtime = await open([], { ...OPTIONS, store: store.options });
    // What it holds is stubs of objects that lie in the store alone.
    const fork = await runtime.fork();
    await runtime.revert(0);
    await runtime.produce(filling(60, 2));
    const { sweep } = Store.prototype;
    let steps = 0;
    const failing = async function (this: Store, number: number): Promise<unknown> {
      if (steps++ === at) {
        store.failAfter(0);
        const none = {
          blocks: [],
          supports: [],
          removed: [],
          archived: [],
          pinned: [],
          unpinned: [],
          chain: [],
        };
        await assert.rejects(this.change({ ...none, head: null }), { code: "STORE_FULL" });
      }
      return sweep.call(this, number, 24);
    };
    await replacing(Store.prototype, { sweep: failing }, () => runtime.prune(1));
    try {
      const state = verify(kept.root, fork.prove([], AT, WINDOW, kept));
      assert.ok("bytes" in state);
      assert.deepEqual(state.bytes, fork.read([], AT, WINDOW, kept));
      await fork.produce(filling(1, 9));
    } finally {
      await fork.close();
      await runtime.close();
    }
    const { head } = runtime;
    const { damages, newestIntact } = await verifyStore(path);
    assert.deepEqual([damages, newestIntact], [[], head.id]);
    return steps > at;
  });
}

test("a commit that fails at any step of a sweep costs nobody an object", async () => {
  await withDirectory(async (path) => {
    const kept = await filled(path);
    let at = 0;
    while (await failureInSweep(path, kept, at)) at++;
    assert.ok(at > 5, `${at} steps`);
    // The defect: a sweep that starts again does so without roots.
    const { beginSweep } = Store.prototype;
    let begun = false;
    const rootless = function (this: Store, refs: readonly number[]): Promise<number> {
      const isFirst = !begun;
      begun = true;
      return beginSweep.call(this, isFirst ? refs : []);
    };
    await assert.rejects(
      replacing(Store.prototype, { beginSweep: rootless }, () => failureInSweep(path, kept, 1)),
    );
  });
});

/** A copy of a history into a store fails after so many steps, if it has so many; whether it did. */
async function failureInFork(runtime: Runtime, other: Runtime, steps: number): Promise<boolean> {
  return withDirectory(async (path) => {
    const store = new FailingStore(path);
    store.failAfter(steps);
    await runtime.fork({ store: store.options }).then(
      (fork) => fork.close(),
      ({ code }) => assert.equal(code, "STORE_FULL"),
    );
    if (store.isPlanned) return false;
    assert.ok(!existsSync(path), "something is left of the directory");
    await (await other.fork({ store: path })).close();
    const reader = await openReader(path);
    assert.deepEqual(reader.retained(), other.retained());
    await reader.close();
    return true;
  });
}

test("a fork whose store fails at any step leaves nothing in its directory", async () => {
  const runtime = await open([], OPTIONS);
  const other = await runtime.fork();
  for (let i = 0; i < 2; i++) await runtime.produce(filling(5, i));
  await other.produce(filling(5, 9));
  let steps = 0;
  while (await failureInFork(runtime, other, steps)) steps++;
  assert.ok(steps >= 5, `${steps} steps`);
  const { close } = Store.prototype;
  await assert.rejects(
    replacing(Store.prototype, { discard: close }, () => failureInFork(runtime, other, 4)),
  );
  await other.close();
  await runtime.close();
});

test("what a copy leaves behind whose process was killed is in no history", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], OPTIONS);
    for (let i = 0; i < 3; i++) await runtime.produce(filling(5, i));
    // As if it had been killed before the store got its head.
    const { change } = Store.prototype;
    const killed = function (this: Store, ...[given]: Parameters<typeof change>): unknown {
      return given.head === null ? change.call(this, given) : Promise.reject(new Error("killed"));
    };
    const methods = { change: killed, discard: Store.prototype.close };
    await replacing(Store.prototype, methods, () =>
      assert.rejects(runtime.fork({ store: path }), { message: "killed" }),
    );
    await runtime.revert(1);
    await runtime.prune(1);
    const fork = await runtime.fork({ store: path });
    await fork.close();
    await runtime.close();
    const again = await open([], { ...OPTIONS, store: path });
    assert.deepEqual(again.retained(), runtime.retained());
    await again.close();
    assert.deepEqual((await verifyStore(path)).damages, []);
  });
});
