/** Portable exports: round trips, damaged and forged files, and builds that hash other things. */

import assert from "node:assert/strict";
import { createHash, hash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { type Runtime, StoreError } from "../../runtime/index.ts";
import { Database } from "../../runtime/store/database.ts";
import { exportBlock, exportManifest, openImport } from "../../runtime/store.ts";
import { open } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import { type Fault, runWith } from "../planted.ts";
import { baseSeed } from "../seed.ts";
import { everyState, withDirectory } from "./directory.ts";
import {
  collect,
  fromText,
  imported,
  MORE_BLOCKS,
  made,
  more,
  type State,
  stateOf,
  toText,
} from "./portable-run.ts";
import { WRONG_CHUNKS, type WrongChunk } from "./wrong-chunks.ts";

const CHUNK_BYTES = 1 << 14;
const CHECK_BYTES = 32;

/** A store, an empty place beside it, and all chunks of the head. */
async function withExport(
  use: (source: string, target: string, runtime: Runtime, chunks: Uint8Array[]) => Promise<void>,
): Promise<void> {
  await withDirectory(async (source) => {
    const runtime = await made(source);
    try {
      const chunks = await collect(exportBlock(source, { portable: true, chunkBytes: CHUNK_BYTES }));
      await use(source, `${source}-copy`, runtime, chunks);
    } finally {
      await runtime.close();
    }
  });
}

/** Each object of a store, as it lies there. */
function objectsOf(path: string): Map<string, string> {
  const database = new Database(path, { create: false, readOnly: true });
  try {
    const all = new Map<string, string>();
    for (const key of database.objectKeys(null, 1 << 20)) {
      const stored = database.object(key);
      all.set(key.toString("hex"), `${stored?.tag} ${stored?.bytes.toString("hex")}`);
    }
    return all;
  } finally {
    database.close();
  }
}

test("a block comes back with its id and the same bytes, and a runtime continues from it", async () => {
  await withExport(async (source, target, runtime, chunks) => {
    assert.ok(chunks.length > 3, `${chunks.length} chunks`);
    const copy = await imported(target, runtime.head.id, chunks);
    assert.deepEqual(copy.head, runtime.head);
    const [before, after] = [objectsOf(source), objectsOf(target)];
    assert.ok(after.size > 30 && after.size <= before.size);
    // The sums over children as well, which no hash covers.
    for (const [key, stored] of after) assert.equal(stored, before.get(key), key);
    await more(runtime, MORE_BLOCKS);
    await more(copy, MORE_BLOCKS);
    assert.deepEqual(await stateOf(copy, target), await stateOf(runtime, source));
    await copy.close();
  });
});

test("chunks come by number, as the manifest says, and again after a refusal", async () => {
  await withExport(async (source, target, runtime, chunks) => {
    const manifest = await exportManifest(source, { portable: true, chunkBytes: CHUNK_BYTES });
    assert.deepEqual(
      manifest.chunks.map((one) => one.hash),
      chunks.map((chunk) => hash("sha256", chunk)),
    );
    assert.equal(manifest.block.id, runtime.head.id);
    const importer = await openImport(target, { root: runtime.head.root }, { rehash: true });
    for (const i of chunks.keys()) {
      assert.equal(importer.next, i);
      await assert.rejects(importer.finish(), { code: "CHUNK_REFUSED" });
      const options = { portable: true, from: i, count: 1, chunkBytes: CHUNK_BYTES };
      for await (const chunk of exportBlock(source, options)) importer.take(chunk);
    }
    assert.deepEqual(await importer.finish(), runtime.head);
    await assert.rejects(exportManifest(source, { portable: true, base: 0 }), { code: "BAD_OPTION" });
    await assert.rejects(openImport(target, runtime.head.id, { rehash: 1 } as never), { code: "BAD_OPTION" });
  });
});

describe("a wrong chunk is refused by its number, and the right one taken after it", () => {
  const cases: readonly WrongChunk[] = [
    ...WRONG_CHUNKS,
    ["another one", (chunks, i) => chunks[i === 1 ? 2 : 1] as Uint8Array],
    [
      "of an export of other pieces",
      (chunks, i) => signed(chunks[i] as Uint8Array, Buffer.alloc(CHECK_BYTES, 1)),
    ],
  ];
  test("of this export", async (t) => {
    await withExport(async (_source, target, runtime, chunks) => {
      for (const [number, [name, wrong]] of cases.entries()) {
        await t.test(name, async () => {
          const importer = await openImport(`${target}-${number}`, runtime.head.id, { rehash: true });
          for (const [i, chunk] of chunks.entries()) {
            const refusal = { code: "CHUNK_REFUSED", facts: { chunk: i } };
            assert.throws(() => importer.take(wrong(chunks, i)), refusal);
            assert.equal(importer.next, i);
            importer.take(chunk);
          }
          assert.throws(() => importer.take(chunks.at(-1) as Uint8Array), { code: "CHUNK_REFUSED" });
          assert.deepEqual(await importer.finish(), runtime.head);
        });
      }
    });
  });

  test("of the other format, of another block, and of another genesis", async () => {
    await withExport(async (source, target, runtime, chunks) => {
      const [hashed] = await collect(exportBlock(source, { count: 1 }));
      const rehash = await openImport(target, runtime.head.id, { rehash: true });
      assert.throws(() => rehash.take(hashed as Uint8Array), {
        code: "CHUNK_REFUSED",
        message: /not portable/,
      });
      await rehash.close();
      const plain = await openImport(target, runtime.head.id);
      assert.throws(() => plain.take(chunks[0] as Uint8Array), { message: /option "rehash"/ });
      await plain.close();
      const other = await openImport(target, "0".repeat(64), { rehash: true });
      assert.throws(() => other.take(chunks[0] as Uint8Array), { message: /not of the one with id 000/ });
      await other.close();
      const elsewhere = `${target}-other`;
      await (await open([], { workers: 1, memoryQuotaPages: 70_000, store: everyState(elsewhere) })).close();
      const importer = await openImport(elsewhere, runtime.head.id, { rehash: true });
      assert.throws(() => importer.take(chunks[0] as Uint8Array), { message: /another genesis/ });
      await importer.close();
    });
  });
});

/** The chunk with the check that it has behind the one with the check `before`. */
function signed(chunk: Uint8Array, before: Buffer): Buffer {
  const body = Buffer.from(chunk).subarray(0, -CHECK_BYTES);
  return Buffer.concat([body, createHash("sha256").update(before).update(body).digest()]);
}

function signedAll(chunks: readonly Uint8Array[]): Buffer[] {
  let before: Buffer = Buffer.alloc(CHECK_BYTES);
  return chunks.map((chunk) => {
    const made = signed(chunk, before);
    before = made.subarray(-CHECK_BYTES);
    return made;
  });
}

test("what was changed and has right checks is refused, or comes to another id", async (t) => {
  await withExport(async (_source, target, runtime, chunks) => {
    assert.deepEqual(signedAll(chunks), chunks.map(Buffer.from));
    const next = random(baseSeed(t));
    const reasons = new Set<string>();
    for (let round = 0; round < 60; round++) {
      const forged = chunks.map((chunk) => chunk.slice());
      const chunk = forged[next(forged.length)] as Uint8Array;
      chunk[next(chunk.length - CHECK_BYTES)] = next(256);
      const all = signedAll(forged);
      if (all.every((one, i) => one.equals(chunks[i] as Uint8Array))) continue;
      const importer = await openImport(target, runtime.head.id, { rehash: true });
      await assert.rejects(
        async () => {
          for (const one of all) importer.take(one);
          await importer.finish();
        },
        (error) => {
          assert.ok(error instanceof StoreError && error.code === "CHUNK_REFUSED", String(error));
          reasons.add(error.message.replace(/[0-9a-f]{64}|\d+/g, "#"));
          return true;
        },
      );
      await importer.close();
    }
    assert.ok(reasons.size > 4, [...reasons].join("\n"));
    const importer = await openImport(target, runtime.head.id, { rehash: true });
    for (const chunk of chunks) importer.take(chunk);
    assert.deepEqual(await importer.finish(), runtime.head);
  });
});

const RECORD = "runtime/image/record.ts";
/** Another version of records, whose fields are in another order. */
const OTHER_RECORDS: readonly Fault[] = [
  { file: RECORD, find: "HASH_VERSION = 3", put: "HASH_VERSION = 77" },
  { file: RECORD, find: '  ["program", "hash", 0],\n', put: "" },
  {
    file: RECORD,
    find: '  ["children", "hash", 2],\n',
    put: '  ["children", "hash", 2],\n  ["program", "hash", 0],\n',
  },
];
const sha512 = (file: string, find: string): Fault => ({
  file,
  find,
  put: find.replace('"sha256"', '"sha512-256"'),
});
/** Another hash of everything that a state, its rules and its blocks consist of. */
const OTHER_HASH: readonly Fault[] = [
  { file: RECORD, find: "HASH_VERSION = 3", put: "HASH_VERSION = 78" },
  sha512("runtime/program/admit.ts", 'createHash("sha256").update(bytes)'),
  sha512("runtime/image/hash.ts", 'hash("sha256", bytes, "latin1")'),
  sha512("runtime/store/format.ts", 'hash("sha256", heap.payload(ref), "latin1")'),
  sha512("runtime/store/format.ts", 'hash("sha256", hashedBytes(stored), "latin1")'),
  sha512("runtime/store/format.ts", 'hash("sha256", hashedBytes(stored), "buffer")'),
];

describe("a build that hashes otherwise", () => {
  const cases: readonly [string, readonly Fault[]][] = [
    ["another version of records", OTHER_RECORDS],
    ["another hash", OTHER_HASH],
  ];
  for (const [name, faults] of cases) {
    test(`${name}: its export is imported here, and ours there`, async () => {
      await withExport(async (source, target, runtime, chunks) => {
        const [ours, theirs] = [`${target}.ours`, `${target}.theirs`];
        writeFileSync(ours, toText(runtime.head.id, chunks));
        const run = runWith(faults, "store/portable-run.ts", [`${target}-there`, ours, theirs]);
        assert.equal(run.status, 0, run.output);
        const [own, other] = JSON.parse(run.output.trim().split("\n").at(-1) as string) as [State, State];
        const here = await stateOf(runtime, source);
        assert.notEqual(own.root, here.root);
        assert.deepEqual([own.contents, own.damages], [here.contents, 0]);

        const back = fromText(readFileSync(theirs, "utf8"));
        assert.equal(back.id, own.id);
        const copy = await imported(target, back.id, back.chunks);
        await more(copy, MORE_BLOCKS);
        await more(runtime, MORE_BLOCKS);
        const later = await stateOf(runtime, source);
        const found = await stateOf(copy, target);
        await copy.close();
        assert.deepEqual([other.height, other.contents, other.damages], [later.height, later.contents, 0]);
        // The root that this build computes for the same blocks, unless a program's name lies in the state.
        // The id names a parent that this build has not made.
        const { root } = faults === OTHER_HASH ? found : later;
        assert.deepEqual(found, { ...later, id: found.id, root });
        assert.notEqual(found.id, later.id);
      });
    });
  }
});
