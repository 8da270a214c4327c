/** Memories of children against bytes that share nothing. */

import "../counting.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { baseSeed } from "../seed.ts";
import { runMemories } from "./memories.ts";

const ACTIVATIONS = 30;

test("random memories are their bytes, earlier images stay, and nothing shows what is shared", async (t) => {
  const seed = baseSeed(t);
  for (let run = 0; run < 3; run++) {
    const { bytesPerGas } = await runMemories(seed + run, ACTIVATIONS);
    assert.ok(bytesPerGas > 0 && bytesPerGas <= 0.5, `${bytesPerGas} heap bytes for a gas`);
  }
});
