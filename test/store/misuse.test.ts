/**
 * What embedders get wrong, or meet rarely: a wrong option or argument, a call at the wrong time, a disk that
 * fails. Each is an error that says so; nothing is silently done otherwise, and nothing hangs.
 */

import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { addSources, divergence, formatDiff, formatFaults } from "../../runtime/debug.ts";
import { type Block, programHash, type Runtime, type StoreOptions, verify } from "../../runtime/index.ts";
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
import { sized } from "../sizes.ts";
import { everyState, withDirectory } from "./directory.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;

async function collect(path: string, options = {}): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const chunk of exportBlock(path, options)) all.push(chunk);
  return all;
}

/** A store with blocks up to `height`; its head. */
async function make(store: string, height: number): Promise<Block> {
  const runtime = await open([], { ...OPTIONS, store });
  for (let i = 1; i <= height; i++) await runtime.produce(metadata(i, 0));
  await runtime.close();
  return runtime.head;
}

test("a directory may have any name, with a dot too", async () => {
  await withDirectory(async (path) => {
    for (const name of ["chain.db", "v1.2", "data.mdb", "ünï ✓", "new\nline"]) {
      const store = `${path}/${name}`;
      const head = await make(store, 2);
      const runtime = await open([], { ...OPTIONS, store });
      assert.equal(runtime.head.id, head.id);
      await runtime.close();
      assert.deepEqual((await verifyStore(store)).damages, []);
    }
  });
});

test("a file in the place of a directory is named, and left alone", async () => {
  await withDirectory(async (path) => {
    const file = `${path}.file`;
    writeFileSync(file, "precious");
    for (const store of [file, `${file}/below`]) {
      await assert.rejects(open([], { ...OPTIONS, store }), {
        code: "STORE_FAILED",
        message: /a file stands/,
      });
    }
    assert.equal(readFileSync(file, "utf8"), "precious");
    rmSync(file);
  });
});

test("readers in the same process continue when a runtime opens the store for writing", async () => {
  await withDirectory(async (store) => {
    const head = await make(store, 3);
    const reader = await openReader(store);
    const exported = exportBlock(store);
    await exported.next();
    const verified = verifyStore(store);
    const runtime = await open([], { ...OPTIONS, store: everyState(store) });
    await runtime.pin(head);
    const next = await runtime.produce(metadata(4, 0));
    assert.equal(reader.head.id, next.id);
    for await (const chunk of exported) assert.ok(chunk.length > 0);
    assert.deepEqual((await verified).damages, []);
    await runtime.close();
    assert.equal((await repairStore(store)).newestIntact, next.id);
    await reader.close();
  });
});

test("the data of a block may be overwritten or transferred", async () => {
  await withDirectory(async (path) => {
    const place = { path, durability: "logged" } as const;
    const runtime = await open([], { ...OPTIONS, store: place });
    const said: string[] = [];
    for (let i = 1; i < 9; i++) {
      const { data } = await runtime.produce(metadata(i, 0));
      said.push(Buffer.from(data).toString("hex"));
      if (i % 2 === 0) data.fill(77);
      else structuredClone(data, { transfer: [data.buffer as ArrayBuffer] });
    }
    const fork = await runtime.fork({ store: `${path}-fork` });
    await fork.close();
    await runtime.close();
    for (const store of [path, `${path}-fork`]) {
      const again = await open([], { ...OPTIONS, store });
      assert.deepEqual(
        again
          .blocks()
          .map(({ data }) => Buffer.from(data).toString("hex"))
          .slice(1),
        said,
      );
      await again.close();
    }
  });
});

test("hundreds of readers at once do not hinder the writer", async () => {
  await withDirectory(async (store) => {
    const runtime = await open([], { ...OPTIONS, store: everyState(store) });
    const readers: Awaited<ReturnType<typeof openReader>>[] = [];
    for (let i = 0; i < 200; i++) readers.push(await openReader(store, { heapBytes: 1 << 25 }));
    const block = await runtime.produce(metadata(1, 0));
    for (const reader of readers) assert.equal(reader.inspect([])?.hash, block.root);
    await runtime.prune(1);
    for (const reader of readers) await reader.close();
    await runtime.close();
  });
});

