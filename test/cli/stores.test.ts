/** `stillpoint inspect` and `stillpoint store` on the blocks of a runtime. */

import assert from "node:assert/strict";
import { existsSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { toJson } from "../../runtime/cli/terminal.ts";
import { type Divergence, divergence, formatDiff, formatTrace } from "../../runtime/debug.ts";
import { openReader } from "../../runtime/store.ts";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";
import { everyState, withDirectory } from "../store/directory.ts";
import { type Ended, stillpoint } from "./stillpoint.ts";

const inspect = (...args: string[]) => stillpoint("inspect", ...args);
const store = (...args: string[]) => stillpoint("store", ...args);

test("blocks, verify, export, import, repair and salvage from a shell", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { workers: 1, runner: "sequential", store: everyState(path) });
    for (let height = 1; height <= 6; height++) await runtime.produce(metadata(height, 0));
    // While it is open for writing.
    const blocks = inspect(path, "blocks", "--json");
    assert.equal(blocks.status, 0, blocks.stderr);
    const lines = blocks.stdout.trim().split("\n");
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).id),
      runtime.blocks().map(({ id }) => id),
    );
    assert.match(inspect(path, "blocks").stdout, new RegExp(`6 +${runtime.head.id}`));
    const verified = inspect(path, "verify");
    assert.deepEqual([verified.status, verified.stderr], [0, ""]);
    assert.match(verified.stdout, /7 of 7 blocks intact/);

    const file = `${path}.export`;
    assert.equal(inspect(path, "export", file).status, 0);
    const imported = store(`${path}-copy`, "import", file, "--id", runtime.head.id);
    assert.equal(imported.status, 0, imported.stderr);
    assert.ok(imported.stdout.includes(runtime.head.id));
    assert.match(inspect(`${path}-copy`, "verify").stdout, /1 of 1 blocks intact/);
    const { id } = runtime.head;
    const portable = `${path}.portable`;
    assert.equal(inspect(path, "export", portable, "--portable").status, 0);
    const rehashed = store(`${path}-rehashed`, "import", portable, "--id", id, "--rehash");
    assert.deepEqual([rehashed.status, rehashed.stdout], [0, `block 6 ${id}\n`], rehashed.stderr);
    assert.match(inspect(`${path}-rehashed`, "verify").stdout, /1 of 1 blocks intact/);
    assert.match(store(`${path}-rehashed`, "import", portable, "--id", id).stderr, /option "rehash"/);
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.subarray(0, -1));
    const refused = store(`${path}-other`, "import", file, "--id", runtime.head.id);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /chunk 1 is refused: it is cut off/);
    assert.match(store(path, "repair").stderr, /open for writing in process/);
    await runtime.close();

    const repaired = store(path, "repair");
    assert.deepEqual([repaired.status, repaired.stderr], [0, ""]);
    assert.match(repaired.stdout, /0 damaged blocks forgotten/);
    const saved = store(path, "salvage", `${path}-saved`);
    assert.equal(saved.status, 0, saved.stderr);
    assert.match(inspect(`${path}-saved`, "verify").stdout, /7 of 7 blocks intact/);
  });
});

test("a block below a gap is exported by its id; an import continues from another file", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { workers: 1, runner: "sequential", store: everyState(path) });
    const pinned = await runtime.produce(metadata(1, 0));
    await runtime.pin(pinned);
    for (let height = 2; height <= 30; height++) await runtime.produce(metadata(height, 0));
    await runtime.prune(3);
    const { id } = runtime.head;
    await assert.rejects(runtime.revert(1), { code: "NOT_RETAINED", message: /name it by its value/ });
    await runtime.close();
    assert.match(inspect(path, "export", `${path}.x`, "--block", "1").stderr, /by its id, [0-9a-f]{64}/);
    assert.match(
      inspect(path, "export", `${path}.x`, "--block", "0".repeat(64)).stderr,
      /does not hold block 0/,
    );
    assert.match(inspect(path, "blocks").stdout, /^ +1 .*side branch/m);
    const [base, delta, whole] = ["base", "delta", "whole"].map((name) => `${path}.${name}`) as [
      string,
      string,
      string,
    ];
    assert.equal(inspect(path, "export", base, "--block", pinned.id).status, 0);
    assert.equal(inspect(path, "export", delta, "--base", pinned.id).status, 0);
    assert.equal(inspect(path, "export", whole).status, 0);
    const copy = `${path}-copy`;
    assert.match(store(copy, "import", delta, "--id", id).stderr, /import that first, or a whole block/);
    assert.equal(store(copy, "import", base, "--id", pinned.id).status, 0);
    const bytes = readFileSync(delta);
    writeFileSync(delta, bytes.subarray(0, -1));
    assert.match(store(copy, "import", delta, "--id", id).stderr, /chunk 1 is refused: it is cut off/);
    const imported = store(copy, "import", whole, "--id", id);
    assert.deepEqual([imported.status, imported.stderr], [0, ""]);
    assert.match(inspect(copy, "verify").stdout, /2 of 2 blocks intact/);
    truncateSync(`${copy}/data.mdb`, 0);
    for (const [group, word] of [
      ["inspect", "blocks"],
      ["inspect", "verify"],
      ["store", "repair"],
      ["store", "prune"],
    ] as const) {
      assert.match(stillpoint(group, copy, word, ...(word === "prune" ? ["1"] : [])).stderr, /holds nothing/);
    }
  });
});

