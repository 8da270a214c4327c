/**
 * Upgrades of an App: the program changes in a block, its state stays, and everything that an App tells
 * follows the block that it looks at.
 */

import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { App, type AppOptions, type Outcome, Signer, signed, TestContract } from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { readInterface } from "../../runtime/typed/interface.ts";
import { checkUpgrade } from "../../runtime/typed/upgrade.ts";
import { alice, bank, bob, closing } from "./bank.ts";
import { BANK, project, write } from "./project.ts";

/** Accounts are counted, by a migration first, and by mint from then on; minting twice is refused. */
const COUNTED = BANK.replace("record, transaction", "migrate, record, transaction")
  .replace("const FEE: u64 = 1;", "const FEE: u64 = 2;")
  .replace(
    "const fees",
    "const active = new StateMap<Address, u64>(1000);\nconst count = new StateCell<u64>();\nconst fees",
  )
  .replace(
    "  /** Makes money. */",
    `  @migrate countAll(): void {
    for (let at = accounts.next(0); at != 0; at = accounts.next(at)) {
      if (accounts.valueAt(at).balance == 13) fail("unlucky");
      active.set(accounts.keyAt(at), block.height);
      count.add(1);
    }
    scratch = 99; // stillpoint-allow
  }
  @view counted(): u64 { return count.value * 1000 + scratch; }
`,
  )
  .replace("const FEE", "let scratch: u64 = 5;\nconst FEE");

let directory: string;
let first: Uint8Array;
let counted: Uint8Array;

before(async () => {
  directory = project({ "bank.ts": BANK });
  first = await compileGuest(join(directory, "bank.ts"));
  const app = closing(await App.open({ program: first, workers: 1 }));
  write(directory, { "bank.ts": COUNTED });
  await app.upgrade({ contract: join(directory, "bank.ts") });
  counted = await compileGuest(join(directory, "bank.ts"));
});

async function open(options: Partial<AppOptions> = {}): Promise<App> {
  const given = options.contract === undefined ? { program: first } : {};
  return closing(await App.open({ ...given, workers: 1, ...options }));
}

const short = (outcome: Outcome): unknown => (outcome.ok ? outcome.value : outcome.error);
const call = (app: App, name: string, args: object = {}) => bank(app)[name]?.(args) as never;

async function send(app: App, name: string, args: object, from = alice): Promise<unknown> {
  const outcome = app.submit(call(app, name, args), { from });
  await app.produce();
  return short((await outcome) as Outcome);
}

test("an upgrade without a lock file leaves all state where it is, appends, and writes the file", () => {
  const [old, now] = [first, counted].map((program) => readInterface(program));
  const places = (of: typeof old) => Object.fromEntries(of?.state.map(({ name, at }) => [name, at]) ?? []);
  const { active, count, ...same } = places(now);
  assert.deepEqual(same, places(old));
  assert.ok(active! >= old!.stateBytes && count! > active!);
  const lock = JSON.parse(readFileSync(join(directory, "bank.layout.json"), "utf8"));
  assert.deepEqual(Object.keys(lock.state).sort(), ["accounts", "active", "count", "fees"]);
});

test("state stays, migrations run once, and the rest is the new program's", async () => {
  const app = await open();
  assert.equal(await send(app, "mint", { to: alice, amount: 100n }), 100n);
  assert.equal(await send(app, "mint", { to: bob, amount: 50n }), 50n);
  const before = app.head;
  const old = call(app, "balanceOf", { who: alice });
  assert.throws(() => app.state.count, /there is no state count; there are: accounts, fees/);
  const waits = app.submit(call(app, "pay", { from: alice, to: bob, amount: 8n }), { from: alice });
  const { outcomes, block } = await app.upgrade(
    { program: counted },
    { time: app.head.height * 1_000 + 4e12 },
  );
  assert.deepEqual([outcomes, app.waiting.length, app.head.id], [[], 1, block.id]);
  assert.equal(app.state.count?.value, 2n);
  assert.equal(app.state.active?.get(alice), BigInt(before.height));
  assert.deepEqual(app.state.accounts?.get(alice), { balance: 100n, nonce: 0n });
  // What the migration left in private memory is gone.
  assert.equal(short((await app.query(call(app, "counted"))) as Outcome), 2005n);
  await app.produce({ time: 5e12 });
  assert.equal(short((await waits) as Outcome), 90n);
  // Blocks and calls mean what they meant to their program.
  assert.equal(short((await app.query(old, { on: before })) as Outcome), 100n);
  const early = (await app.query(call(app, "counted"), { on: before })) as Outcome;
  assert.equal(short(early), "no such function");
  await app.revert(before);
  assert.equal(bank(app).counted, undefined);
  assert.throws(() => app.state.count, /there is no state count/);
  assert.equal(await send(app, "pay", { from: alice, to: bob, amount: 8n }), 91n);
});

