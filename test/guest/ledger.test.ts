/**
 * The ledger program alone, with a test in the place of parent and kernel that copies messages into its
 * memory and runs the items one after the other: against the sequential reference on random and on real
 * blocks, and on messages that are wrong.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";
import fc from "fast-check";
import type { LedgerBlock } from "../../examples/ledger/block.ts";
import { listBlocks, readBlock } from "../../examples/ledger/block.ts";
import { decodeResult, encodeBlock } from "../../examples/ledger/encode.ts";
import { readExpected } from "../../examples/ledger/expected.ts";
import { applyBlock, type LedgerResult } from "../../examples/ledger/reference.ts";
import { compileGuest } from "../../runtime/compile.ts";
import * as abi from "../../syscalls/abi.ts";
import { allBlocks, OWN_BLOCKS } from "../shared-data.ts";
import { type Guest, instantiateBytes, ROOT, SEED } from "./harness.ts";

const MAX = (1n << 256n) - 1n;
const PROGRAM = new Uint8Array(32).fill(7);

let code: Uint8Array;
before(async () => {
  code = await compileGuest(join(ROOT, "examples/ledger/guest/ledger.ts"));
});

const HEADER = 128;
const STATE_BYTES = 16 << 20;

/** A ledger that was started, as a batch finds it. */
async function instantiateLedger(): Promise<Guest> {
  const ledger: Guest = await instantiateBytes(code, { accumulate: (request) => add(ledger, request) });
  return ledger;
}

/** What the kernel does for the ledger: an addition without bounds. */
function add(ledger: Guest, request: number): number {
  const address = ledger.view().getUint32(request + abi.ACCUMULATE_ADDRESS, true);
  const width = ledger.view().getUint32(request + abi.ACCUMULATE_WIDTH, true);
  assert.equal(address % width, 0);
  const sum = ledger.readInteger(address, width) + ledger.readInteger(request + abi.ACCUMULATE_DELTA, width);
  if (sum > MAX) return 0;
  ledger.writeInteger(address, width, sum);
  return 1;
}

/** What the root does: prepare, copy, begin, a batch, copy, finish, copy back. */
function execute(ledger: Guest, message: Uint8Array): Uint8Array {
  const [accounts, transactions] = counts(message);
  const begin = Math.min(message.length, HEADER + 64 * accounts);
  const inbox = Number(ledger.call64("prepare", BigInt(begin)));
  assert.equal(inbox % 4096, 0);
  ledger.write(inbox, message.subarray(0, begin));
  const at = Number(ledger.call64("begin", BigInt(begin)));
  const statuses: number[] = [];
  const size = ledger.memory.buffer.byteLength - STATE_BYTES;
  const before = ledger.bytes(STATE_BYTES, size).slice();
  for (let i = 0; i < transactions; i++) {
    ledger.write(STATE_BYTES, message.subarray(begin + 128 * i, begin + 128 * (i + 1)));
    statuses.push(Number(ledger.call64("pay", 128n)));
    ledger.write(STATE_BYTES, before);
  }
  ledger.write(at, Uint8Array.from(statuses));
  const result = Number(ledger.call64("finish", 0n));
  assert.equal(result + 128, at);
  return ledger.bytes(result, 128 + transactions).slice();
}

/** Accounts and transactions of a message, none where it is cut. */
function counts(message: Uint8Array): [number, number] {
  if (message.length < HEADER) return [0, 0];
  const view = new DataView(message.buffer, message.byteOffset);
  return [view.getUint32(4, true), view.getUint32(8, true)];
}

function compare(ledger: Guest, block: LedgerBlock): LedgerResult {
  const { ledgerHash, ...result } = decodeResult(execute(ledger, encodeBlock(block, PROGRAM)));
  assert.equal(ledgerHash, "0".repeat(64), "the root's to fill in");
  assert.deepEqual(result, applyBlock(block), `block ${block.number}`);
  return result;
}

// ---- real blocks -----------------------------------------------------------------------------------------

test("the repository's blocks give the reference's results, one after the other in one process", async () => {
  const ledger = await instantiateLedger();
  for (const file of listBlocks(OWN_BLOCKS)) compare(ledger, readBlock(file));
});

