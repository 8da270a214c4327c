/** Producers over a log in a directory that are killed at random: what was acknowledged is in the log. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { directoryLog, follow, sequence } from "../../runtime/log/index.ts";
import { open } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";
import { sized } from "../sizes.ts";
import { withDirectory } from "../store/directory.ts";

const PROGRAM = fileURLToPath(new URL("kill-run.ts", import.meta.url));
const KILLS = sized(2, 8);
const OPTIONS = { workers: 1, runner: "sequential", retainBlocks: 10_000 } as const;

/** Runs the producer, kills it some time after its first block, and returns what it acknowledged. */
async function produceUntilKilled(milliseconds: number, ...args: string[]): Promise<string[]> {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    if (output === "") setTimeout(() => child.kill("SIGKILL"), milliseconds);
    output += chunk.toString();
  });
  await once(child, "close");
  return output.split("\n").slice(0, -1);
}

test("a producer that is killed continues behind what the log has", async (t) => {
  const next = random(baseSeed(t));
  await withDirectory(async (path) => {
    const log = directoryLog(`${path}-log`);
    const store = `${path}-store`;
    const acknowledged: string[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      acknowledged.push(...(await produceUntilKilled(next(150), `${path}-log`, store)));
    }
    const logged = new Map<number, string>();
    for await (const { entry } of log.read()) {
      if (entry.kind === "term") continue;
      assert.equal(entry.height, logged.size + 1, "each height once");
      logged.set(entry.height, entry.id);
    }
    t.diagnostic(`${acknowledged.length} acknowledged, ${logged.size} in the log`);
    assert.ok(acknowledged.length >= KILLS);
    for (const line of acknowledged) {
      const [height, id] = line.split(" ");
      assert.equal(logged.get(Number(height)), id, line);
    }
    // The store lacks at most what the log has, and gets it; somebody who was away makes all of it.
    await using runtime = await open([], { ...OPTIONS, store });
    await sequence(runtime, log, { writer: "a" });
    await using other = await open([], OPTIONS);
    const follower = await follow(other, log);
    while ((await follower.metrics()).lag > 0) {
      await Promise.race([follower.done, new Promise((resolve) => setTimeout(resolve, 5))]);
    }
    await follower.stop();
    assert.deepEqual([runtime.head.id, other.head.id], Array(2).fill(logged.get(logged.size)));
  });
});
