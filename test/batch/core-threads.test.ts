/** The core on real threads: every round leaves what the sequential loop leaves. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { sized } from "../sizes.ts";
import { runCrowd } from "./crowd.ts";
import type { Description } from "./scenario.ts";

const counter: Description = { kind: "counter", items: 80, lines: 1, seed: 1, spins: 500, delays: 0 };

/** More threads than cores make the point as well; all rounds are run with two. */
for (const [threads, rounds] of [
  [2, sized(500, 1500)],
  [4, sized(500, 1500)],
  [8, sized(500, 1500)],
] as const) {
  test(`80 increments of a counter, ${threads} threads, ${rounds} rounds: 80 each time`, async () => {
    await runCrowd(counter, threads, rounds);
  });
}

const SHAPES: [name: string, description: Description, rounds: number][] = [
  ["each reads what the one before wrote", { ...counter, kind: "chain", items: 100, lines: 101 }, 300],
  ["transfers between two accounts", { ...counter, kind: "transfers", items: 250, lines: 2 }, 150],
  ["transfers between a hundred accounts", { ...counter, kind: "transfers", items: 250, lines: 100 }, 150],
  ["where to depends on what was read", { ...counter, kind: "random", items: 120, lines: 12 }, 300],
  ["some read or write all lines", { ...counter, kind: "sweeping", items: 120, lines: 300 }, 100],
  ["fees and a limited counter, added to by all", { ...counter, kind: "fees", items: 250, lines: 100 }, 150],
  ["no spinning", { ...counter, kind: "random", items: 100, lines: 5, spins: 0 }, 300],
  ["leases of two steps", { ...counter, kind: "random", items: 100, lines: 20, lease: 2 }, 200],
  ["leases of a step, deltas", { ...counter, kind: "fees", items: 60, lines: 20, delays: 5, lease: 1 }, 200],
  ["delays everywhere", { ...counter, kind: "random", items: 60, lines: 6, delays: 20 }, 300],
  ["delays, deltas", { ...counter, kind: "fees", items: 60, lines: 20, delays: 20 }, 300],
  ["delays, many lines", { ...counter, kind: "transfers", items: 60, lines: 40, delays: 20 }, 300],
];

for (const [name, description, all] of SHAPES) {
  const rounds = sized(all / 5, all);
  for (const threads of [2, 5]) {
    test(`${name}, ${threads} threads, ${rounds} rounds`, async (t) => {
      const totals = await runCrowd(description, threads, rounds);
      t.diagnostic(JSON.stringify(totals));
      assert.ok(totals.executions >= rounds * description.items);
      assert.equal(totals.renewed > 0, description.lease !== undefined);
    });
  }
}

test("without conflicts: executions = items = validations", async () => {
  const apart: Description = { ...counter, kind: "apart", items: 500, lines: 1000 };
  for (const threads of [1, 2, 4]) {
    const rounds = sized(10, 40);
    const totals = await runCrowd(apart, threads, rounds);
    const without = { aborts: 0, givenUp: 0, expired: 0, renewed: 0 };
    assert.deepEqual(totals, { executions: 500 * rounds, validations: 500 * rounds, ...without });
  }
});
