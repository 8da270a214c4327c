/**
 * An App from outside: transactions and their outcomes, whatever they are, durable and the same with any
 * runner.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { App, type Outcome } from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { alice, bank, bob, open } from "./bank.ts";
import { BANK, project } from "./project.ts";

/** Submits calls and makes a block of them. */
async function run(app: App, calls: [name: string, args: object, from: `0x${string}`, gas?: number][]) {
  const promises = calls.map(([name, args, from, gas]) =>
    app.submit(bank(app)[name]?.(args) as never, gas === undefined ? { from } : { from, gas }),
  );
  await app.produce({ time: 1_000 });
  return Promise.all(promises) as Promise<Outcome[]>;
}

const at = (text: string): string =>
  `bank.ts:${BANK.split("\n").findIndex((line) => line.includes(text)) + 1}`;
const withoutGas = ({ gasUsed: _, ...outcome }: Outcome) => outcome;

test("values, failures by name and line, and events", async () => {
  const app = await open();
  const outcomes = await run(app, [
    ["mint", { to: alice, amount: 100n }, alice],
    ["pay", { from: alice, to: bob, amount: 40n }, alice],
    ["pay", { from: alice, to: bob, amount: 40n }, bob],
    ["pay", { from: alice, to: bob, amount: 90n }, alice],
    ["pay", { from: bob, to: bob, amount: 2n ** 64n - 1n }, bob],
    ["pay", { from: `0x${"00".repeat(20)}`, to: bob, amount: 1n }, `0x${"00".repeat(20)}`],
    ["mint", { to: alice, amount: 2n ** 64n - 1n }, alice],
    ["mint", { to: alice, amount: 1n }, alice, 500],
  ]);
  assert.deepEqual(outcomes.map(withoutGas), [
    { ok: true, value: 100n, events: [] },
    {
      ok: true,
      value: 59n,
      events: [{ name: "Paid", fields: { from: alice, to: bob, amount: 40n } }],
    },
    { ok: false, error: "not yours", at: at("not yours") },
    { ok: false, error: "overdraft", at: at("overdraft") },
    { ok: false, error: "overflow", at: at("plus(amount, FEE)") },
    { ok: false, error: "no such entry", at: at("accounts.get(from)") },
    { ok: false, error: "overflow", at: at("plus(account.balance") },
    { ok: false, error: "out of gas", reason: "all of its 500 gas was used" },
  ]);
  const { accounts, fees } = app.state;
  assert.deepEqual(accounts?.get(alice), { balance: 59n, nonce: 1n });
  assert.deepEqual(accounts?.get(Buffer.from("b0".repeat(20), "hex")), { balance: 40n, nonce: 0n });
  assert.equal(accounts?.get(`0x${"cc".repeat(20)}`), undefined);
  assert.equal(accounts?.size, 2);
  assert.equal(fees?.value, 1n);
  assert.deepEqual(new Set(accounts?.entries().map(([key]) => key)), new Set([alice, bob]));
  assert.throws(() => app.state.account, /there is no state account; there are: accounts, fees/);
});

test("transactions of any bytes are outcomes, and never fail a block", async () => {
  const app = await open();
  const call = bank(app).mint?.({ to: alice, amount: 1n }) as never as { bytes: Uint8Array };
  const submit = (bytes: Uint8Array) => app.submit({ ...call, bytes } as never, { from: alice });
  const broken = [
    new Uint8Array(0),
    call.bytes.subarray(1),
    Uint8Array.from([...call.bytes, 0]),
    new Uint8Array(30_000),
  ].map(submit);
  const whole = submit(call.bytes);
  const { outcomes } = await app.produce();
  assert.equal(outcomes.length, 5);
  for (const outcome of await Promise.all(broken))
    assert.deepEqual(withoutGas(outcome), { ok: false, error: "input" });
  assert.equal((await whole).ok, true);
});

test("what is no transaction is refused when it is submitted, with what was expected", async () => {
  const app = await open();
  const { mint, balanceOf } = bank(app) as Record<string, (args?: object) => never>;
  assert.throws(
    () => mint?.({ to: alice, amount: 5 }),
    /^UsageError: Bank.mint.amount must be a bigint, as 5n, got 5$/,
  );
  assert.throws(
    () => mint?.({ to: "0x12", amount: 5n }),
    /Bank.mint.to must be 20 bytes, as a Uint8Array or "0x…"/,
  );
  assert.throws(() => mint?.({ to: alice }), /Bank.mint.amount is missing; Bank.mint has: to, amount$/);
  assert.throws(
    () => mint?.({ to: alice, amount: 2n ** 64n }),
    /amount must be an integer from 0 to 18446744073709551615, got/,
  );
  assert.throws(
    () => mint?.({ to: alice, amount: 1n, too: 1 }),
    /there is no "too" in Bank.mint; there are: to, amount/,
  );
  const view = balanceOf?.({ who: alice }) as never;
  assert.throws(() => app.submit(view, { from: alice }), /Bank.balanceOf must be a transaction, got "view"/);
  assert.throws(() => app.submit({} as never, { from: alice }), /call must be one that .* made, got object/);
});

