/** A short run of the fuzzer "gas", and each of its canaries. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { baseSeed } from "../seed.ts";
import { sized } from "../sizes.ts";
import { CANARIES, describeRound, listedRounds, roundsOfGas, shortCanary } from "./gas.ts";
import type { GivenRound } from "./gas-run.ts";

const ROUNDS = sized(1, 6);
const CANARY_ROUNDS = 3;

test("calls pay for their work", async (t) => {
  const seed = baseSeed(t);
  const rounds = await roundsOfGas(seed, { rounds: ROUNDS });
  const calls = rounds.reduce((sum, round) => sum + round.calls, 0);
  t.diagnostic(`${calls} calls`);
  assert.ok(calls > 300 * ROUNDS);
  for (const round of rounds) assert.equal(describeRound(round), null);
});

const found: GivenRound[] = [];

for (const name of Object.keys(CANARIES)) {
  test(`found: ${name}`, async () => {
    const round = await shortCanary(name, 1, CANARY_ROUNDS);
    assert.ok(round !== null);
    found.push(round);
  });
}

test("without the defects the calls of these rounds pay", async () => {
  const rounds = await listedRounds(found);
  assert.equal(rounds.length, Object.keys(CANARIES).length);
  for (const [i, round] of rounds.entries()) {
    assert.equal(describeRound(round), null);
    assert.equal(round.calls, found[i]!.calls);
  }
});
