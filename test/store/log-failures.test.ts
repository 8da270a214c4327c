/** What neither the log nor the store takes: what its error says of it holds after a crash. */

import assert from "node:assert/strict";
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { type FileHandle, open as openFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Runtime, StoreError } from "../../runtime/index.ts";
import { Database } from "../../runtime/store/database.ts";
import { Store } from "../../runtime/store/store.ts";
import { verifyStore } from "../../runtime/store.ts";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";
import { withDirectory } from "./directory.ts";
import { replacing, writing } from "./failing.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;
/** Checkpoints come when they are asked for. */
const logged = (path: string, more: object = {}) =>
  ({ path, durability: "logged", checkpointMs: 3_600_000, logBytes: 1 << 17, ...more }) as const;

const handle = await openFile(fileURLToPath(import.meta.url));
/** What all open files are made from. */
const FILE: FileHandle = Object.getPrototypeOf(handle);
await handle.close();
const { datasync } = FILE;

const failure = (): Error => Object.assign(new Error("EIO: i/o error"), { code: "EIO" });

/** A sync of the log that fails the first time; what was written is there all the same. */
function failingOnce() {
  let isFirst = true;
  return async function (this: FileHandle): Promise<void> {
    await datasync.call(this);
    if (isFirst) {
      isFirst = false;
      throw failure();
    }
  };
}

/** The head of the store if its process dies now, and the blocks of its log. */
async function afterCrash(path: string): Promise<{ readonly head: string; readonly logged: number }> {
  const copy = `${path}.crashed`;
  cpSync(path, copy, { recursive: true });
  // Who holds it lives on.
  const database = new Database(copy);
  database.transaction(() => database.putMeta("writer", null));
  await database.close();
  const { logged: blocks } = await verifyStore(copy);
  const runtime = await open([], { ...OPTIONS, store: logged(copy) });
  const { id } = runtime.head;
  await runtime.close();
  rmSync(copy, { recursive: true });
  return { head: id, logged: blocks.length };
}

/** A runtime on a store whose transactions fail as long as the file `fails` is there. */
async function withFailing(
  use: (runtime: Runtime, path: string, fails: string) => Promise<void>,
): Promise<void> {
  await withDirectory(async (path) => {
    const fails = `${path}.fails`;
    const steps = new URL("failing-steps.ts", import.meta.url);
    steps.searchParams.set("switch", fails);
    const runtime = await open([], { ...OPTIONS, store: logged(path, { steps: steps.href }) });
    try {
      await runtime.produce(metadata(1, 0));
      await use(runtime, path, fails);
    } finally {
      rmSync(fails, { force: true });
      await runtime.close();
    }
  });
}

test("a change that was refused is not there after a crash, though it was in the log", async () => {
  await withFailing(async (runtime, path, fails) => {
    const { id } = runtime.head;
    writeFileSync(fails, "");
    await replacing(FILE, { datasync: failingOnce() }, () =>
      assert.rejects(runtime.produce(metadata(2, 0)), { code: "STORE_FULL" }),
    );
    assert.equal(runtime.head.id, id);
    assert.deepEqual(await afterCrash(path), { head: id, logged: 1 });
    // The log continues in its place.
    const next = await runtime.produce(metadata(2, 1));
    assert.deepEqual(await afterCrash(path), { head: next.id, logged: 2 });
  });
});

test("where it cannot be cleared either, the error says so, and the next change decides", async () => {
  await withFailing(async (runtime, path, fails) => {
    const { id } = runtime.head;
    writeFileSync(fails, "");
    const write: (...args: never[]) => Promise<unknown> = FILE.write;
    let isBroken = false;
    const methods = {
      async datasync(this: FileHandle): Promise<void> {
        await datasync.call(this);
        isBroken = true;
        throw failure();
      },
      write(this: FileHandle, ...args: never[]): Promise<unknown> {
        return isBroken ? Promise.reject(failure()) : write.apply(this, args);
      },
    };
    await replacing(FILE, methods, () =>
      assert.rejects(runtime.produce(metadata(2, 0)), {
        code: "STORE_UNCERTAIN",
        facts: { path, reason: "STORE_FULL" },
      }),
    );
    assert.equal(runtime.head.id, id);
    const found = await afterCrash(path);
    assert.equal(found.logged, 2, "it is there: so the error must not say that it is not");
    rmSync(fails);
    const next = await runtime.produce(metadata(2, 1));
    assert.notEqual(next.id, found.head);
    assert.deepEqual(await afterCrash(path), { head: next.id, logged: 0 });
  });
});

test("behind a change of which the store did not say whether it is there, nothing is lost", async () => {
  await withFailing(async (runtime, path) => {
    const { change } = Store.prototype;
    const methods = {
      async change(this: Store, ...args: Parameters<typeof change>) {
        await change.apply(this, args);
        throw new StoreError("STORE_FAILED", "its thread has ended");
      },
    };
    // More than a quarter of the log.
    const blocks = [2, 3, 4].map((i) => ({ metadata: metadata(i, 0) }));
    await replacing(Store.prototype, methods, () =>
      assert.rejects(runtime.reorg({ to: 1, blocks }), { code: "STORE_FAILED" }),
    );
    for (let i = 0; i < 2; i++) {
      const { id } = await runtime.produce(writing(i));
      assert.equal((await afterCrash(path)).head, id);
    }
  });
});
