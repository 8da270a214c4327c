/** A few rounds of the crash harness, and one with a planted fault that it must find. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { baseSeed } from "../seed.ts";
import { sized } from "../sizes.ts";
import { crash } from "./run.ts";

for (const durability of ["block", "logged"] as const) {
  test(`${durability}: nothing that was acknowledged is lost when the process is killed`, async (t) => {
    const kills = sized(3, 8);
    const report = await crash(kills, baseSeed(t), (text) => t.diagnostic(text), [durability]);
    assert.deepEqual([report.kills, report.lost, report.corrupt], [kills, 0, 0]);
    assert.ok(report.blocksAcknowledged > 0);
  });
}

test("a runtime that acknowledges before the disk has the block is detected", async (t) => {
  const found = (text: string): void => t.diagnostic(text);
  let lost = 0;
  for (let attempt = 0; lost === 0; attempt++) {
    assert.ok(attempt < 20, "it was never found");
    lost = (await crash(sized(3, 6), baseSeed(t) + attempt * 100, found, ["early"])).lost;
  }
});