test("where two replicas part", async () => {
  await withDirectory(async (path) => {
    const paths = [path, `${path}-other`];
    const runs = await Promise.all(paths.map((store) => open([], { workers: 1, store: everyState(store) })));
    const [one, other] = runs as [(typeof runs)[0], (typeof runs)[0]];
    const same = inspect(paths[0] as string, "diverge", paths[1] as string);
    assert.deepEqual([same.status, same.stdout], [0, "the same, as far as both go\n"]);
    for (const runtime of runs) await runtime.produce(metadata(1, 0));
    for (const [i, runtime] of runs.entries()) await runtime.produce(metadata(2, i));
    for (const runtime of runs) await runtime.produce(metadata(3, 0));
    const found = inspect(paths[0] as string, "diverge", paths[1] as string);
    assert.equal(found.status, 1, found.stderr);
    const lines = found.stdout.trim().split("\n");
    assert.equal(lines[0], "block 2 is the first that differs");
    assert.equal(lines[1], `${path}: ${one.blocks()[2]?.id} root ${one.blocks()[2]?.root}`);
    assert.deepEqual(lines.slice(3).join("\n"), formatDiff(divergence(one, other) as Divergence));
    assert.ok(lines.length > 3);
    const json = JSON.parse(inspect(paths[0] as string, "diverge", paths[1] as string, "--json").stdout);
    assert.deepEqual([json.height, json.blocks[1].id], [2, other.blocks()[2]?.id]);
    // A runtime and a store can be compared as well.
    await using reader = await openReader(paths[1] as string);
    assert.deepEqual(divergence(one, reader), divergence(one, other));
    for (const runtime of runs) await runtime.close();
  });
});

test("files that cannot be written, or are no exports", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { workers: 1, runner: "sequential", store: everyState(path) });
    const { id } = await runtime.produce(metadata(1, 0));
    await runtime.close();
    const file = `${path}.export`;
    writeFileSync(file, "precious");
    const failing: readonly [string[], number, RegExp][] = [
      [["inspect", path, "export", `${path}.none/file`], 2, /cannot be written: no such file or directory/],
      [["inspect", path, "export", path], 2, /cannot be written: illegal operation on a directory/],
      [["inspect", path, "export", file, "--block", "99"], 2, /does not hold block 99: .* heights 0 to 1/],
      [["inspect", `${path}.none`, "export", file], 2, /there is no store/],
      [["store", `${path}-copy`, "import", file, "--id", id], 1, /chunk 0 is refused/],
      [["store", path, "salvage", file], 1, /a file stands in its way/],
    ];
    for (const [args, status, text] of failing) refuses(stillpoint(...args), status, text);
    assert.equal(readFileSync(file, "utf8"), "precious");
    assert.equal(inspect(path, "export", file).status, 0);
    assert.equal(store(`${path}-copy`, "import", file, "--id", id).status, 0);
  });
});

