/**
 * The exchange through the runtime: results, balances, keys and reserves are the model's, roots do not
 * depend on workers and runner, and what is refused leaves no trace.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { openExchange } from "../../examples/exchange/demo.ts";
import {
  decodeResults,
  encodeTransactions,
  type Pair,
  type Result,
  STATUSES,
  signTransaction,
  type Wish,
} from "../../examples/exchange/encode.ts";
import { hex, POOL_ADDRESS, ReferenceExchange } from "../../examples/exchange/reference.ts";
import { makeScenario, type Scenario } from "../../examples/exchange/scenario.ts";
import { type ExchangeState, readExchange } from "../../examples/exchange/state.ts";
import { KEYS, Wallet } from "../../examples/exchange/wallet.ts";
import { type BatchReport, type Runtime, type RuntimeOptions, UsageError } from "../../runtime/index.ts";
import { baseSeed } from "../seed.ts";
import { sized } from "../sizes.ts";

type Options = Partial<RuntimeOptions>;

/** Ways to run the same blocks. `force`: all batches in parallel, whatever it costs. */
const WAYS: readonly Options[] = [
  { workers: 1, runner: "sequential" },
  { workers: 2, runner: "sequential" },
  ...sized([2], [1, 2]).map((workers) => ({ workers })),
  ...sized([4], [1, 2, 4, 8]).map((workers) => ({ workers, debug: { force: true } })),
  { workers: 2, debug: { force: true, paranoid: true } },
];
const BLOCK = 50;

async function withExchange<T>(
  scenario: Pick<Scenario, "reserves" | "holders">,
  options: Options,
  use: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  const runtime = await openExchange(scenario, options);
  try {
    return await use(runtime);
  } finally {
    await runtime.close();
  }
}

async function send(runtime: Runtime, transactions: readonly Uint8Array[]): Promise<Result[]> {
  return decodeResults((await runtime.produce(encodeTransactions(transactions))).data);
}

/** What must hold of any state, whatever the model says. */
function checkState(state: ExchangeState, supply: Pair, before: ExchangeState): void {
  for (const token of [0, 1] as const) {
    const sum = [...state.balances[token].values()].reduce((total, balance) => total + balance, 0n);
    assert.equal(sum, supply[token], "no token is made or lost");
    assert.ok(state.balances[token].get(hex(POOL_ADDRESS))! >= state.reserves[token]);
  }
  const product = ([x, y]: readonly [bigint, bigint]): bigint => x * y;
  assert.ok(product(state.reserves) >= product(before.reserves), "the product does not fall");
}

function supplyOf({ reserves, holders }: Pick<Scenario, "reserves" | "holders">): Pair {
  const sum = (token: 0 | 1): bigint =>
    holders.reduce((total, { balances }) => total + balances[token], reserves[token]);
  return [sum(0), sum(1)];
}

/** Runs all of a scenario against the model; the roots of its blocks. */
async function runAll(scenario: Scenario, options: Options): Promise<string[]> {
  const model = new ReferenceExchange(scenario);
  return withExchange(scenario, options, async (runtime) => {
    const roots: string[] = [];
    let before = readExchange(runtime);
    for (let at = 0; at < scenario.transactions.length; at += BLOCK) {
      const part = scenario.transactions.slice(at, at + BLOCK);
      const results = await send(
        runtime,
        part.map(({ bytes }) => bytes),
      );
      assert.deepEqual(
        results,
        part.map(({ order }) => model.apply(order)),
      );
      const state = readExchange(runtime);
      for (const token of [0, 1] as const) {
        assert.deepEqual(sorted(state.balances[token]), sorted(model.balances[token]));
      }
      assert.deepEqual(sorted(state.keys), sorted(model.keys));
      assert.deepEqual(state.reserves, model.reserves);
      checkState(state, supplyOf(scenario), before);
      before = state;
      roots.push(runtime.head.root);
    }
    return roots;
  });
}

function sorted<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

