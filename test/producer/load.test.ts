/** A short load test of the producer, and one of a server that answers too early, which it must find. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { baseSeed } from "../seed.ts";
import { sized } from "../sizes.ts";
import { withDirectory } from "../store/directory.ts";
import { load } from "./load.ts";

const KILLS = sized(1, 2);
const SHORT = { payments: sized(150, 300), customers: 8, options: ["--workers", "1"] };

test("nothing that was answered is lost or made twice when the server is killed", async (t) => {
  const seed = baseSeed(t);
  const result = await withDirectory((store) =>
    load({ ...SHORT, store, kills: KILLS, seed, tell: (text) => t.diagnostic(text) }),
  );
  assert.deepEqual([result.kills, result.lost, result.wrong], [KILLS, 0, []]);
  assert.ok(result.payments >= SHORT.payments && result.repeated > 0);
});

test("a server that answers before the disk has it is found", async (t) => {
  // The fault is in how the states of a block are written.
  const early = { ...SHORT, early: true, options: [...SHORT.options, "--durability", "block"], kills: 4 };
  for (let attempt = 0; ; attempt++) {
    assert.ok(attempt < 10, "it was never found");
    const seed = baseSeed(t) + attempt;
    const { lost } = await withDirectory((store) => load({ ...early, store, seed }));
    if (lost > 0) return;
  }
});
