/**
 * Block files that are wrong in every way one can think of are refused, with the place and what stood there.
 */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { listBlocks, parseBlock, readBlock } from "../../examples/ledger/block.ts";
import { readExpected } from "../../examples/ledger/expected.ts";
import { UsageError } from "../../runtime/errors.ts";
import { OWN_BLOCKS } from "../shared-data.ts";

const GOOD = readFileSync(join(OWN_BLOCKS, "46147.json"), "utf8");
const MINER = "0xe6a7a1d47ff21b6321162aea7c6cb457d5476bca";
const SENDER = "0xa1e4380a3b1f749673e270229993ee55f35663b4";

// biome-ignore lint/suspicious/noExplicitAny: the point is to write anything anywhere
type Json = any;

/** The good file after `change`. */
function changed(change: (block: Json) => unknown): string {
  const block = JSON.parse(GOOD);
  change(block);
  return JSON.stringify(block);
}

test("a good file becomes a block with sorted accounts and exact amounts", () => {
  const block = parseBlock(GOOD, "good.json");
  assert.equal(block.number, 46147);
  assert.deepEqual([...block.accounts.keys()], [...block.accounts.keys()].sort());
  assert.equal(block.accounts.get(SENDER)!.balance, 2000n * 10n ** 18n);
  assert.equal(block.transactions[0]!.gasPrice, 50_000_000_000_000n);
});

test("addresses may be written in upper case", () => {
  const block = parseBlock(GOOD.replaceAll(SENDER, `0x${SENDER.slice(2).toUpperCase()}`), "good.json");
  assert.equal(block.transactions[0]!.from, SENDER);
});

const account = (block: Json): Json => block.accounts[SENDER];
const transaction = (block: Json): Json => block.transactions[0];