test("a TestContract is upgraded as an App is, and stays what it was", async () => {
  const [app, old] = [await open(), await TestContract.open(first)];
  const mint = (who: string, amount: bigint) => call(app, "mint", { to: who, amount });
  for (const [who, amount] of [
    [alice, 100n],
    [bob, 50n],
  ] as const) {
    await send(app, "mint", { to: who, amount });
    old.call(mint(who, amount), { height: app.head.height, time: 7 });
  }
  await app.upgrade({ program: counted });
  const renewed = await old.upgrade(counted);
  assert.deepEqual(renewed.state.active?.entries(), app.state.active?.entries());
  assert.deepEqual(renewed.state.accounts?.entries(), app.state.accounts?.entries());
  assert.equal(short(renewed.call(call(app, "counted"))), 2005n);
  assert.throws(() => old.state.count, /there is no state count/);
  assert.equal(short(old.call(mint(alice, 1n))), 101n);
  assert.equal(short((await renewed.upgrade(counted)).call(call(app, "counted"))), 2005n, "only once");

  const poor = await TestContract.open(first);
  poor.call(mint(alice, 13n));
  await assert.rejects(poor.upgrade(counted), {
    code: "MIGRATION_FAULT",
    message: /^the migration failed: unlucky at bank\.ts:\d+$/,
  });
  await assert.rejects(renewed.upgrade(first), { code: "STATE_MOVED" });
});

test("candidates, replicas, restarts and forks have the program of their block", async () => {
  const store = join(project({}), "state");
  const [app, replica] = [await open({ store }), await open()];
  app.submit(call(app, "mint", { to: alice, amount: 100n }), { from: alice });
  await replica.apply((await app.produce()).message);
  const before = app.head;
  const proposal = await app.execute({ upgrade: { program: counted } });
  assert.equal(bank(app).counted, undefined);
  assert.equal(await countedIn(app, proposal.block), 1005n);
  await app.commit(proposal);
  assert.equal(app.state.count?.value, 1n);

  const { message } = proposal;
  await assert.rejects(replica.apply(message), { code: "UPGRADE", message: /"allowUpgrade: true"/ });
  await assert.rejects(replica.execute({ message }), { code: "UPGRADE" });
  await assert.rejects(replica.reorg({ to: 1, blocks: [message] }), { code: "UPGRADE" });
  for (const at of [4, 20, 60]) {
    const changed = message.slice();
    changed[at]! ^= 1;
    await assert.rejects(replica.apply(changed, { allowUpgrade: true }), { code: "BAD_ARGUMENT" });
  }
  const applied = await replica.apply(message, { allowUpgrade: true });
  assert.equal(applied.block.id, proposal.block.id);
  app.submit(call(app, "pay", { from: alice, to: bob, amount: 8n }), { from: alice });
  const paid = await app.produce();
  assert.deepEqual((await replica.apply(paid.message)).outcomes.map(short), [90n]);
  await replica.revert(before.height);
  const blocks = [message, paid.message];
  const { added } = await replica.reorg({ to: before.height, blocks, allowUpgrade: true });
  assert.deepEqual([added.length, replica.head.id], [2, paid.block.id]);
  await app.close();

  const again = await open({ store, program: counted });
  assert.equal(again.head.id, paid.block.id);
  assert.equal(await send(again, "pay", { from: alice, to: bob, amount: 8n }), 80n);
  const branch = closing(await again.fork({ at: before.height }));
  assert.equal(bank(branch).counted, undefined);
  await again.close();
  await branch.close();
  const same = await App.open({ store, workers: 1 }); // what the store has, whatever that is
  assert.equal(same.state.count?.value, 1n);
  await same.close();
});

