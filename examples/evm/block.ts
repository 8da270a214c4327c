/**
 * A block file: one Ethereum block with its signed transactions, the state that they read, and what the chain
 * recorded of it. Nothing from a file is trusted; README.md beside this file shows one.
 */

import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { UsageError } from "../../runtime/errors.ts";
import { Field } from "../ledger/field.ts";
import { encodeRlp, type Item } from "./rlp.ts";

/** Sets of rules, in their order; the guest knows them by these numbers (guest/rules.ts). */
export const FORKS: ReadonlyMap<string, number> = new Map([
  ["frontier", 0],
  ["homestead", 1],
  ["dao", 1],
  ["tangerineWhistle", 2],
  ["spuriousDragon", 3],
  ["byzantium", 4],
  ["constantinople", 5],
  ["petersburg", 6],
  ["istanbul", 7],
  ["muirGlacier", 7],
  ["berlin", 8],
  ["london", 9],
  ["arrowGlacier", 9],
  ["grayGlacier", 9],
  ["paris", 10],
  ["shanghai", 11],
  ["cancun", 12],
]);
export const BYZANTIUM = 4;

export interface EvmAccount {
  /** 20 bytes as an integer. */
  readonly address: bigint;
  readonly balance: bigint;
  readonly nonce: bigint;
  /** Keccak-256 of its code in hex, or null. */
  readonly codeHash: string | null;
  readonly storage: readonly (readonly [key: bigint, value: bigint])[];
}

/** What the chain recorded, in hex. */
export interface Expected {
  readonly gasUsed: bigint;
  readonly receiptsRoot: string;
  readonly transactionsRoot: string;
  readonly logsBloom: string;
}

export interface SignedTransaction {
  /** As it is hashed (EIP-2718). */
  readonly bytes: Uint8Array;
  /** What the file says: for comparison only. */
  readonly hash: string;
  readonly from: string | null;
  /** Null: it creates a contract. */
  readonly to: bigint | null;
}

export interface EvmBlock {
  readonly fork: string;
  readonly number: bigint;
  readonly timestamp: bigint;
  readonly gasLimit: bigint;
  readonly miner: bigint;
  readonly baseFee: bigint;
  /** Difficulty before Paris, the beacon chain's randomness after. */
  readonly randao: bigint;
  readonly excessBlobGas: bigint;
  readonly beaconRoot: Uint8Array | null;
  readonly withdrawals: readonly { readonly address: bigint; readonly amount: bigint }[];
  readonly blockHashes: readonly (readonly [number: bigint, hash: Uint8Array])[];
  readonly accounts: readonly EvmAccount[];
  readonly transactions: readonly SignedTransaction[];
  readonly expected: Expected;
}

const BLOCK_FILE = /^(\d+)\.json\.gz$/;

/**
 * The paths of all `<number>.json.gz` in `directory`, in ascending order of number.
 *
 * @throws {UsageError} NO_DIRECTORY or NO_BLOCKS
 */
export function listBlocks(directory: string): string[] {
  const names = namesIn(directory).filter((name) => BLOCK_FILE.test(name));
  if (names.length === 0) {
    const message =
      `${directory}: holds no block; a block is a file <number>.json.gz, for example 46147.json.gz, ` +
      "with the codes that it names in codes-*.json.gz beside it";
    throw new UsageError("NO_BLOCKS", message, { directory });
  }
  const numberOf = (name: string): number => Number(BLOCK_FILE.exec(name)?.[1]);
  return names.sort((a, b) => numberOf(a) - numberOf(b)).map((name) => join(directory, name));
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (cause) {
    const message = `${directory}: cannot be read as a directory; give one that holds files <number>.json.gz`;
    throw new UsageError("NO_DIRECTORY", message, { directory }, { cause });
  }
}