test("options that nobody knows, and arguments of another kind, are refused", async () => {
  await withDirectory(async (store) => {
    const runtime = await open([], { ...OPTIONS, store });
    const block = { metadata: metadata(1, 0) };
    const refused: readonly [string, RegExp, (wrong: never) => Promise<unknown>, unknown][] = [
      ["BAD_OPTION", /must be an object, got "dir"/, (wrong) => runtime.fork(wrong), "dir"],
      ["BAD_OPTION", /there is no option "path"/, (wrong) => runtime.fork(wrong), { path: "dir" }],
      ["BAD_OPTION", /must be an object, got null/, (wrong) => runtime.produce(block.metadata, wrong), null],
      ["BAD_OPTION", /must be an object, got undefined/, (wrong) => runtime.reorg(wrong), undefined],
      ["BAD_OPTION", /"blocks" must be a list/, (wrong) => runtime.reorg(wrong), { to: 0 }],
      [
        "BAD_OPTION",
        /"blocks\[0\]" must be an object/,
        (wrong) => runtime.reorg(wrong),
        { to: 0, blocks: [0] },
      ],
      [
        "BAD_OPTION",
        /there is no option "blocks\[0\]\.gas"/,
        (wrong) => runtime.reorg(wrong),
        { to: 0, blocks: [{ ...block, gas: 1 }] },
      ],
      [
        "BAD_OPTION",
        /there is no option "top"/,
        (wrong) => runtime.reorg(wrong),
        { to: 0, top: 1, blocks: [] },
      ],
      ["BAD_ARGUMENT", /block must be a height or a block, got null/, (wrong) => runtime.revert(wrong), null],
      ["BAD_ARGUMENT", /block must be a height or a block, got null/, (wrong) => runtime.trace(wrong), null],
      ["BAD_OPTION", /"keep"/, (wrong) => runtime.prune(wrong), 0],
      ["BAD_OPTION", /"below"/, (wrong) => runtime.prune(wrong), { below: -1 }],
      ["BAD_OPTION", /"above"/, (wrong) => runtime.prune(wrong), { above: 1 }],
      ["BAD_OPTION", /there is no option "size"/, (wrong) => openReader(store, wrong), { size: 1 }],
      ["BAD_OPTION", /"heapBytes"/, (wrong) => openReader(store, wrong), { heapBytes: 5 }],
      ["BAD_OPTION", /there is no option "height"/, (wrong) => collect(store, wrong), { height: 1 }],
      ["BAD_OPTION", /"from"/, (wrong) => collect(store, wrong), { from: -1 }],
      [
        "BAD_ARGUMENT",
        /block must be a height or a block, got "1"/,
        (wrong) => collect(store, wrong),
        { block: "1" },
      ],
      ["BAD_ARGUMENT", /path must be the directory of a store/, (wrong) => openReader(wrong), undefined],
      ["BAD_ARGUMENT", /path must be the directory of a store/, (wrong) => verifyStore(wrong), 1n],
      ["BAD_ARGUMENT", /path must be the directory of a store/, (wrong) => repairStore(wrong), Symbol("s")],
      [
        "BAD_ARGUMENT",
        /path must be the directory of a store/,
        (wrong) => openImport(wrong, "0".repeat(64)),
        7,
      ],
      ["BAD_ARGUMENT", /path must be the directory of a store/, (wrong) => salvageStore(store, wrong), ""],
    ];
    for (const [code, message, attempt, wrong] of refused) {
      await assert.rejects(attempt(wrong as never), { code, message });
    }
    assert.equal(runtime.head.height, 0);
    assert.throws(() => runtime.diff(0, 0, { limits: 1 } as never), { code: "BAD_OPTION" });
    const calls: readonly [RegExp, (wrong: never) => unknown][] = [
      [/chain must be a runtime or a reader/, (wrong) => divergence(runtime, wrong)],
      [/chain must be a runtime or a reader/, (wrong) => divergence(wrong, runtime)],
      [/block must be a height or a block/, (wrong) => runtime.diff(0, wrong)],
      [/block must be a height or a block/, (wrong) => runtime.diff(wrong, 0)],
      [/must be what diff or divergence gave/, (wrong) => formatDiff(wrong)],
      [/a trace, its events/, (wrong) => formatFaults(wrong)],
      [/program must be a Uint8Array/, (wrong) => programHash(wrong)],
      [/map/, (wrong) => addSources(Uint8Array.of(1), wrong)],
      [/root must be/, (wrong) => verify(wrong, new Uint8Array())],
    ];
    for (const [message, call] of calls) {
      for (const wrong of [null, undefined, Symbol("s")]) {
        assert.throws(() => call(wrong as never), { code: "BAD_ARGUMENT", message });
      }
    }
    await runtime.close();
  });
});

test("a reader says of wrong blocks what a runtime says, and that it is closed", async () => {
  await withDirectory(async (store) => {
    const head = await make(store, 2);
    const reader = await openReader(store);
    for (const wrong of [null, "1", {}] as never[]) {
      assert.throws(() => reader.inspect([], wrong), { code: "BAD_ARGUMENT" });
      assert.throws(() => reader.diff(0, wrong), { code: "BAD_ARGUMENT" });
    }
    assert.throws(() => reader.read([], 0, 1, 7), { code: "NOT_RETAINED" });
    await reader.close();
    await reader.close();
    for (const call of [() => reader.head, () => reader.retained(), () => reader.inspect([], head)]) {
      assert.throws(call, { code: "STORE_CLOSED" });
    }
  });
});

