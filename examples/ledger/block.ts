/**
 * A block file: one Ethereum block reduced to what a value ledger needs, as JSON. README.md beside this file
 * shows one.
 *
 * Nothing from a file is trusted. What parseBlock returns is complete, every amount is below 2^256, every
 * address that a transaction names has an account, and all balances together are below 2^256: so no rule of
 * the ledger can overflow one. Anything else is a UsageError that names the file, the place in it, what was
 * found there and what to do.
 */

import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { UsageError } from "../../runtime/errors.ts";
import { Field, readText, U256_LIMIT } from "./field.ts";

/** 20 bytes as lower-case hexadecimal digits with the prefix 0x; so text order is byte order. */
export type Address = string;

export interface Account {
  readonly balance: bigint; // wei
  readonly nonce: number;
  readonly contract: boolean;
}

export interface Transaction {
  readonly from: Address;
  /** Null: a contract creation. */
  readonly to: Address | null;
  readonly value: bigint; // wei
  readonly nonce: number;
  readonly gasLimit: number;
  readonly gasPrice: bigint; // wei, at least the block's baseFeePerGas
  readonly inputBytes: number;
}

export interface LedgerBlock {
  readonly number: number;
  readonly timestamp: number; // seconds
  readonly miner: Address;
  readonly baseFeePerGas: bigint; // wei
  /** Every account that the block touches, as it was before the block, in ascending order of address. */
  readonly accounts: ReadonlyMap<Address, Account>;
  readonly transactions: readonly Transaction[];
}

const U32_MAX = 2 ** 32 - 1;
const BLOCK_FILE = /^(\d+)\.json$/;

/**
 * The paths of all `<number>.json` in `directory`, in ascending order of number.
 *
 * @throws {UsageError} NO_DIRECTORY or NO_BLOCKS
 */
export function listBlocks(directory: string): string[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (cause) {
    const message = `${directory}: cannot be read as a directory; give one that holds files <number>.json`;
    throw new UsageError("NO_DIRECTORY", message, { directory }, { cause });
  }
  const blocks = names.filter((name) => BLOCK_FILE.test(name));
  if (blocks.length === 0) {
    const message = `${directory}: holds no block; a block is a file <number>.json, for example 46147.json`;
    throw new UsageError("NO_BLOCKS", message, { directory });
  }
  const numberOf = (name: string): bigint => BigInt(BLOCK_FILE.exec(name)![1]!);
  return blocks.sort((a, b) => (numberOf(a) < numberOf(b) ? -1 : 1)).map((name) => join(directory, name));
}

/**
 * Reads and checks one block file.
 *
 * @throws {UsageError} BAD_BLOCK_FILE
 */
export function readBlock(file: string): LedgerBlock {
  const block = parseBlock(readText(file), file);
  if (basename(file) !== `${block.number}.json`) {
    const message = `${file}: number: the file holds block ${block.number}; give it that name`;
    throw new UsageError("BAD_BLOCK_FILE", message, { file, path: "number", found: block.number });
  }
  return block;
}

/**
 * Checks the text of a block file; `file` is what errors call it.
 *
 * @throws {UsageError} BAD_BLOCK_FILE
 */
export function parseBlock(text: string, file: string): LedgerBlock {
  const root = Field.ofText(text, file);
  root.member("hash").hex(32);
  root.member("parentHash").hex(32);
  root.member("gasLimit").integer();
  const miner = root.member("miner");
  const header = {
    number: root.member("number").integer(),
    timestamp: root.member("timestamp").integer(),
    miner: miner.hex(20),
    baseFeePerGas: root.member("baseFeePerGas").amount(),
  };
  const accounts = parseAccounts(root.member("accounts"), text);
  if (!accounts.has(header.miner))
    miner.reject("an address listed under accounts", "add the miner's account");
  const transactions = root
    .member("transactions")
    .elements()
    .map((field) => parseTransaction(field, header.baseFeePerGas, accounts));
  return { ...header, accounts, transactions };
}

function parseAccounts(list: Field, text: string): Map<Address, Account> {
  // JSON.parse keeps the last of two equal keys and says nothing, so repeated addresses are looked for in the
  // text.
  const keys = [...text.matchAll(/"(0x[0-9a-f]{40})"\s*:/gi)].map((match) => match[1]!.toLowerCase());
  const seen = new Set<string>();
  for (const key of keys) {
    if (seen.has(key))
      list.reject("each address once", `remove all but one account of ${key}`, `${key} twice`);
    seen.add(key);
  }
  const accounts: [Address, Account][] = list.members().map(([key, field]) => {
    const address = field.named(key).hex(20);
    return [
      address,
      {
        balance: field.member("balance").amount(),
        nonce: field.member("nonce").integer(),
        contract: field.member("contract").boolean(),
      },
    ];
  });
  const total = accounts.reduce((sum, [, account]) => sum + account.balance, 0n);
  if (total >= U256_LIMIT)
    list.reject("balances that together stay below 2^256", "lower them", `a sum of ${total}`);
  return new Map(accounts.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function parseTransaction(
  field: Field,
  baseFee: bigint,
  accounts: ReadonlyMap<Address, Account>,
): Transaction {
  const party = (name: string): Address => {
    const member = field.member(name);
    const address = member.hex(20);
    if (!accounts.has(address)) member.reject("an address listed under accounts", "add its account");
    return address;
  };
  field.member("hash").hex(32);
  const gasPrice = field.member("gasPrice");
  if (gasPrice.amount() < baseFee) {
    gasPrice.reject(`at least baseFeePerGas (${baseFee})`, "give the effective price, base fee included");
  }
  return {
    from: party("from"),
    to: field.member("to").value === null ? null : party("to"),
    value: field.member("value").amount(),
    nonce: field.member("nonce").integer(),
    gasLimit: field.member("gasLimit").integer(),
    gasPrice: gasPrice.amount(),
    inputBytes: field.member("inputBytes").integer(U32_MAX),
  };
}
