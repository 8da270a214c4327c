/** What knows a store knows its log: verifying, repairing, salvage, backups, imports, the command. */

import assert from "node:assert/strict";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import type { Runtime, RuntimeOptions, StoreError } from "../../runtime/index.ts";
import { Database } from "../../runtime/store/database.ts";
import { InputLog, type LogFrame, type LogPlace, SECTOR_BYTES } from "../../runtime/store/log.ts";
import { readLog } from "../../runtime/store/state.ts";
import {
  backupStore,
  exportBlock,
  openImport,
  openReader,
  repairStore,
  salvageStore,
  verifyStore,
} from "../../runtime/store.ts";
import { stillpoint } from "../cli/stillpoint.ts";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";
import { withDirectory } from "./directory.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;
const reopen = (path: string, more: Partial<RuntimeOptions> = {}): Promise<Runtime> => {
  const store = { path, durability: "logged", checkpointMs: 3_600_000, logBytes: 1 << 18 } as const;
  return open([], { ...OPTIONS, store, ...more });
};

/** A store as it is after a crash: block 3 is its checkpoint, and 4 to 8 are in its log. Its blocks. */
async function crashed(path: string): Promise<string[]> {
  const runtime = await reopen(path);
  for (let i = 1; i <= 8; i++) {
    await runtime.produce(metadata(i, 0));
    if (i === 3) await runtime.checkpoint();
  }
  const ids = runtime.blocks().map(({ id }) => id);
  await crash(runtime, path);
  return ids;
}

/** Leaves a store as it is if its process dies now. */
async function crash(runtime: Runtime, path: string): Promise<void> {
  cpSync(path, `${path}.copy`, { recursive: true });
  await runtime.close();
  rmSync(path, { recursive: true });
  cpSync(`${path}.copy`, path, { recursive: true });
}

/** Flips a bit of the frame with this number, behind the checkpoint. */
async function damage(path: string, frame: number): Promise<void> {
  const { position } = InputLog.survey(path, await placeOf(path)).frames[frame] as LogFrame;
  const file = `${path}/inputs.log`;
  const bytes = readFileSync(file);
  const at = SECTOR_BYTES + position + 100;
  bytes[at] = (bytes[at] as number) ^ 1;
  writeFileSync(file, bytes);
}

/** Flips a bit of the record of a block. */
async function damageRecord(path: string, id: string): Promise<void> {
  const database = new Database(path);
  const key = Buffer.from(id, "hex");
  database.transaction(() => {
    const record = database.block(key) as Buffer;
    record[20] = (record[20] as number) ^ 1;
    database.putBlock(key, record);
  });
  await database.close();
}

/** Where the log of a store begins. */
async function placeOf(path: string): Promise<LogPlace> {
  const database = new Database(path);
  const place = readLog(database);
  await database.close();
  assert.ok(place !== null);
  return place;
}

test("verifying lists what the log has, and changes nothing", async () => {
  await withDirectory(async (path) => {
    const ids = await crashed(path);
    const found = await verifyStore(path);
    assert.deepEqual([found.damages, found.newestIntact], [[], ids[3]]);
    const expected = [4, 5, 6, 7, 8].map((height) => ({ height, id: ids[height], intact: true }));
    assert.deepEqual(found.logged, expected);
    const runtime = await reopen(path);
    assert.equal(runtime.head.id, ids[8]);
    await runtime.close();
    assert.deepEqual((await verifyStore(path)).logged, []);
  });
});

test("a reader names the blocks that only the log has, and the command counts them", async () => {
  await withDirectory(async (path) => {
    const runtime = await reopen(path);
    const ids = [runtime.head.id];
    for (let i = 1; i <= 5; i++) {
      ids.push((await runtime.produce(metadata(i, 0))).id);
      if (i === 3) await runtime.checkpoint();
    }
    const reader = await openReader(path);
    const named = [4, 5].map((height) => ({ height, id: ids[height] }));
    assert.deepEqual([reader.head.height, reader.logged()], [3, named]);
    const { stdout, stderr } = stillpoint("inspect", path, "blocks");
    assert.doesNotMatch(stdout, new RegExp(ids[5] as string));
    assert.match(stderr, /newest checkpoint is at height 3; 2 acknowledged blocks beyond it, up to height 5/);
    await runtime.close();
    assert.deepEqual([reader.head.height, reader.logged()], [5, []]);
    assert.equal(stillpoint("inspect", path, "blocks").stderr, "");
    await reader.close();
  });
});