const wrong: { name: string; text: string; path: string; found: RegExp }[] = [
  { name: "an empty file", text: "", path: "", found: /is not JSON/ },
  { name: "a truncated file", text: GOOD.slice(0, 500), path: "", found: /is not JSON/ },
  { name: "a list", text: "[]", path: "", found: /found a list of 0/ },
  { name: "null", text: "null", path: "", found: /found null/ },
  ...["number", "hash", "parentHash", "timestamp", "miner", "baseFeePerGas", "gasLimit"].map((name) => ({
    name: `no ${name}`,
    text: changed((block) => delete block[name]),
    path: name,
    found: /no such field/,
  })),
  ...["accounts", "transactions"].map((name) => ({
    name: `no ${name}`,
    text: changed((block) => delete block[name]),
    path: name,
    found: /no such field/,
  })),
  ...["hash", "from", "to", "value", "nonce", "gasLimit", "gasPrice", "inputBytes"].map((name) => ({
    name: `a transaction without ${name}`,
    text: changed((block) => delete transaction(block)[name]),
    path: `transactions[0].${name}`,
    found: /no such field/,
  })),
  ...["balance", "nonce", "contract"].map((name) => ({
    name: `an account without ${name}`,
    text: changed((block) => delete account(block)[name]),
    path: `accounts["${SENDER}"].${name}`,
    found: /no such field/,
  })),
  ...[-1, 1.5, 2 ** 53, 1e300, "7", null, true, [], {}].map((value) => ({
    name: `the nonce ${JSON.stringify(value)}`,
    text: changed((block) => {
      transaction(block).nonce = value;
    }),
    path: "transactions[0].nonce",
    found: /expected a whole number/,
  })),
  ...[5, "-1", "", "01", "0x10", "1.5", "1e3", " 1", String(2n ** 256n), "9".repeat(100_000), null].map(
    (value) => ({
      name: `the value ${JSON.stringify(value).slice(0, 30)}`,
      text: changed((block) => {
        transaction(block).value = value;
      }),
      path: "transactions[0].value",
      found: /expected an amount below 2\^256/,
    }),
  ),
  ...["", "0x", "0xzz", SENDER.slice(2), `${SENDER}00`, SENDER.slice(0, -1), 7, null].map((value) => ({
    name: `the sender ${JSON.stringify(value)}`,
    text: changed((block) => {
      transaction(block).from = value;
    }),
    path: "transactions[0].from",
    found: /expected 20 bytes/,
  })),
  {
    name: "more input bytes than 32 bits hold",
    text: changed((block) => {
      transaction(block).inputBytes = 2 ** 32;
    }),
    path: "transactions[0].inputBytes",
    found: /to 4294967295, found 4294967296/,
  },
  {
    name: "a transaction that is a number",
    text: changed((block) => block.transactions.push(7)),
    path: "transactions[1]",
    found: /expected an object, found 7/,
  },
  {
    name: "transactions as an object",
    text: changed((block) => {
      block.transactions = {};
    }),
    path: "transactions",
    found: /expected a list, found an object/,
  },
  {
    name: "accounts as a list",
    text: changed((block) => {
      block.accounts = [];
    }),
    path: "accounts",
    found: /expected an object, found a list of 0/,
  },
  {
    name: "an account under something that is no address",
    text: changed((block) => {
      block.accounts.__proto__x = account(block);
    }),
    path: 'accounts["__proto__x"]',
    found: /expected 20 bytes/,
  },
  {
    name: "an account whose contract is a number",
    text: changed((block) => {
      account(block).contract = 0;
    }),
    path: `accounts["${SENDER}"].contract`,
    found: /expected true or false, found 0/,
  },
  {
    name: "an address twice, in upper and lower case",
    text: changed((block) => {
      block.accounts[`0x${SENDER.slice(2).toUpperCase()}`] = account(block);
    }),
    path: "accounts",
    found: /found 0xa1e4380a3b1f749673e270229993ee55f35663b4 twice/,
  },
  {
    name: "the very same key twice",
    text: GOOD.replace('"accounts":{', `"accounts":{"${SENDER}":{"balance":"1","nonce":0,"contract":false},`),
    path: "accounts",
    found: /twice; remove all but one/,
  },
  {
    name: "a sender without an account",
    text: changed((block) => delete block.accounts[SENDER]),
    path: "transactions[0].from",
    found: /expected an address listed under accounts.*add its account/,
  },
  {
    name: "a miner without an account",
    text: changed((block) => delete block.accounts[MINER]),
    path: "miner",
    found: /expected an address listed under accounts/,
  },
  {
    name: "balances that together do not fit",
    text: changed((block) => {
      account(block).balance = String(2n ** 256n - 1n);
    }),
    path: "accounts",
    found: /together stay below 2\^256/,
  },
  {
    name: "a gas price below the base fee",
    text: changed((block) => {
      block.baseFeePerGas = "50000000000001";
    }),
    path: "transactions[0].gasPrice",
    found: /at least baseFeePerGas \(50000000000001\), found "50000000000000"/,
  },
];

for (const { name, text, path, found } of wrong) {
  test(`${name} is refused at ${path || "the file"}`, () => {
    assert.throws(
      () => parseBlock(text, "some/file.json"),
      (error) => {
        assert.ok(error instanceof UsageError);
        assert.equal(error.code, "BAD_BLOCK_FILE");
        assert.equal(error.facts.path, path);
        assert.match(error.message, found);
        assert.ok(error.message.startsWith("some/file.json: "), "names the file");
        assert.ok(error.message.length < 400, "does not print the file");
        return true;
      },
    );
  });
}

test("directories and files that cannot be read are refused by name", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const refuses = (run: () => unknown, code: string): void =>
    assert.throws(run, (error) => error instanceof UsageError && error.code === code);

  refuses(() => listBlocks(join(directory, "none")), "NO_DIRECTORY");
  writeFileSync(join(directory, "expected.json"), "[{}]");
  writeFileSync(join(directory, "notes.json"), "{}");
  refuses(() => listBlocks(directory), "NO_BLOCKS");
  refuses(() => readBlock(join(directory, "1.json")), "BAD_BLOCK_FILE");
  refuses(() => readExpected(directory), "BAD_BLOCK_FILE");
  writeFileSync(join(directory, "10.json"), GOOD);
  refuses(() => readBlock(join(directory, "10.json")), "BAD_BLOCK_FILE");
  writeFileSync(join(directory, "9.json"), GOOD);
  assert.deepEqual(listBlocks(directory), [join(directory, "9.json"), join(directory, "10.json")]);
});
