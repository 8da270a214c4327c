/** A few power cuts, and planted faults that they must find: recorded by strace, and skipped without it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fault } from "../planted.ts";
import { baseSeed } from "../seed.ts";
import { sized } from "../sizes.ts";
import { cuts } from "./cuts.ts";
import { cannotRecord } from "./recorded.ts";
import type { Durability } from "./run.ts";

const skip = cannotRecord() ?? false;
const COUNT = sized(6, 60);

for (const durability of ["block", "logged"] as const) {
  test(`${durability}: nothing that was acknowledged is lost when the power is cut`, { skip }, async (t) => {
    const report = await cuts(COUNT, baseSeed(t), (text) => t.diagnostic(text), durability);
    assert.deepEqual([report.kills, report.lost, report.corrupt], [COUNT, 0, 0]);
    assert.ok(report.blocksAcknowledged > 0);
  });
}

const LISTS = ["blocks", "supports", "removed", "archived", "pinned", "unpinned", "chain"];
const NOTHING = `${LISTS.map((name) => `${name}: []`).join(", ")}, head: null`;
const FAULTS: readonly [what: string, durability: Durability, fault: Fault][] = [
  [
    "frames of the log are not synced",
    "logged",
    { file: "runtime/store/log.ts", find: "    await this.#file.datasync();\n", put: "" },
  ],
  [
    "the log begins behind a checkpoint before the checkpoint is there",
    "logged",
    {
      file: "runtime/chain/checkpoint.ts",
      find: "      await writeSliced(this.#store, { ...change",
      put:
        `      await this.#store.change({ ${NOTHING}, log: this.#log.placeAt(mark) });\n` +
        "      await writeSliced(this.#store, { ...change",
    },
  ],
  [
    "the directory is not synced",
    "block",
    { file: "runtime/store/directory.ts", find: "    fsyncSync(directory);\n", put: "" },
  ],
];

for (const [what, durability, fault] of FAULTS) {
  test(`found by power cuts: ${what}`, { skip }, async (t) => {
    let wrong = 0;
    for (let attempt = 0; wrong === 0; attempt++) {
      assert.ok(attempt < 8, "it was not found");
      const report = await cuts(8, baseSeed(t) + 1000 * attempt, () => {}, durability, [fault]);
      assert.ok(report.blocksAcknowledged > 0, "with the fault no block is made");
      wrong = report.lost + report.corrupt;
    }
  });
}
