/**
 * Maintenance of a store that is partly gone: records that are damaged, a directory that was removed under
 * its runtime, imports that continue otherwise than they began.
 */

import assert from "node:assert/strict";
import { cpSync, renameSync, rmSync } from "node:fs";
import { describe, test } from "node:test";
import type { Block } from "../../runtime/index.ts";
import { Database } from "../../runtime/store/database.ts";
import {
  exportBlock,
  openImport,
  openReader,
  repairStore,
  type Verification,
  verifyStore,
} from "../../runtime/store.ts";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";
import { everyState, withDirectory } from "./directory.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;

/** A store with blocks up to height 8; all of them. */
async function make(store: string): Promise<readonly Block[]> {
  const runtime = await open([], { ...OPTIONS, store: everyState(store) });
  for (let height = 1; height <= 8; height++) await runtime.produce(metadata(height, 0));
  await runtime.close();
  return runtime.blocks();
}

/** The heights of the blocks that are intact, ascending. */
function intact({ blocks }: Verification): (number | null)[] {
  return blocks
    .filter((block) => block.intact)
    .map(({ height }) => height)
    .reverse();
}

describe("a damaged record is named, the others are verified, and a repair goes back behind it", () => {
  /** Flips a bit of records, of blocks by height, and looks at what is found. */
  async function damaged(
    records: readonly ("head" | "totals" | number)[],
    check: (found: Verification, blocks: readonly Block[]) => void,
    head: number,
  ): Promise<void> {
    await withDirectory(async (store) => {
      const blocks = await make(store);
      const database = new Database(store);
      database.transaction(() => {
        for (const record of records) {
          const id = typeof record === "number" ? Buffer.from((blocks[record] as Block).id, "hex") : null;
          const bytes = Buffer.from(id === null ? database.meta(record as "head")! : database.block(id)!);
          bytes[9] = (bytes[9] as number) ^ 1;
          if (id === null) database.putMeta(record as "head", bytes);
          else database.putBlock(id, bytes);
        }
      });
      await database.close();
      await assert.rejects(open([], { ...OPTIONS, store: everyState(store) }), {
        code: "STORE_CORRUPT",
        message: /store DIR repair" goes back/,
      });
      const found = await verifyStore(store);
      check(found, blocks);
      assert.deepEqual(await repairStore(store), found);
      assert.deepEqual((await verifyStore(store)).damages, []);
      const runtime = await open([], { ...OPTIONS, store: everyState(store) });
      assert.equal(runtime.head.id, blocks[head]?.id);
      for (let height = head + 1; height <= 8; height++) {
        assert.deepEqual(await runtime.produce(metadata(height, 0)), blocks[height]);
      }
      await runtime.prune(3);
      await runtime.close();
      assert.deepEqual((await verifyStore(store)).damages, []);
    });
  }

  test("of a block in the middle, whose height its child tells", async () => {
    await damaged(
      [5],
      (found, blocks) => {
        const block = blocks[5]?.id as string;
        const place = { path: [], part: "record", from: null, length: null };
        assert.deepEqual(found.damages, [{ height: 5, block, ...place, reason: "damaged", hash: block }]);
        assert.deepEqual(intact(found), [0, 1, 2, 3, 4, 6, 7, 8]);
      },
      8,
    );
  });

  test("of the newest blocks, whose height nothing tells", async () => {
    await damaged(
      [7, 8],
      (found, blocks) => {
        assert.deepEqual(
          new Set(found.damages.map(({ height, block }) => `${height} ${block}`)),
          new Set([`null ${blocks[7]?.id}`, `null ${blocks[8]?.id}`]),
        );
        assert.equal(found.newestIntact, blocks[6]?.id);
        assert.deepEqual(intact(found), [0, 1, 2, 3, 4, 5, 6]);
      },
      6,
    );
  });

  test("of the store itself: where it stands, and what it holds", async () => {
    await damaged(
      ["head", "totals"],
      (found, blocks) => {
        assert.deepEqual(
          found.damages.map(({ block, height, part, hash }) => [block, height, part, hash]),
          [
            [null, null, "head", null],
            [null, null, "totals", null],
          ],
        );
        assert.equal(found.newestIntact, blocks[8]?.id);
      },
      8,
    );
  });
});