/** What failing-steps.ts can do. */
type Failure = "full" | "exit" | "exit committed";

/** A store whose disk fails as long as `fail` says how. */
async function withFailing(
  use: (fail: (how: Failure | null) => void, place: StoreOptions & { path: string }) => Promise<void>,
): Promise<void> {
  await withDirectory(async (path) => {
    const file = `${path}-switch`;
    const steps = new URL("failing-steps.ts", import.meta.url);
    steps.searchParams.set("switch", file);
    const fail = (how: string | null): void => {
      if (how === null) rmSync(file, { force: true });
      else writeFileSync(file, how);
    };
    await use(fail, { path, durability: "block", steps: steps.href });
  });
}

for (const [how, isWritten] of [
  ["exit", false],
  ["exit committed", true],
] as const) {
  test(`a thread of the stores that ends (${how}): nobody says that a change is not there`, async () => {
    await withFailing(async (fail, place) => {
      const runtime = await open([], { ...OPTIONS, store: place });
      const head = await runtime.produce(metadata(1, 0));
      fail(how);
      await assert.rejects(runtime.produce(metadata(2, 0)), { code: "STORE_UNCERTAIN" });
      assert.equal(runtime.head.id, head.id);
      await assert.rejects(runtime.produce(metadata(2, 0)), { code: "STORE_FAILED" });
      assert.equal(runtime.head.id, head.id);
      await assert.rejects(runtime.close(), { code: "STORE_FAILED" });
      const again = await open([], { ...OPTIONS, store: place.path });
      assert.equal(again.head.height, head.height + (isWritten ? 1 : 0));
      await again.close();
    });
  });
}

test("a fork whose store fails half way leaves nothing behind, and can be made again", async () => {
  await withFailing(async (fail, place) => {
    const runtime = await open([], OPTIONS);
    for (let i = 1; i < 300; i++) await runtime.produce(metadata(i % 3, 0));
    setTimeout(() => fail("full"), 20);
    await assert.rejects(runtime.fork({ store: place }), { code: "STORE_FULL" });
    fail(null);
    await assert.rejects(openReader(place.path), { code: "STORE_MISSING" });
    const fork = await runtime.fork({ store: place });
    assert.deepEqual(fork.retained(), runtime.retained());
    await fork.close();
    const again = await open([], { ...OPTIONS, store: place });
    assert.deepEqual(again.blocks(), runtime.blocks());
    await again.close();
    await runtime.close();
  });
});

test("stores of forks: failures do not count, and what is closed is free", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], OPTIONS);
    const held = await runtime.fork({ store: path });
    for (let i = 0; i < 40; i++)
      await assert.rejects(runtime.fork({ store: path }), { code: "STORE_LOCKED" });
    await held.produce(metadata(1, 0));
    await held.close();
    // The runtime in memory that it was forked from is still open.
    const again = await open([], { ...OPTIONS, store: path });
    assert.equal(again.head.height, 1);
    await again.close();
    await runtime.close();
  });
});

test("any number of stores, one after the other; 31 at once", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], OPTIONS);
    for (let i = 0; i < sized(3, 36); i++) {
      const store = `${path}-${i % 2}`;
      const fork = await runtime.fork({ store });
      const block = await fork.produce(metadata(i, 0));
      assert.equal((await runtime.produce(metadata(i, 0))).id, block.id);
      await fork.close();
      // All of it is there, though parts of it were marked as stored in others.
      if (i % 10 === 0) assert.deepEqual((await verifyStore(store)).damages, []);
      const reader = await openReader(store);
      assert.equal(reader.inspect([])?.hash, block.root);
      await reader.close();
      rmSync(store, { recursive: true });
    }
    const forks: Runtime[] = [];
    for (let i = 0; i < 31; i++) forks.push(await runtime.fork({ store: `${path}-many-${i}` }));
    await assert.rejects(runtime.fork({ store: path }), { code: "STORE_FORKS", message: /Close some/ });
    await forks.pop()?.close();
    await (await runtime.fork({ store: path })).close();
    for (const fork of forks) await fork.close();
    await runtime.close();
  });
});

