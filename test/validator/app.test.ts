/** An App as an application of CometBFT: what each request does, over the socket. */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { coinsChain } from "../../examples/validator/chain.ts";
import { App } from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { programHash } from "../../runtime/index.ts";
import { TRANSACTION_CODES as CODES, validator } from "../../runtime/validator/index.ts";
import { ROOT } from "../guest/harness.ts";
import { alice, bob, Node, openCoins, owner, program } from "./coins.ts";

const directory = mkdtempSync(join(tmpdir(), "stillpoint-validator-app-"));
after(() => rmSync(directory, { recursive: true }));
let stores = 0;
const newStore = (): string => join(directory, `store-${stores++}`);

test("transactions are authenticated, run, and told by code, data, gas and events", async () => {
  await using node = await Node.open();
  await node.initChain();
  const broken = node.pay(alice, 1, 5);
  broken[broken.length - 1] = (broken.at(-1) as number) ^ 1;
  const txs = [
    node.pay(alice, 0, 100),
    node.pay(alice, 0, 100),
    broken,
    node.pay(alice, 2, 2_000_000),
    Uint8Array.of(1, 2, 3),
    node.call(bob, 0, "Network.setPower", { key: new Uint8Array(32), power: 1n }),
  ];
  const { txResults, events, validatorUpdates } = await node.block(1, txs);
  assert.deepEqual(
    txResults.map(({ code }: { code: number }) => code),
    [0, CODES.used, CODES["bad signature"], CODES.failed, CODES.input, CODES.failed],
  );
  const [paid, , , overdraft] = txResults;
  assert.equal(Buffer.from(paid.data).readBigUInt64LE(), 999_900n);
  assert.ok(paid.gasUsed > 0n && paid.gasWanted === 10_000_000n);
  const [event] = paid.events;
  assert.equal(event.type, "Paid");
  assert.deepEqual(
    event.attributes.map(({ key, value, index }: Record<string, unknown>) => [key, value, index]),
    [
      ["from", alice.address, true],
      ["to", bob.address, true],
      ["amount", "100", true],
    ],
  );
  assert.match(overdraft.log, /^overdraft at .*coins\.ts:\d+$/);
  assert.deepEqual([overdraft.codespace, events, validatorUpdates], ["app", [], []]);
  assert.deepEqual([await node.balance(alice), await node.balance(bob)], [999_900, 1_000_100]);
});

test("a proposal has what runs; a block with anything else is refused, unless it is decided", async () => {
  await using node = await Node.open();
  await node.initChain();
  const good = [node.pay(alice, 0, 1), node.pay(bob, 0, 9_000_000)]; // the second fails, and is paid for
  const bad = [node.pay(alice, 0, 1), Uint8Array.of(9)];
  const [first, second] = good as [Uint8Array, Uint8Array];
  assert.deepEqual(await node.prepare(1, [first, ...bad, second]), good);
  assert.equal(await node.process(1, good), true);
  assert.equal(await node.process(1, [first, ...bad]), false);
  assert.deepEqual(await node.codes(1, [first, ...bad]), [0, CODES.used, CODES.input]);
  assert.deepEqual(await node.info(), { height: 1, hash: node.app.head.id });
});

test("a candidate is found by all that a block names: its proposer too", async () => {
  await using node = await Node.open();
  await node.initChain();
  const blocks = () => node.app.runtime.metrics().blocks;
  const before = blocks();
  const txs = [node.pay(alice, 0, 1)];
  assert.equal(await node.process(1, txs), true);
  assert.equal(await node.process(1, txs), true);
  assert.equal(blocks(), before + 1);
  assert.equal(await node.process(1, txs, { proposer: 8 }), true);
  assert.equal(blocks(), before + 2);
  await node.block(1, txs, { proposer: 8 });
  assert.equal(blocks(), before + 2);
});

test("the hook that orders transactions decides what a proposal has", async () => {
  const order = (waiting: readonly { from: string; call: { bytes: Uint8Array } }[]) =>
    waiting.filter(({ from }) => from === alice.address).reverse();
  await using node = await Node.open({ order: order as never });
  await node.initChain();
  const txs = [node.pay(alice, 0, 1), node.pay(bob, 0, 1), node.pay(alice, 1, 1), Uint8Array.of(1)];
  assert.deepEqual(await node.prepare(1, txs), [txs[2], txs[0]]);
});