test("a damaged log is not opened; a repair names what it drops, and keeps the rest", async () => {
  await withDirectory(async (path) => {
    const ids = await crashed(path);
    await damage(path, 2);
    await assert.rejects(reopen(path), { code: "STORE_CORRUPT" });
    const found = await verifyStore(path);
    assert.deepEqual(
      found.damages.map(({ part, reason }) => [part, reason]),
      [["log", "damaged"]],
    );
    const intact = found.logged.map(({ height, intact }) => [height, intact]);
    // The block of the frame itself cannot be named.
    assert.deepEqual(intact, [
      [4, true],
      [5, true],
      [7, false],
      [8, false],
    ]);
    assert.deepEqual(await repairStore(path), found);
    assert.deepEqual((await verifyStore(path)).damages, []);
    const runtime = await reopen(path);
    assert.equal(runtime.head.id, ids[5]);
    for (let i = 6; i <= 8; i++) await runtime.produce(metadata(i, 0));
    assert.equal(runtime.head.id, ids[8]);
    await runtime.close();
  });
});

test("a log that is gone is an error, and what it had can be given up", async () => {
  await withDirectory(async (path) => {
    const ids = await crashed(path);
    rmSync(`${path}/inputs.log`);
    await assert.rejects(reopen(path), { code: "STORE_MISSING" });
    await assert.rejects(open([], { ...OPTIONS, store: path }), { code: "STORE_MISSING" });
    const { damages } = await verifyStore(path);
    assert.deepEqual(
      damages.map(({ part, reason }) => [part, reason]),
      [["log", "missing"]],
    );
    const runtime = await reopen(path, { recover: "checkpoint" });
    assert.equal(runtime.head.id, ids[3]);
    await runtime.produce(metadata(4, 0));
    await runtime.close();
    const again = await reopen(path);
    assert.equal(again.head.id, ids[4]);
    await again.close();
  });
});

test("a block with another id than before stops everything, and can be given up", async () => {
  await withDirectory(async (path) => {
    const ids = await crashed(path);
    // A frame like that of block 8, with a block 9 that nothing makes.
    const { log, frames } = InputLog.read(path, await placeOf(path));
    const body = Buffer.from(frames.at(-1)?.body as Buffer);
    const at = 2 + body.readUInt16LE(0) + 1;
    body.writeBigUInt64LE(9n, at);
    const other = "ab".repeat(32);
    body.write(other + ids[8], at + 8, "hex");
    await log.append(body);
    await log.close();
    for (const durability of ["logged", "block"] as const) {
      const store = { path, durability };
      await assert.rejects(open([], { ...OPTIONS, store }), (error: StoreError) => {
        assert.equal(error.code, "STORE_DIVERGED");
        const { height, block, found, build, wroteBuild } = error.facts;
        assert.deepEqual([height, block, build], [9, other, wroteBuild]);
        assert.match(String(found), /^[0-9a-f]{64}$/);
        return true;
      });
    }
    // Nothing was changed by that.
    assert.equal((await verifyStore(path)).logged.length, 6);
    const reader = await openReader(path);
    assert.equal(reader.head.id, ids[3]);
    await reader.close();
    const runtime = await reopen(path, { recover: "checkpoint" });
    assert.equal(runtime.head.id, ids[3]);
    await runtime.close();
  });
});

test("a repair that goes back drops the log, whose blocks stand on what is gone", async () => {
  await withDirectory(async (path) => {
    const ids = await crashed(path);
    await damageRecord(path, ids[3] as string);
    const repaired = await repairStore(path);
    assert.equal(repaired.newestIntact, ids[2]);
    assert.deepEqual(
      repaired.logged.map(({ height, intact }) => [height, intact]),
      [4, 5, 6, 7, 8].map((height) => [height, false]),
    );
    const runtime = await reopen(path);
    assert.equal(runtime.head.id, ids[2]);
    await runtime.close();
  });
});

