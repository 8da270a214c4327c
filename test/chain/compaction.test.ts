/** A full heap is compacted before a block fails: with a fault in its place that block fails. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { runWith } from "../planted.ts";

const CHECK = "chain/compaction-check.ts";
const FAULT = {
  file: "runtime/chain/collector.ts",
  find: "also: async () => this.#compact() });",
  put: "also: async () => {} });",
};

test("a block that needs more room in one piece than there is gets it", () => {
  const { status, output } = runWith([], CHECK);
  assert.equal(status, 0, output);
});

test("found: a full heap is not compacted", () => {
  const { status, output } = runWith([FAULT], CHECK);
  assert.equal(status, 1, output);
  assert.match(output, /HEAP_FULL/);
});
