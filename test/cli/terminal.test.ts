/** What is shown on a terminal alone: progress with an estimate, and colours. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { estimate } from "../../runtime/cli/terminal.ts";
import { metadata } from "../crash/metadata.ts";
import { SCRATCH, Script } from "../driver.ts";
import { open } from "../fixture.ts";
import { everyState, withDirectory } from "../store/directory.ts";
import { ENV, MAIN, stillpoint } from "./stillpoint.ts";

const hasScript = spawnSync("script", ["--version"]).status === 0;
const skip = hasScript ? false : "there is no program script, which makes terminals";

/** Runs a command on a terminal; all that it shows. */
function onTerminal(environment: Record<string, string>, ...args: string[]): string {
  const command = [process.execPath, MAIN, ...args].map((word) => `'${word}'`).join(" ");
  // Only these: Node also asks CI, COLORTERM, TMUX and others what colours a terminal has.
  const { PATH, HOME, NODE_COMPILE_CACHE } = ENV as NodeJS.ProcessEnv;
  const env = { PATH, HOME, NODE_COMPILE_CACHE, TERM: "xterm-256color", ...environment };
  const ran = spawnSync("script", ["-qec", command, "/dev/null"], { encoding: "utf8", env });
  assert.equal(ran.status, 0, ran.stdout + ran.stderr);
  return ran.stdout;
}

const PAGES = 250;
const BLOCKS = 24;

test("an estimate is what is left at the pace so far, and comes after a second", () => {
  assert.deepEqual(
    [
      [0, 10, 5000],
      [5, 10, 900],
      [5, 10, 5000],
      [1, 10, 20_000],
      [99, 100, 5000],
    ].map(([done, total, ms]) => estimate(done as number, total as number, ms as number)),
    ["", "", ", about 5 s left", ", about 3 min left", ""],
  );
});

test("what goes through a whole store says what share is done; nothing in pipes", { skip }, async () => {
  await withDirectory(async (path) => {
    const store = join(path, "store");
    const runtime = await open([], { workers: 1, runner: "sequential", store: everyState(store) });
    // Pages of which none is like another.
    for (let height = 4; height < 4 + BLOCKS; height++) {
      const script = new Script({ commands: PAGES });
      for (let page = 0; page < PAGES; page++)
        script.store(SCRATCH + page * 4096, BigInt(1 + height * PAGES + page));
      await runtime.produce(script.metadata());
    }
    await runtime.close();
    const commands: [what: string, ...args: string[]][] = [
      ["verifying", "inspect", store, "verify"],
      ["writing", "inspect", store, "export", join(path, "head.export")],
      ["reading", "store", store, "salvage", join(path, "saved")],
      ["copying", "store", store, "backup", join(path, "copy")],
      ["reading", "store", store, "recover"],
      ["repairing", "store", store, "repair"],
      ["pruning", "store", store, "prune", "1"],
    ];
    for (const [what, ...args] of commands) {
      const shown = onTerminal({ STILLPOINT_PROGRESS: "at once", NO_COLOR: "1" }, ...args);
      assert.match(
        shown,
        new RegExp(`\\r\\x1b\\[K${what}, \\d+ %`),
        `${args.join(" ")}: ${JSON.stringify(shown)}`,
      );
      assert.ok(!shown.includes("\x1b[3"), "no colours");
    }
    const piped = spawnSync(process.execPath, [MAIN, "inspect", store, "verify"], {
      ...{ encoding: "utf8", env: { ...ENV, STILLPOINT_PROGRESS: "at once" } },
    });
    assert.deepEqual([piped.status, piped.stderr], [0, ""]);
    assert.ok(!piped.stdout.includes("\x1b"));
  });
});

test("progress and colours are for terminals, and no colours with NO_COLOR", { skip }, async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { workers: 1, runner: "sequential", store: path });
    for (let height = 1; height <= 3; height++) await runtime.produce(metadata(height, 0));
    const script = new Script();
    script.get(9, { status: true });
    await runtime.produce(script.metadata());
    const { id } = runtime.head;
    await runtime.close();
    const file = join(path, "head.export");
    const replayed = onTerminal({}, "replay", path);
    assert.ok(replayed.includes("\r\x1b[Kblock 2, 2 of 4"), JSON.stringify(replayed));
    assert.match(replayed, /4 blocks made again/);
    const piped = stillpoint("replay", path);
    assert.deepEqual([piped.status, piped.stderr], [0, ""]);
    assert.ok(!piped.stdout.includes("\x1b"));

    assert.ok(onTerminal({}, "inspect", path, "export", file).includes("bytes written"));
    const copied = onTerminal({}, "store", join(path, "copy"), "import", file, "--id", id);
    assert.ok(copied.includes("\r\x1b[Kbyte, "), JSON.stringify(copied));

    const red = "\x1b[31mget 9: E_NO_CHILD";
    assert.ok(onTerminal({}, "inspect", path, "trace").includes(red));
    const plain = onTerminal({ NO_COLOR: "1" }, "inspect", path, "trace");
    assert.ok(plain.includes("get 9: E_NO_CHILD") && !plain.includes("\x1b[31m"));
    assert.ok(!stillpoint("inspect", path, "trace").stdout.includes("\x1b"));
  });
});
