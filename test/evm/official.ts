/**
 * The official state tests (ethereum/legacytests): one transaction on a whole state, and the root of the
 * state and the hash of the logs that must come of it, by fork.
 *
 * npm run evm -- state-tests DIR runs every *.json and *.json.gz in a directory.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { createMPT } from "@ethereumjs/mpt";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { type EvmBlock, FORKS } from "../../examples/evm/block.ts";
import { encodeBlock } from "../../examples/evm/encode.ts";
import { PlainAbort, PlainEvm } from "../../examples/evm/plain.ts";
import { encodeRlp, type Item } from "../../examples/evm/rlp.ts";
import { loadGuest } from "../../examples/guests.ts";
import { UsageError } from "../../runtime/errors.ts";

/** Forks as the tests name them. */
const NAMES: Readonly<Record<string, string>> = {
  Frontier: "frontier",
  Homestead: "homestead",
  EIP150: "tangerineWhistle",
  EIP158: "spuriousDragon",
  Byzantium: "byzantium",
  Constantinople: "constantinople",
  ConstantinopleFix: "petersburg",
  Istanbul: "istanbul",
  Berlin: "berlin",
  London: "london",
  Paris: "paris",
  Shanghai: "shanghai",
  Cancun: "cancun",
};

/** Tests that are left out, by a part of their name, and why. */
const MADE_MINER =
  "the tool that made them pays the miner nothing for an invalid transaction, which makes its account";
export const EXCLUDED: readonly (readonly [part: string, reason: string])[] = [
  ["HighGasPrice (Frontier", MADE_MINER],
  ["HighGasPrice (Homestead", MADE_MINER],
  ["HighGasPrice (EIP150", MADE_MINER],
  [
    "RevertInCreateInInit (",
    "creates a contract at an address with storage and nothing else, which EIP-7610 rules out",
  ],
];

type Hex = string;

export interface StateTest {
  readonly env: Readonly<Record<string, Hex>>;
  readonly pre: Readonly<
    Record<Hex, { balance: Hex; code: Hex; nonce: Hex; storage: Readonly<Record<Hex, Hex>> }>
  >;
  readonly transaction: { readonly sender: Hex; readonly gasLimit: readonly Hex[] };
  readonly post: Readonly<Record<string, readonly Post[]>>;
}

interface Post {
  readonly hash: Hex;
  readonly logs: Hex;
  readonly txbytes: Hex;
  /** Why the transaction is not valid. */
  readonly expectException?: string;
  readonly indexes: { readonly data: number; readonly gas: number; readonly value: number };
}

export interface Tally {
  passed: number;
  readonly failed: string[];
  /** By reason. */
  readonly excluded: Map<string, number>;
}

/**
 * The tests of a file, by name.
 *
 * @throws {UsageError} BAD_TEST_FILE
 */
export function readTests(file: string): [string, StateTest][] {
  const wrong = (why: string): never => {
    throw new UsageError("BAD_TEST_FILE", `${file}: holds no state tests: ${why}`, { file });
  };
  let tests: [string, StateTest][] = [];
  try {
    const bytes = readFileSync(file);
    const text = file.endsWith(".gz") ? gunzipSync(bytes).toString("utf8") : bytes.toString("utf8");
    tests = Object.entries(JSON.parse(text) as Record<string, StateTest>);
  } catch (cause) {
    wrong((cause as Error).message);
  }
  for (const [name, test] of tests) {
    for (const part of ["env", "pre", "transaction", "post"] as const) {
      if (typeof test?.[part] !== "object" || test[part] === null) wrong(`"${name}" has no ${part}`);
    }
    for (const [fork, posts] of Object.entries(test.post)) {
      const good = Array.isArray(posts) && posts.every(({ txbytes, indexes }) => txbytes && indexes);
      if (!good) wrong(`"${name}" has no indexes or txbytes for ${fork}`);
    }
  }
  return tests;
}

