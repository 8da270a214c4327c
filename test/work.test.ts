/** Counts of work: what is counted, and that nothing is without the switch. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("work-run.ts", import.meta.url));
const PAGE = 4096;

function run(counting: string): Record<string, number>[] {
  const env = { ...process.env, STILLPOINT_COUNT_WORK: counting };
  return JSON.parse(execFileSync(process.execPath, [PROGRAM], { env, encoding: "utf8" }));
}

test("work is counted by kind", () => {
  assert.deepEqual(run("1"), [
    // A page is made and filled, and looked through for a byte that is not zero; four nodes lead to it.
    {
      nodesVisited: 4,
      nodesMade: 4,
      bytesCompared: PAGE,
      bytesCopied: PAGE + 3,
      heapBytes: PAGE + 64 + 4 * 64,
    },
    { nodesVisited: 4 },
    // Nothing lies on the way to page 99 below the second node.
    { nodesVisited: 3 },
    { bytesCompared: PAGE },
    { nodesVisited: 4 },
    { bytesHashed: PAGE + 4 * (8 + 32), objectsHashed: 5 },
    {},
  ]);
});

test("without the switch nothing is counted", () => {
  assert.ok(run("").every((counted) => Object.keys(counted).length === 0));
});
