/** A short round of the comparison; npm run evm -- precompiles has long ones. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { baseSeed } from "../seed.ts";
import { sized } from "../sizes.ts";
import { comparePrecompile, otherPrecompiles, ownPrecompiles, PRECOMPILES } from "./precompiles.ts";

const ROUNDS = sized(30, 100);
const FIRST_TO_REFUSE = 5;
/** They take long in JavaScript. */
const ROUNDS_OF_PAIRINGS = sized(4, 10);

test("the precompiled contracts do what those of another EVM do, for the same gas", async (t) => {
  const seed = baseSeed(t);
  const [ours, theirs] = [await ownPrecompiles(), await otherPrecompiles()];
  for (const number of PRECOMPILES) {
    const rounds = number === 8 ? ROUNDS_OF_PAIRINGS : ROUNDS;
    const { failed } = await comparePrecompile(ours, theirs, number, rounds, seed);
    t.diagnostic(`contract ${number}: ${rounds} calls, of which ${failed} fail`);
    assert.ok(failed < rounds, `contract ${number} never succeeds`);
    // Before, only gas can be wrong.
    assert.ok(failed > 0 || number < FIRST_TO_REFUSE, `contract ${number} never fails`);
  }
});
