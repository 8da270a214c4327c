/** Tests of the bank, on the thread of the test: each begins with the same state, and takes milliseconds. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { TestContract } from "stillpoint/app";
import type { Client } from "../contracts/bank.client.ts";

const alice = `0x${"a1".repeat(20)}` as const;
const bob = `0x${"b0".repeat(20)}` as const;

const setup = { Bank: { holders: [alice], amount: 100n } };
const bank = await TestContract.open<Client>("contracts/bank.ts", { setup });
const { Bank } = bank.client;
const fresh = bank.checkpoint;

beforeEach(() => {
  bank.checkpoint = fresh;
});

test("a payment moves what it says", () => {
  const paid = bank.call(Bank.pay({ to: bob, amount: 40n }), { from: alice });
  assert.ok(paid.ok);
  assert.equal(paid.value, 60n);
  assert.deepEqual(paid.events, [{ name: "Paid", fields: { from: alice, to: bob, amount: 40n } }]);
  assert.deepEqual(bank.state.accounts?.get(bob), { balance: 40n, payments: 0 });
});

test("nobody pays more than there is", () => {
  const paid = bank.call(Bank.pay({ to: bob, amount: 101n }), { from: alice });
  assert.equal(paid.ok ? "" : paid.error, "overdraft");
  assert.equal(bank.state.accounts?.get(bob), undefined);
});

test("payments leave the supply as it is", () => {
  bank.call(Bank.pay({ to: bob, amount: 40n }), { from: alice });
  const supply = bank.call(Bank.supply());
  assert.equal(supply.ok && supply.value, 100n);
});