test("all real blocks give the expected digests", async (t) => {
  const directory = allBlocks(t);
  if (directory === undefined) return;
  const ledger = await instantiateLedger();
  const expected = readExpected(directory);
  const files = listBlocks(directory);
  assert.equal(files.length, expected.size);
  for (const file of files) {
    const block = readBlock(file);
    const result = compare(ledger, block);
    assert.equal(result.stateDigest, expected.get(block.number)?.stateDigest, `block ${block.number}`);
  }
});

// ---- random blocks ---------------------------------------------------------------------------------------

const amount = fc.oneof(
  fc.bigInt(0n, 1000n),
  fc.bigInt(0n, 10n ** 21n),
  fc.constantFrom(0n, MAX / 8n, MAX / 21_000n, MAX / 21_000n + 1n, MAX - 1n, MAX),
);
const price = fc.oneof(fc.bigInt(0n, 10n ** 9n), fc.constantFrom(MAX / 21_000n, MAX / 21_000n + 1n, MAX));

/**
 * Few accounts and nonces, so that sender, receiver and miner coincide and a good part of the transactions
 * applies.
 */
const blocks: fc.Arbitrary<LedgerBlock> = fc
  .record({
    names: fc.uniqueArray(fc.nat(0xffff), { minLength: 1, maxLength: 6 }),
    balances: fc.array(fc.oneof(fc.bigInt(0n, 10n ** 24n), fc.constantFrom(0n, MAX / 8n)), {
      minLength: 6,
      maxLength: 6,
    }),
    nonces: fc.array(fc.nat(2), { minLength: 6, maxLength: 6 }),
    baseFeePerGas: fc.oneof(fc.constant(0n), fc.bigInt(0n, 10n ** 9n)),
    transactions: fc.array(fc.tuple(fc.nat(5), fc.option(fc.nat(5)), amount, price, fc.nat(3)), {
      maxLength: 40,
    }),
    miner: fc.nat(5),
    number: fc.nat(),
  })
  .map(({ names, balances, nonces, baseFeePerGas, transactions, miner, number }) => {
    const addresses = names
      .map((name) => `0x${(BigInt(name) * 0x1_0001_0001_0001n).toString(16).padStart(40, "0")}`)
      .sort();
    const pick = (i: number): string => addresses[i % addresses.length]!;
    const used = new Map<string, number>(addresses.map((address, i) => [address, nonces[i]!]));
    return {
      number,
      timestamp: 0,
      miner: pick(miner),
      baseFeePerGas,
      accounts: new Map(
        addresses.map((address, i) => [
          address,
          { balance: balances[i]!, nonce: nonces[i]!, contract: i % 2 === 1 },
        ]),
      ),
      transactions: transactions.map(([from, to, value, over, skew]) => {
        const nonce = used.get(pick(from))!;
        if (skew > 0) used.set(pick(from), nonce + 1); // most nonces are right if all goes well
        const gasPrice = baseFeePerGas + over > MAX ? MAX : baseFeePerGas + over;
        return {
          from: pick(from),
          to: to === null ? null : pick(to),
          value,
          nonce,
          gasLimit: 21_000,
          gasPrice,
          inputBytes: 0,
        };
      }),
    } as unknown as LedgerBlock;
  });

test("random blocks give the reference's results", async () => {
  const ledger = await instantiateLedger();
  const seen = [0, 0, 0];
  fc.assert(
    fc.property(blocks, (block) => {
      const result = compare(ledger, block);
      for (const status of result.statuses) seen[status]!++;
    }),
    { seed: SEED, numRuns: 500 },
  );
  for (const [status, count] of seen.entries())
    assert.ok(count > 100, `status ${status} was met ${count} times only`);
});

// ---- what persists and what is new -----------------------------------------------------------------------

const A = `0x${"0a".repeat(20)}`;
const B = `0x${"0b".repeat(20)}`;

function simpleBlock(changes: object = {}, transaction: object = {}): LedgerBlock {
  return {
    number: 1,
    timestamp: 2,
    miner: B,
    baseFeePerGas: 1n,
    accounts: new Map([
      [A, { balance: 10n ** 18n, nonce: 0, contract: false }],
      [B, { balance: 0n, nonce: 0, contract: true }],
    ]),
    transactions: [
      { from: A, to: B, value: 5n, nonce: 0, gasLimit: 21_000, gasPrice: 3n, inputBytes: 0, ...transaction },
    ],
    ...changes,
  } as unknown as LedgerBlock;
}

