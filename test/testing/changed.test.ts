/** Traces say what activations change in state. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { compileGuest } from "../../runtime/compile.ts";
import { formatTrace } from "../../runtime/debug.ts";
import { TestProcess } from "../../runtime/testing.ts";
import { project } from "../typed/project.ts";

test("an activation that is no batch has the names of what it changed; one that faults none", async () => {
  const directory = project({
    "tally.ts": `export const STATE_BYTES: u32 = 65536;
export const STATE_TOTAL: usize = 64;
export function add(x: i64): i64 {
  store<u64>(64, load<u64>(64) + u64(x));
  store<u64>(8192, 1);
  assert(x < 100);
  return 0;
}
export function look(x: i64): i64 { return load<u64>(64); }
`,
  });
  const tally = await TestProcess.open(await compileGuest(join(directory, "tally.ts")));
  const changed = () => tally.trace.flatMap((event) => (event.what === "end" ? [event.changed] : []));
  tally.call("add", 5n);
  const line = (value: string) => value.padEnd(128, "0");
  assert.deepEqual(changed(), [
    [
      { address: 64, bytes: line("05"), name: "total" },
      { address: 8192, bytes: line("01"), name: "total + 8128" },
    ],
  ]);
  const [tree, lines] = formatTrace(tally.trace).split("\n");
  assert.match(`${tree}`, /^\/ add\(5\): returned 0, /);
  assert.match(`${lines}`, /changed total, total \+ 8128$/);
  tally.call("add", 1n);
  assert.deepEqual(changed(), [[{ address: 64, bytes: line("06"), name: "total" }]]);
  tally.call("look");
  assert.deepEqual(changed(), [[]]);
  assert.throws(() => tally.call("add", 100n), { code: "GUEST_FAULT" });
  assert.deepEqual(changed(), [[]]);
});
