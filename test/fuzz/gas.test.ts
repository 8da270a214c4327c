/** A short run of the fuzzer "gas", and each of its canaries. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { baseSeed } from "../seed.ts";
import { sized } from "../sizes.ts";
import { CANARIES, describeRound, findCanary, roundsOfGas } from "./gas.ts";

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

for (const name of Object.keys(CANARIES)) {
  test(`found: ${name}`, async () => {
    assert.notEqual(await findCanary(name, 1, CANARY_ROUNDS, true), null);
  });
}
