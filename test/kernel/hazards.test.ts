/**
 * What engines do differently from tier to tier does not reach a state: bits of NaNs, depth of the native
 * stack, growth of memories, globals that are not in memory. The same observations in processes of their own,
 * under flags that allow one tier only.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const RUN = fileURLToPath(new URL("hazard-run.ts", import.meta.url));

interface Observation {
  readonly plain: { readonly cold: string; readonly hot: string; readonly depth: number };
  readonly states: readonly unknown[];
}

function observe(flags: readonly string[]): Promise<Observation> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...flags, RUN], { stdio: ["ignore", "pipe", "inherit"] });
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(JSON.parse(Buffer.concat(chunks).toString()));
      else reject(new Error(`node ${flags.join(" ")} ${RUN} ended with ${code}`));
    });
  });
}

test("roots, codes, faults and gas are the same in every tier of the engine", async (t) => {
  const expected = await observe([]);
  t.diagnostic(`plain, default flags: ${JSON.stringify(expected.plain)}`);
  assert.ok(expected.states.length > 15);
  assert.equal(expected.states.filter((state) => state === "4 runs").length, 1, "the global was kept");
  for (const flags of [["--liftoff-only"], ["--no-liftoff"]]) {
    const seen = await observe(flags);
    t.diagnostic(`plain, ${flags.join(" ")}: ${JSON.stringify(seen.plain)}`);
    assert.deepEqual(seen.states, expected.states, flags.join(" "));
  }
});
