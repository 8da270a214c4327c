/** Apps over a log: typed calls, signatures that each replica checks, upgrades. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { App, type AppOptions, Signer, signed } from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { follow, memoryLog, sequence } from "../../runtime/log/index.ts";
import { alice, bank, bob } from "../typed/bank.ts";
import { BANK, project } from "../typed/project.ts";

let program: Uint8Array;
let directory: string;
const opened: App[] = [];

before(async () => {
  directory = project({ "bank.ts": BANK });
  program = await compileGuest(join(directory, "bank.ts"));
});
after(async () => {
  for (const app of opened) await app.close();
});

async function open(options: Partial<AppOptions> = {}): Promise<App> {
  const app = await App.open({ program, workers: 1, ...options });
  opened.push(app);
  return app;
}

test("an app sequences what waits, and another follows it, through an upgrade", async () => {
  const log = memoryLog();
  const [one, two] = [await open(), await open()];
  const sequencer = await sequence(one, log, { writer: "a" });
  const follower = await follow(two, log);
  const minted = one.submit(bank(one).mint?.({ to: alice, amount: 100n }) as never, { from: alice });
  const { block } = await sequencer.produce();
  const outcome = await minted;
  assert.deepEqual(outcome.ok && outcome.value, 100n);
  await sequencer.produce({ upgrade: { program, rules: { processQuota: 9 } } as never });
  one.submit(bank(one).pay?.({ from: alice, to: bob, amount: 30n }) as never, { from: alice });
  await sequencer.produce();
  while ((await follower.metrics()).lag > 0) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.equal(block.height + 2, two.head.height);
  assert.equal(two.head.id, one.head.id);
  const balance = await two.query(bank(two).balanceOf?.({ who: bob }) as never);
  assert.deepEqual(balance.ok && balance.value, 30n);
  const promoted = await follower.promote({ writer: "b" });
  two.submit(bank(two).pay?.({ from: alice, to: bob, amount: 1n }) as never, { from: alice });
  const { outcomes } = await promoted.produce();
  assert.deepEqual(
    outcomes.map(({ ok }) => ok),
    [true],
  );
  await assert.rejects(sequencer.produce(), { code: "LOG_FENCED" });
});

test("a follower checks signatures as the writer does", async () => {
  const authenticate = signed({ chain: "tests" });
  const log = memoryLog();
  const [one, two] = [await open({ authenticate }), await open({ authenticate })];
  const signer = new Signer(new Uint8Array(32).fill(7));
  const sequencer = await sequence(one, log, { writer: "a" });
  const follower = await follow(two, log);
  const to = signer.address;
  one.submit(bank(one).mint?.({ to, amount: 5n }) as never, { by: signer });
  const { outcomes } = await sequencer.produce();
  assert.deepEqual(
    outcomes.map(({ ok }) => ok),
    [true],
  );
  while ((await follower.metrics()).lag > 0) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.deepEqual([two.head.id, await two.nonceOf(to)], [one.head.id, 1n]);
  await follower.stop();
});
