/** Scenarios on every kind of runtime: they agree, and what does not is found, explained and shrunk. */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { type App, expectDeterministic, ScenarioRunner, type ScenarioStep } from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { testAccounts } from "../../runtime/node/accounts.ts";
import { seeded } from "../seed.ts";

const bank = await compileGuest(
  fileURLToPath(new URL("../../examples/project/guest/bank.ts", import.meta.url)),
);
const people = testAccounts()
  .map(({ address }) => address)
  .slice(0, 3);
const [alice, bob] = people as [`0x${string}`, `0x${string}`];
const options = { program: bank, setup: { Bank: { holders: people, amount: 100n } } };

let supply = 300n;
const invariant = ({ state }: App): void => {
  const balances = people.map((who) => state.accounts?.get(who) as { balance: bigint });
  const sum = balances.reduce((total, { balance }) => total + balance, 0n);
  assert.equal(sum, supply, "payments keep the supply");
};
const runner = await ScenarioRunner.open({ ...options, invariant });
after(() => runner.close());
const pay = (from: number, to: number, amount: number) => ({
  call: runner.client.Bank?.pay?.({ to: people[to], amount: BigInt(amount) }) as never,
  from: people[from] as `0x${string}`,
});

const person = fc.nat(people.length - 1);
const block = fc.array(fc.tuple(person, person, fc.nat(120)), { maxLength: 6 });
const steps = fc.array(
  fc.oneof(
    block.map((calls): ScenarioStep => ({ block: calls.map((call) => pay(...call)) })),
    fc.nat(3).map((revert): ScenarioStep => ({ revert })),
    fc.tuple(fc.nat(3), fc.array(block, { maxLength: 2 })).map(
      ([reorg, blocks]): ScenarioStep => ({
        reorg,
        blocks: blocks.map((calls) => calls.map((call) => pay(...call))),
      }),
    ),
  ),
  { maxLength: 5 },
);

test("random blocks, reverts and reorgs come out the same on every runtime", async (t) => {
  await fc.assert(
    fc.asyncProperty(steps, (each) => runner.check(each)),
    seeded(t, 6),
  );
});

test("an invariant that does not hold is shrunk to the shortest scenario", async (t) => {
  supply = 299n;
  const { counterexample } = await fc.check(
    fc.asyncProperty(steps, (each) => runner.check(each)),
    seeded(t, 20),
  );
  supply = 300n;
  assert.equal(counterexample?.[0].length, 1);
});

test("what depends on the run is found, and explained", async () => {
  let turn = 0;
  // A host that orders transactions by chance: replicas would part.
  const order: NonNullable<Parameters<typeof expectDeterministic>[0]["order"]> = (waiting) =>
    turn++ % 2 === 0 ? waiting : waiting.toReversed();
  const found = expectDeterministic({ ...options, order }, ({ Bank }) => [
    {
      block: [
        { call: Bank?.pay?.({ to: bob, amount: 70n }) as never, from: alice },
        { call: Bank?.pay?.({ to: bob, amount: 60n }) as never, from: alice },
      ],
    },
  ]);
  await assert.rejects(found, (error: Error) => {
    assert.match(
      error.message,
      /^the scenario came out differently: step 1 of 1, on two threads, in parallel\n/,
    );
    assert.match(
      error.message,
      /transaction 1 ended with value 40, 1 events, \d+ gas\n {2}and in a loop .* value 30,/,
    );
    assert.match(error.message, /\/1 /);
    return true;
  });
});
