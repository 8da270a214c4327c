/**
 * Real and made-up blocks through the runtime: results are the reference's, roots do not depend on workers
 * and runner.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { loadGuest } from "../../examples/guests.ts";
import { type LedgerBlock, listBlocks, readBlock } from "../../examples/ledger/block.ts";
import { decodeResult, encodeBlock } from "../../examples/ledger/encode.ts";
import { differences, readExpected } from "../../examples/ledger/expected.ts";
import { applyBlock } from "../../examples/ledger/reference.ts";
import { type BatchReport, programHash, Runtime, type RuntimeOptions } from "../../runtime/index.ts";
import { seeded } from "../seed.ts";
import { allBlocks, OWN_BLOCKS } from "../shared-data.ts";
import { sized } from "../sizes.ts";

const root = await loadGuest("ledger/root");
const ledger = await loadGuest("ledger/ledger");
const LEDGER_HASH = programHash(ledger);
const STALL = new URL("../batch/steps/stall.ts", import.meta.url).href;

type Options = Partial<RuntimeOptions>;

/** Ways to run the same blocks. `force`: all batches in parallel, whatever it costs. */
const WAYS: readonly Options[] = [
  { workers: 1, runner: "sequential" },
  { workers: 4, runner: "sequential" },
  ...sized([2], [1, 2]).map((workers) => ({ workers })),
  ...sized([4], [1, 2, 4, 8]).map((workers) => ({ workers, debug: { force: true } })),
  { workers: 2, debug: { force: true, paranoid: true } },
];

/** Runs `use` with a runtime of its own. */
async function withRuntime<T>(options: Options, use: (runtime: Runtime) => Promise<T>): Promise<T> {
  const runtime = await Runtime.open({ root, programs: [ledger], ...options });
  try {
    return await use(runtime);
  } finally {
    await runtime.close();
  }
}

/** Runs all blocks of a directory, compares every result, and returns the roots. */
async function runAll(directory: string, options: Options): Promise<string[]> {
  const expected = readExpected(directory);
  return withRuntime(options, async (runtime) => {
    const roots: string[] = [];
    for (const file of listBlocks(directory)) {
      const block = readBlock(file);
      const { data, root } = await runtime.produce(encodeBlock(block, LEDGER_HASH));
      const { ledgerHash, ...result } = decodeResult(data);
      assert.deepEqual(differences(expected.get(block.number)!, result), []);
      assert.deepEqual(result, applyBlock(block));
      assert.match(ledgerHash, /^[0-9a-f]{64}$/);
      roots.push(root);
    }
    return roots;
  });
}

/** Runs all blocks in all ways; the roots, which are the same. */
async function runInAllWays(directory: string): Promise<string[]> {
  const [first, ...others] = WAYS;
  const roots = await runAll(directory, first!);
  for (const options of others) {
    assert.deepEqual(await runAll(directory, options), roots, JSON.stringify(options));
  }
  return roots;
}

test("the repository's blocks end as expected, with the same roots in all ways to run them", async () => {
  assert.equal(new Set(await runInAllWays(OWN_BLOCKS)).size, 12);
});

test("all blocks end as expected, with the same roots in all ways to run them", async (t) => {
  const directory = allBlocks(t);
  if (directory !== undefined) assert.equal((await runInAllWays(directory)).length, 57);
});

test("a batch that is forced runs in parallel, and waits where one sender signs all", async () => {
  const reports: BatchReport[] = [];
  const options = {
    workers: 2,
    debug: { force: true },
    onBatch: (report: BatchReport) => reports.push(report),
  };
  await withRuntime(options, async (runtime) => {
    for (const number of [13_287_210, 19_807_137]) {
      const block = readBlock(join(OWN_BLOCKS, `${number}.json`));
      await runtime.produce(encodeBlock(block, LEDGER_HASH));
    }
  });
  for (const { parallel, executions } of reports) assert.ok(parallel > 0 && executions >= parallel);
  assert.deepEqual(
    reports.map(({ entry, items }) => [entry, items]),
    [
      ["pay", 1414],
      ["pay", 712],
    ],
  );
});

test("a report names the accounts over which transactions met", async () => {
  const reports: BatchReport[] = [];
  const options = { workers: 4, debug: { force: true, steps: STALL } };
  const onBatch = (report: BatchReport): void => void reports.push(report);
  const block = readBlock(join(OWN_BLOCKS, "13287210.json"));
  await withRuntime({ ...options, onBatch }, async (runtime) => {
    const places = () => reports.flatMap(({ contended }) => contended);
    const accounts = () =>
      places().filter((place) => place.kind === "memory" && /^accounts/.test(place.name ?? ""));
    // Who meets whom depends on the threads.
    for (let round = 0; round < 20 && accounts().length === 0; round++) {
      if (round > 0) await runtime.revert(0);
      await runtime.produce(encodeBlock(block, LEDGER_HASH));
    }
    assert.ok(accounts().length > 0);
    for (const place of places()) {
      assert.ok(place.kind === "memory" && place.count > 0);
      assert.deepEqual(place.process, [1]);
      const number = /^accounts\[(\d+)\]$/.exec(place.name ?? "")?.[1];
      if (number === undefined || Number(number) >= block.accounts.size) continue;
      const address = Buffer.from(runtime.read(place.process, place.address, 20)).toString("hex");
      assert.equal(`0x${address}`, [...block.accounts.keys()].sort()[Number(number)]);
    }
  });
});

