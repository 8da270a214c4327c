/** Chaos over a log in memory and in a directory, and planted faults that it must find. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { runWith } from "../planted.ts";
import { baseSeed } from "../seed.ts";
import { sized } from "../sizes.ts";
import { withDirectory } from "../store/directory.ts";
import { chaos } from "./chaos.ts";
import { directoryPlace, memoryPlace } from "./places.ts";

const BLOCKS = sized(20, 200);

test("a log in memory: nodes that die, come back or are replaced have its chain", async (t) => {
  const seed = baseSeed(t);
  const seen = await withDirectory((directory) => chaos(memoryPlace(), { seed, blocks: BLOCKS, directory }));
  t.diagnostic(JSON.stringify(Object.fromEntries(seen)));
});

test("a log in a directory: nodes that die, come back or are replaced have its chain", async (t) => {
  const seed = baseSeed(t) + 1;
  const seen = await withDirectory((directory) =>
    chaos(directoryPlace(`${directory}-log`), { seed, blocks: BLOCKS / 2, directory }),
  );
  t.diagnostic(JSON.stringify(Object.fromEntries(seen)));
});

const SEQUENCER = "runtime/log/sequencer.ts";
const MADE = "      const { number } = await this.#append(made);\n";
const COMMITTED = "      this.#behind = false;\n      this.#last = number;\n";
const FAULTS = [
  [
    "a block is committed before the log has it",
    [
      { file: SEQUENCER, find: MADE, put: "" },
      { file: SEQUENCER, find: COMMITTED, put: MADE + COMMITTED },
    ],
  ],
  ["another term is not noticed", [{ file: SEQUENCER, find: "term > this.#term", put: "term < 0" }]],
  [
    "what was appended without an answer is forgotten",
    [{ file: SEQUENCER, find: "      if (this.#behind) await this.#catchUp();\n", put: "" }],
  ],
  [
    "an entry is taken wherever it stands",
    [{ file: "runtime/log/storage.ts", find: "      throw notNext(number);\n", put: "      return;\n" }],
  ],
] as const;

for (const [what, faults] of FAULTS) {
  test(`found: ${what}`, () => {
    const { status, output } = runWith(faults, "log/chaos-run.ts");
    assert.equal(status, 1, output);
    assert.doesNotMatch(output, / once$/m); // the fault was planted
  });
}

test("without faults all nodes agree", () => {
  const { status, output } = runWith([], "log/chaos-run.ts");
  assert.deepEqual([status, output], [0, "all agree\n"]);
});