/** What `counted` gives in a block that has it. */
async function countedIn(app: App, block: App["head"]): Promise<unknown> {
  const branch = await app.fork({ at: block });
  try {
    return short((await branch.query(call(branch, "counted"))) as Outcome);
  } finally {
    await branch.close();
  }
}

test("a store whose program differs is told to upgrade, or which state would move", async () => {
  const store = join(project({}), "state");
  const app = await open({ store });
  await send(app, "mint", { to: alice, amount: 13n });
  await app.close();
  await assert.rejects(open({ store, program: counted }), {
    code: "UPGRADE",
    message: /another program .* then upgrade it: await app\.upgrade\(\{ program \}\)\. If nobody needs/,
  });
  // Under a lock file of its own, all that comes behind "active" lies elsewhere.
  const moving = join(project({ "bank.ts": COUNTED }), "bank.ts");
  const moved = await compileGuest(moving);
  const words = /state fees lies at \d+ and would move to \d+/;
  await assert.rejects(open({ store, program: moved }), { code: "STATE_MOVED", message: words });
  const again = await open({ store });
  await assert.rejects(again.upgrade({ program: moved }), { code: "STATE_MOVED", message: words });
  // From its source, it goes where there is room.
  await assert.rejects(open({ store, contract: moving }), { code: "STORE_LOCKED" });
  const where = { code: "MIGRATION_FAULT", message: /^the migration failed: unlucky at bank.ts:\d+\. There/ };
  await assert.rejects(again.upgrade({ contract: moving }), where);
  assert.deepEqual(again.state.accounts?.get(alice), { balance: 13n, nonce: 0n });
  assert.equal(await send(again, "mint", { to: alice, amount: 1n }), 14n);
  await again.upgrade({ contract: moving });
  await assert.rejects(again.upgrade({ contract: moving }), /there is nothing to upgrade/);
  await again.close();
  rmSync(join(moving, "..", "bank.layout.json"));
  const found = await open({ store, contract: moving });
  assert.equal(found.state.count?.value, 1n);
  assert.ok(!existsSync(join(moving, "..", "bank.layout.json")));
});

test("what differs between programs, for those who decide", () => {
  const [old, now] = [first, counted].map((program) => readInterface(program));
  const forth = checkUpgrade(old!, now!);
  assert.deepEqual(
    { ...forth },
    {
      problems: [],
      added: ["active", "count"],
      gone: [],
      lost: [],
      migrations: ["Bank.countAll"],
      which: 1n,
    },
  );
  const back = checkUpgrade(now!, old!);
  assert.deepEqual([back.gone, back.lost, back.migrations], [["active", "count"], ["Bank.counted"], []]);
  assert.match(back.problems.join(), /^the state has \d+ bytes and would have \d+$/);
  const fields = JSON.parse(JSON.stringify(old).replaceAll('"nonce"', '"number"'));
  assert.match(
    checkUpgrade(old!, fields).problems.join(),
    /state accounts is StateMap<bytes20, .*nonce: u64 }>\(1000\) and would be .*number: u64 }>\(1000\)/,
  );
  const over = {
    ...now!,
    state: now!.state.map((each) => (each.name === "fees" ? { ...each, name: "f" } : each)),
  };
  assert.match(checkUpgrade(old!, over).problems.join(), /state f would lie at \d+, where state fees is/);
});

test("signed transactions continue over an upgrade, and gas limits change with the rules", async () => {
  const app = await open({ authenticate: signed({ chain: "upgrades" }) });
  const by = Signer.generate();
  const mint = (amount: bigint) => app.submit(call(app, "mint", { to: by.address, amount }), { by });
  const first = mint(7n);
  await app.produce();
  const { block } = await app.upgrade({ program: counted, rules: { gasLimit: 2_000_000_000 } });
  assert.deepEqual([app.runtime.rules().gasLimit, app.runtime.rules(block.height - 1).gasLimit], [2e9, 1e10]);
  const second = mint(8n);
  await app.produce();
  assert.deepEqual([short(await first), short(await second)], [7n, 15n]);
  await app.upgrade({ rules: { gasLimit: 3_000_000_000 } });
  assert.equal(app.runtime.rules().gasLimit, 3e9);
});
