/**
 * Blocks of an App in all the ways there are: produced, applied from another's message, proposed and
 * committed, reorganised, forked; and what becomes of those who wait.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { App, AppEvent, Outcome } from "../../runtime/app/index.ts";
import { alice, bank, bob, closing, open } from "./bank.ts";

const mint = (app: App, amount: bigint) => bank(app).mint?.({ to: alice, amount }) as never;
const pay = (app: App, amount: bigint) => bank(app).pay?.({ from: alice, to: bob, amount }) as never;
const short = (outcome: Outcome): unknown => (outcome.ok ? outcome.value : outcome.error);
const held = (app: App): unknown => (app.state.accounts?.get(alice) as { balance: bigint })?.balance;

test("a message makes the same block elsewhere, and those who wait there are told", async () => {
  const [producer, replica] = [await open(), await open()];
  const waits = replica.submit(mint(replica, 5n), { from: alice });
  const stays = replica.submit(mint(replica, 6n), { from: alice });
  producer.submit(mint(producer, 5n), { from: alice });
  producer.submit(pay(producer, 9n), { from: alice });
  const made = await producer.produce({ time: 4_000 });
  const applied = await replica.apply(made.message);
  assert.equal(applied.block.id, made.block.id);
  assert.deepEqual(applied.outcomes.map(short), [5n, "overdraft"]);
  assert.equal(short(await waits), 5n);
  assert.equal(replica.waiting.length, 1);
  await replica.produce();
  assert.equal(short(await stays), 11n);
  await assert.rejects(replica.apply(new Uint8Array(5)), /the message of a block that an App has made/);
  await assert.rejects(replica.apply(made.message.subarray(0, 40)), /the message of a block/);
});

test("a proposal is not of the chain; what it took waits until it is committed", async () => {
  const app = await open();
  const minted = app.submit(mint(app, 7n), { from: alice });
  const [one, other] = [await app.execute({ time: 1_000 }), await app.execute({ time: 2_000 })];
  assert.deepEqual(
    [one, other].map(({ outcomes }) => outcomes.map(short)),
    [[7n], [7n]],
  );
  assert.notEqual(one.block.id, other.block.id);
  assert.equal(held(app), undefined);
  assert.equal(app.waiting.length, 1);
  const above = await app.execute({ on: other.block, time: 2_000 });
  const balance = bank(app).balanceOf?.({ who: alice }) as never;
  assert.deepEqual(short(await app.query(balance, { on: above.block })), 14n);
  const committed = await app.commit(other);
  assert.equal(committed.block.id, app.head.id);
  assert.equal(short(await minted), 7n);
  assert.equal(app.waiting.length, 0);
  assert.equal(held(app), 7n);
  await assert.rejects(app.commit(one), { code: "STALE" });
  await app.release(one);
  const replica = await open();
  const voted = await replica.execute({ message: committed.message });
  assert.equal(voted.block.id, committed.block.id);
});

test("a reorg takes proposals and messages, all or nothing, and settles what they have", async () => {
  const app = await open();
  const start = app.head;
  app.submit(mint(app, 100n), { from: alice });
  await app.produce({ time: 1_000 });
  const branch = await app.fork({ at: start });
  closing(branch);
  branch.submit(mint(branch, 50n), { from: alice });
  const first = await branch.produce({ time: 1_000 });
  const paid = app.submit(pay(app, 40n), { from: alice });
  branch.submit(pay(branch, 40n), { from: alice });
  const second = await branch.produce({ time: 1_000 });
  const proposal = await app.execute({ on: start, message: first.message });
  const { removed, added } = await app.reorg({ to: start, blocks: [proposal, second.message] });
  assert.deepEqual([removed.length, added.map(({ outcomes }) => outcomes.map(short))], [1, [[50n], [9n]]]);
  assert.equal(app.head.id, branch.head.id);
  assert.equal(short(await paid), 9n);
  assert.equal(held(app), 9n);
  // What is of the chain already is not added.
  branch.submit(mint(branch, 5n), { from: alice });
  const third = await branch.produce({ time: 1_000 });
  const longer = await app.reorg({ to: start, blocks: [first.message, second.message, third.message] });
  assert.deepEqual(
    longer.added.map(({ outcomes, message }) => [outcomes.map(short), message]),
    [[[14n], third.message]],
  );
  const broken = second.message.slice();
  broken.fill(0, 8, 16); // time goes back
  const { id } = app.head;
  await assert.rejects(app.reorg({ to: start, blocks: [first.message, broken] }), { code: "BLOCK_FAULT" });
  assert.equal(app.head.id, id);
});

test("a time before that of the block before is refused, and what waits waits on", async () => {
  const app = await open();
  await app.produce({ time: 5_000 });
  const minted = app.submit(mint(app, 7n), { from: alice });
  const refused = {
    code: "BAD_OPTION",
    message: 'option "time" must be an integer of at least 5000, the time of the block before, got 4999',
  };
  await assert.rejects(app.produce({ time: 4_999 }), refused);
  await assert.rejects(app.execute({ time: 4_999 }), refused);
  await assert.rejects(app.produce({ time: 5_000.5 }), { code: "BAD_OPTION" });
  await app.produce({ time: 5_000 });
  assert.equal(short(await minted), 7n);
  await app.close();
});

test("events of blocks as they become the chain's, and reverts", async () => {
  const app = await open();
  const events = app.events();
  app.submit(mint(app, 100n), { from: alice });
  const before = (await app.produce()).block;
  app.submit(pay(app, 500n), { from: alice });
  app.submit(pay(app, 10n), { from: alice });
  const { block } = await app.produce();
  await app.revert(before);
  const proposal = await app.execute();
  await app.commit(proposal);
  app.submit(pay(app, 20n), { from: alice });
  const last = (await app.produce()).block;
  await app.close();
  const seen: AppEvent[] = [];
  for await (const event of events) seen.push(event);
  const event = (amount: bigint) => ({ name: "Paid", fields: { from: alice, to: bob, amount } });
  assert.deepEqual(seen, [
    { kind: "event", block, transaction: 1, ...event(10n) },
    { kind: "revert", height: before.height, block: before.id },
    { kind: "event", block: last, transaction: 0, ...event(20n) },
  ]);
});

test("encoded transactions are submitted as they are; what is none is refused", async () => {
  const app = await open();
  const bytes = app.encode(mint(app, 3n), { from: alice });
  const minted = app.submit(bytes);
  assert.equal(app.waiting[0]?.from, alice);
  assert.equal(app.waiting[0]?.call.name, "mint");
  await app.produce();
  assert.equal(short((await minted) as Outcome), 3n);
  assert.throws(() => app.submit(new Uint8Array(24)), /transaction must be a call .*, got 24 bytes/);
  assert.throws(
    () => app.submit(new Uint8Array(40_000)),
    /length of a transaction must be at most 32768 bytes, got 40000/,
  );
  assert.throws(() => app.encode(mint(app, 3n), {}), /from must be 20 bytes/);
  await assert.rejects(app.nonceOf(alice), /this app trusts callers: there are no nonces/);
});
