/**
 * The promises of upgrades that a slip would break, checked in one process. Ends with status 1 and says what
 * is wrong if one is. test/upgrade/planted.test.ts runs it with faults.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RulesChange, Runtime } from "../../runtime/index.ts";
import { checkTree } from "../kernel/invariants.ts";
import { contract, contract2, metadata, OPTIONS, results, root2, wider } from "./world.ts";

/** A chain in which work is left running, joined behind a change of prices, and programs are replaced. */
async function chain(workers: number, costs: string): Promise<{ ids: string[]; working: number }> {
  const runtime = await Runtime.open({ ...OPTIONS, workers });
  await runtime.produce(metadata(["create", 1, 0, contract], ["start", 1, 100_000]));
  for (let i = 0; workers > 1 && runtime.engine.pool.speculativeReady === 0 && i < 500; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await runtime.produce(metadata(["join", 1]), { rules: { costs } });
  const { gasUsed } = await runtime.produce(metadata(["add", 1, 5], ["start", 1, 100_000], ["join", 1]));
  const replace = [
    { path: [1], program: contract2, migrate: "migrate", argument: 3 },
    { path: [], program: root2, migrate: "migrate" },
  ];
  assert.deepEqual(results(await runtime.produce(metadata(["add", 1, 1]), { rules: { replace } })), [31]);
  checkTree(runtime);
  const ids = runtime.blocks().map(({ id }) => id);
  await runtime.close();
  return { ids, working: gasUsed };
}

const dear = await chain(1, "doubled");
assert.deepEqual(await chain(2, "doubled"), dear);
assert.ok(dear.working > 1.9 * (await chain(1, "1")).working, "not all is dearer");

/** Rules of a store keep their programs. */
const directory = mkdtempSync(join(tmpdir(), "stillpoint-upgrade-"));
try {
  const first = await Runtime.open({ ...OPTIONS, workers: 1, store: directory });
  await first.produce(metadata(), { rules: { programs: [wider] } satisfies RulesChange });
  for (let i = 0; i < 3; i++) await first.produce(metadata());
  await first.close();
  const second = await Runtime.open({ workers: 1, store: directory });
  await second.prune(1);
  await second.close();
  const third = await Runtime.open({ workers: 1, store: directory });
  assert.deepEqual(results(await third.produce(metadata(["create", 1, 0, wider]))), [0]);
  await third.close();
} finally {
  rmSync(directory, { recursive: true });
}
process.exit(0);