test("processes, memory, differences and traces of blocks", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { workers: 1, runner: "sequential", store: everyState(path) });
    for (let height = 1; height <= 2; height++) await runtime.produce(metadata(height, 0));
    const root = inspect(path, "process");
    assert.equal(root.status, 0, root.stderr);
    assert.match(
      root.stdout,
      new RegExp(`^process +/ in block 2 ${runtime.head.id}\nstatus +snapshot$`, "m"),
    );
    const { children, ...view } = JSON.parse(inspect(path, "process", "/", "--json", "--block", "1").stdout);
    assert.deepEqual([view.hash, children], [runtime.blocks()[1]?.root, runtime.inspect([], 1)?.children]);
    assert.equal(inspect(path, "process", "/900000").status, 1);

    const bytes = runtime.read([], 0, 40);
    const raw = stillpoint("inspect", "memory", path, "/", "0", "40", "--raw").stdout;
    assert.deepEqual(Buffer.from(raw, "utf8").length > 0, bytes.length > 0);
    assert.equal(JSON.parse(inspect(path, "memory", "/", "0x0", "40", "--json").stdout).bytes, hex(bytes));
    refuses(inspect(path, "memory", "/", "0x7fffffff"), 2, /not inside the memory/);

    const differs = inspect(path, "diff", "1", "2");
    assert.deepEqual([differs.status, differs.stdout.trim()], [1, formatDiff(runtime.diff(1, 2))]);
    assert.deepEqual(inspect(path, "diff", "2").stdout, "the states are the same\n");
    const beside = inspect(path, "trace", "1", "--json");
    assert.equal(JSON.parse(inspect(path, "recording", "1", "--again", "--json").stdout).source, "again");
    const { events } = await runtime.trace(1);
    await runtime.close();

    const traced = inspect(path, "trace", "1", "--json");
    assert.equal(traced.status, 0, traced.stderr);
    const lines = traced.stdout.trim().split("\n");
    assert.deepEqual(lines, events.map(toJson));
    assert.equal(beside.stdout, traced.stdout, "the same while the runtime had the store open");
    assert.equal(inspect(path, "trace", "1").stdout, `${formatTrace(events)}\n`);
    assert.equal(inspect(path, "trace", "1", "--calls").stdout, `${formatTrace(events, { calls: true })}\n`);
    assert.equal(inspect(path, "trace", "--faults").stdout, "nothing faulted\n");
    refuses(inspect(path, "trace", "0"), 2, /no parent to execute it from/);
    assert.match(inspect(path, "recording").stdout, /nothing was recorded/);
    const recorded = inspect(path, "recording", "1");
    assert.deepEqual([recorded.status, recorded.stderr], [0, ""]);
    assert.match(recorded.stdout, /^block 1 [0-9a-f]{64}, run once more for this\n/);
    assert.match(recorded.stdout, /thread +activations +items/);
    assert.equal(JSON.parse(inspect(path, "recording", "1", "--again", "--json").stdout).source, "again");
    refuses(inspect(path, "recording", "1", "--failed"), 2, /no attempt at block 1 that failed/);
    refuses(
      inspect(path, "recording", "soon"),
      2,
      /a block must be a height, or an id of 64 hexadecimal digits, got "soon"/,
    );
  });
});

test("pins, pruning and a backup", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { workers: 1, runner: "sequential", store: everyState(path) });
    for (let height = 1; height <= 5; height++) await runtime.produce(metadata(height, 0));
    const [, one] = runtime.blocks();
    refuses(store(path, "pin", "1"), 1, /open for writing/);
    await runtime.close();
    const pinned = store(path, "pin", "1");
    assert.match(pinned.stdout, new RegExp(`block 1 ${one?.id} is pinned`), pinned.stderr);
    assert.match(inspect(path, "pins").stdout, new RegExp(`${one?.id}.*pinned`));
    const pruned = store("prune", path, "2", "--json");
    assert.equal(pruned.status, 0, pruned.stderr);
    assert.equal(JSON.parse(pruned.stdout).blocks, 3);
    const heights = inspect(path, "blocks", "--json").stdout.trim().split("\n");
    assert.deepEqual(
      heights.map((line) => JSON.parse(line).height),
      [1, 4, 5],
    );
    assert.equal(JSON.parse(store("prune", path, "--below", "5", "--json").stdout).blocks, 1);
    assert.equal(store(path, "unpin", one?.id as string).status, 0);
    assert.equal(inspect(path, "pins", "--json").stdout, "");
    const copied = store(path, "backup", `${path}-copy`, "--json");
    assert.equal(JSON.parse(copied.stdout).height, 5, copied.stderr);
    assert.match(inspect(`${path}-copy`, "blocks", "--last", "1").stdout, /^ +5 /m);
    refuses(store(`${path}.none`, "prune", "5"), 2, /there is no store/);
    assert.ok(!existsSync(`${path}.none`), "nothing is made");
  });
});

