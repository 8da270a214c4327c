/**
 * Who calls: signed transactions. What was not signed by its sender, for this chain, in time, is refused by
 * its name; what was takes effect once, also if it failed.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import {
  App,
  type AppOptions,
  type Contracts,
  type Outcome,
  Signer,
  signed,
} from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { random, SEED } from "../guest/harness.ts";
import { BANK, project } from "./project.ts";

const SCHEMES = ["secp256k1", "ed25519"] as const;
const [alice, bob] = SCHEMES.map((scheme, i) => new Signer(new Uint8Array(32).fill(i + 1), scheme)) as [
  Signer,
  Signer,
];
const named = signed({ chain: "tests" });
let program: Uint8Array;
const opened: App[] = [];

before(async () => {
  const text = BANK.replace("@view", "@transaction burn(): void {\n    while (true) {}\n  }\n\n  @view");
  program = await compileGuest(join(project({ "bank.ts": text }), "bank.ts"));
});
after(async () => {
  for (const app of opened) await app.close();
});

async function open(options: Partial<AppOptions> = {}): Promise<App> {
  const app = await App.open({ program, workers: 1, authenticate: named, ...options });
  opened.push(app);
  return app;
}

const bank = (app: App) => app.client.Bank as Contracts[string] & Record<string, (args?: object) => never>;
const short = (outcome: Outcome): unknown => (outcome.ok ? outcome.value : outcome.error);

/** A signed mint or payment of Bank, as bytes. */
function bytesOf(app: App, by: Signer, nonce: number, name: string, args: object, more: object = {}) {
  return app.encode(bank(app)[name]?.(args) as never, { by, nonce: BigInt(nonce), ...more });
}

const payment = (app: App, nonce: number, amount: bigint, more = {}) =>
  bytesOf(app, alice, nonce, "pay", { from: alice.address, to: bob.address, amount }, more);
const minting = (app: App, nonce: number, amount: bigint) =>
  bytesOf(app, bob, nonce, "mint", { to: alice.address, amount });

/** Makes a block of these bytes, whether the pool would take them or not; what became of them. */
async function block(app: App, ...transactions: Uint8Array[]): Promise<unknown[]> {
  const { outcomes } = await app.apply(messageOf(transactions, app));
  return outcomes.map(short);
}

/** The message of a block, as guest/messages.ts draws it. */
function messageOf(transactions: readonly Uint8Array[], app: App): Uint8Array {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(2, 0);
  head.writeUInt32LE(transactions.length, 4);
  head.writeBigUInt64LE(BigInt(app.head.height) * 1000n, 8);
  const parts = transactions.flatMap((bytes) => {
    const front = Buffer.alloc(16);
    front.writeUInt32LE(bytes.length, 8);
    return [front, bytes, Buffer.alloc(-bytes.length & 7)];
  });
  return new Uint8Array(Buffer.concat([head, ...parts]));
}

test("calls that a Signer signs, of either kind; the caller is the signer", async () => {
  const app = await open();
  const { mint, pay, balanceOf } = bank(app) as Record<string, (args?: object) => never>;
  const outcomes = [
    app.submit(mint?.({ to: alice.address, amount: 100n }) as never, { by: bob }),
    app.submit(pay?.({ from: alice.address, to: bob.address, amount: 40n }) as never, { by: alice }),
    app.submit(pay?.({ from: alice.address, to: bob.address, amount: 1n }) as never, { by: bob }),
    app.submit(pay?.({ from: bob.address, to: alice.address, amount: 5n }) as never, { by: bob }),
  ];
  await app.produce();
  assert.deepEqual((await Promise.all(outcomes)).map(short), [100n, 59n, "not yours", 34n]);
  assert.deepEqual([await app.nonceOf(alice.address), await app.nonceOf(bob.address)], [1n, 3n]);
  assert.equal(short(await app.query(balanceOf?.({ who: bob.address }) as never)), 34n);
  assert.equal(alice.address, "0x1a642f0e3c3af545e7acbd38b07251b3990914f1"); // as Ethereum has it
  assert.throws(() => app.submit(mint?.({ to: bob.address, amount: 1n }) as never, { from: bob.address }), {
    message: 'this app authenticates: give "by", a Signer, or signed bytes',
  });
});

