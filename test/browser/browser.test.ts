/**
 * Real browsers compute what Node does: the verifier of proofs, every instruction, generated programs, and
 * processes of `stillpoint/testing` in a page. Chromium has Node's engine in another version, Firefox one of
 * its own (SpiderMonkey). Where none is found the tests are skipped; STILLPOINT_FULL=1 demands Chromium.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { hexOf } from "../../runtime/text.ts";
import { REGION, SCRATCH } from "../driver.ts";
import { driver } from "../fixture.ts";
import { random, randomTree } from "../kernel/trees.ts";
import { pathsOf, withTrees } from "../proof/trees.ts";
import { baseSeed } from "../seed.ts";
import { FULL, sized } from "../sizes.ts";
import { answersOf, browsers } from "./browser.ts";
import { answers, type Tasks } from "./page.ts";

const { found, missing } = browsers();
const SCRIPTS = 6;
/** Characters of an answer that are shown. */
const SHOWN = 300;

/** Proofs of any bytes, some of them tampered with, headers, and scripts. */
function tasksOf(seed: number): Promise<Tasks> {
  const next = random(seed);
  return withTrees(seed, 3, (runtime, blocks) => {
    const block = blocks.at(-1) as (typeof blocks)[number];
    const paths = pathsOf(runtime, block);
    const proofs = Array.from({ length: 40 }, (_, i) => {
      const path = paths[next(paths.length)] as readonly number[];
      const at = next(2) === 0 ? next(0x400000) : SCRATCH + 0x80000 + next(0x40000);
      const proof = runtime.prove(path, at, next(6000), block);
      if (i % 4 === 0) proof[next(proof.length)] = next(256);
      return { root: block.root, proof: hexOf(proof) };
    });
    const headers = blocks.map(({ id }, height) => {
      return { id, header: hexOf(runtime.blockHeader(blocks[height])) };
    });
    const shape = { depth: 2, children: 3 };
    const scripts = Array.from({ length: SCRIPTS }, (_, i) => hexOf(randomTree(seed + i, shape).metadata()));
    const seeds = Array.from({ length: sized(2, 8) }, (_, i) => seed + i);
    return { proofs, headers, seeds, driver: hexOf(driver), region: REGION, scripts };
  });
}

test("browsers give the answers of Node: proofs, instructions, programs, processes", async (t) => {
  for (const name of missing) t.diagnostic(`not run: there is no ${name}`);
  if (FULL)
    assert.ok(!missing.includes("Chromium"), "STILLPOINT_FULL=1 demands Chromium: apt-get install chromium");
  if (found.length === 0) {
    t.skip("no browser is installed: apt-get install chromium, or firefox-esr");
    return;
  }
  const tasks = await tasksOf(baseSeed(t));
  const expected = await answers(tasks);
  assert.ok(
    expected.some((line) => line.includes("BAD_PROOF")) && expected.some((line) => line.startsWith("state")),
  );
  for (const browser of found) {
    const given = await answersOf(browser, tasks);
    const at = expected.findIndex((line, i) => line !== given[i]);
    assert.deepEqual(
      [given[at]?.slice(0, SHOWN), expected[at]?.slice(0, SHOWN)],
      [undefined, undefined],
      browser.name,
    );
    t.diagnostic(`${browser.name}: ${expected.length} answers`);
  }
});
