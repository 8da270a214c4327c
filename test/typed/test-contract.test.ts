/** TestContract: what a call gives is what a block gives; each call chooses its caller and its block. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";
import { App, type Contracts, type Outcome, TestContract } from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { sized } from "../sizes.ts";
import { BANK, project } from "./project.ts";

const alice = `0x${"a1".repeat(20)}` as const;
const bob = `0x${"b0".repeat(20)}` as const;
let program: Uint8Array;
let bank: TestContract;

before(async () => {
  const file = join(project({ "bank.ts": BANK }), "bank.ts");
  program = await compileGuest(file);
  bank = await TestContract.open(file);
});

const make = (client: Contracts, name: string, args: object = {}) => client.Bank?.[name]?.(args) as never;

test("values, failures and events are those of an App, call by call", async () => {
  const app = await App.open({ program, workers: 1 });
  const fresh = bank.checkpoint;
  const calls = [
    ["mint", { to: alice, amount: 100n }, alice],
    ["pay", { from: alice, to: bob, amount: 40n }, alice],
    ["pay", { from: alice, to: bob, amount: 90n }, alice],
    ["pay", { from: alice, to: bob, amount: 1n }, bob],
  ] as const;
  const submitted = calls.map(([name, args, from]) => app.submit(make(app.client, name, args), { from }));
  await app.produce();
  const outcomes = (await Promise.all(submitted)) as Outcome[];
  const tested = calls.map(([name, args, from]) => bank.call(make(bank.client, name, args), { from }));
  assert.deepEqual(tested, outcomes);
  assert.deepEqual(bank.state.accounts?.entries(), app.state.accounts?.entries());
  await app.close();
  bank.checkpoint = fresh;
  assert.equal(bank.state.accounts?.size, 0);
});

test("a view leaves nothing, and a height and a time stay until others are given", () => {
  const when = () => (bank.call(make(bank.client, "when")) as { value: bigint }).value;
  const { process } = bank;
  assert.equal(when(), 1_000_000n);
  bank.call(make(bank.client, "mint", { to: bob, amount: 7n }), { height: 5, time: 77 });
  assert.equal(when(), 5_000_077n);
  const { hash } = process.state;
  assert.equal((bank.call(make(bank.client, "balanceOf", { who: bob })) as { value: bigint }).value, 7n);
  const missing = bank.call(make(bank.client, "balanceOf", { who: alice }));
  assert.equal(missing.ok || missing.error, "no such entry");
  assert.equal(process.state.hash, hash);
  assert.throws(() => bank.call({} as never), /call must be one that the contract's client made, got object/);
  const look = make(bank.client, "balanceOf", { who: alice });
  assert.throws(() => bank.call(look, { form: alice } as never), {
    code: "BAD_OPTION",
    message: 'there is no option "form"; there are: from, height, time',
  });
});

test("thousands of calls and views need no more heap than a few", () => {
  const before = bank.checkpoint;
  const mint = make(bank.client, "mint", { to: alice, amount: 1n });
  const look = make(bank.client, "balanceOf", { who: alice });
  for (let i = 0; i < sized(6_000, 10_000); i++) assert.ok(bank.call(mint).ok && bank.call(look).ok);
  assert.ok(bank.process.heapBytesUsed < 24 << 20, `${bank.process.heapBytesUsed} bytes`);
  bank.checkpoint = before;
  const missing = bank.call(look);
  assert.equal(missing.ok || missing.error, "no such entry", "a state that the test holds stays");
});
