/** A short run of each fuzzer, and of its canaries; test/program has its own. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { baseSeed } from "../seed.ts";
import { FULL, sized } from "../sizes.ts";
import * as batch from "./batch.ts";
import {
  CANARIES,
  compareDepth,
  compareEngines,
  compareStores,
  findCanary,
  missPlanted,
  otherNodes,
  PLANTED,
} from "./engines.ts";
import { otherEngines } from "./other-engines.ts";
import * as requests from "./requests.ts";
import * as trees from "./trees.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

test("random chains come out the same with kills, reverts and forks", async (t) => {
  const seed = baseSeed(t);
  for (let i = 0; i < sized(1, 2); i++) assert.equal(await trees.round(seed + i), null, `seed ${seed + i}`);
});

test("a disturbed record of a started child is found", async (t) => {
  assert.ok((await trees.canary(baseSeed(t), 40)) !== null);
});

test("wild requests are refused as the model says", async (t) => {
  assert.equal(await requests.round(baseSeed(t) + 77), null);
});

test("a missing rule of the model is found", async (t) => {
  assert.ok((await requests.canary("range-target-bounds", baseSeed(t), 200)) !== null);
});

test("random batches in parallel are the same with threads held up and killed", async (t) => {
  const fuzzer = new batch.BatchFuzzer();
  t.after(() => fuzzer.close());
  const seed = baseSeed(t);
  for (let i = 0; i < sized(3, 8); i++) assert.equal(await fuzzer.round(seed + i), null, `seed ${seed + i}`);
  const { tally } = fuzzer;
  t.diagnostic(JSON.stringify(tally));
  assert.ok(tally.parallel > 0.3 * tally.items && tally.aborts > 0);
});

for (const name of Object.keys(batch.CANARIES) as batch.Canary[]) {
  test(`batches are found wrong when ${name}`, async (t) => {
    assert.ok((await batch.canary(name, baseSeed(t), 20)) !== null);
  });
}

/** What runs here beside this Node, and why others do not; the whole tests fetch what is missing. */
const others = otherEngines(FULL);
const nodes = [...otherNodes(), ...others.nodes];

test("numbers of workers, each tier of V8 alone and other versions of Node agree", async (t) => {
  // The blocks of the EVM have tests of their own, with numbers of workers.
  const parts = ["operations", "code", "trees", "programs", "proofs", "deep", "batches", "families", "heaps"];
  const rounds = sized(1, 4);
  const report = await compareEngines({ seed: baseSeed(t), rounds, parts }, { tiers: true, nodes });
  assert.deepEqual([report.rounds, report.found], [rounds, []]);
  t.diagnostic(report.engines.join("; "));
});

test("other JavaScript engines agree, also where one continues from what another stored", async (t) => {
  for (const why of others.missing) t.diagnostic(`not run: ${why}`);
  if (others.engines.length === 0) {
    t.skip(`no engine beside Node's: ${others.missing.join("; ")}`);
    return;
  }
  const { engines } = others;
  const report = await compareEngines({ seed: baseSeed(t), rounds: sized(1, 3) }, { engines });
  assert.deepEqual(report.found, []);
  t.diagnostic(`${report.engines.join("; ")}; ${report.shallow} too deep for a stack`);
  const stores = await compareStores(baseSeed(t), { nodes, engines });
  assert.deepEqual(stores.found, []);
  t.diagnostic(`stores: ${stores.engines.join("; ")}`);
  const depth = await compareDepth(engines);
  assert.deepEqual(depth.found, []);
  t.diagnostic(`depth: ${depth.engines.join("; ")}`);
});

test("a depth of calls that is the engine's, and a state that knows of threads, are found", async (t) => {
  const seed = baseSeed(t);
  for (const canary of CANARIES) assert.ok(await findCanary(canary, seed, 2), canary);
});

test("a trap taken for another, and NaNs of the engine's own, are found on every engine", async (t) => {
  for (const planted of PLANTED) {
    const { engines, missed } = await missPlanted(planted, baseSeed(t), { ...others, nodes });
    assert.deepEqual(missed, [], planted);
    t.diagnostic(`${planted}: ${engines.join("; ")}`);
  }
});

test("the command runs one round of what it is asked for, and names what it does not know", () => {
  const run = (...args: string[]) => spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });
  const good = run("requests", "--seed", "5", "--seconds", "0");
  assert.deepEqual([good.status, good.stdout], [0, "requests: 1 rounds from seed 5, 0 found\n"]);
  for (const [args, message] of [
    [["leaves"], /no fuzzer "leaves"/],
    [["--seed", "x"], /--seed takes a whole number, got "x"/],
    [["--seconds", "-1"], /--seconds/],
    [["--speed", "3"], /--speed/],
    [["engines", "--node", "/no/such/node"], /--node takes a Node 24 or newer, got "\/no\/such\/node"/],
  ] as const) {
    const bad = run(...args);
    assert.equal(bad.status, 2);
    assert.match(bad.stderr, message);
    assert.match(bad.stderr, /usage: npm run fuzz/);
  }
});
