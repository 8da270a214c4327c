/**
 * Reorgs of the example contracts, as authors test their own: what a branch did is gone with it, a branch
 * that comes back is the same to the byte, and nothing depends on how the blocks were run.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import {
  App,
  type AppEvent,
  type Block,
  expectDeterministic,
  type Transaction,
} from "../../runtime/app/index.ts";
import { ROOT } from "../guest/harness.ts";

type Functions = Record<string, (args?: object) => Transaction>;
type Client = Record<"Token" | "Names", Functions>;

const contract = join(ROOT, "examples/contracts/guest/app.ts");
const [alice, bob, carol] = ["a1", "b0", "c4"].map((byte) => `0x${byte.repeat(20)}` as const) as [
  `0x${string}`,
  `0x${string}`,
  `0x${string}`,
];
const name = { text: "stillpoint" };
let app: App<Client>;
let call: (name: string, args?: object) => Transaction;
/** Alice and Bob have 300 tokens each here. */
let base: Block;

const callsOf = (client: Client) => (text: string, args?: object) => {
  const [of, method] = text.split(".") as ["Token" | "Names", string];
  return client[of][method]?.(args) as Transaction;
};

before(async () => {
  app = await App.open<Client>({ contract, workers: 1 });
  call = callsOf(app.client);
  await block([alice, call("Token.found", { amount: 600n })]);
  await block([alice, call("Token.transfer", { to: bob, amount: 300n })]);
  base = app.head;
});
beforeEach(() => app.revert(base));
after(() => app.close());

/** Makes a block of these transactions; what became of them, and its message. */
async function block(...transactions: readonly [from: `0x${string}`, call: Transaction][]) {
  for (const [from, each] of transactions) void app.submit(each, { from });
  const { outcomes, message } = await app.produce();
  return { message, ended: outcomes.map((outcome) => (outcome.ok ? "ok" : outcome.error)) };
}

const owner = () => (app.state.names?.get(name) as { owner: string } | undefined)?.owner;
const held = (who: `0x${string}`) => (app.state.balances?.get(who) as { amount: bigint } | undefined)?.amount;

test("a name that was taken on a branch is free on another, and its price was never paid", async () => {
  assert.deepEqual((await block([alice, call("Names.register", { name })])).ended, ["ok"]);
  assert.deepEqual([owner(), held(alice)], [alice, 200n]);
  assert.deepEqual((await block([bob, call("Names.register", { name })])).ended, ["taken"]);

  await app.revert(base);
  assert.deepEqual([owner(), held(alice)], [undefined, 300n]);
  assert.deepEqual((await block([bob, call("Names.register", { name })])).ended, ["ok"]);
  assert.deepEqual([owner(), held(alice), held(bob)], [bob, 300n, 200n]);
});

test("a branch that comes back is the same; what depended on the other one fails", async () => {
  const first = await block([alice, call("Names.register", { name })]);
  const give = [alice, call("Names.give", { name, to: carol })] as const;
  const second = await block([...give]);
  const { id, root } = app.head;
  await app.revert(base);
  await block([bob, call("Names.register", { name })]);
  assert.deepEqual((await block([...give])).ended, ["not yours"]);

  const { removed, added } = await app.reorg({ to: base, blocks: [first.message, second.message] });
  assert.equal(removed.length, 2);
  assert.deepEqual([app.head.id, app.head.root, added.at(-1)?.block.id], [id, root, id]);
  assert.deepEqual([owner(), held(alice), held(bob)], [carol, 200n, 300n]);
});

test("a reorg with a block that is none changes nothing", async () => {
  const { message } = await block([alice, call("Names.register", { name })]);
  const { id } = app.head;
  const other = [message, message.subarray(0, message.length - 1)];
  await assert.rejects(app.reorg({ to: base, blocks: other }), { code: "BLOCK_FAULT" });
  assert.deepEqual([app.head.id, owner()], [id, alice]);
});

test("followers of events get the reverts", async () => {
  const seen: AppEvent[] = [];
  const events = app.events();
  const hearing = (async () => {
    for await (const event of events) {
      seen.push(event);
      if (event.kind === "revert") return;
    }
  })();
  await block([alice, call("Token.transfer", { to: carol, amount: 1n })]);
  await app.revert(base);
  await hearing;
  assert.deepEqual(
    seen.map((event) => (event.kind === "event" ? [event.name, event.fields.amount] : event.kind)),
    [["Transfer", 1n], "revert"],
  );
});

test("reorgs come out the same on every kind of runtime, and no token is lost or made", async () => {
  const supply = ({ state }: App): void => {
    const entries = (state.balances?.entries() ?? []) as [string, { amount: bigint }][];
    const sum = entries.reduce((total, [, { amount }]) => total + amount, 0n);
    assert.equal(sum, state.supply?.value);
  };
  await expectDeterministic<Client>({ contract, invariant: supply }, (client) => {
    const make = callsOf(client);
    const from = (who: `0x${string}`, text: string, args: object) => ({ call: make(text, args), from: who });
    return [
      { block: [from(alice, "Token.found", { amount: 600n })] },
      {
        block: [bob, carol].map((to) => from(alice, "Token.transfer", { to, amount: 200n })),
      },
      { block: [alice, bob, carol].map((who) => from(who, "Names.register", { name })) },
      {
        reorg: 1,
        blocks: [
          [carol, bob, alice].map((who) => from(who, "Names.register", { name })),
          [from(carol, "Names.drop", { name }), from(bob, "Names.register", { name })],
        ],
      },
      { revert: 1 },
      { block: [from(bob, "Names.register", { name }), from(carol, "Names.give", { name, to: bob })] },
    ];
  });
});