// ---- CheckTx ----------------------------------------------------------------------------------------------

test("CheckTx sees what waits already, runs each once, and starts again after a commit", async () => {
  await using node = await Node.open();
  await node.initChain();
  const items = () => node.app.runtime.metrics().batches.items;
  const check = async (tx: Uint8Array): Promise<number> => (await node.ask("checkTx", { tx })).code;
  const costs: number[] = [];
  for (let nonce = 0; nonce < 9; nonce++) {
    const before = items();
    assert.equal(await check(node.pay(alice, nonce, 100_000)), 0);
    costs.push(items() - before);
  }
  assert.deepEqual(costs, Array(9).fill(2)); // the authentication, and the payment
  assert.equal(await check(node.pay(alice, 9, 200_000)), CODES.failed); // there are 100,000 left
  assert.equal(await check(node.pay(alice, 3, 1)), CODES.used);
  assert.equal(await node.balance(alice), 1_000_000);
  await node.block(1, [node.pay(alice, 0, 100_000)]);
  assert.equal(await check(node.pay(alice, 0, 100_000)), CODES.used);
  assert.equal(await check(node.pay(alice, 1, 900_000)), 0);
  assert.equal(await check(node.pay(alice, 2, 1)), CODES.failed);
});

test("a flood of checks is answered, with codes; none stops the node", async () => {
  const checks = { gas: 100_000_000, waiting: 8 };
  await using node = await Node.open({}, { ...coinsChain(), checks });
  await node.initChain();
  const greedy = node.app.encode(node.app.client.Coins?.pay?.({ to: bob.address, amount: 1n }) as never, {
    by: bob,
    nonce: 0n,
    gas: 1_000_000_000,
  });
  const txs = [
    greedy,
    ...Array.from({ length: 60 }, (_, i) => (i % 2 ? node.pay(alice, i, 1) : Uint8Array.of(i))),
  ];
  const answers = await node.askAll(
    "checkTx",
    txs.map((tx) => ({ tx })),
  );
  assert.equal(answers[0].code, CODES.refused); // it wants more gas than a check may use
  assert.ok(answers.some(({ log }) => log.startsWith("QUEUE_FULL")));
  assert.ok(answers.some(({ code }) => code === 0));
  assert.deepEqual(node.errors, []);
  assert.deepEqual(await node.codes(1, [node.pay(alice, 0, 1)]), [0]);
});

// ---- what the network and the contracts tell each other -------------------------------------------------

test("validators change by a transaction's event; misbehaviour reaches the contract", async () => {
  await using node = await Node.open();
  await node.initChain();
  const key = new Uint8Array(32).fill(5);
  const added = node.call(owner, 0, "Network.setPower", { key, power: 10n });
  const { validatorUpdates } = await node.block(1, [added]);
  const [{ pubKey, power }] = validatorUpdates;
  assert.deepEqual([pubKey.sum.case, pubKey.sum.value, power], ["ed25519", key, 10n]);
  const misbehavior = [
    { type: 1, validator: { address: new Uint8Array(20).fill(6), power: 1n }, height: 1n },
  ];
  const { events, txResults } = await node.block(2, [node.pay(alice, 0, 1)], { misbehavior });
  assert.equal(txResults.length, 1);
  assert.equal(events[0].type, "DoubleSigned");
  assert.equal(events[0].attributes[0].value, `0x${"06".repeat(20)}`);
  const forged = node.call(alice, 1, "Network.begin", { doubleSigners: [bob.address] });
  const { txResults: refused } = await node.block(3, [forged]);
  assert.match(refused[0].log, /^not the network/);
});

