/** Export and import: whole and delta, interrupted, and with chunks that are not what they should be. */

import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { describe, test } from "node:test";
import type { Runtime } from "../../runtime/index.ts";
import { exportBlock, exportManifest, openImport, openReader, verifyStore } from "../../runtime/store.ts";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";
import { everyState, withDirectory } from "./directory.ts";
import { WRONG_CHUNKS, type WrongChunk } from "./wrong-chunks.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;
const BLOCKS = 30;

/** A store with some blocks, an empty place beside it, and all chunks of the head. */
async function withExport(
  use: (source: string, target: string, runtime: Runtime, chunks: Uint8Array[]) => Promise<void>,
): Promise<void> {
  await withDirectory(async (source) => {
    const runtime = await open([], { ...OPTIONS, store: everyState(source) });
    try {
      for (let height = 1; height <= BLOCKS; height++) await runtime.produce(metadata(height, 0));
      // Enough for several chunks.
      const chunks = await collect(exportBlock(source));
      await use(source, `${source}-copy`, runtime, chunks);
    } finally {
      await runtime.close();
    }
  });
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

async function importAll(target: string, id: string, chunks: Iterable<Uint8Array>): Promise<string> {
  const importer = await openImport(target, id);
  for (const chunk of chunks) importer.take(chunk);
  return (await importer.finish()).id;
}

test("a whole block is imported, and a runtime continues from it as the other one does", async () => {
  await withExport(async (_source, target, runtime, chunks) => {
    assert.ok(chunks.length > 1, `${chunks.length} chunks`);
    assert.equal(await importAll(target, runtime.head.id, chunks), runtime.head.id);
    assert.deepEqual((await verifyStore(target)).damages, []);
    const copy = await open([], { ...OPTIONS, store: everyState(target) });
    assert.deepEqual(copy.head, runtime.head);
    for (let height = BLOCKS + 1; height < BLOCKS + 6; height++) {
      const block = metadata(height, 0);
      assert.deepEqual(await copy.produce(block), await runtime.produce(block));
    }
    await copy.close();
  });
});

test("a delta to a block that is there is small, and comes to the same", async () => {
  await withExport(async (source, target, runtime, chunks) => {
    const base = runtime.head;
    await importAll(target, base.id, chunks);
    await runtime.produce(metadata(BLOCKS + 1, 0));
    const delta = await collect(exportBlock(source, { base }));
    const size = (all: readonly Uint8Array[]): number => all.reduce((sum, chunk) => sum + chunk.length, 0);
    assert.ok(size(delta) < size(chunks) / 2, `${size(delta)} of ${size(chunks)} bytes`);
    assert.equal(await importAll(target, runtime.head.id, delta), runtime.head.id);
    const reader = await openReader(target);
    assert.equal(reader.inspect([])?.hash, runtime.head.root);
    assert.equal(reader.head.id, runtime.head.id);
    assert.equal(reader.retained().length, 2);
    await reader.close();
    assert.deepEqual((await verifyStore(target)).damages, []);
    // Without its base it is refused.
    await assert.rejects(importAll(`${target}-2`, runtime.head.id, delta), { code: "NOT_RETAINED" });
  });
});

test("an import that was interrupted continues with the chunk it wants", async () => {
  await withExport(async (source, target, runtime, chunks) => {
    for (let taken = 0; taken < chunks.length; taken++) {
      const importer = await openImport(target, runtime.head.id);
      assert.equal(importer.next, taken);
      const [next] = await collect(exportBlock(source, { from: taken }));
      assert.deepEqual(next, chunks[taken]);
      importer.take(next as Uint8Array);
      await importer.close();
    }
    const importer = await openImport(target, runtime.head.id);
    assert.equal((await importer.finish()).id, runtime.head.id);
    assert.deepEqual((await verifyStore(target)).damages, []);
  });
});

describe("a wrong chunk is refused by its number, and the right one taken after it", () => {
  /** The chunk with the number of the one after it. */
  const later = (chunk: Uint8Array): Uint8Array => {
    const copy = Buffer.from(chunk);
    copy.writeUInt32LE(copy.readUInt32LE(4) + 1, 4);
    return copy;
  };
  const cases: readonly WrongChunk[] = [
    ...WRONG_CHUNKS,
    ["another one", (chunks, i) => (i === 0 ? (chunks[1] as Uint8Array) : later(chunks[i] as Uint8Array))],
  ];
  test("of this export", async (t) => {
    await withExport(async (_source, target, runtime, chunks) => {
      for (const [number, [name, wrong]] of cases.entries()) {
        await t.test(name, async () => {
          const copy = `${target}-${number}`;
          const importer = await openImport(copy, runtime.head.id);
          for (const [i, chunk] of chunks.entries()) {
            const refusal = { code: "CHUNK_REFUSED", facts: { chunk: i } };
            assert.throws(() => importer.take(wrong(chunks, i)), refusal);
            assert.equal(importer.next, i);
            importer.take(chunk);
          }
          assert.throws(() => importer.take(chunks[1] as Uint8Array), { code: "CHUNK_REFUSED" });
          assert.equal((await importer.finish()).id, runtime.head.id);
          assert.deepEqual((await verifyStore(copy)).damages, []);
        });
      }
    });
  });

  test("missing at the end", async () => {
    await withExport(async (_source, target, runtime, chunks) => {
      const importer = await openImport(target, runtime.head.id);
      for (const chunk of chunks.slice(0, -1)) importer.take(chunk);
      await assert.rejects(importer.finish(), { code: "CHUNK_REFUSED", facts: { chunk: chunks.length - 1 } });
      await importer.close();
    });
  });

  test("of another block", async () => {
    await withExport(async (_source, target, runtime, chunks) => {
      const importer = await openImport(target, runtime.blocks()[3]?.id as string);
      assert.throws(() => importer.take(chunks[0] as Uint8Array), {
        code: "CHUNK_REFUSED",
        message: /not of/,
      });
      await importer.close();
    });
  });
});

test("a manifest names every chunk; chunks come by number and size, from several senders", async () => {
  await withExport(async (source, target, runtime) => {
    for (const chunkBytes of [1 << 12, 1 << 14]) {
      const manifest = await exportManifest(source, { chunkBytes });
      const { chunks, block } = manifest;
      assert.deepEqual([block, manifest.base, manifest.genesis], [runtime.head, null, runtime.genesis]);
      assert.ok(chunks.length > 3 && manifest.chunkBytes === chunkBytes);
      assert.equal(manifest.hash, hash("sha256", Buffer.from(chunks.map((one) => one.hash).join(""), "hex")));
      const importer = await openImport(`${target}-${chunkBytes}`, block.id);
      let at = 0;
      for (const [from, expected] of chunks.entries()) {
        const found = await collect(exportBlock(source, { from, count: 1, chunkBytes }));
        assert.equal(found.length, 1);
        const [chunk] = found as [Uint8Array];
        assert.deepEqual(expected, { at, bytes: chunk.length, hash: hash("sha256", chunk) });
        at += chunk.length;
        importer.take(chunk);
      }
      assert.equal(manifest.bytes, at);
      assert.deepEqual(await importer.finish(), block);
      assert.deepEqual(await collect(exportBlock(source, { from: chunks.length, chunkBytes })), []);
    }
    for (const options of [{ chunkBytes: 0 }, { count: -1 }]) {
      await assert.rejects(collect(exportBlock(source, options)), { code: "BAD_OPTION" });
    }
  });
});

test("an import takes the block it is pinned to, by id, root, height or genesis", async () => {
  await withExport(async (_source, target, runtime, chunks) => {
    const { id, root, height } = runtime.head;
    const { genesis } = runtime;
    const other = "0".repeat(64);
    const wrong = [
      { id: other },
      { root: other },
      { height: height + 1 },
      { genesis: other },
      { id, root: other },
      { root, height: 0 },
    ];
    for (const pin of wrong) {
      const importer = await openImport(target, pin);
      assert.throws(() => importer.take(chunks[0] as Uint8Array), { code: "CHUNK_REFUSED" });
      assert.equal(importer.next, 0);
      await importer.close();
    }
    for (const [i, pin] of [{ root }, { height, genesis }, { id, root, height, genesis }].entries()) {
      const importer = await openImport(`${target}${i}`, pin);
      importer.take(chunks[0] as Uint8Array);
      await importer.close();
      const again = await openImport(`${target}${i}`, pin);
      assert.equal(again.next, 1, "it continues");
      for (const chunk of chunks.slice(1)) again.take(chunk);
      assert.equal((await again.finish()).id, id);
    }
    const bad = [{}, { id: "12" }, { root: 5 }, { height: -1 }, { height: 0.5 }, null, "12", { hash: id }];
    for (const pin of bad) await assert.rejects(openImport(target, pin as never), /./);
  });
});