function readCompressed(file: string): string {
  try {
    return gunzipSync(readFileSync(file)).toString("utf8");
  } catch (cause) {
    const why = (cause as Error).message;
    const message = `${file}: cannot be read: ${why}; replace the file by an intact copy`;
    throw new UsageError("BAD_BLOCK_FILE", message, { file, path: "" }, { cause });
  }
}

/**
 * Codes by their Keccak-256 in hex, from all `codes-*.json.gz` in a directory.
 *
 * @throws {UsageError} NO_DIRECTORY, BAD_BLOCK_FILE
 */
export function readCodes(directory: string): ReadonlyMap<string, Uint8Array> {
  const codes = new Map<string, Uint8Array>();
  for (const name of namesIn(directory).filter((name) => /^codes-\d+\.json\.gz$/.test(name))) {
    const file = join(directory, name);
    for (const [hash, code] of Field.ofText(readCompressed(file), file).members()) {
      codes.set(code.named(hash).hex(32), bytes(code));
    }
  }
  return codes;
}

/**
 * Reads and checks one block file.
 *
 * @throws {UsageError} BAD_BLOCK_FILE
 */
export function readBlock(file: string): EvmBlock {
  const block = parseBlock(readCompressed(file), file);
  if (basename(file) !== `${block.number}.json.gz`) {
    const message = `${file}: env.number: the file holds block ${block.number}; give it that name`;
    throw new UsageError("BAD_BLOCK_FILE", message, {
      file,
      path: "env.number",
      found: String(block.number),
    });
  }
  return block;
}

/** Checks the text of a block file; `file` is what errors call it. */
export function parseBlock(text: string, file: string): EvmBlock {
  const root = Field.ofText(text, file);
  const forkField = root.member("fork");
  const fork = forkField.value;
  if (typeof fork !== "string" || !FORKS.has(fork)) {
    return forkField.reject("a known fork", `write one of ${[...FORKS.keys()].join(", ")}`);
  }
  const env = root.member("env");
  const london = (FORKS.get(fork) as number) >= 9;
  const merged = (FORKS.get(fork) as number) >= 10;
  const has = (name: string): boolean => Object.hasOwn(env.value as object, name);
  const accounts = root
    .member("accounts")
    .members()
    .map(([key, account]) => parseAccount(key, account));
  const addresses = new Set(accounts.map(({ address }) => address));
  if (addresses.size !== accounts.length) root.member("accounts").reject("each address once", "join the two");
  const expected = root.member("expected");
  return {
    fork,
    number: quantity(env.member("number"), 64),
    timestamp: quantity(env.member("timestamp"), 64),
    gasLimit: quantity(env.member("gasLimit"), 64),
    miner: quantity(env.member("miner"), 160),
    baseFee: london ? quantity(env.member("baseFeePerGas"), 256) : 0n,
    randao: quantity(env.member(merged ? "mixHash" : "difficulty"), 256),
    excessBlobGas: has("excessBlobGas") ? quantity(env.member("excessBlobGas"), 64) : 0n,
    beaconRoot: has("parentBeaconBlockRoot") ? fixed(env.member("parentBeaconBlockRoot"), 32) : null,
    withdrawals: has("withdrawals")
      ? env
          .member("withdrawals")
          .elements()
          .map((one) => ({
            address: quantity(one.member("address"), 160),
            amount: quantity(one.member("amount"), 64),
          }))
      : [],
    blockHashes: root
      .member("blockHashes")
      .members()
      .map(([number, hash]) => [decimal(hash.named(number)), fixed(hash, 32)] as const),
    accounts,
    transactions: root.member("transactions").elements().map(parseTransaction),
    expected: {
      gasUsed: quantity(expected.member("gasUsed"), 64),
      receiptsRoot: expected.member("receiptsRoot").hex(32),
      transactionsRoot: expected.member("transactionsRoot").hex(32),
      logsBloom: expected.member("logsBloom").hex(256),
    },
  };
}