test("a block whose message breaks the format fails, and says where", async () => {
  const block = readBlock(join(OWN_BLOCKS, "46147.json"));
  const FIRST_TRANSACTION = 128 + 64 * block.accounts.size;
  const cases: [change: (view: DataView) => void, expected: RegExp][] = [
    [(view) => view.setUint32(0, 2, true), /version: expected 1, got 2/],
    [(view) => view.setUint32(8, 0, true), /128 bytes too many/],
    [(view) => view.setUint32(8, 0xffffffff, true), /truncated: 4294967295 transactions/],
    [
      (view) => view.setUint32(12, 1, true),
      /child 1 faulted: abort: block: reserved word: expected 0, got 1/,
    ],
    [
      (view) => view.setUint32(128 + 20, 6, true),
      /child 1 faulted: abort: ledger: account 0: unknown flags 6/,
    ],
    [(view) => view.setUint32(FIRST_TRANSACTION + 40, 4, true), /transaction 0 faulted: abort \(line \d+ of/],
    [(view) => view.setUint8(32, view.getUint8(32) ^ 1), /make the ledger: E_BAD_PROGRAM/],
  ];
  await withRuntime({ workers: 1 }, async (runtime) => {
    const empty = runtime.head.root;
    for (const [change, expected] of cases) {
      const message = encodeBlock(block, LEDGER_HASH);
      change(new DataView(message.buffer));
      await assert.rejects(runtime.produce(message), expected);
      assert.equal(runtime.head.root, empty);
    }
    await runtime.produce(encodeBlock(block, LEDGER_HASH));
    const other = encodeBlock(block, new Uint8Array(32));
    await assert.rejects(runtime.produce(other), /the block names another program/);
    await assert.rejects(
      runtime.produce(encodeBlock(block, LEDGER_HASH), { gasLimit: 50_000_000 }),
      /pay: E_GAS/,
    );
  });
});

test("reverted blocks give the same roots when they are produced again", async () => {
  const metadata = listBlocks(OWN_BLOCKS).map((file) => encodeBlock(readBlock(file), LEDGER_HASH));
  await withRuntime({ workers: 2 }, async (runtime) => {
    const produceAll = async (): Promise<string[]> => {
      const roots: string[] = [];
      for (const bytes of metadata) roots.push((await runtime.produce(bytes)).root);
      return roots;
    };
    const start = runtime.head;
    const roots = await produceAll();
    await runtime.revert(start);
    assert.equal(runtime.head.root, start.root);
    assert.deepEqual(await produceAll(), roots);
  });
});

// ---- made-up blocks --------------------------------------------------------------------------------------

const ADDRESSES = Array.from({ length: 6 }, (_, i) => `0x${String(i).repeat(40)}`);

const amount = fc.oneof(
  fc.bigInt({ min: 0n, max: 10n ** 7n }),
  fc.bigInt({ min: 0n, max: 2n ** 128n }),
  fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
);
/** Six of them together stay below 2^256. */
const balance = fc.oneof(amount, fc.bigInt({ min: 0n, max: 10n ** 12n })).map((value) => value >> 3n);
const address = fc.constantFrom(...ADDRESSES);

const block: fc.Arbitrary<LedgerBlock> = fc
  .record({
    number: fc.nat(),
    timestamp: fc.nat(),
    miner: address,
    baseFeePerGas: fc.constantFrom(0n, 1n, 10n),
    balances: fc.array(balance, { minLength: ADDRESSES.length, maxLength: ADDRESSES.length }),
    nonces: fc.array(fc.constantFrom(0, 0, 1, 2 ** 32, 2 ** 53 - 100), { minLength: 6, maxLength: 6 }),
    drafts: fc.array(
      fc.record({
        from: address,
        to: fc.option(address),
        value: amount,
        tip: fc.oneof(fc.constantFrom(0n, 1n, 5n), fc.bigInt({ min: 0n, max: 2n ** 255n })),
        nonceSlip: fc.constantFrom(0, 0, 0, 0, 1, -1),
        gasLimit: fc.nat(),
        inputBytes: fc.nat(),
      }),
      { maxLength: 40 },
    ),
  })
  .map(({ balances, nonces, drafts, ...header }) => {
    const next = new Map(ADDRESSES.map((each, i) => [each, nonces[i]!]));
    const accounts = ADDRESSES.map(
      (each, i) => [each, { balance: balances[i]!, nonce: nonces[i]!, contract: i % 2 === 1 }] as const,
    );
    const transactions = drafts.map(({ tip, nonceSlip, ...draft }) => {
      const nonce = Math.max(0, next.get(draft.from)! + nonceSlip);
      if (nonceSlip === 0) next.set(draft.from, nonce + 1); // right as long as the sender can pay
      return { ...draft, nonce, gasPrice: header.baseFeePerGas + tip };
    });
    return { ...header, accounts: new Map(accounts), transactions };
  });

test("made-up blocks with every status end as in the reference", async (t) => {
  const seen = new Set<number>();
  await withRuntime({ workers: 2, debug: { force: true } }, (runtime) =>
    fc.assert(
      fc.asyncProperty(block, async (made) => {
        const { data } = await runtime.produce(encodeBlock(made, LEDGER_HASH));
        const { ledgerHash: _, ...result } = decodeResult(data);
        assert.deepEqual(result, applyBlock(made));
        for (const status of result.statuses) seen.add(status);
      }),
      seeded(t, 200),
    ),
  );
  assert.deepEqual([...seen].sort(), [0, 1, 2]);
});
