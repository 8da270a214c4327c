/** The meter: what is withheld counts as gas, and only running out comes early. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Meter } from "../../runtime/kernel/slots/meter.ts";
import { AUX_GAS } from "../../runtime/program/layout.ts";
import { Random } from "../program/random.ts";
import { baseSeed } from "../seed.ts";

function fresh(): { meter: Meter; word: () => bigint; spend: (gas: number) => void } {
  const words = new Int32Array(16);
  const longs = new BigInt64Array(words.buffer);
  return {
    meter: new Meter(words),
    word: () => longs[AUX_GAS / 8] as bigint,
    spend: (gas) => {
      longs[AUX_GAS / 8] = (longs[AUX_GAS / 8] as bigint) - BigInt(gas);
    },
  };
}

test("without a lease the word is the gas", () => {
  const { meter, word } = fresh();
  for (const gas of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
    meter.set(gas);
    assert.deepEqual([word(), meter.gas, meter.lease, meter.withholds], [BigInt(gas), gas, Infinity, false]);
    assert.deepEqual([meter.low >>> 0, meter.high], [gas % 2 ** 32, Math.floor(gas / 2 ** 32)]);
  }
  meter.set(10);
  assert.equal(meter.charge(11), false);
  assert.equal(meter.charge(10), true);
  assert.equal(word(), 0n);
});

test("gas and lease are kept apart through charges, transfers and what the code itself counts", (t) => {
  const random = new Random(baseSeed(t));
  const { meter, word, spend } = fresh();
  for (let round = 0; round < 2000; round++) {
    let gas = random.below(1 << 30) * 2 ** random.below(20);
    let lease = random.chance(10) ? Infinity : random.below(1 << 20);
    meter.set(gas, lease);
    for (let step = 0; step < 20; step++) {
      const least = Math.min(gas, lease);
      switch (random.below(4)) {
        case 0: {
          const cost = random.below(2000);
          assert.equal(meter.charge(cost), cost <= least);
          if (cost <= least) [gas, lease] = [gas - cost, lease - cost];
          break;
        }
        case 1: {
          const given = Math.floor(gas / (1 + random.below(4)));
          meter.transfer(-given);
          gas -= given;
          break;
        }
        case 2: {
          const back = random.below(1 << 24);
          meter.transfer(back);
          gas += back;
          break;
        }
        default: {
          const counted = Math.min(least, random.below(3000));
          spend(counted);
          [gas, lease] = [gas - counted, lease - counted];
        }
      }
      assert.deepEqual([meter.gas, meter.lease], [gas, lease], `round ${round}`);
      assert.deepEqual([word(), meter.withholds], [BigInt(Math.min(gas, lease)), gas > lease]);
    }
  }
});