function parseAccount(key: string, account: Field): EvmAccount {
  const fields = account.value as object;
  const storage = Object.hasOwn(fields, "storage") ? account.member("storage").members() : [];
  return {
    address: quantity(account.named(key), 160),
    balance: quantity(account.member("balance"), 256),
    nonce: BigInt(account.member("nonce").integer()),
    codeHash: Object.hasOwn(fields, "codeHash") ? account.member("codeHash").hex(32) : null,
    storage: storage.map(
      ([slot, value]) => [quantity(value.named(slot), 256), quantity(value, 256)] as const,
    ),
  };
}

function parseTransaction(field: Field): SignedTransaction {
  const has = (name: string): boolean => Object.hasOwn(field.value as object, name);
  const isCreation = !has("to") || field.member("to").value === null;
  return {
    bytes: encodeTransaction(field, isCreation),
    hash: field.member("hash").hex(32),
    from: has("from") ? field.member("from").hex(20) : null,
    to: isCreation ? null : quantity(field.member("to"), 160),
  };
}

function encodeTransaction(field: Field, isCreation: boolean): Uint8Array {
  const type = Number(quantity(field.member("type"), 8));
  if (type > 3) {
    return field.member("type").reject("a type from 0x0 to 0x3", "leave transactions of other types out");
  }
  const number = (name: string, bits = 256): bigint => quantity(field.member(name), bits);
  const to = isCreation ? new Uint8Array(0) : fixed(field.member("to"), 20);
  const common: Item[] = [number("gas", 64), to, number("value"), bytes(field.member("input"))];
  const signature = [number("v"), number("r"), number("s")];
  if (type === 0) return encodeRlp([number("nonce", 64), number("gasPrice"), ...common, ...signature]);
  const typed = (fields: readonly Item[]) => Buffer.concat([Buffer.of(type), encodeRlp(fields)]);
  const access = accessList(field.member("accessList"));
  const first = [number("chainId", 64), number("nonce", 64)];
  if (type === 1) return typed([...first, number("gasPrice"), ...common, access, ...signature]);
  const fees = [number("maxPriorityFeePerGas"), number("maxFeePerGas")];
  if (type === 2) return typed([...first, ...fees, ...common, access, ...signature]);
  const blobs = field
    .member("blobVersionedHashes")
    .elements()
    .map((blob) => fixed(blob, 32));
  return typed([...first, ...fees, ...common, access, number("maxFeePerBlobGas"), blobs, ...signature]);
}

function accessList(field: Field): Item {
  return field.elements().map((entry) => [
    fixed(entry.member("address"), 20),
    entry
      .member("storageKeys")
      .elements()
      .map((key) => fixed(key, 32)),
  ]);
}

// ---- values -----------------------------------------------------------------------------------------------

/** An integer as hexadecimal digits. */
function quantity(field: Field, bits: number): bigint {
  const { value } = field;
  if (
    typeof value !== "string" ||
    !/^0x[0-9a-fA-F]{1,64}$/.test(value) ||
    BigInt(value) >> BigInt(bits) !== 0n
  ) {
    field.reject(`an integer below 2^${bits}`, "write it as a string of 0x and hexadecimal digits");
  }
  return BigInt(value);
}

function decimal(field: Field): bigint {
  const { value } = field;
  if (typeof value !== "string" || !/^\d{1,18}$/.test(value)) {
    field.reject("a block number", "write it as a string of decimal digits");
  }
  return BigInt(value);
}

function fixed(field: Field, length: number): Uint8Array {
  return Buffer.from(field.hex(length).slice(2), "hex");
}

/** Bytes of any length as hexadecimal digits. */
function bytes(field: Field): Uint8Array {
  const { value } = field;
  if (typeof value !== "string" || !/^0x([0-9a-fA-F]{2})*$/.test(value)) {
    field.reject("bytes", "write them as a string of 0x and pairs of hexadecimal digits");
  }
  return Buffer.from(value.slice(2), "hex");
}