test("a backup of a store that is written to has all that was acknowledged", async () => {
  await withDirectory(async (path) => {
    const store = { path, durability: "logged", checkpointMs: 20, logBytes: 1 << 18 } as const;
    const runtime = await open([], { ...OPTIONS, store });
    let isDone = false;
    let acknowledged = runtime.head;
    const writes = (async () => {
      while (!isDone) acknowledged = await runtime.produce(metadata(acknowledged.height + 1, 0));
    })();
    try {
      for (let i = 0; i < 4; i++) {
        await new Promise((resolve) => setTimeout(resolve, 60));
        const head = acknowledged;
        const to = `${path}-${i}`;
        const newest = await backupStore(path, to);
        await assert.rejects(backupStore(path, to), { code: "STORE_NOT_EMPTY" });
        assert.deepEqual((await verifyStore(to)).damages, []);
        const copy = await reopen(to);
        assert.ok(copy.head.height >= head.height && copy.head.height >= newest.height);
        assert.ok(copy.blocks().some(({ id }) => id === head.id));
        await copy.produce(metadata(copy.head.height + 1, 0));
        await copy.close();
      }
    } finally {
      isDone = true;
      await writes;
      await runtime.close();
    }
  });
});

test("a repair removes blocks that the log forgets, and ends it where it goes back to one", async () => {
  await withDirectory(async (path) => {
    const runtime = await reopen(path, { retainBlocks: 4 });
    for (let i = 1; i <= 3; i++) await runtime.produce(metadata(i, 0));
    await runtime.checkpoint();
    const [first] = runtime.blocks();
    // Forgets blocks 0 and 1.
    for (const i of [4, 5]) await runtime.produce(metadata(i, 0));
    const { id } = runtime.head;
    // The state of block 2 is made from block 0; that of 3, the checkpoint, is stored.
    await runtime.revert(2);
    const back = runtime.head;
    await runtime.produce(metadata(3, 1));
    await crash(runtime, path);
    await damageRecord(path, first?.id as string);
    const repaired = await repairStore(path);
    assert.deepEqual(
      repaired.logged.map(({ height, intact }) => [height, intact]),
      [
        [4, true],
        [5, true],
        [3, false],
      ],
    );
    assert.ok(!repaired.blocks.some((block) => block.id === back.id && block.intact));
    const again = await reopen(path, { retainBlocks: 4 });
    assert.equal(again.head.id, id);
    await again.produce(metadata(6, 0));
    await again.close();
  });
});

test("a salvage names the blocks that the log alone has", async () => {
  await withDirectory(async (path) => {
    const ids = await crashed(path);
    const saved = await salvageStore(path, `${path}-saved`);
    const lost = [4, 5, 6, 7, 8].map((height) => ({ height, id: ids[height], intact: false }));
    assert.deepEqual([saved.newestIntact, saved.logged], [ids[3], lost]);
    const said = stillpoint("store", path, "salvage", `${path}-shell`);
    assert.equal(said.status, 0, said.stderr);
    for (const { height, id } of lost) assert.ok(said.stdout.includes(`block ${height} ${id} of the log`));
    const runtime = await reopen(`${path}-saved`);
    assert.equal(runtime.head.id, ids[3]);
    await runtime.close();
    // One that was opened has them itself.
    await (await reopen(path)).close();
    assert.deepEqual((await salvageStore(path, `${path}-whole`)).logged, []);
    rmSync(`${path}/inputs.log`);
    const without = await salvageStore(path, `${path}-without`);
    const damages = without.damages.map(({ part, reason }) => [part, reason]);
    assert.deepEqual([without.newestIntact, damages], [ids[8], [["log", "missing"]]]);
    const shell = stillpoint("store", path, "salvage", `${path}-other`);
    assert.match(shell.stdout, /the log of inputs cannot be read/, shell.stderr);
  });
});

test("what the log alone has is given up from a shell, by its name", async () => {
  await withDirectory(async (path) => {
    const ids = await crashed(path);
    await damage(path, 2);
    const said = stillpoint("store", path, "recover", "--json");
    assert.equal(said.status, 0, said.stderr);
    const { height, id, dropped } = JSON.parse(said.stdout);
    assert.deepEqual([height, id], [3, ids[3]]);
    // The block of the damaged frame cannot be named.
    const expected = [4, 5, 7, 8].map((height) => ({ height, id: ids[height] }));
    assert.deepEqual(dropped, expected);
    const runtime = await reopen(path);
    assert.equal(runtime.head.id, ids[3]);
    await runtime.close();
    assert.match(stillpoint("store", path, "recover").stdout, /at its last checkpoint, block 3/);
  });
});

