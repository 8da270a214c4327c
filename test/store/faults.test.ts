/**
 * What can go wrong around a store: each is a clear error, and no acknowledged block is lost by it.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Block, type Runtime, StoreError } from "../../runtime/index.ts";
import { Database } from "../../runtime/store/database.ts";
import { packFormat, STORE_FORMAT } from "../../runtime/store/record.ts";
import { openReader, repairStore, salvageStore, verifyStore } from "../../runtime/store.ts";
import { metadata } from "../crash/metadata.ts";
import { quota } from "../driver.ts";
import { open } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";
import { sized } from "../sizes.ts";
import { everyState, withDirectory } from "./directory.ts";

const CHILD = fileURLToPath(new URL("../crash/child.ts", import.meta.url));
const OPTIONS = { workers: 1, runner: "sequential" } as const;

/** Makes blocks up to `height`. */
async function produce(runtime: Runtime, height: number): Promise<void> {
  while (runtime.head.height < height) await runtime.produce(metadata(runtime.head.height + 1, 0));
}

const code = (expected: string, text: RegExp) => (error: { code: string; message: string }) => {
  assert.equal(error.code, expected, error.message);
  assert.match(error.message, text);
  return true;
};

/** Starts the crash harness's child; its first line of output, and a function that ends it. */
async function startChild(command: string, args: string[], options = {}) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const first = await lines.next();
  const end = async (): Promise<void> => {
    const closed = new Promise((resolve) => child.on("close", resolve));
    child.kill("SIGKILL");
    await closed;
  };
  return { child, first: first.value === undefined ? null : JSON.parse(first.value), lines, end };
}