test("accounts stay from block to block; those only named in a transaction begin with nothing", async () => {
  const ledger = await instantiateLedger();
  execute(ledger, encodeBlock(simpleBlock(), PROGRAM));
  const stranger = `0x${"0c".repeat(20)}`;
  // This block lists no account: A continues with nonce 1, the stranger is new.
  const transactions = [
    { from: A, to: stranger, value: 100_000n, nonce: 1, gasLimit: 21_000, gasPrice: 1n, inputBytes: 0 },
    { from: stranger, to: A, value: 79_000n, nonce: 0, gasLimit: 21_000, gasPrice: 1n, inputBytes: 0 },
    { from: stranger, to: A, value: 1n, nonce: 1, gasLimit: 21_000, gasPrice: 1n, inputBytes: 0 },
  ];
  const next = simpleBlock({ accounts: new Map(), transactions });
  assert.deepEqual([...decodeResult(execute(ledger, encodeBlock(next, PROGRAM))).statuses], [0, 0, 2]);
});

test("a nonce of 2^64 - 1 is bad, for it cannot be raised", async () => {
  const ledger = await instantiateLedger();
  const message = encodeBlock(simpleBlock(), PROGRAM);
  const view = new DataView(message.buffer);
  view.setBigUint64(128 + 24, 0xffffffffffffffffn, true);
  view.setBigUint64(128 + 128 + 48, 0xffffffffffffffffn, true);
  assert.equal(decodeResult(execute(ledger, message)).badNonce, 1);
});

// ---- wrong messages --------------------------------------------------------------------------------------

const FIRST_TRANSACTION = HEADER + 2 * 64;

const wrong: [name: string, change: (view: DataView, bytes: Uint8Array) => unknown, expected: RegExp][] = [
  ["version", (view) => view.setUint32(0, 2, true), /version: expected 1, got 2/],
  ["more accounts than there are", (view) => view.setUint32(4, 5, true), /truncated: 5 accounts of 64 bytes/],
  ["a count that overflows", (view) => view.setUint32(4, 0x04000001, true), /truncated: 67108865 accounts/],
  ["the reserved word", (view) => view.setUint32(12, 1, true), /reserved word: expected 0, got 1/],
  ["padding", (view) => view.setUint8(127, 1), /padding of the header: not zero/],
  ["a cut header", (_, bytes) => bytes.subarray(0, 100), /truncated/],
  ["nothing", () => new Uint8Array(0), /truncated: 4 bytes at 0 of 0/],
  [
    "equal addresses",
    (_, bytes) => bytes.copyWithin(HEADER + 64, HEADER, HEADER + 20),
    /account 1: addresses do not/,
  ],
  [
    "unknown flags of an account",
    (view) => view.setUint32(HEADER + 20, 2, true),
    /account 0: unknown flags 2/,
  ],
  ["unknown flags", (view) => view.setUint32(FIRST_TRANSACTION + 40, 4, true), /ledger: unknown flags/],
  [
    "a creation with a receiver",
    (view) => view.setUint32(FIRST_TRANSACTION + 40, 1, true),
    /a creation with a receiver/,
  ],
  [
    "a low gas price",
    (view) => view.setUint32(FIRST_TRANSACTION + 96, 0, true),
    /gas price below the base fee/,
  ],
  [
    "a credit that does not fit",
    (_, bytes) => bytes.fill(0xff, HEADER + 64 + 32, HEADER + 128),
    /a balance exceeds 2\^256 - 1/,
  ],
];

for (const [name, change, expected] of wrong) {
  test(`a message with a wrong part aborts: ${name}`, async () => {
    const ledger = await instantiateLedger();
    const message = encodeBlock(simpleBlock(), PROGRAM);
    const changed = change(new DataView(message.buffer), message);
    assert.throws(() => execute(ledger, changed instanceof Uint8Array ? changed : message), expected);
  });
}

test("a message of another length than announced is not read", async () => {
  const ledger = await instantiateLedger();
  ledger.call64("prepare", 128n);
  for (const length of [-1n, 4097n, 1n << 40n]) {
    assert.throws(() => ledger.call64("begin", length), /longer than what was prepared/);
  }
  for (const length of [-1n, 0n, 127n, 129n])
    assert.throws(() => ledger.call64("pay", length), /not a transaction/);
  for (const length of [-1n, 1n << 31n])
    assert.throws(() => ledger.call64("prepare", length), /length out of range/);
});