test("an upgrade at a height: a node without the program stops before it, and resumes with it", async () => {
  const text = readFileSync(join(ROOT, "examples/validator/guest/coins.ts"), "utf8");
  const file = join(directory, "coins.ts");
  writeFileSync(file, text.replace("return accounts.get(caller()).balance;", "return 7;"));
  const next = await compileGuest(file);
  const store = newStore();
  const first = await Node.open({ store });
  await using other = await Node.open({}, coinsChain([next]));
  const plan = first.call(owner, 0, "Network.upgradeAt", { height: 3n, program: programHash(next) });
  const pays = [0, 1].map((nonce) => first.pay(alice, nonce, 1));
  for (const node of [first, other]) {
    await node.initChain();
    assert.deepEqual(await node.codes(1, [plan]), [0]);
    assert.deepEqual(await node.codes(2, [pays[0] as Uint8Array]), [0]);
  }
  await assert.rejects(
    first.finalize(3, []),
    /UPGRADE_MISSING: block 3 runs the program [0-9a-f]{64}, .*"programs"/,
  );
  await first.close();
  const app = await openCoins({ store });
  await using again = await Node.over(app, validator(app, coinsChain([next])));
  assert.equal((await again.info()).height, 2);
  const made = [await again.block(3, [pays[1] as Uint8Array]), await other.block(3, [pays[1] as Uint8Array])];
  for (const { txResults } of made) assert.equal(Buffer.from(txResults[0].data).readBigUInt64LE(), 7n);
  assert.deepEqual(await again.info(), await other.info());
  assert.deepEqual(await again.codes(4, []), []);
});

// ---- heights, and what is there already ------------------------------------------------------------------

test("heights are CometBFT's, for queries, contracts and the end of a transaction's time", async () => {
  const store = newStore();
  const node = await Node.open({ store });
  await node.initChain({ initialHeight: 100n });
  assert.equal((await node.info()).height, 0);
  await assert.rejects(node.finalize(1, []), /STATE/);
  const late = node.call(alice, 5, "Coins.pay", { to: bob.address, amount: 1n }, 100);
  assert.deepEqual(await node.codes(100, [node.pay(alice, 0, 1)]), [0]);
  assert.deepEqual(await node.codes(101, [late, node.pay(alice, 1, 1)]), [CODES.expired, 0]);
  assert.deepEqual([await node.balance(alice, 100), await node.balance(alice, 101)], [999_999, 999_998]);
  assert.match(String(await node.balance(alice, 99)), /^NOT_RETAINED/);
  await node.close();
  await using again = await Node.open({ store });
  assert.equal((await again.info()).height, 101);
});

test("InitChain is asked again after a crash; an app of another chain says what to do", async () => {
  const store = newStore();
  const node = await Node.open({ store });
  const { appHash } = await node.initChain();
  await node.close();
  await using again = await Node.open({ store });
  assert.deepEqual((await again.initChain()).appHash, appHash);
  await again.block(1, []);
  await assert.rejects(again.initChain(), /OTHER_CHAIN: .* at height 1: restore the data of CometBFT/);
});

test("the call that the chain starts with gets the genesis file; if it fails there is no chain", async () => {
  const genesis = ({ Network }: Record<string, Record<string, (args?: object) => never>>, request: never) => {
    const { validators } = request as { validators: { power: bigint }[] };
    return Network?.begin?.({ doubleSigners: validators.map(() => alice.address) });
  };
  await using node = await Node.open({}, { ...coinsChain(), genesis: genesis as never });
  const pubKey = { sum: { case: "ed25519", value: new Uint8Array(32) } };
  await node.initChain({ validators: [{ pubKey, power: 1n }] });
  assert.equal(node.app.state.evidence?.size, 1);
  const pay = ({ Coins }: Record<string, Record<string, (args?: object) => never>>) =>
    Coins?.pay?.({ to: bob.address, amount: 1n });
  await using other = await Node.open({}, { ...coinsChain(), genesis: pay as never });
  await assert.rejects(other.initChain(), /SETUP_FAILED: .*no account/);
  assert.equal(other.app.head.height, 1);
});

test("an App that trusts callers is refused, and one with blocks of its own", async () => {
  const setup = { Coins: { owner: owner.address, holders: [], amount: 0n } };
  await using trusting = await App.open({ program, workers: 1, setup });
  assert.throws(() => validator(trusting), { code: "BAD_OPTION", message: /"authenticate"/ });
  await using app = await openCoins();
  await app.produce();
  assert.throws(() => validator(app), { code: "BAD_OPTION", message: /made by its validator/ });
});
