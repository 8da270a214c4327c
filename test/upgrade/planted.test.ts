/** Slips in upgrades that the check must find: each is planted, and the check fails. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Fault, runWith } from "../planted.ts";

const FAULTS: Record<string, Fault[]> = {
  "a memo of other rules is taken": [
    {
      file: "runtime/worker/board.ts",
      find: "isThere && isOfRules && ",
      put: "isThere && ",
    },
    {
      file: "runtime/worker/board.ts",
      find: "if (kept && (words[at + RULES] as number) >>> 0 !== this.rules) return LOST;",
      put: "",
    },
  ],
  "code is made for one cost table": [
    {
      file: "runtime/chain/rulebook.ts",
      find: "const program = await this.#cache.admit(bytes, costs);",
      put: "const program = await this.#cache.admit(bytes);",
    },
  ],
  "pages of the state are counted twice": [
    {
      file: "runtime/kernel/replace.ts",
      find: "const state = process.presentPages - presentFrom(heap, process.memory, bound);",
      put: "const state = process.presentPages;",
    },
  ],
  "children are lost": [
    { file: "runtime/kernel/replace.ts", find: "fresh.children = process.children;", put: "" },
  ],
  "the programs of rules are not stored": [
    {
      file: "runtime/chain/changes.ts",
      find: "rules: [rules.ref, ...rules.programs],",
      put: "rules: [rules.ref],",
    },
  ],
};

test("without faults all nodes agree", () => {
  const { status, output } = runWith([], "upgrade/check.ts");
  assert.equal(status, 0, output);
});

for (const [what, faults] of Object.entries(FAULTS)) {
  test(`found: ${what}`, () => {
    assert.notEqual(runWith(faults, "upgrade/check.ts").status, 0);
  });
}
