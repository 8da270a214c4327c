/** Cost tables: every price is in them, and the one in force is what the kernel reads. */

import assert from "node:assert/strict";
import { test } from "node:test";
import * as gas from "../../runtime/kernel/gas.ts";
import { CODE_PRICES } from "../../runtime/program/instrument/gas.ts";

/** The prices in force, by name; HEAP_BYTES_PER_GAS is a bound that all tables keep. */
function inForce(): Record<string, number> {
  const prices = Object.entries(gas).filter(([, value]) => typeof value === "number");
  return Object.fromEntries(prices.filter(([name]) => name !== "HEAP_BYTES_PER_GAS")) as Record<
    string,
    number
  >;
}

test("each table has every price, and putting it into force changes what the kernel reads", () => {
  try {
    for (const [version, table] of Object.entries(gas.TABLES)) {
      gas.useCosts(version);
      assert.equal(gas.costsInForce, version);
      assert.deepEqual({ ...table }, inForce());
      assert.ok(version in CODE_PRICES);
    }
  } finally {
    gas.useCosts(gas.FIRST_COSTS);
  }
  assert.equal(gas.TABLES.doubled?.COST_CALL, 2 * gas.COST_CALL);
});
