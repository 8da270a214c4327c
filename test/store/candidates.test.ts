/** Candidates in any order with everything else, and defects that must be found. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Candidates } from "../../runtime/chain/candidates.ts";
import { baseSeed } from "../seed.ts";
import { withCandidates } from "./candidate-scenario.ts";
import { withDirectory } from "./directory.ts";
import { replacing } from "./failing.ts";

const OPERATIONS = 80;

for (const durability of ["block", "logged"] as const) {
  test(`any order of candidates, blocks, reorgs, forks and prunings, ${durability}`, async (t) => {
    const seed = baseSeed(t) + durability.length;
    await withDirectory(async (path) => {
      const counts = await withCandidates(path, durability, seed, OPERATIONS);
      t.diagnostic(JSON.stringify(counts));
      for (const [name, count] of Object.entries(counts)) assert.ok(count > 0, name);
    });
  });
}

for (const [what, defect] of [
  ["whose states are not kept", { roots: function* () {} }],
  ["that stay without their parents", { retire: () => {} }],
  ["that are there when they are committed", { committed: () => {} }],
] as const) {
  test(`candidates ${what} are found`, async (t) => {
    const seed = baseSeed(t);
    const broken = () => withDirectory((path) => withCandidates(path, "block", seed, OPERATIONS));
    await assert.rejects(replacing(Candidates.prototype, defect, broken));
  });
}