/**
 * Files of state tests in a directory and below it.
 *
 * @throws {UsageError} NO_DIRECTORY, NO_TESTS
 */
export function testFiles(directory: string): string[] {
  let names: string[];
  try {
    names = readdirSync(directory, { recursive: true, encoding: "utf8" });
  } catch (cause) {
    const message = `${directory}: cannot be read as a directory; give one of state tests`;
    throw new UsageError("NO_DIRECTORY", message, { directory }, { cause });
  }
  const files = names.filter((name) => /\.json(\.gz)?$/.test(name)).sort();
  if (files.length > 0) return files.map((name) => join(directory, name));
  throw new UsageError("NO_TESTS", `${directory}: holds no state tests (*.json, *.json.gz)`, { directory });
}

/** Runs all cases of files; `program`: the EVM, if not the one of the example. */
export async function runStateTests(files: readonly string[], program?: Uint8Array): Promise<Tally> {
  const module = new WebAssembly.Module((program ?? (await loadGuest("evm/evm"))) as BufferSource);
  let evm = new PlainEvm(module);
  const tally: Tally = { passed: 0, failed: [], excluded: new Map() };
  for (const file of files) {
    for (const [name, test] of readTests(file)) {
      for (const [fork, posts] of Object.entries(test.post)) {
        for (const post of posts) {
          const { data, gas, value } = post.indexes;
          const title = `${name} (${fork}, data ${data}, gas ${gas}, value ${value})`;
          const reason = NAMES[fork]
            ? EXCLUDED.find(([part]) => title.includes(part))?.[1]
            : `the EVM does not have the rules of ${fork}`;
          if (reason !== undefined) {
            tally.excluded.set(reason, (tally.excluded.get(reason) ?? 0) + 1);
            continue;
          }
          const problem = await runCase(evm, test, fork, post);
          if (problem === null) tally.passed++;
          else tally.failed.push(`${title}: ${problem}`);
          // What an abort left is nobody's state.
          if (problem !== null) evm = new PlainEvm(module);
        }
      }
    }
  }
  return tally;
}

/** What is wrong with a case, or null. */
async function runCase(evm: PlainEvm, test: StateTest, fork: string, post: Post): Promise<string | null> {
  const codes = new Map<string, Uint8Array>();
  const block = blockOf(test, fork, codes);
  const metadata = encodeBlock(block, codes, { evm: Buffer.alloc(32), senders: Buffer.alloc(32) });
  let logs = keccak(encodeRlp([]));
  try {
    evm.begin(metadata);
    const limit = BigInt(test.transaction.gasLimit[post.indexes.gas] as Hex);
    const sender = word(BigInt(test.transaction.sender));
    const receipt = limit > block.gasLimit ? 0n : evm.transact(sender, fromHex(post.txbytes));
    if (typeof receipt !== "bigint") logs = keccak(receipt.logs);
  } catch (error) {
    if (!(error instanceof PlainAbort)) throw error;
    return error.message;
  }
  const hash = await rootOf(evm.records());
  if (hash !== post.hash) return `state root ${hash}, expected ${post.hash}`;
  return logs === post.logs ? null : `logs ${logs}, expected ${post.logs}`;
}