test("refused by name, in pool and block: another chain, any changed byte, high s, too late", async () => {
  const app = await open();
  const other = await open({ authenticate: signed({ chain: "others" }) });
  const genesis = await open({ authenticate: signed() });
  assert.notEqual(app.chain, other.chain);
  assert.equal(genesis.chain, `0x${genesis.runtime.genesis}`);
  const good = payment(app, 0, 1n);
  const order = secp256k1.Point.Fn.ORDER;
  const high = Buffer.from(good);
  const s = BigInt(`0x${high.toString("hex", 97, 129)}`);
  high.write((order - s).toString(16).padStart(64, "0"), 97, "hex");
  const late = payment(app, 1, 1n, { lastHeight: app.head.height });
  const next = random(SEED);
  const refused: [bytes: Uint8Array, error: string][] = [
    [payment(other, 0, 1n), "other chain"],
    [payment(genesis, 0, 1n), "other chain"],
    [new Uint8Array(high), "bad signature"],
    [late, "expired"],
    [good.subarray(0, 188), "input"],
    [Uint8Array.of(3), "input"],
    [new Uint8Array(0), "input"],
  ];
  for (const by of [alice, bob]) {
    const whole = bytesOf(app, by, 7, "mint", { to: bob.address, amount: 1n });
    for (let i = 0; i < 12; i++) {
      const changed = whole.slice();
      const at = 1 + (next() % (whole.length - 1));
      changed[at] = (changed[at] as number) ^ (1 << (next() % 8));
      const chainAt = whole.length - 60 - 28;
      const isChain = at >= chainAt && at < chainAt + 32;
      refused.push([changed, isChain ? "other chain" : "bad signature"]);
    }
  }
  const pooled = await Promise.all(refused.map(([bytes]) => app.submit(bytes)));
  assert.equal(app.waiting.length, 0);
  const errors = refused.map(([, error]) => error);
  assert.deepEqual(pooled.map(short), errors);
  assert.deepEqual(await block(app, ...refused.map(([bytes]) => bytes)), errors);
  assert.deepEqual(await block(app, good), ["no such entry"], "the good one is good");
});

test("a transaction that failed is used up, and the sender's next one is not", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-signed-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const replica = await open();
  const poor = payment(replica, 5, 50n);
  const [small, large] = [payment(replica, 6, 5n), payment(replica, 7, 500n)];
  const runs: { roots: string[]; outcomes: unknown[] }[] = [];
  for (const options of [{ runner: "sequential" }, { workers: 2, debug: { force: true } }] as const) {
    const store = join(directory, "runner" in options ? "loop" : "parallel");
    let app = await open({ ...options, store });
    const isFirst = runs.length === 0;
    const roots: string[] = [];
    const outcomes: unknown[] = [];
    const made = async (...transactions: Uint8Array[]): Promise<void> => {
      const message = messageOf(transactions, app);
      outcomes.push(await block(app, ...transactions));
      roots.push(app.head.root);
      if (!isFirst) return;
      const copied = await replica.apply(message);
      assert.deepEqual(copied.outcomes.map(short), outcomes.at(-1));
      assert.equal(copied.block.id, app.head.id);
    };
    await made(minting(app, 0, 10n));
    const before = app.head;
    await made(poor, minting(app, 1, 100n), poor, small, large, poor);
    await made(poor, minting(app, 1, 100n), small);
    await app.close();
    app = await open({ ...options, store });
    await made(poor, minting(app, 2, 1n));
    assert.equal(short(await app.submit(poor)), "used");
    await app.revert(before);
    await replica.revert(before.height);
    await made(minting(app, 1, 100n), poor, poor);
    await app.close();
    runs.push({ roots, outcomes });
  }
  assert.deepEqual(runs[0]?.outcomes, [
    [10n],
    ["overdraft", 110n, "used", 104n, "overdraft", "used"],
    ["used", "used", "used"],
    ["used", 105n],
    [110n, 59n, "used"],
  ]);
  assert.deepEqual(runs[0], runs[1]);
});

test("nonces come in any order within the window, each once", async () => {
  const app = await open();
  const at = (nonce: number) => minting(app, nonce, 1n);
  assert.deepEqual(await block(app, at(3), at(1), at(2), at(1), at(70), at(7), at(6), at(71), at(7)), [
    ...[1n, 2n, 3n, "used", 4n, 5n, "used", 6n, "used"],
  ]);
  assert.deepEqual(await block(app, at(8), at(8), at(200), at(71), at(137), at(136)), [
    ...[7n, "used", 8n, "used", 9n, "used"],
  ]);
  const last = bytesOf(app, bob, 0, "mint", { to: alice.address, amount: 1n });
  assert.deepEqual(await block(app, last), ["used"]);
});

test("what a block did not run, for want of gas, is not used up, and waits on", async () => {
  const app = await open({ gasLimit: 400_000_000 });
  const burn = bank(app).burn?.() as never;
  const submitted = [1, 2, 3, 4, 5].map(() => app.submit(burn, { by: bob, gas: 100_000_000 }));
  const numbers: number[] = [];
  while (numbers.length === 0 || app.waiting.length > 0) {
    const { outcomes, message, block: made } = await app.produce();
    numbers.push(outcomes.length);
    if (numbers.length > 1) continue;
    assert.equal(await app.nonceOf(bob.address), BigInt(outcomes.length));
    await app.revert(made.height - 1);
    assert.equal((await app.apply(message)).block.id, made.id);
  }
  assert.ok(numbers.length >= 2 && numbers.every((count) => count >= 1), numbers.join());
  assert.deepEqual((await Promise.all(submitted)).map(short), new Array(5).fill("out of gas"));
});

test("a store of another chain's name, and of an app that trusts, is refused", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-signed-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const store = join(directory, "state");
  await (await open({ store })).close();
  await assert.rejects(open({ store, authenticate: signed() }), /the store's chain has another name/);
  const trusting = App.open({ program, workers: 1, store });
  await assert.rejects(trusting, /it authenticates with another program, or not at all/);
});
