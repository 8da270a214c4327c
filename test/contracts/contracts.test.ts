/** The contracts of the examples: a token, and names that cost it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { App, type Event, type Outcome } from "../../runtime/app/index.ts";
import { ROOT } from "../guest/harness.ts";

const [alice, bob] = ["a1", "b0"].map((byte) => `0x${byte.repeat(20)}` as `0x${string}`) as [
  `0x${string}`,
  `0x${string}`,
];
const treasury = `0x${"00".repeat(20)}`;
type Calls = Record<string, Record<string, (args?: object) => never>>;
let app: App<Calls>;

before(async () => {
  app = await App.open<Calls>({ contract: join(ROOT, "examples/contracts/guest/app.ts"), workers: 1 });
});
after(() => app.close());

/** Runs calls in a block, each as [who, "Contract.function", arguments]; what they gave, or failed with. */
async function run(...calls: [from: `0x${string}`, name: string, args?: object][]) {
  const outcomes = calls.map(([from, name, args]) => {
    const [contract, method] = name.split(".") as [string, string];
    return app.submit(app.client[contract]?.[method]?.(args) as never, { from }) as Promise<Outcome>;
  });
  await app.produce();
  return Promise.all(outcomes);
}

const short = (outcome: Outcome): unknown => (outcome.ok ? outcome.value : outcome.error);
const name = { text: "stillpoint" };

test("tokens: founded once, moved with events, never more than there are", async () => {
  const outcomes = await run(
    [alice, "Token.transfer", { to: bob, amount: 1n }],
    [alice, "Token.found", { amount: 1000n }],
    [bob, "Token.found", { amount: 1000n }],
    [alice, "Token.transfer", { to: bob, amount: 150n }],
    [bob, "Token.transfer", { to: alice, amount: 151n }],
    [bob, "Token.transfer", { to: bob, amount: 150n }],
  );
  assert.deepEqual(outcomes.map(short), [
    "insufficient balance",
    undefined,
    "founded already",
    850n,
    "insufficient balance",
    150n,
  ]);
  const events = outcomes.flatMap((outcome): readonly Event[] => (outcome.ok ? outcome.events : []));
  assert.deepEqual(events[0], { name: "Transfer", fields: { from: alice, to: bob, amount: 150n } });
  const held = app.state.balances?.entries().map(([, value]) => (value as { amount: bigint }).amount) ?? [];
  assert.equal(
    held.reduce((sum, amount) => sum + amount, 0n),
    app.state.supply?.value,
  );
});

test("names: taken for tokens, all or nothing; given, set, dropped by their owner alone", async () => {
  const outcomes = await run(
    [bob, "Names.register", { name }],
    [bob, "Names.register", { name: { text: "again" } }],
    [alice, "Names.register", { name }],
    [alice, "Names.set", { name, value: "mine" }],
    [bob, "Names.set", { name, value: "grüße" }],
    [bob, "Names.give", { name, to: alice }],
    [bob, "Names.drop", { name }],
    [alice, "Names.register", { name: { text: "" } }],
  );
  assert.deepEqual(outcomes.map(short), [
    undefined,
    "insufficient balance",
    "taken",
    "not yours",
    undefined,
    undefined,
    "not yours",
    "no name",
  ]);
  const { names, balances } = app.state;
  assert.deepEqual(names?.get(name), { owner: alice, value: "grüße" });
  assert.equal(names?.size, 1, "what was not paid was not taken");
  assert.deepEqual(
    [bob, treasury].map((who) => balances?.get(who)),
    [{ amount: 50n }, { amount: 100n }],
  );
  assert.deepEqual((await run([alice, "Names.drop", { name }])).map(short), [undefined]);
  assert.equal(names?.has(name), false);
});