/** The block that a case is about, without its transaction; puts the codes that it needs into `codes`. */
export function blockOf({ env, pre }: StateTest, fork: string, codes: Map<string, Uint8Array>): EvmBlock {
  const name = NAMES[fork];
  if (name === undefined) throw new Error(`unknown fork ${fork}`);
  const rules = FORKS.get(name) as number;
  const number = BigInt(env.currentNumber as Hex);
  const value = (key: string): bigint => BigInt(env[key] ?? "0x0");
  const accounts = Object.entries(pre).map(([address, { balance, code, nonce, storage }]) => {
    const bytes = fromHex(code);
    const codeHash = bytes.length === 0 ? null : keccak(bytes);
    if (codeHash !== null) codes.set(codeHash, bytes);
    const slots = Object.entries(storage).map(([slot, held]) => [BigInt(slot), BigInt(held)] as const);
    return {
      address: BigInt(address),
      balance: BigInt(balance),
      nonce: BigInt(nonce),
      codeHash,
      storage: slots,
    };
  });
  return {
    fork: name,
    number,
    timestamp: value("currentTimestamp"),
    gasLimit: value("currentGasLimit") & 0xffffffffffffffffn,
    miner: value("currentCoinbase"),
    baseFee: rules >= 9 ? value("currentBaseFee") : 0n,
    randao: value(rules >= 10 ? "currentRandom" : "currentDifficulty"),
    excessBlobGas: rules >= 12 ? value("currentExcessBlobGas") : 0n,
    beaconRoot: null,
    withdrawals: [],
    blockHashes: Array.from({ length: Number(number > 256n ? 256n : number) }, (_, i) => {
      const height = number - 1n - BigInt(i);
      return [height, fromHex(keccak(Buffer.from(String(height))))] as const;
    }),
    accounts,
    transactions: [],
    expected: { gasUsed: 0n, receiptsRoot: "", transactionsRoot: "", logsBloom: "" },
  };
}

// ---- the state's root -------------------------------------------------------------------------------------

const KIND_ACCOUNT = 1;
const EXISTS = 16;
const ENTRY = 132;

/** The root of a state, as the EVM's records give it. */
async function rootOf(records: Buffer): Promise<string> {
  const slots = new Map<string, [key: bigint, value: bigint][]>();
  for (let at = 0; at < records.length; at += ENTRY) {
    const tag = records.readUInt32LE(at + 8);
    const value = readWord(records, at + 4 + 64);
    if ((tag & 15) === KIND_ACCOUNT || value === 0n) continue;
    const owner = `${tag >>> 8}/${records.readUInt32LE(at + 12)}`;
    const list = slots.get(owner) ?? [];
    list.push([readWord(records, at + 4 + 16), value]);
    slots.set(owner, list);
  }
  const trie = await createMPT({ useKeyHashing: true });
  for (let at = 0; at < records.length; at += ENTRY) {
    const record = at + 4;
    const tag = records.readUInt32LE(record + 4);
    if ((tag & 15) !== KIND_ACCOUNT) continue;
    const balance = readWord(records, record + 64);
    const nonce = records.readBigUInt64LE(record + 96);
    const hasCode = tag >>> 8 !== 0;
    const exists = (tag & EXISTS) !== 0;
    const empty = balance === 0n && nonce === 0n && !hasCode;
    if (empty && !exists) continue;
    const owner = `${records.readUInt32LE(at)}/${records.readUInt32LE(record + 28)}`;
    const storage = await createMPT({ useKeyHashing: true });
    for (const [key, value] of slots.get(owner) ?? [])
      await storage.put(bigEndian(key, 32), encodeRlp(value));
    const address = Buffer.from(records.subarray(record + 8, record + 28)).reverse();
    const codeHash = records.subarray(record + 32, record + 64);
    const fields: Item = [nonce, balance, storage.root(), codeHash];
    await trie.put(address, encodeRlp(fields));
  }
  return toHex(trie.root());
}

function readWord(bytes: Buffer, at: number): bigint {
  return BigInt(toHex(Buffer.from(bytes.subarray(at, at + 32)).reverse()));
}

function bigEndian(value: bigint, length: number): Buffer {
  return Buffer.from(value.toString(16).padStart(2 * length, "0"), "hex");
}

function word(value: bigint): Buffer {
  return bigEndian(value, 32).reverse();
}

function keccak(bytes: Uint8Array): string {
  return toHex(keccak_256(bytes));
}

function toHex(bytes: Uint8Array): string {
  return `0x${Buffer.from(bytes).toString("hex")}`;
}

function fromHex(hex: string): Buffer {
  return Buffer.from(hex.slice(2), "hex");
}