describe("the directory is removed, moved or replaced under a runtime", () => {
  for (const durability of ["block", "logged"] as const) {
    test(`${durability}: the next block says so, and one after it is put back does not`, async () => {
      await withDirectory(async (path) => {
        const runtime = await open([], { ...OPTIONS, store: { path, durability } });
        const head = await runtime.produce(metadata(1, 0));
        const tried = () => runtime.produce(metadata(2, 0));
        renameSync(path, `${path}-away`);
        const gone = { code: "STORE_MISSING", message: /removed, moved or replaced/ };
        await assert.rejects(tried(), gone);
        cpSync(`${path}-away`, path, { recursive: true });
        await assert.rejects(tried(), gone);
        assert.equal(runtime.head.id, head.id);
        rmSync(path, { recursive: true });
        renameSync(`${path}-away`, path);
        await tried();
        rmSync(path, { recursive: true });
        await assert.rejects(tried(), gone);
        assert.equal(runtime.head.height, 2);
        await runtime.close();
      });
    });
  }
});

describe("an import that was interrupted takes another export of the same block", () => {
  async function collect(path: string, options = {}): Promise<Uint8Array[]> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of exportBlock(path, options)) chunks.push(chunk);
    return chunks;
  }

  test("a delta instead of the whole, and the whole instead of a delta", async () => {
    await withDirectory(async (path) => {
      const runtime = await open([], { ...OPTIONS, store: everyState(path) });
      for (let height = 1; height <= 6; height++) await runtime.produce(metadata(height, 0));
      const base = runtime.head;
      for (let height = 7; height <= 40; height++) await runtime.produce(metadata(height, 0));
      await runtime.close();
      const { id } = runtime.head;
      const first = await openImport(`${path}-base`, base.id);
      for (const chunk of await collect(path, { block: base })) first.take(chunk);
      await first.finish();
      const kinds = [await collect(path), await collect(path, { base })] as const;
      for (const [i, [begun, ended]] of [kinds, kinds.toReversed()].entries()) {
        assert.ok(begun && ended && begun.length > 1 && ended.length > 1);
        const target = `${path}-${i}`;
        cpSync(`${path}-base`, target, { recursive: true });
        const before = await openImport(target, id);
        before.take(begun[0] as Uint8Array);
        await before.close();

        const importer = await openImport(target, id);
        assert.equal(importer.next, 1);
        // The same chunk 0 changes nothing, the other one starts again.
        assert.throws(() => importer.take(ended[1] as Uint8Array), {
          code: "CHUNK_REFUSED",
          message: /another export/,
        });
        for (const chunk of begun.slice(1)) importer.take(chunk);
        importer.take(begun[0] as Uint8Array);
        assert.equal(importer.next, begun.length);
        importer.take(ended[0] as Uint8Array);
        assert.equal(importer.next, 1);
        for (const chunk of ended.slice(1)) importer.take(chunk);
        assert.equal((await importer.finish()).id, id);
        assert.deepEqual((await verifyStore(target)).damages, []);
        const reader = await openReader(target);
        assert.equal(reader.inspect([])?.hash, runtime.head.root);
        await reader.close();
      }
    });
  });

  test("one whose note is damaged starts again", async () => {
    await withDirectory(async (path) => {
      const head = (await make(path)).at(-1) as Block;
      const target = `${path}-copy`;
      const chunks = await collect(path);
      const begun = await openImport(target, head.id);
      begun.take(chunks[0] as Uint8Array);
      await begun.close();
      const database = new Database(target);
      database.transaction(() => database.putMeta("import", Buffer.alloc(20)));
      await database.close();
      const importer = await openImport(target, head.id);
      assert.equal(importer.next, 0);
      for (const chunk of chunks) importer.take(chunk);
      assert.equal((await importer.finish()).id, head.id);
    });
  });
});
