/** The picture of the measured speeds is that of the measurements that lie beside it. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { SPEEDS, speeds } from "../../scripts/speeds.ts";

test("docs/speeds.svg has what was measured, and a text for those who cannot see it", () => {
  const picture = readFileSync(SPEEDS, "utf8");
  assert.equal(picture, speeds(), "run: node scripts/speeds.ts");
  assert.match(picture, /<title id="title">[^<]+<\/title>\n<desc id="about">Ethereum blocks[^<]*<\/desc>/);
  assert.match(picture, /prefers-color-scheme: dark/);
});