test("an import: closed twice, begun twice without a chunk, used when it is closed", async () => {
  await withDirectory(async (path) => {
    const { id } = await make(path, 3);
    const chunks = await collect(path);
    for (let i = 0; i < 2; i++) {
      const importer = await openImport(`${path}-copy`, id);
      await importer.close();
      await importer.close();
      assert.throws(() => importer.take(chunks[0] as Uint8Array), { code: "STORE_CLOSED" });
      await assert.rejects(importer.finish(), { code: "STORE_CLOSED" });
      await assert.rejects(openReader(`${path}-copy`), { code: "STORE_EMPTY" });
    }
    const importer = await openImport(`${path}-copy`, id);
    assert.throws(() => importer.take("chunk" as never), { code: "BAD_ARGUMENT" });
    for (const chunk of chunks) importer.take(chunk);
    assert.equal((await importer.finish()).id, id);
    await importer.close();
    await assert.rejects(collect(`${path}-none`), { code: "STORE_MISSING" });
  });
});

test("an import of a block that is there leaves it pinned; what is made later comes later", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { ...OPTIONS, store: path });
    const block = await runtime.produce(metadata(1, 0));
    await runtime.pin(block);
    await runtime.produce(metadata(2, 0));
    await runtime.close();
    for (const target of [path, `${path}-copy`]) {
      const importer = await openImport(target, block.id);
      for (const chunk of await collect(path, { block })) importer.take(chunk);
      await importer.finish();
      const again = await open([], { ...OPTIONS, store: target });
      assert.equal(again.head.id, block.id);
      for (let i = 3; i < 6; i++) await again.produce(metadata(i, 0));
      const order = again.retained().map(({ id }) => id);
      await again.close();
      const reader = await openReader(target);
      if (target !== path)
        assert.deepEqual(
          reader.retained().map(({ id }) => id),
          order,
        );
      assert.equal(reader.retained().at(-1)?.id, again.head.id);
      await reader.close();
    }
    const pruned = await open([], { ...OPTIONS, store: path });
    await pruned.prune(1);
    assert.ok(pruned.retained().some(({ id }) => id === block.id));
    await pruned.close();
  });
});

test("what an import brought counts for limitBytes", async () => {
  await withDirectory(async (path) => {
    const { id } = await make(path, 60);
    const importer = await openImport(`${path}-copy`, id);
    let bytes = 0;
    for (const chunk of await collect(path)) {
      bytes += chunk.length;
      importer.take(chunk);
    }
    await importer.finish();
    await assert.rejects(
      async () => {
        const store = { path: `${path}-copy`, limitBytes: 1 << 20 };
        const runtime = await open([], { ...OPTIONS, store });
        try {
          let written = bytes;
          for (let i = 1; written < 2 << 20; i++) {
            const before = (await verifyStore(store.path)).bytes;
            await runtime.produce(metadata(i, 1));
            written = Math.max(written, before);
          }
        } finally {
          await runtime.close();
        }
      },
      { code: "STORE_FULL" },
    );
    const { bytes: held } = await verifyStore(`${path}-copy`);
    assert.ok(held <= 1 << 20, `${held} bytes`);
  });
});

test("a writer that prunes: an export says so, and verifying finds no damage", async () => {
  await withDirectory(async (store) => {
    const runtime = await open([], { ...OPTIONS, store: everyState(store) });
    const block = await runtime.produce(metadata(1, 0));
    await runtime.produce(metadata(2, 0));
    const chunks = exportBlock(store, { block });
    await chunks.next();
    await runtime.prune(1);
    await assert.rejects(chunks.next(), { code: "NOT_RETAINED", message: /pin it meanwhile/ });
    for (let i = 3; i < 60; i++) await runtime.produce(metadata(i, 0));
    const found = verifyStore(store);
    await runtime.prune(1);
    const { damages, blocks } = await found;
    assert.deepEqual(damages, []);
    assert.ok(blocks.length > 0);
    await runtime.close();
  });
});

test("repairing and salvaging where it cannot be done leaves nothing behind", async () => {
  await withDirectory(async (path) => {
    await make(path, 2);
    writeFileSync(`${path}-file`, "");
    await assert.rejects(salvageStore(path, `${path}-file`), { code: "STORE_FAILED" });
    await assert.rejects(salvageStore(path, `${path}-file/below`), { code: "STORE_FAILED" });
    mkdirSync(`${path}-text`);
    writeFileSync(`${path}-text/data.mdb`, "no store\n".repeat(5000));
    await assert.rejects(salvageStore(`${path}-text`, `${path}-new`), { code: "STORE_CORRUPT" });
    assert.ok(!existsSync(`${path}-new/data.mdb`));
    await assert.rejects(repairStore(`${path}-text`), { code: "STORE_CORRUPT" });
    await assert.rejects(repairStore(`${path}-file`), { code: "STORE_MISSING" });
    // A repair that fails holds nothing.
    cpSync(path, `${path}-two`, { recursive: true });
    for (let i = 0; i < 2; i++) assert.equal((await repairStore(`${path}-two`)).blocks.length, 3);
  });
});
