/** `stillpoint store`: what it prints, and its exit codes. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Divergence, divergence, formatDiff } from "../../runtime/debug.ts";
import { openReader } from "../../runtime/store.ts";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";
import { withDirectory } from "./directory.ts";

const MAIN = fileURLToPath(new URL("../../runtime/cli/main.ts", import.meta.url));

function store(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [MAIN, "store", ...args], { encoding: "utf8" });
}

test("blocks, verify, export, import, repair and salvage from a shell", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { workers: 1, runner: "sequential", store: path });
    for (let height = 1; height <= 6; height++) await runtime.produce(metadata(height, 0));
    // While it is open for writing.
    const blocks = store("blocks", path, "--json");
    assert.equal(blocks.status, 0, blocks.stderr);
    const lines = blocks.stdout.trim().split("\n");
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).id),
      runtime.blocks().map(({ id }) => id),
    );
    assert.match(store("blocks", path).stdout, new RegExp(`6 +${runtime.head.id}`));
    const verified = store("verify", path);
    assert.deepEqual([verified.status, verified.stderr], [0, ""]);
    assert.match(verified.stdout, /7 of 7 blocks intact/);

    const file = `${path}.export`;
    assert.equal(store("export", path, file).status, 0);
    const imported = store("import", `${path}-copy`, file, "--id", runtime.head.id);
    assert.equal(imported.status, 0, imported.stderr);
    assert.ok(imported.stdout.includes(runtime.head.id));
    assert.match(store("verify", `${path}-copy`).stdout, /1 of 1 blocks intact/);
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.subarray(0, -1));
    const refused = store("import", `${path}-other`, file, "--id", runtime.head.id);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /chunk 1 is refused: it is cut off/);
    assert.match(store("repair", path).stderr, /open for writing in process/);
    await runtime.close();

    const repaired = store("repair", path);
    assert.deepEqual([repaired.status, repaired.stderr], [0, ""]);
    assert.match(repaired.stdout, /0 damaged blocks forgotten/);
    const saved = store("salvage", path, `${path}-saved`);
    assert.equal(saved.status, 0, saved.stderr);
    assert.match(store("verify", `${path}-saved`).stdout, /7 of 7 blocks intact/);
  });
});

test("a block below a gap is exported by its id; an import goes on from another file", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { workers: 1, runner: "sequential", store: path });
    const pinned = await runtime.produce(metadata(1, 0));
    await runtime.pin(pinned);
    for (let height = 2; height <= 30; height++) await runtime.produce(metadata(height, 0));
    await runtime.prune(3);
    const { id } = runtime.head;
    await assert.rejects(runtime.revert(1), { code: "NOT_RETAINED", message: /name it by its value/ });
    await runtime.close();
    assert.match(store("export", path, `${path}.x`, "--block", "1").stderr, /by its value/);
    assert.match(
      store("export", path, `${path}.x`, "--block", "0".repeat(64)).stderr,
      /does not hold block 0/,
    );
    assert.match(store("blocks", path).stdout, /^ +1 .*apart/m);
    const [base, delta, whole] = ["base", "delta", "whole"].map((name) => `${path}.${name}`) as [
      string,
      string,
      string,
    ];
    assert.equal(store("export", path, base, "--block", pinned.id).status, 0);
    assert.equal(store("export", path, delta, "--base", pinned.id).status, 0);
    assert.equal(store("export", path, whole).status, 0);
    const copy = `${path}-copy`;
    assert.match(store("import", copy, delta, "--id", id).stderr, /import that first, or a whole block/);
    assert.equal(store("import", copy, base, "--id", pinned.id).status, 0);
    const bytes = readFileSync(delta);
    writeFileSync(delta, bytes.subarray(0, -1));
    assert.match(store("import", copy, delta, "--id", id).stderr, /chunk 1 is refused: it is cut off/);
    const imported = store("import", copy, whole, "--id", id);
    assert.deepEqual([imported.status, imported.stderr], [0, ""]);
    assert.match(store("verify", copy).stdout, /2 of 2 blocks intact/);
    truncateSync(`${copy}/data.mdb`, 0);
    for (const command of ["blocks", "verify", "repair"]) {
      assert.match(store(command, copy).stderr, /holds nothing/);
    }
  });
});

test("where two replicas part", async () => {
  await withDirectory(async (path) => {
    const paths = [path, `${path}-other`];
    const runs = await Promise.all(paths.map((store) => open([], { workers: 1, store })));
    const [one, other] = runs as [(typeof runs)[0], (typeof runs)[0]];
    const same = store("diverge", ...paths);
    assert.deepEqual([same.status, same.stdout], [0, "the same, as far as both go\n"]);
    for (const runtime of runs) await runtime.produce(metadata(1, 0));
    for (const [i, runtime] of runs.entries()) await runtime.produce(metadata(2, i));
    for (const runtime of runs) await runtime.produce(metadata(3, 0));
    const found = store("diverge", ...paths);
    assert.equal(found.status, 1, found.stderr);
    const lines = found.stdout.trim().split("\n");
    assert.equal(lines[0], "block 2 is the first that differs");
    assert.equal(lines[1], `${path}: ${one.blocks()[2]?.id} root ${one.blocks()[2]?.root}`);
    assert.deepEqual(lines.slice(3).join("\n"), formatDiff(divergence(one, other) as Divergence));
    assert.ok(lines.length > 3);
    const json = JSON.parse(store("diverge", ...paths, "--json").stdout);
    assert.deepEqual([json.height, json.blocks[1].id], [2, other.blocks()[2]?.id]);
    // A runtime and a store can be compared as well.
    await using reader = await openReader(paths[1] as string);
    assert.deepEqual(divergence(one, reader), divergence(one, other));
    for (const runtime of runs) await runtime.close();
  });
});

test("files that cannot be written, or are no exports", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { workers: 1, runner: "sequential", store: path });
    const { id } = await runtime.produce(metadata(1, 0));
    await runtime.close();
    const file = `${path}.export`;
    writeFileSync(file, "precious");
    const failing: readonly [string[], number, RegExp][] = [
      [["export", path, `${path}.none/file`], 2, /cannot be written: ENOENT/],
      [["export", path, path], 2, /cannot be written: EISDIR/],
      [["export", path, file, "--block", "99"], 2, /does not hold height 99/],
      [["export", `${path}.none`, file], 1, /there is no store/],
      [["import", `${path}-copy`, file, "--id", id], 1, /chunk 0 is refused/],
      [["salvage", path, file], 1, /a file stands in its way/],
    ];
    for (const [args, status, text] of failing) {
      const result = store(...args);
      assert.equal(result.status, status, result.stderr);
      assert.match(result.stderr, text);
      assert.ok(result.stderr.split("\n").length <= 3, result.stderr);
    }
    assert.equal(readFileSync(file, "utf8"), "precious");
    assert.equal(store("export", path, file).status, 0);
    assert.equal(store("import", `${path}-copy`, file, "--id", id).status, 0);
  });
});

test("what cannot be done is refused with exit code 2 or 1, and no stack trace", () => {
  for (const [args, status, text] of [
    [[], 2, /no command "" of "store"/],
    [["frob"], 2, /no command "frob"/],
    [["blocks"], 2, /expected 1 file name, found 0/],
    [["blocks", "/nowhere"], 1, /there is no store in \/nowhere/],
    [["import", "/nowhere", "/dev/null", "--id", "7"], 2, /64 characters of hex/],
    [["import", "/nowhere", "/dev/null"], 2, /--id is missing/],
    [["import", "/nowhere", "/nofile", "--id", "0".repeat(64)], 2, /cannot be read: ENOENT/],
    [["import", "/nowhere", "/tmp", "--id", "0".repeat(64)], 2, /cannot be read: EISDIR/],
    [["salvage", "/nowhere"], 2, /expected 2 file names, found 1/],
    [["export", "/nowhere", "/dev/null", "--block", "x"], 2, /--block takes a whole number/],
  ] as const) {
    const result = store(...args);
    assert.equal(result.status, status, result.stderr);
    assert.match(result.stderr, text);
    assert.ok(result.stderr.split("\n").length <= 3, result.stderr);
  }
});
