/** The official state tests: every case agrees, but for those that are left out by name. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { runStateTests, testFiles } from "./official.ts";

const DIRECTORY = new URL("./state-tests", import.meta.url).pathname;
/** Cases in the repository, and those among them that are left out. */
const CASES = 1414;
const EXCLUDED = 6;

test("state roots and logs of the official state tests", async (t) => {
  const { passed, failed, excluded } = await runStateTests(testFiles(DIRECTORY));
  for (const [reason, count] of excluded) t.diagnostic(`${count} left out: ${reason}`);
  assert.deepEqual(failed, []);
  const left = [...excluded.values()].reduce((sum, count) => sum + count, 0);
  assert.equal(left, EXCLUDED);
  assert.equal(passed, CASES - EXCLUDED);
});