test("a day ends as in the model, with the same roots in all ways to run it", async (t) => {
  const scenario = makeScenario(baseSeed(t), 8);
  const [first, ...others] = WAYS;
  const roots = await runAll(scenario, first!);
  assert.equal(roots.length, Math.ceil(scenario.transactions.length / BLOCK));
  for (const options of others) {
    assert.deepEqual(await runAll(scenario, options), roots, JSON.stringify(options));
  }
});

test("a day has everything that can happen to a well-formed transaction", () => {
  const scenario = makeScenario(1, 12);
  const model = new ReferenceExchange(scenario);
  const statuses = new Set(scenario.transactions.map(({ order }) => model.apply(order).status));
  assert.deepEqual([...statuses].sort(), STATUSES.filter((status) => status !== "malformed").sort());
});

test("both batches run in parallel when they are forced to", async () => {
  const reports: BatchReport[] = [];
  const options = {
    workers: 2,
    debug: { force: true },
    onBatch: (report: BatchReport) => reports.push(report),
  };
  const scenario = makeScenario(2, 2);
  await withExchange(scenario, options, (runtime) =>
    send(
      runtime,
      scenario.transactions.map(({ bytes }) => bytes),
    ),
  );
  assert.deepEqual(
    reports.map(({ entry }) => entry),
    ["verify", "run"],
  );
  for (const { parallel, executions } of reports) assert.ok(parallel > 0 && executions >= parallel);
});

test("a report names the processes and accounts over which orders met", async () => {
  const reports: BatchReport[] = [];
  const onBatch = (report: BatchReport): void => void reports.push(report);
  const steps = new URL("../batch/steps/stall.ts", import.meta.url).href;
  const scenario = makeScenario(3, 12);
  await withExchange(scenario, { workers: 4, debug: { force: true, steps }, onBatch }, async (runtime) => {
    const places = () => reports.flatMap(({ contended }) => contended);
    for (let round = 0; round < 20 && places().length === 0; round++) {
      if (round > 0) await runtime.revert(1);
      await send(
        runtime,
        scenario.transactions.map(({ bytes }) => bytes),
      );
    }
    assert.ok(places().length > 0);
    for (const { count, ...place } of places()) {
      assert.ok(count > 0);
      if (place.kind === "memory") assert.match(place.name ?? "", /^senders\[\d+\]$/);
      else assert.ok(place.kind === "child" && /^2,[012]$/.test(`${place.process}`), JSON.stringify(place));
    }
  });
});

// ---- what is refused -------------------------------------------------------------------------------------

const alice = new Wallet("alice");
const bob = new Wallet("bob");
const SMALL = {
  reserves: [1_000_000n, 1_000_000n] as const,
  holders: [alice, bob].map(({ address }) => ({ address, balances: [1000n, 1000n] as const })),
};
const SWAP: Wish = { kind: "swap", token: 0, amount: 100n, minimum: 0n };

test("a transaction that is refused leaves no trace, in any process", async () => {
  const good = signTransaction(alice, 3, SWAP);
  const changed = (at: number, value: number): Uint8Array => good.with(at, value);
  const cases: readonly [name: string, bytes: Uint8Array, status: Result["status"]][] = [
    ["the same again", good, "replay"],
    ["an older key", signTransaction(alice, 2, SWAP), "replay"],
    ["another amount than was signed", changed(48, 101), "bad signature"],
    ["another's address", good.with(0, good[0]! ^ 1), "bad signature"],
    [
      "signed by another",
      Buffer.concat([alice.address, signTransaction(bob, 0, SWAP).subarray(20)]),
      "bad signature",
    ],
    ["another key's number", changed(80, 4), "bad signature"],
    ["a broken chain", changed(64 + 52 + 500, good[64 + 52 + 500]! ^ 1), "bad signature"],
    ["a broken path", changed(64 + 2196, good[64 + 2196]! ^ 1), "bad signature"],
    ["a key that no wallet has", changed(80, KEYS), "malformed"],
    ["a token that is not there", signTransaction(alice, 4, { ...SWAP, token: 2 as 0 }), "malformed"],
    ["more than there is", signTransaction(alice, 4, { ...SWAP, amount: 901n }), "overdraft"],
    ["as much as numbers hold", signTransaction(alice, 4, { ...SWAP, amount: 2n ** 64n - 1n }), "overdraft"],
    [
      "a price that the pool does not give",
      signTransaction(alice, 4, { ...SWAP, minimum: 100n }),
      "slippage",
    ],
    [
      "a payment of more than there is",
      signTransaction(alice, 4, { kind: "transfer", token: 1, to: bob.address, amount: 5000n }),
      "overdraft",
    ],
  ];
  await withExchange(SMALL, { workers: 2, debug: { force: true } }, async (runtime) => {
    assert.deepEqual(await send(runtime, [good]), [{ status: "applied", received: 99n }]);
    const state = readExchange(runtime);
    assert.equal(state.keys.get(hex(alice.address)), 4);
    const children = () => [0, 1, 2].map((child) => runtime.inspect([2, child])?.hash);
    const memory = () => Buffer.from(runtime.read([2], 0, 1 << 20));
    const before = [children(), memory()];
    const results = await send(
      runtime,
      cases.map(([, bytes]) => bytes),
    );
    results.forEach((result, i) => {
      assert.deepEqual(result, { status: cases[i]![2], received: 0n }, cases[i]![0]);
    });
    assert.deepEqual(readExchange(runtime), state);
    assert.deepEqual([children(), memory()], before);
    // The key of what was refused is not used up on record, and later ones need not be the next.
    assert.equal((await send(runtime, [signTransaction(alice, 9, SWAP)]))[0]?.status, "applied");
  });
});

