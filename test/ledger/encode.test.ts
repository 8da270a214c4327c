/** Blocks and results cross to the guest and back byte for byte as encode.ts draws them. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { readBlock } from "../../examples/ledger/block.ts";
import { decodeResult, encodeBlock } from "../../examples/ledger/encode.ts";
import { UsageError } from "../../runtime/errors.ts";
import { OWN_BLOCKS } from "../shared-data.ts";

const PROGRAM = Uint8Array.from({ length: 32 }, (_, i) => i + 1);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** Little-endian hexadecimal digits of `value` in `bytes` bytes. */
function little(value: bigint | number, bytes: number): string {
  return hex(
    Buffer.from(
      BigInt(value)
        .toString(16)
        .padStart(2 * bytes, "0"),
      "hex",
    ).reverse(),
  );
}

test("a block becomes a header, sorted accounts and transactions", () => {
  const block = readBlock(join(OWN_BLOCKS, "116525.json"));
  const bytes = Buffer.from(encodeBlock(block, PROGRAM));
  const field = (at: number, length: number): string => hex(bytes.subarray(at, at + length));
  const { accounts, transactions } = block;
  assert.equal(bytes.length, 128 + 64 * accounts.size + 128 * transactions.length);
  assert.equal(
    field(0, 16),
    little(1, 4) + little(accounts.size, 4) + little(transactions.length, 4) + little(0, 4),
  );
  assert.equal(field(16, 16), little(block.number, 8) + little(block.timestamp, 8));
  assert.equal(field(32, 32), hex(PROGRAM));
  assert.equal(field(64, 52), little(block.baseFeePerGas, 32) + block.miner.slice(2));
  assert.equal(field(116, 12), little(0, 12));

  let at = 128;
  let previous = "";
  for (const [address, { balance, nonce, contract }] of accounts) {
    assert.ok(address > previous, "ascending");
    previous = address;
    const flags = little(contract ? 1 : 0, 4);
    assert.equal(field(at, 64), address.slice(2) + flags + little(nonce, 8) + little(balance, 32));
    at += 64;
  }
  for (const { from, to, inputBytes, nonce, gasLimit, value, gasPrice } of transactions) {
    const parties = from.slice(2) + (to ?? `0x${"0".repeat(40)}`).slice(2);
    assert.equal(field(at, 48), parties + little(to === null ? 1 : 0, 4) + little(inputBytes, 4));
    assert.equal(
      field(at + 48, 80),
      little(nonce, 8) + little(gasLimit, 8) + little(value, 32) + little(gasPrice, 32),
    );
    at += 128;
  }
  assert.ok(
    transactions.some((transaction) => transaction.to === null),
    "the block has a creation",
  );
});

test("a result is read from any position of its buffer", () => {
  const text = [
    little(46147, 8),
    ...[3, 1, 1, 1].map((count) => little(count, 4)),
    little(0, 8),
    little(2n ** 255n + 7n, 32),
    "ab".repeat(32),
    "cd".repeat(32),
    "000102",
  ].join("");
  const data = Buffer.concat([Buffer.from([9, 9, 9]), Buffer.from(text, "hex")]).subarray(3);
  assert.deepEqual(decodeResult(data), {
    number: 46147,
    transactions: 3,
    applied: 1,
    badNonce: 1,
    insufficient: 1,
    burned: 2n ** 255n + 7n,
    stateDigest: "ab".repeat(32),
    ledgerHash: "cd".repeat(32),
    statuses: Uint8Array.of(0, 1, 2),
  });
});

test("data of another length is refused", () => {
  const wrong = [0, 1, 11, 127, 129].map((length) => new Uint8Array(length));
  for (const data of wrong) {
    assert.throws(
      () => decodeResult(data),
      (error) => error instanceof UsageError && error.code === "BAD_BLOCK_DATA",
    );
  }
});
