/** What guests can take of the host outside of the heap: 3 GiB, so in the complete run of the tests only. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { describeHost, fillHost, wrongWith } from "./host.ts";

const MIB = 3_072;

test("a guest that takes all it can comes close to the bound, and never passes it", async (t) => {
  if (process.env.STILLPOINT_FULL !== "1") return t.skip("only with STILLPOINT_FULL=1");
  const run = await fillHost(MIB);
  t.diagnostic(describeHost(run));
  assert.equal(wrongWith(run), null);
});
