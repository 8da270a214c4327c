/**
 * Where memory is short, pages that lie in a store are evicted: a history that is larger than the heap, which
 * comes out as in a heap that holds it. That no page's absence shows at other moments is part of
 * restart.test.ts.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { KIND_PAGE } from "../../runtime/heap/heap.ts";
import { type Block, programHash, type Runtime } from "../../runtime/index.ts";
import { verifyStore } from "../../runtime/store.ts";
import { quota, Script } from "../driver.ts";
import { guest, open, shrinkHeap } from "../fixture.ts";
import { everyState, withDirectory } from "./directory.ts";

const MEBIBYTES = 4;
const DIRTY_PAGES = 256;
const BLOCKS = 60;
const OPTIONS = {
  workers: 2,
  runner: "sequential",
  retainBlocks: 100,
  memoryQuotaPages: quota(160),
} as const;
/** Holds the state and most of the history. */
const HEAP_BYTES = 50 << 20;

/** Pages of the memories that programs begin with, which no block holds. */
const FRESH_PAGES = 4;

const dirty = await guest("dirty");

/** Runs the entry of the one child that there is. */
function running(entry: string, argument: number): Uint8Array {
  const script = new Script();
  const program = entry === "fill" ? { program: programHash(dirty), memoryQuotaPages: quota(80) } : {};
  script.put(0, { ...program, start: { entry, argument: BigInt(argument), gas: 4e7 } });
  script.get(0, { status: true, hash: true });
  return script.metadata();
}

async function produce(runtime: Runtime, blocks: number): Promise<Block> {
  // A heap that is full makes room for whatever a block may do: for little.
  const options = { gasLimit: 4.5e7 };
  if (runtime.head.height === 0) await runtime.produce(running("fill", MEBIBYTES), options);
  for (let i = 0; i < blocks; i++) await runtime.produce(running("dirty", DIRTY_PAGES), options);
  return runtime.head;
}

function pagesIn({ engine }: Runtime): number {
  let pages = 0;
  engine.heap.walk((ref) => {
    if (engine.heap.kind(ref) === KIND_PAGE) pages++;
  });
  return pages;
}

test("a history that is larger than the heap", async () => {
  const memory = await open([dirty], OPTIONS);
  await produce(memory, BLOCKS);
  await withDirectory(async (path) => {
    const without = await open([dirty], { ...OPTIONS, retainBlocksMin: BLOCKS + 1 });
    shrinkHeap(without, HEAP_BYTES);
    await assert.rejects(produce(without, BLOCKS), { code: "HEAP_FULL" });
    await without.close();

    for (const durability of ["block", "logged"] as const) {
      const store = { path: `${path}-${durability}`, durability };
      const runtime = await open([dirty], { ...OPTIONS, store });
      shrinkHeap(runtime, HEAP_BYTES);
      assert.equal((await produce(runtime, BLOCKS)).id, memory.head.id);
      const back = memory.blocks()[BLOCKS / 4] as Block;
      const range = [[0], 0x10000, MEBIBYTES << 20, back] as const;
      await runtime.recompute(back);
      assert.deepEqual(runtime.read(...range), memory.read(...range));
      await runtime.revert(back.height);
      assert.equal((await produce(runtime, BLOCKS - back.height + 1)).id, memory.head.id);
      await runtime.close();
      assert.deepEqual((await verifyStore(store.path)).damages, []);
    }
  });
  await memory.close();
});

test("what is evicted is pages that are stored, and their space is used again", async () => {
  await withDirectory(async (store) => {
    const runtime = await open([dirty], { ...OPTIONS, store: everyState(store) });
    await produce(runtime, 4);
    const used = runtime.metrics().heapUsedBytes;
    const pages = pagesIn(runtime);
    assert.ok(pages > MEBIBYTES * 256);
    await runtime.engine.collect();
    assert.ok(pagesIn(runtime) > MEBIBYTES * 256, "a collection alone keeps them");
    await runtime.engine.collect({ evict: true });
    assert.ok(pagesIn(runtime) <= FRESH_PAGES, "but those of programs");
    assert.ok(runtime.metrics().heapUsedBytes < used - 0.9 * pages * 4096);
    await runtime.engine.collect({ evict: true });
    // Pages that another store holds alone are loaded from there, also for a runtime without a store.
    const fork = await runtime.fork();
    await produce(fork, 1);
    const held = pagesIn(fork);
    await runtime.close();
    await fork.engine.collect({ evict: true });
    assert.ok(pagesIn(fork) < held);
    assert.ok(pagesIn(fork) >= DIRTY_PAGES, "those of the fork's own block are in no store");
    await produce(fork, 1);
    const memory = await open([dirty], OPTIONS);
    assert.equal((await produce(memory, 6)).id, fork.head.id);
    await memory.close();
    await fork.close();
  });
});

test("a store that others may need stays open when its runtime is closed", async () => {
  await withDirectory(async (path) => {
    for (const durable of [false, true]) {
      const place = `${path}-${durable}`;
      const runtime = await open([dirty], { ...OPTIONS, ...(durable ? { store: place } : {}) });
      const fork = await runtime.fork({ store: `${place}-fork` });
      // What the program begins with lies in the fork's store, and in no other.
      const { root } = await produce(fork, 1);
      await fork.engine.collect({ evict: true });
      await fork.close();
      assert.equal((await produce(runtime, 1)).root, root);
      await runtime.close();
      const again = await open([dirty], { ...OPTIONS, store: `${place}-fork` });
      assert.equal(again.head.root, root);
      await again.close();
    }
  });
});

test("what programs begin with stays, whatever blocks are forgotten", async () => {
  const make = new Script();
  make.put(0, { program: programHash(dirty), memoryQuotaPages: quota(80) });
  make.get(0, { status: true });
  const drop = new Script();
  drop.put(0, { drop: true });
  const made = async (runtime: Runtime): Promise<Uint8Array> => {
    await runtime.produce(make.metadata());
    return runtime.read([0], 0, 0x10000);
  };
  await withDirectory(async (store) => {
    const runtime = await open([dirty], { ...OPTIONS, retainBlocks: 1, store });
    const before = await made(runtime);
    assert.ok(before.some((byte) => byte !== 0));
    await runtime.produce(drop.metadata());
    await runtime.engine.collect({ force: true, evict: true });
    assert.ok((await runtime.prune(1)).objects > 0);
    assert.deepEqual(await made(runtime), before);
    await runtime.close();
  });
});