test("what a block does not take waits on: for want of gas, and what `order` leaves out", async () => {
  const app = await open({ gasLimit: 400_000_000, order: (waiting) => waiting.slice(0, 3) });
  const { mint } = bank(app) as Record<string, (args?: object) => never>;
  const submitted = [1, 2, 3, 4, 5].map((amount) =>
    app.submit(mint?.({ to: alice, amount: BigInt(amount) }) as never, { from: alice, gas: 100_000_000 }),
  );
  const first = await app.produce();
  assert.ok(first.outcomes.length >= 1 && first.outcomes.length <= 3);
  assert.equal(app.waiting.length, 5 - first.outcomes.length);
  while (app.waiting.length > 0) assert.ok((await app.produce()).outcomes.length > 0);
  const values = (await Promise.all(submitted)).map((outcome) => outcome.ok && outcome.value);
  assert.deepEqual(values, [1n, 3n, 6n, 10n, 15n]);
});

test("height and time are the block's, and time does not go back", async () => {
  const app = await open();
  const { when } = bank(app) as Record<string, (args?: object) => never>;
  const call = app.submit(when?.() as never, { from: alice });
  await app.produce({ time: 7_000 });
  assert.deepEqual(withoutGas(await call), { ok: true, value: 2_007_000n, events: [] });
  const waits = app.submit(when?.() as never, { from: alice });
  await assert.rejects(app.produce({ time: 6_999 }), /at least 7000, the time of the block before, got 6999/);
  assert.equal(app.waiting.length, 1);
  await app.produce({ time: 7_000 });
  assert.deepEqual(withoutGas(await waits), { ok: true, value: 3_007_000n, events: [] });
});

test("views and checks look at a block and keep nothing", async () => {
  const app = await open();
  const { mint, pay, balanceOf, when } = bank(app) as Record<string, (args?: object) => never>;
  await run(app, [["mint", { to: alice, amount: 100n }, alice]]);
  const before = app.head;
  await run(app, [["pay", { from: alice, to: bob, amount: 40n }, alice]]);
  const { root } = app.head;
  const balance = async (who: string, options = {}) => app.query(balanceOf?.({ who }) as never, options);
  assert.deepEqual(withoutGas(await balance(alice)), { ok: true, value: 59n, events: [] });
  assert.deepEqual(withoutGas(await balance(alice, { on: before })), { ok: true, value: 100n, events: [] });
  assert.deepEqual(withoutGas(await balance(bob, { on: before })), {
    ok: false,
    error: "no such entry",
    at: at("accounts.get(who)"),
  });
  const check = (call: never, from = alice) => app.check(call, { from });
  assert.deepEqual(await check(mint?.({ to: bob, amount: 1n }) as never).then(withoutGas), {
    ok: true,
    value: 41n,
    events: [],
  });
  const poor = await check(pay?.({ from: alice, to: bob, amount: 90n }) as never).then(withoutGas);
  assert.deepEqual(poor, { ok: false, error: "overdraft", at: at("overdraft") });
  assert.equal(((await check(when?.() as never)) as { value: bigint }).value, 3_001_000n);
  await assert.rejects(
    app.query(mint?.({ to: bob, amount: 1n }) as never),
    /must be a view, got "transaction"/,
  );
  assert.equal(app.runtime.head.root, root);
  const calls = [
    mint?.({ to: `0x${"c0".repeat(20)}`, amount: 1n }),
    pay?.({ from: alice, to: bob, amount: 2n }),
  ];
  for (const call of calls) {
    const gas = await app.estimate(call as never, { from: alice });
    const outcome = app.submit(call as never, { from: alice, gas });
    await app.produce();
    const { ok, gasUsed } = (await outcome) as Outcome;
    assert.ok(ok && gasUsed > gas / 4, `${gas} estimated, ${gasUsed} used`);
  }
  assert.deepEqual(withoutGas(await balance(bob)), { ok: true, value: 42n, events: [] });
});

test("the same blocks and outcomes with the loop and in parallel, and again after a revert", async () => {
  const apps = [await open({ runner: "sequential" }), await open({ workers: 2, debug: { force: true } })];
  const calls = Array.from({ length: 300 }, (_, i): [string, object, `0x${string}`] => {
    const from = `0x${(i % 40).toString(16).padStart(40, "0")}` as const;
    const to = `0x${((i * 7) % 40).toString(16).padStart(40, "0")}` as const;
    return i < 100
      ? ["mint", { to, amount: 50n }, from]
      : ["pay", { from, to, amount: BigInt((i * 13) % 200) }, from];
  });
  const runs = [];
  for (const app of apps) {
    const before = app.head;
    const outcomes = await run(app, calls);
    const { root } = app.head;
    await app.revert(before);
    assert.deepEqual(await run(app, calls), outcomes);
    assert.equal(app.head.root, root);
    runs.push({ outcomes, root });
  }
  assert.deepEqual(runs[0], runs[1]);
  const outcomes = runs[0]?.outcomes ?? [];
  assert.ok(outcomes.some(({ ok }) => ok) && outcomes.some(({ ok }) => !ok));
});

test("an app continues where its store stands; another program is refused with words", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-app-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const store = join(directory, "state");
  const first = await open({ store });
  await run(first, [["mint", { to: alice, amount: 100n }, alice]]);
  const { root, height } = first.head;
  const waits = first.submit(bank(first).mint?.({ to: alice, amount: 1n }) as never, { from: alice });
  await first.close();
  await assert.rejects(waits, /the app is closed, and no block took the transaction/);
  const second = await open({ store });
  assert.deepEqual([second.head.root, second.head.height], [root, height]);
  assert.deepEqual(second.state.accounts?.get(alice), { balance: 100n, nonce: 0n });
  await second.close();
  const other = await compileGuest(
    join(project({ "bank.ts": BANK.replace("FEE: u64 = 1", "FEE: u64 = 2") }), "bank.ts"),
  );
  await assert.rejects(App.open({ program: other, workers: 1, store }), { code: "UPGRADE" });
});
