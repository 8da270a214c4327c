/** A short run of the fuzzer "space", and each of its canaries. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { baseSeed } from "../seed.ts";
import { CANARIES, findCanary, roundsOfSpace } from "./space.ts";

test("no block fails for want of room, whatever a guest keeps", async (t) => {
  const rounds = await roundsOfSpace(baseSeed(t), { rounds: 1 });
  for (const { seed, found, blocks, faults, forgotten, fullest } of rounds) {
    t.diagnostic(`seed ${seed}: ${blocks} blocks, ${faults} faults, ${forgotten} forgotten, ${fullest} full`);
    assert.equal(found, null, `seed ${seed}`);
    assert.ok(faults < blocks / 4 && forgotten > 0 && fullest > 0.6);
  }
});

for (const name of Object.keys(CANARIES)) {
  test(`found: ${name}`, async () => {
    assert.notEqual(await findCanary(name, 1, 2), null);
  });
}