test("an import is refused where the log has blocks that stand on the head", async () => {
  await withDirectory(async (path) => {
    const ids = await crashed(path);
    const other = `${path}-other`;
    const source = await open([], { ...OPTIONS, store: other });
    for (let i = 1; i <= 9; i++) await source.produce(metadata(i, 0));
    const { id } = source.head;
    await source.close();
    await assert.rejects(openImport(path, id), { code: "STORE_LOGGED", facts: { path, changes: 5 } });
    const file = `${path}.export`;
    assert.equal(stillpoint("inspect", other, "export", file).status, 0);
    const refused = stillpoint("store", path, "import", file, "--id", id);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /has 5 changes .* Open a runtime on the store once/);
    cpSync(path, `${path}-lost`, { recursive: true });
    rmSync(`${path}-lost/inputs.log`);
    await assert.rejects(openImport(`${path}-lost`, id), { code: "STORE_MISSING" });

    // Nothing was changed, and nobody holds it.
    const runtime = await reopen(path);
    assert.equal(runtime.head.id, ids[8]);
    await runtime.close();
    const importer = await openImport(path, id);
    for await (const chunk of exportBlock(other)) importer.take(chunk);
    await importer.finish();
    const again = await reopen(path);
    assert.equal(again.head.id, id);
    const next = await again.produce(metadata(10, 0));
    await crash(again, path);
    const last = await reopen(path);
    assert.equal(last.head.id, next.id);
    await last.close();
  });
});

test("pinning and pruning from a shell run the blocks of the log first", async () => {
  await withDirectory(async (path) => {
    const ids = await crashed(path);
    const pinned = stillpoint("store", path, "pin", "5");
    assert.deepEqual([pinned.status, pinned.stderr], [0, ""]);
    assert.ok(pinned.stdout.includes(ids[5] as string));
    const pruned = stillpoint("store", path, "prune", "1");
    assert.deepEqual([pruned.status, pruned.stderr], [0, ""]);
    const reader = await openReader(path);
    assert.deepEqual(
      reader.retained().map(({ id }) => id),
      [ids[5], ids[8]],
    );
    await reader.close();
  });
});

test("what the command shows of a block whose state is not stored is made again", async () => {
  await withDirectory(async (path) => {
    const directories = [path, `${path}-other`];
    const runs: Runtime[] = [];
    for (const [i, store] of directories.entries()) {
      const runtime = await open([], { ...OPTIONS, store });
      for (let h = 1; h <= 6; h++) await runtime.produce(metadata(h, h < 4 ? 0 : i));
      await runtime.close();
      runs.push(runtime);
    }
    const [one] = runs as [Runtime];
    const reader = await openReader(path);
    const stored = reader.anchors().map(({ height }) => height);
    await reader.close();
    assert.ok(!stored.includes(2) && !stored.includes(4) && stored.includes(6), stored.join());
    const shown = (...args: string[]) => {
      const { status, stdout, stderr } = stillpoint("inspect", path, ...args, "--json");
      assert.equal(stderr, "", args.join(" "));
      return { status, found: JSON.parse(stdout) };
    };
    const { found: root } = shown("process", "/", "--block", "2");
    assert.deepEqual([root.block, root.hash], [one.blocks()[2]?.id, one.blocks()[2]?.root]);
    const { found: proof } = shown("proof", "/", "0", "64", "--block", "2");
    assert.equal(proof.id, one.blocks()[2]?.id);
    writeFileSync(`${path}.proof`, JSON.stringify(proof));
    assert.equal(stillpoint("proof", "check", `${path}.proof`, "--id", proof.id).status, 0);
    const { status, found: diff } = shown("diff", "4", "6");
    assert.ok(status === 1 && diff.differences.length > 0);
    const { found: parted } = shown("diverge", `${path}-other`);
    assert.ok(parted.height === 4 && parted.differences.length > 0);
    assert.equal(stillpoint("inspect", path, "trace", "3").status, 0);
    const again = stillpoint("replay", path, "--from", "3");
    assert.match(again.stdout, /^4 blocks made again/, again.stderr);
  });
});
