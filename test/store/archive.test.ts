/** Blocks that are kept without their states: read, found damaged, repaired and salvaged. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ArchivedBlock, Block, Runtime } from "../../runtime/index.ts";
import { Database } from "../../runtime/store/database.ts";
import {
  exportBlock,
  openImport,
  openReader,
  repairStore,
  salvageStore,
  verifyStore,
} from "../../runtime/store.ts";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";
import { withDirectory } from "./directory.ts";

const OPTIONS = { workers: 1, runner: "sequential", retainBlocks: 3 } as const;
const GAS = 5_000_000_000;

/** Blocks 1 to `count`, each with a gas limit of its own. */
async function produce(runtime: Runtime, count: number): Promise<Block[]> {
  const blocks = [runtime.head];
  for (let i = 1; i <= count; i++) {
    blocks.push(await runtime.produce(metadata(i, 0), { gasLimit: GAS + i }));
  }
  return blocks;
}

function expected(block: Block): ArchivedBlock {
  const { height } = block;
  if (height === 0) return { block, metadata: new Uint8Array(), gasLimit: 10_000_000_000 };
  return { block, metadata: new Uint8Array(metadata(height, 0)), gasLimit: GAS + height };
}

for (const stored of [false, true]) {
  test(`forgotten blocks are read by height and id, ${stored ? "in a store" : "in memory"}`, async () => {
    await withDirectory(async (path) => {
      const options = { ...OPTIONS, archiveBlocks: 6, ...(stored ? { store: path } : {}) };
      let runtime = await open([], options);
      const blocks = await produce(runtime, 12);
      if (stored) {
        await runtime.close();
        runtime = await open([], options);
      }
      for (const block of blocks) {
        const { height, id } = block;
        const isKept = height >= 4 && height <= 9;
        assert.deepEqual(await runtime.archived(height), isKept ? expected(block) : null, `${height}`);
        assert.deepEqual(await runtime.archived(id), isKept ? expected(block) : null, `${height}`);
      }
      await assert.rejects(runtime.revert(7), { code: "NOT_RETAINED", message: /height 7.*has no state/ });
      await assert.rejects(runtime.revert(blocks[7] as Block), { code: "NOT_RETAINED", message: /no state/ });
      await assert.rejects(runtime.archived("x"), { code: "BAD_ARGUMENT" });
      assert.equal(await runtime.archived("00".repeat(32)), null);
      // What it was made from makes it again.
      const seven = (await runtime.archived(7)) as ArchivedBlock;
      assert.equal(seven.block.parent, (await runtime.archived(6))?.block.id);
      const fork = await runtime.fork();
      assert.equal((await fork.archived(7)) === null, stored, "a fork out of a store begins without");
      const eleven = fork.blocks().at(-2) as Block;
      await fork.produce(metadata(13, 0));
      await fork.produce(metadata(14, 0));
      assert.deepEqual((await fork.archived(eleven.id))?.block, eleven);
      assert.equal(await runtime.archived(eleven.id), null);
      await fork.close();
      await runtime.close();
    });
  });
}

test("all block inputs of a chain are enough to make it again", async () => {
  const runtime = await open([], { ...OPTIONS, archiveBlocks: 100 });
  const blocks = await produce(runtime, 10);
  const again = await open([], OPTIONS);
  for (let height = 1; height <= 7; height++) {
    const kept = (await runtime.archived(height)) as ArchivedBlock;
    assert.deepEqual(await again.produce(kept.metadata, { gasLimit: kept.gasLimit }), blocks[height]);
  }
  await runtime.close();
  await again.close();
});

test("a lower limit is kept to as blocks come, and none leaves what there is", async () => {
  await withDirectory(async (store) => {
    const first = await open([], { ...OPTIONS, archiveBlocks: 50, store });
    const blocks = await produce(first, 10);
    await first.close();
    const without = await open([], { ...OPTIONS, store });
    assert.deepEqual((await without.archived(3))?.block, blocks[3]);
    await without.produce(metadata(11, 0));
    assert.equal(await without.archived(3), null, "it does not lead to the chain any more");
    assert.deepEqual((await without.archived((blocks[3] as Block).id))?.block, blocks[3]);
    await without.close();
    const less = await open([], { ...OPTIONS, archiveBlocks: 2, store });
    for (let i = 12; i < 16; i++) await less.produce(metadata(i, 0));
    await less.checkpoint();
    assert.equal((await verifyStore(store)).archived, 2);
    await less.close();
  });
});

test("an archive survives export, damage, repair and salvage", async () => {
  await withDirectory(async (path) => {
    const store = `${path}/own`;
    const runtime = await open([], { ...OPTIONS, archiveBlocks: 100, store });
    const blocks = await produce(runtime, 12);
    await runtime.close();
    const kept = async (of: string): Promise<(number | undefined)[]> => {
      const reader = await openReader(of);
      const heights = [];
      for (const { id } of blocks) heights.push((await reader.archived(id))?.block.height);
      // By height as far as they lead to the chain, which may begin lower after a salvage.
      const base = (reader.blocks()[0] as Block).height;
      for (const height of heights.keys()) {
        const leads: boolean = height < base && !heights.slice(height, base).includes(undefined);
        assert.deepEqual(await reader.archived(height), leads ? expected(blocks[height] as Block) : null);
      }
      await reader.close();
      return heights.filter((height) => height !== undefined);
    };
    const all = Array.from({ length: 10 }, (_, height) => height);
    assert.deepEqual(await kept(store), all);
    const importer = await openImport(`${path}/copy`, runtime.head.id);
    for await (const chunk of exportBlock(store)) importer.take(chunk);
    await importer.finish();
    assert.deepEqual(await kept(`${path}/copy`), []);
    assert.deepEqual(await kept(store), all);
    const saved = await salvageStore(store, `${path}/saved`);
    assert.deepEqual([saved.archived, saved.damages], [10, []]);
    assert.deepEqual(await kept(`${path}/saved`), all);
    const database = new Database(store, { create: false });
    const record = Buffer.from(database.archivedAt(4) as Buffer);
    record[record.length - 20] = 1 ^ (record[record.length - 20] as number);
    const { id } = blocks[4] as Block;
    database.transaction(() => database.putArchived(4, Buffer.from(id, "hex"), record));
    await database.close();
    const found = await verifyStore(store);
    assert.equal(found.archived, 10);
    assert.deepEqual(
      found.damages.map(({ part, height }) => ({ part, height })),
      [{ part: "archived", height: 4 }],
    );
    await repairStore(store);
    assert.deepEqual((await verifyStore(store)).damages, []);
    assert.deepEqual(
      await kept(store),
      all.filter((height) => height !== 4),
    );
    const reader = await openReader(store);
    assert.deepEqual([(await reader.archived(5))?.block, await reader.archived(3)], [blocks[5], null]);
    await reader.close();
  });
});
