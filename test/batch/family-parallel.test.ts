/** Random items with children (families.ts), in parallel against the loop: the same blocks. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { BatchReport, RuntimeOptions } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { checkTree } from "../kernel/invariants.ts";
import { seeded } from "../seed.ts";
import { type BatchInput, openBatches, runBatch } from "./batches.ts";
import { FAMILY_PAGES, family, familyBatch, PAGES, scripts, wholeFamily } from "./families.ts";

test("random items with children leave the same bytes in parallel", async (t) => {
  const reports: BatchReport[] = [];
  const open = (options: Partial<RuntimeOptions>) => openBatches(family, options, FAMILY_PAGES);
  await using loop = await open({ workers: 1, runner: "sequential" });
  const onBatch = (report: BatchReport): void => void reports.push(report);
  await using two = await open({ workers: 2, debug: { force: true, paranoid: true }, onBatch });
  const steps = new URL("./steps/stall.ts", import.meta.url).href;
  await using four = await open({ workers: 4, debug: { force: true, paranoid: true, steps }, onBatch });
  const same = async (give: BatchInput): Promise<void> => {
    const expected = await runBatch(loop, give);
    assert.deepEqual([expected.put, expected.get], [0, 0]);
    for (const runtime of [two, four]) assert.deepEqual(await runBatch(runtime, give), expected);
  };
  await same(wholeFamily);
  assert.equal(loop.inspect([1])?.children.length, wholeFamily.items.length);
  await fc.assert(
    fc.asyncProperty(scripts, (list) => same(familyBatch(list))),
    seeded(t, 60),
  );
  const sum = (of: (report: BatchReport) => number): number => reports.reduce((all, one) => all + of(one), 0);
  assert.ok(sum(({ parallel }) => parallel) > 0.5 * sum(({ items }) => items), "most ran in parallel");
  const searched = reports.filter(({ endings }) => endings.includes("sequential"));
  assert.ok(
    searched.length > 0 && searched.some(({ endings }) => endings.at(-1) === "done"),
    "some continued after a search",
  );
});

test("where the quota gets short, items make the same children and outputs in parallel", async (t) => {
  // What the process takes, and a few children: some items find room for one, some do not.
  const open = (options: Partial<RuntimeOptions>) => openBatches(family, options, 5 * PAGES);
  await using loop = await open({ workers: 1, runner: "sequential" });
  await using two = await open({ workers: 2, debug: { force: true, paranoid: true } });
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(scripts, async (list) => {
      const give = familyBatch(list);
      const expected = await runBatch(loop, give);
      assert.deepEqual(await runBatch(two, give), expected);
      checkTree(loop);
      refused += expected.outcomes.filter(({ output }) => hasResult(output, abi.E_QUOTA)).length;
    }),
    seeded(t, 40),
  );
  t.diagnostic(`${refused} items were refused a child`);
  assert.ok(refused > 0);
});

/** Whether a command of an item's script gave this result. */
function hasResult(output: Uint8Array, code: number): boolean {
  const view = new DataView(output.buffer, output.byteOffset, output.length);
  const count = output.length < 8 ? 0 : view.getUint32(0, true);
  return Array.from({ length: count }, (_, i) => view.getBigInt64(8 + 8 * i, true)).includes(BigInt(code));
}