describe("a store is written by one at a time", () => {
  test("in this process", async () => {
    await withDirectory(async (store) => {
      const runtime = await open([], { ...OPTIONS, store: everyState(store) });
      await assert.rejects(
        open([], { ...OPTIONS, store: everyState(store) }),
        code("STORE_LOCKED", /this process itself/),
      );
      await produce(runtime, 2);
      await runtime.close();
      const again = await open([], { ...OPTIONS, store: everyState(store) });
      assert.equal(again.head.height, 2);
      await again.close();
    });
  });

  test("by another process, which readers do not mind, and whose death sets the store free", async () => {
    await withDirectory(async (store) => {
      const { child, first, end } = await startChild(process.execPath, [CHILD, store, "1", "block", "1000"]);
      try {
        assert.equal(first.what, "open");
        const locked = code("STORE_LOCKED", new RegExp(`process ${child.pid}\\b`));
        await assert.rejects(open([], { ...OPTIONS, store: everyState(store) }), locked);
        await assert.rejects(repairStore(store), locked);
        const reader = await openReader(store);
        const seen = reader.head;
        for (let i = 0; reader.head.height < seen.height + 3; i++) {
          assert.ok(i < 1000, "the writer continues");
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        const head = reader.head;
        assert.equal(reader.inspect([], head)?.hash, head.root);
        assert.equal(reader.read([], 0, 100, head).length, 100);
        assert.ok(reader.diff(seen, head).differences.length > 0);
        assert.deepEqual((await verifyStore(store)).damages, []);
        await reader.close();
      } finally {
        await end();
      }
      const runtime = await open([], { ...OPTIONS, store: everyState(store) });
      assert.ok(runtime.head.height >= 3);
      await runtime.close();
    });
  });
});

test("another genesis, a newer format, no store at all", async () => {
  await withDirectory(async (store) => {
    await assert.rejects(openReader(store), { code: "STORE_MISSING" });
    await (await open([], { ...OPTIONS, store: everyState(store) })).close();
    await assert.rejects(
      open([], { ...OPTIONS, store: everyState(store), memoryQuotaPages: quota(500) }),
      code("STORE_GENESIS", /another genesis/),
    );
    await assert.rejects(
      open([], { ...OPTIONS, store: everyState(store), entry: "other", gasLimit: 5 }),
      code("STORE_GENESIS", /its gasLimit is \d+, given is 5; .*its entry is "main", given is "other"/),
    );
    const database = new Database(store);
    database.transaction(() => database.putMeta("format", packFormat(7)));
    await database.close();
    for (const attempt of [() => open([], { ...OPTIONS, store }), () => openReader(store)]) {
      await assert.rejects(
        attempt(),
        code("STORE_VERSION", new RegExp(`format 7, this version reads format ${STORE_FORMAT}`)),
      );
    }
  });
});

test("a directory that may not be written", async () => {
  await withDirectory(async (store) => {
    const runtime = await open([], { ...OPTIONS, store: everyState(store) });
    await produce(runtime, 3);
    await runtime.close();
    mkdirSync(`${store}/none`, { mode: 0o555 });
    // For the administrator everything may be written: then somebody else tries.
    const options = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
    const { child, end } = await startChild(
      process.execPath,
      [CHILD, `${store}/none/store`, "1", "block", "9"],
      options,
    );
    const chunks: Buffer[] = [];
    for await (const chunk of child.stderr) chunks.push(chunk as Buffer);
    await end();
    assert.match(Buffer.concat(chunks).toString(), /STORE_READ_ONLY/);
  });
});

test("a store that reaches its limit refuses the block, keeps the others, continues with more", async () => {
  await withDirectory(async (path) => {
    for (const durability of ["block", "logged"] as const) {
      const kept = { durability, logBytes: 1 << 16, checkpointMs: 20 };
      const store = { path: `${path}-${durability}`, limitBytes: 1 << 20, ...kept };
      const runtime = await open([], { ...OPTIONS, store });
      const acknowledged: Block[] = [];
      await assert.rejects(
        async () => {
          for (let height = 1; height < 2000; height++) {
            acknowledged.push(await runtime.produce(metadata(height, 0)));
          }
        },
        code("STORE_FULL", /limitBytes/),
      );
      const last = acknowledged.at(-1) as Block;
      assert.ok(acknowledged.length > 3);
      assert.equal(runtime.head.id, last.id);
      assert.equal(runtime.inspect([])?.hash, runtime.head.root);
      await runtime.close();
      const again = await open([], { ...OPTIONS, store: { ...store, limitBytes: 64 << 20 } });
      const ids = new Set(again.retained().map(({ id }) => id));
      for (const { id, height } of acknowledged) assert.ok(ids.has(id), `block ${height}`);
      await produce(again, last.height + 10);
      await again.close();
      assert.deepEqual((await verifyStore(store.path)).damages, []);
    }
  });
});

test("a file that may not grow: an error, and what was acknowledged is there", async () => {
  await withDirectory(async (store) => {
    // In blocks of 512 bytes or of 1 KiB, as the shell likes: one or two MiB.
    const script = 'ulimit -f 2048; exec "$@"';
    const args = ["-c", script, "sh", process.execPath, CHILD, store, "1", "block", "1000"];
    const { child, first, lines, end } = await startChild("sh", args);
    assert.equal(first.what, "open");
    const errors: Buffer[] = [];
    child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
    let last = null;
    for await (const line of lines) {
      const said = JSON.parse(line);
      if (said.what === "block") last = said;
    }
    await end();
    assert.match(Buffer.concat(errors).toString(), /STORE_FULL/);
    const runtime = await open([], { ...OPTIONS, store: everyState(store) });
    assert.ok(runtime.retained().some(({ id }) => id === last.id));
    await produce(runtime, runtime.head.height + 3);
    await runtime.close();
    assert.deepEqual((await verifyStore(store)).damages, []);
  });
});

describe("damage", () => {
  /** Copies of one store, to be damaged. */
  async function withCopies(
    use: (copy: () => string, blocks: readonly Block[]) => Promise<void>,
  ): Promise<void> {
    await withDirectory(async (store) => {
      const runtime = await open([], { ...OPTIONS, store: everyState(store) });
      await produce(runtime, 25);
      const blocks = runtime.retained();
      await runtime.close();
      let count = 0;
      const copy = (): string => {
        const path = `${store}-${count++}`;
        cpSync(store, path, { recursive: true });
        return path;
      };
      await use(copy, blocks);
    });
  }

  /** Uses everything that is there; what it stands at, or how it failed. */
  async function use(store: string, blocks: readonly Block[]): Promise<string> {
    try {
      const runtime = await open([], { ...OPTIONS, store: everyState(store) });
      try {
        for (const block of runtime.retained()) {
          for (const path of [[], [0], [1], [2], [3]]) {
            const view = runtime.inspect(path, block);
            if (view !== null) runtime.read(path, 0, view.memoryBytes, block);
          }
        }
        await produce(runtime, 27);
        const known = new Set(blocks.map(({ id }) => id));
        assert.ok(runtime.retained().some(({ id }) => known.has(id)));
        return "whole";
      } finally {
        await runtime.close();
      }
    } catch (error) {
      const { code, message } = error as { code: string; message: string };
      assert.match(code, /^(STORE_CORRUPT|STORE_READ|STORE_FAILED)$/, message);
      return code;
    }
  }

  test("flipped bits are found, named and survived: verifying, using, repairing, going on", async (t) => {
    const next = random(baseSeed(t));
    await withCopies(async (copy, blocks) => {
      const seen = new Map<string, number>();
      for (let round = 0; round < sized(3, 12); round++) {
        const store = copy();
        const file = `${store}/data.mdb`;
        const bytes = readFileSync(file);
        for (let i = 0; i < 3; i++) {
          const at = next(bytes.length);
          bytes[at] = (bytes[at] as number) ^ (1 << next(8));
        }
        writeFileSync(file, bytes);
        const outcome = await verifyStore(store).then(
          ({ damages, newestIntact }) => ({ damages, newestIntact, refused: null }),
          (error) => ({ damages: [], newestIntact: null, refused: error }),
        );
        if (outcome.refused !== null) {
          assert.equal(outcome.refused.code, "STORE_CORRUPT", outcome.refused.message);
          seen.set("refused", (seen.get("refused") ?? 0) + 1);
          await assert.rejects(repairStore(store), { code: "STORE_CORRUPT" });
          const { newestIntact } = await salvageStore(store, `${store}-saved`);
          assert.ok(blocks.some(({ id }) => id === newestIntact));
          assert.equal(await use(`${store}-saved`, blocks), "whole");
          continue;
        }
        const used = await use(copyOf(store), blocks);
        seen.set(`${outcome.damages.length > 0 ? "damaged" : "intact"}, ${used}`, round);
        if (outcome.damages.length === 0) {
          assert.equal(used, "whole");
          continue;
        }
        for (const { height, path, part } of outcome.damages) {
          assert.ok((height ?? 0) <= 25 && path.length <= 1 && part !== "", JSON.stringify(outcome.damages));
        }
        if (outcome.newestIntact === null) continue;
        await repairStore(store);
        assert.deepEqual((await verifyStore(store)).damages, []);
        assert.equal(await use(store, blocks), "whole");
      }
      t.diagnostic(JSON.stringify(Object.fromEntries(seen)));
    });
    function copyOf(store: string): string {
      cpSync(store, `${store}-used`, { recursive: true });
      return `${store}-used`;
    }
  });

  test("what lmdb would believe: pages of the future, too few, some that are free and used", async () => {
    const word = (bytes: Buffer, at: number): number => Number(bytes.readBigUInt64LE(at));
    const newest = (bytes: Buffer): number => (word(bytes, 152) > word(bytes, 4096 + 152) ? 0 : 4096);
    const damages: Readonly<Record<string, (bytes: Buffer) => void>> = {
      transaction: (bytes) => {
        for (let at = 8192; at < bytes.length; at += 4096) {
          if (bytes.readUInt16LE(at + 18) === 2 && word(bytes, at) === at / 4096) bytes[at + 13] = 1;
        }
      },
      "lies outside": (bytes) => {
        for (const meta of [0, 4096]) bytes.writeBigUInt64LE(3n, meta + 144);
      },
      "is free and used": (bytes) => {
        const page = word(bytes, newest(bytes) + 88) * 4096;
        const node = page + 24 + bytes.readUInt16LE(page + 24);
        const list =
          (bytes.readUInt16LE(node + 4) & 1) === 0 ? node + 16 : word(bytes, node + 16) * 4096 + 24;
        assert.ok(word(bytes, list) > 0);
        bytes.writeBigUInt64LE(bytes.readBigUInt64LE(newest(bytes) + 136), list + 8);
      },
    };
    await withCopies(async (copy, blocks) => {
      for (const [text, damage] of Object.entries(damages)) {
        const store = copy();
        const bytes = readFileSync(`${store}/data.mdb`);
        damage(bytes);
        writeFileSync(`${store}/data.mdb`, bytes);
        const refused = code("STORE_CORRUPT", new RegExp(text));
        await assert.rejects(openReader(store), refused);
        await assert.rejects(open([], { ...OPTIONS, store: everyState(store) }), refused);
        await assert.rejects(repairStore(store), refused);
        const { newestIntact } = await salvageStore(store, `${store}-saved`);
        assert.equal(newestIntact, blocks.at(-1)?.id);
        assert.equal(await use(`${store}-saved`, blocks), "whole");
      }
    });
  });

  test("a file that was cut off is refused", async (t) => {
    const next = random(baseSeed(t) + 1);
    await withCopies(async (copy, blocks) => {
      for (let round = 0; round < sized(3, 12); round++) {
        const store = copy();
        const { length } = readFileSync(`${store}/data.mdb`);
        truncateSync(`${store}/data.mdb`, round === 0 ? 1 : next(length - 4096));
        await assert.rejects(verifyStore(store), { code: "STORE_CORRUPT" });
        assert.equal(await use(store, blocks), "STORE_CORRUPT");
        const saved = await salvageStore(store, `${store}-saved`).catch((error: StoreError) => error);
        if (saved instanceof StoreError) {
          assert.equal(saved.code, "STORE_CORRUPT");
          assert.ok(saved.message.includes(store) && !saved.message.includes("-saved"), saved.message);
        } else assert.equal(await use(`${store}-saved`, blocks), "whole");
      }
    });
  });
});
