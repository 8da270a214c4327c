/**
 * Real and made-up blocks through the runtime: results are the reference's, roots do not depend on the
 * workers.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { loadGuest } from "../../examples/guests.ts";
import { type LedgerBlock, listBlocks, readBlock } from "../../examples/ledger/block.ts";
import { decodeResult, encodeBlock } from "../../examples/ledger/encode.ts";
import { differences, readExpected } from "../../examples/ledger/expected.ts";
import { applyBlock } from "../../examples/ledger/reference.ts";
import { programHash, Runtime } from "../../runtime/index.ts";
import { seeded } from "../seed.ts";
import { allBlocks, OWN_BLOCKS } from "../shared-data.ts";

const root = await loadGuest("ledger/root");
const ledger = await loadGuest("ledger/ledger");
const LEDGER_HASH = programHash(ledger);

/** Runs `use` with a runtime of its own. */
async function withRuntime<T>(workers: number, use: (runtime: Runtime) => Promise<T>): Promise<T> {
  const runtime = await Runtime.open({ root, programs: [ledger], workers });
  try {
    return await use(runtime);
  } finally {
    await runtime.close();
  }
}

/** Runs all blocks of a directory, compares every result, and returns the roots. */
async function runAll(directory: string, workers: number): Promise<string[]> {
  const expected = readExpected(directory);
  return withRuntime(workers, async (runtime) => {
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

test("the repository's blocks end as expected, with the same roots for 1 and 4 workers", async () => {
  const roots = await runAll(OWN_BLOCKS, 1);
  assert.equal(new Set(roots).size, 12);
  assert.deepEqual(await runAll(OWN_BLOCKS, 4), roots);
});

test("all blocks end as expected, with the same roots for 1 and 4 workers", async (t) => {
  const directory = allBlocks(t);
  if (directory === undefined) return;
  const roots = await runAll(directory, 1);
  assert.equal(roots.length, 57);
  assert.deepEqual(await runAll(directory, 4), roots);
});

test("reverted blocks give the same roots when they are produced again", async () => {
  const metadata = listBlocks(OWN_BLOCKS).map((file) => encodeBlock(readBlock(file), LEDGER_HASH));
  await withRuntime(2, async (runtime) => {
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

// ---- made-up blocks ---------------------------------------------------------------------------------------

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
  await withRuntime(2, (runtime) =>
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
