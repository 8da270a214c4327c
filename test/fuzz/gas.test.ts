/** A short run of the fuzzer "gas", and each of its canaries. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { baseSeed } from "../seed.ts";
import { CANARIES, causeOf, describeRound, findCanary, roundsOfGas } from "./gas.ts";

const ROUNDS = 6;
const CANARY_ROUNDS = 3;

/** What does not pay for its work, and why that is known. */
const PENDING: readonly [cause: RegExp, why: string][] = [
  [/: get, bytesCopied$/, "an image is just paid, and nothing is left for what follows"],
  [/, (instances|memories)$/, "an instance of its own, and its memories, cost more than START"],
  [/, faults$/, "neither START nor an item pays for a trap"],
];

test("calls pay for their work", async (t) => {
  const seed = baseSeed(t);
  const rounds = await roundsOfGas(seed, { rounds: ROUNDS });
  const calls = rounds.reduce((sum, round) => sum + round.calls, 0);
  t.diagnostic(`${calls} calls`);
  assert.ok(calls > 1_000);
  for (const round of rounds) {
    const unpaid = round.unpaid.filter((one) => !PENDING.some(([cause]) => cause.test(causeOf(one))));
    assert.equal(describeRound({ ...round, unpaid }), null);
  }
});

for (const name of Object.keys(CANARIES)) {
  test(`found: ${name}`, async () => {
    assert.notEqual(await findCanary(name, 1, CANARY_ROUNDS, true), null);
  });
}
