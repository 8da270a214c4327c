/** docs/recipes.md: its contracts are written, and its tests pass. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ENV, ROOT } from "../cli/stillpoint.ts";
import { blocksOf, writeBlock } from "./pages.ts";

test("the recipes work", () => {
  // At a fixed place, so that the compiler's cache knows the contracts again.
  const directory = join(ROOT, ".cache", "recipes");
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
  const names = blocksOf("docs/recipes.md").map((block) => writeBlock(directory, block));
  assert.ok(!names.includes(null), "every block names its file");
  const tests = names.filter((name): name is string => /\.test\.mjs$/.test(name ?? ""));
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--test", "--test-isolation=none", ...tests],
    { cwd: directory, env: ENV, encoding: "utf8" },
  );
  assert.equal(status, 0, `${stdout}${stderr}`);
  assert.ok(tests.length >= 7);
});
