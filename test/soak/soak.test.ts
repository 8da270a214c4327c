/** A short soak, and its canary: a run that keeps every block must be found. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { baseSeed } from "../seed.ts";
import { soak } from "./soak.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const SHORT = { blocks: 300, children: 2000 };

test("the heap of a short run does not grow once it is warm, and the run can be repeated", async (t) => {
  const seed = baseSeed(t);
  const first = await soak({ ...SHORT, seed });
  t.diagnostic(JSON.stringify(first));
  assert.equal(first.grew, null);
  assert.ok(first.collections >= 10 && first.reverts > 0 && first.speculativeUsed > 0);
  assert.ok(first.reorgs > 0 && first.prunes > 0 && first.views > 0);
  assert.ok(first.candidates.committed > 0 && first.candidates.noticed > 0);
  const { fresh, worked } = first.bytesPerChild;
  assert.ok(fresh < 1024, "of a child that was made");
  assert.ok(worked - 4096 < 2048, "of a child with a page of its own, beyond that page");
  const again = await soak({ ...SHORT, seed, workers: 1 });
  assert.equal(again.id, first.id, "whatever the workers");
});

test("a run that keeps all its blocks is found", async (t) => {
  const { grew } = await soak({ ...SHORT, seed: baseSeed(t), retainBlocks: 100_000, startsPerBlock: 100 });
  assert.match(grew ?? "", /^live bytes grew from \d+ to \d+ after the warm-up$/);
});

test("the command refuses what it does not know", () => {
  for (const args of [["--blocks", "9"], ["--children", "x"], ["--seed=-1"], ["--speed"], ["stray"]]) {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });
    assert.equal(status, 2, args.join(" "));
    assert.match(stderr, /^soak: [\s\S]*\nusage: npm run soak/);
  }
});
