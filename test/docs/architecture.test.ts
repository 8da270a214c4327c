/** The picture of the architecture is that of the code. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ARCHITECTURE, architecture } from "../../scripts/architecture.ts";

test("docs/architecture.svg has the imports of today, and a text for those who cannot see it", () => {
  const picture = readFileSync(ARCHITECTURE, "utf8");
  assert.equal(picture, architecture(), "run: node scripts/architecture.ts");
  assert.match(
    picture,
    /<title id="title">[^<]+<\/title>\n<desc id="about">[^<]*kernel: image, program[^<]*<\/desc>/,
  );
  assert.match(picture, /prefers-color-scheme: dark/);
});
