/** Other engines than those of the tests are named in a warning. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { heapShortage } from "../../runtime/chain/bounds.ts";
import { defaultHeapBytes, untested } from "../../runtime/chain/host.ts";
import { createHeap } from "../../runtime/heap/heap.ts";
import { DEFAULT_GAS_LIMIT, DEFAULT_MEMORY_QUOTA_PAGES } from "../../runtime/limits.ts";

test("versions of Node that the tests run on, and no others, are taken without a warning", () => {
  assert.equal(untested({ node: "24.21.0" }), null);
  assert.equal(untested({ node: "26.10.0" }), null);
  assert.equal(untested({ node: "25.1.0" }), "Node 25.1.0");
  assert.equal(untested({ node: "28.0.0" }), "Node 28.0.0");
  assert.equal(untested({ node: "26.0.0", deno: "2.9.6" }), "Deno 2.9.6");
  assert.equal(untested({ node: "24.3.0", bun: "1.4.5" }), "Bun 1.4.5");
});

test("a heap without room is an error that says so; the default is one that Bun has", () => {
  assert.throws(() => createHeap(2 ** 50), { code: "HOST_MEMORY", message: /heapBytes/ });
  assert.equal(defaultHeapBytes({ node: "26.10.0" }), 2 ** 33);
  const rules = { gasLimit: DEFAULT_GAS_LIMIT, heldGasQuota: DEFAULT_GAS_LIMIT };
  const memoryQuotaPages = DEFAULT_MEMORY_QUOTA_PAGES;
  const heapBytes = defaultHeapBytes({ bun: "1.4.5" });
  assert.equal(heapShortage({ ...rules, memoryQuotaPages }, { workers: 8, views: 1, heapBytes }), null);
});

test("package.json names the same versions", () => {
  const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const majors = [...manifest.engines.node.matchAll(/\^(\d+)\.0\.0/g)].map(([, major]) => major as string);
  for (const major of majors) assert.equal(untested({ node: `${major}.0.0` }), null);
  assert.deepEqual(majors, ["24", "26"]);
});
