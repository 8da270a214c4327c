/** Other engines than those of the tests are named in a warning. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { untested } from "../../runtime/chain/host.ts";

test("versions of Node that the tests run on, and no others, are taken without a warning", () => {
  assert.equal(untested({ node: "24.21.0" }), null);
  assert.equal(untested({ node: "26.10.0" }), null);
  assert.equal(untested({ node: "25.1.0" }), "Node 25.1.0");
  assert.equal(untested({ node: "28.0.0" }), "Node 28.0.0");
  assert.equal(untested({ node: "26.0.0", deno: "2.9.6" }), "Deno 2.9.6");
  assert.equal(untested({ node: "24.3.0", bun: "1.4.5" }), "Bun 1.4.5");
});

test("package.json names the same versions", () => {
  const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const majors = [...manifest.engines.node.matchAll(/\^(\d+)\.0\.0/g)].map(([, major]) => major as string);
  for (const major of majors) assert.equal(untested({ node: `${major}.0.0` }), null);
  assert.deepEqual(majors, ["24", "26"]);
});