test("paying oneself, nothing and the pool changes what it says and no more", async () => {
  const pay = (to: Uint8Array, amount: bigint): Wish => ({ kind: "transfer", token: 0, to, amount });
  const stranger = new Uint8Array(20).fill(7);
  await withExchange(SMALL, { workers: 2 }, async (runtime) => {
    const wishes = [pay(bob.address, 1000n), pay(stranger, 0n), pay(POOL_ADDRESS, 7n), pay(stranger, 3n)];
    const results = await send(
      runtime,
      wishes.map((wish, key) => signTransaction(bob, key, wish)),
    );
    assert.ok(results.every(({ status }) => status === "applied"));
    const { balances, reserves } = readExchange(runtime);
    assert.equal(balances[0].get(hex(bob.address)), 990n);
    assert.equal(balances[0].get(hex(stranger)), 3n);
    assert.equal(balances[0].get(hex(POOL_ADDRESS)), 1_000_007n);
    assert.deepEqual(reserves, SMALL.reserves, "the pool counts what is swapped only");
  });
});

test("blocks that break the format fail, and the state stays", async () => {
  await withExchange(SMALL, { workers: 1 }, async (runtime) => {
    const { root } = runtime.head;
    const message = encodeTransactions([signTransaction(alice, 0, SWAP)]);
    const cases: readonly [bytes: Uint8Array, expected: RegExp][] = [
      [message.with(0, 2), /version: expected 1, got 2/],
      [message.with(4, 2), /not such a block now/],
      [message.with(8, 2), /truncated: 2 transactions/],
      [message.with(12, 1), /reserved word/],
      [message.subarray(0, -1), /truncated/],
      [new Uint8Array(0), /truncated/],
    ];
    for (const [bytes, expected] of cases) {
      await assert.rejects(runtime.produce(bytes), expected);
      assert.equal(runtime.head.root, root);
    }
    assert.deepEqual(await send(runtime, []), []);
  });
});

test("wallets with the same seed are the same, and have 32 keys", () => {
  assert.deepEqual(new Wallet("alice").address, alice.address);
  assert.notDeepEqual(bob.address, alice.address);
  assert.deepEqual(new Wallet("alice").sign(alice.address, 5), alice.sign(alice.address, 5));
  for (const key of [-1, KEYS, 1.5]) {
    assert.throws(
      () => alice.sign(alice.address, key),
      (error) => error instanceof UsageError && error.code === "BAD_KEY",
    );
  }
});

test("data of another root is refused", () => {
  for (const data of [new Uint8Array(1), new Uint8Array(17), new Uint8Array(16).fill(9)]) {
    assert.throws(
      () => decodeResults(data),
      (error) => error instanceof UsageError && error.code === "BAD_BLOCK_DATA",
    );
  }
});