test("a proof in a file says what it shows, and of which block", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { workers: 1, runner: "sequential", store: everyState(path) });
    const { id, root } = await runtime.produce(metadata(1, 0));
    const bytes = runtime.read([], 1024, 8);
    const file = `${path}.proof`;
    assert.equal(inspect(path, "proof", "/", "1024", "8", "-o", file).status, 0);
    const trusted = stillpoint("proof", "check", file, "--id", id);
    assert.deepEqual([trusted.status, trusted.stderr], [0, ""]);
    assert.ok(trusted.stdout.includes(hex(bytes)));
    assert.match(stillpoint("proof", "check", file).stdout, new RegExp(`if the block is ${id}`));
    refuses(
      stillpoint("proof", "check", file, "--id", "0".repeat(64)),
      1,
      new RegExp(`of id ${id}, not of 000`),
    );
    const bare = `${path}.bare`;
    writeFileSync(bare, runtime.prove([77], 0, 1));
    assert.match(stillpoint("proof", "check", bare, "--root", root).stdout, /there is no process \/77/);
    refuses(stillpoint("proof", "check", bare), 2, /give --root/);
    const text = readFileSync(file, "utf8");
    writeFileSync(
      file,
      text.replace(hex(bytes).slice(0, 12), "0123456789ab".slice(0, 12)).replace(/..("\})/, "00$1"),
    );
    refuses(stillpoint("proof", "check", file), 1, /proof is refused/);
    writeFileSync(file, "{}");
    refuses(stillpoint("proof", "check", file), 2, /is not a proof/);
    await runtime.close();
  });
});

test("what cannot be done is refused with exit code 2 or 1, and no stack trace", () => {
  for (const [args, status, text] of [
    [["store"], 2, /^stillpoint store: which of prune, pin,/],
    [["inspect", "state", "frob"], 2, /no command "frob"; there are blocks,/],
    [["inspect", "state", "procces"], 2, /no command "procces"; did you mean "process"\?/],
    [["inspect", "blocks"], 2, /missing argument: DIR; usage: stillpoint inspect DIR blocks/],
    [["inspect", "/nowhere", "blocks"], 2, /there is no store in \/nowhere/],
    [["store", "/nowhere", "import", "/dev/null", "--id", "7"], 2, /64 characters of hex/],
    [["store", "/nowhere", "import", "/dev/null"], 2, /--id is missing/],
    [
      ["store", "/nowhere", "import", "/nofile", "--id", "0".repeat(64)],
      2,
      /cannot be read: no such file or directory\n$/,
    ],
    [
      ["store", "/nowhere", "import", "/tmp", "--id", "0".repeat(64)],
      2,
      /cannot be read: illegal operation on a directory\n$/,
    ],
    [["store", "/nowhere", "salvage"], 2, /missing argument: NEW/],
    [["store", "/nowhere", "prune", "none"], 2, /KEEP must be a whole number, as 4096 or 0x1000, got "none"/],
    [["store", "/nowhere", "prune", "0"], 2, /at least 1/],
    [["store", "/nowhere", "prune"], 2, /give KEEP, .* or --below/],
    [["store", "/nowhere", "prune", "5", "--below", "7"], 2, /give KEEP, .* or --below/],
    [["store", "/nowhere", "recover"], 2, /there is no store/],
    [["store", "/nowhere", "repair", "more"], 2, /unexpected argument "more"/],
    [["proof", "check", "/nofile"], 2, /cannot be read: no such file or directory\n$/],
    [["proof", "check", "/dev/null", "--id", "7"], 2, /--id must be 64 hexadecimal digits, got "7"/],
  ] as const) {
    refuses(stillpoint(...args), status, text);
  }
});

function refuses(ended: Ended, status: number, text: RegExp): void {
  assert.equal(ended.status, status, ended.stderr);
  assert.match(ended.stderr, text);
  assert.ok(ended.stderr.split("\n").length <= 3, ended.stderr);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

test("states that are not stored are made, also while a runtime has the store open", async () => {
  await withDirectory(async (path) => {
    const store = { path, durability: "logged", checkpointMs: 3_600_000 } as const;
    const runtime = await open([], { workers: 1, runner: "sequential", store });
    for (let height = 1; height <= 5; height++) await runtime.produce(metadata(height, 0));
    await runtime.checkpoint();
    const bytes = hex(runtime.read([], 0, 40, 3));
    const read = inspect(path, "memory", "/", "0x0", "40", "--block", "3", "--json");
    assert.deepEqual([read.status, read.stderr], [0, ""]);
    assert.equal(JSON.parse(read.stdout).bytes, bytes);
    const differs = inspect(path, "diff", "2", "3");
    assert.deepEqual([differs.status, differs.stdout.trim()], [1, formatDiff(runtime.diff(2, 3))]);
    assert.equal((await runtime.produce(metadata(6, 0))).height, 6);
    await runtime.close();
  });
});
