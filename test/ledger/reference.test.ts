/** The reference implementation agrees with the independent results, and follows each rule of the ledger. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { LedgerBlock, Transaction } from "../../examples/ledger/block.ts";
import { listBlocks, readBlock } from "../../examples/ledger/block.ts";
import { differences, readExpected } from "../../examples/ledger/expected.ts";
import { APPLIED, applyBlock, BAD_NONCE, INSUFFICIENT } from "../../examples/ledger/reference.ts";
import { allBlocks, OWN_BLOCKS } from "../shared-data.ts";

function compareAll(directory: string, count: number): void {
  const expected = readExpected(directory);
  const files = listBlocks(directory);
  assert.equal(files.length, count);
  for (const file of files) {
    const result = applyBlock(readBlock(file));
    assert.deepEqual(differences(expected.get(result.number)!, result), []);
  }
}

test("the reference agrees with expected.json on the repository's blocks", () => compareAll(OWN_BLOCKS, 12));

test("the reference agrees with expected.json on all blocks", (t) => {
  const directory = allBlocks(t);
  if (directory !== undefined) compareAll(directory, 57);
});

test("a difference names the block, the value and both sides", () => {
  const result = applyBlock(block([]));
  const { statuses: _, ...same } = result;
  assert.deepEqual(differences(same, result), []);
  assert.deepEqual(differences({ ...same, applied: 7 }, result), [
    "block 1: applied is 0, expected.json says 7",
  ]);
});

const [ALICE, BOB, MINER] = ["a", "b", "c"].map((digit) => `0x${digit.repeat(40)}`) as [
  string,
  string,
  string,
];
const BASE_FEE = 3n;
const GAS_PRICE = 5n;
const FEE = 21_000n * GAS_PRICE;

function block(transactions: readonly Partial<Transaction>[], balance = 10n ** 6n): LedgerBlock {
  const account = { balance: 0n, nonce: 0, contract: false };
  return {
    number: 1,
    timestamp: 0,
    miner: MINER,
    baseFeePerGas: BASE_FEE,
    accounts: new Map([
      [ALICE, { ...account, balance }],
      [BOB, account],
      [MINER, account],
    ]),
    transactions: transactions.map((transaction) => ({
      from: ALICE,
      to: BOB,
      value: 1n,
      nonce: 0,
      gasLimit: 21_000,
      gasPrice: GAS_PRICE,
      inputBytes: 0,
      ...transaction,
    })),
  };
}

const cases: { name: string; block: LedgerBlock; statuses: number[]; burned: bigint }[] = [
  { name: "a transfer burns the base fee", block: block([{}]), statuses: [APPLIED], burned: 63_000n },
  {
    name: "a creation burns its value too",
    block: block([{ to: null, value: 9n }]),
    statuses: [APPLIED],
    burned: 63_009n,
  },
  {
    name: "a nonce that is not the sender's changes nothing",
    block: block([{ nonce: 1 }, { nonce: 0 }, { nonce: 0 }, { nonce: 1 }]),
    statuses: [BAD_NONCE, APPLIED, BAD_NONCE, APPLIED],
    burned: 126_000n,
  },
  {
    name: "value and fee may take the whole balance",
    block: block([{ value: 7n }], FEE + 7n),
    statuses: [APPLIED],
    burned: 63_000n,
  },
  {
    name: "one wei less is insufficient",
    block: block([{ value: 7n }], FEE + 6n),
    statuses: [INSUFFICIENT],
    burned: 0n,
  },
  {
    name: "the nonce is looked at before the balance",
    block: block([{ nonce: 4 }], 0n),
    statuses: [BAD_NONCE],
    burned: 0n,
  },
  {
    name: "a fee beyond 2^256 is insufficient",
    block: block([{ gasPrice: 2n ** 256n - 1n }]),
    statuses: [INSUFFICIENT],
    burned: 0n,
  },
  {
    name: "value received can be spent by the next transaction",
    block: block([{ value: FEE + 1n }, { from: BOB, to: ALICE, value: 1n }]),
    statuses: [APPLIED, APPLIED],
    burned: 126_000n,
  },
  {
    name: "sender and receiver may be the same account",
    block: block([{ to: ALICE, value: 5n }], FEE + 5n),
    statuses: [APPLIED],
    burned: 63_000n,
  },
];

for (const { name, block, statuses, burned } of cases) {
  test(name, () => {
    const result = applyBlock(block);
    assert.deepEqual([...result.statuses], statuses);
    assert.equal(result.burned, burned);
  });
}
